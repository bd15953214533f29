//! The report for people: the plain sentence, then the facts, then how sure and why.
//!
//! Made with colours; whoever prints it strips them where nobody would see them.

use super::sentence::{Sentence, plain};
use super::sureness::in_words;
use super::{Telling, json};
use clap::builder::styling::{AnsiColor, Style};
use core::fmt::{self, Display, Write};
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind};
use portolan_nat::lifetime::{LifetimeRange, LifetimeReport};
use portolan_nat::profile::{Conclusion, FamilyReport, Finding, Reachability, Unknown};

const SAYS: Style = Style::new().bold();
const HEAD: Style = Style::new().underline();
const GOOD: Style = AnsiColor::Green.on_default();
const DOUBT: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// Indentation and width of the column of names.
const NAME: usize = 12;

/// The whole report; with `explain` also the evidence and the story.
pub(crate) fn report(telling: &Telling, explain: bool) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = Page { telling, explain }.write(&mut out);
    out
}

struct Page<'a> {
    telling: &'a Telling,
    explain: bool,
}

impl Page<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let families = &self.telling.report.families;
        for family in families {
            let sentence = Sentence::of(family);
            let whose = if families.len() > 1 { format!("{}: ", family.family) } else { String::new() };
            writeln!(out, "{SAYS}{whose}{}{SAYS:#} {}", sentence.is, sentence.means)?;
        }
        if let Some(simulation) = &self.telling.simulation {
            writeln!(out, "\n{}", simulation.scene)?;
            let right = match simulation.is_right {
                Some(true) => "What was found is what was built.",
                Some(false) => {
                    "What was found is NOT what was built; unless the loss explains it, please report this seed."
                }
                None => "Not everything could be found out; what was found is what was built.",
            };
            writeln!(out, "{right}")?;
        }
        for family in families {
            writeln!(out, "\n{HEAD}{}{HEAD:#}", family.family)?;
            facts(out, family)?;
            self.sureness(out, family)?;
            self.servers(out, family)?;
        }
        if let Some(lifetime) = &self.telling.lifetime {
            self.lifetime(out, lifetime)?;
        }
        if self.explain && !self.telling.story.is_empty() {
            writeln!(out, "\n{HEAD}What happened{HEAD:#}")?;
            for line in &self.telling.story {
                writeln!(out, "  {line}")?;
            }
        }
        let simulated = if self.telling.simulation.is_some() { " of simulated time" } else { "" };
        writeln!(out, "\n{FAINT}Found out in {} ms{simulated}.{FAINT:#}", self.telling.report.elapsed.as_millis())
    }

    /// How sure each axis is; with `explain`, what it rests on.
    fn sureness(&self, out: &mut String, family: &FamilyReport) -> fmt::Result {
        if matches!(family.reach, Reachability::Unavailable(_)) {
            return Ok(());
        }
        writeln!(out, "  How sure{}", if self.explain { ", and why" } else { " (why: --explain)" })?;
        self.sure_of(out, "mapping", &family.mapping)?;
        self.sure_of(out, "filtering", &family.filtering)?;
        if self.explain {
            let details = &family.details;
            self.sure_of(out, "ports", &details.port_allocation)?;
            self.sure_of(out, "same port", &details.port_preservation)?;
            self.sure_of(out, "pooling", &details.pooling)?;
            self.sure_of(out, "hairpin", &details.hairpin)?;
            self.sure_of(out, "ALG", &details.alg)?;
            self.sure_of(out, "ways out", &details.multi_homed)?;
            self.sure_of(out, "double NAT", &details.double_nat)?;
        }
        if family.path.sent > 0 {
            let (sent, answered) = (family.path.sent, family.path.answered);
            let loss = f64::from(sent.saturating_sub(answered)) / f64::from(sent) * 100.0;
            row(out, "loss", format_args!("{answered} of {sent} control packets were answered ({loss:.0} % lost)"))?;
        }
        Ok(())
    }

    fn sure_of<T>(&self, out: &mut String, name: &str, verdict: &Conclusion<T>) -> fmt::Result {
        match &verdict.finding {
            Finding::Value { p_wrong, .. } => row(out, name, in_words(*p_wrong))?,
            Finding::Unknown(why) => row(out, name, format_args!("not known: {why} [{}]", why.as_str()))?,
        }
        if self.explain {
            for evidence in &verdict.evidence {
                writeln!(out, "    {:NAME$}{FAINT}- {evidence}{FAINT:#}", "")?;
            }
        }
        Ok(())
    }

    /// How long mappings live, and what to do about it.
    fn lifetime(&self, out: &mut String, report: &LifetimeReport) -> fmt::Result {
        writeln!(out, "\n{HEAD}How long mappings live{HEAD:#} ({}, measured with {})", report.family, report.server)?;
        let range = |range: &LifetimeRange| range.to_string();
        value(out, "answered", &report.replied, range)?;
        value(out, "unanswered", &report.unreplied, range)?;
        value(out, "in any case", &report.absolute, |range| match range.at_most {
            Some(_) => format!("ends after {range}, whatever refreshes it"),
            None => format!("no end met in {} s", range.at_least.as_secs()),
        })?;
        value(out, "outbound", &report.refresh.outbound, |does| yes_no(*does, "refreshes", "does not refresh"))?;
        value(out, "inbound", &report.refresh.inbound, |does| yes_no(*does, "refreshes", "does not refresh"))?;
        match report.recommended_keepalive {
            Some(every) => row(out, "keepalive", format_args!("send something every {} s", every.as_secs()))?,
            None => row(out, "keepalive", "none can be recommended")?,
        }
        writeln!(out, "  How sure{}", if self.explain { ", and why" } else { " (why: --explain)" })?;
        self.sure_of(out, "answered", &report.replied)?;
        self.sure_of(out, "unanswered", &report.unreplied)?;
        self.sure_of(out, "in any case", &report.absolute)?;
        self.sure_of(out, "outbound", &report.refresh.outbound)?;
        self.sure_of(out, "inbound", &report.refresh.inbound)
    }

    fn servers(&self, out: &mut String, family: &FamilyReport) -> fmt::Result {
        if family.servers.is_empty() {
            return Ok(());
        }
        writeln!(out, "  Servers asked")?;
        for server in &family.servers {
            let (name, address) = (self.telling.server(server.server), server.address.to_string());
            write!(out, "    {address}")?;
            if !name.is_empty() && name != address {
                write!(out, " ({name})")?;
            }
            match server.rtt {
                Some(rtt) => write!(out, ", {:.1} ms", rtt.as_secs_f64() * 1e3)?,
                None => write!(out, ", no answer")?,
            }
            if let Some(other) = server.other_address {
                write!(out, ", other address {other}")?;
            }
            for flaw in &server.flaws {
                write!(out, "; {flaw}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn facts(out: &mut String, family: &FamilyReport) -> fmt::Result {
    match family.reach {
        Reachability::Unavailable(why) => return row(out, "no way out", why),
        Reachability::Blocked => row(out, "UDP", format_args!("{DOUBT}blocked{DOUBT:#}"))?,
        Reachability::Available | Reachability::Unknown => {}
    }
    for (place, public) in family.public.iter().enumerate() {
        row(out, if place == 0 { "public" } else { "" }, format_args!("{GOOD}{public}{GOOD:#}"))?;
    }
    if let Some(local) = family.local {
        row(out, "local", local)?;
    }
    if family.reach == Reachability::Blocked {
        return Ok(());
    }
    row(out, "NAT", stands_in_the_way(family))?;
    value(out, "mapping", &family.mapping, |mapping: &Mapping| format!("{mapping} ({})", mapping.abbreviation()))?;
    value(out, "filtering", &family.filtering, |filter: &Filtering| format!("{filter} ({})", filter.abbreviation()))?;
    if family.classic_type() != ClassicType::Unknown {
        row(out, "old name", format_args!("{} (RFC 3489)", plain(family.classic_type())))?;
    }
    let details = &family.details;
    if family.nat == Some(NatKind::Nat) {
        value(out, "ports", &details.port_allocation, ToString::to_string)?;
        value(out, "same port", &details.port_preservation, |kept| yes_no(*kept, "kept", "changed"))?;
        told(out, "pooling", &details.pooling, ToString::to_string)?;
    }
    told(out, "hairpin", &details.hairpin, ToString::to_string)?;
    told(out, "ALG", &details.alg, |alg| yes_no(*alg, "rewrites addresses inside messages", "none seen"))?;
    told(out, "ways out", &details.multi_homed, |many| yes_no(*many, "several local addresses", "one"))?;
    told(out, "double NAT", &details.double_nat, |two| yes_no(*two, "yes, a carrier's NAT stands behind", "no sign"))?;
    if let Some(rtt) = family.path.rtt {
        row(out, "round trip", format_args!("{:.1} ms", rtt.as_secs_f64() * 1e3))?;
    }
    Ok(())
}

fn stands_in_the_way(family: &FamilyReport) -> &'static str {
    match family.nat {
        Some(NatKind::Nat) => "yes, addresses are translated",
        Some(NatKind::Firewall) => "no, but a firewall filters",
        Some(NatKind::None) => "no, and nothing filters that was seen",
        None => json::nat(family),
    }
}

fn yes_no(is: bool, yes: &str, no: &str) -> String {
    (if is { yes } else { no }).to_owned()
}

/// A line of the facts, also where nothing is known.
fn value<T>(out: &mut String, name: &str, verdict: &Conclusion<T>, tell: impl Fn(&T) -> String) -> fmt::Result {
    match &verdict.finding {
        Finding::Value { value, .. } => row(out, name, tell(value)),
        Finding::Unknown(why) => row(out, name, format_args!("{DOUBT}unknown{DOUBT:#} ({why})")),
    }
}

/// A line of the facts, where something is known or something went wrong; what nobody asked for goes unsaid.
fn told<T>(out: &mut String, name: &str, verdict: &Conclusion<T>, tell: impl Fn(&T) -> String) -> fmt::Result {
    match verdict.reason() {
        Some(Unknown::NotTested | Unknown::NoEvidence | Unknown::NoNat | Unknown::TooFewSamples) => Ok(()),
        _ => value(out, name, verdict, tell),
    }
}

fn row(out: &mut String, name: &str, what: impl Display) -> fmt::Result {
    writeln!(out, "    {name:NAME$}{what}")
}

#[cfg(test)]
mod tests;
