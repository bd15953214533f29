//! The notes of the server and of the client. `docs/notes.md` lists their codes.
//!
//! Rules of this file: no note has a name of a room, a card or a secret.
//!
//! ```
//! use portolan_machine::Explain;
//! use portolan_punch::rendezvous::{ServerDropped, ServerNote};
//!
//! let note = ServerNote::Dropped { from: "192.0.2.1:1".parse()?, why: ServerDropped::RateLimited };
//! assert_eq!(note.code(), "dropped-rate-limited");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Clause, Explain};
use portolan_stun::DecodeError;
use portolan_stun_agent::authenticator::Rejection;

/// The notes of [`Server`](super::Server).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerNote {
    /// A peer was registered.
    Registered {
        /// The reflexive address of the peer.
        peer: SocketAddr,
    },
    /// The first peer of a room answered, so both peers are introduced.
    Introduced {
        /// The first peer.
        first: SocketAddr,
        /// The second peer.
        second: SocketAddr,
    },
    /// A wake was sent.
    Woken {
        /// The receiver.
        peer: SocketAddr,
    },
    /// A peer ended its registration.
    Left {
        /// The peer.
        peer: SocketAddr,
    },
    /// The lifetime of a registration is over.
    Expired {
        /// The peer.
        peer: SocketAddr,
    },
    /// The first peer of a room did not answer its wakes, and was removed.
    Silent {
        /// The peer.
        peer: SocketAddr,
    },
    /// An authenticated request was refused.
    Refused {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: RequestRefusal,
    },
    /// A request was rejected because of its credentials.
    Rejected {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: Rejection,
    },
    /// A request was dropped.
    Dropped {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: ServerDropped,
    },
}

/// The reason why an authenticated request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestRefusal {
    /// It has an unknown comprehension-required attribute (420).
    UnknownAttributes,
    /// The id of the peer is missing, or does not have 16 bytes (400).
    NoId,
    /// The card is too long, or has a control character (400).
    Card,
    /// There are more than 16 candidates, or nothing can be sent to one of them (400).
    Candidates,
    /// The room has two peers already (480).
    RoomFull,
    /// The source has too many registrations (486).
    SourceQuota,
    /// The server has too many registrations (508).
    ServerFull,
}

/// The reason why a request was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerDropped {
    /// It cannot be decoded.
    Undecodable(DecodeError),
    /// Its FINGERPRINT is wrong.
    Fingerprint(DecodeError),
    /// Its source cannot receive a response.
    Unaddressable,
    /// It has no valid credentials, and its source is above its rate.
    RateLimited,
    /// The response would be longer than the request.
    TooShort {
        /// The length of the request in bytes.
        request: usize,
        /// The length of the response in bytes.
        response: usize,
    },
    /// The output queue is full.
    QueueFull,
    /// The response could not be encoded.
    Unwritable,
}

/// The notes of [`Client`](super::Client).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientNote {
    /// A better round trip to the server was measured: the first one, the first exact one, or a shorter one.
    Measured {
        /// The round trip time.
        rtt: Duration,
    },
    /// The server woke the client, which registers again.
    Woken,
    /// The server repeats an introduction that was reported already.
    Repeated {
        /// The reflexive address of the other peer.
        peer: SocketAddr,
    },
    /// A message of the server was dropped.
    Dropped {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: ClientDropped,
    },
}

/// The reason why a client dropped a message of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientDropped {
    /// The integrity of a wake is missing or invalid.
    Unverified,
    /// A wake is for the peer that was introduced already.
    OldWake,
    /// A response matches no request: it is late or replayed.
    Late,
    /// A response is not complete, or one of its values is invalid.
    Invalid,
    /// The output queue is full.
    QueueFull,
}

impl RequestRefusal {
    /// The error code and the reason phrase of the response.
    pub(super) const fn error_code(self) -> (u16, &'static str) {
        match self {
            Self::NoId | Self::Card | Self::Candidates => (400, "Bad Request"),
            Self::UnknownAttributes => (420, "Unknown Attribute"),
            Self::RoomFull => (480, "Room Full"),
            Self::SourceQuota => (486, "Too Many Registrations"),
            Self::ServerFull => (508, "Insufficient Capacity"),
        }
    }
}

impl fmt::Display for RequestRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAttributes => "it has an unknown comprehension-required attribute",
            Self::NoId => "the id of the peer is missing or malformed",
            Self::Card => "its card is too long, or has a control character",
            Self::Candidates => "it has too many candidates, or an invalid one",
            Self::RoomFull => "the room has two peers already",
            Self::SourceQuota => "its source has too many registrations",
            Self::ServerFull => "the server has too many registrations",
        })
    }
}

