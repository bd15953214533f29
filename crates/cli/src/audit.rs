//! `portolan audit`: checks which clauses of RFC 8489 and RFC 5780 one server honours.
//!
//! The machine [`Audit`] decides which requests to send and how to judge the responses. This file resolves the name,
//! runs the driver and prints the report ([`report`]). With `--turn` the machine is
//! [`TurnAudit`](portolan_audit::turn::TurnAudit) ([`turn`]).

mod report;
mod turn;

use crate::credentials::{CredentialArgs, CredentialError};
use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use crate::resolve::resolve;
use crate::secret::Secret;
use crate::servers::ServerName;
use crate::wrap;
use clap::Args;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_audit::turn::TurnAuditFailure;
use portolan_audit::{Audit, AuditConfig, AuditError as StartError, AuditEvent, Report};
use portolan_machine::Refusal;
use portolan_nat::profile::Family;
use portolan_tokio::Driver;

/// Upper bound of the name lookup.
const LOOKUP: Duration = Duration::from_secs(5);

/// Arguments of `portolan audit`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct AuditArgs {
    /// The server; the default port is 3478
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT` or a bare IPv6 address. If a name has several addresses, the first is audited.
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) server: ServerName,
    /// Send nothing over TCP
    #[arg(long, conflicts_with = "turn")]
    pub(crate) no_tcp: bool,
    /// Attack the TURN server, over UDP; requires --mine and --user
    #[arg(long)]
    pub(crate) turn: bool,
    /// State that the server is yours: attacks on the servers of others are illegal in many countries
    #[arg(long, requires = "turn")]
    pub(crate) mine: bool,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    /// With --turn: a second user, for attacks of one user on the allocation of another
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = Secret::parse, requires = "turn")]
    pub(crate) other_user: Option<Secret>,
    /// The format of the report
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The audit sends about seventy datagrams in less than three seconds, at most 160, and at most ten
new requests in any second (RFC 5780 §5). Some requests are malformed, or must not be answered.
A control request is repeated all the time: if loss, a filter or a NAT may be the reason for a
missing response, the finding is unknown, not a violation. Audit only your own servers, or
servers whose owners agree.

Each finding names its clause: ✓ honoured, ✗ violated, – not supported, ? unknown.

--turn makes three allocations at a TURN server, and runs attacks that are possible from outside:
denied peers in all forms, requests of others, changed requests, reflection. Then it makes two
allocations over TCP for Connect requests. It sends about 135 messages, to the server only. It names
denied peers in requests: a server that does not deny them may send to them. The verdict is the last
line: ✓ held, ✗ not held, ? not testable.

{}

Examples:
  portolan audit stun.example.org
  portolan audit 203.0.113.7:3478 --format json
  portolan audit 203.0.113.7 --turn --mine --user alice:secret --other-user bob:secret
  portolan serve --listen 127.0.0.1:3478 --alternate 127.0.0.2:3479 & portolan audit 127.0.0.1",
        exit::help("audit")
    )
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("{server} cannot be reached over udp: {why}; check the address, or the network of this host")]
    Refused { server: SocketAddr, why: Refusal },
    #[error("{server} cannot be audited: {why}")]
    Unasked { server: SocketAddr, why: StartError },
    #[error("--turn attacks the server; add --mine to state that the server is yours")]
    NotMine,
    #[error("--user has no effect without --turn")]
    NoTurn,
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("{server} cannot be audited: {why}; {advice}")]
    NoAllocation { server: SocketAddr, why: TurnAuditFailure, advice: &'static str },
    #[error("internal error: the audit ended without a report")]
    Ended,
}

impl CommandError for AuditError {}

/// Audits the server and prints the report.
pub(crate) async fn run(args: &AuditArgs) -> Result<Exit, Failure> {
    match (args.turn, args.mine) {
        (true, false) => return Err(AuditError::NotMine.into()),
        (false, _) if args.credentials.has_user() => return Err(AuditError::NoTurn.into()),
        (true, true) | (false, _) => {}
    }
    let families = [Family::V4, Family::V6];
    let resolved = resolve(&args.server, &families, LOOKUP).await;
    let address = resolved.servers.first().and_then(|server| server.addresses.first());
    let Some(&server) = address else {
        let why = resolved.unresolved.first().map(ToString::to_string).unwrap_or_default();
        return Err(AuditError::Unresolved(why.into()).into());
    };
    if args.turn {
        return turn::run(args, server).await;
    }
    let mut driver = Driver::new(Audit::new(AuditConfig::new(server).tcp(!args.no_tcp)))?;
    driver.with(Audit::start).map_err(|why| AuditError::Unasked { server, why })?;
    let report = match driver.next().await {
        AuditEvent::Report(report) => report,
        AuditEvent::Failed(why) => return Err(AuditError::Refused { server, why }.into()),
        _ => return Err(AuditError::Ended.into()),
    };
    let name = args.server.to_string();
    output::print(&match args.format {
        DocumentFormat::Human => wrap::to_terminal(&report::human(&name, &report)),
        DocumentFormat::Json => report::json(&name, &report),
    })?;
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    if !report.is_answered() {
        Exit::Inconclusive
    } else if report.violations().next().is_some() {
        Exit::Negative
    } else {
        Exit::Success
    }
}
