//! The notes of an agent.
//!
//! ```
//! use portolan_ice::AgentNote;
//! use portolan_machine::Explain;
//!
//! assert_eq!(AgentNote::Early { from: "192.0.2.1:5000".parse()? }.code(), "check-early");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::candidate::ComponentId;
use crate::event::Path;
use crate::reason::{NominationReason, PairFailure, SkipReason};
use crate::role::Role;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Clause, Explain, SocketId};

/// The notes of [`Agent`](crate::Agent).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentNote {
    /// A candidate is not used.
    Skipped {
        /// Whether the candidate is the peer's.
        is_remote: bool,
        /// The address, if the candidate has one.
        address: Option<SocketAddr>,
        /// The reason.
        why: SkipReason,
    },
    /// A check is sent.
    Check {
        /// The pair.
        path: Path,
        /// Whether a check of the peer triggered it.
        is_triggered: bool,
        /// Whether it nominates the pair.
        nominates: bool,
    },
    /// A check is sent again.
    Repeated {
        /// The destination.
        remote: SocketAddr,
        /// The number of sends.
        sends: u8,
    },
    /// A check succeeded, and the pair is valid.
    Valid {
        /// The pair.
        path: Path,
        /// The round trip time.
        rtt: Duration,
    },
    /// A pair failed.
    Failed {
        /// The pair.
        path: Path,
        /// The reason.
        why: PairFailure,
    },
    /// A pair was discarded, because the checklist set is full.
    Discarded {
        /// The remote address.
        remote: SocketAddr,
        /// The limit of the checklist set.
        limit: usize,
    },
    /// A check of the peer arrived before its description.
    Early {
        /// The source of the check.
        from: SocketAddr,
    },
    /// A peer-reflexive candidate was found.
    PeerReflexive {
        /// Whether the candidate is the peer's.
        is_remote: bool,
        /// Its address.
        address: SocketAddr,
    },
    /// A signalled candidate replaced a peer-reflexive one. The pair keeps its state.
    Signalled {
        /// Its address.
        address: SocketAddr,
    },
    /// The agent nominates a pair.
    Nominating {
        /// The pair.
        path: Path,
        /// The reason.
        why: NominationReason,
    },
    /// The agent changed its role.
    Role {
        /// The new role.
        role: Role,
    },
    /// A request was refused.
    Refused {
        /// The source.
        from: SocketAddr,
        /// The error code of the response.
        code: u16,
    },
    /// A message was dropped.
    Dropped {
        /// The source.
        from: SocketAddr,
        /// The reason.
        why: AgentDropped,
    },
    /// A consent request is sent.
    Consent {
        /// The component.
        component: ComponentId,
        /// The number of requests without a response.
        unanswered: usize,
    },
    /// A keepalive is sent.
    Keepalive {
        /// The component.
        component: ComponentId,
    },
    /// ICE restarts: the credentials are new, and the selected paths carry data until new ones are selected.
    Restarting {
        /// Whether the peer restarted first.
        by_peer: bool,
    },
    /// A description of the peer was ignored, because its credentials belong to an earlier session.
    OldDescription,
    /// The candidates of a socket were removed.
    Removed {
        /// The socket.
        socket: SocketId,
    },
}

/// The reason why an agent dropped a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AgentDropped {
    /// The message has no valid FINGERPRINT.
    Fingerprint,
    /// A response has no valid integrity.
    Integrity,
    /// No request with this transaction id is pending.
    NoTransaction,
    /// The queue of outputs is full.
    QueueFull,
    /// Too many early checks wait for the description of the peer.
    EarlyFull,
    /// The table of candidates is full.
    CandidatesFull,
    /// The check belongs to the session before a restart of the peer.
    Generation,
}

