//! Builds a net: adds hosts, gateways and servers, and changes them during a run.

use super::{HostId, Net, SegmentId, ServerId};
use crate::clock::nanos;
use crate::entropy::{CountingRng, HostRng};
use crate::gateway::{Gateway, GatewayState};
use crate::host::{Host, Inbox, Routing, Sockets, StreamStats, System, Timer};
use crate::link::{Link, WireState};
use crate::map::{Map, Owner, Segment};
use crate::server::{Fault, Server, ServerState};
use alloc::vec::Vec;
use core::net::IpAddr;
use portolan_machine::{Instant, Machine, SocketIds};

impl<M: Machine> Net<M> {
    /// The Internet: the segment of public addresses.
    #[must_use]
    pub const fn internet(&self) -> SegmentId {
        SegmentId(0)
    }

    /// Adds a gateway to a segment over `link`. Returns the segment on the inside of the gateway.
    pub fn add_gateway(&mut self, outside: SegmentId, gateway: Gateway, link: &Link) -> SegmentId {
        let number = self.map.gateways.len();
        let interface = self.map.attach(Owner::Gateway(number), outside.0, &gateway.addresses, link);
        let inside = self.map.segments.len();
        self.map.segments.push(Segment::default());
        if let Some(segment) = self.map.segments.last_mut() {
            segment.gateway = Some(number);
        }
        let seed = Map::gateway_seed(self.seed, number as u64);
        self.map.gateways.push(GatewayState::new(gateway, interface, inside, seed));
        SegmentId(inside)
    }

    /// Adds a host to a segment over `link`, with these addresses and a machine.
    pub fn add_host(
        &mut self,
        segment: SegmentId,
        name: &str,
        addresses: &[IpAddr],
        link: &Link,
        machine: M,
    ) -> HostId {
        let host = HostId(self.hosts.len());
        let interface = self.map.attach(Owner::Host(host.0), segment.0, addresses, link);
        self.hosts.push(Host {
            name: name.into(),
            machine,
            rng: HostRng::Seeded(Self::host_rng(self.seed, host.0)),
            ids: SocketIds::new(),
            sockets: Sockets::default(),
            routing: Routing { interfaces: alloc::vec![interface], ..Routing::default() },
            timer: Timer::default(),
            inbox: Inbox::default(),
            system: System::ORDINARY,
            stream_stats: StreamStats::default(),
        });
        self.set_timer(host.0, Some(self.clock.now()));
        host
    }

