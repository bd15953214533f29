//! The sockets of a responder, with the alternate address and port of each.
//!
//! Rules of this file: an endpoint is one address and port with its UDP socket and its TCP listener. A group is one
//! endpoint, or four with an alternate, in the order A1:P1, A2:P1, A1:P2, A2:P2. So bit 0 of the index in the group
//! selects the address and bit 1 the port (RFC 5780 §6.1, table 1).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Datagram, Protocol, SocketId};
use portolan_stun::ChangeRequest;

/// All endpoints of a responder.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    endpoints: Vec<Endpoint>,
}

/// One address and port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    /// The ordered address; after the bind with the port that the system chose.
    pub(super) local: SocketAddr,
    /// The advertised address.
    pub(super) public: SocketAddr,
    /// The index of the first endpoint of its group, if it has an alternate.
    pair: Option<usize>,
    udp: ListenSocket,
    tcp: ListenSocket,
}

/// A socket and its state.
#[derive(Clone, Copy, Debug)]
struct ListenSocket {
    id: Option<SocketId>,
    state: SocketState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocketState {
    /// Not ordered yet.
    Idle,
    /// Ordered, not open yet.
    Ordered,
    /// Open.
    Open,
    /// Refused or lost.
    Gone,
}

/// The allowed changes of state.
const TRANSITIONS: &[(SocketState, SocketState)] = &[
    (SocketState::Idle, SocketState::Ordered),
    (SocketState::Ordered, SocketState::Open),
    (SocketState::Ordered, SocketState::Gone),
    (SocketState::Open, SocketState::Gone),
];

impl ListenSocket {
    const IDLE: Self = Self { id: None, state: SocketState::Idle };

    /// Returns `false` and changes nothing if the table has no such step, for example when a driver repeats a socket event.
    fn become_state(&mut self, next: SocketState) -> bool {
        let allowed = TRANSITIONS.contains(&(self.state, next));
        if allowed {
            self.state = next;
        }
        allowed
    }
}

impl Endpoints {
    pub(super) const fn new() -> Self {
        Self { endpoints: Vec::new() }
    }

    /// Adds a group: one socket, or the four of a pair.
    pub(super) fn add(&mut self, group: impl Iterator<Item = (SocketAddr, SocketAddr)>, paired: bool) {
        let pair = paired.then_some(self.endpoints.len());
        self.endpoints.extend(group.map(|(local, public)| Endpoint {
            local,
            public,
            pair,
            udp: ListenSocket::IDLE,
            tcp: ListenSocket::IDLE,
        }));
    }

    pub(super) const fn len(&self) -> usize {
        self.endpoints.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Endpoint> {
        self.endpoints.get(index)
    }

    /// The endpoint that an open socket belongs to.
    pub(super) fn open(&self, protocol: Protocol, id: SocketId) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| {
            let socket = endpoint.socket(protocol);
            socket.id == Some(id) && socket.state == SocketState::Open
        })
    }

    /// The endpoint and kind of any socket of ours.
    pub(super) fn find(&self, id: SocketId) -> Option<(usize, Protocol)> {
        self.endpoints.iter().enumerate().find_map(|(index, endpoint)| match id {
            id if endpoint.udp.id == Some(id) => Some((index, Protocol::Udp)),
            id if endpoint.tcp.id == Some(id) => Some((index, Protocol::TcpListen)),
            _ => None,
        })
    }

    /// The endpoint that sends the response (RFC 5780 §6.1, table 1); the endpoint itself without an alternate.
    pub(super) fn changed(&self, index: usize, change: ChangeRequest) -> usize {
        match self.endpoints.get(index).and_then(|endpoint| endpoint.pair) {
            Some(first) => first + ((index - first) ^ (usize::from(change.ip) | usize::from(change.port) << 1)),
            None => index,
        }
    }

    /// The other address and port, if all four sockets of the group are open (RFC 5780 §6: else there is no alternate).
    pub(super) fn other(&self, index: usize, protocol: Protocol) -> Option<SocketAddr> {
        let first = self.endpoints.get(index)?.pair?;
        let four = self.endpoints.get(first..first + 4)?;
        let all_open = four.iter().all(|endpoint| endpoint.socket(protocol).state == SocketState::Open);
        if !all_open {
            return None;
        }
        self.endpoints.get(self.changed(index, ChangeRequest::IP_AND_PORT)).map(|endpoint| endpoint.public)
    }

    /// The sockets that are ordered or open, for the end of the responder.
    pub(super) fn live(&self) -> impl Iterator<Item = SocketId> {
        let live = |socket: ListenSocket| {
            socket.id.filter(|_| matches!(socket.state, SocketState::Ordered | SocketState::Open))
        };
        self.endpoints.iter().flat_map(move |endpoint| [live(endpoint.udp), live(endpoint.tcp)]).flatten()
    }

    pub(super) fn ordered(&mut self, index: usize, protocol: Protocol, id: SocketId) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            let socket = endpoint.socket_mut(protocol);
            if socket.become_state(SocketState::Ordered) {
                socket.id = Some(id);
            }
        }
    }

    /// The socket is open; `false` where it was open already. A port that the system chose is kept.
    pub(super) fn opened(&mut self, index: usize, protocol: Protocol, local: SocketAddr) -> bool {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return false };
        if !endpoint.socket_mut(protocol).become_state(SocketState::Open) {
            return false;
        }
        if endpoint.local.port() == 0 {
            endpoint.local.set_port(local.port());
            endpoint.public.set_port(local.port());
        }
        true
    }

    /// The socket is closed; `false` where it was closed already.
    pub(super) fn closed(&mut self, index: usize, protocol: Protocol) -> bool {
        self.endpoints
            .get_mut(index)
            .is_some_and(|endpoint| endpoint.socket_mut(protocol).become_state(SocketState::Gone))
    }
}

impl Endpoint {
    const fn socket(&self, protocol: Protocol) -> &ListenSocket {
        if protocol.is_stream() { &self.tcp } else { &self.udp }
    }

    const fn socket_mut(&mut self, protocol: Protocol) -> &mut ListenSocket {
        if protocol.is_stream() { &mut self.tcp } else { &mut self.udp }
    }

    /// The source address of a response to this request: the address that the request came to, where the socket is bound
    /// to a wildcard. `None` where the socket has a specific address, and where the driver does not know the address.
    pub(super) fn source_for(&self, request: Datagram<'_>) -> Option<IpAddr> {
        let asked = request.local.ip();
        (self.local.ip().is_unspecified() && !asked.is_unspecified()).then_some(asked)
    }

    /// Its UDP socket, if that is open.
    pub(super) fn udp(&self) -> Option<SocketId> {
        self.udp.id.filter(|_| self.udp.state == SocketState::Open)
    }
}
