//! Counts wrong and unknown results of the NAT discovery over simulated networks of each kind, at each loss.
//!
//! A network is a client behind one gateway. Two correct servers, each with a second address, are at a round-trip
//! time of 50 ms. The seeds are consecutive numbers. The seed also selects how the gateway chooses its ports. The
//! expected number of wrong results is computed: filtering is wrong when all seven transmissions of a request whose
//! response would pass the filter fail, each with the probability that a round trip fails.
//!
//! ```
//! use portolan_benches::campaign::{Campaign, Kind};
//!
//! let row = Campaign { seeds: 0..20, loss: 0.02 }.run(Kind::ALL[5]);
//! assert_eq!((row.runs, row.wrong), (20, 0));
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::Range;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping, NatKind, PortAllocation};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{FamilyReport, Report};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Gateway, HostId, Link, Net, SegmentId, Server};

/// The round-trip time of every network.
pub const RTT: Duration = Duration::from_millis(50);

/// The losses per direction of a whole campaign.
pub const LOSSES: [f64; 4] = [0.0, 0.02, 0.05, 0.1];

/// The number of transmissions of a request of the filtering test.
const SENDS: i32 = 7;

/// The behaviour of the gateway between the client and the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `None`: no translation.
    pub mapping: Option<Mapping>,
    /// The filtering of the gateway.
    pub filtering: Filtering,
}

impl Kind {
    /// The nine kinds of NAT, and the three filterings without one.
    pub const ALL: [Self; 12] = {
        let mut all = [Self { mapping: None, filtering: Filtering::EndpointIndependent }; 12];
        let mut n = 0;
        while n < 12 {
            #[expect(clippy::indexing_slicing, reason = "constant, and proved by the compiler")]
            {
                all[n].filtering = Filtering::ALL[n % 3];
                all[n].mapping = if n < 9 { Some(Mapping::ALL[n / 3]) } else { None };
            }
            n += 1;
        }
        all
    };

    pub(crate) fn config(self, ports: PortAllocation) -> TranslatorConfig {
        match self.mapping {
            Some(mapping) => TranslatorConfig::new(mapping, self.filtering).ports(ports),
            None => TranslatorConfig::firewall(self.filtering),
        }
    }

    pub(crate) const fn nat(self) -> NatKind {
        match (self.mapping, self.filtering) {
            (Some(_), _) => NatKind::Nat,
            (None, Filtering::EndpointIndependent) => NatKind::None,
            (None, Filtering::AddressDependent | Filtering::AddressAndPortDependent) => NatKind::Firewall,
        }
    }

    /// Returns the expected share of wrong results at a loss per direction.
    #[must_use]
    pub fn expected_wrong(self, loss: f64) -> f64 {
        let fails = round_trip_fails(loss).powi(SENDS);
        match self.filtering {
            Filtering::EndpointIndependent | Filtering::AddressDependent => fails,
            // The filter drops all responses, so a loss changes nothing.
            Filtering::AddressAndPortDependent => 0.0,
        }
    }

    /// Returns the expected share of unknown results: the control, the other address or the proof was not answered.
    #[must_use]
    pub fn expected_unknown(self, loss: f64) -> f64 {
        let fails = round_trip_fails(loss);
        match self.filtering {
            Filtering::EndpointIndependent => fails.powi(2 * SENDS),
            Filtering::AddressDependent | Filtering::AddressAndPortDependent => {
                fails.powi(SENDS) + 2.0 * fails.powi(10)
            }
        }
    }
}

fn round_trip_fails(loss: f64) -> f64 {
    1.0 - (1.0 - loss).powi(2)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mapping = self.mapping.map_or("none", Mapping::abbreviation);
        f.pad(&format!("{mapping}/{}", self.filtering.abbreviation()))
    }
}

/// The counts of one kind at one loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// The number of measured networks.
    pub runs: u32,
    /// The runs in which NAT, public address, mapping or filtering has a wrong value.
    pub wrong: u32,
    /// The runs in which mapping or filtering has no value.
    pub unknown: u32,
    /// The packets on the access link of the client, in both directions.
    pub packets: u64,
    /// The packets that the access link lost.
    pub lost: u64,
    /// The sum of the error probabilities that the reports state for filtering.
    pub error_probability: f64,
    /// The longest run, in virtual time.
    pub slowest: Duration,
}

impl Row {
    /// Returns the measured loss, 0 to 1.
    #[must_use]
    pub fn measured_loss(&self) -> f64 {
        if self.packets == 0 { 0.0 } else { self.lost as f64 / self.packets as f64 }
    }

    /// Adds the counts of another row to this one.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.wrong += other.wrong;
        self.unknown += other.unknown;
        self.packets += other.packets;
        self.lost += other.lost;
        self.error_probability += other.error_probability;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// A range of seeds at one loss.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// The loss per direction, 0 to 1.
    pub loss: f64,
}

impl Campaign {
    /// Measures the networks of one kind.
    #[must_use]
    pub fn run(&self, kind: Kind) -> Row {
        self.run_judged_as(kind, kind)
    }

