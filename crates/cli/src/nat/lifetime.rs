//! `--lifetime`: how long mappings live, measured after the classification.
//!
//! The first family with UDP responses is measured (IPv4 before IPv6, unless `-4` or `-6` is given). RFC 5780 §5 allows
//! ten new transactions a second, and one run needs all of them. The run uses the servers that responded. Servers with
//! a second address come first, because they are most likely to support RESPONSE-PORT. A run takes about 195 seconds;
//! `--timeout` does not bound it. A signal ends the run, which then reports the results so far.

use super::classify::{SHUTDOWN_GRACE, driver_config};
use super::error::NatError;
use super::plan::Plan;
use super::printer::Printer;
use crate::error::Failure;
use crate::report::ReportData;
use crate::signals::StopSignal;
use crate::story::Recorder;
use core::net::SocketAddr;
use portolan_nat::lifetime::{Lifetime, LifetimeConfig, LifetimeEvent, LifetimeReport, MeasurementCommand};
use portolan_nat::profile::{Family, FamilyReport, Reachability};
use portolan_tokio::Driver;
use tokio::time::{Instant, timeout_at};

/// Measures the lifetimes and adds them to `data`. Prints a line if there is nothing to measure with. Returns whether
/// the run was complete: a signal ends it early.
pub(crate) async fn measure(plan: &Plan<'_>, printer: &mut Printer, data: &mut ReportData) -> Result<bool, Failure> {
    let open = data.report.families.iter().find(|family| family.reach == Reachability::Available);
    let Some((family, servers)) = open.map(|family| (family.family, servers(family))) else {
        printer.print_diagnostic("lifetimes are not measured: no UDP response arrived");
        return Ok(true);
    };
    let mut config = LifetimeConfig::new(servers);
    config.local = plan.args.local.iter().copied().find(|local| Family::of(&SocketAddr::new(*local, 0)) == family);
    let bound = config.bound();
    let lifetime = Lifetime::new(config).map_err(|error| printer.redacted(NatError::from(error)))?;
    let recorder = Recorder::default();
    let mut driver = Driver::with_config(lifetime, driver_config(plan, &recorder))?;
    // A new measurement can always be started.
    let _ = driver.command(MeasurementCommand::Start);
    let mut stop = StopSignal::register()?;
    let end = Instant::now() + bound + SHUTDOWN_GRACE;
    let report = tokio::select! {
        report = timeout_at(end, run_until_report(&mut driver, printer)) => Some(report),
        () = stop.received() => None,
    };
    let is_complete = report.is_some();
    let report = match report {
        Some(report) => report,
        None => {
            printer.print_diagnostic("a signal ended the measurement of lifetimes; the results so far follow");
            // A measurement that has ended already has its report in the queue.
            let _ = driver.command(MeasurementCommand::Stop);
            timeout_at(Instant::now() + SHUTDOWN_GRACE, run_until_report(&mut driver, printer)).await
        }
    };
    data.lifetime = Some(report.map_err(|_| NatError::TimedOut)??);
    data.story.extend(recorder.lines());
    Ok(is_complete)
}

async fn run_until_report(driver: &mut Driver<Lifetime>, printer: &mut Printer) -> Result<LifetimeReport, Failure> {
    loop {
        let event = driver.next().await;
        printer.lifetime(&event)?;
        if let LifetimeEvent::Report(report) = event {
            return Ok(*report);
        }
    }
}

/// Returns the servers that responded, those with a second address first.
fn servers(family: &FamilyReport) -> Vec<SocketAddr> {
    let mut answered: Vec<_> = family.servers.iter().filter(|server| server.rtt.is_some()).collect();
    answered.sort_by_key(|server| server.other_address.is_none());
    answered.into_iter().map(|server| server.address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn capable_servers_come_first_and_silent_servers_are_left_out() {
        let mut family = sample::home().families.remove(0);
        family.servers.reverse();
        let addresses: Vec<String> = servers(&family).iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["198.51.100.10:3478", "198.51.100.20:3478"]);
        family.servers[0].rtt = None;
        assert_eq!(servers(&family).len(), 1);
    }
}
