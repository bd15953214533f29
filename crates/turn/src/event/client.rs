//! The events of the client.
//!
//! Rules of this file: every failure has the error code, the reason and the steps of the client. Text of a server is
//! untrusted: [`Reason`] holds it escaped and shortened.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Closure, Instant, Refusal, Unreachability};
use portolan_stun::attribute::{AddressFamily, Icmp};
use portolan_stun::{Method, attribute::Text};
use portolan_stun_agent::{ChallengeError, RequestError, Unusable};

/// An event of a [`Client`](crate::Client).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The first allocation exists.
    Allocated {
        /// The relayed addresses: one, or two of a dual allocation.
        relayed: Vec<SocketAddr>,
        /// The client's address as the server sees it.
        mapped: SocketAddr,
        /// The server of the allocation.
        server: SocketAddr,
        /// The lifetime that the server granted.
        lifetime: Duration,
        /// The token of the next higher port, if one was requested (RFC 8656 §18.10).
        token: Option<[u8; 8]>,
        /// The family without a relayed address and its error code, if a dual allocation is not complete.
        missing: Option<(AddressFamily, u16)>,
    },
    /// The client's address, as the server sees it, has changed. The client refreshes the allocation at once.
    MappedChanged {
        /// The previous address.
        old: SocketAddr,
        /// The new address.
        new: SocketAddr,
    },
    /// The server permits this peer.
    PermissionAdded {
        /// The peer.
        peer: IpAddr,
    },
    /// The server does not permit this peer. The client makes no further request for it by itself.
    PermissionFailed {
        /// The peer.
        peer: IpAddr,
        /// The requests for this peer; the last one is the reason.
        steps: Vec<Step>,
    },
    /// The peer has a channel.
    ChannelAdded {
        /// The peer.
        peer: SocketAddr,
        /// The channel number.
        number: u16,
    },
    /// The peer has no channel. The client makes no further request for it by itself.
    ChannelFailed {
        /// The peer.
        peer: SocketAddr,
        /// The requests for this peer; the last one is the reason.
        steps: Vec<Step>,
    },
    /// Data of a peer arrived.
    Data {
        /// The peer.
        peer: SocketAddr,
        /// The data.
        payload: Bytes,
    },
    /// The server received an ICMP error for data to this peer (RFC 8656 §11.5). It is not authenticated.
    PeerUnreachable {
        /// The peer.
        peer: SocketAddr,
        /// The ICMP error.
        icmp: Icmp,
    },
    /// The allocation was refreshed by the owner's command. Other refreshes are not reported.
    Refreshed {
        /// The lifetime that the server granted.
        lifetime: Duration,
    },
    /// The server refused to refresh the allocation. The allocation exists until its lifetime ends.
    RefreshFailed {
        /// The request.
        step: Step,
    },
    /// The credential expires soon. The owner should set a new credential.
    CredentialExpires {
        /// The time of the expiry.
        at: Instant,
    },
    /// Another allocation has replaced the previous one, with the same peers.
    ///
    /// If the previous allocation was not lost before, it receives data for the configured overlap.
    Replaced {
        /// The relayed addresses of the previous allocation.
        old: Vec<SocketAddr>,
        /// The relayed addresses of the new allocation.
        new: Vec<SocketAddr>,
    },
    /// No allocation with the new credential was made. The previous allocation remains.
    ReplacementFailed {
        /// The attempted steps.
        steps: Vec<Step>,
    },
    /// The allocation does not exist any more. The client makes a new one.
    Lost {
        /// The relayed addresses of the lost allocation.
        relayed: Vec<SocketAddr>,
        /// The reason.
        why: LossReason,
    },
    /// The client has ended by its owner's command. This is the last event.
    Closed,
    /// The client has ended, because no server gave an allocation. This is the last event.
    Failed {
        /// The reason.
        why: ClientFailure,
        /// The attempted steps of the last round over all servers, oldest first.
        steps: Vec<Step>,
        /// The time before which no client sends an Allocate request to these servers (RFC 8656 §7.4).
        blocked: Vec<(SocketAddr, Instant)>,
    },
}

impl ClientEvent {
    /// Whether this is the last event of the client.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Closed | Self::Failed { .. })
    }
}

/// One request of the client, or one socket, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The time of the outcome.
    pub at: Instant,
    /// The server.
    pub server: SocketAddr,
    /// The method of the request.
    pub method: Method,
    /// The number of sends of its last transaction; 0 if nothing was sent.
    pub sends: u32,
    /// The outcome.
    pub outcome: Outcome,
    /// The last ICMP error for the server, if one arrived. ICMP is not authenticated: it never ends a request.
    pub icmp: Option<Unreachability>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} to {}: {}", self.at, self.method, self.server, self.outcome)?;
        self.icmp.map_or(Ok(()), |icmp| write!(f, " (ICMP: {icmp})"))
    }
}

