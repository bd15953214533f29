//! Neighbors: the first exchange of ARP or neighbor discovery in a segment where it is lost.
//!
//! In such a segment ([`Net::set_first_exchange_lost`]) the first packet from one interface to another waits one second:
//! the request for the neighbor's link-layer address is lost, and the system asks again (RFC 4861 §10,
//! RETRANS_TIMER; Linux `retrans_time_ms` for ARP too). All packets to that neighbor wait with it. The request that gets
//! through tells the neighbor the address of the asker, so nothing waits in the other direction. If the neighbor sends
//! first, its own request gets through, and both directions are open at once. So it was measured between two Linux hosts,
//! and that of 500 small datagrams in that second the last 256 arrive.

use super::{Net, SegmentId, Wake};
use crate::clock::Nanos;
use crate::packet::{Packet, Place};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use portolan_machine::Machine;

/// How long the system waits before it asks again.
const RETRANSMISSION: Nanos = 1_000_000_000;

/// The packets that may wait for one neighbor. The oldest is dropped for a newer one.
const QUEUE: usize = 256;

/// A neighbor in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Neighbor {
    Interface(usize),
    /// The inside of the segment's gateway.
    Gateway,
}

/// Two neighbors in a segment, the smaller one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    segment: usize,
    both: [Neighbor; 2],
}

impl Pair {
    fn new(segment: usize, one: Neighbor, other: Neighbor) -> Self {
        Self { segment, both: if one < other { [one, other] } else { [other, one] } }
    }
}

/// How far an exchange is.
#[derive(Debug)]
enum Exchange {
    /// The first request was lost.
    Waiting {
        asker: Neighbor,
        until: Nanos,
        packets: VecDeque<Box<Packet>>,
    },
    Done,
}

/// What neighbors know of each other.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    /// Whether there is a segment that loses first exchanges.
    is_used: bool,
    exchanges: BTreeMap<Pair, Exchange>,
}

impl Neighbors {
    /// Forgets all exchanges, and gives the packets that wait.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Box<Packet>> + '_ {
        core::mem::take(&mut self.exchanges).into_values().flat_map(Exchange::into_packets)
    }

    pub(super) const fn is_used(&self) -> bool {
        self.is_used
    }
}

impl Exchange {
    fn into_packets(self) -> VecDeque<Box<Packet>> {
        match self {
            Self::Waiting { packets, .. } => packets,
            Self::Done => VecDeque::new(),
        }
    }
}

impl<M: Machine> Net<M> {
    /// Sets whether the first exchange of ARP or neighbor discovery between two interfaces of a segment is lost: the first
    /// packet to a new neighbor, and those behind it, then wait one second. Otherwise neighbors are known.
    pub fn set_first_exchange_lost(&mut self, segment: SegmentId, is_lost: bool) {
        if let Some(segment) = self.map.segments.get_mut(segment.0) {
            segment.loses_first_exchange = is_lost;
        }
        self.transit.neighbors.is_used = self.map.segments.iter().any(|segment| segment.loses_first_exchange);
    }

    /// The neighbor in a segment that a packet to `destination` goes to; `None`: there is no way.
    pub(super) fn next_hop(&self, segment: usize, destination: IpAddr) -> Option<Neighbor> {
        let segment = self.map.segments.get(segment)?;
        let gateway = segment.gateway.map(|_| Neighbor::Gateway);
        segment.route(destination).map(Neighbor::Interface).or(gateway)
    }

    /// Lets a packet wait that leaves an interface towards its segment for a new neighbor. Returns it if it need not wait.
    pub(super) fn wait_for_next_hop(&mut self, packet: Box<Packet>, interface: usize) -> Option<Box<Packet>> {
        let segment = self.map.interfaces.get(interface).map(|interface| interface.segment);
        let next = segment.and_then(|segment| Some((segment, self.next_hop(segment, packet.destination.ip())?)));
        match next {
            Some((segment, next)) => self.wait_for_neighbor(packet, segment, Neighbor::Interface(interface), next),
            None => Some(packet),
        }
    }

    /// Lets a packet wait that a gateway sends inside to a new neighbor. Returns it if it need not wait.
    pub(super) fn wait_inside(&mut self, packet: Box<Packet>, gateway: usize) -> Option<Box<Packet>> {
        let inside = self.map.gateways.get(gateway).map(|gateway| gateway.inside);
        match (inside, packet.place) {
            (Some(inside), Place::Down(interface)) => {
                self.wait_for_neighbor(packet, inside, Neighbor::Gateway, Neighbor::Interface(interface))
            }
            (_, Place::Up(_) | Place::Down(_) | Place::AtSegment(_) | Place::AtOwner(_)) => Some(packet),
        }
    }

