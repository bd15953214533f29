//! One allocation: its client, its user, its relay sockets, its permissions and channels (RFC 8656 §6).
//!
//! Rules of this file: an allocation stores no password and no address list of its own. Each relayed address of a dual
//! allocation has its own time to expiry (RFC 8656 §8.1). While its relay sockets are not open, an allocation stores
//! the parameters of its response in a box; it relays nothing then.

use super::moment::Moment;
use super::peers::Peers;
use super::quota::Bucket;
use super::reply::Asked;
use crate::event::{ClientId, Totals};
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Instant, SocketId, TimerId, Transmit, WhenFull};
use portolan_stun::{AddressFamily, TransactionId};
use portolan_stun_agent::source::Source;

/// The path of a client: the 5-tuple of RFC 8656 §6. The server's port follows from the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    /// The listening UDP socket, or the stream.
    pub(super) socket: SocketId,
    pub(super) remote: SocketAddr,
    pub(super) path: ClientPath,
}

/// The path of a client, with a reference to its address. A lookup does not wait for a copy of the address then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientKey<'a> {
    pub(super) remote: &'a SocketAddr,
    pub(super) socket: SocketId,
    pub(super) path: ClientPath,
}

/// The transport between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ClientPath {
    /// UDP. The address is the source of datagrams to the client, if the listening socket is on a wildcard address.
    Udp(Option<IpAddr>),
    /// TCP or TLS.
    Stream,
}

impl ClientKey<'_> {
    pub(super) const fn to_client(self) -> Client {
        Client { socket: self.socket, remote: *self.remote, path: self.path }
    }
}

impl Client {
    #[inline]
    pub(super) const fn key(&self) -> ClientKey<'_> {
        ClientKey { remote: &self.remote, socket: self.socket, path: self.path }
    }

    /// The transmit of a response or of an ICMP report. A slow stream is closed.
    pub(super) fn transmit(&self, payload: Bytes) -> Transmit {
        let transmit = Transmit::new(self.socket, self.remote, payload);
        match self.path {
            ClientPath::Udp(Some(local)) => transmit.with_local(local),
            ClientPath::Udp(None) => transmit,
            ClientPath::Stream => transmit.with_when_full(WhenFull::Close),
        }
    }
}

/// An allocation. The first fields are those that the data path reads and writes for a channel of IPv4: three cache lines.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Allocation {
    pub(super) client: Client,
    /// The parameters of the response while the relay sockets are not open.
    pub(super) pending: Option<Box<Pending>>,
    pub(super) peers: Peers,
    /// The relay socket of each family.
    ipv4: Option<Relay>,
    pub(super) totals: Totals,
    ipv6: Option<Relay>,
    pub(super) bucket: Bucket,
    /// The user name. Every later request must have it.
    pub(super) user: Arc<str>,
    /// The account of the user, to which quotas apply, and the source that counts in the quotas.
    pub(super) owner: Owner,
    /// The transaction of the Allocate request. A retransmission of the request gets the same response.
    pub(super) transaction: TransactionId,
    /// The RESERVATION-TOKEN of the success response.
    pub(super) token: Option<[u8; 8]>,
    /// The ADDRESS-ERROR-CODE of the success response.
    pub(super) missing: Option<(AddressFamily, u16)>,
    /// Whether it is a TCP allocation (RFC 6062).
    pub(super) is_tcp: bool,
    /// The timer of the earliest expiry, or an earlier one.
    pub(super) timer: Timer,
}

/// The account and the source of an allocation or a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) account: Arc<str>,
    pub(super) source: Source,
}

/// The timer of an allocation. Its tag is narrow, because the compiler marks a free place of the table in the largest niche
/// of an allocation. This is the tag of the client's address, which each lookup reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Timer {
    Unset,
    Set { at: Moment, id: TimerId },
}

/// A relay socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relay {
    pub(super) socket: SocketId,
    pub(super) port: u16,
    pub(super) is_open: bool,
    pub(super) expires: Moment,
}

