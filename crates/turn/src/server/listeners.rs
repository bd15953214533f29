//! The listening sockets of a server, and its own addresses.
//!
//! Rules of this file: a server has a few listening sockets, so they are a list. Sockets of the owner are open from
//! the start, and the server does not close them.

use super::allocation::{ClientKey, ClientPath};
use super::config::{RelayAddress, ServerSocket};
use super::policy::OwnAddresses;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Cx, Datagram, Open, Protocol, SocketId};

/// The listening sockets.
#[derive(Clone, Debug)]
pub(super) struct Listeners {
    listeners: Vec<Listener>,
    relays: Vec<RelayAddress>,
    own: OwnAddresses,
    /// Whether the sockets belong to the owner.
    handed_in: bool,
}

/// A listening socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener {
    id: Option<SocketId>,
    pub(super) protocol: Protocol,
    pub(super) local: SocketAddr,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not ordered yet.
    Idle,
    /// Ordered, not open yet.
    Ordered,
    Open,
    /// Refused, lost or closed.
    Gone,
}

impl Listeners {
    /// Sockets that the server orders.
    pub(super) fn ordered(listen: &[(Protocol, SocketAddr)], relays: &[RelayAddress]) -> Self {
        let listener =
            |&(protocol, local): &(Protocol, SocketAddr)| Listener { id: None, protocol, local, state: State::Idle };
        Self::new(listen.iter().map(listener).collect(), relays, false)
    }

    /// Open sockets of the owner.
    pub(super) fn handed_in(sockets: &[ServerSocket], relays: &[RelayAddress]) -> Self {
        let listener = |socket: &ServerSocket| Listener {
            id: Some(socket.id),
            protocol: socket.protocol,
            local: socket.local,
            state: State::Open,
        };
        Self::new(sockets.iter().map(listener).collect(), relays, true)
    }

    fn new(listeners: Vec<Listener>, relays: &[RelayAddress], handed_in: bool) -> Self {
        let mut listeners = Self { listeners, relays: relays.to_vec(), own: OwnAddresses::new(), handed_in };
        listeners.learn();
        listeners
    }

    /// Whether the sockets belong to the owner.
    pub(super) const fn are_handed_in(&self) -> bool {
        self.handed_in
    }

    /// The addresses of the server, for the policy.
    pub(super) const fn own(&self) -> &OwnAddresses {
        &self.own
    }

    /// Whether a listener has this port, on any address.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.listeners.iter().any(|listener| listener.local.port() == port)
    }

    /// Collects the server's own addresses. Behind a 1:1 NAT a listener is reached by the public address too.
    fn learn(&mut self) {
        let mut own = OwnAddresses::new();
        for relay in &self.relays {
            own = own.with_relay(relay.public);
            if !relay.local.is_unspecified() {
                own = own.with_host(relay.local);
            }
        }
        for listener in self.listeners.iter().filter(|listener| listener.local.port() != 0) {
            own = own.with_listener(listener.local);
            for relay in self.relays.iter().filter(|relay| relay.local == listener.local.ip()) {
                own = own.with_listener(SocketAddr::new(relay.public, listener.local.port()));
            }
        }
        self.own = own;
    }

    /// The client of a datagram; `None` if the socket is not an open UDP socket of the server.
    #[inline]
    pub(super) fn client<'a>(&self, datagram: &'a Datagram<'_>) -> Option<ClientKey<'a>> {
        let listener = self.listeners.iter().find(|listener| listener.id == Some(datagram.socket))?;
        if listener.protocol != Protocol::Udp || listener.state != State::Open {
            return None;
        }
        let path = ClientPath::Udp(listener.source_for(&datagram.local));
        Some(ClientKey { socket: datagram.socket, remote: &datagram.remote, path })
    }

    /// Whether the socket is an open stream listener.
    pub(super) fn accepts(&self, id: SocketId) -> bool {
        let is_open = |listener: &Listener| listener.state == State::Open && listener.protocol.is_listener();
        self.listeners.iter().any(|listener| listener.id == Some(id) && is_open(listener))
    }

    /// The orders for all sockets, at the start.
    pub(super) fn order(&mut self, cx: &mut Cx<'_>) -> Vec<Open> {
        let idle = self.listeners.iter_mut().filter(|listener| listener.state == State::Idle);
        let order = idle.map(|listener| {
            let id = cx.next_socket();
            (listener.id, listener.state) = (Some(id), State::Ordered);
            Open::new(id, listener.protocol, listener.local)
        });
        order.collect()
    }

    /// Marks an ordered socket as open, with the port that the system assigned. `None` if it was not ordered.
    pub(super) fn opened(&mut self, id: SocketId, local: SocketAddr) -> Option<Listener> {
        let listener = self.listeners.iter_mut().find(|listener| listener.id == Some(id))?;
        if listener.state != State::Ordered {
            return None;
        }
        listener.state = State::Open;
        if listener.local.port() == 0 {
            listener.local.set_port(local.port());
        }
        let listener = *listener;
        self.learn();
        Some(listener)
    }

    /// Marks a socket as closed. `None` if it was not ordered or open.
    pub(super) fn closed(&mut self, id: SocketId) -> Option<Listener> {
        let listener = self.listeners.iter_mut().find(|listener| listener.id == Some(id))?;
        if !matches!(listener.state, State::Ordered | State::Open) {
            return None;
        }
        listener.state = State::Gone;
        Some(*listener)
    }

    /// Whether this is a listening socket in any state.
    pub(super) fn contains(&self, id: SocketId) -> bool {
        self.listeners.iter().any(|listener| listener.id == Some(id))
    }

    /// The sockets that the server closes at its end.
    pub(super) fn to_close(&self) -> impl Iterator<Item = SocketId> {
        let active = |listener: &&Listener| matches!(listener.state, State::Ordered | State::Open);
        self.listeners.iter().filter(|_| !self.handed_in).filter(active).filter_map(|listener| listener.id)
    }
}

impl Listener {
    /// The source address of datagrams to a client: the destination of its datagrams, if the socket is bound to a
    /// wildcard address. `None` if the driver does not report the destination.
    #[inline]
    fn source_for(&self, destination: &SocketAddr) -> Option<IpAddr> {
        let destination = self.local.ip().is_unspecified().then(|| destination.ip())?;
        (!destination.is_unspecified()).then_some(destination)
    }
}
