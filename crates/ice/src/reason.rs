//! The reasons for what an agent does: why a candidate was skipped, why a pair failed, why a pair was nominated, and why a
//! session failed.
//!
//! ```
//! use portolan_ice::PairFailure;
//!
//! let why = PairFailure::Timeout { sends: 7 };
//! assert_eq!(why.to_string(), "no response after 7 requests");
//! assert_eq!((why.code(), why.rfc().unwrap().to_string()), ("pair-timeout", "RFC 8445 §7.2.5.2.3".to_string()));
//! ```

use crate::candidate::ComponentId;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Clause, Unreachability};

/// The reason why a candidate is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// A candidate with the same address and base exists.
    Redundant,
    /// The candidate has the type of an unknown extension.
    UnknownType,
    /// The transport protocol is not supported.
    Transport,
    /// The session has no such component.
    Component,
    /// The address cannot be the address of a peer: it is unspecified or multicast, or its port is 0.
    Address,
    /// The table of candidates is full.
    Full,
    /// The name has no address.
    Unresolved,
    /// An IPv6 address with a zone has no meaning on another host.
    Zone,
    /// The candidate belongs to a session before the restart.
    Generation,
}

impl SkipReason {
    /// Returns the code for metrics and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Redundant => "skipped-redundant",
            Self::UnknownType => "skipped-type",
            Self::Transport => "skipped-transport",
            Self::Component => "skipped-component",
            Self::Address => "skipped-address",
            Self::Full => "skipped-full",
            Self::Unresolved => "skipped-unresolved",
            Self::Zone => "skipped-zone",
            Self::Generation => "skipped-generation",
        }
    }

    /// Returns the clause behind the reason, if there is one.
    #[must_use]
    pub const fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::Redundant => Clause::new(8445, "5.1.3"),
            Self::UnknownType | Self::Transport | Self::Component | Self::Unresolved | Self::Zone => {
                Clause::new(8839, "5.1")
            }
            Self::Address => Clause::new(8445, "5.1.1.1"),
            Self::Full => Clause::new(8445, "19.5.1"),
            Self::Generation => Clause::new(8445, "9"),
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redundant => "another candidate has the same address and base",
            Self::UnknownType => "the type is unknown",
            Self::Transport => "the transport protocol is not supported",
            Self::Component => "the session has no such component",
            Self::Address => "no peer can have this address",
            Self::Full => "the largest number of candidates is reached",
            Self::Unresolved => "the name has no address",
            Self::Zone => "the zone of the address has no meaning on this host",
            Self::Generation => "the candidate belongs to the session before the restart",
        })
    }
}

/// The reason why a pair failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PairFailure {
    /// No response came.
    Timeout {
        /// The number of requests that were sent.
        sends: u32,
    },
    /// No authenticated response came, but error responses without MESSAGE-INTEGRITY. A peer that does not know the user
    /// name or the password sends 401 so (RFC 8489 §9.1.3); anyone on the path can send the same.
    Refused {
        /// The code of the last one.
        code: u16,
        /// The number of requests that were sent.
        sends: u32,
    },
    /// A request could not be sent, or ICMP reported that it did not arrive.
    Unreachable(Unreachability),
    /// The response came from another address than the destination of the request, or to another socket.
    NotSymmetric,
    /// The peer responded with an error.
    Error(u16),
    /// The socket of the local candidate was closed, or the candidate was removed.
    LocalRemoved,
    /// An earlier check of the pair succeeded, and the nominating check failed.
    Nomination,
}

