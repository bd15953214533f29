//! The notes of a lifetime measurement.

use crate::note::refusal_code;
use crate::profile::Unknown;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Clause, Explain, Refusal};

/// The notes of a [`Lifetime`](super::Lifetime).
///
/// ```
/// use core::time::Duration;
/// use portolan_machine::Explain;
/// use portolan_nat::lifetime::LifetimeNote;
///
/// let note = LifetimeNote::Alive { external: "203.0.113.9:50000".parse()?, after: Duration::from_secs(30) };
/// assert_eq!(note.to_string(), "203.0.113.9:50000 let a response in after 30.0 s");
/// assert_eq!(note.rfc().unwrap().to_string(), "RFC 5780 §4.6");
/// assert_eq!(note.code(), "mapping-alive");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LifetimeNote {
    /// The chosen port is taken or refused. Another one is tried, if any is left.
    PortRefused {
        /// The port.
        port: u16,
        /// The reason.
        why: Refusal,
    },
    /// A server is tested for RESPONSE-PORT.
    Asked {
        /// The server.
        server: SocketAddr,
    },
    /// A response came to the other port: the server honours RESPONSE-PORT.
    Honoured {
        /// The server.
        server: SocketAddr,
    },
    /// The server cannot be used.
    Rejected {
        /// The server.
        server: SocketAddr,
        /// The reason.
        why: Unknown,
    },
    /// A socket has its mapping, and is silent from now on.
    Mapped {
        /// Its external endpoint.
        external: SocketAddr,
    },
    /// A silent socket got its response.
    Alive {
        /// Its external endpoint.
        external: SocketAddr,
        /// The time that it had been silent.
        after: Duration,
    },
    /// A silent socket got no response. The test is repeated beside a living mapping that must get its own response.
    Silent {
        /// Its external endpoint.
        external: SocketAddr,
        /// The number of sends.
        sends: u32,
    },
    /// A silent socket got no response while a living mapping got one: the mapping of the socket has expired.
    Dead {
        /// Its external endpoint.
        external: SocketAddr,
        /// The time that it had been silent.
        after: Duration,
        /// The probability that loss explains the silence.
        p: f64,
    },
    /// The response came to another socket: the external port has a new owner, so the mapping has expired.
    NewOwner {
        /// The external endpoint.
        external: SocketAddr,
    },
    /// The mapping of a socket that is refreshed regularly was replaced by another.
    Remade {
        /// The external endpoint before.
        before: SocketAddr,
        /// The external endpoint after.
        after: SocketAddr,
    },
    /// A socket cannot be used.
    Unusable {
        /// Its local port.
        port: u16,
        /// The reason.
        why: Unknown,
    },
}

impl fmt::Display for LifetimeNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortRefused { port, why } => write!(f, "local port {port} refused: {why}"),
            Self::Asked { server } => write!(f, "{server} is tested for RESPONSE-PORT"),
            Self::Honoured { server } => write!(f, "{server} honours RESPONSE-PORT"),
            Self::Rejected { server, why } => write!(f, "{server} cannot be used: {why}"),
            Self::Mapped { external } => write!(f, "{external} is silent from now on"),
            Self::Alive { external, after } => {
                write!(f, "{external} let a response in after {:.1} s", after.as_secs_f64())
            }
            Self::Silent { external, sends } => {
                write!(
                    f,
                    "{external} let no response in for {sends} sends; the test is repeated beside a living mapping"
                )
            }
            Self::Dead { external, after, p } => {
                write!(f, "{external} is dead after {:.1} s; loss explains it with p = {p:.0e}", after.as_secs_f64())
            }
            Self::NewOwner { external } => write!(f, "{external} has a new owner, so the old mapping has expired"),
            Self::Remade { before, after } => write!(f, "{before} became {after} in spite of refreshes"),
            Self::Unusable { port, why } => write!(f, "the socket on port {port} cannot be used: {why}"),
        }
    }
}

