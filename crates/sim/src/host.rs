//! A host: a machine with its sockets and its addresses, in the roles of driver and operating system.
//!
//! Rules of this file: it binds, closes and finds sockets; it moves no packet. Socket ids only grow, so the sockets are
//! sorted by id. Ports have a separate index.

use crate::clock::Nanos;
use crate::entropy::{HostRng, SeededRng};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Open, Protocol, Refusal, SocketEvent, SocketId, SocketIds};

/// A machine and the system that runs it.
#[derive(Debug)]
pub(crate) struct Host<M> {
    pub(crate) name: Box<str>,
    pub(crate) machine: M,
    pub(crate) rng: HostRng,
    pub(crate) ids: SocketIds,
    pub(crate) sockets: Sockets,
    pub(crate) routing: Routing,
    pub(crate) timer: Timer,
    pub(crate) inbox: Inbox,
    pub(crate) system: System,
    pub(crate) stream_stats: StreamStats,
}

/// The interfaces and routes of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routing {
    /// Interfaces in the order of preference.
    pub(crate) interfaces: Vec<usize>,
    /// Destinations with a specific interface.
    pub(crate) routes: Vec<(IpAddr, usize)>,
    /// Whether an address was ever removed: packets to that address may still be in transit.
    pub(crate) are_readdressed: bool,
}

/// Socket events and stream bytes that the machine has not handled yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) socket_events: VecDeque<(SocketId, SocketEvent)>,
    /// Streams that may have bytes, or their end, for the machine.
    pub(crate) readable: VecDeque<SocketId>,
}

impl Inbox {
    pub(crate) fn clear(&mut self) {
        self.socket_events.clear();
        self.readable.clear();
    }

    /// Adds a stream that may have bytes for the machine.
    pub(crate) fn mark_readable(&mut self, socket: SocketId) {
        if !self.readable.contains(&socket) {
            self.readable.push_back(socket);
        }
    }

    /// Removes a socket that the machine has closed.
    pub(crate) fn forget(&mut self, socket: SocketId) {
        self.socket_events.retain(|(other, _)| *other != socket);
        self.readable.retain(|other| *other != socket);
    }
}

/// The behavior of the host's operating system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    /// Whether a port without a socket answers with ICMP.
    pub(crate) rejects: bool,
    /// Whether a stream ends at once when the host loses its address.
    pub(crate) aborts_streams: bool,
}

impl System {
    pub(crate) const ORDINARY: Self = Self { rejects: true, aborts_streams: true };
}

/// The deadline of the machine, and the time of its wake-up. Only the last wake-up on the clock is valid.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    pub(crate) wait: Option<Nanos>,
    pub(crate) set: Option<Nanos>,
}

/// Counts the bytes of a host's streams that did not reach a machine or a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// Droppable transmits that were dropped, because more than 64 KiB waited on their stream.
    pub dropped: u64,
    /// The bytes of the dropped transmits.
    pub dropped_bytes: u64,
    /// Bytes that arrived and that the machine rejected as not its own.
    pub unclaimed_bytes: u64,
}

/// A socket of a host.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    pub(crate) id: SocketId,
    pub(crate) protocol: Protocol,
    /// The bound address may be unspecified; the port is never 0.
    pub(crate) bound: SocketAddr,
    /// The stream that this socket is an end of.
    pub(crate) stream: Option<StreamId>,
    /// Whether the stream is established, not only requested.
    pub(crate) is_connected: bool,
    /// Whether the machine has paused the stream.
    pub(crate) is_paused: bool,
}

/// The id of a stream. No id is used twice in a run.
pub(crate) type StreamId = u64;

impl Socket {
    const fn new(id: SocketId, protocol: Protocol, bound: SocketAddr) -> Self {
        Self { id, protocol, bound, stream: None, is_connected: false, is_paused: false }
    }
}

/// The sockets of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets {
    /// Sorted by id.
    open: Vec<Socket>,
    /// Sorted by port, then id. Streams are not in the index, except listeners.
    ports: Vec<(u16, SocketId)>,
}

/// Dynamic ports (RFC 6335 §6): the range for sockets that are opened with port 0.
const DYNAMIC: core::ops::RangeInclusive<u16> = 49_152..=65_535;

