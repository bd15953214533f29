//! A host: a machine, its sockets and its addresses, as a driver and an operating system would hold them.
//!
//! Rules of this file: it binds, closes and finds sockets; it moves no packet. Ids only ever grow, so sockets lie
//! sorted by id; ports have an index of their own.

use crate::clock::Nanos;
use crate::entropy::{HostRng, SeededRng};
use crate::net::StreamStats;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Open, Protocol, Refusal, SocketId, SocketIds, SocketNews};

/// A machine and the system it runs on.
#[derive(Debug)]
pub(crate) struct Host<M> {
    pub(crate) name: Box<str>,
    pub(crate) machine: M,
    pub(crate) dice: HostRng,
    pub(crate) ids: SocketIds,
    pub(crate) sockets: Sockets,
    pub(crate) ways: Ways,
    pub(crate) timer: Timer,
    pub(crate) inbox: Inbox,
    pub(crate) system: System,
    pub(crate) stream_stats: StreamStats,
}

/// The ways out of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    /// Interfaces in the order of preference.
    pub(crate) interfaces: Vec<usize>,
    /// Destinations that leave by an interface of their own.
    pub(crate) routes: Vec<(IpAddr, usize)>,
    /// Whether an address was ever taken away: packets to it may then still be on their way.
    pub(crate) are_readdressed: bool,
}

/// What the machine has not been told or given yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) news: VecDeque<(SocketId, SocketNews)>,
    /// Streams that may have bytes, or their end, for the machine.
    pub(crate) readable: VecDeque<SocketId>,
}

impl Inbox {
    pub(crate) fn clear(&mut self) {
        self.news.clear();
        self.readable.clear();
    }

    /// Remembers a stream that may have bytes for the machine.
    pub(crate) fn mark_readable(&mut self, socket: SocketId) {
        if !self.readable.contains(&socket) {
            self.readable.push_back(socket);
        }
    }

    /// Forgets a socket that the machine has closed.
    pub(crate) fn forget(&mut self, socket: SocketId) {
        self.news.retain(|(other, _)| *other != socket);
        self.readable.retain(|other| *other != socket);
    }
}

/// How the host's operating system behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    /// Whether ports where nobody listens answer with ICMP.
    pub(crate) rejects: bool,
    /// Whether streams end at once with an address that the host loses.
    pub(crate) aborts_streams: bool,
}

impl System {
    pub(crate) const ORDINARY: Self = Self { rejects: true, aborts_streams: true };
}

/// When the machine wants to be woken, and when it will be: at most one entry of the agenda counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    pub(crate) wait: Option<Nanos>,
    pub(crate) set: Option<Nanos>,
}

/// A socket of a host.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    pub(crate) id: SocketId,
    pub(crate) protocol: Protocol,
    /// As bound: the address may be unspecified, the port never is 0.
    pub(crate) bound: SocketAddr,
    /// The stream that this socket is an end of.
    pub(crate) stream: Option<StreamId>,
    /// Whether the stream is open, not only ordered.
    pub(crate) is_connected: bool,
    /// Whether the machine has paused the stream.
    pub(crate) is_paused: bool,
}

/// A stream of a net. Numbers are never used twice in a run.
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
    /// Sorted by port, then id; streams that are no listeners are not in it.
    ports: Vec<(u16, SocketId)>,
}

/// Dynamic ports (RFC 6335 §6): what the system gives where port 0 is asked for.
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

    /// The ends of streams that are open.
    pub(crate) fn connected(&self) -> impl Iterator<Item = &Socket> {
        self.open.iter().filter(|socket| socket.is_connected)
    }

    fn place(&self, id: SocketId) -> Option<usize> {
        self.open.binary_search_by_key(&id, |socket| socket.id).ok()
    }

    /// Who hears what comes to `local`: the socket bound to that very address before the one bound to all.
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

    /// Binds a socket; the port of the answer is never 0.
    pub(crate) fn bind(&mut self, order: &Open, dice: &mut SeededRng) -> Result<SocketAddr, Refusal> {
        let stream = order.protocol.is_stream();
        let mut bound = order.local;
        // A stream that is opened shares its port with nobody but needs no place in the index.
        let indexed = !stream || order.protocol.is_listener();
        if bound.port() == 0 {
            let count = u64::from(DYNAMIC.end() - DYNAMIC.start()) + 1;
            let first = dice.below(count);
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
    fn the_closest_socket_hears() {
        let (mut sockets, mut dice) = (Sockets::default(), SeededRng::new(1));
        let mut bind = |sockets: &mut Sockets, order| sockets.bind(&order, &mut dice);
        assert!(bind(&mut sockets, order(1, Protocol::Udp, "10.0.0.2:99")).is_ok());
        assert_eq!(bind(&mut sockets, order(2, Protocol::Udp, "0.0.0.0:99")), Err(Refusal::AddressInUse));
        assert!(bind(&mut sockets, order(3, Protocol::TcpListen, "0.0.0.0:99")).is_ok());
        assert!(bind(&mut sockets, order(4, Protocol::Udp, "0.0.0.0:98")).is_ok());
        let hears = |address: &str, listener| sockets.receiver(address.parse().unwrap(), listener);
        assert_eq!(hears("10.0.0.2:99", false), Some(SocketId(1)));
        assert_eq!(hears("10.0.0.3:99", false), None);
        assert_eq!(hears("10.0.0.3:99", true), Some(SocketId(3)));
        assert_eq!(hears("10.0.0.3:98", false), Some(SocketId(4)));
        assert_eq!(hears("[::1]:98", false), None);
    }

    #[test]
    fn port_zero_gives_dynamic_ports_until_there_are_none() {
        let (mut sockets, mut dice) = (Sockets::default(), SeededRng::new(1));
        for id in 1..=16_384 {
            let bound = sockets.bind(&order(id, Protocol::Udp, "0.0.0.0:0"), &mut dice).unwrap();
            assert!(DYNAMIC.contains(&bound.port()));
        }
        let refused = sockets.bind(&order(16_385, Protocol::Udp, "0.0.0.0:0"), &mut dice);
        assert_eq!(refused, Err(Refusal::TooManySockets));
        let freed = sockets.remove(SocketId(77)).unwrap().bound;
        assert_eq!(sockets.bind(&order(16_386, Protocol::Udp, "0.0.0.0:0"), &mut dice), Ok(freed));
    }
}
