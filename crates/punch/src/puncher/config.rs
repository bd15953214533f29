//! The configuration of a puncher: the two sides, the key of the session, and the limits.

use crate::card::Card;
use crate::forecast::Conditions;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;
use portolan_stun::IntegrityKey;

/// The configuration of a puncher.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PunchConfig {
    /// This side's card.
    pub own: Card,
    /// This side's public endpoint, as the introducer saw the socket.
    pub reflexive: SocketAddr,
    /// The peer.
    pub peer: Peer,
    /// Whether this is the first side. The introducer decides it; the sides must differ. The first side chooses the path.
    pub is_first: bool,
    /// The key that authenticates the probes.
    pub key: SessionKey,
    /// The open sockets.
    pub sockets: Sockets,
    /// The time from [`PunchCommand::Start`](super::PunchCommand::Start) to the first probe.
    pub start: Duration,
    /// The conditions and the budget. Both sides need the same values.
    pub conditions: Conditions,
    /// Whether ports may be guessed. At most one puncher of a process should have it at a time.
    pub may_guess: bool,
    /// The hop limit of the first packet to each address; `None` leaves the choice to the system. With a low limit the
    /// packet opens the own NAT and does not reach the peer's.
    pub opener_hop_limit: Option<u8>,
}

impl PunchConfig {
    /// A configuration that starts at once, with default conditions, without guessing and without openers.
    #[must_use]
    pub fn new(sockets: Sockets, reflexive: SocketAddr, peer: Peer, key: SessionKey, is_first: bool) -> Self {
        Self {
            own: Card::default(),
            reflexive,
            peer,
            is_first,
            key,
            sockets,
            start: Duration::ZERO,
            conditions: Conditions::default(),
            may_guess: false,
            opener_hop_limit: None,
        }
    }

    /// Returns the same configuration with this side's card.
    #[must_use]
    pub fn own_card(mut self, card: Card) -> Self {
        self.own = card;
        self
    }

    /// Returns the same configuration with this time to the first probe.
    #[must_use]
    pub const fn start(mut self, start: Duration) -> Self {
        self.start = start;
        self
    }

    /// Returns the same configuration with or without guessing.
    #[must_use]
    pub const fn may_guess(mut self, may_guess: bool) -> Self {
        self.may_guess = may_guess;
        self
    }

    /// Returns the same configuration with these conditions.
    #[must_use]
    pub const fn conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// Returns the same configuration with this hop limit of the first packet to each address.
    #[must_use]
    pub const fn opener_hop_limit(mut self, hop_limit: u8) -> Self {
        self.opener_hop_limit = Some(hop_limit);
        self
    }
}

/// The peer, as the introducer describes it. Nothing of it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The peer's card; the empty card if there is none.
    pub card: Card,
    /// The peer's public endpoint.
    pub reflexive: SocketAddr,
    /// The peer's other addresses. The puncher uses the first sixteen.
    pub candidates: Vec<SocketAddr>,
}

impl Peer {
    /// A peer with this public endpoint, an empty card and no other addresses.
    #[must_use]
    pub fn new(reflexive: SocketAddr) -> Self {
        Self { card: Card::default(), reflexive, candidates: Vec::new() }
    }

    /// Returns the same peer with this card.
    #[must_use]
    pub fn card(mut self, card: Card) -> Self {
        self.card = card;
        self
    }

    /// Returns the same peer with these addresses.
    #[must_use]
    pub fn candidates(mut self, candidates: Vec<SocketAddr>) -> Self {
        self.candidates = candidates;
        self
    }
}

/// The open UDP sockets of a puncher, one for each family. The introducer was asked on the same socket, so its mapping is
/// the one that the peer knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// The socket for IPv4.
    pub ipv4: Option<SocketId>,
    /// The socket for IPv6.
    pub ipv6: Option<SocketId>,
}

impl Sockets {
    /// One socket, for IPv4.
    #[must_use]
    pub const fn ipv4(socket: SocketId) -> Self {
        Self { ipv4: Some(socket), ipv6: None }
    }

    pub(super) const fn towards(self, remote: SocketAddr) -> Option<SocketId> {
        match remote {
            SocketAddr::V4(_) => self.ipv4,
            SocketAddr::V6(_) => self.ipv6,
        }
    }

    pub(super) fn contains(self, socket: SocketId) -> bool {
        self.ipv4 == Some(socket) || self.ipv6 == Some(socket)
    }
}

/// The key of a session: HMAC-SHA1 of the session's number under the secret of the room. `Debug` does not print the key.
///
/// The two sides of a session derive the same key. Another session has another key, so a recorded probe is worth nothing
/// in it.
#[derive(Clone)]
pub struct SessionKey(IntegrityKey);

impl SessionKey {
    /// The key of `session` in a room with this secret. An introducer that does not know the secret cannot forge probes.
    #[must_use]
    pub fn new(secret: &[u8], session: &[u8; 16]) -> Self {
        let mut text = [0; LABEL.len() + 16];
        let (label, number) = text.split_at_mut(LABEL.len());
        label.copy_from_slice(LABEL);
        number.copy_from_slice(session);
        Self(IntegrityKey::from_bytes(&IntegrityKey::from_bytes(secret).hmac_sha1(&text)))
    }

    /// A key for another protocol of the same two peers, for example for what runs on the released socket. Each label
    /// gives another key.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 20] {
        self.0.hmac_sha1(label.as_bytes())
    }

    pub(super) const fn integrity(&self) -> &IntegrityKey {
        &self.0
    }
}

/// Separates this use of the secret from others.
const LABEL: &[u8] = b"portolan punch 1";

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}
