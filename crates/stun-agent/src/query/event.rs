//! What the owner of a query must act on, and the facts of a response.

use crate::{Answer, RequestError, Unusable};
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Refusal, SocketId, Unreachability};
use portolan_stun::{Class, Integrity, Message, Text};

/// What happens in a query. [`Response`](Self::Response) and [`Failed`](Self::Failed) are the last event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryEvent {
    /// The socket is open. A stream is connected, and the certificate of a TLS server is verified.
    Opened {
        /// The socket.
        socket: SocketId,
        /// The address that the request leaves from.
        local: SocketAddr,
    },
    /// The request was sent.
    Sent {
        /// The whole message.
        message: Bytes,
        /// The number of this send, from 1. The transactions that answer a challenge count on.
        send: u32,
    },
    /// A response with the right id came from an address that was not asked. It counts for nothing, and the query goes on.
    Elsewhere {
        /// The sender of the response.
        from: SocketAddr,
    },
    /// A datagram could not be sent, or ICMP reported that it did not arrive. Such reports can be forged, so the query
    /// goes on.
    Unreachable {
        /// The destination of the datagram.
        remote: SocketAddr,
        /// Why it did not arrive.
        why: Unreachability,
    },
    /// The server responded; the last event.
    Response(Box<QueryResponse>),
    /// There is no response; the last event.
    Failed(QueryFailure),
}

/// Why a query has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryFailure {
    /// The socket could not be made.
    #[error("the socket could not be opened: {0}")]
    Refused(Refusal),
    /// The socket ended before the response.
    #[error("the connection ended before the response: {0}")]
    Closed(Closure),
    /// The bytes of the stream are not STUN.
    #[error("the bytes of the stream are not STUN")]
    NotStun,
    /// No response came in time.
    #[error("no response came in time, after {sends} sends")]
    TimedOut {
        /// How often the request was sent; 0 if the stream was not connected in time.
        sends: u32,
        /// The last report that a datagram did not arrive.
        unreachable: Option<Unreachability>,
    },
    /// A response came and cannot be used.
    #[error("the response of {from} cannot be used: {why}")]
    Unusable {
        /// The sender of the response.
        from: SocketAddr,
        /// Why it cannot be used.
        why: Unusable,
    },
    /// The request could not be made.
    #[error("the request could not be made: {0}")]
    Request(RequestError),
    /// The owner cancelled the query.
    #[error("the query was cancelled")]
    Cancelled,
}

/// The response to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryResponse {
    /// The sender of the response: the server, or the one that it redirected to (RFC 8489 §10).
    pub from: SocketAddr,
    /// The local address that the response came to.
    pub local: SocketAddr,
    /// How often the request was sent, in the transaction that was answered.
    pub sends: u32,
    /// The time from the request to the response. It is only known if the request was sent once (RFC 8489 §6.2.1).
    pub round_trip: Option<Duration>,
    /// The integrity attribute that was verified. `None`: the request proved nothing, so that no proof was asked for.
    pub integrity: Option<Integrity>,
    /// What the response says.
    pub facts: ResponseFacts,
    /// The whole message; it decodes.
    pub message: Bytes,
}

impl<T> From<Answer<T>> for QueryResponse {
    fn from(answer: Answer<T>) -> Self {
        Self {
            from: answer.from,
            local: answer.local,
            sends: answer.sends,
            round_trip: (answer.sends == 1).then_some(answer.since_first),
            integrity: answer.integrity,
            facts: Message::decode(&answer.message).map(|message| ResponseFacts::of(&message)).unwrap_or_default(),
            message: answer.message,
        }
    }
}

/// What a Binding response says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseFacts {
    /// The client's address as the server saw it: XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS. `None` in an error response.
    pub mapped: Option<SocketAddr>,
    /// ERROR-CODE of an error response.
    pub error: Option<ErrorResponse>,
    /// SOFTWARE, with invalid UTF-8 replaced. It may hold control characters.
    pub software: Option<Box<str>>,
    /// OTHER-ADDRESS: the server's other address and port (RFC 5780 §7.4).
    pub other_address: Option<SocketAddr>,
    /// RESPONSE-ORIGIN: the address that the response says it left from (RFC 5780 §7.3).
    pub response_origin: Option<SocketAddr>,
    /// ALTERNATE-SERVER: the server to ask instead (RFC 8489 §10).
    pub alternate_server: Option<SocketAddr>,
}

impl ResponseFacts {
    /// Reads them from a message.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Self {
        let (success, error) = (message.class() == Class::SuccessResponse, message.class() == Class::ErrorResponse);
        Self {
            mapped: message.xor_mapped_address().or_else(|| message.mapped_address()).filter(|_| success),
            error: message
                .error_code()
                .filter(|_| error)
                .map(|error| ErrorResponse { code: error.code(), reason: text(error.reason()) }),
            software: message.software().map(text),
            other_address: message.other_address(),
            response_origin: message.response_origin(),
            alternate_server: message.alternate_server(),
        }
    }
}

/// The error of an error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The code, 300 to 699.
    pub code: u16,
    /// The reason phrase, with invalid UTF-8 replaced. It may hold control characters.
    pub reason: Box<str>,
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

fn text(text: Text<'_>) -> Box<str> {
    String::from_utf8_lossy(text.as_bytes()).into()
}
