//! `portolan lab nat`: the discovery in a simulated network, in virtual time. No packet is sent.
//!
//! A client measures with two servers through the NATs that the arguments describe. The arguments give the real
//! behaviour, so the report states whether the result is correct. The first screen ([`screen`]) is a short lesson.

mod screen;

use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::{ExplainLevel, Format, ReportOptions, percent};
use crate::outcome;
use crate::output;
use crate::report::steps::StepDetail;
use crate::report::{Comparison, ReportData, Simulation, human, json};
use crate::wrap;
use clap::{Args, Subcommand};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::error::DiscoveryConfigError;
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{Family, FamilyReport, Reachability, Report};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::Barrier;
use portolan_sim::topology::{Lab, Preset, Topology};

/// The measurements in a simulated network.
#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Measure a simulated NAT, with the same code as `portolan nat`
    Nat(LabNatArgs),
}

/// Arguments of `portolan lab nat`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct LabNatArgs {
    /// The network to simulate: home, cgnat, symmetric, full-cone, restricted, firewall, open, blocked or offline
    ///
    /// home: a router that keeps one public port per socket and accepts responses only from the contacted address and
    /// port, with a firewall for IPv6. cgnat: the same behind the NAT of a carrier. symmetric: another public port for
    /// each destination. full-cone: one public port, and any host may send. restricted: one public port, and any port
    /// of a contacted address may send. firewall: no translation. open: no NAT and no firewall. blocked: no UDP.
    /// offline: no network.
    #[arg(long, value_name = "NAME", default_value = "home")]
    pub(crate) preset: Preset,
    /// The mapping behaviour, instead of a preset: eim, adm, apdm or the long words of RFC 4787
    #[arg(long, value_name = "WORD", conflicts_with = "preset")]
    pub(crate) mapping: Option<Mapping>,
    /// The filtering behaviour, instead of a preset: eif, adf, apdf or the long words of RFC 4787
    #[arg(long, value_name = "WORD", conflicts_with = "preset")]
    pub(crate) filtering: Option<Filtering>,
    /// Packets lost in each direction, in percent, at most 50
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent, allow_negative_numbers = true)]
    pub(crate) loss: f64,
    /// Round-trip time to the servers, in milliseconds
    #[arg(long, value_name = "MS", default_value = "50", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) rtt: u32,
    /// The seed of the RNG: the same seed gives the same run, byte for byte
    #[arg(long, value_name = "N", default_value = "0", allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Measure IPv4 (the default); with -6 both families
    #[arg(short = '4', long)]
    pub(crate) ipv4: bool,
    /// Measure IPv6
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    #[command(flatten)]
    pub(crate) output: ReportOptions,
}

impl LabNatArgs {
    /// Returns the families to measure: one, unless the user asks for both.
    fn families(&self) -> &'static [Family] {
        match (self.ipv4, self.ipv6) {
            (true, true) => &[Family::V4, Family::V6],
            (false, true) => &[Family::V6],
            (_, false) => &[Family::V4],
        }
    }
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
{}

Examples:
  portolan lab nat --preset home --explain
  portolan lab nat --preset symmetric --explain=packets
  portolan lab nat --mapping apdm --filtering apdf --loss 10 --seed 7",
        exit::help("lab nat")
    )
}

/// Why the simulation has no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    #[error("{0}")]
    Discovery(#[from] DiscoveryConfigError),
    #[error("the network has no IPv6; leave out -6, or choose a preset with IPv6: home, firewall or open")]
    NoIpv6,
    #[error("the time limit of the simulation ended without a report")]
    TimedOut,
}

impl CommandError for LabError {}

/// The names of the two servers in the report.
const SERVERS: [&str; 2] = ["stun-one", "stun-two"];

/// Upper bound of a run in virtual time. It is longer than any classification.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs one of the subcommands.
pub(crate) fn run(command: &LabCommand) -> Result<Exit, Failure> {
    match command {
        LabCommand::Nat(args) => nat(args),
    }
}

