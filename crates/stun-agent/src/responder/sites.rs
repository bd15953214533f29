//! The sockets of a responder, and which of them is the other address or the other port of which.
//!
//! Rules of this file: an arm is one address and port with its UDP socket and its TCP listener. The arms of a site with an
//! alternate stand in the order A1:P1, A2:P1, A1:P2, A2:P2, so that the other address is one bit and the other port
//! another (RFC 5780 §6.1, table 1).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Datagram, Protocol, SocketId};
use portolan_stun::ChangeRequest;

/// All arms of all sites.
#[derive(Clone, Debug)]
pub(super) struct Sites {
    arms: Vec<Arm>,
}

/// One address and port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arm {
    /// What was asked for; with the port that the system chose, once it has.
    pub(super) local: SocketAddr,
    /// What is said about it.
    pub(super) public: SocketAddr,
    /// Where its site begins, if it has an alternate.
    pair: Option<usize>,
    udp: Door,
    tcp: Door,
}

/// A socket in its life.
#[derive(Clone, Copy, Debug)]
struct Door {
    id: Option<SocketId>,
    state: DoorState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DoorState {
    /// Not ordered yet.
    Idle,
    /// Ordered, not open yet.
    Ordered,
    /// Open.
    Open,
    /// Refused or lost.
    Gone,
}

/// What may follow what.
const TRANSITIONS: &[(DoorState, DoorState)] = &[
    (DoorState::Idle, DoorState::Ordered),
    (DoorState::Ordered, DoorState::Open),
    (DoorState::Ordered, DoorState::Gone),
    (DoorState::Open, DoorState::Gone),
];

impl Door {
    const IDLE: Self = Self { id: None, state: DoorState::Idle };

    /// `false`, and nothing changes, where the table has no such step: news of a driver that repeats itself.
    fn become_state(&mut self, next: DoorState) -> bool {
        let allowed = TRANSITIONS.contains(&(self.state, next));
        if allowed {
            self.state = next;
        }
        allowed
    }
}

impl Sites {
    pub(super) const fn new() -> Self {
        Self { arms: Vec::new() }
    }

    /// Adds a site: one socket, or the four of a pair.
    pub(super) fn add(&mut self, site: impl Iterator<Item = (SocketAddr, SocketAddr)>, paired: bool) {
        let pair = paired.then_some(self.arms.len());
        self.arms.extend(site.map(|(local, public)| Arm { local, public, pair, udp: Door::IDLE, tcp: Door::IDLE }));
    }

    pub(super) const fn len(&self) -> usize {
        self.arms.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Arm> {
        self.arms.get(index)
    }

    /// The arm that an open socket belongs to.
    pub(super) fn open(&self, protocol: Protocol, id: SocketId) -> Option<usize> {
        self.arms.iter().position(|arm| {
            let door = arm.door(protocol);
            door.id == Some(id) && door.state == DoorState::Open
        })
    }

    /// The arm and kind of any socket of ours.
    pub(super) fn find(&self, id: SocketId) -> Option<(usize, Protocol)> {
        self.arms.iter().enumerate().find_map(|(index, arm)| match id {
            id if arm.udp.id == Some(id) => Some((index, Protocol::Udp)),
            id if arm.tcp.id == Some(id) => Some((index, Protocol::TcpListen)),
            _ => None,
        })
    }

    /// The arm to answer from, RFC 5780 §6.1 table 1; the arm itself where it has no alternate.
    pub(super) fn changed(&self, index: usize, change: ChangeRequest) -> usize {
        match self.arms.get(index).and_then(|arm| arm.pair) {
            Some(first) => first + ((index - first) ^ (usize::from(change.ip) | usize::from(change.port) << 1)),
            None => index,
        }
    }

    /// The other address and port, if all four sockets of the site are open (RFC 5780 §6: else there is no alternate).
    pub(super) fn other(&self, index: usize, protocol: Protocol) -> Option<SocketAddr> {
        let first = self.arms.get(index)?.pair?;
        let four = self.arms.get(first..first + 4)?;
        let all_open = four.iter().all(|arm| arm.door(protocol).state == DoorState::Open);
        if !all_open {
            return None;
        }
        self.arms.get(self.changed(index, ChangeRequest::IP_AND_PORT)).map(|arm| arm.public)
    }

    /// The sockets that are ordered or open, for the end of the responder.
    pub(super) fn live(&self) -> impl Iterator<Item = SocketId> {
        let live = |door: Door| door.id.filter(|_| matches!(door.state, DoorState::Ordered | DoorState::Open));
        self.arms.iter().flat_map(move |arm| [live(arm.udp), live(arm.tcp)]).flatten()
    }

    pub(super) fn ordered(&mut self, index: usize, protocol: Protocol, id: SocketId) {
        if let Some(arm) = self.arms.get_mut(index) {
            let door = arm.door_mut(protocol);
            if door.become_state(DoorState::Ordered) {
                door.id = Some(id);
            }
        }
    }

    /// The socket is open; `false` where it was open already. A port that the system chose is kept.
    pub(super) fn opened(&mut self, index: usize, protocol: Protocol, local: SocketAddr) -> bool {
        let Some(arm) = self.arms.get_mut(index) else { return false };
        if !arm.door_mut(protocol).become_state(DoorState::Open) {
            return false;
        }
        if arm.local.port() == 0 {
            arm.local.set_port(local.port());
            arm.public.set_port(local.port());
        }
        true
    }

    /// The socket is closed; `false` where it was closed already.
    pub(super) fn gone(&mut self, index: usize, protocol: Protocol) -> bool {
        self.arms.get_mut(index).is_some_and(|arm| arm.door_mut(protocol).become_state(DoorState::Gone))
    }
}

impl Arm {
    const fn door(&self, protocol: Protocol) -> &Door {
        if protocol.is_stream() { &self.tcp } else { &self.udp }
    }

    const fn door_mut(&mut self, protocol: Protocol) -> &mut Door {
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
        self.udp.id.filter(|_| self.udp.state == DoorState::Open)
    }
}
