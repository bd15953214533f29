//! Situations in which a discovery blamed the network or a server without proof: interruptions of the path, lost requests
//! for a neighbor, rebinding, balanced pools, one silent server, and a wrong FINGERPRINT.
//!
//! A situation is run with each of the nine kinds of NAT and with consecutive seeds. The seed also selects how the
//! gateway chooses its ports. A result is *wrong* if a value is wrong. It *blames* if the report says that UDP is blocked
//! or that the host is offline, if it names a flaw of a correct server, or if the reason of an unknown value is not true.
//!
//! ```
//! use portolan_benches::situations::Situation;
//!
//! let row = Situation::OneSilentServer.run(0..2);
//! assert_eq!((row.runs, row.wrong, row.blames), (18, 0, 0));
//! ```

use crate::campaign::{Change, Kind, Network, RTT, correct_servers};
use core::fmt;
use core::ops::Range;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::discovery::Discovery;
use portolan_nat::profile::{FamilyReport, Flaw, Reachability, Report, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::server::Tcp;
use portolan_sim::{Fault, Link, Net, SegmentId};

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// All packets of the access link are held back for this time, from each multiple of 50 ms in the first second.
    Held(Duration),
    /// All packets of the access link are lost for this time, from each multiple of 50 ms in the first second.
    Lost(Duration),
    /// The first request for a neighbor is lost: inside, outside, or on both sides of the gateway.
    LostNeighborRequest,
    /// The gateway removes all mappings at this time.
    Rebinding(Duration),
    /// The gateway balances over this number of addresses: by a hash of both addresses, or at random.
    Pool {
        /// The number of public addresses.
        addresses: u8,
        /// Whether the address follows from a hash.
        hash: bool,
    },
    /// The only server is silent, and its host refuses TCP.
    OneSilentServer,
    /// All servers compute FINGERPRINT wrongly.
    WrongFingerprint,
}

/// The counts of a situation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The number of measured networks.
    pub runs: u32,
    /// The runs with a wrong value.
    pub wrong: u32,
    /// The runs that blame the network or a correct server, or state a reason that is not true.
    pub blames: u32,
    /// The runs in which mapping or filtering has no value.
    pub unknown: u32,
    /// The longest run, in virtual time.
    pub slowest: Duration,
}

/// The step between the starts of interruptions, and between the times of a rebinding.
const STEP: Duration = Duration::from_millis(50);

