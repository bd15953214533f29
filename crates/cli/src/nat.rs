//! `portolan nat`: the discovery on real sockets.
//!
//! The command resolves the names, runs a discovery in a driver, prints each event as it occurs, and then the report.
//! `--timeout` bounds the classification with its name lookups.

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
use crate::resolve::{Resolver, System};
use crate::servers::{self, ServerName};
use crate::vantage::Vantage;
use alloc::sync::Arc;
pub(crate) use args::NatArgs;
use classify::classify;
use plan::Plan;
use portolan_punch::card::Card;
use printer::Printer;
use std::env;

/// Runs one classification, or repeats it with `--watch` until a signal arrives.
pub(crate) async fn run(args: &NatArgs) -> Result<Exit, Failure> {
    let plan = Plan::of(args, env::var(servers::VARIABLE).ok().as_deref())?;
    let mut printer = Printer::new(args, &plan);
    let mut resolver = Resolver::new(Arc::new(System), &plan.families);
    match args.watch {
        Some(every) => watch::run(&plan, &mut printer, &mut resolver, every).await,
        None => once(&plan, &mut printer, &mut resolver).await,
    }
}

/// Measures the NAT with these servers, those of PORTOLAN_SERVERS, or the built-in ones, and returns its card. `ports`:
/// measures the port allocation too, with 16 more sockets.
pub(crate) async fn measure_card(servers: &[ServerName], ports: bool) -> Result<Card, Failure> {
    let args = NatArgs::measuring(servers.to_vec(), ports);
    let plan = Plan::of(&args, env::var(servers::VARIABLE).ok().as_deref())?;
    let mut printer = Printer::new(&args, &plan);
    // The progress and the remarks belong to `portolan nat`.
    printer.events = false;
    let mut resolver = Resolver::new(Arc::new(System), &plan.families);
    let data = classify(&plan, &mut printer, &mut resolver).await?;
    match offline::error_of(&data.report) {
        Some(error) => Err(printer.redacted(error)),
        None => Ok(Card::from(&data.report)),
    }
}

/// Runs one classification, prints its report and returns the exit code.
async fn once(plan: &Plan<'_>, printer: &mut Printer, resolver: &mut Resolver) -> Result<Exit, Failure> {
    let found = classify(plan, printer, resolver).await;
    printer.clear_progress();
    let mut data = found?;
    let error = offline::error_of(&data.report);
    let mut is_complete = true;
    if plan.args.lifetime && error.is_none() {
        // If the measurement of lifetimes fails or a signal ends it, the classification is still printed.
        match lifetime::measure(plan, printer, &mut data).await {
            Ok(complete) => is_complete = complete,
            Err(failure) => printer.print_diagnostic(failure),
        }
        printer.clear_progress();
    }
    printer.report(&data, error.is_some())?;
    if let Some(error) = error {
        return Err(printer.redacted(error));
    }
    let short = plan.requirements.check(&data.report);
    printer.remarks(&data.report, &short);
    let exit = outcome::exit(&data.report, &short);
    let is_local = plan.args.card && data.report.families.iter().filter_map(Vantage::of).max() != Some(Vantage::Public);
    if is_local {
        printer.print_diagnostic("no server was on the Internet, so the card shows nothing about the Internet");
    }
    Ok(if exit == Exit::Success && (!is_complete || is_local) { Exit::Inconclusive } else { exit })
}
