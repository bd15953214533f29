//! The notes of the machines: diagnostics for a log.
//!
//! ```
//! use portolan_machine::Explain;
//! use portolan_stun_agent::{TransactionNote, TransactionId};
//!
//! let note = TransactionNote::Sent { id: TransactionId::from([1; 12]), remote: "192.0.2.1:3478".parse()?, send: 2 };
//! assert_eq!(note.to_string(), "request 010101010101010101010101 to 192.0.2.1:3478, send 2");
//! assert_eq!(note.rfc().unwrap().to_string(), "RFC 8489 §6.2.1");
//! assert_eq!(note.code(), "request-sent");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::alternate::RedirectError;
use crate::authenticator::{Rejection, RejectionKind};
use crate::credential::{ChallengeError, Mechanism};
use crate::nonce::NonceError;
use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain, Instant, SocketId};
use portolan_stun::{DecodeError, Integrity, IntegrityError, Method, TransactionId};

/// The notes of [`Transactions`](crate::Transactions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionNote {
    /// A request was sent.
    Sent {
        /// The transaction.
        id: TransactionId,
        /// The destination.
        remote: SocketAddr,
        /// The number of this send, from 1.
        send: u32,
    },
    /// A response was accepted.
    Accepted {
        /// The transaction.
        id: TransactionId,
        /// The sender of the response.
        from: SocketAddr,
    },
    /// The request timed out.
    GivenUp {
        /// The transaction.
        id: TransactionId,
        /// The number of sends.
        sends: u32,
    },
    /// The request is retried after a challenge, as a new transaction.
    Challenged {
        /// The transaction that ended with the challenge.
        was: TransactionId,
        /// The new transaction.
        id: TransactionId,
        /// The sender of the challenge.
        from: SocketAddr,
        /// The error code: 401, or 438 if the nonce is stale.
        code: u16,
    },
    /// The authentication of a retry after a challenge.
    Chosen {
        /// The new transaction.
        id: TransactionId,
        /// The number in PASSWORD-ALGORITHM; `None` if the server offered no algorithms, so that the key is MD5.
        algorithm: Option<u16>,
        /// Whether the user name is sent as USERHASH.
        anonymous: bool,
        /// The integrity attribute of the request.
        integrity: Integrity,
    },
    /// The request is not retried after a challenge, and has ended.
    Declined {
        /// The transaction.
        id: TransactionId,
        /// The sender of the challenge.
        from: SocketAddr,
        /// The reason.
        why: ChallengeError,
    },
    /// A redirection was followed. The request continues as a new transaction.
    Redirected {
        /// The transaction that ended with the redirection.
        was: TransactionId,
        /// The new transaction.
        id: TransactionId,
        /// The sender of the redirection.
        from: SocketAddr,
        /// The new server.
        to: SocketAddr,
    },
    /// A redirection is not followed.
    Stayed {
        /// The transaction.
        id: TransactionId,
        /// The sender of the redirection.
        from: SocketAddr,
        /// The reason.
        why: RedirectError,
    },
    /// The owner cancelled a request.
    Cancelled {
        /// The transaction.
        id: TransactionId,
    },
    /// A message was dropped.
    Dropped {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: Dropped,
    },
}

/// The reason why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// The transaction of the response has ended already.
    Late {
        /// The transaction.
        id: TransactionId,
        /// The end of the transaction.
        ending: TransactionEnd,
    },
    /// The response has the id of a pending request and cannot be decoded.
    Undecodable(DecodeError),
    /// The response has the id of a pending request and another method.
    Method(Method),
    /// The response has the id of a pending request and comes from an address that the request does not accept.
    Elsewhere {
        /// The destination of the request.
        asked: SocketAddr,
    },
    /// The response has the id of a pending request and was received on another socket.
    OtherSocket {
        /// The socket of the request.
        asked: SocketId,
    },
    /// The response cannot be used.
    Unusable(crate::Unusable),
    /// The integrity of the response is missing or invalid. The response is handled as not received.
    Unverified {
        /// The mechanism of the request.
        mechanism: Mechanism,
        /// The error of the integrity.
        why: IntegrityError,
    },
    /// The response is a 400 that is not authenticated.
    BadRequest,
    /// The nonce announces PASSWORD-ALGORITHMS, which is missing: a third party can have removed it.
    Stripped,
    /// The message on a stream with pending requests does not match any of them.
    NotAsked,
    /// The output queue has no space.
    QueueFull,
    /// The bytes of the stream are not STUN.
    NotStun,
}

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionEnd {
    /// A response was accepted.
    Answered,
    /// The response could not be used.
    Unusable,
    /// The server challenged it, and a new transaction replaced it.
    Challenged,
    /// The server redirected it, and a new transaction replaced it.
    Redirected,
    /// The schedule ended.
    Exhausted,
    /// The owner cancelled it.
    Cancelled,
    /// The socket was closed.
    SocketLost,
}

