//! `portolan lab nat`: the same discovery in a simulated network, in virtual time; nothing is sent anywhere.
//!
//! A client asks two servers, one of them with a second address, through whatever the arguments put in between. Since
//! the simulation knows what was built, the report says whether the finding is right.

use crate::args::{Format, LabNatArgs, Preset};
use crate::error::Complaint;
use crate::exit::Exit;
use crate::output;
use crate::report::{Simulation, Telling, human, json};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping, NatKind};
use portolan_nat::discovery::{Command, Config, Discovery};
use portolan_nat::event::Event;
use portolan_nat::profile::{Family, FamilyReport, Reach};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Gateway, Link, Net, Server};

const SERVER: [u8; 4] = [203, 0, 113, 10];
const ALTERNATE: [u8; 4] = [203, 0, 113, 11];
const SECOND_SERVER: [u8; 4] = [203, 0, 113, 20];
const HOME: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const CARRIER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);
const IN_CARRIER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 7);
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 7);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 23);

/// Longer than any classification; virtual seconds cost nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the network, runs the discovery in it and tells what was found.
pub(crate) fn run(args: &LabNatArgs) -> Result<Exit, Complaint> {
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
    Ok(Exit::of(&telling.report, &[]))
}

/// The finding and the events before it.
fn simulate(args: &LabNatArgs) -> Result<(Telling, Vec<Event>), Complaint> {
    let world = World::of(args);
    let mut net = Net::new(args.seed);
    let host = world.place(&mut net, Discovery::new(config())?);
    if args.output.explain {
        net.tell_story();
    }
    // A discovery that has just been made can be started.
    let _ = net.command(host, Command::Start);
    let _ = net.run_until_event(Instant::ORIGIN + PATIENCE, |_, event| matches!(event, Event::Report(_)));
    let mut events: Vec<Event> = net.take_events().into_iter().map(|happening| happening.event).collect();
    let Some(Event::Report(report)) = events.pop_if(|last| matches!(last, Event::Report(_))) else {
        return Err(Complaint::TimedOut);
    };
    let is_right = report.families.first().and_then(|family| world.agrees(family));
    let telling = Telling {
        report: *report,
        servers: vec!["stun-a".into(), "stun-b".into()],
        simulation: Some(Simulation { scene: world.scene(args), is_right }),
        lifetime: None,
        story: net.story().lines().map(str::to_owned).collect(),
    };
    Ok((telling, events))
}

/// What the client is told: two servers, IPv4.
fn config() -> Config {
    let named = |name: &str, ip| portolan_nat::discovery::Server { name: name.into(), addresses: vec![at(ip, 3478)] };
    let mut config = Config::new(vec![named("stun-a", SERVER), named("stun-b", SECOND_SERVER)]);
    config.families = vec![Family::V4];
    config
}

fn at(ip: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((ip, port))
}

/// What stands between the client and the servers.
struct World {
    /// The gateway next to the client.
    home: Option<Barrier>,
    /// One more behind it.
    carrier: Option<TranslatorConfig>,
    uplink: Link,
}

impl World {
    fn of(args: &LabNatArgs) -> Self {
        let strict = Filtering::AddressAndPortDependent;
        let (home, carrier) = match args.preset {
            _ if args.mapping.is_some() || args.filtering.is_some() => {
                let mapping = args.mapping.unwrap_or(Mapping::EndpointIndependent);
                let nat = TranslatorConfig::new(mapping, args.filtering.unwrap_or(strict));
                (Some(nat.into()), None)
            }
            Preset::Home => (Some(TranslatorConfig::home().into()), None),
            Preset::Cgnat => (Some(TranslatorConfig::home().into()), Some(TranslatorConfig::cgnat())),
            Preset::Symmetric => (Some(TranslatorConfig::symmetric().into()), None),
            Preset::FullCone => (Some(TranslatorConfig::full_cone().into()), None),
            Preset::Restricted => (Some(TranslatorConfig::restricted_cone().into()), None),
            Preset::Firewall => (Some(TranslatorConfig::firewall(strict).into()), None),
            Preset::Blocked => (Some(Barrier::UDP_BLOCKED), None),
            Preset::Open => (None, None),
        };
        let delay = Duration::from_millis(u64::from(args.rtt)) / 2;
        Self { home, carrier, uplink: Link::delay(delay).loss(args.loss / 100.0) }
    }

