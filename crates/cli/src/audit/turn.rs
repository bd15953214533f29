//! `portolan audit --turn`: runs the attacks, and prints the report, schema `portolan.audit.turn/1` (docs/json.md).

use super::{AuditArgs, AuditError};
use crate::credentials::login;
use crate::error::Failure;
use crate::exit::Exit;
use crate::options::DocumentFormat;
use crate::output::{self, count, milliseconds};
use crate::wrap;
use core::fmt::Write;
use core::net::SocketAddr;
use portolan_audit::turn::{
    TurnAudit, TurnAuditConfig, TurnAuditEvent, TurnAuditFailure, TurnFinding, TurnOutcome, TurnReport, TurnSummary,
};
use portolan_tokio::Driver;
use serde::Serialize;

const SCHEMA: &str = "portolan.audit.turn/1";

/// Audits the server and prints the report.
pub(super) async fn run(args: &AuditArgs, server: SocketAddr) -> Result<Exit, Failure> {
    let user = args.credentials.required().map_err(AuditError::from)?;
    let mut config = TurnAuditConfig::new(server, &user.name, &user.password);
    if let Some(other) = &args.other_user {
        let other = login(other.reveal(), None).map_err(AuditError::from)?;
        config = config.other_user(&other.name, &other.password);
    }
    let mut driver = Driver::new(TurnAudit::new(config))?;
    driver.with(TurnAudit::start).map_err(|why| AuditError::Unasked { server, why })?;
    let report = match driver.next().await {
        TurnAuditEvent::Report(report) => report,
        TurnAuditEvent::Failed(TurnAuditFailure::Refused(why)) => {
            return Err(AuditError::Refused { server, why }.into());
        }
        TurnAuditEvent::Failed(why) => {
            return Err(AuditError::NoAllocation { server, why, advice: advice(why) }.into());
        }
        _ => return Err(AuditError::Ended.into()),
    };
    let name = args.server.to_string();
    output::print(&match args.format {
        DocumentFormat::Human => wrap::to_terminal(&human(&name, &report)),
        DocumentFormat::Json => json(&name, &report),
    })?;
    Ok(exit(report.summary()))
}

/// Returns the remedy if there is no allocation.
fn advice(why: TurnAuditFailure) -> &'static str {
    match why {
        TurnAuditFailure::NoAllocation(401) => "check the name and the password of --user",
        TurnAuditFailure::NoAllocation(486) => "the user has as many allocations as the server grants; end some",
        TurnAuditFailure::NoAllocation(_) => "check with `portolan turn` why the server gives no allocation",
        TurnAuditFailure::Silent | TurnAuditFailure::Refused(_) | _ => {
            "check address and port, and that TURN over UDP is on"
        }
    }
}

const fn exit(summary: TurnSummary) -> Exit {
    match summary {
        TurnSummary { not_held: 1.., .. } => Exit::Negative,
        TurnSummary { held: 0, .. } => Exit::Inconclusive,
        TurnSummary { .. } => Exit::Success,
    }
}

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    server: Server<'a>,
    relayed: Option<SocketAddr>,
    relayed_ipv6: Option<SocketAddr>,
    software: Option<&'a str>,
    verdict: &'static str,
    summary: TurnSummary,
    findings: &'a [TurnFinding],
    traffic: Traffic,
    elapsed_ms: f64,
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    address: SocketAddr,
}

#[derive(Serialize)]
struct Traffic {
    sent: u32,
    received: u32,
}

fn json(name: &str, report: &TurnReport) -> String {
    let summary = report.summary();
    let json = Json {
        schema: SCHEMA,
        server: Server { name, address: report.server },
        relayed: report.relayed,
        relayed_ipv6: report.relayed_ipv6,
        software: report.software.as_deref(),
        verdict: match exit(summary) {
            Exit::Success => "held",
            Exit::Negative => "not-held",
            Exit::CouldNotRun | Exit::Inconclusive => "not-testable",
        },
        summary,
        findings: &report.findings,
        traffic: Traffic { sent: report.sent, received: report.received },
        elapsed_ms: milliseconds(report.elapsed),
    };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&json).unwrap_or_default() + "\n"
}

