//! The notes of a discovery.
//!
//! A trace changes no output. Each note names the RFC clause that it follows, if there is one.
//!
//! ```
//! use portolan_machine::Explain;
//! use portolan_nat::note::DiscoveryNote;
//!
//! let note = DiscoveryNote::AlternateFound { server: "192.0.2.1:3478".parse()?, other: "192.0.2.2:3479".parse()? };
//! assert_eq!(
//!     note.to_string(),
//!     "192.0.2.1:3478 names the other address 192.0.2.2:3479: it is used for the mapping test"
//! );
//! assert_eq!(note.rfc().unwrap().to_string(), "RFC 5780 §7.4");
//! assert_eq!(note.code(), "alternate-address-found");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::discovery::tag::Tag;
use crate::profile::{Family, Flaw};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Clause, Explain, Refusal};

/// The notes of a discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryNote {
    /// A request is sent for the first time.
    Asked {
        /// The request.
        tag: Tag,
        /// The destination.
        to: SocketAddr,
    },
    /// A response to a mapping test came.
    Seen {
        /// The request.
        tag: Tag,
        /// The server that answered.
        by: SocketAddr,
        /// The mapped address.
        mapped: SocketAddr,
    },
    /// Another server is used too.
    Joined {
        /// The server.
        server: SocketAddr,
        /// The reason.
        why: ExtraServerReason,
    },
    /// A server with another address was found.
    AlternateFound {
        /// The server.
        server: SocketAddr,
        /// Its other address and port.
        other: SocketAddr,
    },
    /// A flaw of a server was found.
    Caught {
        /// The server.
        server: SocketAddr,
        /// The flaw.
        flaw: Flaw,
    },
    /// A server is silent on the filtering socket. A CHANGE-REQUEST whose response no filter drops tests the server.
    ProofAsked {
        /// The server.
        server: SocketAddr,
    },
    /// Filtering is tested again, with another server, on a fresh socket.
    FilteringMoved {
        /// The server.
        to: SocketAddr,
    },
    /// The timeout of requests whose silence is evidence was set.
    TailSet {
        /// The family.
        family: Family,
        /// The time.
        tail: Duration,
    },
    /// No UDP response came. A TCP connection is tried.
    TcpTried {
        /// The destination.
        to: SocketAddr,
    },
    /// A TCP connection was made or failed.
    TcpEnded {
        /// The destination.
        to: SocketAddr,
        /// The reason of the failure; `None` if the connection was made.
        why: Option<Refusal>,
    },
    /// The port of a socket is taken; another one is tried.
    PortTaken {
        /// The new port.
        port: u16,
    },
    /// A datagram came that is no response to a request.
    Dropped {
        /// Its source.
        from: SocketAddr,
    },
}

/// The reason why another server is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraServerReason {
    /// A server is silent.
    Silence,
    /// The servers contradict each other.
    Contradiction,
    /// No server so far has the second address that the tests need.
    Capability,
    /// The NAT preserves the port, so only equal addresses at many destinations show one mapping.
    PreservedPort,
}

/// A code that names the reason of a refusal: the prefix, a hyphen and the reason.
macro_rules! refusal_code {
    ($prefix:literal, $why:expr) => {
        match $why {
            Refusal::AddressInUse => concat!($prefix, "-address-in-use"),
            Refusal::AddressNotAvailable => concat!($prefix, "-address-not-available"),
            Refusal::PermissionDenied => concat!($prefix, "-permission-denied"),
            Refusal::NoRoute => concat!($prefix, "-no-route"),
            Refusal::ConnectionRefused => concat!($prefix, "-connection-refused"),
            Refusal::TimedOut => concat!($prefix, "-timed-out"),
            Refusal::FamilyNotSupported => concat!($prefix, "-family-not-supported"),
            Refusal::TooManySockets => concat!($prefix, "-too-many-sockets"),
            Refusal::TlsHandshake(_) => concat!($prefix, "-tls-handshake"),
            Refusal::Unsupported => concat!($prefix, "-unsupported"),
            Refusal::Unspecified | _ => concat!($prefix, "-unspecified"),
        }
    };
}
pub(crate) use refusal_code;