    /// The client's address: private behind a translator only.
    fn client(&self) -> IpAddr {
        match self.home {
            Some(Barrier::Translator(nat)) if nat.translate => INSIDE.into(),
            Some(_) | None => PUBLIC.into(),
        }
    }

    fn place(&self, net: &mut Net<Discovery>, client: Discovery) -> portolan_sim::HostId {
        let internet = net.internet();
        let capable = Server::new("stun-a", at(SERVER, 3478)).alternate(at(ALTERNATE, 3479));
        net.add_server(internet, capable, &Link::PERFECT);
        net.add_server(internet, Server::new("stun-b", at(SECOND_SERVER, 3478)), &Link::PERFECT);
        let addresses = [self.client()];
        let Some(home) = self.home else {
            return net.add_host(internet, "client", &addresses, &self.uplink, client);
        };
        let (outside, address, link) = match self.carrier {
            Some(carrier) => {
                let gateway = Gateway::new("carrier", [CARRIER.into()], carrier);
                (net.add_gateway(internet, gateway, &self.uplink), IN_CARRIER, Link::PERFECT)
            }
            None => (internet, HOME, self.uplink),
        };
        let inside = net.add_gateway(outside, Gateway::new("home", [address.into()], home), &link);
        net.add_host(inside, "client", &addresses, &Link::PERFECT, client)
    }

    /// The network in a few sentences.
    fn scene(&self, args: &LabNatArgs) -> String {
        let (client, [a, b, c, d]) = (self.client(), SERVER);
        let between = match (self.home, self.carrier) {
            (None, _) => "on the open Internet".to_owned(),
            (Some(Barrier::Translator(nat)), None) if !nat.translate => {
                format!("behind a firewall (filtering: {})", nat.filtering)
            }
            (Some(Barrier::Translator(nat)), None) => {
                format!("behind a NAT at {HOME} (mapping: {}, filtering: {})", nat.mapping, nat.filtering)
            }
            (Some(Barrier::Translator(nat)), Some(carrier)) => format!(
                "behind a home NAT at {IN_CARRIER} (mapping: {}, filtering: {}) and a carrier's at {CARRIER} (mapping: \
                 {}, filtering: {})",
                nat.mapping, nat.filtering, carrier.mapping, carrier.filtering
            ),
            (Some(Barrier::Blocked { .. }), _) => "behind a firewall that lets no UDP through".to_owned(),
            (Some(Barrier::Open), _) => "behind a router".to_owned(),
        };
        format!(
            "A simulated network, in which nothing is sent: a client at {client} {between}, two STUN servers, one of \
             them with a second address, at {a}.{b}.{c}.{d} and {}. Round trip {} ms, loss {} % each way, seed {}.",
            Ipv4Addr::from(SECOND_SERVER),
            args.rtt,
            args.loss,
            args.seed
        )
    }

    /// Whether what was found is what was built; `None` where something remained unknown.
    fn agrees(&self, found: &FamilyReport) -> Option<bool> {
        let (kind, mapping, filtering) = match self.home {
            Some(Barrier::Blocked { .. }) => return Some(found.reach == Reach::Blocked),
            None | Some(Barrier::Open) => (NatKind::None, Mapping::EndpointIndependent, Filtering::EndpointIndependent),
            Some(Barrier::Translator(nat)) => {
                let mapping = self.carrier.map_or(nat.mapping, |carrier| nat.mapping.max(carrier.mapping));
                let filtering = self.carrier.map_or(nat.filtering, |carrier| nat.filtering.max(carrier.filtering));
                (nat.kind(), mapping, filtering)
            }
        };
        let all = [
            found.nat.map(|nat| nat == kind),
            found.mapping.value().map(|value| *value == mapping),
            found.filtering.value().map(|value| *value == filtering),
        ];
        if all.contains(&Some(false)) { Some(false) } else { all.iter().all(Option::is_some).then_some(true) }
    }
}

#[cfg(test)]
mod tests;
