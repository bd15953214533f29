//! The events of a gatherer, on which its owner must act.
//!
//! ```
//! use portolan_ice::gather::{GatherReport, NoCandidates};
//!
//! let report = GatherReport::default();
//! assert_eq!(report.reason_for_none(), Some(NoCandidates::NoInterfaces));
//! assert_eq!(report.to_string(), "no candidates, because the host has no addresses");
//! ```

use super::Interface;
use crate::{ComponentId, LocalCandidate};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Clause, Refusal, SocketId, Unreachability};
use portolan_stun_agent::Unusable;

/// The events of a [`Gatherer`](crate::Gatherer).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatherEvent {
    /// A candidate was found.
    Candidate(LocalCandidate),
    /// The NAT in front of a reflexive candidate uses another mapped address now.
    Changed {
        /// The candidate that no peer can reach any more.
        stale: LocalCandidate,
        /// The candidate that replaces it. `None` if it equals another candidate, or is redundant.
        candidate: Option<LocalCandidate>,
    },
    /// An address of the host is gone, and its socket is closed.
    Removed {
        /// The socket.
        socket: SocketId,
        /// The candidates of this socket that were reported.
        candidates: Vec<LocalCandidate>,
    },
    /// A server gave no candidate for one socket. Other servers and sockets are not affected.
    ServerFailed(FailedServer),
    /// All sockets and servers of a round have succeeded or failed.
    Complete(GatherReport),
    /// The gatherer has closed its sockets. This is the last event.
    Closed,
}

impl GatherEvent {
    /// Whether this is the last event.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl fmt::Display for GatherEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate(candidate) => write_candidate(f, candidate),
            Self::Changed { stale, candidate: Some(new) } => {
                write!(f, "the mapped address of {} is {} and no longer {}", new.base, new.address, stale.address)
            }
            Self::Changed { stale, candidate: None } => {
                write!(f, "the mapped address of {} is no longer {}", stale.base, stale.address)
            }
            Self::Removed { socket, candidates } => {
                write!(f, "{socket} is closed: {} candidates are removed", candidates.len())
            }
            Self::ServerFailed(failed) => failed.fmt(f),
            Self::Complete(report) => report.fmt(f),
            Self::Closed => f.write_str("closed"),
        }
    }
}

fn write_candidate(f: &mut fmt::Formatter<'_>, candidate: &LocalCandidate) -> fmt::Result {
    write!(f, "{} candidate {}", candidate.kind, candidate.address)?;
    match candidate.server {
        Some(server) => write!(f, " of {}, from {server}", candidate.base),
        None => Ok(()),
    }
}

/// A server that gave no candidate for one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedServer {
    /// The server.
    pub server: SocketAddr,
    /// The address of the socket; `None` if no socket has an address of the server's family.
    pub base: Option<SocketAddr>,
    /// The reason.
    pub why: ServerFailure,
}

impl fmt::Display for FailedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base {
            Some(base) => write!(f, "no candidate of {base} from {}: {}", self.server, self.why),
            None => write!(f, "no candidate from {}: {}", self.server, self.why),
        }
    }
}

/// The reason why a server gave no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerFailure {
    /// No response to this number of sends. Datagrams that are no response to a request are not counted.
    Timeout {
        /// The number of sends.
        sends: u32,
    },
    /// The responses could not be decoded.
    Undecodable {
        /// The number of sends.
        sends: u32,
    },
    /// The responses came from another address than the server's.
    Elsewhere {
        /// The source of the last such response.
        from: SocketAddr,
    },
    /// Several sends in a row failed, or ICMP reported them.
    Unreachable(Unreachability),
    /// An error response.
    Code(u16),
    /// A response that cannot be used.
    Unusable(Unusable),
    /// A success response without a mapped address.
    NoMappedAddress,
    /// The mapped address has another family than the request.
    MappedFamily(SocketAddr),
    /// The mapped address is not the address of one host on a network.
    MappedInvalid(SocketAddr),
    /// No socket has an address of the server's family.
    NoAddressOfFamily,
    /// The round has too many pairs of a socket and a server.
    TooMany,
}

