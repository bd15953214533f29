//! The events of a client.
//!
//! ```
//! use portolan_punch::rendezvous::EndReason;
//!
//! assert!(EndReason::RoomFull.to_string().contains("two peers"));
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Unreachability;
use portolan_stun_agent::{RequestError, Unusable};

/// An event of a [`Client`](super::Client).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The client is registered, or its reflexive address has changed.
    Registered {
        /// The reflexive address of the socket.
        reflexive: SocketAddr,
    },
    /// The other peer is there, and is introduced next. The owner may now move the client to a new socket. Only with
    /// [`ClientConfig::moves`](super::ClientConfig::moves).
    Woken,
    /// The other peer is there. If another peer takes its place later, there is another introduction.
    Introduced(Introduction),
    /// The client has ended. This is the last event.
    Ended(EndReason),
}

/// What a peer needs to begin.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Introduction {
    /// The NAT card of the other peer, if it has sent one. It has at most 512 bytes and no control character.
    pub card: Option<String>,
    /// The host candidates of the other peer, at most 16.
    pub candidates: Vec<SocketAddr>,
    /// The own reflexive address, as the server sees it.
    pub reflexive: SocketAddr,
    /// The reflexive address of the other peer, as the server sees it.
    pub peer_reflexive: SocketAddr,
    /// The key of the session, the same for both peers. The page of [`rendezvous`](crate::rendezvous) says who can
    /// compute it. `Debug` does not print it.
    pub session: [u8; 16],
    /// The delay of the common start after this event.
    pub start: Duration,
    /// Whether this peer has registered first. Exactly one of the two peers is the first.
    pub first: bool,
}

impl fmt::Debug for Introduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introduction")
            .field("card", &self.card)
            .field("candidates", &self.candidates)
            .field("reflexive", &self.reflexive)
            .field("peer_reflexive", &self.peer_reflexive)
            .field("start", &self.start)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

/// The reason why a client has ended, in one line with the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// The owner ended the client.
    #[error("the client has left the room")]
    Left,
    /// The server did not give a usable answer in time.
    #[error(
        "the rendezvous does not answer{}{}; check its address, and that it runs with --rendezvous",
        Detail(.unusable.as_ref()),
        Detail(.unreachable.as_ref())
    )]
    NoAnswer {
        /// The reason why the last answer was not used.
        unusable: Option<Unusable>,
        /// The last report that a datagram did not arrive.
        unreachable: Option<Unreachability>,
    },
    /// No other peer came to the room in time.
    #[error("no other peer came to the room; start the other side with the same room, or wait longer")]
    NoPeer,
    /// The server refuses the password of the room.
    #[error("the rendezvous refuses the secret of the room; give both peers the secret of this rendezvous")]
    WrongSecret,
    /// The room has two peers already (480).
    #[error("the room has two peers already; choose another room, or wait until one of them has left")]
    RoomFull,
    /// The source has too many registrations (486).
    #[error("too many peers are registered from this address; end some of them, or try again later")]
    SourceQuota,
    /// The server has no capacity (508).
    #[error("the rendezvous has no capacity; try again later, or use another one")]
    ServerFull,
    /// The server refuses the request with another error code.
    #[error("the rendezvous refuses the request with code {code}; check that both sides have the same version")]
    Refused {
        /// The error code.
        code: u16,
    },
    /// The server answered without authentication, so it is no rendezvous.
    #[error("the server is no rendezvous: its answer is not authenticated; check its address")]
    Unauthenticated,
    /// The socket was closed.
    #[error("the socket of the rendezvous was closed")]
    SocketLost,
    /// The request could not be made.
    #[error("the request to the rendezvous could not be made: {0}")]
    Request(RequestError),
}

/// A reason after a colon, if there is one.
struct Detail<'a, T>(Option<&'a T>);

impl<T: fmt::Display> fmt::Display for Detail<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}
