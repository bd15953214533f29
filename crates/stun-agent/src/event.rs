//! The events of the machines of this crate.
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

/// An event of a request. `T` is the tag of the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionEvent<T> {
    /// A success or error response from an allowed address.
    ///
    /// The request has ended, unless its schedule repeats.
    Answered(Answer<T>),
    /// A response with a matching id came from an address, or to a socket, that the request does not accept.
    ///
    /// The response is not accepted, and the request continues. Servers that respond from a wrong address cause this
    /// event.
    Elsewhere(Answer<T>),
    /// The response cannot be used, and the request has ended (RFC 8489 §6.3.3, §6.3.4, §9.1.4, §9.2.5, §10).
    Unusable {
        /// The tag of the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// The sender of the response.
        from: SocketAddr,
        /// The reason.
        why: Unusable,
    },
    /// The schedule has ended; with a credential, the schedule of the last transaction. If `answers` is 0, the
    /// request timed out. `answers` is above 0 only if the schedule repeats.
    Exhausted {
        /// The tag of the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// The number of sends.
        sends: u32,
        /// The number of accepted responses.
        answers: u32,
    },
    /// A send failed, or ICMP reported that a datagram did not arrive. ICMP messages are not authenticated, so the
    /// request keeps its schedule.
    Unreachable {
        /// The tag of the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// The destination of the datagram.
        remote: SocketAddr,
        /// The reason.
        why: Unreachability,
    },
    /// The socket of the request is closed, and the request has ended.
    SocketLost {
        /// The tag of the request.
        tag: T,
        /// The transaction.
        id: TransactionId,
        /// The socket.
        socket: SocketId,
        /// The reason.
        why: SocketLoss,
    },
}

impl<T> TransactionEvent<T> {
    /// The tag of the request.
    pub const fn tag(&self) -> &T {
        match self {
            Self::Answered(answer) | Self::Elsewhere(answer) => &answer.tag,
            Self::Unusable { tag, .. }
            | Self::Exhausted { tag, .. }
            | Self::Unreachable { tag, .. }
            | Self::SocketLost { tag, .. } => tag,
        }
    }

    /// The transaction; with a credential, the last transaction of the request.
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

/// A response with its addresses and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The tag of the request.
    pub tag: T,
    /// The transaction.
    pub id: TransactionId,
    /// The socket that received the response.
    pub socket: SocketId,
    /// The local address that received the response.
    pub local: SocketAddr,
    /// The source address of the response.
    pub from: SocketAddr,
    /// The whole message, which is valid STUN.
    pub message: Bytes,
    /// The number of this response, from 1. It is above 1 only if the schedule repeats, and includes duplicates from
    /// the network. For a response from an unexpected address it is the number of responses accepted before.
    pub nth: u32,
    /// The number of sends before the response. The round trip time is known only if it is 1 (Karn's algorithm, RFC
    /// 8489 §6.2.1).
    pub sends: u32,
    /// The time since the first send.
    pub since_first: Duration,
    /// The time since the last send.
    pub since_last: Duration,
    /// The verified integrity attribute. `None` if the request had no credential, or if the response came from an
    /// unexpected address and was not verified.
    pub integrity: Option<Integrity>,
}

/// The reason why a response cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unusable {
    /// The response has an unknown comprehension-required attribute.
    #[error("unknown comprehension-required {0}")]
    UnknownAttribute(AttributeType),
    /// The error response has no ERROR-CODE.
    #[error("error response without ERROR-CODE")]
    NoErrorCode,
    /// No response was verified (RFC 8489 §9.1.4, §9.2.5). Over UDP this is reported at the end of the schedule, over
    /// a stream at once.
    #[error("the response is not verified: {0}")]
    Integrity(IntegrityError),
    /// The request is not retried after the challenge of the server (RFC 8489 §9.2.5).
    #[error(transparent)]
    Challenge(ChallengeError),
    /// The redirection of the server is not followed (RFC 8489 §10).
    #[error(transparent)]
    Alternate(RedirectError),
}

/// The reason why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketLoss {
    /// The socket could not be opened.
    Refused(Refusal),
    /// The socket was closed.
    Closed(Closure),
    /// The bytes of the stream are not STUN. The owner closes the stream.
    NotStun,
}

/// An event of a responder: a change of one of its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponderEvent {
    /// A socket is open.
    Listening {
        /// The socket.
        socket: SocketId,
        /// The protocol: `Udp` or `TcpListen`.
        protocol: Protocol,
        /// The local address, with the port that the system assigned if the configured port is 0.
        local: SocketAddr,
    },
    /// A socket could not be opened. If one of the four sockets of a pair is missing, the pair has no alternate
    /// address.
    Refused {
        /// The protocol: `Udp` or `TcpListen`.
        protocol: Protocol,
        /// The configured local address.
        local: SocketAddr,
        /// The reason.
        why: Refusal,
    },
    /// A socket was closed without an order of the machine.
    Lost {
        /// The protocol: `Udp` or `TcpListen`.
        protocol: Protocol,
        /// The local address.
        local: SocketAddr,
        /// The reason.
        why: Closure,
    },
    /// The responder has stopped and closed its sockets. This is the last event.
    Stopped,
}
