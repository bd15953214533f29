//! What the owner of a machine of this crate must act on.
//!
//! ```
//! use portolan_stun_agent::{TransactionEvent, TransactionId};
//!
//! let event = TransactionEvent::Exhausted { tag: 7_u8, id: TransactionId::from([1; 12]), sends: 7, answers: 0 };
//! assert_eq!(event.tag(), &7);
//! ```

use crate::alternate::RedirectError;
use crate::credential::ChallengeError;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Protocol, Refusal, SocketId, Unreachability};
use portolan_stun::{AttributeType, Integrity, IntegrityError, TransactionId};

/// The result of a request; `T` is the tag that its owner gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionEvent<T> {
    /// A response from an allowed address; its class says whether it is a success or an error response.
    ///
    /// The request is over, unless its schedule repeats.
    Answered(Answer<T>),
    /// An answer with the right id came from an address, or to a socket, that the request does not accept.
    ///
    /// It does not count and the request continues. It shows a server that responds from a wrong address.
    Elsewhere(Answer<T>),
    /// The response cannot be used, and the request has ended (RFC 8489 §6.3.3, §6.3.4, §9.1.4, §9.2.5, §10).
    Unusable {
        /// The owner's name for the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// The sender of the response.
        from: SocketAddr,
        /// The reason.
        why: Unusable,
    },
    /// The schedule ran out, of the last transaction where a credential made it several. With `answers` 0, which only a
    /// repeating schedule exceeds, the request timed out.
    Exhausted {
        /// The owner's name for the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// How often it was sent.
        sends: u32,
        /// How many answers came.
        answers: u32,
    },
    /// A send failed, or ICMP says that one did not arrive. ICMP messages are not authenticated, so the request keeps its schedule.
    Unreachable {
        /// The owner's name for the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// Where it did not arrive.
        remote: SocketAddr,
        /// Why.
        why: Unreachability,
    },
    /// The request's socket is gone, and the request is over.
    SocketLost {
        /// The owner's name for the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// The socket.
        socket: SocketId,
        /// Why it is gone.
        why: SocketLoss,
    },
}

impl<T> TransactionEvent<T> {
    /// The owner's name for the request.
    pub const fn tag(&self) -> &T {
        match self {
            Self::Answered(answer) | Self::Elsewhere(answer) => &answer.tag,
            Self::Unusable { tag, .. }
            | Self::Exhausted { tag, .. }
            | Self::Unreachable { tag, .. }
            | Self::SocketLost { tag, .. } => tag,
        }
    }

    /// The transaction; with a credential the last one that the request became.
    pub const fn id(&self) -> TransactionId {
        match self {
            Self::Answered(answer) | Self::Elsewhere(answer) => answer.id,
            Self::Unusable { id, .. }
            | Self::Exhausted { id, .. }
            | Self::Unreachable { id, .. }
            | Self::SocketLost { id, .. } => *id,
        }
    }
}

/// A response, and all that its owner needs to judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The owner's name for the request.
    pub tag: T,
    /// The transaction.
    pub id: TransactionId,
    /// The socket that it came to.
    pub socket: SocketId,
    /// The local address that received it.
    pub local: SocketAddr,
    /// Its sender, as the socket saw it.
    pub from: SocketAddr,
    /// The whole message; it decodes.
    pub message: Bytes,
    /// 1 for the first answer; more only where the schedule repeats, and a duplicate made by the network counts too.
    /// From elsewhere: how many were accepted before.
    pub nth: u32,
    /// How often the request had been sent; a round trip is only known where it is 1 (Karn, RFC 8489 §6.2.1).
    pub sends: u32,
    /// Time since the first send.
    pub since_first: Duration,
    /// Time since the last send.
    pub since_last: Duration,
    /// The integrity attribute that was verified. `None` where the request had no credential, and for a response from an
    /// unexpected address, which is not verified.
    pub integrity: Option<Integrity>,
}

/// Why a response cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unusable {
    /// It holds a comprehension-required attribute that this stack has no name for.
    #[error("unknown comprehension-required {0}")]
    UnknownAttribute(AttributeType),
    /// An error response without ERROR-CODE.
    #[error("error response without ERROR-CODE")]
    NoErrorCode,
    /// No answer could be verified (RFC 8489 §9.1.4, §9.2.5): over UDP at the end of the schedule, over a stream at once.
    #[error("the answer is not verified: {0}")]
    Integrity(IntegrityError),
    /// The server's challenge is not answered (RFC 8489 §9.2.5).
    #[error(transparent)]
    Challenge(ChallengeError),
    /// The server's redirection is not followed (RFC 8489 §10).
    #[error(transparent)]
    Alternate(RedirectError),
}

/// Why a socket is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketLoss {
    /// It could not be made.
    Refused(Refusal),
    /// It ended.
    Closed(Closure),
    /// The bytes of the stream are not STUN; close it.
    NotStun,
}

/// What became of a responder's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponderEvent {
    /// A socket is there.
    Listening {
        /// The socket.
        socket: SocketId,
        /// `Udp` or `TcpListen`.
        protocol: Protocol,
        /// Where it listens, with the port that the system chose if that was left to it.
        local: SocketAddr,
    },
    /// A socket could not be made. A site that lacks one of its four has no alternate address.
    Refused {
        /// `Udp` or `TcpListen`.
        protocol: Protocol,
        /// Where it was to listen.
        local: SocketAddr,
        /// The reason.
        why: Refusal,
    },
    /// A socket ended without an order to close.
    Lost {
        /// `Udp` or `TcpListen`.
        protocol: Protocol,
        /// Where it listened.
        local: SocketAddr,
        /// Why it ended.
        why: Closure,
    },
    /// Everything is closed; the last event.
    Stopped,
}