impl Situation {
    /// All situations, in the order of the table.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let lengths = [100, 200, 300, 500, 700, 1_000, 1_500, 1_800, 2_500, 3_000].map(Duration::from_millis);
        let mut all: Vec<Self> = lengths.map(Self::Held).into();
        all.extend(lengths.map(Self::Lost));
        all.push(Self::LostNeighborRequest);
        all.extend((0..19).map(|n| Self::Rebinding(STEP * n)));
        all.extend([true, false].iter().flat_map(|&hash| (2..=8).map(move |addresses| Self::Pool { addresses, hash })));
        all.extend([Self::OneSilentServer, Self::WrongFingerprint]);
        all
    }

    /// Returns the expected number of wrong results in `runs`: all samples of a balanced pool have one address by
    /// chance. There are samples at four destination addresses, and with random choices seven.
    #[must_use]
    pub fn expected_wrong(self, runs: u32) -> f64 {
        match self {
            Self::Pool { addresses, hash } => {
                f64::from(runs) * f64::from(addresses).recip().powi(if hash { 3 } else { 6 })
            }
            Self::Held(_)
            | Self::Lost(_)
            | Self::LostNeighborRequest
            | Self::Rebinding(_)
            | Self::OneSilentServer
            | Self::WrongFingerprint => 0.0,
        }
    }

    /// Measures the networks of the situation.
    #[must_use]
    pub fn run(self, seeds: Range<u64>) -> Row {
        let mut row = Row::default();
        let allocations = [
            PortAllocation::Random,
            PortAllocation::Preserving,
            PortAllocation::Sequential { step: 1 },
            PortAllocation::Block { size: 2048 },
        ];
        for (kind, number) in Kind::ALL.into_iter().filter(|kind| kind.mapping.is_some()).zip(0..) {
            let mut networks = allocations.map(|ports| self.network(kind, ports));
            for (seed, nth) in seeds.clone().zip((0..allocations.len()).cycle()) {
                // The gateway of a pool does not depend on the kind, so the seeds must differ.
                let seed = if matches!(self, Self::Pool { .. }) { seed * 9 + number } else { seed };
                if let Some(network) = networks.get_mut(nth) {
                    self.measure(network, kind, seed, &mut row);
                }
            }
        }
        row
    }

    fn network(self, kind: Kind, ports: PortAllocation) -> Network {
        let [one, two] = correct_servers();
        match self {
            Self::Pool { addresses, hash } => {
                Network::build(TranslatorConfig::balanced(hash), addresses, &[one, two], 0.0)
            }
            Self::OneSilentServer => {
                Network::build(kind.config(ports), 1, &[one.fault(Fault::Silent).tcp(Tcp::Refuses)], 0.0)
            }
            Self::WrongFingerprint => {
                let servers = [one, two].map(|server| server.fault(Fault::WrongFingerprint));
                Network::build(kind.config(ports), 1, &servers, 0.0)
            }
            Self::Held(_) | Self::Lost(_) | Self::LostNeighborRequest | Self::Rebinding(_) => {
                Network::build(kind.config(ports), 1, &[one, two], 0.0)
            }
        }
    }

    fn measure(self, network: &mut Network, kind: Kind, seed: u64, row: &mut Row) {
        let link = Link::delay(RTT / 2);
        let starts = (0..20).map(|n| STEP * n);
        match self {
            Self::Held(length) => {
                for start in starts {
                    let end = Instant::ORIGIN + start + length;
                    let hold = move |net: &mut Net<Discovery>, home: SegmentId| net.hold_uplink(home, end);
                    self.add(network, kind, seed, &[(start, &hold)], row);
                }
            }
            Self::Lost(length) => {
                let cut = |net: &mut Net<Discovery>, home: SegmentId| net.set_uplink(home, &link.loss(1.0));
                let repair = |net: &mut Net<Discovery>, home: SegmentId| net.set_uplink(home, &link);
                for start in starts {
                    self.add(network, kind, seed, &[(start, &cut), (start + length, &repair)], row);
                    network.net.set_uplink(network.home, &link);
                }
            }
            Self::LostNeighborRequest => {
                let (home, internet) = (network.home, network.net.internet());
                for lost in [[true, false], [false, true], [true, true]] {
                    for (segment, is_lost) in [home, internet].into_iter().zip(lost) {
                        network.net.set_first_exchange_lost(segment, is_lost);
                    }
                    self.add(network, kind, seed, &[], row);
                }
            }
            Self::Rebinding(at) => {
                self.add(network, kind, seed, &[(at, &|net, home| net.flush_gateway(home))], row);
            }
            Self::Pool { .. } | Self::OneSilentServer | Self::WrongFingerprint => {
                self.add(network, kind, seed, &[], row);
            }
        }
    }

    fn add(self, network: &mut Network, kind: Kind, seed: u64, changes: &[(Duration, &Change<'_>)], row: &mut Row) {
        row.runs += 1;
        let report = network.report(seed, changes);
        let Some(Report { families, elapsed, .. }) = report else {
            row.blames += 1;
            return;
        };
        row.slowest = row.slowest.max(elapsed);
        let [family] = families.as_slice() else {
            row.wrong += 1;
            return;
        };
        row.unknown += u32::from(family.mapping.value().is_none() || family.filtering.value().is_none());
        row.wrong += u32::from(match self {
            // The mapping depends on the destination, and equal choices by chance look independent.
            Self::Pool { .. } => {
                family.mapping.value().is_some()
                    || family.filtering.value().is_some_and(|found| *found != Filtering::AddressAndPortDependent)
            }
            Self::OneSilentServer | Self::WrongFingerprint => {
                family.mapping.value().is_some() || family.filtering.value().is_some()
            }
            Self::Held(_) | Self::Lost(_) | Self::LostNeighborRequest => network.is_wrong(kind, family),
            Self::Rebinding(_) => {
                let mapping = kind.mapping.unwrap_or(Mapping::EndpointIndependent);
                network.is_wrong(kind, family)
                    || (family.public.len() > 1
                        && !mapping.is_destination_dependent()
                        && family.mapping.reason() != Some(Unknown::Rebinding))
            }
        });
        row.blames += u32::from(self.blames(family));
    }

    /// Whether the report blames the network or a correct server, or states a reason that is not true.
    fn blames(self, family: &FamilyReport) -> bool {
        let (reach, reasons): (_, &[Unknown]) = match self {
            Self::Held(_) | Self::Lost(_) => (Reachability::Available, &[Unknown::HighLoss, Unknown::TimedOut]),
            Self::LostNeighborRequest => (Reachability::Available, &[]),
            Self::Rebinding(_) => (Reachability::Available, &[Unknown::Rebinding]),
            Self::Pool { .. } => (Reachability::Available, &[Unknown::MultiPath]),
            Self::OneSilentServer => (Reachability::Unknown, &[Unknown::ServerSilent]),
            Self::WrongFingerprint => (Reachability::Unknown, &[Unknown::ServerError]),
        };
        let is_true = |why: Unknown| {
            // The filtering of a server without a usable response has the same reason, or that of the silence.
            reasons.contains(&why) || (self == Self::WrongFingerprint && why == Unknown::ServerSilent)
        };
        let is_correct =
            |flaw: &Flaw| matches!(self, Self::OneSilentServer | Self::WrongFingerprint) || *flaw == Flaw::Silent;
        family.reach != reach
            || ![family.mapping.reason(), family.filtering.reason()].into_iter().flatten().all(is_true)
            || !family.servers.iter().all(|server| server.flaws.iter().all(is_correct))
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Held(length) => format!("held back for {} ms", length.as_millis()),
            Self::Lost(length) => format!("lost for {} ms", length.as_millis()),
            Self::LostNeighborRequest => "neighbor request lost".to_owned(),
            Self::Rebinding(at) => format!("rebinding at {} ms", at.as_millis()),
            Self::Pool { addresses, hash: true } => format!("pool of {addresses}, by hash"),
            Self::Pool { addresses, hash: false } => format!("pool of {addresses}, at random"),
            Self::OneSilentServer => "one silent server".to_owned(),
            Self::WrongFingerprint => "wrong FINGERPRINT".to_owned(),
        };
        f.pad(&text)
    }
}