impl fmt::Display for TransactionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { id, remote, send } => write!(f, "request {id} to {remote}, send {send}"),
            Self::Accepted { id, from } => write!(f, "request {id} answered by {from}"),
            Self::GivenUp { id, sends } => write!(f, "request {id} given up after {sends} sends"),
            Self::Challenged { was, id, from, code: 438 } => {
                write!(f, "request {was} has a stale nonce for {from}, {id} replaces it")
            }
            Self::Challenged { was, id, from, code } => {
                write!(f, "request {was} challenged by {from} with {code}, {id} replaces it")
            }
            Self::Chosen { id, algorithm, anonymous, integrity } => {
                write!(f, "request {id} is authenticated with ")?;
                match algorithm {
                    Some(number) => write!(f, "password algorithm {number}")?,
                    None => f.write_str("MD5, the server offers no algorithms")?,
                }
                f.write_str(if *anonymous { ", USERHASH" } else { ", USERNAME" })?;
                f.write_str(match integrity {
                    Integrity::Sha1 => " and MESSAGE-INTEGRITY",
                    Integrity::Sha256 { .. } => " and MESSAGE-INTEGRITY-SHA256",
                })
            }
            Self::Declined { id, from, why } => write!(f, "request {id} challenged by {from} and given up: {why}"),
            Self::Redirected { was, id, from, to } => {
                write!(f, "request {was} redirected by {from} to {to}, {id} replaces it")
            }
            Self::Stayed { id, from, why } => write!(f, "request {id} not redirected by {from}: {why}"),
            Self::Cancelled { id } => write!(f, "request {id} cancelled"),
            Self::Dropped { from, why } => write!(f, "message from {from} dropped: {why}"),
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { id, ending } => write!(f, "request {id} {ending} already"),
            Self::Undecodable(error) => write!(f, "it has the id of a pending request and cannot be decoded: {error}"),
            Self::Method(method) => write!(f, "it has the id of a pending request and another method, {method}"),
            Self::Elsewhere { asked } => {
                write!(f, "it has the id of the request to {asked}, which accepts no other sender")
            }
            Self::OtherSocket { asked } => {
                write!(f, "it has the id of the request on {asked}, which accepts no other socket")
            }
            Self::Unusable(why) => write!(f, "{why}"),
            Self::Unverified { mechanism, why } => write!(f, "{mechanism} credentials are in use and {why}"),
            Self::BadRequest => f.write_str("its error 400 is not authenticated"),
            Self::Stripped => f.write_str("its nonce announces PASSWORD-ALGORITHMS, which is missing"),
            Self::NotAsked => f.write_str("it matches no pending request"),
            Self::QueueFull => f.write_str("the output queue is full"),
            Self::NotStun => f.write_str("the bytes of the stream are not STUN"),
        }
    }
}

impl fmt::Display for TransactionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "was answered",
            Self::Unusable => "got an unusable response",
            Self::Challenged => "was challenged",
            Self::Redirected => "was redirected",
            Self::Exhausted => "was given up",
            Self::Cancelled => "was cancelled",
            Self::SocketLost => "lost its socket",
        })
    }
}

