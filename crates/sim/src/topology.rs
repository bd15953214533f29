//! Topologies: a client, the gateways in front of it, and two STUN servers on the Internet.
//!
//! A [`Topology`] is plain data; [`Topology::build`] makes a [`Lab`] of it. [`Topology::truth`] returns the correct
//! result of a NAT discovery behind this topology. The presets are common networks.
//!
//! Only the link to the Internet has delay and loss, so its loss is the loss of the whole path in each direction. The
//! servers have ordinary public addresses, not addresses reserved for documentation: a discovery may reject reserved
//! addresses. No packet leaves the process.
//!
//! ```
//! use portolan_nat::behavior::ClassicType;
//! use portolan_sim::topology::{Preset, Topology};
//!
//! let home: Preset = "home".parse()?;
//! let topology = Topology::preset(home).loss(0.05);
//! assert_eq!(topology.truth(true).map(|truth| truth.classic()), Some(ClassicType::PortRestricted));
//! # Ok::<(), portolan_nat::behavior::UnknownWord>(())
//! ```

use crate::gateway::{Barrier, Gateway};
use crate::link::{Link, WireStats};
use crate::net::{HostId, Net, SegmentId, ServerId};
use crate::server::{Fault, Server};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;
use portolan_machine::Machine;
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind, UnknownWord, classic_name};
use portolan_nat::translator::TranslatorConfig;

/// Common networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// A server in a data centre, without a gateway.
    Open,
    /// A home router: NAT for IPv4, a firewall for IPv6.
    Home,
    /// The home network behind a carrier's NAT, without IPv6.
    Cgnat,
    /// An office NAT: another random port for each destination.
    Symmetric,
    /// A router set to "full cone".
    FullCone,
    /// A router that filters by address only.
    Restricted,
    /// Public addresses behind a stateful firewall.
    Firewall,
    /// A guest network that lets no UDP through.
    Blocked,
    /// No network: the cable is unplugged.
    Offline,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 9] = [
        Self::Open,
        Self::Home,
        Self::Cgnat,
        Self::Symmetric,
        Self::FullCone,
        Self::Restricted,
        Self::Firewall,
        Self::Blocked,
        Self::Offline,
    ];

    /// The name: `home`, `full-cone`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Home => "home",
            Self::Cgnat => "cgnat",
            Self::Symmetric => "symmetric",
            Self::FullCone => "full-cone",
            Self::Restricted => "restricted",
            Self::Firewall => "firewall",
            Self::Blocked => "blocked",
            Self::Offline => "offline",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Preset {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == text).ok_or(UnknownWord {
            axis: "preset",
            expected: "open, home, cgnat, symmetric, full-cone, restricted, firewall, blocked or offline",
        })
    }
}

/// A client, the gateways in front of it, and two servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// The barriers in front of the client for IPv4, the nearest first.
    pub ipv4: Vec<Barrier>,
    /// The same for IPv6; a missing barrier counts as open. `None`: the client has no IPv6.
    pub ipv6: Option<Vec<Barrier>>,
    /// The link to the Internet.
    pub access: Link,
    /// The faults of the first and the second server.
    pub faults: [Fault; 2],
    /// Whether the client's interface is up.
    pub online: bool,
}

/// The correct result of a discovery behind a topology, for one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// No barrier, a firewall or a NAT.
    pub kind: NatKind,
    /// The mapping behavior.
    pub mapping: Mapping,
    /// The filtering behavior.
    pub filtering: Filtering,
    /// Whether UDP is blocked. A discovery cannot find the other fields then.
    pub blocked: bool,
}

impl Truth {
    /// The classic name of the NAT type (RFC 3489).
    #[must_use]
    pub fn classic(&self) -> ClassicType {
        if self.blocked { ClassicType::Blocked } else { classic_name(self.kind, self.mapping, self.filtering) }
    }
}

impl Topology {
    /// The default round trip to the servers.
    pub const RTT: Duration = Duration::from_millis(50);

    /// IPv4 only, with these barriers in front of the client, the nearest first.
    #[must_use]
    pub fn chain(barriers: impl IntoIterator<Item = Barrier>) -> Self {
        Self {
            ipv4: barriers.into_iter().collect(),
            ipv6: None,
            access: Link::delay(Self::RTT / 2),
            faults: [Fault::None; 2],
            online: true,
        }
    }

    /// IPv4 only, behind one NAT or firewall.
    #[must_use]
    pub fn behind(config: TranslatorConfig) -> Self {
        Self::chain([Barrier::Translator(config)])
    }

    /// IPv4 only, without a gateway.
    #[must_use]
    pub fn open() -> Self {
        Self::chain([])
    }

