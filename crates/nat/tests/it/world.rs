//! A simulated network: a client, usually behind a gateway, and servers on the Internet.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::discovery::{Discovery, DiscoveryConfig, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{FamilyReport, Report};
use portolan_sim::{Barrier, Fault, Gateway, Link, Net, SegmentId, Server};

/// The private address of the client.
pub(crate) const CLIENT: &str = "192.168.1.7";
/// The public address of the client.
pub(crate) const PUBLIC: &str = "198.51.100.7";

/// The configuration of a network to measure.
pub(crate) struct World {
    pub(crate) barrier: Option<Barrier>,
    pub(crate) servers: Vec<Server>,
    pub(crate) rtt: Duration,
    pub(crate) loss: f64,
    pub(crate) seed: u64,
    pub(crate) client: &'static str,
    pub(crate) change: fn(&mut DiscoveryConfig),
    /// The number of public addresses of the gateway.
    pub(crate) pool: u8,
}

/// A change of the network during a run.
pub(crate) type Change<'a> = &'a dyn Fn(&mut Net<Discovery>, SegmentId);

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Returns a correct server with an alternate address.
pub(crate) fn full(name: &str, last: u8) -> Server {
    let primary = SocketAddr::from(([203, 0, 113, last], 3478));
    Server::new(name, primary).alternate(SocketAddr::from(([203, 0, 113, last + 1], 3479)))
}

/// Returns a correct server without an alternate address.
pub(crate) fn plain(name: &str, last: u8) -> Server {
    Server::new(name, SocketAddr::from(([203, 0, 113, last], 3478)))
}

impl World {
    /// Returns a client behind `barrier`, with two correct servers and a round trip time of 50 ms.
    pub(crate) fn behind(barrier: impl Into<Barrier>) -> Self {
        let servers = vec![full("one", 10), full("two", 20)];
        let rtt = Duration::from_millis(50);
        Self {
            barrier: Some(barrier.into()),
            servers,
            rtt,
            loss: 0.0,
            seed: 1,
            client: CLIENT,
            change: |_| {},
            pool: 1,
        }
    }

    /// Returns the same network without a gateway.
    pub(crate) fn open() -> Self {
        let mut world = Self::behind(portolan_nat::translator::TranslatorConfig::home());
        world.barrier = None;
        world
    }

    pub(crate) fn servers(mut self, servers: impl Into<Vec<Server>>) -> Self {
        self.servers = servers.into();
        self
    }

    pub(crate) fn fault(mut self, nth: usize, fault: Fault) -> Self {
        self.servers[nth] = self.servers[nth].clone().fault(fault);
        self
    }

    pub(crate) fn rtt(mut self, millis: u64) -> Self {
        self.rtt = Duration::from_millis(millis);
        self
    }

    pub(crate) fn loss(mut self, loss: f64) -> Self {
        self.loss = loss;
        self
    }

    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn client(mut self, client: &'static str) -> Self {
        self.client = client;
        self
    }

    pub(crate) fn config(mut self, change: fn(&mut DiscoveryConfig)) -> Self {
        self.change = change;
        self
    }

    pub(crate) fn pool(mut self, addresses: u8) -> Self {
        self.pool = addresses;
        self
    }

    pub(crate) fn net(&self) -> (Net<Discovery>, portolan_sim::HostId) {
        let (net, host, _) = self.build();
        (net, host)
    }

    /// Returns a discovery that has not started.
    pub(crate) fn discovery(&self) -> Discovery {
        let given = |server: &Server| StunServer { name: "server".into(), addresses: vec![server.primary] };
        let mut config = DiscoveryConfig::new(self.servers.iter().map(given).collect());
        (self.change)(&mut config);
        Discovery::new(config).unwrap()
    }

    fn build(&self) -> (Net<Discovery>, portolan_sim::HostId, SegmentId) {
        let mut net = Net::new(self.seed);
        let link = Link::delay(self.rtt / 2).loss(self.loss);
        let public: IpAddr = PUBLIC.parse().unwrap();
        let (segment, address, link): (SegmentId, IpAddr, Link) = match &self.barrier {
            Some(barrier) => {
                let is_firewall = matches!(barrier, Barrier::Translator(config) if config.kind() != portolan_nat::behavior::NatKind::Nat);
                let pool = (7..7 + self.pool).map(|n| IpAddr::from([198, 51, 100, n]));
                let gateway = Gateway::new("home", pool, *barrier);
                let inside = net.add_gateway(net.internet(), gateway, &link);
                (inside, if is_firewall { public } else { self.client.parse().unwrap() }, Link::PERFECT)
            }
            None => (net.internet(), public, link),
        };
        let host = net.add_host(segment, "client", &[address], &link, self.discovery());
        for server in &self.servers {
            net.add_server(net.internet(), server.clone(), &Link::PERFECT);
        }
        (net, host, segment)
    }

    /// Runs a discovery and returns its report.
    pub(crate) fn report(&self) -> Report {
        self.report_with(&[])
    }

    /// Runs a discovery, changes the network at these times in milliseconds, and returns the report.
    pub(crate) fn report_with(&self, changes: &[(u64, Change<'_>)]) -> Report {
        let (mut net, host, segment) = self.build();
        let start = |net: &mut Net<Discovery>| {
            net.command(host, portolan_nat::discovery::MeasurementCommand::Start).unwrap();
        };
        let (first, later) = changes.split_at(changes.iter().take_while(|(at, _)| *at == 0).count());
        first.iter().for_each(|(_, change)| change(&mut net, segment));
        start(&mut net);
        for (at, change) in later {
            let _stop = net.run_until(Instant::from_millis(*at));
            change(&mut net, segment);
        }
        let _stop = net.run_until_event(Instant::ORIGIN + Duration::from_secs(30), |_, event| {
            matches!(event, DiscoveryEvent::Report(_))
        });
        let last = net.take_events().pop().expect("a report");
        let DiscoveryEvent::Report(report) = last.event else { panic!("the last event is {}", last.event) };
        *report
    }

    /// Runs a discovery and returns the report of its only family.
    pub(crate) fn family(&self) -> FamilyReport {
        let mut report = self.report();
        assert_eq!(report.families.len(), 1);
        report.families.remove(0)
    }

    /// Runs a discovery with the same servers behind another barrier, and returns the report of its only family.
    pub(crate) fn servers_behind(self, barrier: impl Into<Barrier>) -> FamilyReport {
        Self { barrier: Some(barrier.into()), ..self }.family()
    }

    /// Runs a discovery and returns the text of all its steps.
    pub(crate) fn story(&self) -> String {
        let (mut net, host) = self.net();
        net.record_story_with(ToString::to_string);
        net.command(host, portolan_nat::discovery::MeasurementCommand::Start).unwrap();
        let _stop = net.run_for(Duration::from_secs(30));
        net.story().to_owned()
    }
}
