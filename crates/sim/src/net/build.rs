//! Building a net: what is added to the map, and what can be changed while it runs.

use super::{HostId, Net, SegmentId, ServerId};
use crate::entropy::{CountingRng, HostRng};
use crate::gateway::{Gateway, GatewayState};
use crate::host::{Host, Sockets, Timer};
use crate::link::{Link, WireState};
use crate::map::{Map, Owner, Segment};
use crate::server::{Fault, Server, ServerState};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use portolan_machine::{Machine, SocketIds};

impl<M: Machine> Net<M> {
    /// The segment of public addresses.
    #[must_use]
    pub const fn internet(&self) -> SegmentId {
        SegmentId(0)
    }

    /// Puts a gateway on `link` into a segment; gives the segment on its inside.
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

    /// Puts a host on `link` into a segment, with these addresses and a machine.
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
            dice: HostRng::Seeded(Self::host_dice(self.seed, host.0)),
            ids: SocketIds::new(),
            sockets: Sockets::default(),
            interfaces: alloc::vec![interface],
            routes: Vec::new(),
            timer: Timer::default(),
            news: VecDeque::new(),
            rejects: true,
        });
        self.set_timer(host.0, Some(self.clock.now()));
        host
    }

    /// Gives a host one more way out, after those it has: another link, into the same segment or another.
    pub fn add_interface(&mut self, host: HostId, segment: SegmentId, addresses: &[IpAddr], link: &Link) {
        let interface = self.map.attach(Owner::Host(host.0), segment.0, addresses, link);
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.interfaces.push(interface);
        }
    }

    /// Makes a host send to `destination` by its `nth` interface, the first being 0.
    pub fn add_route(&mut self, host: HostId, destination: IpAddr, nth: usize) {
        if let Some(host) = self.hosts.get_mut(host.0)
            && let Some(interface) = host.interfaces.get(nth).copied()
        {
            host.routes.push((destination, interface));
        }
    }

    /// Puts a server on `link` into a segment.
    pub fn add_server(&mut self, segment: SegmentId, server: Server, link: &Link) -> ServerId {
        let id = ServerId(self.servers.len());
        let addresses: Vec<IpAddr> = server.addresses().collect();
        let interface = self.map.attach(Owner::Server(id.0), segment.0, &addresses, link);
        self.servers.push(ServerState::new(server, interface, Self::server_seed(self.seed, id.0)));
        id
    }

    /// Lets the machine of a host throw dice that count, so that a person can read its transaction ids.
    pub fn count_instead_of_dice(&mut self, host: HostId) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.dice = HostRng::Counting(CountingRng::default());
        }
    }

    /// Whether ports of a host where nobody listens answer with ICMP; they do unless told otherwise.
    pub fn set_rejects(&mut self, host: HostId, rejects: bool) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.rejects = rejects;
        }
    }

    /// Takes the `nth` interface of a host down or up. While it is down nothing leaves or arrives by it.
    pub fn set_interface(&mut self, host: HostId, nth: usize, is_up: bool) {
        let interface = self.hosts.get(host.0).and_then(|host| host.interfaces.get(nth).copied());
        if let Some(interface) = interface.and_then(|interface| self.map.interfaces.get_mut(interface)) {
            interface.is_up = is_up;
        }
    }

    /// Changes the link that a segment's gateway hangs on; what is on its way stays on its way.
    pub fn set_uplink(&mut self, inside: SegmentId, link: &Link) {
        let gateway = self.map.segments.get(inside.0).and_then(|segment| segment.gateway);
        let gateway = gateway.and_then(|gateway| self.map.gateways.get(gateway));
        if let Some(interface) = gateway.and_then(|gateway| self.map.interfaces.get_mut(gateway.interface)) {
            (interface.up, interface.down) = (WireState::new(&link.up), WireState::new(&link.down));
        }
    }

    /// Changes what is wrong with a server.
    pub fn set_fault(&mut self, server: ServerId, fault: Fault) {
        if let Some(server) = self.servers.get_mut(server.0) {
            server.config.fault = fault;
        }
    }
}
