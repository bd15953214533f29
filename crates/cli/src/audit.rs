//! `portolan audit`: which clauses of RFC 8489 and RFC 5780 one server honours.
//!
//! What is asked, and what the answers mean, is decided by the machine that it drives; this file looks the name up, waits
//! and tells ([`tell`]).

mod tell;

use crate::args::{AuditArgs, Whole};
use crate::error::Complaint;
use crate::exit::Exit;
use crate::output;
use crate::resolve::{System, resolve};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_audit::{Audit, AuditConfig, AuditError as Unasked, AuditEvent, Report};
use portolan_machine::Refusal;
use portolan_nat::profile::Family;
use portolan_tokio::Driver;

/// How long the name lookup may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("{server} cannot be asked over udp: {why}; check the address, or this host's network")]
    Refused { server: SocketAddr, why: Refusal },
    #[error("{server} cannot be asked: {why}")]
    Unasked { server: SocketAddr, why: Unasked },
    #[error("the program could not go on by itself: the audit ended without a report")]
    Ended,
}

/// Asks everything, and tells what was found.
pub(crate) async fn run(args: &AuditArgs) -> Result<Exit, Complaint> {
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
        Whole::Human => tell::human(&name, &report),
        Whole::Json => tell::json(&name, &report),
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