    /// Measures networks of one kind and compares the results with another kind. A test uses it to show that wrong
    /// results are counted.
    #[must_use]
    pub fn run_judged_as(&self, kind: Kind, judged_as: Kind) -> Row {
        let allocations = [
            PortAllocation::Random,
            PortAllocation::Preserving,
            PortAllocation::Sequential { step: 1 },
            PortAllocation::Block { size: 2048 },
        ];
        let mut networks = allocations.map(|ports| Network::new(kind, ports, self.loss));
        let mut row = Row::default();
        for (seed, network) in self.seeds.clone().zip((0..4).cycle()) {
            if let Some(network) = networks.get_mut(network) {
                network.measure(judged_as, seed, &mut row);
            }
        }
        row
    }
}

/// A change of the network of the client's gateway.
pub(crate) type Change<'a> = dyn Fn(&mut Net<Discovery>, SegmentId) + 'a;

/// A network that is reset for each seed.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) net: Net<Discovery>,
    client: HostId,
    pub(crate) home: SegmentId,
    config: DiscoveryConfig,
    public: IpAddr,
}

impl Network {
    fn new(kind: Kind, ports: PortAllocation, loss: f64) -> Self {
        Self::build(kind.config(ports), 1, &correct_servers(), loss)
    }

    /// Builds a client behind a gateway with this number of public addresses, and servers.
    pub(crate) fn build(gateway: TranslatorConfig, addresses: u8, servers: &[Server], loss: f64) -> Self {
        let given = |server: &Server| StunServer { name: server.name.as_ref().into(), addresses: vec![server.primary] };
        let config = DiscoveryConfig::new(servers.iter().map(given).collect());
        let mut net = Net::new(0);
        let publics = (7..7 + addresses).map(|last| IpAddr::from([198, 51, 100, last]));
        let public = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
        let link = Link::delay(RTT / 2).loss(loss);
        let home = net.add_gateway(net.internet(), Gateway::new("gateway", publics, gateway), &link);
        let inside = if gateway.translate { IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7)) } else { public };
        let client = net.add_host(home, "client", &[inside], &Link::PERFECT, new_discovery(&config));
        for server in servers {
            net.add_server(net.internet(), server.clone(), &Link::PERFECT);
        }
        Self { net, client, home, config, public }
    }

    /// Runs a discovery with changes of the network at these times, and returns its report.
    pub(crate) fn report(&mut self, seed: u64, changes: &[(Duration, &Change<'_>)]) -> Option<Report> {
        self.net.reset(seed);
        self.net.replace(self.client, new_discovery(&self.config));
        let started = self.net.command(self.client, MeasurementCommand::Start);
        assert!(started.is_ok(), "a new discovery starts");
        for (at, change) in changes {
            let _stop = self.net.run_until(Instant::ORIGIN + *at);
            change(&mut self.net, self.home);
        }
        let end = Instant::ORIGIN + Duration::from_secs(10);
        let _stop = self.net.run_until_event(end, |_, event| matches!(event, DiscoveryEvent::Report(_)));
        self.net.events().iter().find_map(|record| {
            if let DiscoveryEvent::Report(report) = &record.event { Some(Report::clone(report)) } else { None }
        })
    }

    fn measure(&mut self, kind: Kind, seed: u64, row: &mut Row) {
        let report = self.report(seed, &[]);
        row.runs += 1;
        for wire in <[_; 2]>::from(self.net.uplink_stats(self.home)) {
            row.packets += wire.sent;
            row.lost += wire.lost;
        }
        match report {
            Some(report) => self.judge(kind, &report, row),
            None => row.unknown += 1,
        }
    }

    fn judge(&self, kind: Kind, report: &Report, row: &mut Row) {
        row.slowest = row.slowest.max(report.elapsed);
        let [family] = report.families.as_slice() else {
            row.wrong += 1;
            return;
        };
        row.wrong += u32::from(self.is_wrong(kind, family));
        row.unknown += u32::from(family.mapping.value().is_none() || family.filtering.value().is_none());
        row.error_probability += family.filtering.p_wrong().unwrap_or(0.0);
    }

    pub(crate) fn is_wrong(&self, kind: Kind, family: &FamilyReport) -> bool {
        let mapping = kind.mapping.unwrap_or(Mapping::EndpointIndependent);
        family.mapping.value().is_some_and(|found| *found != mapping)
            || family.filtering.value().is_some_and(|found| *found != kind.filtering)
            || (family.filtering.value().is_some() && family.nat.is_some_and(|found| found != kind.nat()))
            || family.public.iter().any(|endpoint| endpoint.ip() != self.public)
    }
}

/// Returns two correct servers, each with a second address.
pub(crate) fn correct_servers() -> [Server; 2] {
    let address = |last: u8, port: u16| SocketAddr::from(([203, 0, 113, last], port));
    [("one", 10), ("two", 20)]
        .map(|(name, last)| Server::new(name, address(last, 3478)).alternate(address(last + 1, 3479)))
}

fn new_discovery(config: &DiscoveryConfig) -> Discovery {
    #[expect(clippy::expect_used, reason = "the two servers of a network are valid and different")]
    Discovery::new(config.clone()).expect("a valid configuration")
}