    /// Lets a packet wait that goes to a new neighbor. Returns it if it need not wait.
    pub(super) fn wait_for_neighbor(
        &mut self,
        packet: Box<Packet>,
        segment: usize,
        asker: Neighbor,
        neighbor: Neighbor,
    ) -> Option<Box<Packet>> {
        self.ask(segment, asker, neighbor, self.clock.now());
        let pair = Pair::new(segment, asker, neighbor);
        let Some(Exchange::Waiting { packets, .. }) = self.transit.neighbors.exchanges.get_mut(&pair) else {
            return Some(packet);
        };
        packets.push_back(packet);
        if packets.len() > QUEUE
            && let Some(oldest) = packets.pop_front()
        {
            self.transit.ledger.lost += 1;
            self.transit.pool.recycle(oldest);
        }
        None
    }

    /// How long the first segment of a stream waits for a neighbor to which it comes after `delay`.
    pub(super) fn neighbor_wait(&mut self, segment: usize, asker: Neighbor, neighbor: Neighbor, delay: Nanos) -> Nanos {
        let at = self.clock.now().saturating_add(delay);
        self.ask(segment, asker, neighbor, at);
        match self.transit.neighbors.exchanges.get(&Pair::new(segment, asker, neighbor)) {
            Some(Exchange::Waiting { until, .. }) => until.saturating_sub(at),
            Some(Exchange::Done) | None => 0,
        }
    }

    /// Begins an exchange with a neighbor that is new, or completes one that the neighbor began.
    fn ask(&mut self, segment: usize, asker: Neighbor, neighbor: Neighbor, at: Nanos) {
        let loses = self.map.segments.get(segment).is_some_and(|segment| segment.loses_first_exchange);
        if !loses || asker == neighbor {
            return;
        }
        let pair = Pair::new(segment, asker, neighbor);
        match self.transit.neighbors.exchanges.get(&pair) {
            None => {
                let until = at.saturating_add(RETRANSMISSION);
                let exchange = Exchange::Waiting { asker, until, packets: VecDeque::new() };
                self.transit.neighbors.exchanges.insert(pair, exchange);
                self.clock.put(until, Wake::Neighbor(Box::new(pair)));
                self.tell_exchange(segment, asker);
            }
            Some(Exchange::Waiting { asker: first, .. }) if *first != asker => self.finish_exchange(pair),
            Some(Exchange::Waiting { .. } | Exchange::Done) => {}
        }
    }

    /// The second request of an exchange gets through, if it is still asked for.
    pub(super) fn exchange_is_due(&mut self, pair: Pair) {
        let now = self.clock.now();
        if let Some(Exchange::Waiting { until, .. }) = self.transit.neighbors.exchanges.get(&pair)
            && *until <= now
        {
            self.finish_exchange(pair);
        }
    }

    /// Both neighbors know each other: what waited goes on.
    fn finish_exchange(&mut self, pair: Pair) {
        let waited = self.transit.neighbors.exchanges.insert(pair, Exchange::Done);
        self.transit.ready.extend(waited.map(Exchange::into_packets).unwrap_or_default());
    }

    /// Forgets what others know of an interface that went down or has other addresses, and what it knows of them. Packets
    /// that wait are lost.
    pub(super) fn forget_neighbors(&mut self, interface: usize) {
        let super::Transit { neighbors, ledger, pool, .. } = &mut self.transit;
        neighbors.exchanges.retain(|pair, exchange| {
            let is_gone = pair.both.contains(&Neighbor::Interface(interface));
            if is_gone && let Exchange::Waiting { packets, .. } = exchange {
                ledger.lost += packets.len() as u64;
                packets.drain(..).for_each(|packet| pool.recycle(packet));
            }
            !is_gone
        });
    }

    /// Tells under whose name a request is lost.
    fn tell_exchange(&mut self, segment: usize, asker: Neighbor) {
        let interface = match asker {
            Neighbor::Interface(interface) => Some(interface),
            Neighbor::Gateway => {
                let gateway = self.map.segments.get(segment).and_then(|segment| segment.gateway);
                gateway.and_then(|gateway| self.map.gateways.get(gateway)).map(|gateway| gateway.interface)
            }
        };
        if let Some(interface) = interface {
            self.tell(interface, |story, now, who| {
                story.tell(now, who, "loses its first request for a new neighbor: packets wait 1 s");
            });
        }
    }
}