/// Builds the network, runs the discovery in it and prints the report.
fn nat(args: &LabNatArgs) -> Result<Exit, Failure> {
    let (data, events) = simulate(args)?;
    let mut out = String::new();
    match args.output.format {
        Format::Human => {
            let width = wrap::width();
            let text = match args.output.explain {
                None => screen::page(&data, args, StepDetail::Main, width),
                Some(ExplainLevel::Steps) => screen::page(&data, args, StepDetail::All, width),
                Some(ExplainLevel::Packets) => human::report(&data, args.output.explain),
            };
            out = wrap::to_width(&text, width);
        }
        Format::Json => out = json::report(&data) + "\n",
        Format::Jsonl => {
            for line in events.iter().filter_map(json::event).chain([json::last(&data)]) {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
    output::print(&out)?;
    Ok(outcome::exit(&data.report, &[]))
}

/// Runs the discovery. Returns the report, and the events before it.
fn simulate(args: &LabNatArgs) -> Result<(ReportData, Vec<DiscoveryEvent>), LabError> {
    let topology = topology(args);
    if args.ipv6 && topology.ipv6.is_none() {
        return Err(LabError::NoIpv6);
    }
    // The addresses of the servers are known only after the network is built. The first discovery is never started.
    let nowhere = StunServer { name: "".into(), addresses: vec![SocketAddr::from(([192, 0, 2, 1], 3478))] };
    let mut lab = topology.build(args.seed, Discovery::new(DiscoveryConfig::new(vec![nowhere]))?);
    let _ = lab.net.replace(lab.client, Discovery::new(config(args.families(), &lab))?);
    if args.output.explain.is_some() {
        lab.net.record_story_with(ToString::to_string);
    }
    // A new discovery can always be started.
    let _ = lab.net.command(lab.client, MeasurementCommand::Start);
    let _ =
        lab.net.run_until_event(Instant::ORIGIN + TIME_LIMIT, |_, event| matches!(event, DiscoveryEvent::Report(_)));
    let mut events: Vec<DiscoveryEvent> = lab.net.take_events().into_iter().map(|happening| happening.event).collect();
    let Some(DiscoveryEvent::Report(report)) = events.pop_if(|last| matches!(last, DiscoveryEvent::Report(_))) else {
        return Err(LabError::TimedOut);
    };
    let comparison = compare(&topology, &report);
    let data = ReportData {
        report: *report,
        servers: SERVERS.map(Box::from).into(),
        simulation: Some(Simulation { description: description(&topology, args), comparison }),
        lifetime: None,
        story: lab.net.story().lines().map(str::to_owned).collect(),
    };
    Ok((data, events))
}

/// Returns the network that the arguments describe.
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

/// Returns the configuration of the client: two servers, with one address in each family.
fn config(families: &[Family], lab: &Lab<Discovery>) -> DiscoveryConfig {
    let addresses = |place: usize| {
        let of = |family: &Family| lab.servers(*family == Family::V4).get(place).map(|(_, address)| *address);
        families.iter().filter_map(of).collect()
    };
    let named =
        SERVERS.iter().zip(0..).map(|(name, place)| StunServer { name: (*name).into(), addresses: addresses(place) });
    let mut config = DiscoveryConfig::new(named.collect());
    config.families = families.to_vec();
    config
}

/// Describes the network in a few sentences.
fn description(topology: &Topology, args: &LabNatArgs) -> String {
    let four = describe_barriers(&topology.ipv4);
    let six = topology.ipv6.as_ref().map(|barriers| describe_barriers(barriers));
    let place = match six {
        _ if !topology.online => "with its cable out".to_owned(),
        None => format!("with IPv4 {four}"),
        Some(six) if six == four => format!("with IPv4 and IPv6 {four}"),
        Some(six) => format!("with IPv4 {four} and IPv6 {six}"),
    };
    format!(
        "A simulated network, no packet is sent: a client {place}, and two STUN servers on the Internet. Round \
         trip {} ms, loss {} % each way, seed {}.",
        args.rtt, args.loss, args.seed
    )
}

/// Describes the NATs and firewalls of one family, the nearest first.
fn describe_barriers(barriers: &[Barrier]) -> String {
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

/// Compares the report with the simulated network.
fn compare(topology: &Topology, report: &Report) -> Comparison {
    // The first is the most important one.
    let order = [Comparison::Wrong, Comparison::Incomplete, Comparison::HiddenNat];
    let each: Vec<Comparison> = report.families.iter().map(|family| compare_family(topology, family)).collect();
    order.into_iter().find(|one| each.contains(one)).unwrap_or(Comparison::Right)
}

fn compare_family(topology: &Topology, found: &FamilyReport) -> Comparison {
    let is_ipv4 = found.family == Family::V4;
    let is_unavailable = matches!(found.reach, Reachability::Unavailable(_));
    let Some(truth) = topology.truth(is_ipv4) else {
        return if is_unavailable { Comparison::Right } else { Comparison::Wrong };
    };
    if truth.blocked || found.reach == Reachability::Blocked {
        let both = truth.blocked && found.reach == Reachability::Blocked;
        // A silent network is not called blocked without proof.
        let unproved = truth.blocked && found.reach == Reachability::Unknown;
        return match (both, unproved) {
            (true, _) => Comparison::Right,
            (false, true) => Comparison::Incomplete,
            (false, false) => Comparison::Wrong,
        };
    }
    let has_two = nats(topology, is_ipv4) > 1;
    let double = found.details.double_nat.value().copied();
    let answers = [
        found.nat.map(|nat| nat == truth.kind),
        found.mapping.value().map(|value| *value == truth.mapping),
        found.filtering.value().map(|value| *value == truth.filtering),
        Some(double.is_none_or(|two| two == has_two)),
    ];
    if answers.contains(&Some(false)) {
        Comparison::Wrong
    } else if answers.contains(&None) {
        Comparison::Incomplete
    } else if has_two && double.is_none() {
        Comparison::HiddenNat
    } else {
        Comparison::Right
    }
}

/// Returns the number of translating gateways of a family.
fn nats(topology: &Topology, is_ipv4: bool) -> usize {
    let barriers = if is_ipv4 { Some(&topology.ipv4) } else { topology.ipv6.as_ref() };
    let translates = |barrier: &&Barrier| matches!(barrier, Barrier::Translator(nat) if nat.translate);
    barriers.map_or(0, |barriers| barriers.iter().filter(translates).count())
}

#[cfg(test)]
mod tests;
