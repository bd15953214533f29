//! The notes of the relay. `docs/notes.md` lists their codes.
//!
//! ```
//! use portolan_connect::{RelayDropped, RelayNote};
//! use portolan_machine::Explain;
//!
//! let note = RelayNote::Dropped { peer: "203.0.113.9:5000".parse()?, why: RelayDropped::PeerLimit };
//! assert_eq!(note.code(), "relay-dropped-peer-limit");
//! assert_eq!(note.to_string(), "dropped a datagram for 203.0.113.9:5000: 8 newer ones wait for the permission");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::event::RelayClosure;
use crate::relay::Relay;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Clause, Explain, SocketId};
use portolan_turn::ClientError;

/// The notes of [`Relay`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayNote {
    /// A virtual socket was opened.
    Opened {
        /// The virtual socket.
        socket: SocketId,
        /// The relayed address.
        local: SocketAddr,
        /// The server.
        server: SocketAddr,
    },
    /// A virtual socket was closed.
    Closed {
        /// The virtual socket.
        socket: SocketId,
        /// The reason.
        why: RelayClosure,
    },
    /// Another allocation has replaced that of a virtual socket, which stays open until the end of the overlap.
    Replaced {
        /// The virtual socket.
        socket: SocketId,
    },
    /// A datagram waits for the permission of its peer.
    Held {
        /// The peer.
        peer: SocketAddr,
    },
    /// The permission of a peer is denied.
    Denied {
        /// The virtual socket.
        socket: SocketId,
        /// The peer.
        peer: IpAddr,
    },
    /// A datagram was dropped.
    Dropped {
        /// The peer.
        peer: SocketAddr,
        /// The reason.
        why: RelayDropped,
    },
}

/// The reason why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RelayDropped {
    /// [`Relay::HELD_OF_PEER`] newer datagrams for the same peer wait for its permission.
    PeerLimit,
    /// [`Relay::HELD`] newer datagrams wait for permissions.
    Limit,
    /// The permission of the peer is denied.
    Denied,
    /// The owner has removed the peer.
    Removed,
    /// The virtual socket was closed while the datagram waited.
    Closed,
    /// Another allocation has replaced that of the virtual socket, and the peer has no permission at the old one.
    Replaced,
    /// The peer is of another address family than the relayed address.
    Family,
    /// The TURN client cannot send the datagram.
    NotSent(ClientError),
    /// Data of the peer arrived for an allocation without a virtual socket.
    NoSocket,
    /// Data of the peer arrived, and the queue of outputs is full.
    QueueFull,
}

impl Explain for RelayNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "relay-socket-opened",
            Self::Closed { .. } => "relay-socket-closed",
            Self::Replaced { .. } => "relay-socket-replaced",
            Self::Held { .. } => "relay-datagram-held",
            Self::Denied { .. } => "relay-peer-denied",
            Self::Dropped { why, .. } => match why {
                RelayDropped::PeerLimit => "relay-dropped-peer-limit",
                RelayDropped::Limit => "relay-dropped-limit",
                RelayDropped::Denied => "relay-dropped-denied",
                RelayDropped::Removed => "relay-dropped-removed",
                RelayDropped::Closed => "relay-dropped-closed",
                RelayDropped::Replaced => "relay-dropped-replaced",
                RelayDropped::Family => "relay-dropped-family",
                RelayDropped::NotSent(_) => "relay-dropped-not-sent",
                RelayDropped::NoSocket => "relay-dropped-no-socket",
                RelayDropped::QueueFull => "relay-dropped-queue-full",
            },
        }
    }

    fn rfc(&self) -> Option<Clause> {
        let (rfc, section) = match self {
            Self::Opened { .. } => (8445, "5.1.1.2"),
            Self::Held { .. } | Self::Denied { .. } => (8656, "9"),
            Self::Closed { why, .. } => match why {
                RelayClosure::Lost(_) => (8656, "5"),
                RelayClosure::Replaced | RelayClosure::ByOwner => (8656, "8"),
            },
            Self::Dropped { why, .. } => match why {
                RelayDropped::PeerLimit | RelayDropped::Limit | RelayDropped::Denied | RelayDropped::Replaced => {
                    (8656, "9")
                }
                RelayDropped::Removed
                | RelayDropped::Closed
                | RelayDropped::Family
                | RelayDropped::NotSent(_)
                | RelayDropped::NoSocket
                | RelayDropped::QueueFull => return None,
            },
            Self::Replaced { .. } => return None,
        };
        Some(Clause::new(rfc, section))
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

impl fmt::Display for RelayNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { socket, local, server } => write!(f, "{socket} is the relayed address {local} at {server}"),
            Self::Closed { socket, why } => write!(f, "{socket} is closed: {why}"),
            Self::Replaced { socket } => write!(f, "another allocation replaces that of {socket}"),
            Self::Held { peer } => write!(f, "a datagram waits for the permission of {peer}"),
            Self::Denied { socket, peer } => write!(f, "the server permits no data from {socket} to {peer}"),
            Self::Dropped { peer, why: RelayDropped::NoSocket } => {
                write!(f, "dropped data of {peer}: its allocation has no socket")
            }
            Self::Dropped { peer, why: RelayDropped::QueueFull } => {
                write!(f, "dropped data of {peer}: the queue of outputs is full")
            }
            Self::Dropped { peer, why } => {
                write!(f, "dropped a datagram for {peer}: ")?;
                match why {
                    RelayDropped::PeerLimit => {
                        write!(f, "{} newer ones wait for the permission", Relay::HELD_OF_PEER)
                    }
                    RelayDropped::Limit => write!(f, "{} newer ones wait for permissions", Relay::HELD),
                    RelayDropped::Denied => f.write_str("its permission is denied"),
                    RelayDropped::Removed => f.write_str("the owner has removed the peer"),
                    RelayDropped::Closed => f.write_str("the socket was closed"),
                    RelayDropped::Replaced => f.write_str("the old allocation has no permission for it"),
                    RelayDropped::Family => f.write_str("the relayed address is of another family"),
                    RelayDropped::NotSent(why) => why.fmt(f),
                    RelayDropped::NoSocket | RelayDropped::QueueFull => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