impl Explain for DiscoveryNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Asked { .. } => "test-started",
            Self::Seen { .. } => "mapped-address-seen",
            Self::Joined { why: ExtraServerReason::Silence, .. } => "server-added-silence",
            Self::Joined { why: ExtraServerReason::Contradiction, .. } => "server-added-contradiction",
            Self::Joined { why: ExtraServerReason::Capability, .. } => "server-added-capability",
            Self::Joined { why: ExtraServerReason::PreservedPort, .. } => "server-added-preserved-port",
            Self::AlternateFound { .. } => "alternate-address-found",
            Self::Caught { flaw, .. } => server_flaw(*flaw),
            Self::ProofAsked { .. } => "server-silence-checked",
            Self::FilteringMoved { .. } => "filtering-test-repeated",
            Self::TailSet { .. } => "response-timeout-set",
            Self::TcpTried { .. } => "tcp-tried",
            Self::TcpEnded { why: None, .. } => "tcp-connected",
            Self::TcpEnded { why: Some(why), .. } => refusal_code!("tcp-failed", *why),
            Self::PortTaken { .. } => "port-taken",
            Self::Dropped { .. } => "dropped-unsolicited",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Asked { tag, .. } => Some(Clause::new(5780, if tag.is_filtering() { "4.4" } else { "4.3" })),
            Self::Seen { .. } => Some(Clause::new(8489, "14.2")),
            Self::AlternateFound { .. } => Some(Clause::new(5780, "7.4")),
            Self::Caught { .. } | Self::ProofAsked { .. } => Some(Clause::new(5780, "7.2")),
            Self::FilteringMoved { .. } => Some(Clause::new(5780, "4.4")),
            Self::TcpTried { .. } | Self::TcpEnded { .. } => Some(Clause::new(3489, "10.1")),
            Self::PortTaken { .. } => Some(Clause::new(5780, "4.1")),
            Self::Joined { .. } | Self::TailSet { .. } | Self::Dropped { .. } => None,
        }
    }
}

impl fmt::Display for DiscoveryNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { tag, to } => write!(f, "request to {to}: {}", tag.in_words()),
            Self::Seen { by, mapped, .. } => write!(f, "{by} reports the mapped address {mapped}"),
            Self::Joined { server, why } => write!(f, "the server {server} is used too, {}", why.in_words()),
            Self::AlternateFound { server, other } => {
                write!(f, "{server} names the other address {other}: it is used for the mapping test")
            }
            Self::Caught { server, flaw } => write!(f, "{server}: {flaw}"),
            Self::ProofAsked { server } => {
                write!(f, "{server} is silent: a CHANGE-REQUEST whose response no filter drops is sent to it")
            }
            Self::FilteringMoved { to } => write!(f, "filtering is tested again, with {to}, on a fresh socket"),
            Self::TailSet { family, tail } => {
                write!(f, "{family}: the timeout is {} ms after the last send", tail.as_millis())
            }
            Self::TcpTried { to } => write!(f, "no UDP response so far: a TCP connection to {to} is tried"),
            Self::TcpEnded { to, why: Some(why) } => write!(f, "TCP to {to}: {why}"),
            Self::TcpEnded { to, why: None } => write!(f, "TCP to {to} connects"),
            Self::PortTaken { port } => write!(f, "the port is taken: port {port} is tried"),
            Self::Dropped { from } => write!(f, "a datagram from {from} is dropped: it is no response to a request"),
        }
    }
}

/// The code of [`DiscoveryNote::Caught`].
const fn server_flaw(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Silent => "server-flaw-silent",
        Flaw::NoOtherAddress => "server-flaw-no-other-address",
        Flaw::OtherAddressInvalid => "server-flaw-other-address-invalid",
        Flaw::OtherAddressSilent => "server-flaw-other-address-silent",
        Flaw::ChangeRequestIgnored => "server-flaw-change-request-ignored",
        Flaw::ChangeRequestRefused(_) => "server-flaw-change-request-refused",
        Flaw::ChangeRequestUnanswered => "server-flaw-change-request-unanswered",
        Flaw::AnswersFromElsewhere => "server-flaw-answers-from-elsewhere",
        Flaw::Unstable => "server-flaw-unstable",
        Flaw::SameForAll => "server-flaw-same-for-all",
        Flaw::Contradicted => "server-flaw-contradicted",
        Flaw::Error(_) => "server-flaw-error-response",
        Flaw::Garbage => "server-flaw-invalid-response",
        Flaw::MappedAddressInvalid => "server-flaw-mapped-address-invalid",
    }
}

impl ExtraServerReason {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Silence => "because another server is silent",
            Self::Contradiction => "because the responses so far contradict each other",
            Self::Capability => "because no server so far has a second address",
            Self::PreservedPort => "because the NAT preserves the port",
        }
    }
}

#[cfg(test)]
mod tests;
