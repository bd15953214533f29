//! One allocation of a client: its 5-tuple, its phase, its peers and its timers.

use super::attempt::Attempt;
use super::peers::Peers;
use crate::event::{Outcome, Step};
use crate::note::ClientDropped;
use crate::{Indication, IndicationKind};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId, TimerId, Unreachability};
use portolan_stun::Method;
use portolan_stun::attribute::{AddressFamily, Attribute};
use portolan_stun::demux::ChannelData;
use portolan_stun::message::Message;
use portolan_stun_agent::Credential;
use portolan_stun_agent::framing::{ChannelDataPolicy, Framer};

/// An allocation, from the order of its socket to its release.
#[derive(Clone, Debug)]
pub(super) struct Allocation {
    /// The number of the allocation in its client. A new number makes late results of its requests invalid.
    pub(super) number: u32,
    /// The socket; `None` after the driver has closed it.
    pub(super) socket: Option<SocketId>,
    pub(super) server: SocketAddr,
    pub(super) role: Role,
    pub(super) phase: Phase,
    pub(super) attempt: Attempt,
    pub(super) credential: Credential,
    pub(super) grant: Grant,
    pub(super) peers: Peers,
    pub(super) clocks: Clocks,
    /// The framing of a stream.
    pub(super) framer: Framer,
    /// The last ICMP error for the server since its last message.
    pub(super) icmp: Option<Unreachability>,
}

/// The part of an allocation in its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The client will use it.
    Next,
    /// The client uses it.
    Current,
    /// Another allocation has replaced it.
    Old,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The socket is ordered.
    Opening,
    /// The Allocate request is pending.
    Allocating,
    /// The allocation exists.
    Active,
    /// The Refresh request with lifetime 0 is pending.
    Releasing,
}

/// The data of an Allocate success response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) relayed: Vec<SocketAddr>,
    /// The mapped address of the last response with one.
    pub(super) mapped: SocketAddr,
    /// The mapped address of the 5-tuple that the server has allocated.
    pub(super) tuple: SocketAddr,
    pub(super) lifetime: Duration,
    pub(super) token: Option<[u8; 8]>,
    pub(super) missing: Option<(AddressFamily, u16)>,
}

/// The timers of an allocation, and the times of its messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clocks {
    /// The end of the phase: of the attempt, of the lifetime, of the overlap, or of the release.
    pub(super) end: Option<TimerId>,
    pub(super) refresh: Option<TimerId>,
    pub(super) keepalive: Option<TimerId>,
    /// The end of the lifetime.
    pub(super) expires: Instant,
    /// The time of the success response.
    pub(super) since: Instant,
    /// The time of the last message of the server.
    pub(super) heard: Instant,
    /// The number of Refresh requests in a row that failed.
    pub(super) failures: u32,
    /// The first send of the pending keepalive.
    pub(super) asked: Option<Instant>,
}

/// The framer of a new stream. It allocates nothing, and is not used over UDP.
pub(super) const fn framer() -> Framer {
    Framer::new(Framer::LONGEST, ChannelDataPolicy::Accept)
}

impl Allocation {
    /// The step of a request that failed now.
    pub(super) const fn step(&self, at: Instant, method: Method, sends: u32, outcome: Outcome) -> Step {
        Step { at, server: self.server, method, sends, outcome, icmp: self.icmp }
    }

    /// A message of the server arrived.
    pub(super) const fn hear(&mut self, now: Instant) {
        self.clocks.heard = now;
        self.icmp = None;
    }

    /// The peer and the data of a message of the server.
    pub(super) fn open<'a>(&self, payload: &'a [u8]) -> Result<(SocketAddr, &'a [u8]), ClientDropped> {
        if let Ok(ChannelData { number, data }) = ChannelData::decode(payload) {
            let peer = self.peers.peer_of(number).ok_or(ClientDropped::Channel(number))?;
            return Ok((peer, data));
        }
        match Indication::decode(payload) {
            Some(Indication { kind: IndicationKind::Data, peer, data, .. }) => {
                if self.peers.may_receive(peer.ip()) {
                    Ok((peer, data))
                } else {
                    Err(ClientDropped::Peer(peer))
                }
            }
            Some(_) | None => Err(ClientDropped::Unexpected),
        }
    }
}

impl Grant {
    /// No grant: the data before the success response.
    pub(super) const fn none(server: SocketAddr) -> Self {
        Self {
            relayed: Vec::new(),
            mapped: server,
            tuple: server,
            lifetime: Duration::ZERO,
            token: None,
            missing: None,
        }
    }

    /// The data of a success response; `None` if a required attribute is missing, or a value is impossible (RFC 8656
    /// §7.3). The first relayed address of each family counts.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let mut relayed: Vec<SocketAddr> = Vec::new();
        let (mut token, mut missing) = (None, None);
        for attribute in message.attributes().flatten() {
            if let Attribute::XorRelayedAddress(address) = attribute {
                let is_new = relayed.iter().all(|known| known.is_ipv4() != address.is_ipv4());
                if is_new && address.port() != 0 && !address.ip().is_unspecified() {
                    relayed.push(address);
                }
            } else if let Attribute::ReservationToken(value) = attribute {
                token = token.or(Some(value));
            } else if let Attribute::AddressErrorCode(error) = attribute {
                missing = missing.or(Some((error.family, error.error.code())));
            }
        }
        let seconds = message.lifetime().filter(|seconds| *seconds > 0)?;
        let lifetime = Duration::from_secs(seconds.into());
        let mapped = message.xor_mapped_address()?;
        if relayed.is_empty() { None } else { Some(Self { relayed, mapped, tuple: mapped, lifetime, token, missing }) }
    }
}

/// The time from a success response to the Refresh request: one minute before the end, or half of a lifetime below two
/// minutes, and at least 10 s.
pub(super) fn refresh_after(lifetime: Duration) -> Duration {
    const MARGIN: Duration = Duration::from_secs(60);
    const LEAST: Duration = Duration::from_secs(10);
    lifetime.saturating_sub(MARGIN).max(lifetime / 2).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refresh_is_a_minute_before_the_end_or_after_half_of_a_short_lifetime() {
        let after = |lifetime| refresh_after(Duration::from_secs(lifetime)).as_secs();
        assert_eq!([600, 3600, 120, 90, 40, 20, 1].map(after), [540, 3540, 60, 45, 20, 10, 10]);
        assert_eq!(after(u32::MAX.into()), u64::from(u32::MAX) - 60);
    }
}