/// The outcome of a step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server sent an error response.
    Error {
        /// The error code.
        code: u16,
        /// The reason phrase.
        reason: Reason,
    },
    /// No response arrived in time.
    TimedOut,
    /// The response cannot be used. A refused credential is reported here too.
    Unusable(Unusable),
    /// The success response lacks an attribute that RFC 8656 requires, or its value is impossible.
    Malformed,
    /// The success response is not authenticated, because the server sent no challenge (RFC 8656 §5).
    Unauthenticated,
    /// The socket could not be opened.
    Refused(Refusal),
    /// The socket was closed.
    Closed(Closure),
    /// The bytes of the stream are neither STUN nor ChannelData.
    NotFramed,
    /// The request could not be encoded, or too many requests are pending.
    NotSent(RequestError),
    /// The server is blocked after an earlier error, until this time (RFC 8656 §7.4).
    Blocked(Instant),
}

impl Outcome {
    /// The error code of the response, if the outcome is an error response.
    #[must_use]
    pub const fn code(&self) -> Option<u16> {
        match self {
            Self::Error { code, .. } => Some(*code),
            Self::TimedOut
            | Self::Unusable(_)
            | Self::Malformed
            | Self::Unauthenticated
            | Self::Refused(_)
            | Self::Closed(_)
            | Self::NotFramed
            | Self::NotSent(_)
            | Self::Blocked(_) => None,
        }
    }
}

impl Outcome {
    /// Whether the same request can succeed a moment later: there was no response, or a nonce became stale twice. The
    /// second case is usual if nonces live for seconds only, and packets are lost.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Unusable(Unusable::Challenge(ChallengeError::TooMany)))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error { code, reason } if reason.0.is_empty() => write!(f, "error {code}"),
            Self::Error { code, reason } => write!(f, "error {code} \"{reason}\""),
            Self::TimedOut => f.write_str("no response"),
            Self::Unusable(why) => why.fmt(f),
            Self::Malformed => f.write_str("the success response lacks a required attribute"),
            Self::Unauthenticated => f.write_str("the success response is not authenticated"),
            Self::Refused(why) => write!(f, "the socket was refused: {why}"),
            Self::Closed(why) => write!(f, "the stream was closed: {why}"),
            Self::NotFramed => f.write_str("the bytes of the stream are neither STUN nor ChannelData"),
            Self::NotSent(why) => write!(f, "the request was not sent: {why}"),
            Self::Blocked(until) => write!(f, "no Allocate before {until}"),
        }
    }
}

/// The reason phrase of an error response, escaped and shortened: it is text of the server, and not trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reason(Box<str>);

impl Reason {
    /// The largest number of characters of the phrase before escaping.
    pub const LIMIT: usize = 128;

    /// Escapes a phrase: only printable ASCII characters stay unchanged.
    #[must_use]
    pub fn new(text: Text<'_>) -> Self {
        let lossy = String::from_utf8_lossy(text.as_bytes());
        let escape = |c: char| if c == '\'' { "'".chars().collect::<String>() } else { c.escape_default().collect() };
        let escaped: String = lossy.chars().take(Self::LIMIT).map(escape).collect();
        Self(escaped.into())
    }

    /// The escaped text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason why an allocation does not exist any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The server has no allocation for the client's address (437, RFC 8656 §5).
    Mismatch,
    /// The lifetime ended, because no Refresh request was successful.
    Expired,
    /// The server has sent nothing for the whole schedule of a keepalive.
    Silent,
    /// The stream to the server was closed.
    Closed(Closure),
    /// The bytes of the stream are neither STUN nor ChannelData.
    NotFramed,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch => f.write_str("the server has no allocation for this address"),
            Self::Expired => f.write_str("its lifetime ended"),
            Self::Silent => f.write_str("the server is silent"),
            Self::Closed(why) => write!(f, "the stream was closed: {why}"),
            Self::NotFramed => f.write_str("the bytes of the stream are neither STUN nor ChannelData"),
        }
    }
}

/// The reason why a client has ended without its owner's command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientFailure {
    /// Each server failed or is blocked. The steps have the reasons.
    NoServer,
    /// Several allocations in a row were lost soon after they were made.
    Unstable,
}

impl fmt::Display for ClientFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoServer => "no server gave an allocation",
            Self::Unstable => "several allocations in a row were lost soon after they were made",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_reason_phrase_is_escaped_and_shortened() {
        let hostile = Text::from_wire(b"no\n\x1b[2J\"%s'\xff\xe2\x80\xae");
        assert_eq!(Reason::new(hostile).as_str(), "no\\n\\u{1b}[2J\\\"%s'\\u{fffd}\\u{202e}");
        let long = "a".repeat(1000);
        assert_eq!(Reason::new(Text::new(&long)).as_str().len(), Reason::LIMIT);
        let outcome = Outcome::Error { code: 403, reason: Reason::new(Text::new("go\r\naway")) };
        assert_eq!(outcome.to_string(), "error 403 \"go\\r\\naway\"");
        assert_eq!(outcome.code(), Some(403));
    }
}
