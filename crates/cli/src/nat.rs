//! `portolan nat`: the discovery on real sockets.
//!
//! Names are looked up, a [`Discovery`] runs in a driver, its events are told as they come, and the report at the end.
//! `--timeout` bounds all of it.

mod lifetime;
mod offline;
mod teller;
mod watch;

use crate::args::NatArgs;
use crate::error::Complaint;
use crate::exit::Exit;
use crate::report::Telling;
use crate::require::Requirements;
use crate::resolve::{Lookup, Resolved, System, resolve};
use crate::servers::{self, Origin, ServerName};
use crate::story::Recorder;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{Family, Report};
use portolan_tokio::Driver;
use std::env;
use teller::Teller;
use tokio::time::{Instant, timeout_at};

/// How long after the time allowed the driver is given up, should it not have ended by itself.
const LENIENCE: Duration = Duration::from_millis(250);

/// How long a TCP connection may take that is to show a way out.
const CONNECT: Duration = Duration::from_secs(2);

/// Runs once, or for ever with `--watch`.
pub(crate) async fn run(args: &NatArgs) -> Result<Exit, Complaint> {
    let plan = Plan::of(args, env::var(servers::VARIABLE).ok().as_deref())?;
    let mut teller = Teller::new(args, &plan);
    match args.watch {
        Some(every) => watch::run(&plan, &mut teller, every).await,
        None => once(&plan, &mut teller).await,
    }
}

/// What to find out, of whom and how long, as the command line says it.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    args: &'a NatArgs,
    /// Whom to ask.
    pub(crate) names: Vec<ServerName>,
    /// Whose choice that is.
    pub(crate) origin: Origin,
    families: Vec<Family>,
    /// What must be the case.
    pub(crate) requirements: Requirements,
}

impl<'a> Plan<'a> {
    fn of(args: &'a NatArgs, variable: Option<&str>) -> Result<Self, Complaint> {
        if args.watch.is_some() && args.output.format == crate::args::Format::Json {
            return Err(Complaint::WatchJson);
        }
        let (names, origin) = servers::choose(&args.server, variable)?;
        if names.is_empty() {
            return Err(if offline::has_route() { Complaint::NoServers } else { Complaint::Nothing });
        }
        Ok(Self { args, names, origin, families: families(args)?, requirements: Requirements::together(&args.require) })
    }

    fn config(&self, servers: Vec<StunServer>, timeout: Duration) -> DiscoveryConfig {
        let mut config = DiscoveryConfig::new(servers);
        config.families.clone_from(&self.families);
        config.local.clone_from(&self.args.local);
        config.timeout = timeout;
        config.hairpin = self.args.hairpin;
        config.ports = self.args.ports;
        config
    }
}

/// The families that the flags and local addresses leave.
fn families(args: &NatArgs) -> Result<Vec<Family>, Complaint> {
    let flag = match (args.ipv4, args.ipv6) {
        (true, _) => Some((Family::V4, "-4")),
        (false, true) => Some((Family::V6, "-6")),
        (false, false) => None,
    };
    let mut bound = Vec::new();
    for local in &args.local {
        let family = Family::of(&SocketAddr::new(*local, 0));
        if local.is_unspecified() || local.is_multicast() {
            return Err(Complaint::LocalUnspecified(*local));
        }
        if let Some((_, flag)) = flag.filter(|(asked, _)| *asked != family) {
            return Err(Complaint::LocalFamily { local: *local, flag });
        }
        if bound.contains(&family) {
            return Err(Complaint::LocalTwice(*local));
        }
        bound.push(family);
    }
    bound.sort();
    Ok(match flag {
        Some((family, _)) => vec![family],
        None if bound.is_empty() => vec![Family::V4, Family::V6],
        None => bound,
    })
}

/// One classification, told, and what it comes to.
async fn once(plan: &Plan<'_>, teller: &mut Teller) -> Result<Exit, Complaint> {
    let found = classify(plan, teller, Arc::new(System)).await;
    teller.quiet();
    let mut telling = found?;
    let complaint = offline::complaint(&telling.report);
    if plan.args.lifetime && complaint.is_none() {
        // The classification is told whatever becomes of this.
        if let Err(complaint) = lifetime::measure(plan, teller, &mut telling).await {
            teller.complain(complaint);
        }
        teller.quiet();
    }
    teller.report(&telling, complaint.is_some())?;
    if let Some(complaint) = complaint {
        return Err(teller.redacted(complaint));
    }
    let short = plan.requirements.check(&telling.report);
    teller.remarks(&telling.report, &short);
    Ok(Exit::of(&telling.report, &short))
}

/// Looks up the names and runs the discovery, telling each event as it comes.
async fn classify(plan: &Plan<'_>, teller: &mut Teller, lookup: Arc<dyn Lookup>) -> Result<Telling, Complaint> {
    let deadline = Instant::now() + plan.args.timeout;
    teller.begin(plan);
    let resolved = resolve(lookup, &plan.names, &plan.families, plan.args.timeout).await;
    let servers = usable(plan, teller, resolved)?;
    let names = servers.iter().map(|server| Box::from(&*server.name)).collect();
    let left = deadline.saturating_duration_since(Instant::now());
    let discovery = Discovery::new(plan.config(servers, left)).map_err(|error| teller.redacted(error.into()))?;

    let recorder = Recorder::default();
    let mut driver = Driver::with_config(discovery, config_of_driver(plan, &recorder))?;
    // A discovery that has just been made can be started.
    let _ = driver.command(MeasurementCommand::Start);
    let report = timeout_at(deadline + LENIENCE, to_the_report(&mut driver, teller)).await;
    let report = report.map_err(|_| Complaint::TimedOut)??;
    Ok(Telling { report, servers: names, simulation: None, lifetime: None, story: recorder.lines() })
}

fn config_of_driver(plan: &Plan<'_>, recorder: &Recorder) -> portolan_tokio::DriverConfig {
    let config = portolan_tokio::DriverConfig::default().with_connect_timeout(CONNECT);
    if plan.args.output.explain { config.with_trace(recorder.clone()) } else { config }
}

async fn to_the_report(driver: &mut Driver<Discovery>, teller: &mut Teller) -> Result<Report, Complaint> {
    loop {
        let event = driver.next().await;
        teller.event(&event)?;
        if let DiscoveryEvent::Report(report) = event {
            return Ok(*report);
        }
    }
}

/// The servers that can be asked; says which cannot, and why.
fn usable(plan: &Plan<'_>, teller: &mut Teller, resolved: Resolved) -> Result<Vec<StunServer>, Complaint> {
    let Resolved { mut servers, unresolved } = resolved;
    if servers.is_empty() {
        if !offline::has_route() {
            let tried = plan.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(teller.redacted(Complaint::NoNetwork { tried: tried.into() }));
        }
        if let [only] = unresolved.as_slice() {
            return Err(teller.redacted(Complaint::Unresolved(only.to_string().into())));
        }
    }
    for server in &unresolved {
        teller.complain(server);
    }
    if servers.is_empty() {
        return Err(Complaint::NoneResolved(unresolved.len()));
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
mod tests;