impl Explain for TransactionNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "request-sent",
            Self::Accepted { .. } => "response-accepted",
            Self::GivenUp { .. } => "request-timed-out",
            Self::Challenged { code: 438, .. } => "stale-nonce",
            Self::Challenged { .. } => "challenged",
            Self::Chosen { .. } => "credentials-chosen",
            Self::Declined { why, .. } => challenge_declined(*why),
            Self::Redirected { .. } => "redirected",
            Self::Stayed { why, .. } => redirect_declined(*why),
            Self::Cancelled { .. } => "request-cancelled",
            Self::Dropped { why, .. } => why.code(),
        }
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Accepted { .. })
    }

    fn rfc(&self) -> Option<Clause> {
        let section = match self {
            Self::Sent { .. } | Self::GivenUp { .. } => "6.2.1",
            Self::Accepted { .. } => "6.3.3",
            Self::Challenged { .. } | Self::Chosen { .. } => "9.2.5",
            Self::Declined { why, .. } => clause_of_declined(*why),
            Self::Redirected { .. } | Self::Stayed { .. } => "10",
            Self::Cancelled { .. } => return None,
            Self::Dropped { why, .. } => match why {
                Dropped::Late { .. } | Dropped::NotAsked | Dropped::Undecodable(_) | Dropped::Method(_) => "6.3",
                Dropped::Elsewhere { .. } | Dropped::OtherSocket { .. } => "6.3.1.2",
                Dropped::Unusable(crate::Unusable::UnknownAttribute(_)) => "6.3.3",
                Dropped::Unusable(crate::Unusable::NoErrorCode) => "6.3.4",
                Dropped::Unusable(crate::Unusable::Challenge(why)) => clause_of_declined(*why),
                Dropped::Unusable(crate::Unusable::Alternate(_)) => "10",
                Dropped::Unverified { mechanism: Mechanism::ShortTerm, .. } => "9.1.4",
                Dropped::Unverified { mechanism: Mechanism::LongTerm, .. }
                | Dropped::Unusable(crate::Unusable::Integrity(_))
                | Dropped::BadRequest
                | Dropped::Stripped => "9.2.5",
                Dropped::NotStun => "6.2.2",
                Dropped::QueueFull => return None,
            },
        };
        Some(Clause::new(8489, section))
    }
}

impl Dropped {
    /// The code of [`TransactionNote::Dropped`].
    const fn code(&self) -> &'static str {
        match self {
            Self::Late { .. } => "dropped-late",
            Self::Undecodable(_) => "dropped-undecodable-response",
            Self::Method(_) => "dropped-method",
            Self::Elsewhere { .. } => "dropped-unexpected-address",
            Self::OtherSocket { .. } => "dropped-unexpected-socket",
            Self::Unusable(crate::Unusable::UnknownAttribute(_)) => "dropped-unusable-unknown-attribute",
            Self::Unusable(crate::Unusable::NoErrorCode) => "dropped-unusable-no-error-code",
            Self::Unusable(crate::Unusable::Integrity(_)) => "dropped-unusable-integrity",
            Self::Unusable(crate::Unusable::Challenge(_)) => "dropped-unusable-challenge",
            Self::Unusable(crate::Unusable::Alternate(_)) => "dropped-unusable-redirect",
            Self::Unverified { why: IntegrityError::Missing, .. } => "dropped-integrity-missing",
            Self::Unverified { .. } => "dropped-integrity-invalid",
            Self::BadRequest => "dropped-bad-request",
            Self::Stripped => "dropped-algorithms-stripped",
            Self::NotAsked => "dropped-unsolicited",
            Self::QueueFull => "dropped-queue-full",
            Self::NotStun => "dropped-not-stun",
        }
    }
}

/// The code of [`TransactionNote::Declined`].
const fn challenge_declined(why: ChallengeError) -> &'static str {
    match why {
        ChallengeError::WrongCredentials => "challenge-declined-wrong-credentials",
        ChallengeError::Lacks(_) => "challenge-declined-missing-attribute",
        ChallengeError::TooLong(_) => "challenge-declined-long-attribute",
        ChallengeError::BidDown => "challenge-declined-bid-down",
        ChallengeError::Weaker => "challenge-declined-weaker",
        ChallengeError::NoAlgorithm => "challenge-declined-no-algorithm",
        ChallengeError::NoAnonymity => "challenge-declined-no-anonymity",
        ChallengeError::OtherRealm => "challenge-declined-other-realm",
        ChallengeError::NothingStale => "challenge-declined-no-nonce-sent",
        ChallengeError::SameNonce => "challenge-declined-same-nonce",
        ChallengeError::TooMany => "challenge-declined-too-many",
        ChallengeError::Unwritable => "challenge-declined-long-request",
    }
}