impl PairFailure {
    /// Returns the code for metrics and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "pair-timeout",
            Self::Refused { .. } => "pair-refused",
            Self::Unreachable(_) => "pair-unreachable",
            Self::NotSymmetric => "pair-not-symmetric",
            Self::Error(_) => "pair-error",
            Self::LocalRemoved => "pair-local-removed",
            Self::Nomination => "pair-nomination",
        }
    }

    /// How much the reason says about the path: the peer responded, nothing came back, or the request was not delivered.
    pub(crate) const fn says(&self) -> u8 {
        match self {
            Self::Nomination => 7,
            Self::Error(_) => 6,
            Self::Refused { .. } => 5,
            Self::NotSymmetric => 4,
            Self::Unreachable(Unreachability::Prohibited) => 3,
            Self::Timeout { .. } => 2,
            Self::Unreachable(Unreachability::Port) => 1,
            Self::Unreachable(_) | Self::LocalRemoved => 0,
        }
    }

    /// Returns the clause behind the reason, if there is one.
    #[must_use]
    pub const fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::Timeout { .. } => Clause::new(8445, "7.2.5.2.3"),
            Self::Refused { .. } => Clause::new(8489, "9.1.4"),
            Self::Unreachable(_) => Clause::new(8445, "7.2.5.2.2"),
            Self::NotSymmetric => Clause::new(8445, "7.2.5.2.1"),
            Self::Error(_) => Clause::new(8445, "7.2.5.2.4"),
            Self::LocalRemoved => Clause::new(8445, "8.3"),
            Self::Nomination => Clause::new(8445, "7.2.5.3.4"),
        })
    }
}

impl fmt::Display for PairFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { sends } => write!(f, "no response after {sends} requests"),
            Self::Refused { code, sends } => write!(
                f,
                "no authenticated response after {sends} requests; the peer seems to refuse the credentials (error {code})"
            ),
            Self::Unreachable(why) => write!(f, "{why}"),
            Self::NotSymmetric => f.write_str("the response came from another address"),
            Self::Error(code) => write!(f, "the peer responded with error {code}"),
            Self::LocalRemoved => f.write_str("the local candidate was removed"),
            Self::Nomination => f.write_str("an earlier check succeeded, and the nominating check failed"),
        }
    }
}

/// The reason why a pair was nominated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NominationReason {
    /// It is the valid direct pair with the highest priority.
    Direct,
    /// Its data is relayed, and no direct pair can still succeed.
    NoDirectPairLeft,
    /// Its data is relayed, and no direct pair has succeeded in time.
    DirectPairsLate {
        /// The time since the first valid pair.
        waited: Duration,
    },
    /// The peer nominated it.
    Peer,
    /// The previous nominated pair failed, and this is the best of the other valid pairs.
    Replacement,
    /// It is better than the previous pair by a margin.
    Better,
    /// The peer is a lite agent, or both are.
    Lite,
}

impl NominationReason {
    /// Returns the code for metrics and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Direct => "nominate-direct",
            Self::NoDirectPairLeft => "nominate-no-direct-left",
            Self::DirectPairsLate { .. } => "nominate-direct-late",
            Self::Peer => "nominate-peer",
            Self::Replacement => "nominate-replacement",
            Self::Better => "nominate-better",
            Self::Lite => "nominate-lite",
        }
    }

    /// Returns the clause behind the reason, if there is one.
    #[must_use]
    pub const fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::Direct | Self::NoDirectPairLeft | Self::DirectPairsLate { .. } => Clause::new(8445, "8.1.1"),
            Self::Replacement | Self::Better => Clause::new(8445, "8.1.1"),
            Self::Peer => Clause::new(8445, "7.3.1.5"),
            Self::Lite => Clause::new(8445, "8.2"),
        })
    }
}

impl fmt::Display for NominationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("it is the best direct pair that is valid"),
            Self::NoDirectPairLeft => f.write_str("no direct pair can still succeed"),
            Self::DirectPairsLate { waited } => {
                write!(f, "no direct pair has succeeded within {} ms of the first valid pair", waited.as_millis())
            }
            Self::Peer => f.write_str("the peer nominated it"),
            Self::Replacement => f.write_str("the previous pair failed"),
            Self::Better => f.write_str("it is better than the previous pair"),
            Self::Lite => f.write_str("a lite agent has no checks of its own"),
        }
    }
}

