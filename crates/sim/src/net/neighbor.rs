//! Neighbors: a segment where the first exchange of ARP or neighbor discovery is lost.
//!
//! In such a segment ([`Net::set_first_exchange_lost`]) the first packet from one interface to another waits one
//! second. The request for the neighbor's link-layer address is lost, and the system retransmits it (RFC 4861 §10,
//! RETRANS_TIMER; Linux `retrans_time_ms` for ARP too). All packets to that neighbor wait with it.
//!
//! The second request gives the neighbor the address of the sender, so nothing waits in the other direction. If the
//! neighbor sends first, its own request arrives, and both directions are open at once.
//!
//! This behavior was measured between two Linux hosts. Of 500 small datagrams in that second, the last 256 arrived.

use super::{Net, SegmentId, Wake};
use crate::clock::{Nanos, instant};
use crate::packet::{Packet, Place};
use crate::story::PacketFate;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use portolan_machine::Machine;

/// The time until the system retransmits the request.
const RETRANSMISSION: Nanos = 1_000_000_000;

/// The most packets that wait for one neighbor. A newer packet replaces the oldest.
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

/// The state of an exchange.
#[derive(Debug)]
enum Exchange {
    /// The first request was lost.
    Waiting {
        requester: Neighbor,
        until: Nanos,
        packets: VecDeque<Box<Packet>>,
    },
    Done,
}

/// The exchanges between neighbors.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    /// Whether any segment loses first exchanges.
    is_used: bool,
    exchanges: BTreeMap<Pair, Exchange>,
}

impl Neighbors {
    /// Clears all exchanges and returns the packets that waited.
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
    /// Sets whether the first exchange of ARP or neighbor discovery between two interfaces of a segment is lost. The
    /// first packets to a new neighbor then wait one second. Otherwise neighbors are known from the start.
    pub fn set_first_exchange_lost(&mut self, segment: SegmentId, is_lost: bool) {
        if let Some(segment) = self.map.segments.get_mut(segment.0) {
            segment.loses_first_exchange = is_lost;
        }
        self.transit.neighbors.is_used = self.map.segments.iter().any(|segment| segment.loses_first_exchange);
    }

    /// The next hop in a segment for packets to `destination`; `None`: no route.
    pub(super) fn next_hop(&self, segment: usize, destination: IpAddr) -> Option<Neighbor> {
        let segment = self.map.segments.get(segment)?;
        let gateway = segment.gateway.map(|_| Neighbor::Gateway);
        segment.route(destination).map(Neighbor::Interface).or(gateway)
    }

    /// Queues a packet from an interface if its next hop is unresolved. Returns the packet if it need not wait.
    pub(super) fn wait_for_next_hop(&mut self, packet: Box<Packet>, interface: usize) -> Option<Box<Packet>> {
        let segment = self.map.interfaces.get(interface).map(|interface| interface.segment);
        let next = segment.and_then(|segment| Some((segment, self.next_hop(segment, packet.destination.ip())?)));
        match next {
            Some((segment, next)) => self.wait_for_neighbor(packet, segment, Neighbor::Interface(interface), next),
            None => Some(packet),
        }
    }

    /// Queues a packet from a gateway to the inside if the neighbor is unresolved. Returns the packet if it need not
    /// wait.
    pub(super) fn wait_inside(&mut self, packet: Box<Packet>, gateway: usize) -> Option<Box<Packet>> {
        let inside = self.map.gateways.get(gateway).map(|gateway| gateway.inside);
        match (inside, packet.place) {
            (Some(inside), Place::Down(interface)) => {
                self.wait_for_neighbor(packet, inside, Neighbor::Gateway, Neighbor::Interface(interface))
            }
            (_, Place::Up(_) | Place::Down(_) | Place::AtSegment(_) | Place::AtOwner(_)) => Some(packet),
        }
    }