impl ServerFailure {
    /// Returns the clause that the failure follows.
    #[must_use]
    pub const fn rfc(&self) -> Clause {
        match self {
            Self::Timeout { .. } | Self::Unreachable(_) => Clause::new(8489, "6.2.1"),
            Self::Undecodable { .. } => Clause::new(8489, "6.3"),
            Self::Elsewhere { .. } => Clause::new(8489, "6.3.1.2"),
            Self::Code(_) => Clause::new(8489, "6.3.4"),
            Self::Unusable(_) => Clause::new(8489, "6.3.3"),
            Self::NoMappedAddress | Self::MappedFamily(_) | Self::MappedInvalid(_) => Clause::new(8489, "14.2"),
            Self::NoAddressOfFamily | Self::TooMany => Clause::new(8445, "5.1.1.2"),
        }
    }
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { sends } => write!(f, "no response after {sends} sends"),
            Self::Undecodable { sends } => write!(f, "no response after {sends} sends could be decoded"),
            Self::Elsewhere { from } => write!(f, "the response came from {from}"),
            Self::Unreachable(why) => write!(f, "not reachable: {why}"),
            Self::Code(code) => write!(f, "error response {code}"),
            Self::Unusable(why) => why.fmt(f),
            Self::NoMappedAddress => f.write_str("the response has no mapped address"),
            Self::MappedFamily(mapped) => write!(f, "the mapped address {mapped} has another family"),
            Self::MappedInvalid(mapped) => write!(f, "the mapped address {mapped} is not that of a host"),
            Self::NoAddressOfFamily => f.write_str("no socket has an address of this family"),
            Self::TooMany => f.write_str("too many sockets and servers in one round"),
        }
    }
}

/// An address of the host that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The name of the interface.
    pub name: Arc<str>,
    /// The address.
    pub address: IpAddr,
    /// The reason.
    pub why: ExclusionReason,
}

impl Skipped {
    pub(super) fn new(interface: &Interface, why: ExclusionReason) -> Self {
        Self { name: Arc::clone(&interface.name), address: interface.address, why }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} is skipped: {} ({})", self.address, self.name, self.why, self.why.rfc())
    }
}

/// The reason why an address of the host is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ExclusionReason {
    /// The address is in the list twice.
    Duplicate,
    /// Only relayed candidates are wanted.
    RelayOnly,
    /// Mode 4 of RFC 8828: no UDP from this host.
    ForceProxy,
    /// An unspecified, multicast or broadcast address.
    NotUnicast,
    /// A loopback address, or an address of the loopback interface.
    Loopback,
    /// A link-local address, which needs a peer on the same link.
    LinkLocal,
    /// A deprecated site-local IPv6 address (fec0::/10).
    SiteLocal,
    /// An IPv4-mapped IPv6 address (`::ffff:0:0/96`).
    Ipv4Mapped,
    /// A deprecated IPv4-compatible IPv6 address (::/96).
    Ipv4Compatible,
    /// An address of a bridge to containers or virtual machines. No other host has a route to it.
    VirtualBridge,
    /// Modes 2 and 3 of RFC 8828: the address is not that of the default route.
    NotDefaultRoute,
    /// The interface has an address of the same prefix that prevents location tracking, and this one allows it.
    Trackable,
    /// Addresses of the family up to the limit are used already.
    Limit,
}

