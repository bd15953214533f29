//! The report of an audit, as text and as JSON, schema `portolan.audit/1` (docs/json.md).

use crate::output::{self, milliseconds};
use core::fmt::Write;
use core::net::SocketAddr;
use portolan_audit::{Amplification, ControlStats, Credentials, Finding, Outcome, Report, Summary, Traffic};
use serde::Serialize;

const SCHEMA: &str = "portolan.audit/1";

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    server: Server<'a>,
    answered: bool,
    local: SocketAddr,
    mapped: Option<SocketAddr>,
    rtt_ms: Option<f64>,
    software: Option<&'a str>,
    credentials: Option<&'a Credentials>,
    control: ControlStats,
    summary: Summary,
    findings: &'a [Finding],
    amplification: &'a [Amplification],
    traffic: Traffic,
    elapsed_ms: f64,
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    address: SocketAddr,
}

/// Formats the report as JSON, in one line.
pub(super) fn json(name: &str, report: &Report) -> String {
    let json = Json {
        schema: SCHEMA,
        server: Server { name, address: report.server },
        answered: report.is_answered(),
        local: report.local,
        mapped: report.mapped,
        rtt_ms: report.control.rtt.map(milliseconds),
        software: report.software.as_deref(),
        credentials: report.credentials.as_ref(),
        control: report.control,
        summary: report.summary(),
        findings: &report.findings,
        amplification: &report.amplification,
        traffic: report.traffic,
        elapsed_ms: milliseconds(report.elapsed),
    };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&json).unwrap_or_default() + "\n"
}

/// The RFCs by which the text report groups the findings.
const DOCUMENTS: [(u16, &str); 2] =
    [(8489, "Session Traversal Utilities for NAT (STUN)"), (5780, "NAT Behavior Discovery Using STUN")];

/// Formats the report as text.
pub(super) fn human(name: &str, report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = head(&mut text, name, report);
    let _ = findings(&mut text, &report.findings);
    if !report.amplification.is_empty() {
        let _ = writeln!(text, "\nAmplification: bytes received for each byte sent");
        for kind in &report.amplification {
            let (bytes, back, probe) = (kind.request_bytes, kind.reply_bytes, kind.probe.to_string());
            let replies = f64::from(kind.replies_per_ten) / 10.0;
            let factor = kind.factor();
            let _ = writeln!(
                text,
                "  {factor:>5.1}  {probe:<26}{bytes} bytes, response {back} bytes in {replies} datagram{}",
                if replies > 1.0 { "s" } else { "" }
            );
        }
    }
    let _ = foot(&mut text, report);
    text
}

/// Writes one line for each finding. The findings that are unknown for one reason are one line together, if they are at
/// least half of all: then the reason concerns the server, not the clauses.
fn findings(text: &mut String, findings: &[Finding]) -> core::fmt::Result {
    let of_outcome = |outcome: Outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let shared = findings.iter().map(|finding| finding.outcome).find(|outcome| match outcome {
        Outcome::Unknown(_) => of_outcome(*outcome) * 2 >= findings.len() && of_outcome(*outcome) > 1,
        Outcome::Honoured | Outcome::Violated(_) | Outcome::NotSupported => false,
    });
    for (rfc, title) in DOCUMENTS {
        let own = |finding: &&Finding| finding.check.clause().rfc == rfc && Some(finding.outcome) != shared;
        let mut lines = findings.iter().filter(own).peekable();
        if lines.peek().is_some() {
            writeln!(text, "\nRFC {rfc}, {title}")?;
        }
        for finding in lines {
            writeln!(text, "  {} {}", mark(finding.outcome), line(finding))?;
        }
    }
    match shared {
        Some(outcome) => {
            let checks = output::count(of_outcome(outcome), "check");
            writeln!(text, "\n  {} {checks}: {outcome}", mark(outcome))
        }
        None => Ok(()),
    }
}