/// A code that names the reason for a missing value: the prefix, a hyphen and the text of [`Unknown::as_str`].
macro_rules! unknown_code {
    ($prefix:literal, $why:expr) => {
        match $why {
            Unknown::Blocked => concat!($prefix, "-blocked"),
            Unknown::Offline => concat!($prefix, "-offline"),
            Unknown::SingleServer => concat!($prefix, "-single-server"),
            Unknown::Dependent => concat!($prefix, "-destination-dependent"),
            Unknown::NoOtherAddress => concat!($prefix, "-no-other-address"),
            Unknown::OtherAddressInvalid => concat!($prefix, "-other-address-invalid"),
            Unknown::ChangeRequestIgnored => concat!($prefix, "-change-request-ignored"),
            Unknown::ChangeRequestRefused => concat!($prefix, "-change-request-refused"),
            Unknown::ChangeRequestUnanswered => concat!($prefix, "-change-request-unanswered"),
            Unknown::AlternateUnreachable => concat!($prefix, "-alternate-unreachable"),
            Unknown::AnswersFromElsewhere => concat!($prefix, "-answers-from-elsewhere"),
            Unknown::HighLoss => concat!($prefix, "-high-loss"),
            Unknown::Rebinding => concat!($prefix, "-rebinding"),
            Unknown::MultiPath => concat!($prefix, "-multi-path"),
            Unknown::ServersDisagree => concat!($prefix, "-servers-disagree"),
            Unknown::ServerSilent => concat!($prefix, "-server-silent"),
            Unknown::ServerError => concat!($prefix, "-server-error"),
            Unknown::TooFewSamples => concat!($prefix, "-too-few-samples"),
            Unknown::TimedOut => concat!($prefix, "-timed-out"),
            Unknown::NotTested => concat!($prefix, "-not-tested"),
            Unknown::NoNat => concat!($prefix, "-no-nat"),
            Unknown::NoEvidence => concat!($prefix, "-no-evidence"),
            Unknown::ResponsePortRefused => concat!($prefix, "-response-port-refused"),
            Unknown::ResponsePortIgnored => concat!($prefix, "-response-port-ignored"),
            Unknown::ResponsePortUnanswered => concat!($prefix, "-response-port-unanswered"),
            Unknown::TooLong => concat!($prefix, "-too-long"),
            Unknown::TooShort => concat!($prefix, "-too-short"),
            Unknown::AbsoluteEnd => concat!($prefix, "-absolute-end"),
            Unknown::Contradictory => concat!($prefix, "-contradictory"),
        }
    };
}

impl Explain for LifetimeNote {
    fn code(&self) -> &'static str {
        match self {
            Self::PortRefused { why, .. } => refusal_code!("port-refused", *why),
            Self::Asked { .. } => "response-port-tested",
            Self::Honoured { .. } => "response-port-supported",
            Self::Rejected { why, .. } => unknown_code!("server-rejected", *why),
            Self::Mapped { .. } => "mapping-created",
            Self::Alive { .. } => "mapping-alive",
            Self::Silent { .. } => "mapping-silent",
            Self::Dead { .. } => "mapping-expired",
            Self::NewOwner { .. } => "external-port-reassigned",
            Self::Remade { .. } => "mapping-changed",
            Self::Unusable { why, .. } => unknown_code!("socket-unusable", *why),
        }
    }

    fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::PortRefused { .. } => Clause::new(5780, "4.1"),
            Self::Asked { .. } | Self::Honoured { .. } => Clause::new(5780, "7.5"),
            Self::Rejected { .. } => Clause::new(5780, "5"),
            Self::Mapped { .. } | Self::Alive { .. } | Self::Silent { .. } => Clause::new(5780, "4.6"),
            Self::Dead { .. } | Self::Remade { .. } => Clause::new(4787, "4.3"),
            Self::NewOwner { .. } => Clause::new(5780, "4.6"),
            Self::Unusable { .. } => return None,
        })
    }
}