    /// The topology of a preset.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        let wall = TranslatorConfig::firewall(Filtering::AddressAndPortDependent);
        match preset {
            Preset::Open => Self::open().with_ipv6([]),
            Preset::Home => Self::behind(TranslatorConfig::home()).with_ipv6([wall.into()]),
            Preset::Cgnat => Self::chain([TranslatorConfig::home().into(), TranslatorConfig::cgnat().into()]),
            Preset::Symmetric => Self::behind(TranslatorConfig::symmetric()),
            Preset::FullCone => Self::behind(TranslatorConfig::full_cone()),
            Preset::Restricted => Self::behind(TranslatorConfig::restricted_cone()),
            Preset::Firewall => Self::behind(wall).with_ipv6([wall.into()]),
            Preset::Blocked => Self::chain([Barrier::UDP_BLOCKED]),
            Preset::Offline => Self { online: false, ..Self::open() },
        }
    }

    /// Returns the same topology with IPv6 through these barriers, the nearest first. Missing barriers count as open.
    #[must_use]
    pub fn with_ipv6(mut self, barriers: impl IntoIterator<Item = Barrier>) -> Self {
        self.ipv6 = Some(barriers.into_iter().collect());
        self
    }

    /// Returns the same topology with this probability of loss in each direction.
    #[must_use]
    pub const fn loss(mut self, probability: f64) -> Self {
        self.access = self.access.loss(probability);
        self
    }

    /// Returns the same topology with this round trip to the servers.
    #[must_use]
    pub fn rtt(mut self, rtt: Duration) -> Self {
        (self.access.up.delay, self.access.down.delay) = (rtt / 2, rtt / 2);
        self
    }

    /// Returns the same topology with faults of the first and the second server.
    #[must_use]
    pub const fn faults(mut self, first: Fault, second: Fault) -> Self {
        self.faults = [first, second];
        self
    }

    /// The correct result of a discovery; `None` if the client has no such family or no network.
    ///
    /// A chain of barriers has the strictest behavior of its parts on each axis. Configurations that behave the same
    /// seen from outside give the same result: a firewall that filters nothing counts as no barrier.
    #[must_use]
    pub fn truth(&self, ipv4: bool) -> Option<Truth> {
        if !self.online {
            return None;
        }
        let barriers = if ipv4 { &self.ipv4 } else { self.ipv6.as_ref()? };
        let mut truth = Truth {
            kind: NatKind::None,
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::EndpointIndependent,
            blocked: false,
        };
        for barrier in barriers {
            match barrier {
                Barrier::Open | Barrier::Blocked { udp: false, .. } => {}
                Barrier::Blocked { .. } => truth.blocked = true,
                Barrier::Translator(config) => {
                    truth.filtering = truth.filtering.max(config.filtering);
                    if config.translate {
                        truth.kind = NatKind::Nat;
                        truth.mapping = truth.mapping.max(seen_from_inside(config));
                    }
                }
            }
        }
        if truth.kind == NatKind::None && truth.filtering != Filtering::EndpointIndependent {
            truth.kind = NatKind::Firewall;
        }
        Some(truth)
    }

    /// Builds the net, with `machine` on the client.
    #[must_use]
    pub fn build<M: Machine>(&self, seed: u64, machine: M) -> Lab<M> {
        let mut net = Net::new(seed);
        let servers = [0, 1].map(|n| {
            let fault = self.faults.get(n).copied().unwrap_or(Fault::None);
            let internet = net.internet();
            SERVERS.map(|each| {
                let [primary, alternate] = each.get(n).copied().unwrap_or(NOWHERE);
                let name = if n == 0 { "stun-one" } else { "stun-two" };
                let server = Server::new(name, primary).alternate(alternate).fault(fault);
                (net.add_server(internet, server, &Link::PERFECT), primary)
            })
        });
        let six = self.ipv6.as_deref().unwrap_or_default();
        let depth = self.ipv4.len().max(six.len());
        let (mut segment, mut access) = (net.internet(), None);
        for place in (0..depth).rev() {
            let barrier = |barriers: &[Barrier]| barriers.get(place).copied().unwrap_or(Barrier::Open);
            let outermost = place + 1 == depth;
            let link = if outermost { self.access } else { Link::PERFECT };
            let name = if place == 0 { "router" } else { "carrier" };
            let gateway = Gateway::new(name, outside(place, outermost), barrier(&self.ipv4)).ipv6(barrier(six));
            segment = net.add_gateway(segment, gateway, &link);
            access = access.or(Some(segment));
        }
        let link = if depth == 0 { self.access } else { Link::PERFECT };
        let hides = |barriers: &[Barrier]| {
            barriers.iter().any(|b| matches!(b, Barrier::Translator(TranslatorConfig { translate: true, .. })))
        };
        let mut addresses = alloc::vec![if hides(&self.ipv4) { PRIVATE_4 } else { PUBLIC_4 }];
        if self.ipv6.is_some() {
            addresses.push(if hides(six) { PRIVATE_6 } else { PUBLIC_6 });
        }
        let client = net.add_host(segment, "client", &addresses, &link, machine);
        net.set_interface(client, 0, self.online);
        let [[first_4, first_6], [second_4, second_6]] = servers;
        Lab { net, client, inside: segment, access, ipv4: [first_4, second_4], ipv6: [first_6, second_6] }
    }
}