/// Formats the report as text. The verdict is the last line.
fn human(name: &str, report: &TurnReport) -> String {
    let mut text = format!("{name} ({}", report.server);
    let software = report.software.as_deref().map(|software| software.escape_debug().to_string());
    // Writing to a string cannot fail.
    let _ = match software {
        Some(software) => write!(text, ", {software})"),
        None => write!(text, ")"),
    };
    let _ = match report.relayed {
        Some(relayed) => writeln!(text, " relays at {relayed}."),
        None => writeln!(text, " gives no allocation."),
    };
    text.push('\n');
    for finding in &report.findings {
        let _ = writeln!(text, "  {}", line(finding));
    }
    let TurnSummary { held, not_held, not_testable, .. } = report.summary();
    let seconds = report.elapsed.as_secs_f64();
    let sent = count(usize::try_from(report.sent).unwrap_or(usize::MAX), "message");
    let _ =
        writeln!(text, "\n{held} held, {not_held} not held, {not_testable} not testable. {sent} sent, {seconds:.1} s.");
    text + match exit(report.summary()) {
        Exit::Success => "The server holds each attack that was tested.\n",
        Exit::Negative => "The server does NOT hold at least one attack: see the lines with ✗.\n",
        Exit::CouldNotRun | Exit::Inconclusive => "Unknown: no attack could be tested.\n",
    }
}

/// Formats the mark, the behaviour, the evidence or the reason, and the basis.
fn line(finding: &TurnFinding) -> String {
    let (meaning, basis) = (finding.attack.meaning(), finding.attack.basis());
    let part = match finding.untested {
        untested @ 1.. if finding.tested > 0 => {
            format!(" ({} of {} tested)", finding.tested, finding.tested + untested)
        }
        _ => String::new(),
    };
    match finding.outcome {
        TurnOutcome::Held => format!("✓ {meaning}{part} [{basis}]"),
        TurnOutcome::NotHeld(breach) => format!("✗ {meaning}: {breach} [{basis}]"),
        TurnOutcome::NotTestable(obstacle) => format!("? {meaning}: {obstacle} [{basis}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_audit::turn::{Breach, Obstacle, TurnAttack};

    #[test]
    fn a_line_has_the_behaviour_the_evidence_and_the_basis() {
        let line = |attack, outcome| line(&TurnFinding::new(attack, outcome));
        assert_eq!(
            line(TurnAttack::ChannelRange, TurnOutcome::NotHeld(Breach::Channel(0x5000))),
            "✗ a channel number outside of 0x4000-0x4fff is refused: channel 0x5000 was bound [RFC 8656 §12.2]"
        );
        assert_eq!(
            line(TurnAttack::PermissionExpiry, TurnOutcome::NotTestable(Obstacle::Seconds(300))),
            "? an expired permission relays nothing: the test would take 300 s [RFC 8656 §9]"
        );
        let mut partly = TurnFinding::new(TurnAttack::LoopbackPeer, TurnOutcome::Held);
        (partly.tested, partly.untested) = (4, 2);
        assert_eq!(
            super::line(&partly),
            "✓ loopback addresses are denied (4 of 6 tested) [access to internal addresses]"
        );
    }

    #[test]
    fn one_attack_that_is_not_held_decides_the_exit_code() {
        let summary = |held, not_held| {
            let mut summary = TurnSummary::default();
            (summary.held, summary.not_held, summary.not_testable) = (held, not_held, 4);
            exit(summary)
        };
        assert_eq!(summary(30, 0), Exit::Success);
        assert_eq!(summary(30, 1), Exit::Negative);
        assert_eq!(summary(0, 0), Exit::Inconclusive);
    }
}
