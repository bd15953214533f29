//! The events of a query, and the decoded response.

use crate::{Answer, RequestError, Unusable};
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Refusal, SocketId, Unreachability};
use portolan_stun::{Class, Integrity, Message, Text};

/// An event of a query. [`Response`](Self::Response) or [`Failed`](Self::Failed) is the last event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryEvent {
    /// The socket is open. A stream is connected, and the certificate of a TLS server is verified.
    Opened {
        /// The socket.
        socket: SocketId,
        /// The local address of the socket.
        local: SocketAddr,
    },
    /// The request was sent.
    Sent {
        /// The whole message.
        message: Bytes,
        /// The number of this send, from 1. Retries after a challenge continue the count.
        send: u32,
    },
    /// A response with a matching id came from an unexpected address. It is not accepted, and the query continues.
    Elsewhere {
        /// The sender of the response.
        from: SocketAddr,
    },
    /// A datagram could not be sent, or ICMP reported that it did not arrive. Such reports can be forged, so the
    /// query continues.
    Unreachable {
        /// The destination of the datagram.
        remote: SocketAddr,
        /// The reason.
        why: Unreachability,
    },
    /// The server responded. This is the last event.
    Response(Box<QueryResponse>),
    /// There is no response. This is the last event.
    Failed(QueryFailure),
}

/// The reason why a query has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryFailure {
    /// The socket could not be opened.
    #[error("the socket could not be opened: {0}")]
    Refused(Refusal),
    /// The socket was closed before the response.
    #[error("the connection ended before the response: {0}")]
    Closed(Closure),
    /// The bytes of the stream are not STUN.
    #[error("the bytes of the stream are not STUN")]
    NotStun,
    /// No response came in time.
    #[error("no response came in time, after {sends} sends")]
    TimedOut {
        /// The number of sends; 0 if the stream was not connected in time.
        sends: u32,
        /// The last report that a datagram did not arrive.
        unreachable: Option<Unreachability>,
    },
    /// A response was received and cannot be used.
    #[error("the response of {from} cannot be used: {why}")]
    Unusable {
        /// The sender of the response.
        from: SocketAddr,
        /// The reason.
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
    /// The sender of the response: the server, or the server of a redirection (RFC 8489 §10).
    pub from: SocketAddr,
    /// The local address that received the response.
    pub local: SocketAddr,
    /// The number of sends in the transaction of the response.
    pub sends: u32,
    /// The time from the request to the response; `None` if the request was sent more than once (RFC 8489 §6.2.1).
    pub round_trip: Option<Duration>,
    /// The verified integrity attribute. `None`: the request was not authenticated, so the response was not verified.
    pub integrity: Option<Integrity>,
    /// The decoded attributes of the response.
    pub facts: ResponseFacts,
    /// The whole message, which is valid STUN.
    pub message: Bytes,
}

impl<T> From<Answer<T>> for QueryResponse {
    fn from(response: Answer<T>) -> Self {
        Self {
            from: response.from,
            local: response.local,
            sends: response.sends,
            round_trip: (response.sends == 1).then_some(response.since_first),
            integrity: response.integrity,
            facts: Message::decode(&response.message).map(|message| ResponseFacts::of(&message)).unwrap_or_default(),
            message: response.message,
        }
    }
}

/// The decoded attributes of a Binding response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseFacts {
    /// The reflexive address of the client: XOR-MAPPED-ADDRESS, or otherwise MAPPED-ADDRESS. `None` in an error
    /// response.
    pub mapped: Option<SocketAddr>,
    /// ERROR-CODE of an error response.
    pub error: Option<ErrorResponse>,
    /// SOFTWARE, with invalid UTF-8 replaced. It can contain control characters.
    pub software: Option<Box<str>>,
    /// OTHER-ADDRESS: the server's other address and port (RFC 5780 §7.4).
    pub other_address: Option<SocketAddr>,
    /// RESPONSE-ORIGIN: the source address of the response, as the server reports it (RFC 5780 §7.3).
    pub response_origin: Option<SocketAddr>,
    /// ALTERNATE-SERVER: the server to use instead (RFC 8489 §10).
    pub alternate_server: Option<SocketAddr>,
}

impl ResponseFacts {
    /// Decodes the attributes of a message.
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
    /// The reason phrase, with invalid UTF-8 replaced. It can contain control characters.
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
