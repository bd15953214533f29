//! One classification: names are looked up, and a [`Discovery`] runs on real sockets until its report.

use super::error::NatError;
use super::offline;
use super::plan::Plan;
use super::printer::Printer;
use crate::error::Failure;
use crate::report::Telling;
use crate::resolve::{Lookup, Resolved, resolve};
use crate::servers::Origin;
use crate::story::Recorder;
use alloc::sync::Arc;
use core::time::Duration;
use portolan_nat::discovery::{Discovery, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::Report;
use portolan_tokio::Driver;
use tokio::time::{Instant, timeout_at};

/// How long after the time allowed the driver is given up, should it not have ended by itself.
pub(super) const LENIENCE: Duration = Duration::from_millis(250);

/// How long a TCP connection may take that is to show a way out.
const CONNECT: Duration = Duration::from_secs(2);

/// Looks up the names and runs the discovery, prints each event as it comes.
pub(super) async fn classify(
    plan: &Plan<'_>,
    printer: &mut Printer,
    lookup: Arc<dyn Lookup>,
) -> Result<Telling, Failure> {
    let deadline = Instant::now() + plan.args.timeout;
    printer.begin(plan);
    let resolved = resolve(lookup, &plan.names, &plan.families, plan.args.timeout).await;
    let servers = usable(plan, printer, resolved)?;
    let names = servers.iter().map(|server| Box::from(&*server.name)).collect();
    let left = deadline.saturating_duration_since(Instant::now());
    let discovery =
        Discovery::new(plan.config(servers, left)).map_err(|error| printer.redacted(NatError::from(error)))?;

    let recorder = Recorder::default();
    let mut driver = Driver::with_config(discovery, config_of_driver(plan, &recorder))?;
    // A discovery that has just been made can be started.
    let _ = driver.command(MeasurementCommand::Start);
    let report = timeout_at(deadline + LENIENCE, to_the_report(&mut driver, printer)).await;
    let report = report.map_err(|_| NatError::TimedOut)??;
    Ok(Telling { report, servers: names, simulation: None, lifetime: None, story: recorder.lines() })
}

pub(super) fn config_of_driver(plan: &Plan<'_>, recorder: &Recorder) -> portolan_tokio::DriverConfig {
    let config = portolan_tokio::DriverConfig::default().with_connect_timeout(CONNECT);
    if plan.args.output.explain { config.with_trace(recorder.clone()) } else { config }
}

async fn to_the_report(driver: &mut Driver<Discovery>, printer: &mut Printer) -> Result<Report, Failure> {
    loop {
        let event = driver.next().await;
        printer.event(&event)?;
        if let DiscoveryEvent::Report(report) = event {
            return Ok(*report);
        }
    }
}

/// The servers that can be asked; says which cannot, and why.
fn usable(plan: &Plan<'_>, printer: &mut Printer, resolved: Resolved) -> Result<Vec<StunServer>, Failure> {
    let Resolved { mut servers, unresolved } = resolved;
    if servers.is_empty() {
        if !offline::has_route() {
            let tried = plan.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(printer.redacted(NatError::NoNetwork { tried: tried.into() }));
        }
        if let [only] = unresolved.as_slice() {
            return Err(printer.redacted(NatError::Unresolved(only.to_string().into())));
        }
    }
    for server in &unresolved {
        printer.complain(server);
    }
    if servers.is_empty() {
        return Err(NatError::NoneResolved(unresolved.len()).into());
    }
    if plan.origin == Origin::BuiltIn {
        each_address_once(&mut servers);
    }
    Ok(servers)
}

/// Nobody named these servers, so nobody is to be blamed if two of them are one by now.
fn each_address_once(servers: &mut Vec<StunServer>) {
    let mut seen = Vec::new();
    for server in servers.iter_mut() {
        server.addresses.retain(|address| !seen.contains(address));
        seen.extend(server.addresses.iter().copied());
    }
    servers.retain(|server| !server.addresses.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::args::tests::args;
    use core::net::{Ipv4Addr, SocketAddr};
    use std::io;
    use std::thread;

    /// A resolver that never answers.
    struct Mute;

    impl Lookup for Mute {
        fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            loop {
                thread::park();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_mute_resolver_gets_its_time_and_one_line() {
        let args = args("--server stun.example.org --timeout 4");
        let plan = Plan::of(&args, None).unwrap();
        let start = Instant::now();
        let error = classify(&plan, &mut Printer::new(&args, &plan), Arc::new(Mute)).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_secs(4));
        let told = error.to_string();
        // Which of the two depends on whether this host has a network at all.
        assert!(told.contains("the resolver did not answer in time") || told.starts_with("offline: "), "{told}");
        assert!(told.contains("stun.example.org:3478"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_redacted_complaint_names_nobody() {
        let args = args("--server stun.example.org --redact");
        let plan = Plan::of(&args, None).unwrap();
        let error = classify(&plan, &mut Printer::new(&args, &plan), Arc::new(Mute)).await.unwrap_err().to_string();
        assert!(error.contains("server-1.example:3478") && !error.contains("stun.example.org"), "{error}");
    }

    #[test]
    fn of_servers_that_nobody_named_each_address_is_asked_once() {
        let address = |last: u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 3478));
        let server = |addresses: &[u8]| StunServer {
            name: "stun.example".into(),
            addresses: addresses.iter().map(|last| address(*last)).collect(),
        };
        let mut servers = vec![server(&[1, 2]), server(&[2]), server(&[2, 3])];
        each_address_once(&mut servers);
        let left: Vec<_> = servers.into_iter().map(|server| server.addresses).collect();
        assert_eq!(left, [vec![address(1), address(2)], vec![address(3)]]);
    }
}
