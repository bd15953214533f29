//! `--lifetime`: how long mappings live, measured after the classification.
//!
//! One family is measured, the first that UDP answers came over (IPv4 before IPv6; `-4` and `-6` choose): RFC 5780 §5
//! allows ten new transactions a second, and a run needs them. It asks the servers that answered, those with a second
//! address first, because they are the likeliest to know RESPONSE-PORT. It takes about 195 seconds, whatever `--timeout`
//! says, and has its own end.

use super::classify::{LENIENCE, config_of_driver};
use super::error::NatError;
use super::plan::Plan;
use super::printer::Printer;
use crate::error::Failure;
use crate::report::Telling;
use crate::story::Recorder;
use core::net::SocketAddr;
use portolan_nat::lifetime::{Lifetime, LifetimeConfig, LifetimeEvent, LifetimeReport, MeasurementCommand};
use portolan_nat::profile::{Family, FamilyReport, Reachability};
use portolan_tokio::Driver;
use tokio::time::{Instant, timeout_at};

/// Measures, and adds what was found to what is told; says on standard error where nothing can be measured.
pub(crate) async fn measure(plan: &Plan<'_>, printer: &mut Printer, telling: &mut Telling) -> Result<(), Failure> {
    let open = telling.report.families.iter().find(|family| family.reach == Reachability::Available);
    let Some((family, servers)) = open.map(|family| (family.family, servers(family))) else {
        printer.complain("lifetimes are not measured: no UDP answer came");
        return Ok(());
    };
    let mut config = LifetimeConfig::new(servers);
    config.local = plan.args.local.iter().copied().find(|local| Family::of(&SocketAddr::new(*local, 0)) == family);
    let bound = config.bound();
    let lifetime = Lifetime::new(config).map_err(|error| printer.redacted(NatError::from(error)))?;
    let recorder = Recorder::default();
    let mut driver = Driver::with_config(lifetime, config_of_driver(plan, &recorder))?;
    // A measurement that has just been made can be started.
    let _ = driver.command(MeasurementCommand::Start);
    let report = timeout_at(Instant::now() + bound + LENIENCE, to_the_report(&mut driver, printer)).await;
    telling.lifetime = Some(report.map_err(|_| NatError::TimedOut)??);
    telling.story.extend(recorder.lines());
    Ok(())
}

async fn to_the_report(driver: &mut Driver<Lifetime>, printer: &mut Printer) -> Result<LifetimeReport, Failure> {
    loop {
        let event = driver.next().await;
        printer.lifetime(&event)?;
        if let LifetimeEvent::Report(report) = event {
            return Ok(*report);
        }
    }
}

/// Those that answered, the likeliest first.
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
    fn capable_servers_are_asked_first_and_silent_ones_never() {
        let mut family = sample::home().families.remove(0);
        family.servers.reverse();
        let told: Vec<String> = servers(&family).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["198.51.100.10:3478", "198.51.100.20:3478"]);
        family.servers[0].rtt = None;
        assert_eq!(servers(&family).len(), 1);
    }
}
