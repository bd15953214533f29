//! The events of the relay.
//!
//! Rules of this file: an event says what the owner passes to the machine that uses the virtual sockets. Every failure
//! has the steps of the TURN client.
//!
//! ```
//! use portolan_connect::RelayEvent;
//! use portolan_machine::{SocketEvent, SocketId};
//!
//! let local = "192.0.2.1:50000".parse()?;
//! let opened = RelayEvent::Opened {
//!     socket: SocketId(2),
//!     local,
//!     mapped: "198.51.100.7:40000".parse()?,
//!     server: "192.0.2.1:3478".parse()?,
//! };
//! // The machine that uses the socket gets the event of an ordinary socket.
//! assert_eq!(opened.as_socket_event(), Some((SocketId(2), SocketEvent::Opened { local })));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Closure, Instant, SocketEvent, SocketId, Unreachability};
use portolan_stun::AddressFamily;
use portolan_turn::{ClientFailure, LossReason, Step};

/// An event of a [`Relay`](crate::Relay).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A virtual socket is open: an allocation has this relayed address. A dual allocation has two virtual sockets.
    ///
    /// A later allocation has a new virtual socket, also when its relayed address is the same.
    Opened {
        /// The virtual socket.
        socket: SocketId,
        /// The relayed address, which is the local address of the virtual socket.
        local: SocketAddr,
        /// The client's address as the server sees it.
        mapped: SocketAddr,
        /// The server of the allocation.
        server: SocketAddr,
    },
    /// A dual allocation has no relayed address of this family.
    FamilyRefused {
        /// The family.
        family: AddressFamily,
        /// The error code of the server.
        code: u16,
    },
    /// A virtual socket is closed. Its id is no longer valid.
    Closed {
        /// The virtual socket.
        socket: SocketId,
        /// The reason.
        why: RelayClosure,
    },
    /// Data of a peer arrived, and the owner had not taken the data by [`Relay::receive`](crate::Relay::receive). This
    /// is the only way of data from a stream.
    Data {
        /// The virtual socket.
        socket: SocketId,
        /// The relayed address.
        local: SocketAddr,
        /// The peer.
        peer: SocketAddr,
        /// The data.
        payload: Bytes,
    },
    /// Datagrams from this virtual socket do not reach the peer. The socket stays open, and other peers are not
    /// affected.
    ///
    /// If the server has denied the permission, or has not responded, the reason is [`Unreachability::Prohibited`] and
    /// the port is `None`: it holds for all ports. The steps have the reason in detail; they are empty when the denial
    /// was reported before. For a datagram that could not be sent, or for an ICMP error, the port is that of the
    /// datagram. ICMP errors are not authenticated.
    Unreachable {
        /// The virtual socket.
        socket: SocketId,
        /// The address of the peer.
        peer: IpAddr,
        /// The port of the peer; `None` for all ports.
        port: Option<u16>,
        /// The reason.
        why: Unreachability,
        /// The requests for this peer; the last one is the reason.
        steps: Vec<Step>,
    },
    /// The credential expires soon. The owner should set a new credential.
    CredentialExpires {
        /// The time of the expiry.
        at: Instant,
    },
    /// No allocation with the new credential was made. The previous allocation remains.
    ReplacementFailed {
        /// The attempted steps.
        steps: Vec<Step>,
    },
    /// The relay has ended, because no server gave an allocation: at the start, or after a loss. This is the last event.
    Refused {
        /// The reason.
        why: ClientFailure,
        /// The attempted steps of the last round over all servers, oldest first.
        steps: Vec<Step>,
        /// The time before which no client sends an Allocate request to these servers (RFC 8656 §7.4).
        blocked: Vec<(SocketAddr, Instant)>,
    },
    /// The relay has ended by its owner's command. This is the last event.
    Ended,
}

impl RelayEvent {
    /// Whether this is the last event of the relay.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Ended)
    }

    /// The event of an ordinary socket that says the same to the machine that uses the virtual socket.
    ///
    /// `None` for data, for events of no single socket, and for an `Unreachable` of all ports: the owner passes on such
    /// an `Unreachable` for each known port of the peer.
    #[must_use]
    pub fn as_socket_event(&self) -> Option<(SocketId, SocketEvent)> {
        match *self {
            Self::Opened { socket, local, .. } => Some((socket, SocketEvent::Opened { local })),
            Self::Closed { socket, .. } => Some((socket, SocketEvent::Closed(Closure::Unspecified))),
            Self::Unreachable { socket, peer, port: Some(port), why, .. } => {
                Some((socket, SocketEvent::Unreachable { remote: SocketAddr::new(peer, port), why }))
            }
            Self::Unreachable { port: None, .. }
            | Self::Data { .. }
            | Self::FamilyRefused { .. }
            | Self::CredentialExpires { .. }
            | Self::ReplacementFailed { .. }
            | Self::Refused { .. }
            | Self::Ended => None,
        }
    }
}

/// The reason why a virtual socket was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RelayClosure {
    /// The allocation was lost. The client makes a new one, which has a new virtual socket.
    Lost(LossReason),
    /// Another allocation has replaced the allocation, and their overlap has ended.
    Replaced,
    /// The owner has closed the relay.
    ByOwner,
}

impl fmt::Display for RelayClosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(why) => write!(f, "the allocation was lost: {why}"),
            Self::Replaced => f.write_str("another allocation has replaced the allocation"),
            Self::ByOwner => f.write_str("the owner has closed the relay"),
        }
    }
}
