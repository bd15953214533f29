//! The report as text: the facts, the confidence, the evidence, and at the end the sentences.
//!
//! The text has colours. The output removes them where there is no terminal.

use super::ReportData;
use super::confidence::in_words;
use super::sentence::{Sentence, plain};
use super::steps::{self, StepDetail};
use crate::options::ExplainLevel;
use crate::vantage::Vantage;
use clap::builder::styling::{AnsiColor, Style};
use core::fmt::{self, Display, Write};
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind};
use portolan_nat::lifetime::{LifetimeRange, LifetimeReport};
use portolan_nat::profile::{Conclusion, Evidence, FamilyReport, Finding, Flaw, Reachability, Unknown};

const SENTENCE: Style = Style::new().bold();
const HEADING: Style = Style::new().underline();
const GOOD: Style = AnsiColor::Green.on_default();
const DOUBT: Style = AnsiColor::Yellow.on_default();
const DIMMED: Style = Style::new().dimmed();

/// The width of the column of names.
const NAME: usize = 12;

/// Formats the whole report; with `explain` also the steps and the evidence, for packets also the notes.
pub(crate) fn report(data: &ReportData, explain: Option<ExplainLevel>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = Page { data, explain: explain.is_some(), level: explain }.write(&mut out);
    out
}

/// Writes the sentences of each family: the NAT or firewall, and its effect on direct connections.
pub(crate) fn sentences(out: &mut String, families: &[FamilyReport]) -> fmt::Result {
    for family in families {
        let sentence = Sentence::of(family);
        let whose = if families.len() > 1 { format!("{}: ", family.family) } else { String::new() };
        writeln!(out, "{SENTENCE}{whose}{}{SENTENCE:#} {}", sentence.is, sentence.means)?;
    }
    Ok(())
}

struct Page<'a> {
    data: &'a ReportData,
    explain: bool,
    level: Option<ExplainLevel>,
}