impl fmt::Display for ServerNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { peer } => write!(f, "peer {peer} is registered"),
            Self::Introduced { first, second } => write!(f, "peers {first} and {second} are introduced"),
            Self::Woken { peer } => write!(f, "peer {peer} is woken"),
            Self::Left { peer } => write!(f, "peer {peer} has left"),
            Self::Expired { peer } => write!(f, "the registration of peer {peer} has expired"),
            Self::Silent { peer } => write!(f, "peer {peer} did not answer its wakes and is removed"),
            Self::Refused { from, why } => write!(f, "request of {from} refused: {why}"),
            Self::Rejected { from, why } => write!(f, "request of {from} rejected: {why}"),
            Self::Dropped { from, why } => {
                write!(f, "request of {from} dropped: ")?;
                match why {
                    ServerDropped::Undecodable(error) | ServerDropped::Fingerprint(error) => write!(f, "{error}"),
                    ServerDropped::Unaddressable => f.write_str("its source cannot receive a response"),
                    ServerDropped::RateLimited => f.write_str("its source is above its rate"),
                    ServerDropped::TooShort { request, response } => {
                        write!(f, "it has {request} bytes, and the response would have {response}")
                    }
                    ServerDropped::QueueFull => f.write_str("the output queue is full"),
                    ServerDropped::Unwritable => f.write_str("the response could not be encoded"),
                }
            }
        }
    }
}

impl Explain for ServerNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "peer-registered",
            Self::Introduced { .. } => "peers-introduced",
            Self::Woken { .. } => "peer-woken",
            Self::Left { .. } => "peer-left",
            Self::Expired { .. } => "peer-expired",
            Self::Silent { .. } => "peer-silent",
            Self::Refused { why, .. } => match why {
                RequestRefusal::UnknownAttributes => "refused-unknown-attribute",
                RequestRefusal::NoId => "refused-no-id",
                RequestRefusal::Card => "refused-card",
                RequestRefusal::Candidates => "refused-candidates",
                RequestRefusal::RoomFull => "refused-room-full",
                RequestRefusal::SourceQuota => "refused-source-quota",
                RequestRefusal::ServerFull => "refused-capacity",
            },
            Self::Rejected { why, .. } => match why.code() {
                401 => "rejected-unauthenticated",
                438 => "rejected-stale-nonce",
                _ => "rejected-bad-request",
            },
            Self::Dropped { why, .. } => match why {
                ServerDropped::Undecodable(_) => "dropped-undecodable",
                ServerDropped::Fingerprint(_) => "dropped-fingerprint",
                ServerDropped::Unaddressable => "dropped-unaddressable",
                ServerDropped::RateLimited => "dropped-rate-limited",
                ServerDropped::TooShort { .. } => "dropped-too-short",
                ServerDropped::QueueFull => "dropped-queue-full",
                ServerDropped::Unwritable => "dropped-unwritable",
            },
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Refused { why: RequestRefusal::UnknownAttributes, .. } => Some(Clause::new(8489, "6.3.1")),
            Self::Rejected { why, .. } => Some(why.clause()),
            Self::Dropped { why: ServerDropped::Undecodable(_), .. } => Some(Clause::new(8489, "6.3")),
            Self::Dropped { why: ServerDropped::Fingerprint(_), .. } => Some(Clause::new(8489, "14.7")),
            Self::Registered { .. }
            | Self::Introduced { .. }
            | Self::Woken { .. }
            | Self::Left { .. }
            | Self::Expired { .. }
            | Self::Silent { .. }
            | Self::Refused { .. }
            | Self::Dropped { .. } => None,
        }
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::Woken { .. })
    }
}

impl fmt::Display for ClientNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured { rtt } => write!(f, "the round trip to the rendezvous takes {} µs", rtt.as_micros()),
            Self::Woken => f.write_str("the rendezvous wakes the client, which registers again"),
            Self::Repeated { peer } => write!(f, "the introduction of {peer} is repeated and ignored"),
            Self::Dropped { from, why } => {
                write!(f, "message of {from} dropped: ")?;
                f.write_str(match why {
                    ClientDropped::Unverified => "the integrity of a wake is missing or invalid",
                    ClientDropped::OldWake => "a wake is for the peer that was introduced already",
                    ClientDropped::Late => "the response matches no request, it is late or replayed",
                    ClientDropped::Invalid => "the response is not complete, or has an invalid value",
                    ClientDropped::QueueFull => "the output queue is full",
                })
            }
        }
    }
}

impl Explain for ClientNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Measured { .. } => "rendezvous-measured",
            Self::Woken => "rendezvous-woken",
            Self::Repeated { .. } => "introduction-repeated",
            Self::Dropped { why, .. } => match why {
                ClientDropped::Unverified => "wake-unverified",
                ClientDropped::OldWake => "wake-repeated",
                ClientDropped::Late => "rendezvous-response-late",
                ClientDropped::Invalid => "rendezvous-response-invalid",
                ClientDropped::QueueFull => "rendezvous-queue-full",
            },
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Measured { .. } => Some(Clause::new(8489, "6.2.1")),
            Self::Dropped { why: ClientDropped::Unverified, .. } => Some(Clause::new(8489, "9.2.5")),
            Self::Dropped { why: ClientDropped::Late, .. } => Some(Clause::new(8489, "6.3")),
            Self::Woken | Self::Repeated { .. } | Self::Dropped { .. } => None,
        }
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::Measured { .. } | Self::Woken | Self::Repeated { .. })
    }
}

#[cfg(test)]
mod tests;
