//! The notes of a gatherer.
//!
//! ```
//! use portolan_ice::GatherNote;
//! use portolan_machine::Explain;
//!
//! let (base, mapped) = ("192.0.2.7:5000".parse()?, "192.0.2.7:5000".parse()?);
//! let note = GatherNote::Redundant { base, mapped, server: "192.0.2.1:3478".parse()? };
//! assert_eq!(note.code(), "candidate-redundant");
//! assert_eq!(note.rfc().unwrap().to_string(), "RFC 8445 §5.1.3");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use super::event::{ExclusionReason, FailedServer, ServerFailure, Skipped};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Clause, Explain, Refusal};

/// The notes of a [`Gatherer`](crate::Gatherer).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatherNote {
    /// An address of the host is not used.
    Skipped(Skipped),
    /// A socket could not be opened.
    Refused {
        /// The address and the port of the order.
        local: SocketAddr,
        /// The reason.
        why: Refusal,
        /// The port that is tried next.
        next: Option<u16>,
    },
    /// A server is asked.
    Asked {
        /// The base.
        base: SocketAddr,
        /// The server.
        server: SocketAddr,
        /// The retransmission timeout.
        rto: Duration,
    },
    /// A reflexive candidate equals the host candidate of its base.
    Redundant {
        /// The base.
        base: SocketAddr,
        /// The mapped address.
        mapped: SocketAddr,
        /// The server.
        server: SocketAddr,
    },
    /// Two servers report the same mapped address.
    AlreadyKnown {
        /// The base.
        base: SocketAddr,
        /// The mapped address.
        mapped: SocketAddr,
        /// The second server.
        server: SocketAddr,
    },
    /// A server gave no candidate for one socket.
    ServerFailed(FailedServer),
    /// A keepalive failed. It is repeated after a longer interval.
    KeepaliveFailed(FailedServer),
    /// The NAT uses another mapped address now.
    MappingChanged {
        /// The base.
        base: SocketAddr,
        /// The mapped address so far.
        from: SocketAddr,
        /// The mapped address now.
        to: SocketAddr,
    },
}

impl Explain for GatherNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Skipped(skipped) => match skipped.why {
                ExclusionReason::Duplicate => "address-skipped-duplicate",
                ExclusionReason::RelayOnly => "address-skipped-relay-only",
                ExclusionReason::ForceProxy => "address-skipped-force-proxy",
                ExclusionReason::NotUnicast => "address-skipped-not-unicast",
                ExclusionReason::Loopback => "address-skipped-loopback",
                ExclusionReason::LinkLocal => "address-skipped-link-local",
                ExclusionReason::SiteLocal => "address-skipped-site-local",
                ExclusionReason::Ipv4Mapped => "address-skipped-ipv4-mapped",
                ExclusionReason::Ipv4Compatible => "address-skipped-ipv4-compatible",
                ExclusionReason::VirtualBridge => "address-skipped-virtual-bridge",
                ExclusionReason::NotDefaultRoute => "address-skipped-not-default-route",
                ExclusionReason::Trackable => "address-skipped-trackable",
                ExclusionReason::Limit => "address-skipped-limit",
            },
            Self::Refused { next: Some(_), .. } => "port-refused",
            Self::Refused { next: None, .. } => "socket-refused",
            Self::Asked { .. } => "server-asked",
            Self::Redundant { .. } => "candidate-redundant",
            Self::AlreadyKnown { .. } => "candidate-already-known",
            Self::ServerFailed(failed) => match failed.why {
                ServerFailure::Timeout { .. } => "server-failed-timeout",
                ServerFailure::Undecodable { .. } => "server-failed-undecodable",
                ServerFailure::Elsewhere { .. } => "server-failed-elsewhere",
                ServerFailure::Unreachable(_) => "server-failed-unreachable",
                ServerFailure::Code(_) => "server-failed-error-response",
                ServerFailure::Unusable(_) => "server-failed-unusable-response",
                ServerFailure::NoMappedAddress => "server-failed-no-mapped-address",
                ServerFailure::MappedFamily(_) => "server-failed-mapped-family",
                ServerFailure::MappedInvalid(_) => "server-failed-mapped-invalid",
                ServerFailure::NoAddressOfFamily => "server-failed-no-address-of-family",
                ServerFailure::TooMany => "server-failed-too-many",
            },
            Self::KeepaliveFailed(_) => "keepalive-failed",
            Self::MappingChanged { .. } => "mapping-changed",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::Skipped(skipped) => skipped.why.rfc(),
            Self::Refused { .. } => Clause::new(8445, "5.1.1.1"),
            Self::Asked { .. } => Clause::new(8445, "14.3"),
            Self::Redundant { .. } | Self::AlreadyKnown { .. } => Clause::new(8445, "5.1.3"),
            Self::ServerFailed(failed) => failed.why.rfc(),
            Self::KeepaliveFailed(_) | Self::MappingChanged { .. } => Clause::new(8445, "5.1.1.4"),
        })
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }
}

impl fmt::Display for GatherNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(skipped) => write!(f, "{} of {} is skipped: {}", skipped.address, skipped.name, skipped.why),
            Self::Refused { local, why, next: Some(port) } => {
                write!(f, "{local} is refused: {why}; port {port} is next")
            }
            Self::Refused { local, why, next: None } => write!(f, "no socket opens on {}: {why}", local.ip()),
            Self::Asked { base, server, rto } => {
                write!(f, "{server} is asked for the mapped address of {base}, RTO {} ms", rto.as_millis())
            }
            Self::Redundant { base, mapped, server } => {
                write!(f, "the mapped address {mapped} from {server} equals the host candidate {base}")
            }
            Self::AlreadyKnown { base, mapped, server } => {
                write!(f, "the mapped address {mapped} of {base} from {server} is known from another server")
            }
            Self::ServerFailed(failed) => failed.fmt(f),
            Self::KeepaliveFailed(failed) => write!(f, "keepalive: {failed}"),
            Self::MappingChanged { base, from, to } => {
                write!(f, "the NAT changed the mapped address of {base} from {from} to {to}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