/// The code of [`TransactionNote::Stayed`].
const fn redirect_declined(why: RedirectError) -> &'static str {
    match why {
        RedirectError::NoRedirection => "redirect-declined-no-redirection",
        RedirectError::Unauthenticated => "redirect-declined-unauthenticated",
        RedirectError::NoServer => "redirect-declined-no-server",
        RedirectError::Unaddressable => "redirect-declined-invalid-address",
        RedirectError::Port => "redirect-declined-port",
        RedirectError::Circle => "redirect-declined-loop",
        RedirectError::TooMany => "redirect-declined-too-many",
        RedirectError::Stream => "redirect-declined-stream",
        RedirectError::Pinned => "redirect-declined-pinned-address",
    }
}

/// The RFC section of [`TransactionNote::Declined`].
const fn clause_of_declined(why: ChallengeError) -> &'static str {
    match why {
        ChallengeError::BidDown | ChallengeError::Weaker => "9.2.1",
        ChallengeError::OtherRealm => "10",
        ChallengeError::WrongCredentials
        | ChallengeError::Lacks(_)
        | ChallengeError::TooLong(_)
        | ChallengeError::NoAlgorithm
        | ChallengeError::NoAnonymity
        | ChallengeError::NothingStale
        | ChallengeError::SameNonce
        | ChallengeError::TooMany
        | ChallengeError::Unwritable => "9.2.5",
    }
}

/// The notes of [`Responder`](crate::Responder).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponderNote {
    /// A response was sent.
    Replied {
        /// The client.
        asked_by: SocketAddr,
        /// The destination of the reply, which has another port if the request has RESPONSE-PORT.
        to: SocketAddr,
        /// The error code; `None` for a success response.
        code: Option<u16>,
    },
    /// An error response was sent because of the credentials of the request.
    Rejected {
        /// The client.
        asked_by: SocketAddr,
        /// The reason.
        why: Rejection,
    },
    /// A message was dropped without a reply.
    Dropped {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: ResponderDropped,
    },
    /// The number of streams is at its limit. One stream is closed: the longest idle stream or the new one.
    StreamsFull {
        /// The stream that is closed.
        closed: SocketId,
        /// The peer of the new stream.
        newcomer: SocketAddr,
    },
    /// The source of a stream has reached its rate limit, so the stream is not read for some time.
    Paused {
        /// The stream.
        socket: SocketId,
        /// The peer of the stream.
        remote: SocketAddr,
        /// The end of the pause.
        until: Instant,
    },
}

/// The reason why a message to a responder was dropped without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponderDropped {
    /// The message cannot be decoded.
    Undecodable(DecodeError),
    /// The FINGERPRINT is invalid.
    Fingerprint(DecodeError),
    /// The Binding request has no magic cookie: its client implements RFC 3489.
    NoCookie,
    /// The source address is not the address and port of a single host.
    Unaddressable,
    /// The source has reached its rate limit.
    RateLimited,
    /// The output queue has no space.
    QueueFull,
    /// The reply could not be encoded.
    Unwritable,
    /// The STUN message is not a Binding request.
    NotARequest,
    /// The datagram is not STUN.
    NotStun,
    /// The bytes of the stream are not STUN, or the message is longer than the limit.
    Framing,
}

impl fmt::Display for ResponderNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replied { asked_by, to, code } => {
                write!(f, "request from {asked_by} answered")?;
                if let Some(code) = code {
                    write!(f, " with error {code}")?;
                }
                if to == asked_by { Ok(()) } else { write!(f, " to port {}", to.port()) }
            }
            Self::Rejected { asked_by, why } => {
                write!(f, "request from {asked_by} rejected with error {}: {why}", why.code())
            }
            Self::Dropped { from, why } => write!(f, "message from {from} dropped: {why}"),
            Self::StreamsFull { closed, newcomer } => {
                write!(f, "too many streams: {newcomer} connected, {closed} is closed")
            }
            Self::Paused { socket, remote, until } => {
                write!(f, "{remote} is above its rate, its stream {socket} is paused until {until}")
            }
        }
    }
}

