//! One classification: resolves the names, and runs a [`Discovery`] on real sockets until its report.

use super::error::NatError;
use super::offline;
use super::plan::Plan;
use super::printer::Printer;
use crate::error::Failure;
use crate::report::ReportData;
use crate::resolve::{LateFamily, Resolved, Resolver};
use crate::servers::Origin;
use crate::story::Recorder;
use crate::vantage::keep_most_public;
use core::net::SocketAddr;
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
    resolver: &mut Resolver,
) -> Result<ReportData, Failure> {
    let deadline = Instant::now() + plan.args.timeout;
    printer.begin(plan);
    let resolved = resolver.resolve(&plan.names, plan.args.timeout).await;
    let (servers, late) = usable_servers(plan, printer, resolved)?;
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
    // Not earlier: a command that could not run prints one line.
    late.iter().for_each(|family| printer.print_diagnostic(family));
    Ok(ReportData { report, servers: names, simulation: None, lifetime: None, story: recorder.lines() })
}

pub(super) fn driver_config(plan: &Plan<'_>, recorder: &Recorder) -> portolan_tokio::DriverConfig {
    let config = portolan_tokio::DriverConfig::default().with_connect_timeout(CONNECT_TIMEOUT);
    if plan.args.output.explain.is_some() { config.with_trace(recorder.clone()) } else { config }
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

/// Returns the servers with an address, and the families without their late addresses. Prints the other servers with the
/// reason.
fn usable_servers(
    plan: &Plan<'_>,
    printer: &mut Printer,
    resolved: Resolved,
) -> Result<(Vec<StunServer>, Vec<LateFamily>), Failure> {
    let Resolved { mut servers, unresolved, late } = resolved;
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
    let mut lines = keep_most_public(&mut servers);
    let merged = merge_shared_addresses(&mut servers);
    // The user did not choose the built-in servers.
    if plan.origin == Origin::User {
        lines.extend(merged);
    }
    // Later runs of `--watch` print only changes.
    if printer.events {
        lines.iter().for_each(|line| printer.print_diagnostic(line));
    }
    Ok((servers, late))
}

/// Merges each server that shares an address with an earlier one, because both names belong to one server. Returns a
/// line for each.
fn merge_shared_addresses(servers: &mut Vec<StunServer>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut kept: Vec<StunServer> = Vec::with_capacity(servers.len());
    for server in servers.drain(..) {
        let shared = server.addresses.iter().find(|address| kept.iter().any(|one| one.addresses.contains(address)));
        let Some(shared) = shared.copied() else {
            kept.push(server);
            continue;
        };
        let known = |address: &SocketAddr| kept.iter().any(|one| one.addresses.contains(address));
        let more: Vec<SocketAddr> = server.addresses.into_iter().filter(|address| !known(address)).collect();
        if let Some(first) = kept.iter_mut().find(|one| one.addresses.contains(&shared)) {
            first.addresses.extend(more);
            lines.push(if first.name == server.name {
                format!("server {} is given more than once and counts once", server.name)
            } else {
                format!("servers {} and {} share the address {shared} and count as one", first.name, server.name)
            });
        }
    }
    *servers = kept;
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::args::NatArgs;
    use crate::nat::args::tests::args;
    use crate::resolve::Lookup;
    use alloc::sync::Arc;
    use core::net::Ipv4Addr;
    use portolan_nat::profile::Family;
    use std::io;
    use std::thread;

    /// A resolver that never responds.
    struct SilentResolver;

    impl Lookup for SilentResolver {
        fn lookup(&self, _: &str, _: Option<Family>) -> io::Result<Vec<SocketAddr>> {
            loop {
                thread::park();
            }
        }
    }

    async fn failure(args: &NatArgs, plan: &Plan<'_>) -> Failure {
        let mut resolver = Resolver::new(Arc::new(SilentResolver), &plan.families);
        classify(plan, &mut Printer::new(args, plan), &mut resolver).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_resolver_is_given_up_at_the_limit_with_one_line() {
        let args = args("--server stun.example.org --timeout 4");
        let plan = Plan::of(&args, None).unwrap();
        let start = Instant::now();
        let error = failure(&args, &plan).await;
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
        let error = failure(&args, &plan).await.to_string();
        assert!(error.contains("server-1.example:3478") && !error.contains("stun.example.org"), "{error}");
    }

    #[test]
    fn servers_that_share_an_address_are_merged_with_a_line_and_no_address_occurs_twice() {
        let address = |last: u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 3478));
        let merge = |given: &[(&str, &[u8])]| {
            let mut servers: Vec<StunServer> = given
                .iter()
                .map(|(name, addresses)| StunServer {
                    name: (*name).into(),
                    addresses: addresses.iter().map(|last| address(*last)).collect(),
                })
                .collect();
            let lines = merge_shared_addresses(&mut servers);
            let left: Vec<Vec<u8>> = servers
                .iter()
                .map(|server| {
                    server
                        .addresses
                        .iter()
                        .map(|a| if let SocketAddr::V4(v4) = a { v4.ip().octets()[3] } else { 0 })
                        .collect()
                })
                .collect();
            (left, lines)
        };
        assert_eq!(merge(&[("a", &[1]), ("b", &[2])]), (vec![vec![1], vec![2]], vec![]));
        assert_eq!(
            merge(&[("a", &[1, 2]), ("b", &[2]), ("c", &[2, 3])]),
            (
                vec![vec![1, 2, 3]],
                vec![
                    "servers a and b share the address 192.0.2.2:3478 and count as one".to_owned(),
                    "servers a and c share the address 192.0.2.2:3478 and count as one".to_owned(),
                ]
            )
        );
        assert_eq!(
            merge(&[("a", &[1]), ("b", &[2]), ("c", &[2, 1, 3])]).0,
            [vec![1], vec![2, 3]],
            "a bridge joins the server of its first shared address"
        );
        assert_eq!(merge(&[("a", &[1]), ("a", &[1])]).1, ["server a is given more than once and counts once"]);
    }
}
