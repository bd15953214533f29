//! The settings of the server and of a client.
//!
//! ```
//! use portolan_punch::rendezvous::{Server, ServerConfig, ServerConfigError};
//!
//! assert_eq!(Server::new(&ServerConfig::new(&[7; 32])).unwrap_err(), ServerConfigError::NoSecret);
//! ```

use super::error::{ClientConfigError, ServerConfigError};
use super::keys::RoomKeys;
use super::message::{CANDIDATES, ROOM_LEN, is_card};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;
use portolan_stun::IntegrityKey;
use portolan_stun_agent::Rate;
use portolan_stun_agent::source::can_receive_reply;

/// The configuration of a [`Server`](super::Server).
#[derive(Clone)]
pub struct ServerConfig {
    pub(super) nonces: [u8; 32],
    secrets: Vec<Box<[u8]>>,
    pub(super) rate: Option<Rate>,
    pub(super) limits: ServerLimits,
}

/// The limits of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The largest number of registered peers; above it 508.
    pub registrations: u32,
    /// The largest number of registered peers of one source, which is an IPv4 address or an IPv6 /64; above it 486.
    pub registrations_per_source: u32,
    /// The time from the last request of a peer to the end of its registration.
    pub lifetime: Duration,
    /// The time from an introduction to the common start.
    pub start: Duration,
}

impl Default for ServerLimits {
    /// 20,000 peers, 64 of one source, a lifetime of 60 s, and a start after 500 ms.
    fn default() -> Self {
        Self {
            registrations: 20_000,
            registrations_per_source: 64,
            lifetime: Duration::from_secs(60),
            start: Duration::from_millis(500),
        }
    }
}

impl ServerConfig {
    /// A configuration without a secret. `nonces` are 32 random bytes without another use; a server needs new bytes at
    /// each start, because its clock starts again.
    #[must_use]
    pub fn new(nonces: &[u8; 32]) -> Self {
        Self { nonces: *nonces, secrets: Vec::new(), rate: Some(Rate::DEFAULT), limits: ServerLimits::default() }
    }

    /// Adds a secret, from which the passwords of rooms are derived. With several secrets each is valid, so that one
    /// can be replaced.
    #[must_use]
    pub fn secret(mut self, secret: &[u8]) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Limits the responses to each source without valid credentials; `None` removes the limit.
    #[must_use]
    pub const fn rate(mut self, rate: Option<Rate>) -> Self {
        self.rate = rate;
        self
    }

    /// Sets the limits.
    #[must_use]
    pub const fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the keys of the rooms.
    pub(super) fn keys(&self) -> Result<RoomKeys, ServerConfigError> {
        if self.secrets.is_empty() || self.secrets.iter().any(|secret| secret.is_empty()) {
            return Err(ServerConfigError::NoSecret);
        }
        Ok(RoomKeys(self.secrets.iter().map(|secret| IntegrityKey::from_bytes(secret)).collect()))
    }

    pub(super) const fn check_limits(&self) -> Result<(), ServerConfigError> {
        let ServerLimits { registrations, registrations_per_source, lifetime, .. } = self.limits;
        if registrations == 0 || registrations_per_source == 0 || lifetime.as_secs() == 0 {
            return Err(ServerConfigError::Limit);
        }
        Ok(())
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("secrets", &self.secrets.len())
            .field("rate", &self.rate)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The configuration of a [`Client`](super::Client).
#[derive(Clone)]
pub struct ClientConfig {
    pub(super) socket: SocketId,
    pub(super) server: SocketAddr,
    pub(super) room: Box<str>,
    pub(super) password: Box<str>,
    pub(super) peer_secret: Option<Box<[u8]>>,
    pub(super) card: Option<Box<str>>,
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) times: Times,
}

/// The time limits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// From the start to the first answer.
    pub(super) answer: Duration,
    /// From the start to the first introduction.
    pub(super) wait: Duration,
    /// From an answer to the next keepalive.
    pub(super) keepalive: Duration,
    /// Whether the owner moves the client to another socket when it is woken.
    pub(super) moves: bool,
}