/// The reason why a session failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionFailure {
    /// The agent has no candidate for this component.
    NoLocalCandidate(ComponentId),
    /// The peer has no candidate for this component.
    NoRemoteCandidate(ComponentId),
    /// No local and remote candidate have the same address family.
    NoCommonFamily(ComponentId),
    /// All pairs of the component failed.
    AllPairsFailed {
        /// The component.
        component: ComponentId,
        /// The number of pairs.
        pairs: u16,
        /// The reason that says most: a response, before no response, before a request that was not delivered.
        why: PairFailure,
        /// Whether a check of the peer was received.
        heard_peer: bool,
        /// Whether one of the pairs was relayed.
        had_relay: bool,
    },
    /// The check that nominates a pair failed.
    NominationFailed {
        /// The component.
        component: ComponentId,
        /// The remote address of the pair.
        remote: SocketAddr,
        /// The reason.
        why: PairFailure,
        /// The number of other pairs that are valid.
        alive: u16,
    },
    /// The peer did not nominate a pair in time, although a pair is valid.
    NotNominated(ComponentId),
    /// No consent response came for 30 s.
    ConsentExpired(ComponentId),
    /// The peer revoked its consent with a 403 response.
    ConsentRevoked(ComponentId),
    /// The socket of the selected pair was closed, or its candidate was removed.
    LocalRemoved(ComponentId),
    /// The description of the peer did not arrive in time.
    NoRemoteDescription,
}

impl SessionFailure {
    /// Returns the code for metrics and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoLocalCandidate(_) => "failed-no-local-candidate",
            Self::NoRemoteCandidate(_) => "failed-no-remote-candidate",
            Self::NoCommonFamily(_) => "failed-no-common-family",
            Self::AllPairsFailed { .. } => "failed-all-pairs",
            Self::NominationFailed { .. } => "failed-nomination",
            Self::NotNominated(_) => "failed-not-nominated",
            Self::ConsentExpired(_) => "failed-consent-expired",
            Self::ConsentRevoked(_) => "failed-consent-revoked",
            Self::LocalRemoved(_) => "failed-local-removed",
            Self::NoRemoteDescription => "failed-no-remote-description",
        }
    }

    /// Returns the clause behind the reason, if there is one.
    #[must_use]
    pub const fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::NoLocalCandidate(_) | Self::NoRemoteCandidate(_) | Self::NoCommonFamily(_) => Clause::new(8863, "4"),
            Self::AllPairsFailed { .. } => Clause::new(8445, "7.2.5.4"),
            Self::NominationFailed { .. } => Clause::new(8445, "7.2.5.3.4"),
            Self::NotNominated(_) => Clause::new(8445, "8.1.1"),
            Self::ConsentExpired(_) => Clause::new(7675, "5.1"),
            Self::ConsentRevoked(_) => Clause::new(7675, "5.2"),
            Self::LocalRemoved(_) => Clause::new(8445, "8.3"),
            Self::NoRemoteDescription => return None,
        })
    }
}

impl fmt::Display for SessionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocalCandidate(component) => write!(f, "component {component} has no local candidate"),
            Self::NoRemoteCandidate(component) => write!(f, "the peer has no candidate for component {component}"),
            Self::NoCommonFamily(component) => {
                write!(f, "the candidates of component {component} have no common address family")
            }
            Self::AllPairsFailed { component, pairs, why, heard_peer, had_relay } => {
                match pairs {
                    1 => write!(f, "the only pair of component {component} failed: {why}; ")?,
                    _ => write!(f, "all {pairs} pairs of component {component} failed, the closest one: {why}; ")?,
                }
                f.write_str(if *heard_peer { "checks of the peer arrived" } else { "no check of the peer arrived" })?;
                f.write_str(if *had_relay { "" } else { "; no pair used a relay" })
            }
            Self::NominationFailed { component, remote, why, alive } => write!(
                f,
                "the nominating check of component {component} to {remote} failed ({why}); {alive} other valid pairs"
            ),
            Self::NotNominated(component) => write!(f, "the peer nominated no pair of component {component}"),
            Self::ConsentExpired(component) => {
                write!(f, "no consent response for component {component} came for 30 s")
            }
            Self::ConsentRevoked(component) => write!(f, "the peer revoked consent for component {component}"),
            Self::LocalRemoved(component) => {
                write!(f, "the local candidate of the selected pair of component {component} was removed")
            }
            Self::NoRemoteDescription => f.write_str("the description of the peer did not arrive"),
        }
    }
}