impl Page<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let families = &self.data.report.families;
        if let Some(simulation) = &self.data.simulation {
            writeln!(out, "{}\n", simulation.description)?;
        }
        for family in families {
            writeln!(out, "{HEADING}{}{HEADING:#}", family.family)?;
            if self.level == Some(ExplainLevel::Steps) {
                steps::write(out, family, StepDetail::All)?;
            }
            facts(out, family)?;
            self.confidence(out, family)?;
            self.servers(out, family)?;
            writeln!(out)?;
        }
        if let Some(lifetime) = &self.data.lifetime {
            self.lifetime(out, lifetime)?;
        }
        if self.level == Some(ExplainLevel::Packets) && !self.data.story.is_empty() {
            writeln!(out, "{HEADING}What happened{HEADING:#}")?;
            for line in &self.data.story {
                writeln!(out, "  {line}")?;
            }
            writeln!(out)?;
        }
        let simulated = if self.data.simulation.is_some() { " of simulated time" } else { "" };
        writeln!(out, "{DIMMED}Measured in {} ms{simulated}.{DIMMED:#}\n", self.data.report.elapsed.as_millis())?;
        sentences(out, families)?;
        match &self.data.simulation {
            Some(simulation) => writeln!(out, "{}", simulation.comparison.sentence()),
            None => Ok(()),
        }
    }

    /// Writes the confidence of each result, with `explain` also the evidence.
    fn confidence(&self, out: &mut String, family: &FamilyReport) -> fmt::Result {
        if matches!(family.reach, Reachability::Unavailable(_)) {
            return Ok(());
        }
        writeln!(out, "  Confidence{}", if self.explain { " and evidence" } else { " (evidence: --explain)" })?;
        self.confidence_of(out, "mapping", &family.mapping)?;
        self.confidence_of(out, "filtering", &family.filtering)?;
        if self.explain {
            let details = &family.details;
            self.confidence_of(out, "ports", &details.port_allocation)?;
            self.confidence_of(out, "same port", &details.port_preservation)?;
            self.confidence_of(out, "pooling", &details.pooling)?;
            self.confidence_of(out, "hairpin", &details.hairpin)?;
            self.confidence_of(out, "ALG", &details.alg)?;
            self.confidence_of(out, "routes", &details.multi_homed)?;
            self.confidence_of(out, "double NAT", &details.double_nat)?;
        }
        if family.path.sent > 0 {
            let (sent, answered) = (family.path.sent, family.path.answered);
            let loss = f64::from(sent.saturating_sub(answered)) / f64::from(sent) * 100.0;
            row(out, "loss", format_args!("{answered} of {sent} control packets were answered ({loss:.0} % lost)"))?;
        }
        Ok(())
    }

    fn confidence_of<T>(&self, out: &mut String, name: &str, verdict: &Conclusion<T>) -> fmt::Result {
        match &verdict.finding {
            Finding::Value { p_wrong, .. } => row(out, name, in_words(*p_wrong))?,
            Finding::Unknown(why) => row(out, name, format_args!("not known: {why} [{}]", why.as_str()))?,
        }
        if self.explain {
            for evidence in &verdict.evidence {
                writeln!(out, "    {:NAME$}{DIMMED}- {evidence}{DIMMED:#}", "")?;
            }
        } else if let Some(assumed) = verdict.evidence.iter().find(|one| matches!(one, Evidence::PreservedPort { .. }))
        {
            row(out, "", assumed)?;
        }
        Ok(())
    }

    /// Writes the lifetimes of mappings and the recommended keepalive.
    fn lifetime(&self, out: &mut String, report: &LifetimeReport) -> fmt::Result {
        writeln!(
            out,
            "{HEADING}How long mappings live{HEADING:#} ({}, measured with {})",
            report.family, report.server
        )?;
        let range = |range: &LifetimeRange| range.to_string();
        value(out, "answered", &report.replied, range)?;
        value(out, "unanswered", &report.unreplied, range)?;
        value(out, "in any case", &report.absolute, |range| match range.at_most {
            Some(_) => format!("ends after {range}, even if it is refreshed"),
            None => format!("no limit within {} s", range.at_least.as_secs()),
        })?;
        value(out, "outbound", &report.refresh.outbound, |does| yes_no(*does, "refreshes", "does not refresh"))?;
        value(out, "inbound", &report.refresh.inbound, |does| yes_no(*does, "refreshes", "does not refresh"))?;
        match report.recommended_keepalive {
            Some(every) => row(out, "keepalive", format_args!("send something every {} s", every.as_secs()))?,
            None => row(out, "keepalive", "none can be recommended")?,
        }
        writeln!(out, "  Confidence{}", if self.explain { " and evidence" } else { " (evidence: --explain)" })?;
        self.confidence_of(out, "answered", &report.replied)?;
        self.confidence_of(out, "unanswered", &report.unreplied)?;
        self.confidence_of(out, "in any case", &report.absolute)?;
        self.confidence_of(out, "outbound", &report.refresh.outbound)?;
        self.confidence_of(out, "inbound", &report.refresh.inbound)?;
        writeln!(out)
    }

    fn servers(&self, out: &mut String, family: &FamilyReport) -> fmt::Result {
        if family.servers.is_empty() {
            return Ok(());
        }
        writeln!(out, "  Servers asked")?;
        for server in &family.servers {
            let (name, address) = (self.data.server(server.server), server.address.to_string());
            write!(out, "    {address}")?;
            if !name.is_empty() && name != address {
                write!(out, " ({name})")?;
            }
            match server.rtt {
                Some(rtt) => write!(out, ", {:.1} ms", rtt.as_secs_f64() * 1e3)?,
                None => write!(out, ", no answer")?,
            }
            for evidence in &family.mapping.evidence {
                if let Evidence::Unreachable { to, why } = evidence
                    && *to == server.address
                {
                    write!(out, ": {why}")?;
                }
            }
            if let Some(other) = server.other_address {
                write!(out, ", other address {other}")?;
            }
            for flaw in server.flaws.iter().filter(|flaw| **flaw != Flaw::Silent) {
                write!(out, "; {flaw}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn facts(out: &mut String, family: &FamilyReport) -> fmt::Result {
    match family.reach {
        Reachability::Unavailable(why) => return row(out, "unavailable", why),
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
    row(out, "NAT", nat_line(family))?;
    value(out, "mapping", &family.mapping, |mapping: &Mapping| format!("{mapping} ({})", mapping.abbreviation()))?;
    value(out, "filtering", &family.filtering, |filter: &Filtering| format!("{filter} ({})", filter.abbreviation()))?;
    let vantage = Vantage::of(family).unwrap_or(Vantage::Public);
    if vantage != Vantage::Public {
        row(out, "vantage", format_args!("{DOUBT}{vantage}{DOUBT:#}, not the Internet"))?;
    } else if family.classic_type() != ClassicType::Unknown {
        row(out, "classic", format_args!("{} (RFC 3489)", plain(family.classic_type())))?;
    }
    let details = &family.details;
    if family.nat == Some(NatKind::Nat) {
        value(out, "ports", &details.port_allocation, ToString::to_string)?;
        value(out, "same port", &details.port_preservation, |kept| yes_no(*kept, "kept", "changed"))?;
        optional_value(out, "pooling", &details.pooling, ToString::to_string)?;
    }
    optional_value(out, "hairpin", &details.hairpin, ToString::to_string)?;
    optional_value(out, "ALG", &details.alg, |alg| yes_no(*alg, "rewrites addresses inside messages", "none seen"))?;
    optional_value(out, "routes", &details.multi_homed, |many| yes_no(*many, "several local addresses", "one"))?;
    optional_value(out, "double NAT", &details.double_nat, |two| {
        yes_no(*two, "yes, behind the NAT of a carrier", "no sign")
    })?;
    if let Some(rtt) = family.path.rtt {
        row(out, "round trip", format_args!("{:.1} ms", rtt.as_secs_f64() * 1e3))?;
    }
    Ok(())
}

fn nat_line(family: &FamilyReport) -> &'static str {
    match family.nat {
        Some(NatKind::Nat) => "yes, addresses are translated",
        Some(NatKind::Firewall) => "no, but a firewall filters",
        Some(NatKind::None) => "no, and no firewall was detected",
        None => family.device(),
    }
}

pub(super) fn yes_no(is: bool, yes: &str, no: &str) -> String {
    (if is { yes } else { no }).to_owned()
}

/// Writes a line of the facts, also if the value is unknown.
fn value<T>(out: &mut String, name: &str, verdict: &Conclusion<T>, describe: impl Fn(&T) -> String) -> fmt::Result {
    match &verdict.finding {
        Finding::Value { value, .. } => row(out, name, describe(value)),
        Finding::Unknown(why) => row(out, name, format_args!("{DOUBT}unknown{DOUBT:#} ({why})")),
    }
}

/// Writes a line of the facts, unless the value was not measured.
fn optional_value<T>(
    out: &mut String,
    name: &str,
    verdict: &Conclusion<T>,
    describe: impl Fn(&T) -> String,
) -> fmt::Result {
    match verdict.reason() {
        Some(Unknown::NotTested | Unknown::NoEvidence | Unknown::NoNat | Unknown::TooFewSamples) => Ok(()),
        _ => value(out, name, verdict, describe),
    }
}

fn row(out: &mut String, name: &str, what: impl Display) -> fmt::Result {
    writeln!(out, "    {name:NAME$}{what}")
}

#[cfg(test)]
mod tests;