impl ClientConfig {
    /// The default time from the start to the first answer.
    pub const ANSWER: Duration = Duration::from_secs(10);
    /// The default time from the start to the first introduction.
    pub const WAIT: Duration = Duration::from_secs(60);
    /// The default time between two keepalives.
    pub const KEEPALIVE: Duration = Duration::from_secs(15);

    /// A client on an open UDP socket of its owner. `password` is that of the room, see
    /// [`room_password`](super::room_password).
    #[must_use]
    pub fn new(socket: SocketId, server: SocketAddr, room: &str, password: &str) -> Self {
        Self {
            socket,
            server,
            room: room.into(),
            password: password.into(),
            peer_secret: None,
            card: None,
            candidates: Vec::new(),
            times: Times { answer: Self::ANSWER, wait: Self::WAIT, keepalive: Self::KEEPALIVE, moves: false },
        }
    }

    /// Sets a secret of both peers that the server does not know, with at least 128 random bits. The key of the session
    /// then depends on this secret instead of the password. Both peers need the same secret.
    #[must_use]
    pub fn peer_secret(mut self, secret: &[u8]) -> Self {
        self.peer_secret = Some(secret.into());
        self
    }

    /// Sets the NAT card.
    #[must_use]
    pub fn card(mut self, card: &str) -> Self {
        self.card = Some(card.into());
        self
    }

    /// Sets the host candidates.
    #[must_use]
    pub fn candidates(mut self, candidates: Vec<SocketAddr>) -> Self {
        self.candidates = candidates;
        self
    }

    /// Sets the largest time from the start to the first answer of the server.
    #[must_use]
    pub const fn answer(mut self, time: Duration) -> Self {
        self.times.answer = time;
        self
    }

    /// Sets the largest time from the start to the first introduction.
    #[must_use]
    pub const fn wait(mut self, time: Duration) -> Self {
        self.times.wait = time;
        self
    }

    /// Sets the time between two keepalives. It should be below the lifetime of a mapping of the NAT. A third of the
    /// lifetime of the registration is used if that is less.
    #[must_use]
    pub const fn keepalive(mut self, time: Duration) -> Self {
        self.times.keepalive = time;
        self
    }

    /// Sets whether the owner moves the client to a new socket before the introduction, if the reflexive address is older
    /// than a second. The client reports [`ClientEvent::Woken`](super::ClientEvent::Woken), and waits 250 ms for
    /// [`Client::move_to`](super::Client::move_to). A peer that predicts the ports of a NAT needs a fresh address.
    #[must_use]
    pub const fn moves(mut self, moves: bool) -> Self {
        self.times.moves = moves;
        self
    }

    pub(super) fn check(&self) -> Result<(), ClientConfigError> {
        if !(1..=ROOM_LEN).contains(&self.room.len()) {
            return Err(ClientConfigError::Room { length: self.room.len() });
        }
        if self.password.is_empty() || self.peer_secret.as_ref().is_some_and(|secret| secret.is_empty()) {
            return Err(ClientConfigError::Empty);
        }
        if self.card.as_ref().is_some_and(|card| !is_card(card)) {
            return Err(ClientConfigError::Card);
        }
        if self.candidates.len() > CANDIDATES {
            return Err(ClientConfigError::Candidates { count: self.candidates.len() });
        }
        let mut addresses = core::iter::once(&self.server).chain(&self.candidates);
        if let Some(address) = addresses.find(|address| !can_receive_reply(**address)) {
            return Err(ClientConfigError::Address(*address));
        }
        let Times { answer, wait, keepalive, .. } = self.times;
        if answer.is_zero() || wait.is_zero() || keepalive.is_zero() {
            return Err(ClientConfigError::Time);
        }
        Ok(())
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("socket", &self.socket)
            .field("server", &self.server)
            .field("room", &self.room)
            .field("card", &self.card)
            .field("candidates", &self.candidates)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