impl fmt::Display for ResponderDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable(error) | Self::Fingerprint(error) => write!(f, "{error}"),
            Self::NoCookie => f.write_str(
                "it has no magic cookie, its client implements RFC 3489 of 2003; this server does not answer such \
                 requests, so use a client of RFC 5389 or later",
            ),
            Self::Unaddressable => f.write_str("its source address cannot receive a reply"),
            Self::RateLimited => f.write_str("its source is above its rate"),
            Self::QueueFull => f.write_str("the output queue is full"),
            Self::Unwritable => f.write_str("the reply could not be encoded"),
            Self::NotARequest => f.write_str("it is not a Binding request"),
            Self::NotStun => f.write_str("it is not STUN"),
            Self::Framing => f.write_str("the bytes of the stream are not STUN, or the message is too long"),
        }
    }
}

impl Explain for ResponderNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Replied { code: None, .. } => "success-response-sent",
            Self::Replied { code: Some(_), .. } => "error-response-sent",
            Self::Rejected { why, .. } => rejected(why.kind),
            Self::Dropped { why, .. } => why.code(),
            Self::StreamsFull { .. } => "streams-full",
            Self::Paused { .. } => "stream-paused",
        }
    }

    fn is_routine(&self) -> bool {
        match self {
            Self::Replied { .. } => true,
            // The first request of each client in the long-term mechanism has no integrity (RFC 8489 §9.2.3).
            Self::Rejected { why, .. } => {
                why.mechanism == Mechanism::LongTerm && matches!(why.kind, RejectionKind::Unsigned)
            }
            Self::Dropped { .. } | Self::StreamsFull { .. } | Self::Paused { .. } => false,
        }
    }

    fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::Replied { asked_by, to, .. } if asked_by != to => Clause::new(5780, "7.5"),
            Self::Replied { code: None, .. } => Clause::new(8489, "6.3.1.1"),
            Self::Replied { code: Some(_), .. } => Clause::new(8489, "6.3.1"),
            Self::Rejected { why, .. } => why.clause(),
            Self::Dropped { why, .. } => match why {
                ResponderDropped::Undecodable(_) | ResponderDropped::NotARequest => Clause::new(8489, "6.3"),
                ResponderDropped::NoCookie => Clause::new(8489, "11"),
                ResponderDropped::NotStun => Clause::new(8489, "5"),
                ResponderDropped::Fingerprint(_) => Clause::new(8489, "7"),
                ResponderDropped::Framing => Clause::new(8489, "6.2.2"),
                ResponderDropped::Unaddressable
                | ResponderDropped::RateLimited
                | ResponderDropped::QueueFull
                | ResponderDropped::Unwritable => return None,
            },
            Self::StreamsFull { .. } => Clause::new(8489, "6.2.2"),
            Self::Paused { .. } => return None,
        })
    }
}

/// The code of [`ResponderNote::Rejected`].
const fn rejected(why: RejectionKind) -> &'static str {
    match why {
        RejectionKind::Unsigned => "rejected-unsigned",
        RejectionKind::Incomplete => "rejected-incomplete",
        RejectionKind::Algorithms => "rejected-algorithms",
        RejectionKind::UnknownUser => "rejected-unknown-user",
        RejectionKind::Integrity(_) => "rejected-integrity",
        RejectionKind::Expired => "rejected-expired",
        RejectionKind::Nonce(NonceError::NotOurs) => "rejected-nonce-invalid",
        RejectionKind::Nonce(NonceError::Expired) => "rejected-nonce-expired",
        RejectionKind::NotARequest => "rejected-not-a-request",
    }
}

impl ResponderDropped {
    /// The code of [`ResponderNote::Dropped`].
    const fn code(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "dropped-undecodable-request",
            Self::Fingerprint(_) => "dropped-fingerprint",
            Self::NoCookie => "dropped-no-cookie",
            Self::Unaddressable => "dropped-source-address",
            Self::RateLimited => "dropped-rate-limit",
            Self::QueueFull => "dropped-response-queue-full",
            Self::Unwritable => "dropped-unwritable-response",
            Self::NotARequest => "dropped-not-a-request",
            Self::NotStun => "dropped-not-a-stun-datagram",
            Self::Framing => "dropped-framing",
        }
    }
}

#[cfg(test)]
mod tests;