impl ExclusionReason {
    /// Returns the clause that the reason follows.
    #[must_use]
    pub const fn rfc(self) -> Clause {
        match self {
            Self::RelayOnly => Clause::new(9429, "3.5.3"),
            Self::ForceProxy | Self::NotDefaultRoute => Clause::new(8828, "5.2"),
            Self::Duplicate
            | Self::NotUnicast
            | Self::Loopback
            | Self::LinkLocal
            | Self::SiteLocal
            | Self::Ipv4Mapped
            | Self::Ipv4Compatible
            | Self::VirtualBridge
            | Self::Trackable
            | Self::Limit => Clause::new(8445, "5.1.1.1"),
        }
    }
}

impl fmt::Display for ExclusionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "it is in the list twice",
            Self::RelayOnly => "only relayed candidates are wanted",
            Self::ForceProxy => "all traffic goes through a proxy",
            Self::NotUnicast => "it is not the address of one host",
            Self::Loopback => "it is a loopback address",
            Self::LinkLocal => "it is a link-local address",
            Self::SiteLocal => "it is a deprecated site-local address",
            Self::Ipv4Mapped => "it is an IPv4-mapped address",
            Self::Ipv4Compatible => "it is a deprecated IPv4-compatible address",
            Self::VirtualBridge => "no other host has a route to a bridge of containers or virtual machines",
            Self::NotDefaultRoute => "it is not the address of the default route",
            Self::Trackable => "another address of the interface prevents location tracking",
            Self::Limit => "enough addresses of this family are used",
        })
    }
}

/// A socket that could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedSocket {
    /// The component.
    pub component: ComponentId,
    /// The address.
    pub address: IpAddr,
    /// The reason.
    pub why: Refusal,
}

/// The result of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatherReport {
    /// The number of candidates that exist now.
    pub found: usize,
    /// The addresses that are not used.
    pub skipped: Vec<Skipped>,
    /// The sockets that could not be opened in this round.
    pub refused: Vec<RefusedSocket>,
    /// The servers that failed in this round, once for each socket.
    pub failed: Vec<FailedServer>,
}

impl GatherReport {
    /// Returns the reason why there is no candidate; `None` if there is one.
    #[must_use]
    pub fn reason_for_none(&self) -> Option<NoCandidates> {
        let failed = self.failed.iter().find(|failed| failed.base.is_some());
        match (self.found, failed, self.refused.first(), self.skipped.first()) {
            (1.., ..) => None,
            (0, Some(first), ..) => Some(NoCandidates::AllServersFailed(*first)),
            (0, None, Some(first), _) => Some(NoCandidates::AllRefused(*first)),
            (0, None, None, Some(first)) => {
                let is_first = |skipped: &Skipped| skipped.why == first.why;
                Some(NoCandidates::AllSkipped(self.skipped.iter().all(is_first).then_some(first.why)))
            }
            (0, None, None, None) => Some(NoCandidates::NoInterfaces),
        }
    }
}

impl fmt::Display for GatherReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = self.reason_for_none() {
            return write!(f, "no candidates, because {why}");
        }
        let Self { found, skipped, refused, failed } = self;
        write!(
            f,
            "{found} candidates; {} addresses skipped, {} sockets refused, {} requests failed",
            skipped.len(),
            refused.len(),
            failed.len()
        )
    }
}

/// The reason why there is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoCandidates {
    /// The list of interfaces is empty.
    NoInterfaces,
    /// All addresses were skipped; with the reason if it is the same for all.
    AllSkipped(Option<ExclusionReason>),
    /// No socket could be opened; the first reason.
    AllRefused(RefusedSocket),
    /// Host candidates are not reported, and no server gave a candidate; the first reason.
    AllServersFailed(FailedServer),
}

impl fmt::Display for NoCandidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterfaces => f.write_str("the host has no addresses"),
            Self::AllSkipped(Some(why)) => write!(f, "every address is skipped: {why}"),
            Self::AllSkipped(None) => f.write_str("every address is skipped, for several reasons"),
            Self::AllRefused(refused) => write!(f, "no socket opens on {}: {}", refused.address, refused.why),
            Self::AllServersFailed(failed) => failed.fmt(f),
        }
    }
}