/// An Allocate request that waits for its relay sockets.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) asked: Asked,
    pub(super) lifetime: Duration,
    pub(super) ports: PortRequest,
    /// The number of ports that the system has refused.
    pub(super) refusals: u8,
}

/// The port that a client requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortRequest {
    /// Any port.
    Any,
    /// EVEN-PORT: an even port.
    Even,
    /// EVEN-PORT with R: an even port, and the reservation of the next port.
    Pair,
    /// RESERVATION-TOKEN: a reserved port.
    Reserved([u8; 8]),
}

/// The family of an address.
pub(super) const fn family_of(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 }
}

impl Allocation {
    /// An allocation without relay sockets, which waits for them.
    pub(super) fn new(client: Client, (user, owner): (Arc<str>, Owner), pending: Pending) -> Self {
        Self {
            client,
            user,
            owner,
            transaction: pending.asked.id,
            token: None,
            missing: None,
            ipv4: None,
            ipv6: None,
            peers: Peers::default(),
            totals: Totals::default(),
            bucket: Bucket::default(),
            is_tcp: false,
            timer: Timer::Unset,
            pending: Some(Box::new(pending)),
        }
    }

    /// The relay socket of a family, expired or not.
    #[inline]
    pub(super) fn relay(&self, family: AddressFamily) -> Option<&Relay> {
        match family {
            AddressFamily::Ipv4 => self.ipv4.as_ref(),
            AddressFamily::Ipv6 => self.ipv6.as_ref(),
        }
    }

    pub(super) fn relay_mut(&mut self, family: AddressFamily) -> Option<&mut Relay> {
        self.place_of(family).as_mut()
    }

    /// The relay socket of a family, if it relays at `now`.
    #[inline]
    pub(super) fn live_relay(&self, now: Instant, family: AddressFamily) -> Option<&Relay> {
        self.relay(family).filter(|relay| relay.expires > now.into() && self.pending.is_none())
    }

    pub(super) fn set_relay(&mut self, family: AddressFamily, relay: Option<Relay>) {
        *self.place_of(family) = relay;
    }

    const fn place_of(&mut self, family: AddressFamily) -> &mut Option<Relay> {
        match family {
            AddressFamily::Ipv4 => &mut self.ipv4,
            AddressFamily::Ipv6 => &mut self.ipv6,
        }
    }

    /// The relay sockets with their families, IPv4 first.
    pub(super) fn relays(&self) -> impl Iterator<Item = (AddressFamily, Relay)> + use<> {
        let ipv4 = self.ipv4.map(|relay| (AddressFamily::Ipv4, relay));
        ipv4.into_iter().chain(self.ipv6.map(|relay| (AddressFamily::Ipv6, relay)))
    }

    /// Whether the time of all relayed addresses is over.
    #[inline]
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.relays().all(|(_, relay)| relay.expires <= now.into())
    }

    /// The latest expiry of its relayed addresses.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.relays().map(|(_, relay)| relay.expires.into()).max()
    }

    /// The earliest time at which something of it is released.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.relays().map(|(_, relay)| relay.expires.into()).chain(self.peers.next_release()).min()
    }

    pub(super) fn client_id(&self) -> ClientId {
        ClientId { address: self.client.remote, socket: self.client.socket, user: self.user.clone() }
    }
}

// The sizes are those of a target with pointers of 64 bits.
#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn a_datagram_on_a_channel_of_ipv4_needs_three_cache_lines() {
        const LINE: usize = 64;
        assert!(offset_of!(Allocation, pending) + size_of::<Option<Box<Pending>>>() <= 2 * LINE);
        assert_eq!(offset_of!(Allocation, peers) + Peers::READ_FIRST, 2 * LINE);
        assert!(offset_of!(Allocation, totals) + size_of::<Totals>() <= 3 * LINE);
        assert!(offset_of!(Allocation, ipv4) + size_of::<Option<Relay>>() <= 3 * LINE);
        assert_eq!(size_of::<Option<Allocation>>(), size_of::<Allocation>(), "a free place needs no flag");
    }
}