fn head(text: &mut String, name: &str, report: &Report) -> core::fmt::Result {
    write!(text, "{name} ({})", report.server)?;
    if let Some(software) = &report.software {
        write!(text, ", {software}")?;
    }
    match (report.mapped, report.control.rtt) {
        _ if !report.is_answered() => {
            writeln!(text, " did not respond over udp; check address and port, or whether a firewall drops UDP.")
        }
        (None, _) if report.credentials.is_some() => {
            let asked = report.credentials.as_ref();
            let realm = asked.and_then(|asked| asked.realm.as_deref()).unwrap_or("none");
            writeln!(text, " requires credentials, realm {realm}.")
        }
        (None, _) => writeln!(text, " sent no usable Binding response."),
        (Some(mapped), None) => writeln!(text, " sees you at {mapped}."),
        (Some(mapped), Some(rtt)) => {
            writeln!(text, " sees you at {mapped}, {:.1} ms away.", milliseconds(rtt))
        }
    }
}

fn foot(text: &mut String, report: &Report) -> core::fmt::Result {
    let Summary { honoured, violated, not_supported, unknown, .. } = report.summary();
    let traffic = report.traffic;
    let control = report.control;
    writeln!(
        text,
        "\n{honoured} honoured, {violated} violated, {not_supported} not supported, {unknown} unknown. \
         {} datagrams sent, {} received, {} of {} control requests lost, {:.1} s.",
        traffic.sent,
        traffic.received,
        control.lost,
        control.sent,
        report.elapsed.as_secs_f64(),
    )
}

const fn mark(outcome: Outcome) -> char {
    match outcome {
        Outcome::Honoured => '✓',
        Outcome::Violated(_) => '✗',
        Outcome::NotSupported => '–',
        Outcome::Unknown(_) => '?',
    }
}

/// Formats the section, its meaning, and the outcome unless it is honoured.
fn line(finding: &Finding) -> String {
    let section = format!("§{}", finding.check.clause().section);
    let meaning = finding.check.meaning();
    match finding.outcome {
        Outcome::Honoured => format!("{section:<9}{meaning}"),
        Outcome::Violated(_) | Outcome::NotSupported | Outcome::Unknown(_) => {
            format!("{section:<9}{meaning}: {}", finding.outcome)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_audit::{Check, UnknownReason, Violation};

    #[test]
    fn findings_that_are_unknown_for_one_reason_are_one_line() {
        let unknown = |check, why| Finding::new(check, Outcome::Unknown(why));
        let mut all = vec![
            unknown(Check::Tcp, UnknownReason::Loss),
            unknown(Check::Software, UnknownReason::Loss),
            unknown(Check::ChangePort, UnknownReason::Loss),
            Finding::new(Check::UnknownRequired, Outcome::Honoured),
        ];
        let text = |findings: &[Finding]| {
            let mut text = String::new();
            super::findings(&mut text, findings).unwrap();
            text
        };
        let shared = text(&all);
        assert!(shared.ends_with("(420)\n\n  ? 3 checks: too many packets are lost\n"), "{shared}");
        assert_eq!(shared.lines().count(), 5, "the second RFC has no heading: {shared}");
        all[1].outcome = Outcome::NotSupported;
        all[2].outcome = Outcome::Unknown(UnknownReason::Filter);
        assert_eq!(text(&all).matches("? §").count(), 2, "{}", text(&all));
    }

    #[test]
    fn a_finding_has_its_clause_meaning_and_evidence() {
        let check_line = |check, outcome| {
            let finding = Finding::new(check, outcome);
            format!("{} {}", mark(outcome), line(&finding))
        };
        assert_eq!(check_line(Check::Tcp, Outcome::Honoured), "✓ §6.2.2   a Binding request over TCP is answered");
        assert_eq!(
            check_line(Check::UnknownRequired, Outcome::Violated(Violation::Error(500))),
            "✗ §6.3.1   an unknown attribute that matters is refused (420): answered with error 500"
        );
        assert_eq!(
            check_line(Check::Software, Outcome::NotSupported),
            "– §14.14   the server says what it is (SOFTWARE): not supported"
        );
        assert_eq!(
            check_line(Check::ChangePort, Outcome::Unknown(UnknownReason::Filter)),
            "? §7.2     CHANGE-REQUEST for the port is obeyed: a filter on the way may have dropped the answer"
        );
    }
}
