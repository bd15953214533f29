//! What a student may hear while a NAT is being found out.
//!
//! Removing every note changes no output. Each note names the clause that it follows, where there is one.
//!
//! ```
//! use portolan_machine::Explain;
//! use portolan_nat::note::DiscoveryNote;
//!
//! let note = DiscoveryNote::AlternateFound { server: "192.0.2.1:3478".parse()?, other: "192.0.2.2:3479".parse()? };
//! assert_eq!(note.to_string(), "192.0.2.1:3478 also answers at 192.0.2.2:3479: mapping is measured with it");
//! assert_eq!(note.rfc().unwrap().to_string(), "RFC 5780 §7.4");
//! assert_eq!(note.code(), "alternate-address-found");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::discovery::Tag;
use crate::profile::{Family, Flaw};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Clause, Explain, Refusal};

/// What happens inside a discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryNote {
    /// A question is asked for the first time.
    Asked {
        /// The question.
        tag: Tag,
        /// Whom.
        to: SocketAddr,
    },
    /// A plain answer came.
    Seen {
        /// The question.
        tag: Tag,
        /// Who answered.
        by: SocketAddr,
        /// Where it saw the socket.
        mapped: SocketAddr,
    },
    /// The next server is asked as well.
    Joined {
        /// The server.
        server: SocketAddr,
        /// Why.
        why: ExtraServerReason,
    },
    /// A server that can change its address was found.
    AlternateFound {
        /// The server.
        server: SocketAddr,
        /// Its other address and port.
        other: SocketAddr,
    },
    /// A server was caught, or cannot do something.
    Caught {
        /// The server.
        server: SocketAddr,
        /// What it gets wrong.
        flaw: Flaw,
    },
    /// Silence on the filtering socket may mean a server that never answers: it is asked where nothing filters.
    ProofAsked {
        /// The server.
        server: SocketAddr,
    },
    /// Filtering is tested once more, with another server, on a socket that nobody has seen.
    FilteringMoved {
        /// The server.
        to: SocketAddr,
    },
    /// How long the questions whose silence is evidence wait after their last send.
    TailSet {
        /// The family.
        family: Family,
        /// The time.
        tail: Duration,
    },
    /// No UDP answer came: TCP shows whether there is a way out at all.
    TcpTried {
        /// Where.
        to: SocketAddr,
    },
    /// How that ended; `None`: it connected.
    TcpEnded {
        /// Where.
        to: SocketAddr,
        /// How.
        why: Option<Refusal>,
    },
    /// The port that a socket wanted is taken; it tries another.
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Questions wait, because ten were asked within a second.
    BudgetSpent,
    /// A datagram came that is no answer to anything asked.
    Dropped {
        /// From here.
        from: SocketAddr,
    },
}

/// Why another server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraServerReason {
    /// One of those asked has been silent.
    Silence,
    /// What those asked say cannot all be true.
    Contradiction,
    /// None of those asked can do what the tests need.
    Capability,
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
            Self::AlternateFound { .. } => "alternate-address-found",
            Self::Caught { flaw, .. } => server_flaw(*flaw),
            Self::ProofAsked { .. } => "server-silence-checked",
            Self::FilteringMoved { .. } => "filtering-test-repeated",
            Self::TailSet { .. } => "response-timeout-set",
            Self::TcpTried { .. } => "tcp-tried",
            Self::TcpEnded { why: None, .. } => "tcp-connected",
            Self::TcpEnded { why: Some(why), .. } => refusal_code!("tcp-failed", *why),
            Self::PortTaken { .. } => "port-taken",
            Self::BudgetSpent => "request-budget-spent",
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
            Self::BudgetSpent => Some(Clause::new(5780, "5")),
            Self::Joined { .. } | Self::TailSet { .. } | Self::Dropped { .. } => None,
        }
    }
}

impl fmt::Display for DiscoveryNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { tag, to } => write!(f, "asks {to}: {}", tag.in_words()),
            Self::Seen { by, mapped, .. } => write!(f, "{by} sees the socket at {mapped}"),
            Self::Joined { server, why } => write!(f, "asks {server} as well, {}", why.in_words()),
            Self::AlternateFound { server, other } => {
                write!(f, "{server} also answers at {other}: mapping is measured with it")
            }
            Self::Caught { server, flaw } => write!(f, "{server}: {flaw}"),
            Self::ProofAsked { server } => {
                write!(f, "is it a filter, or is {server} mute? It is asked where nothing filters")
            }
            Self::FilteringMoved { to } => write!(f, "tests filtering again, with {to}, on a fresh socket"),
            Self::TailSet { family, tail } => {
                write!(f, "{family}: silence counts {} ms after the last send", tail.as_millis())
            }
            Self::TcpTried { to } => write!(f, "no UDP answer so far: does TCP to {to} get out?"),
            Self::TcpEnded { to, why: Some(why) } => write!(f, "TCP to {to}: {why}"),
            Self::TcpEnded { to, why: None } => write!(f, "TCP to {to} connects"),
            Self::PortTaken { port } => write!(f, "port {port} is taken, another one is drawn"),
            Self::BudgetSpent => f.write_str("ten questions were asked within a second: the next one waits"),
            Self::Dropped { from } => write!(f, "drops a datagram from {from} that answers nothing"),
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
    }
}

impl ExtraServerReason {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Silence => "because another one is silent",
            Self::Contradiction => "because the answers so far cannot all be true",
            Self::Capability => "because none so far has a second address",
        }
    }
}

#[cfg(test)]
mod tests;
