//! The map: segments, their interfaces, and the interface for each address.
//!
//! A segment is a region in which addresses are unique: the Internet, or the inside of a gateway. A link connects each
//! interface to one segment. Each segment except the Internet has a gateway to the outside.

use crate::clock::Nanos;
use crate::entropy::SeededRng;
use crate::gateway::GatewayState;
use crate::link::{Link, WireState};
use alloc::vec::Vec;
use core::net::IpAddr;

/// The static structure of a net.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) gateways: Vec<GatewayState>,
}

/// The owner of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Host(usize),
    Server(usize),
    Gateway(usize),
}

/// A link into a segment, and the owner at its end.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) owner: Owner,
    pub(crate) segment: usize,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) up: WireState,
    pub(crate) down: WireState,
    /// An interface that is down neither sends nor receives.
    pub(crate) is_up: bool,
}

/// A region in which addresses are unique.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    /// Sorted by address.
    routes: Vec<(IpAddr, usize)>,
    /// The gateway to the outside; `None` for the Internet.
    pub(crate) gateway: Option<usize>,
    /// Whether the first exchange with a new neighbor (ARP, neighbor discovery) is lost.
    pub(crate) loses_first_exchange: bool,
}

/// One wire of a path: the link of an interface, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) interface: usize,
    /// Towards the segment.
    pub(crate) up: bool,
}

impl Segment {
    /// The interface that has `address` in this segment.
    pub(crate) fn route(&self, address: IpAddr) -> Option<usize> {
        // For a few addresses, linear search is faster than binary search.
        if self.routes.len() <= 12 {
            return self.routes.iter().find(|(ip, _)| *ip == address).map(|(_, interface)| *interface);
        }
        let place = self.routes.binary_search_by(|(ip, _)| ip.cmp(&address)).ok()?;
        self.routes.get(place).map(|(_, interface)| *interface)
    }

    /// Assigns an address to an interface. An interface that had the address before loses it.
    fn set(&mut self, address: IpAddr, interface: usize) {
        match self.routes.binary_search_by(|(ip, _)| ip.cmp(&address)) {
            Ok(place) => {
                if let Some(route) = self.routes.get_mut(place) {
                    route.1 = interface;
                }
            }
            Err(place) => self.routes.insert(place, (address, interface)),
        }
    }

    /// Removes an address that belongs to this interface. Returns whether it did.
    fn remove(&mut self, address: IpAddr, interface: usize) -> bool {
        let before = self.routes.len();
        self.routes.retain(|route| *route != (address, interface));
        self.routes.len() < before
    }
}

impl Map {
    pub(crate) fn new() -> Self {
        Self { interfaces: Vec::new(), segments: alloc::vec![Segment::default()], gateways: Vec::new() }
    }

    /// Adds an interface to a segment, and announces its addresses to all segments that can reach them.
    pub(crate) fn attach(&mut self, owner: Owner, segment: usize, addresses: &[IpAddr], link: &Link) -> usize {
        let interface = self.interfaces.len();
        self.interfaces.push(Interface {
            owner,
            segment,
            addresses: addresses.to_vec(),
            up: WireState::new(&link.up),
            down: WireState::new(&link.down),
            is_up: true,
        });
        for address in addresses {
            self.announce(*address, segment, interface);
        }
        interface
    }

    /// Adds an address to its segment and, through gateways that do not translate it, to the segments further out.
    fn announce(&mut self, address: IpAddr, mut segment: usize, mut interface: usize) {
        while let Some(place) = self.segments.get_mut(segment) {
            place.set(address, interface);
            let Some(gateway) = place.gateway.and_then(|gateway| self.gateways.get(gateway)) else { return };
            if !gateway.config.is_transparent(address.is_ipv4()) {
                return;
            }
            interface = gateway.interface;
            let Some(outer) = self.interfaces.get(interface) else { return };
            segment = outer.segment;
        }
    }

    /// Replaces the addresses of an interface.
    pub(crate) fn set_addresses(&mut self, number: usize, addresses: &[IpAddr]) {
        let Some(interface) = self.interfaces.get_mut(number) else { return };
        let (segment, old) = (interface.segment, core::mem::replace(&mut interface.addresses, addresses.to_vec()));
        for address in old {
            if !addresses.contains(&address) {
                self.withdraw(address, segment, number);
            }
        }
        for address in addresses {
            self.announce(*address, segment, number);
        }
    }

    /// Undoes [`announce`](Self::announce) in all segments where the address still belongs to this interface.
    fn withdraw(&mut self, address: IpAddr, mut segment: usize, mut interface: usize) {
        while let Some(place) = self.segments.get_mut(segment)
            && place.remove(address, interface)
        {
            let Some(gateway) = place.gateway.and_then(|gateway| self.gateways.get(gateway)) else { return };
            interface = gateway.interface;
            let Some(outer) = self.interfaces.get(interface) else { return };
            segment = outer.segment;
        }
    }

    /// The wire of a hop.
    pub(crate) fn wire(&self, hop: Hop) -> Option<&WireState> {
        let interface = self.interfaces.get(hop.interface)?;
        Some(if hop.up { &interface.up } else { &interface.down })
    }

    /// The wire of a hop, mutable.
    pub(crate) fn wire_mut(&mut self, hop: Hop) -> Option<&mut WireState> {
        let interface = self.interfaces.get_mut(hop.interface)?;
        Some(if hop.up { &mut interface.up } else { &mut interface.down })
    }

    /// The least time that a packet takes over these wires.
    pub(crate) fn delay(&self, hops: &[Hop], now: Nanos) -> Nanos {
        let wires = hops.iter().filter_map(|hop| self.wire(*hop));
        let held = wires.clone().map(|wire| wire.held(now)).max().unwrap_or(0);
        wires.fold(held, |sum, wire| sum.saturating_add(wire.delay()))
    }

    /// Whether a packet can pass this wire: its interface is up and the wire is not cut.
    pub(crate) fn is_passable(&self, hop: Hop) -> bool {
        let is_up = self.interfaces.get(hop.interface).is_some_and(|interface| interface.is_up);
        is_up && self.wire(hop).is_some_and(|wire| !wire.is_cut())
    }

    /// Whether an interface has this address.
    pub(crate) fn has_address(&self, interface: usize, address: IpAddr) -> bool {
        self.interfaces.get(interface).is_some_and(|interface| interface.addresses.contains(&address))
    }

    /// Clears packets and mappings. Keeps the structure and the settings, interfaces that are down included.
    pub(crate) fn reset(&mut self, seed: u64) {
        for interface in &mut self.interfaces {
            interface.up.reset();
            interface.down.reset();
        }
        for (gateway, n) in self.gateways.iter_mut().zip(0..) {
            gateway.reset(Self::gateway_seed(seed, n));
        }
    }

    pub(crate) const fn gateway_seed(seed: u64, gateway: u64) -> u64 {
        SeededRng::fork(seed, (1 << 40) | gateway).next_u64()
    }
}
