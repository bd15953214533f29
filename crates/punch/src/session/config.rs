//! The configuration of a session.

use super::terms::Terms;
use crate::card::{Card, Ports};
use crate::forecast::Conditions;
use crate::puncher::PunchConfig;
use crate::rendezvous::{CANDIDATES, ClientConfig};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::SocketId;

/// The age of a reflexive address at the common start: the delay of the start, and a round trip.
const AGE: Duration = Duration::from_millis(600);

/// The configuration of a [`Session`](super::Session).
#[derive(Clone)]
pub struct SessionConfig {
    pub(super) rendezvous: SocketAddr,
    room: Box<str>,
    password: Box<str>,
    peer_secret: Option<Box<[u8]>>,
    card: Card,
    pub(super) hosts: Vec<IpAddr>,
    wait: Duration,
    conditions: Conditions,
    may_guess: bool,
    opener_hop_limit: Option<u8>,
}

impl SessionConfig {
    /// A session in a room of a rendezvous, without guessing, with an empty card and no host addresses. `password` is that of
    /// the room, see [`room_password`](crate::rendezvous::room_password).
    #[must_use]
    pub fn new(rendezvous: SocketAddr, room: &str, password: &str) -> Self {
        Self {
            rendezvous,
            room: room.into(),
            password: password.into(),
            peer_secret: None,
            card: Card::default(),
            hosts: Vec::new(),
            wait: ClientConfig::WAIT,
            conditions: Conditions { age: AGE, ..Conditions::default() },
            may_guess: false,
            opener_hop_limit: None,
        }
    }

    /// Returns the same configuration with a secret of both peers that the rendezvous does not know. See
    /// [`ClientConfig::peer_secret`].
    #[must_use]
    pub fn peer_secret(mut self, secret: &[u8]) -> Self {
        self.peer_secret = Some(secret.into());
        self
    }

    /// Returns the same configuration with this host's card.
    #[must_use]
    pub fn card(mut self, card: Card) -> Self {
        self.card = card;
        self
    }

    /// Returns the same configuration with the addresses of this host, at most 16. They are sent to the peer.
    #[must_use]
    pub fn hosts(mut self, mut hosts: Vec<IpAddr>) -> Self {
        hosts.truncate(CANDIDATES);
        self.hosts = hosts;
        self
    }

    /// Returns the same configuration with this longest wait for the peer.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Returns the same configuration with these conditions. Both hosts need the same ones, except the budget: the hosts tell
    /// each other their budgets, and both use the smaller number of each limit. By default
    /// a public endpoint is 600 ms old.
    #[must_use]
    pub const fn conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// Returns the same configuration with or without guessing. Ports are guessed only if both hosts allow it. At most one
    /// session of a process should guess at a time.
    #[must_use]
    pub const fn may_guess(mut self, may_guess: bool) -> Self {
        self.may_guess = may_guess;
        self
    }

    /// Returns the same configuration with this hop limit of the first packet to each address.
    #[must_use]
    pub const fn opener_hop_limit(mut self, hop_limit: u8) -> Self {
        self.opener_hop_limit = Some(hop_limit);
        self
    }

    /// The configuration of the client on this socket.
    pub(super) fn client(&self, socket: SocketId, candidates: Vec<SocketAddr>) -> ClientConfig {
        let config = ClientConfig::new(socket, self.rendezvous, &self.room, &self.password)
            .card(&self.terms().write(&self.card))
            .candidates(candidates)
            .wait(self.wait)
            .moves(matches!(self.card.ports, Some(Ports::Sequential(_))));
        match &self.peer_secret {
            Some(secret) => config.peer_secret(secret),
            None => config,
        }
    }

    /// The own terms.
    const fn terms(&self) -> Terms {
        Terms { budget: self.conditions.budget, may_guess: self.may_guess }
    }

    /// Completes the configuration of a puncher. `peer` are the terms of the peer, if it has sent some.
    pub(super) fn puncher(&self, config: PunchConfig, peer: Option<Terms>) -> PunchConfig {
        let own = self.terms();
        let Terms { budget, may_guess } = peer.map_or(own, |peer| own.agreed(peer));
        let conditions = Conditions { budget, ..self.conditions };
        let config = config.own_card(self.card.clone()).conditions(conditions).may_guess(may_guess);
        match self.opener_hop_limit {
            Some(hop_limit) => config.opener_hop_limit(hop_limit),
            None => config,
        }
    }
}

impl fmt::Debug for SessionConfig {
    /// Leaves out the password and the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("rendezvous", &self.rendezvous)
            .field("room", &self.room)
            .field("card", &self.card)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
