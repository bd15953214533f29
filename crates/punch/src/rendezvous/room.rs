//! A room: its one or two peers, and whether they are introduced.
//!
//! Rules of this file: the functions are pure. They take the time and return what the server sends. A room without a
//! peer does not exist, the server removes it.

use super::message::{OtherPeer, PeerId, Registration, Route};
use alloc::vec::Vec;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun_agent::authenticator::Signature;

/// The time in which the first peer answers its wakes.
const PATIENCE: Duration = Duration::from_secs(3);

/// The times from one wake to the next, in milliseconds. After the last wake nothing is sent.
const GAPS: [u64; 4] = [100, 200, 400, 800];

/// A registered peer.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) registration: Registration,
    pub(super) route: Route,
    pub(super) expires: Instant,
    /// The key of wakes.
    pub(super) signature: Signature,
    wake: Option<NextWake>,
}

/// The next wake of a peer that has not answered the preceding ones.
#[derive(Clone, Copy, Debug)]
struct NextWake {
    at: Instant,
    sent: usize,
}

/// The peers of a room, in the order of their registration.
#[derive(Clone, Debug)]
pub(super) struct Room {
    peers: Vec<Peer>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// One peer waits.
    Waiting,
    /// There are two peers, and the first must answer a wake until this time.
    Asking(Instant),
    /// Both peers are introduced. They start at this time of the server.
    Introduced(Instant),
}

/// The effect of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registered {
    /// The peer is new.
    New,
    /// The peer was registered before.
    Refreshed,
    /// The peer was registered before, and both peers are introduced from now on.
    Introduced,
}

/// What the server does about a room whose time has come.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// Sends a wake to this route, about this other peer.
    Wake { route: Route, signature: Signature, other: PeerId },
    /// Reports a peer whose registration has expired.
    Expired(Peer),
    /// Reports a first peer that did not answer its wakes.
    Silent(Peer),
}

impl Peer {
    pub(super) const fn new(registration: Registration, route: Route, expires: Instant, signature: Signature) -> Self {
        Self { registration, route, expires, signature, wake: None }
    }

    const fn id(&self) -> PeerId {
        self.registration.id
    }
}

impl Room {
    pub(super) const fn new() -> Self {
        Self { peers: Vec::new(), state: State::Waiting }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id() == id)
    }

    /// Whether a peer with a new id has no place.
    pub(super) const fn is_full(&self) -> bool {
        self.peers.len() >= 2
    }

    /// The addresses of both peers, first and second.
    pub(super) fn remotes(&self) -> Option<(Route, Route)> {
        match self.peers.as_slice() {
            [first, second] => Some((first.route, second.route)),
            _ => None,
        }
    }

    /// Adds a peer, or replaces the peer with its id. The caller has checked that the room is not full.
    pub(super) fn register(&mut self, now: Instant, peer: Peer, start: Duration) -> Registered {
        let Some(index) = self.peers.iter().position(|known| known.id() == peer.id()) else {
            self.peers.push(peer);
            if let [first, _] = self.peers.as_mut_slice() {
                first.wake = Some(NextWake { at: now, sent: 0 });
                self.state = State::Asking(now + PATIENCE);
            }
            return Registered::New;
        };
        if let Some(known) = self.peers.get_mut(index) {
            *known = peer;
        }
        // Only the first peer proves by an answer that it is still there. The second peer has just arrived.
        match (self.state, index, self.peers.get_mut(1)) {
            (State::Asking(_), 0, Some(second)) => {
                second.wake = Some(NextWake { at: now, sent: 0 });
                self.state = State::Introduced(now + start);
                Registered::Introduced
            }
            _ => Registered::Refreshed,
        }
    }

    /// Removes a peer.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<Peer> {
        let index = self.peers.iter().position(|peer| peer.id() == id)?;
        Some(self.remove_at(index))
    }

    fn remove_at(&mut self, index: usize) -> Peer {
        let peer = self.peers.remove(index);
        self.state = State::Waiting;
        self.peers.iter_mut().for_each(|peer| peer.wake = None);
        peer
    }

    /// The other peer, for the response to this one; `None` if they are not introduced.
    pub(super) fn introduction(&self, now: Instant, id: PeerId) -> Option<OtherPeer> {
        let (State::Introduced(start), [first, second]) = (self.state, self.peers.as_slice()) else { return None };
        let is_first = first.id() == id;
        let other = if is_first { second } else { first };
        Some(OtherPeer {
            id: other.id(),
            left: start - now,
            first: is_first,
            reflexive: other.route.remote,
            candidates: other.registration.candidates.to_vec(),
            card: other.registration.card.clone(),
        })
    }

    /// The time of the next step; `None` for an empty room.
    pub(super) fn next(&self) -> Option<Instant> {
        let peers = self.peers.iter().flat_map(|peer| [Some(peer.expires), peer.wake.map(|wake| wake.at)]).flatten();
        let asking = match self.state {
            State::Asking(until) => Some(until),
            State::Waiting | State::Introduced(_) => None,
        };
        peers.chain(asking).min()
    }

    /// Performs the steps that are due.
    pub(super) fn advance(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(index) = self.peers.iter().position(|peer| peer.expires <= now) {
            due.push(Due::Expired(self.remove_at(index)));
        }
        if let State::Asking(until) = self.state
            && until <= now
        {
            due.push(Due::Silent(self.remove_at(0)));
        }
        if let [first, second] = self.peers.as_mut_slice() {
            let (first_id, second_id) = (first.id(), second.id());
            for (peer, other) in [(first, second_id), (second, first_id)] {
                let Some(wake) = peer.wake.filter(|wake| wake.at <= now) else { continue };
                let gap = GAPS.get(wake.sent).map(|gap| Duration::from_millis(*gap));
                peer.wake = gap.map(|gap| NextWake { at: now + gap, sent: wake.sent + 1 });
                due.push(Due::Wake { route: peer.route, signature: peer.signature.clone(), other });
            }
        }
        due
    }
}
