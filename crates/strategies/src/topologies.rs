//! NATs of every kind, and whole networks around a host.
//!
//! [`translator`] generates the configuration of a NAT or firewall. [`topology`] generates a [`Topology`]: a host
//! behind up to two gateways, and correct and faulty servers. Its links lose, duplicate and reorder packets.
//! [`Topology::build`] turns it into a [`Net`] with a machine on the host.
//!
//! ```
//! use portolan_nat::translator::{Translation, Translator};
//! use portolan_machine::Instant;
//! use portolan_strategies::topologies;
//! use proptest::prelude::*;
//!
//! let host = "10.0.0.2:4000".parse().unwrap();
//! let server = "192.0.2.1:3478".parse().unwrap();
//! proptest!(|(config in topologies::translator(), seed: u64)| {
//!     let mut nat = Translator::new(config, &["198.51.100.1".parse().unwrap()], seed);
//!     for is_first in [true, false] {
//!         let outbound = nat.outbound(Instant::ORIGIN, host, server);
//!         let Ok(Translation::Out { created, .. }) = outbound else { panic!("the packet is translated") };
//!         prop_assert_eq!(created, is_first, "one flow has one mapping");
//!     }
//! });
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::Machine;
use portolan_nat::behavior::{Filtering, Hairpin, Mapping, Pooling, PortAllocation, Refresh, Timers};
use portolan_nat::translator::{PortRange, TranslatorConfig};
use portolan_sim::server::Tcp;
use portolan_sim::{Barrier, Fault, Gateway, HostId, Link, Net, Server};
use proptest::prelude::*;
use proptest::sample::select;

/// A host, the gateways between the host and the Internet, and servers on the Internet.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// The seed of the network's RNG.
    pub seed: u64,
    /// The gateways with their links towards the Internet. The first gateway is the one next to the Internet.
    pub gateways: Vec<(Gateway, Link)>,
    /// The host's own link.
    pub access: Link,
    /// The servers with their links.
    pub servers: Vec<(Server, Link)>,
}

impl Topology {
    /// The host's addresses, one of each family.
    pub const HOST: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 2))];

    /// Builds the network with `machine` on the host.
    pub fn build<M: Machine>(&self, machine: M) -> (Net<M>, HostId) {
        let mut net = Net::new(self.seed);
        let mut segment = net.internet();
        for (server, link) in &self.servers {
            net.add_server(segment, server.clone(), link);
        }
        for (gateway, link) in &self.gateways {
            segment = net.add_gateway(segment, gateway.clone(), link);
        }
        let host = net.add_host(segment, "host", &Self::HOST, &self.access, machine);
        (net, host)
    }
}

/// Any network: no gateway, one gateway, or a home gateway behind a carrier's gateway; and one to three servers.
pub fn topology() -> BoxedStrategy<Topology> {
    let gateways = prop::collection::vec((barrier(), barrier(), link()), 0..=2);
    let servers = prop::collection::vec((any::<bool>(), fault(), tcp(), link()), 1..=3);
    (any::<u64>(), gateways, link(), servers)
        .prop_map(|(seed, gateways, access, servers)| Topology {
            seed,
            gateways: gateways.into_iter().zip(0..).map(|(parts, place)| gateway(parts, place)).collect(),
            access,
            servers: servers.into_iter().zip(1..).map(|(parts, number)| server(parts, number)).collect(),
        })
        .boxed()
}

/// The gateway next to the Internet has public addresses. The next gateway has shared addresses (RFC 6598).
fn gateway((ipv4, ipv6, link): (Barrier, Barrier, Link), place: u8) -> (Gateway, Link) {
    let outside = match place {
        0 => Ipv4Addr::new(203, 0, 113, 7),
        place => Ipv4Addr::new(100, 64, 0, place),
    };
    let outside6 = Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, u16::from(place) + 1);
    let name = ["carrier", "home"].get(usize::from(place)).copied().unwrap_or("inner");
    (Gateway::new(name, [outside.into(), outside6.into()], ipv4).ipv6(ipv6), link)
}

/// Servers with odd numbers have IPv4 addresses, servers with even numbers IPv6 addresses.
fn server((capable, fault, tcp, link): (bool, Fault, Tcp, Link), number: u8) -> (Server, Link) {
    let address = |network: u8, port| match number % 2 {
        1 => SocketAddr::from(([198, 51, 100, network + number], port)),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0x51, 0, 0, 0, 0, u16::from(network + number)], port)),
    };
    let server = Server::new(&format!("server {number}"), address(0, 3478)).fault(fault).tcp(tcp);
    (if capable { server.alternate(address(100, 3479)) } else { server }, link)
}

/// The treatment of one address family by a gateway; mostly a NAT or firewall.
pub fn barrier() -> BoxedStrategy<Barrier> {
    prop_oneof![
        6 => translator().prop_map(Barrier::Translator),
        1 => Just(Barrier::Open),
        1 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(udp, tcp, sends_icmp)| Barrier::Blocked { udp, tcp, sends_icmp }),
    ]
    .boxed()
}