    /// Adds an interface to a host, after the interfaces that it has: a link into the same segment or another one.
    pub fn add_interface(&mut self, host: HostId, segment: SegmentId, addresses: &[IpAddr], link: &Link) {
        let interface = self.map.attach(Owner::Host(host.0), segment.0, addresses, link);
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.routing.interfaces.push(interface);
        }
    }

    /// Routes `destination` over the host's `nth` interface; the first is 0.
    pub fn add_route(&mut self, host: HostId, destination: IpAddr, nth: usize) {
        if let Some(host) = self.hosts.get_mut(host.0)
            && let Some(interface) = host.routing.interfaces.get(nth).copied()
        {
            host.routing.routes.push((destination, interface));
        }
    }

    /// Adds a server to a segment over `link`.
    pub fn add_server(&mut self, segment: SegmentId, server: Server, link: &Link) -> ServerId {
        let id = ServerId(self.servers.len());
        let addresses: Vec<IpAddr> = server.addresses().collect();
        let interface = self.map.attach(Owner::Server(id.0), segment.0, &addresses, link);
        self.servers.push(ServerState::new(server, interface, Self::server_seed(self.seed, id.0)));
        id
    }

    /// Gives the machine of a host a counting RNG, so that its transaction ids are easy to read in a trace.
    pub fn set_counting_rng(&mut self, host: HostId) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.rng = HostRng::Counting(CountingRng::default());
        }
    }

    /// Sets whether ports of a host without a socket answer with ICMP. The default is yes.
    pub fn set_rejects(&mut self, host: HostId, rejects: bool) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.system.rejects = rejects;
        }
    }

    /// Sets whether the system of a host ends a stream at once when the host loses the stream's address. The default is
    /// yes.
    ///
    /// Android and Windows do so; the machine receives [`Closure::Reset`](portolan_machine::Closure::Reset), which the
    /// driver reports for ECONNABORTED. Linux does not: the stream lives until its retransmissions have failed for
    /// fifteen minutes ([`Closure::TimedOut`](portolan_machine::Closure::TimedOut)).
    pub fn set_aborts_streams(&mut self, host: HostId, aborts: bool) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.system.aborts_streams = aborts;
        }
    }

    /// Takes the `nth` interface of a host down or up. An interface that is down neither sends nor receives; its
    /// streams wait, and time out after fifteen minutes.
    pub fn set_interface(&mut self, host: HostId, nth: usize, is_up: bool) {
        let Some(number) = self.nth_interface(host, nth) else { return };
        if let Some(interface) = self.map.interfaces.get_mut(number) {
            interface.is_up = is_up;
        }
        if !is_up {
            self.forget_neighbors(number);
        }
    }

    /// Replaces the addresses of the `nth` interface of a host; an empty list removes all.
    ///
    /// Packets to an address that the host has lost do not arrive, packets in transit included. Sockets that are bound
    /// to this address stay open and send nothing. Its streams end, see
    /// [`set_aborts_streams`](Self::set_aborts_streams). The new addresses stay when the net is [reset](Self::reset).
    pub fn set_addresses(&mut self, host: HostId, nth: usize, addresses: &[IpAddr]) {
        let Some(number) = self.nth_interface(host, nth) else { return };
        self.map.set_addresses(number, addresses);
        self.forget_neighbors(number);
        let Some(at) = self.hosts.get_mut(host.0) else { return };
        at.routing.are_readdressed = true;
        if self.story.is_some() {
            self.log(host.0, format_args!("has other addresses: {addresses:?}"));
        }
        if self.hosts.get(host.0).is_some_and(|host| host.system.aborts_streams) {
            self.abort_streams(host.0);
            self.settle();
        }
    }

    fn nth_interface(&self, host: HostId, nth: usize) -> Option<usize> {
        self.hosts.get(host.0)?.routing.interfaces.get(nth).copied()
    }

    /// Changes the link of a segment's gateway. Packets in transit are not affected.
    pub fn set_uplink(&mut self, inside: SegmentId, link: &Link) {
        let gateway = self.map.segments.get(inside.0).and_then(|segment| segment.gateway);
        let gateway = gateway.and_then(|gateway| self.map.gateways.get(gateway));
        if let Some(interface) = gateway.and_then(|gateway| self.map.interfaces.get_mut(gateway.interface)) {
            (interface.up, interface.down) = (WireState::new(&link.up), WireState::new(&link.down));
        }
    }

    /// Holds back all packets on the link of a segment's gateway, in both directions, from now until `end`. Then they
    /// travel on in their order. Packets in transit are not affected.
    pub fn hold_uplink(&mut self, inside: SegmentId, end: Instant) {
        let end = nanos(end - Instant::ORIGIN);
        let gateway = self.map.segments.get(inside.0).and_then(|segment| segment.gateway);
        let gateway = gateway.and_then(|gateway| self.map.gateways.get(gateway));
        if let Some(interface) = gateway.and_then(|gateway| self.map.interfaces.get_mut(gateway.interface)) {
            interface.up.hold_until(end);
            interface.down.hold_until(end);
        }
    }

    /// Removes all mappings of a segment's gateway, as a restarted connection tracker does ([`Translator::flush`]).
    ///
    /// [`Translator::flush`]: portolan_nat::translator::Translator::flush
    pub fn flush_gateway(&mut self, inside: SegmentId) {
        let gateway = self.map.segments.get(inside.0).and_then(|segment| segment.gateway);
        if let Some(gateway) = gateway.and_then(|gateway| self.map.gateways.get_mut(gateway)) {
            gateway.flush();
        }
    }

    /// Changes the fault of a server.
    pub fn set_fault(&mut self, server: ServerId, fault: Fault) {
        if let Some(server) = self.servers.get_mut(server.0) {
            server.config.fault = fault;
        }
    }
}
