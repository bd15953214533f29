//! The first screen of `portolan lab nat`: a picture of the network, the steps, the verdict and the next commands.

use super::{LabNatArgs, topology};
use crate::report::ReportData;
use crate::report::confidence::in_words;
use crate::report::sentence::Sentence;
use crate::report::steps::{self, StepDetail};
use clap::builder::styling::Style;
use core::fmt::{self, Display, Write};
use portolan_nat::profile::{Conclusion, Family, FamilyReport, Finding, Reachability};
use portolan_sim::Barrier;
use portolan_sim::topology::{Preset, Topology};

const STRONG: Style = Style::new().bold();

/// Returns the page for an output of this width.
pub(super) fn page(data: &ReportData, args: &LabNatArgs, detail: StepDetail, width: usize) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, data, args, detail, width);
    out
}

fn write(out: &mut String, data: &ReportData, args: &LabNatArgs, detail: StepDetail, width: usize) -> fmt::Result {
    let LabNatArgs { rtt, loss, seed, .. } = args;
    writeln!(out, "A simulated network, no packet is sent. Round trip {rtt} ms, loss {loss} % each way, seed {seed}.")?;
    let network = topology(args);
    let families = &data.report.families;
    for family in families {
        if families.len() > 1 {
            writeln!(out, "\n{STRONG}{}{STRONG:#}", family.family)?;
        }
        picture(out, &network, data, family, width)?;
        steps::write(out, family, detail)?;
    }
    writeln!(out)?;
    for family in families {
        let sentence = Sentence::of(family);
        let whose = if families.len() > 1 { format!("{}: ", family.family) } else { String::new() };
        row(out, "Verdict", format_args!("{STRONG}{whose}{}{STRONG:#}", sentence.is))?;
        row(out, "Meaning", sentence.means)?;
        if family.reach == Reachability::Available {
            let (mapping, filtering) = (confidence(&family.mapping), confidence(&family.filtering));
            row(out, "Confidence", format_args!("mapping {mapping}; filtering {filtering}."))?;
        }
    }
    if let Some(simulation) = &data.simulation {
        row(out, "Check", simulation.comparison.sentence())?;
    }
    next(out, args, width)
}

fn row(out: &mut String, name: &str, what: impl Display) -> fmt::Result {
    writeln!(out, "{name:<12}{what}")
}

fn confidence<T>(conclusion: &Conclusion<T>) -> String {
    match &conclusion.finding {
        Finding::Value { p_wrong, .. } => in_words(*p_wrong),
        Finding::Unknown(why) => format!("unknown ({why})"),
    }
}

/// Draws the path from the host to the servers: in one line, or from top to bottom where the line does not fit.
fn picture(
    out: &mut String,
    network: &Topology,
    data: &ReportData,
    family: &FamilyReport,
    width: usize,
) -> fmt::Result {
    let barriers = match family.family {
        Family::V4 => network.ipv4.as_slice(),
        Family::V6 => network.ipv6.as_deref().unwrap_or_default(),
    };
    let host = family.local.map_or_else(|| "host".to_owned(), |local| format!("host {}", local.ip()));
    let mut stations = vec![host];
    stations.extend(barriers.iter().enumerate().map(|(place, barrier)| gateway(place, barrier)));
    let cable = if network.online { "──" } else { "─ no link ─" };
    stations.push("Internet".to_owned());
    let servers: Vec<String> =
        family.servers.iter().map(|server| format!("{} {}", data.server(server.server), server.address.ip())).collect();
    let line = format!("  {}", stations.join(&format!(" {cable} ")));
    let longest = servers.iter().map(|server| server.chars().count()).max().unwrap_or(0);
    if line.chars().count() + " ─┬─ ".len() + longest <= width {
        let indent = line.chars().count() + 1;
        for (place, server) in servers.iter().enumerate() {
            match (place, place + 1 == servers.len()) {
                (0, true) => writeln!(out, "{line} ─── {server}")?,
                (0, false) => writeln!(out, "{line} ─┬─ {server}")?,
                (_, false) => writeln!(out, "{:indent$} ├─ {server}", "")?,
                (_, true) => writeln!(out, "{:indent$} └─ {server}", "")?,
            }
        }
        return Ok(());
    }
    for (place, station) in stations.iter().enumerate() {
        writeln!(out, "  {}{station}", if place == 0 { "" } else { "│ " })?;
    }
    for (place, server) in servers.iter().enumerate() {
        writeln!(out, "  {} {server}", if place + 1 == servers.len() { "└─" } else { "├─" })?;
    }
    Ok(())
}

fn gateway(place: usize, barrier: &Barrier) -> String {
    let name = if place == 0 { "router" } else { "carrier" };
    let function = match barrier {
        Barrier::Open => return name.to_owned(),
        Barrier::Blocked { .. } => "no UDP",
        Barrier::Translator(nat) if nat.translate => "NAT",
        Barrier::Translator(_) => "firewall",
    };
    format!("{name}: {function}")
}

/// The width at which the commands have their descriptions in a second column.
const TWO_COLUMNS: usize = 90;

/// Writes three commands to run next, other ones than the one that ran.
fn next(out: &mut String, args: &LabNatArgs, width: usize) -> fmt::Result {
    let deeper = match args.output.explain {
        None => ("portolan lab nat --explain", "all steps, with their RFC sections"),
        Some(_) => ("portolan lab nat --explain=packets", "each packet"),
    };
    let other = if args.preset == Preset::Symmetric {
        ("portolan lab nat --preset cgnat", "two NATs, one after the other")
    } else {
        ("portolan lab nat --preset symmetric", "a NAT that prevents many direct connections")
    };
    for (place, (command, shows)) in [deeper, other, ("portolan nat", "the network of this host")].iter().enumerate() {
        let name = if place == 0 { "Next" } else { "" };
        if width >= TWO_COLUMNS {
            row(out, name, format_args!("{command:<37}{shows}"))?;
        } else {
            row(out, name, format_args!("{command}: {shows}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
