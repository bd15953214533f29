//! `portolan lab nat`: the same discovery in a simulated network, in virtual time; nothing is sent anywhere.
//!
//! A client asks two servers through whatever the arguments put in between. Since the simulation knows what was built,
//! the report says whether the finding is right.

use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use crate::options::{Format, ReportOptions};
use crate::outcome;
use crate::output;
use crate::report::{Simulation, Telling, human, json};
use clap::{Args, Subcommand};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping, NatKind};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::error::DiscoveryConfigError;
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{Family, FamilyReport, Reachability, Report};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::Barrier;
use portolan_sim::topology::{Lab, Preset, Topology, Truth};

/// What to try out.
#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Find out what a simulated NAT does, exactly as `portolan nat` would
    Nat(LabNatArgs),
}

/// Arguments of `portolan lab nat`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct LabNatArgs {
    /// The network to simulate: home, cgnat, symmetric, full-cone, restricted, firewall, open, blocked or offline
    ///
    /// home: a router that keeps one public port per socket and lets only the contacted address and port answer, with a
    /// firewall for IPv6. cgnat: the same behind a carrier's NAT. symmetric: another public port for each destination.
    /// full-cone: one public port, and anybody may answer. restricted: one public port, and any port of a contacted
    /// address may answer. firewall: no translation. open: nothing in the way. blocked: no UDP gets through. offline: no
    /// network.
    #[arg(long, value_name = "NAME", default_value = "home")]
    pub(crate) preset: Preset,
    /// What the NAT's mappings depend on, instead of a preset: eim, adm, apdm or the long words of RFC 4787
    #[arg(long, value_name = "WORD", conflicts_with = "preset")]
    pub(crate) mapping: Option<Mapping>,
    /// Whom the NAT lets in, instead of a preset: eif, adf, apdf or the long words
    #[arg(long, value_name = "WORD", conflicts_with = "preset")]
    pub(crate) filtering: Option<Filtering>,
    /// Packets lost in each direction, in percent, at most 50
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    pub(crate) loss: f64,
    /// Round-trip time to the servers, in milliseconds
    #[arg(long, value_name = "MS", default_value = "50", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) rtt: u32,
    /// The dice: the same seed gives the same run, byte for byte
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) output: ReportOptions,
}

const HELP: &str = "\
Examples:
  portolan lab nat --preset home --explain
  portolan lab nat --mapping apdm --filtering apdf --loss 10 --seed 7
Exit codes are those of `portolan nat`.";

fn percent(text: &str) -> Result<f64, &'static str> {
    let share: f64 = text.parse().map_err(|_| "a share in percent, such as 5")?;
    if (0.0..=50.0).contains(&share) {
        Ok(share)
    } else {
        Err("between 0 and 50 percent: beyond that nothing can be told")
    }
}

/// Why the simulation has no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    #[error("{0}")]
    Discovery(#[from] DiscoveryConfigError),
    #[error("the time allowed ran out before anything was known; allow more with --timeout")]
    TimedOut,
}

impl CommandError for LabError {}

/// What the client calls the two servers.
const SERVERS: [&str; 2] = ["stun-one", "stun-two"];

/// Longer than any classification; virtual seconds cost nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs one of the subcommands.
pub(crate) fn run(command: &LabCommand) -> Result<Exit, Failure> {
    match command {
        LabCommand::Nat(args) => nat(args),
    }
}

