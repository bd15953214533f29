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
    /// The configured address. Port 0 is replaced by the assigned port when the socket is open.
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

    /// Changes the state. Returns `false` and changes nothing if the change is not allowed, for example if a driver
    /// repeats a socket event.
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

    /// Adds a group: one endpoint, or the four of a pair.
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

    /// The endpoint of an open socket.
    pub(super) fn open(&self, protocol: Protocol, id: SocketId) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| {
            let socket = endpoint.socket(protocol);
            socket.id == Some(id) && socket.state == SocketState::Open
        })
    }

    /// The endpoint and protocol of a socket in any state.
    pub(super) fn find(&self, id: SocketId) -> Option<(usize, Protocol)> {
        self.endpoints.iter().enumerate().find_map(|(index, endpoint)| match id {
            id if endpoint.udp.id == Some(id) => Some((index, Protocol::Udp)),
            id if endpoint.tcp.id == Some(id) => Some((index, Protocol::TcpListen)),
            _ => None,
        })
    }

    /// The endpoint that sends the response (RFC 5780 §6.1, table 1). Without an alternate it is the endpoint itself.
    pub(super) fn changed(&self, index: usize, change: ChangeRequest) -> usize {
        match self.endpoints.get(index).and_then(|endpoint| endpoint.pair) {
            Some(first) => first + ((index - first) ^ (usize::from(change.ip) | usize::from(change.port) << 1)),
            None => index,
        }
    }

    /// The other address and port; `None` unless all four sockets of the group are open (RFC 5780 §6).
    pub(super) fn other(&self, index: usize, protocol: Protocol) -> Option<SocketAddr> {
        let first = self.endpoints.get(index)?.pair?;
        let four = self.endpoints.get(first..first + 4)?;
        let all_open = four.iter().all(|endpoint| endpoint.socket(protocol).state == SocketState::Open);
        if !all_open {
            return None;
        }
        self.endpoints.get(self.changed(index, ChangeRequest::IP_AND_PORT)).map(|endpoint| endpoint.public)
    }

    /// The sockets that are ordered or open.
    pub(super) fn active(&self) -> impl Iterator<Item = SocketId> {
        let active = |socket: ListenSocket| {
            socket.id.filter(|_| matches!(socket.state, SocketState::Ordered | SocketState::Open))
        };
        self.endpoints.iter().flat_map(move |endpoint| [active(endpoint.udp), active(endpoint.tcp)]).flatten()
    }

    pub(super) fn ordered(&mut self, index: usize, protocol: Protocol, id: SocketId) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            let socket = endpoint.socket_mut(protocol);
            if socket.become_state(SocketState::Ordered) {
                socket.id = Some(id);
            }
        }
    }

    /// Marks a socket as open, and stores a port that the system assigned. Returns `false` if the socket was not
    /// ordered.
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

    /// Marks a socket as closed. Returns `false` if it was closed already.
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

    /// The source address of a response: the destination of the request, if the socket is bound to a wildcard. `None`
    /// if the socket has a specific address, or if the driver does not report the destination.
    pub(super) fn source_for(&self, request: Datagram<'_>) -> Option<IpAddr> {
        let destination = request.local.ip();
        (self.local.ip().is_unspecified() && !destination.is_unspecified()).then_some(destination)
    }

    /// The UDP socket, if it is open.
    pub(super) fn udp(&self) -> Option<SocketId> {
        self.udp.id.filter(|_| self.udp.state == SocketState::Open)
    }
}
