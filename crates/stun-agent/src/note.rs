//! What a student may hear.
//!
//! ```
//! use portolan_machine::Explain;
//! use portolan_stun_agent::{Note, TransactionId};
//!
//! let note = Note::Sent { id: TransactionId::from([1; 12]), remote: "192.0.2.1:3478".parse()?, send: 2 };
//! assert_eq!(note.to_string(), "request 010101010101010101010101 to 192.0.2.1:3478, send 2");
//! assert_eq!(note.rfc().unwrap().to_string(), "RFC 8489 §6.2.1");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain, SocketId};
use portolan_stun::{DecodeError, Method, TransactionId};

/// What [`Transactions`](crate::Transactions) tells whoever listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A request was sent.
    Sent {
        /// The transaction.
        id: TransactionId,
        /// Where to.
        remote: SocketAddr,
        /// 1 for the first time.
        send: u32,
    },
    /// An answer was accepted.
    Accepted {
        /// The transaction.
        id: TransactionId,
        /// Who answered.
        from: SocketAddr,
    },
    /// The schedule ran out.
    GivenUp {
        /// The transaction.
        id: TransactionId,
        /// How often it was sent.
        sends: u32,
    },
    /// The owner no longer wants the answer.
    Cancelled {
        /// The transaction.
        id: TransactionId,
    },
    /// A message was dropped.
    Dropped {
        /// Whom it came from.
        from: SocketAddr,
        /// Why.
        why: Dropped,
    },
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// Its transaction is over already.
    Late {
        /// The transaction.
        id: TransactionId,
        /// How that ended.
        ending: Ending,
    },
    /// It has the id of a pending request and cannot be read.
    Undecodable(DecodeError),
    /// It has the id of a pending request and another method.
    Method(Method),
    /// It has the id of a pending request and comes from an address that the request does not accept.
    Elsewhere {
        /// Where the request went.
        asked: SocketAddr,
    },
    /// It has the id of a pending request and came to another socket.
    OtherSocket {
        /// The request's socket.
        asked: SocketId,
    },
    /// Its answer cannot be used.
    Unusable(crate::Unusable),
    /// Came on a stream of ours and has no id of ours.
    NotAsked,
    /// Peers caused more than may wait.
    QueueFull,
    /// The stream's bytes are not STUN.
    NotStun,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was answered.
    Answered,
    /// Its answer could not be used.
    Unusable,
    /// Its schedule ran out.
    Exhausted,
    /// Its owner cancelled it.
    Cancelled,
    /// Its socket was lost.
    SocketLost,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { id, remote, send } => write!(f, "request {id} to {remote}, send {send}"),
            Self::Accepted { id, from } => write!(f, "request {id} answered by {from}"),
            Self::GivenUp { id, sends } => write!(f, "request {id} given up after {sends} sends"),
            Self::Cancelled { id } => write!(f, "request {id} cancelled"),
            Self::Dropped { from, why } => write!(f, "message from {from} dropped: {why}"),
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { id, ending } => write!(f, "request {id} {ending} already"),
            Self::Undecodable(error) => write!(f, "it answers a request of ours but cannot be read: {error}"),
            Self::Method(method) => write!(f, "it answers a request of ours with another method, {method}"),
            Self::Elsewhere { asked } => write!(f, "it answers the request to {asked}, which accepts no other sender"),
            Self::OtherSocket { asked } => {
                write!(f, "it answers the request on {asked}, which accepts no other socket")
            }
            Self::Unusable(why) => write!(f, "{why}"),
            Self::NotAsked => f.write_str("it answers no request of ours"),
            Self::QueueFull => f.write_str("too much waits to be polled"),
            Self::NotStun => f.write_str("the stream's bytes are not STUN"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "was answered",
            Self::Unusable => "got an unusable answer",
            Self::Exhausted => "was given up",
            Self::Cancelled => "was cancelled",
            Self::SocketLost => "lost its socket",
        })
    }
}

impl Explain for Note {
    fn rfc(&self) -> Option<Clause> {
        let section = match self {
            Self::Sent { .. } | Self::GivenUp { .. } => "6.2.1",
            Self::Accepted { .. } => "6.3.3",
            Self::Cancelled { .. } => return None,
            Self::Dropped { why, .. } => match why {
                Dropped::Late { .. } | Dropped::NotAsked | Dropped::Undecodable(_) | Dropped::Method(_) => "6.3",
                Dropped::Elsewhere { .. } | Dropped::OtherSocket { .. } => "6.3.1.2",
                Dropped::Unusable(crate::Unusable::UnknownAttribute(_)) => "6.3.3",
                Dropped::Unusable(crate::Unusable::NoErrorCode) => "6.3.4",
                Dropped::NotStun => "6.2.2",
                Dropped::QueueFull => return None,
            },
        };
        Some(Clause::new(8489, section))
    }
}
