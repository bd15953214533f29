//! `portolan audit`: which clauses of RFC 8489 and RFC 5780 one server honours.
//!
//! What is asked, and what the answers mean, is decided by the machine that it drives; this file looks the name up, waits
//! and prints the report ([`report`]).

mod report;

use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use crate::options::DocumentFormat;
use crate::output;
use crate::resolve::{System, resolve};
use crate::servers::ServerName;
use alloc::sync::Arc;
use clap::Args;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_audit::{Audit, AuditConfig, AuditError as StartError, AuditEvent, Report};
use portolan_machine::Refusal;
use portolan_nat::profile::Family;
use portolan_tokio::Driver;

/// How long the name lookup may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// Arguments of `portolan audit`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct AuditArgs {
    /// The server, port 3478 unless said
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT` or a bare IPv6 address; of a name with several addresses the first is asked.
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) server: ServerName,
    /// Ask nothing over TCP
    #[arg(long)]
    pub(crate) no_tcp: bool,
    /// How to write what was found
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

const HELP: &str = "\
Some seventy datagrams in less than three seconds, never more than 160, and at most ten new
requests in any second (RFC 5780 §5); among them broken ones and ones that must not be answered.
Silence counts only beside a bare request that is repeated all the time: where loss, a filter or
a NAT may be the reason the finding is unknown, and no violation. Audit servers that are yours,
or whose owners agree.

Each finding has its clause: ✓ honoured, ✗ violated, – not supported, ? unknown.

Exit codes: 0 nothing is violated, 1 something is, 2 could not run, 3 nothing answered.

Examples:
  portolan audit stun.example.org
  portolan audit 203.0.113.7:3478 --format json
  portolan serve --listen 127.0.0.1:3478 --alternate 127.0.0.2:3479 & portolan audit 127.0.0.1";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("{server} cannot be asked over udp: {why}; check the address, or this host's network")]
    Refused { server: SocketAddr, why: Refusal },
    #[error("{server} cannot be asked: {why}")]
    Unasked { server: SocketAddr, why: StartError },
    #[error("the program could not go on by itself: the audit ended without a report")]
    Ended,
}

impl CommandError for AuditError {}

/// Audits the server and prints the report.
pub(crate) async fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    let families = [Family::V4, Family::V6];
    let resolved = resolve(Arc::new(System), core::slice::from_ref(&args.server), &families, LOOKUP).await;
    let found = resolved.servers.first().and_then(|server| server.addresses.first());
    let Some(&server) = found else {
        let why = resolved.unresolved.first().map(ToString::to_string).unwrap_or_default();
        return Err(AuditError::Unresolved(why.into()).into());
    };
    let mut driver = Driver::new(Audit::new(AuditConfig::new(server).tcp(!args.no_tcp)))?;
    driver.with(Audit::start).map_err(|why| AuditError::Unasked { server, why })?;
    let report = match driver.next().await {
        AuditEvent::Report(report) => report,
        AuditEvent::Failed(why) => return Err(AuditError::Refused { server, why }.into()),
        _ => return Err(AuditError::Ended.into()),
    };
    let name = args.server.to_string();
    output::print(&match args.format {
        DocumentFormat::Human => report::human(&name, &report),
        DocumentFormat::Json => report::json(&name, &report),
    })?;
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    if !report.is_answered() {
        Exit::Inconclusive
    } else if report.violations().next().is_some() {
        Exit::Wrong
    } else {
        Exit::Done
    }
}
