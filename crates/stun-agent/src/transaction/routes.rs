//! An index of the pending requests by socket and destination.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use portolan_machine::SocketId;
use portolan_stun::TransactionId;

/// The socket and destination of a request, and its number in the order of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) socket: SocketId,
    pub(super) remote: SocketAddr,
    pub(super) number: u64,
}

/// The routes of all pending requests, with their current ids.
///
/// Most requests receive their response before the next request is made. The youngest route is therefore stored
/// outside of the ordered map, so that such a request never enters the map.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    older: BTreeMap<Route, TransactionId>,
    youngest: Option<(Route, TransactionId)>,
}

impl Routes {
    pub(super) const fn new() -> Self {
        Self { older: BTreeMap::new(), youngest: None }
    }

    /// Adds the route of a request that is younger than all others.
    pub(super) fn add(&mut self, route: Route, id: TransactionId) {
        if let Some((route, id)) = self.youngest.replace((route, id)) {
            self.older.insert(route, id);
        }
    }

    pub(super) fn remove(&mut self, route: Route) {
        if self.youngest.is_some_and(|(youngest, _)| youngest == route) {
            self.youngest = None;
        } else {
            self.older.remove(&route);
        }
    }

    /// Replaces the route and the id of a request.
    pub(super) fn replace(&mut self, was: Route, route: Route, id: TransactionId) {
        match &mut self.youngest {
            Some(youngest) if youngest.0 == was => *youngest = (route, id),
            Some(_) | None => {
                self.older.remove(&was);
                self.older.insert(route, id);
            }
        }
    }

    /// Whether a request is pending on this socket.
    pub(super) fn has_socket(&self, socket: SocketId) -> bool {
        self.youngest.is_some_and(|(route, _)| route.socket == socket) || self.older_on(socket).next().is_some()
    }

    /// The requests on this socket, oldest first.
    pub(super) fn on_socket(&self, socket: SocketId) -> Vec<TransactionId> {
        let youngest = self.youngest.filter(|(route, _)| route.socket == socket);
        let mut numbered: Vec<_> =
            self.older_on(socket).chain(youngest).map(|(route, id)| (route.number, id)).collect();
        numbered.sort_unstable();
        numbered.into_iter().map(|(_, id)| id).collect()
    }

    /// The requests on this socket to this destination, oldest first.
    pub(super) fn to(&self, socket: SocketId, remote: SocketAddr) -> impl Iterator<Item = TransactionId> {
        let is_on_route = move |route: &Route| route.socket == socket && route.remote == remote;
        let older =
            self.older.range(Route { socket, remote, number: 0 }..).take_while(move |(route, _)| is_on_route(route));
        let youngest = self.youngest.filter(|(route, _)| is_on_route(route));
        older.map(|(_, id)| *id).chain(youngest.map(|(_, id)| id))
    }

    fn older_on(&self, socket: SocketId) -> impl Iterator<Item = (Route, TransactionId)> {
        /// The smallest address in the order of the map.
        const LEAST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let routes = self.older.range(Route { socket, remote: LEAST, number: 0 }..);
        routes.map(|(route, id)| (*route, *id)).take_while(move |(route, _)| route.socket == socket)
    }

    /// The number of routes.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.older.len() + usize::from(self.youngest.is_some())
    }
}