/// Builds the network, runs the discovery in it and prints the report.
fn nat(args: &LabNatArgs) -> Result<Exit, Failure> {
    let (telling, events) = simulate(args)?;
    let mut out = String::new();
    match args.output.format {
        Format::Human => out = human::report(&telling, args.output.explain),
        Format::Json => out = json::report(&telling) + "\n",
        Format::Jsonl => {
            for line in events.iter().filter_map(json::event).chain([json::last(&telling)]) {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
    output::print(&out)?;
    Ok(outcome::exit(&telling.report, &[]))
}

/// The finding and the events before it.
fn simulate(args: &LabNatArgs) -> Result<(Telling, Vec<DiscoveryEvent>), LabError> {
    let topology = topology(args);
    // Where the servers are is known once the network stands; nobody starts the first discovery.
    let nowhere = StunServer { name: "".into(), addresses: vec![SocketAddr::from(([192, 0, 2, 1], 3478))] };
    let mut lab = topology.build(args.seed, Discovery::new(DiscoveryConfig::new(vec![nowhere]))?);
    let _ = lab.net.replace(lab.client, Discovery::new(config(&topology, &lab))?);
    if args.output.explain {
        lab.net.record_story_with(ToString::to_string);
    }
    // A discovery that has just been made can be started.
    let _ = lab.net.command(lab.client, MeasurementCommand::Start);
    let _ = lab.net.run_until_event(Instant::ORIGIN + PATIENCE, |_, event| matches!(event, DiscoveryEvent::Report(_)));
    let mut events: Vec<DiscoveryEvent> = lab.net.take_events().into_iter().map(|happening| happening.event).collect();
    let Some(DiscoveryEvent::Report(report)) = events.pop_if(|last| matches!(last, DiscoveryEvent::Report(_))) else {
        return Err(LabError::TimedOut);
    };
    let is_right = agrees(&topology, &report);
    let telling = Telling {
        report: *report,
        servers: SERVERS.map(Box::from).into(),
        simulation: Some(Simulation { scene: scene(&topology, args), is_right }),
        lifetime: None,
        story: lab.net.story().lines().map(str::to_owned).collect(),
    };
    Ok((telling, events))
}

/// The network that the arguments ask for.
fn topology(args: &LabNatArgs) -> Topology {
    let topology = if args.mapping.is_some() || args.filtering.is_some() {
        let mapping = args.mapping.unwrap_or(Mapping::EndpointIndependent);
        let filtering = args.filtering.unwrap_or(Filtering::AddressAndPortDependent);
        Topology::behind(TranslatorConfig::new(mapping, filtering))
    } else {
        Topology::preset(args.preset)
    };
    topology.loss(args.loss / 100.0).rtt(Duration::from_millis(u64::from(args.rtt)))
}

/// What the client is told: two servers, with an address of each family that it has.
fn config(topology: &Topology, lab: &Lab<Discovery>) -> DiscoveryConfig {
    let families: &[bool] = if topology.ipv6.is_some() { &[true, false] } else { &[true] };
    let addresses = |place: usize| {
        families.iter().filter_map(move |ipv4| lab.servers(*ipv4).get(place).map(|(_, address)| *address)).collect()
    };
    let named =
        SERVERS.iter().zip(0..).map(|(name, place)| StunServer { name: (*name).into(), addresses: addresses(place) });
    let mut config = DiscoveryConfig::new(named.collect());
    config.families = families.iter().map(|ipv4| if *ipv4 { Family::V4 } else { Family::V6 }).collect();
    config
}

/// The network in a few sentences.
fn scene(topology: &Topology, args: &LabNatArgs) -> String {
    let four = between(&topology.ipv4);
    let six = topology.ipv6.as_ref().map(|barriers| between(barriers));
    let place = match six {
        _ if !topology.online => "with its cable out".to_owned(),
        None => format!("with IPv4 {four}"),
        Some(six) if six == four => format!("with IPv4 and IPv6 {four}"),
        Some(six) => format!("with IPv4 {four} and IPv6 {six}"),
    };
    format!(
        "A simulated network, in which nothing is sent: a client {place}, and two STUN servers on the Internet. Round \
         trip {} ms, loss {} % each way, seed {}.",
        args.rtt, args.loss, args.seed
    )
}

/// What stands in the way of one family, the nearest first.
fn between(barriers: &[Barrier]) -> String {
    let each = barriers.iter().map(|barrier| match barrier {
        Barrier::Open => "a router".to_owned(),
        Barrier::Blocked { .. } => "a firewall that lets no UDP through".to_owned(),
        Barrier::Translator(nat) if nat.translate => {
            format!("a NAT (mapping: {}, filtering: {})", nat.mapping, nat.filtering)
        }
        Barrier::Translator(wall) => format!("a firewall (filtering: {})", wall.filtering),
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { "open to all".to_owned() } else { format!("behind {}", each.join(" behind ")) }
}

/// Whether what was found is what was built; `None` where something remained unknown.
fn agrees(topology: &Topology, report: &Report) -> Option<bool> {
    let each: Vec<Option<bool>> = report
        .families
        .iter()
        .map(|family| match topology.truth(family.family == Family::V4) {
            Some(truth) => agrees_with(truth, family),
            None => Some(matches!(family.reach, Reachability::Unavailable(_))),
        })
        .collect();
    all_of(&each)
}

fn agrees_with(truth: Truth, found: &FamilyReport) -> Option<bool> {
    if truth.blocked || found.reach == Reachability::Blocked {
        return Some(truth.blocked && found.reach == Reachability::Blocked);
    }
    let kind = |nat: NatKind| nat == truth.kind;
    all_of(&[
        found.nat.map(kind),
        found.mapping.value().map(|value| *value == truth.mapping),
        found.filtering.value().map(|value| *value == truth.filtering),
    ])
}

/// A single no is a no; a single doubt beside it is not.
fn all_of(answers: &[Option<bool>]) -> Option<bool> {
    if answers.contains(&Some(false)) { Some(false) } else { answers.iter().all(Option::is_some).then_some(true) }
}

#[cfg(test)]
mod tests;
