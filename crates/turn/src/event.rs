//! The events of the machines of this crate.
//!
//! ```
//! use portolan_turn::FreedReason;
//!
//! assert_eq!(FreedReason::Expired.to_string(), "its lifetime is over");
//! ```

mod client;

pub use client::{ClientEvent, ClientFailure, LossReason, Outcome, Reason, Step};

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Protocol, Refusal, SocketId};

/// An event of a [`Server`](crate::Server).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A listening socket is open.
    Listening {
        /// The socket.
        socket: SocketId,
        /// Its protocol: `Udp`, `TcpListen` or `TlsListen`.
        protocol: Protocol,
        /// The local address, with the port that the system assigned if the configured port is 0.
        local: SocketAddr,
    },
    /// A listening socket could not be opened.
    Refused {
        /// Its protocol.
        protocol: Protocol,
        /// The configured local address.
        local: SocketAddr,
        /// The reason.
        why: Refusal,
    },
    /// A listening socket was closed without an order of the machine.
    Lost {
        /// Its protocol.
        protocol: Protocol,
        /// The local address.
        local: SocketAddr,
        /// The reason.
        why: Closure,
    },
    /// An allocation was created, and its client got a success response.
    Allocated {
        /// The client and its user.
        client: ClientId,
        /// The relayed addresses, as reported to the client.
        relayed: RelayedAddresses,
        /// The time to expiry.
        lifetime: Duration,
    },
    /// An allocation has ended.
    Freed {
        /// The client and its user.
        client: ClientId,
        /// The relayed addresses. A relayed address of a dual allocation that ended before is not included.
        relayed: RelayedAddresses,
        /// The reason.
        why: FreedReason,
        /// The relayed datagrams.
        totals: Totals,
    },
    /// After [`ServerCommand::Drain`](crate::ServerCommand::Drain) the last allocation has ended.
    Drained,
    /// The server has stopped and closed its sockets. This is the last event.
    Stopped,
}

/// The client of an allocation and its user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientId {
    /// The address of the client, as the server receives it.
    pub address: SocketAddr,
    /// The listening UDP socket, or the stream of the client.
    pub socket: SocketId,
    /// The user name of the allocation. A client chose it, so a log must escape it.
    pub user: Arc<str>,
}

/// The relayed addresses of an allocation: one, or two of a dual allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayedAddresses {
    /// The IPv4 address.
    pub v4: Option<SocketAddr>,
    /// The IPv6 address.
    pub v6: Option<SocketAddr>,
}

impl RelayedAddresses {
    /// The addresses, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

impl fmt::Display for RelayedAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v4, self.v6) {
            (Some(v4), Some(v6)) => write!(f, "{v4} and {v6}"),
            (Some(one), None) | (None, Some(one)) => write!(f, "{one}"),
            (None, None) => f.write_str("none"),
        }
    }
}

/// Datagrams that were relayed, in each direction. Bytes are bytes of application data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// From the client to its peers.
    pub to_peers: Traffic,
    /// From the peers to the client.
    pub to_client: Traffic,
}

/// Datagrams and bytes of application data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// The number of datagrams.
    pub datagrams: u64,
    /// The sum of their lengths.
    pub bytes: u64,
}

impl Traffic {
    pub(crate) const fn add(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.bytes += bytes as u64;
    }
}

/// The reason why an allocation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FreedReason {
    /// The client deleted it (Refresh with lifetime 0).
    Deleted,
    /// Its lifetime is over.
    Expired,
    /// The stream of the client, or the listening socket, was closed.
    ClientLost,
    /// A relay socket was closed without an order of the machine.
    RelayLost,
    /// The server was stopped.
    Stopped,
}

impl fmt::Display for FreedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "its client deleted it",
            Self::Expired => "its lifetime is over",
            Self::ClientLost => "the socket of its client was closed",
            Self::RelayLost => "its relay socket was closed",
            Self::Stopped => "the server was stopped",
        })
    }
}