impl Explain for AgentNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Skipped { why, .. } => why.code(),
            Self::Check { is_triggered: false, .. } => "check-sent",
            Self::Check { is_triggered: true, .. } => "check-triggered",
            Self::Repeated { .. } => "check-repeated",
            Self::Valid { .. } => "pair-valid",
            Self::Failed { why, .. } => why.code(),
            Self::Discarded { .. } => "pair-discarded",
            Self::Early { .. } => "check-early",
            Self::PeerReflexive { is_remote: false, .. } => "local-peer-reflexive",
            Self::PeerReflexive { is_remote: true, .. } => "remote-peer-reflexive",
            Self::Signalled { .. } => "candidate-signalled",
            Self::Nominating { why, .. } => why.code(),
            Self::Role { .. } => "role-changed",
            Self::Refused { .. } => "request-refused",
            Self::Dropped { why, .. } => match why {
                AgentDropped::Fingerprint => "dropped-fingerprint",
                AgentDropped::Integrity => "dropped-integrity",
                AgentDropped::NoTransaction => "dropped-no-transaction",
                AgentDropped::QueueFull => "dropped-queue-full",
                AgentDropped::EarlyFull => "dropped-early-full",
                AgentDropped::CandidatesFull => "dropped-candidates-full",
                AgentDropped::Generation => "dropped-generation",
            },
            Self::Consent { .. } => "consent-sent",
            Self::Keepalive { .. } => "keepalive-sent",
            Self::Restarting { .. } => "restarting",
            Self::OldDescription => "description-old",
            Self::Removed { .. } => "local-removed",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::Skipped { why, .. } => return why.rfc(),
            Self::Failed { why, .. } => return why.rfc(),
            Self::Nominating { why, .. } => return why.rfc(),
            Self::Check { is_triggered: false, .. } => Clause::new(8445, "6.1.4.2"),
            Self::Check { is_triggered: true, .. } => Clause::new(8445, "7.3.1.4"),
            Self::Repeated { .. } => Clause::new(8489, "6.2.1"),
            Self::Valid { .. } => Clause::new(8445, "7.2.5.3.2"),
            Self::Discarded { .. } => Clause::new(8445, "6.1.2.5"),
            Self::Early { .. } => Clause::new(8445, "7.3"),
            Self::PeerReflexive { is_remote: false, .. } => Clause::new(8445, "7.2.5.3.1"),
            Self::PeerReflexive { is_remote: true, .. } => Clause::new(8445, "7.3.1.3"),
            Self::Signalled { .. } => Clause::new(8838, "11"),
            Self::Role { .. } => Clause::new(8445, "7.3.1.1"),
            Self::Refused { .. } => Clause::new(8489, "9.1.3"),
            Self::Dropped { .. } | Self::OldDescription | Self::Removed { .. } => return None,
            Self::Consent { .. } => Clause::new(7675, "5.1"),
            Self::Keepalive { .. } => Clause::new(8445, "11"),
            Self::Restarting { .. } => Clause::new(8445, "9"),
        })
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::Check { .. } | Self::Repeated { .. } | Self::Consent { .. } | Self::Keepalive { .. })
    }
}

impl fmt::Display for AgentNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |is_remote: &bool| if *is_remote { "remote" } else { "local" };
        match self {
            Self::Skipped { is_remote, address: Some(address), why } => {
                write!(f, "the {} candidate {address} is not used: {why}", side(is_remote))
            }
            Self::Skipped { is_remote, address: None, why } => {
                write!(f, "a {} candidate is not used: {why}", side(is_remote))
            }
            Self::Check { path, is_triggered, nominates } => {
                let kind = if *is_triggered { "triggered check" } else { "check" };
                let purpose = if *nominates { ", which nominates the pair" } else { "" };
                write!(f, "{kind} from {path}{purpose}")
            }
            Self::Repeated { remote, sends } => write!(f, "the check to {remote} is sent again (send {sends})"),
            Self::Valid { path, rtt } => write!(f, "the pair {path} is valid, round trip {} ms", rtt.as_millis()),
            Self::Failed { path, why } => write!(f, "the pair {path} failed: {why}"),
            Self::Discarded { remote, limit } => {
                write!(f, "a pair to {remote} is discarded: the checklist set has its limit of {limit} pairs")
            }
            Self::Early { from } => write!(f, "a check from {from} arrived before the description of the peer"),
            Self::PeerReflexive { is_remote, address } => {
                write!(f, "{address} is a new {} peer-reflexive candidate", side(is_remote))
            }
            Self::Signalled { address } => {
                write!(f, "the signalled candidate {address} replaces a peer-reflexive candidate")
            }
            Self::Nominating { path, why } => write!(f, "the pair {path} is nominated: {why}"),
            Self::Role { role } => write!(f, "the agent is {role} now, because both agents had the same role"),
            Self::Refused { from, code } => write!(f, "a request from {from} is refused with error {code}"),
            Self::Dropped { from, why } => {
                write!(f, "a message from {from} is dropped: ")?;
                f.write_str(match why {
                    AgentDropped::Fingerprint => "it has no valid FINGERPRINT",
                    AgentDropped::Integrity => "it has no valid integrity",
                    AgentDropped::NoTransaction => "no request with its transaction id is pending",
                    AgentDropped::QueueFull => "the queue of outputs is full",
                    AgentDropped::EarlyFull => "too many early checks wait",
                    AgentDropped::CandidatesFull => "the table of candidates is full",
                    AgentDropped::Generation => "it belongs to the session before a restart of the peer",
                })
            }
            Self::Consent { component, unanswered } => {
                write!(f, "consent request for component {component}, {unanswered} without a response")
            }
            Self::Keepalive { component } => write!(f, "keepalive for component {component}"),
            Self::Restarting { by_peer: true } => f.write_str("the peer restarted ICE: the credentials are new"),
            Self::Restarting { by_peer: false } => f.write_str("ICE restarts: the credentials are new"),
            Self::OldDescription => f.write_str("a description of the peer from before its restart is ignored"),
            Self::Removed { socket } => write!(f, "the candidates of socket {socket} were removed"),
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::notes;