/// The mapping behavior that one host behind the NAT can observe. Overloading hides the dependency of a mapping.
const fn seen_from_inside(config: &TranslatorConfig) -> Mapping {
    if config.overloading { Mapping::EndpointIndependent } else { config.mapping }
}

/// A built topology.
#[derive(Debug)]
pub struct Lab<M: Machine> {
    /// The net.
    pub net: Net<M>,
    /// The host of the machine.
    pub client: HostId,
    /// The segment of the client.
    pub inside: SegmentId,
    /// The inside of the gateway whose link leads to the Internet; `None`: the client's own link leads there.
    access: Option<SegmentId>,
    ipv4: [(ServerId, SocketAddr); 2],
    ipv6: [(ServerId, SocketAddr); 2],
}

impl<M: Machine> Lab<M> {
    /// The two servers of a family and their primary addresses.
    #[must_use]
    pub const fn servers(&self, ipv4: bool) -> [(ServerId, SocketAddr); 2] {
        if ipv4 { self.ipv4 } else { self.ipv6 }
    }

    /// The statistics of the link to the Internet, up and down. They show the loss that occurred.
    #[must_use]
    pub fn access_stats(&self) -> (WireStats, WireStats) {
        match self.access {
            Some(inside) => self.net.uplink_stats(inside),
            None => self.net.host_stats(self.client),
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(a: u16, b: u16, h: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, h))
}

/// The primary and alternate address of the first and the second server, for IPv4 and IPv6.
const SERVERS: [[[SocketAddr; 2]; 2]; 2] = [
    [
        [SocketAddr::new(v4(50, 0, 0, 1), 3478), SocketAddr::new(v4(50, 0, 0, 2), 3479)],
        [SocketAddr::new(v4(60, 0, 0, 1), 3478), SocketAddr::new(v4(60, 0, 0, 2), 3479)],
    ],
    [
        [SocketAddr::new(v6(0x2a00, 0x50, 1), 3478), SocketAddr::new(v6(0x2a00, 0x50, 2), 3479)],
        [SocketAddr::new(v6(0x2a00, 0x60, 1), 3478), SocketAddr::new(v6(0x2a00, 0x60, 2), 3479)],
    ],
];
const NOWHERE: [SocketAddr; 2] = [SocketAddr::new(v4(0, 0, 0, 0), 0); 2];

const PRIVATE_4: IpAddr = v4(192, 168, 1, 2);
const PUBLIC_4: IpAddr = v4(85, 0, 0, 2);
const PRIVATE_6: IpAddr = v6(0xfd00, 1, 2);
const PUBLIC_6: IpAddr = v6(0x2a00, 0x85, 2);

/// The outside addresses of the gateway at this position; 0 is nearest to the client.
fn outside(place: usize, outermost: bool) -> [IpAddr; 2] {
    let n = u8::try_from(place).unwrap_or(u8::MAX);
    // Between a home router and its carrier: RFC 6598.
    if outermost {
        [v4(85, 0, 0, 1), v6(0x2a00, 0x85, 1)]
    } else {
        [v4(100, 64, n, 2), v6(0xfd00, 0x64, u16::from(n) + 2)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use portolan_nat::behavior::PortAllocation;

    #[test]
    fn presets_have_the_classic_types_of_their_names() {
        use ClassicType::{Blocked, FullCone, Open, PortRestricted, Restricted, Symmetric, UdpFirewall};
        for (preset, ipv4, ipv6) in [
            (Preset::Open, Open, Some(Open)),
            (Preset::Home, PortRestricted, Some(UdpFirewall)),
            (Preset::Cgnat, PortRestricted, None),
            (Preset::Symmetric, Symmetric, None),
            (Preset::FullCone, FullCone, None),
            (Preset::Restricted, Restricted, None),
            (Preset::Firewall, UdpFirewall, Some(UdpFirewall)),
            (Preset::Blocked, Blocked, None),
        ] {
            let topology = Topology::preset(preset);
            assert_eq!(topology.truth(true).map(|truth| truth.classic()), Some(ipv4), "{preset}");
            assert_eq!(topology.truth(false).map(|truth| truth.classic()), ipv6, "{preset}");
        }
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
    }

    #[test]
    fn a_chain_has_the_strictest_behavior_of_its_parts() {
        let loose = TranslatorConfig::full_cone().mapping(Mapping::AddressAndPortDependent);
        let truth = Topology::chain([loose.into(), TranslatorConfig::home().into()]).truth(true).unwrap();
        assert_eq!(truth.mapping, Mapping::AddressAndPortDependent);
        assert_eq!(truth.filtering, Filtering::AddressAndPortDependent);
    }

    #[test]
    fn indistinguishable_configurations_have_the_same_truth() {
        let wall = TranslatorConfig::firewall(Filtering::EndpointIndependent);
        assert_eq!(Topology::behind(wall).truth(true), Topology::open().truth(true));
        let overloading = TranslatorConfig::symmetric().ports(PortAllocation::Preserving).overloading(true);
        let truth = Topology::behind(overloading).truth(true).unwrap();
        assert_eq!(truth.mapping, Mapping::EndpointIndependent);
    }
}