impl Sockets {
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.ports.clear();
    }

    pub(crate) fn get(&self, id: SocketId) -> Option<&Socket> {
        self.place(id).and_then(|place| self.open.get(place))
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.place(id).and_then(|place| self.open.get_mut(place))
    }

    /// The ends of established streams.
    pub(crate) fn connected(&self) -> impl Iterator<Item = &Socket> {
        self.open.iter().filter(|socket| socket.is_connected)
    }

    fn place(&self, id: SocketId) -> Option<usize> {
        self.open.binary_search_by_key(&id, |socket| socket.id).ok()
    }

    /// The socket that receives packets to `local`. A socket bound to this address has precedence over a wildcard.
    pub(crate) fn receiver(&self, local: SocketAddr, listener: bool) -> Option<SocketId> {
        let mut wildcard = None;
        for id in self.on_port(local.port()) {
            let Some(socket) = self.get(id) else { continue };
            if socket.protocol.is_listener() != listener || socket.bound.is_ipv4() != local.is_ipv4() {
                continue;
            }
            if socket.bound.ip() == local.ip() {
                return Some(id);
            }
            if socket.bound.ip().is_unspecified() {
                wildcard = Some(id);
            }
        }
        wildcard
    }

    fn on_port(&self, port: u16) -> impl Iterator<Item = SocketId> + '_ {
        let first = self.ports.partition_point(|(p, _)| *p < port);
        self.ports.iter().skip(first).take_while(move |(p, _)| *p == port).map(|(_, id)| *id)
    }

    fn is_taken(&self, address: SocketAddr, stream: bool) -> bool {
        self.on_port(address.port()).any(|id| {
            self.get(id).is_some_and(|socket| {
                socket.protocol.is_stream() == stream
                    && socket.bound.is_ipv4() == address.is_ipv4()
                    && (socket.bound.ip() == address.ip()
                        || socket.bound.ip().is_unspecified()
                        || address.ip().is_unspecified())
            })
        })
    }

    /// Binds a socket. The returned port is never 0.
    pub(crate) fn bind(&mut self, order: &Open, rng: &mut SeededRng) -> Result<SocketAddr, Refusal> {
        let stream = order.protocol.is_stream();
        let mut bound = order.local;
        // An outgoing stream does not share its port, but needs no entry in the index.
        let indexed = !stream || order.protocol.is_listener();
        if bound.port() == 0 {
            let count = u64::from(DYNAMIC.end() - DYNAMIC.start()) + 1;
            let first = rng.below(count);
            let free = (0..count).find_map(|n| {
                let port = DYNAMIC.start() + u16::try_from((first + n) % count).ok()?;
                let candidate = SocketAddr::new(order.local.ip(), port);
                (!self.is_taken(candidate, stream)).then_some(candidate)
            });
            bound = free.ok_or(Refusal::TooManySockets)?;
        } else if indexed && self.is_taken(bound, stream) {
            return Err(Refusal::AddressInUse);
        }
        self.insert(Socket::new(order.id, order.protocol, bound), indexed);
        Ok(bound)
    }

    /// Adds a stream that a listener accepted.
    pub(crate) fn accept(&mut self, id: SocketId, bound: SocketAddr, stream: StreamId) {
        let socket = Socket::new(id, Protocol::Tcp, bound);
        self.insert(Socket { stream: Some(stream), is_connected: true, ..socket }, false);
    }

    fn insert(&mut self, socket: Socket, indexed: bool) {
        let (id, port) = (socket.id, socket.bound.port());
        let place = self.open.partition_point(|other| other.id < id);
        self.open.insert(place, socket);
        if indexed {
            let place = self.ports.partition_point(|entry| *entry < (port, id));
            self.ports.insert(place, (port, id));
        }
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let socket = self.open.remove(self.place(id)?);
        if let Ok(place) = self.ports.binary_search(&(socket.bound.port(), id)) {
            self.ports.remove(place);
        }
        Some(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: u64, protocol: Protocol, local: &str) -> Open {
        Open::new(SocketId(id), protocol, local.parse().unwrap())
    }

    #[test]
    fn the_most_specific_socket_receives() {
        let (mut sockets, mut rng) = (Sockets::default(), SeededRng::new(1));
        let mut bind = |sockets: &mut Sockets, order| sockets.bind(&order, &mut rng);
        assert!(bind(&mut sockets, order(1, Protocol::Udp, "10.0.0.2:99")).is_ok());
        assert_eq!(bind(&mut sockets, order(2, Protocol::Udp, "0.0.0.0:99")), Err(Refusal::AddressInUse));
        assert!(bind(&mut sockets, order(3, Protocol::TcpListen, "0.0.0.0:99")).is_ok());
        assert!(bind(&mut sockets, order(4, Protocol::Udp, "0.0.0.0:98")).is_ok());
        let receiver = |address: &str, listener| sockets.receiver(address.parse().unwrap(), listener);
        assert_eq!(receiver("10.0.0.2:99", false), Some(SocketId(1)));
        assert_eq!(receiver("10.0.0.3:99", false), None);
        assert_eq!(receiver("10.0.0.3:99", true), Some(SocketId(3)));
        assert_eq!(receiver("10.0.0.3:98", false), Some(SocketId(4)));
        assert_eq!(receiver("[::1]:98", false), None);
    }

    #[test]
    fn port_zero_gives_dynamic_ports_until_all_are_taken() {
        let (mut sockets, mut rng) = (Sockets::default(), SeededRng::new(1));
        for id in 1..=16_384 {
            let bound = sockets.bind(&order(id, Protocol::Udp, "0.0.0.0:0"), &mut rng).unwrap();
            assert!(DYNAMIC.contains(&bound.port()));
        }
        let refused = sockets.bind(&order(16_385, Protocol::Udp, "0.0.0.0:0"), &mut rng);
        assert_eq!(refused, Err(Refusal::TooManySockets));
        let freed = sockets.remove(SocketId(77)).unwrap().bound;
        assert_eq!(sockets.bind(&order(16_386, Protocol::Udp, "0.0.0.0:0"), &mut rng), Ok(freed));
    }
}