/// The fault of a server; mostly none.
pub fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![2 => Just(Fault::None), 1 => select(&Fault::EACH[..])]
}

fn tcp() -> impl Strategy<Value = Tcp> {
    select(vec![Tcp::Accepts, Tcp::Refuses, Tcp::Silent])
}

/// A link with a delay of up to 150 ms each way, that rarely loses, duplicates or reorders packets.
pub fn link() -> BoxedStrategy<Link> {
    let millis = |range: core::ops::RangeInclusive<u64>| range.prop_map(Duration::from_millis);
    let probability = || select(vec![0.0, 0.0, 0.0, 0.02, 0.1, 0.3]);
    (millis(0..=150), millis(0..=20), probability(), probability(), probability(), millis(1..=80))
        .prop_map(|(delay, jitter, loss, duplication, reordering, hold)| {
            Link::delay(delay).jitter(jitter).loss(loss).duplication(duplication).reordering(reordering, hold)
        })
        .boxed()
}

/// Any NAT or firewall. It shrinks towards the NAT of a common home router.
pub fn translator() -> BoxedStrategy<TranslatorConfig> {
    prop_oneof![4 => nat(), 1 => filtering().prop_map(TranslatorConfig::firewall)].boxed()
}

/// Any NAT that translates: every mapping, filtering, allocation, pooling, hairpinning, timers and refresh.
pub fn nat() -> BoxedStrategy<TranslatorConfig> {
    let behavior = (mapping(), filtering(), allocation(), pooling(), hairpin());
    let life = (timers(), refresh(), range(), prop_oneof![4 => Just(65_536_u32), 1 => 1..64_u32]);
    let switches = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (behavior, life, switches)
        .prop_map(|(behavior, life, (overloading, alg))| {
            let (mapping, filtering, allocation, pooling, hairpin) = behavior;
            let (timers, refresh, range, table_size) = life;
            TranslatorConfig::new(mapping, filtering)
                .ports(allocation)
                .pooling(pooling)
                .hairpin(hairpin)
                .timers(timers)
                .refresh(refresh)
                .range(range)
                .table_size(table_size)
                .overloading(overloading)
                .alg(alg)
        })
        .boxed()
}

/// A chain of up to two NATs or firewalls between a host and the Internet. The first one is next to the host.
pub fn chain() -> BoxedStrategy<Vec<TranslatorConfig>> {
    prop::collection::vec(translator(), 0..=2).boxed()
}

/// The mapping behaviour (RFC 4787 §4.1).
pub fn mapping() -> impl Strategy<Value = Mapping> {
    select(vec![Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent])
}

/// The filtering behaviour (RFC 4787 §5).
pub fn filtering() -> impl Strategy<Value = Filtering> {
    select(vec![Filtering::AddressAndPortDependent, Filtering::AddressDependent, Filtering::EndpointIndependent])
}

/// The port assignment (RFC 4787 §4.2).
pub fn allocation() -> BoxedStrategy<PortAllocation> {
    let step = prop_oneof![(1..=8_i16), (-8..=-1_i16)];
    prop_oneof![
        Just(PortAllocation::Preserving),
        step.prop_map(|step| PortAllocation::Sequential { step }),
        Just(PortAllocation::Random),
        (1..=4096_u16).prop_map(|size| PortAllocation::Block { size }),
    ]
    .boxed()
}

/// The IP address pooling behaviour (RFC 4787 §4.1).
pub fn pooling() -> impl Strategy<Value = Pooling> {
    select(vec![Pooling::Paired, Pooling::Arbitrary])
}

/// The hairpinning behaviour: the treatment of packets from inside to an external endpoint of the NAT (RFC 4787 §6).
pub fn hairpin() -> impl Strategy<Value = Hairpin> {
    select(vec![Hairpin::None, Hairpin::InternalSource, Hairpin::ExternalSource])
}

/// The lifetimes of mappings: seconds to minutes, rarely with an absolute limit.
pub fn timers() -> BoxedStrategy<Timers> {
    let absolute = proptest::option::weighted(0.2, (60..7200_u64).prop_map(Duration::from_secs));
    (1..=300_u64, 0..=300_u64, absolute)
        .prop_map(|(unreplied, more, absolute)| Timers {
            unreplied: Duration::from_secs(unreplied),
            replied: Duration::from_secs(unreplied + more),
            absolute,
        })
        .boxed()
}

/// The directions of the packets that refresh a mapping. Packets from inside always do (RFC 4787 REQ-6).
pub fn refresh() -> impl Strategy<Value = Refresh> {
    select(vec![Refresh::BOTH, Refresh::OUTBOUND])
}

/// The range of external ports: mostly large, sometimes at most 501 ports.
pub fn range() -> BoxedStrategy<PortRange> {
    prop_oneof![
        4 => select(vec![PortRange::UNPRIVILEGED, PortRange::DYNAMIC]),
        1 => (1024..=65_000_u16, 0..=500_u16).prop_map(|(first, more)| PortRange::new(first, first + more)),
    ]
    .boxed()
}
