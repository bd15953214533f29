//! One classification: resolves the names, and runs a [`Discovery`] on real sockets until its report.

use super::error::NatError;
use super::offline;
use super::plan::Plan;
use super::printer::Printer;
use crate::error::Failure;
use crate::report::ReportData;
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

/// The time after the timeout that the command waits for the end of a discovery.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_millis(250);

/// The timeout of a TCP connection, which shows whether the host has a route.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Resolves the names, runs the discovery and prints each event as it occurs.
pub(super) async fn classify(
    plan: &Plan<'_>,
    printer: &mut Printer,
    lookup: Arc<dyn Lookup>,
) -> Result<ReportData, Failure> {
    let deadline = Instant::now() + plan.args.timeout;
    printer.begin(plan);
    let resolved = resolve(lookup, &plan.names, &plan.families, plan.args.timeout).await;
    let servers = usable_servers(plan, printer, resolved)?;
    let names = servers.iter().map(|server| Box::from(&*server.name)).collect();
    let left = deadline.saturating_duration_since(Instant::now());
    let discovery =
        Discovery::new(plan.config(servers, left)).map_err(|error| printer.redacted(NatError::from(error)))?;

    let recorder = Recorder::default();
    let mut driver = Driver::with_config(discovery, driver_config(plan, &recorder))?;
    // A new discovery can always be started.
    let _ = driver.command(MeasurementCommand::Start);
    let report = timeout_at(deadline + SHUTDOWN_GRACE, run_until_report(&mut driver, printer)).await;
    let report = report.map_err(|_| NatError::TimedOut)??;
    Ok(ReportData { report, servers: names, simulation: None, lifetime: None, story: recorder.lines() })
}

pub(super) fn driver_config(plan: &Plan<'_>, recorder: &Recorder) -> portolan_tokio::DriverConfig {
    let config = portolan_tokio::DriverConfig::default().with_connect_timeout(CONNECT_TIMEOUT);
    if plan.args.output.explain { config.with_trace(recorder.clone()) } else { config }
}

async fn run_until_report(driver: &mut Driver<Discovery>, printer: &mut Printer) -> Result<Report, Failure> {
    loop {
        let event = driver.next().await;
        printer.event(&event)?;
        if let DiscoveryEvent::Report(report) = event {
            return Ok(*report);
        }
    }
}

/// Returns the servers with an address. Prints the others with the reason.
fn usable_servers(plan: &Plan<'_>, printer: &mut Printer, resolved: Resolved) -> Result<Vec<StunServer>, Failure> {
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
        printer.print_diagnostic(server);
    }
    if servers.is_empty() {
        return Err(NatError::NoneResolved(unresolved.len()).into());
    }
    if plan.origin == Origin::BuiltIn {
        remove_duplicate_addresses(&mut servers);
    }
    Ok(servers)
}

/// Removes addresses that occur twice. The user did not choose these servers, so a duplicate is no error.
fn remove_duplicate_addresses(servers: &mut Vec<StunServer>) {
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

    /// A resolver that never responds.
    struct SilentResolver;

    impl Lookup for SilentResolver {
        fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            loop {
                thread::park();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_resolver_is_given_up_at_the_limit_with_one_line() {
        let args = args("--server stun.example.org --timeout 4");
        let plan = Plan::of(&args, None).unwrap();
        let start = Instant::now();
        let error = classify(&plan, &mut Printer::new(&args, &plan), Arc::new(SilentResolver)).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_secs(4));
        let message = error.to_string();
        // The message depends on whether this host has a network.
        assert!(
            message.contains("the resolver did not respond in time") || message.starts_with("offline: "),
            "{message}"
        );
        assert!(message.contains("stun.example.org:3478"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_redacted_error_contains_no_address() {
        let args = args("--server stun.example.org --redact");
        let plan = Plan::of(&args, None).unwrap();
        let error =
            classify(&plan, &mut Printer::new(&args, &plan), Arc::new(SilentResolver)).await.unwrap_err().to_string();
        assert!(error.contains("server-1.example:3478") && !error.contains("stun.example.org"), "{error}");
    }

    #[test]
    fn each_address_of_the_default_servers_is_used_once() {
        let address = |last: u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 3478));
        let server = |addresses: &[u8]| StunServer {
            name: "stun.example".into(),
            addresses: addresses.iter().map(|last| address(*last)).collect(),
        };
        let mut servers = vec![server(&[1, 2]), server(&[2]), server(&[2, 3])];
        remove_duplicate_addresses(&mut servers);
        let left: Vec<_> = servers.into_iter().map(|server| server.addresses).collect();
        assert_eq!(left, [vec![address(1), address(2)], vec![address(3)]]);
    }
}
