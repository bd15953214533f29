//! `portolan nat`: the discovery on real sockets.
//!
//! Names are looked up, a discovery runs in a driver, its events are told as they come, and the report at the end.
//! `--timeout` bounds all of it.

mod args;
mod classify;
mod error;
mod lifetime;
mod offline;
mod plan;
mod printer;
mod watch;

use crate::error::Failure;
use crate::exit::Exit;
use crate::outcome;
use crate::resolve::System;
use crate::servers;
use alloc::sync::Arc;
pub(crate) use args::NatArgs;
use classify::classify;
use plan::Plan;
use printer::Printer;
use std::env;

/// Runs once, or for ever with `--watch`.
pub(crate) async fn run(args: &NatArgs) -> Result<Exit, Failure> {
    let plan = Plan::of(args, env::var(servers::VARIABLE).ok().as_deref())?;
    let mut printer = Printer::new(args, &plan);
    match args.watch {
        Some(every) => watch::run(&plan, &mut printer, every).await,
        None => once(&plan, &mut printer).await,
    }
}

/// One classification, told, and what it comes to.
async fn once(plan: &Plan<'_>, printer: &mut Printer) -> Result<Exit, Failure> {
    let found = classify(plan, printer, Arc::new(System)).await;
    printer.quiet();
    let mut telling = found?;
    let error = offline::error_of(&telling.report);
    if plan.args.lifetime && error.is_none() {
        // The classification is told whatever becomes of this.
        if let Err(failure) = lifetime::measure(plan, printer, &mut telling).await {
            printer.complain(failure);
        }
        printer.quiet();
    }
    printer.report(&telling, error.is_some())?;
    if let Some(error) = error {
        return Err(printer.redacted(error));
    }
    let short = plan.requirements.check(&telling.report);
    printer.remarks(&telling.report, &short);
    Ok(outcome::exit(&telling.report, &short))
}