    /// Queues a packet if its neighbor is unresolved. Returns the packet if it need not wait.
    pub(super) fn wait_for_neighbor(
        &mut self,
        packet: Box<Packet>,
        segment: usize,
        requester: Neighbor,
        neighbor: Neighbor,
    ) -> Option<Box<Packet>> {
        self.request(segment, requester, neighbor, self.clock.now());
        let pair = Pair::new(segment, requester, neighbor);
        let Some(Exchange::Waiting { packets, .. }) = self.transit.neighbors.exchanges.get_mut(&pair) else {
            return Some(packet);
        };
        packets.push_back(packet);
        if packets.len() > QUEUE
            && let Some(oldest) = packets.pop_front()
        {
            self.transit.ledger.lost += 1;
            self.record(None, &oldest, || PacketFate::Lost);
            self.transit.pool.recycle(oldest);
        }
        None
    }

    /// The time that the first segment of a stream waits for a neighbor, if the segment gets there after `delay`.
    pub(super) fn neighbor_wait(
        &mut self,
        segment: usize,
        requester: Neighbor,
        neighbor: Neighbor,
        delay: Nanos,
    ) -> Nanos {
        let at = self.clock.now().saturating_add(delay);
        self.request(segment, requester, neighbor, at);
        match self.transit.neighbors.exchanges.get(&Pair::new(segment, requester, neighbor)) {
            Some(Exchange::Waiting { until, .. }) => until.saturating_sub(at),
            Some(Exchange::Done) | None => 0,
        }
    }

    /// Starts an exchange with a new neighbor, or completes an exchange that the neighbor started.
    fn request(&mut self, segment: usize, requester: Neighbor, neighbor: Neighbor, at: Nanos) {
        let loses = self.map.segments.get(segment).is_some_and(|segment| segment.loses_first_exchange);
        if !loses || requester == neighbor {
            return;
        }
        let pair = Pair::new(segment, requester, neighbor);
        match self.transit.neighbors.exchanges.get(&pair) {
            None => {
                let until = at.saturating_add(RETRANSMISSION);
                let exchange = Exchange::Waiting { requester, until, packets: VecDeque::new() };
                self.transit.neighbors.exchanges.insert(pair, exchange);
                self.clock.schedule(until, Wake::Neighbor(Box::new(pair)));
                self.log_exchange(segment, requester);
            }
            Some(Exchange::Waiting { requester: first, .. }) if *first != requester => self.finish_exchange(pair),
            Some(Exchange::Waiting { .. } | Exchange::Done) => {}
        }
    }

    /// The second request of an exchange arrives, if the exchange is still pending.
    pub(super) fn exchange_is_due(&mut self, pair: Pair) {
        let now = self.clock.now();
        if let Some(Exchange::Waiting { until, .. }) = self.transit.neighbors.exchanges.get(&pair)
            && *until <= now
        {
            self.finish_exchange(pair);
        }
    }

    /// Completes an exchange: queued packets move on.
    fn finish_exchange(&mut self, pair: Pair) {
        let waited = self.transit.neighbors.exchanges.insert(pair, Exchange::Done);
        self.transit.ready.extend(waited.map(Exchange::into_packets).unwrap_or_default());
    }

    /// Removes the exchanges of an interface that went down or has new addresses. Queued packets are lost.
    pub(super) fn forget_neighbors(&mut self, interface: usize) {
        let now = instant(self.clock.now());
        let story = &mut self.story;
        let super::Transit { neighbors, ledger, pool, .. } = &mut self.transit;
        neighbors.exchanges.retain(|pair, exchange| {
            let is_gone = pair.both.contains(&Neighbor::Interface(interface));
            if is_gone && let Exchange::Waiting { packets, .. } = exchange {
                ledger.lost += packets.len() as u64;
                for packet in packets.drain(..) {
                    if let Some(story) = story.as_mut() {
                        story.add_packet(now, "internet", &packet, PacketFate::Lost);
                    }
                    pool.recycle(packet);
                }
            }
            !is_gone
        });
    }

    /// Logs a lost request under the name of its sender.
    fn log_exchange(&mut self, segment: usize, requester: Neighbor) {
        let interface = match requester {
            Neighbor::Interface(interface) => Some(interface),
            Neighbor::Gateway => {
                let gateway = self.map.segments.get(segment).and_then(|segment| segment.gateway);
                gateway.and_then(|gateway| self.map.gateways.get(gateway)).map(|gateway| gateway.interface)
            }
        };
        if let Some(interface) = interface {
            self.log_for_interface(interface, |story, now, name| {
                story.add_line(now, name, "loses its first request for a new neighbor: packets wait 1 s");
            });
        }
    }
}
