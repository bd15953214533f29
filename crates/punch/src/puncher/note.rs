//! The notes of a puncher.

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain, Refusal, Unreachability};

/// The notes of a puncher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PunchNote {
    /// A probe was sent.
    ProbeSent {
        /// The destination.
        to: SocketAddr,
        /// The number of sends to it, from 1.
        send: u16,
    },
    /// An authentic message of the peer came from a new address.
    Heard {
        /// Its source.
        from: SocketAddr,
    },
    /// The peer answered a probe.
    Answered {
        /// The destination of the probe.
        to: SocketAddr,
        /// The source of the response.
        from: SocketAddr,
    },
    /// An address is given up, because ICMP reported it as unreachable.
    AddressGivenUp {
        /// The address.
        remote: SocketAddr,
        /// The reason.
        why: Unreachability,
    },
    /// The peer's router answered an unsolicited packet by ICMP, so it may track such packets. This side sends
    /// later than the peer, unless the own router is of this kind too.
    RouterTracks {
        /// The address of the test.
        remote: SocketAddr,
    },
    /// A candidate of the peer is not used: it is no public unicast address, or there is no socket for it.
    CandidateIgnored {
        /// The candidate.
        remote: SocketAddr,
    },
    /// A socket for guessing could not be opened.
    SocketRefused {
        /// The reason.
        why: Refusal,
    },
    /// A datagram was dropped.
    Dropped {
        /// Its source.
        from: SocketAddr,
        /// The reason.
        why: DropReason,
    },
    /// A packet was not sent.
    Withheld {
        /// Its destination.
        to: SocketAddr,
        /// The reason.
        why: WithholdReason,
    },
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It is malformed or not authentic.
    NotAuthentic,
    /// It comes from this side itself: a reflected probe, or two sides with one role.
    OwnSide,
    /// It answers no probe.
    Unexpected,
    /// The queue of outputs is full.
    QueueFull,
}

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithholdReason {
    /// The budget of mappings or sessions is used up.
    Entries,
    /// The last second has as many packets as the budget allows.
    Rate,
    /// The queue of outputs is full.
    QueueFull,
}

impl Explain for PunchNote {
    fn code(&self) -> &'static str {
        match self {
            Self::ProbeSent { .. } => "probe-sent",
            Self::Heard { .. } => "peer-heard",
            Self::Answered { .. } => "probe-answered",
            Self::AddressGivenUp { .. } => "address-given-up",
            Self::RouterTracks { .. } => "router-tracks",
            Self::CandidateIgnored { .. } => "candidate-ignored",
            Self::SocketRefused { .. } => "guess-socket-refused",
            Self::Dropped { why: DropReason::NotAuthentic, .. } => "dropped-not-authentic",
            Self::Dropped { why: DropReason::OwnSide, .. } => "dropped-own-side",
            Self::Dropped { why: DropReason::Unexpected, .. } => "dropped-unexpected",
            Self::Dropped { why: DropReason::QueueFull, .. } => "dropped-data-queue-full",
            Self::Withheld { why: WithholdReason::Entries, .. } => "withheld-entries",
            Self::Withheld { why: WithholdReason::Rate, .. } => "withheld-rate",
            Self::Withheld { why: WithholdReason::QueueFull, .. } => "withheld-queue-full",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Dropped { why: DropReason::NotAuthentic, .. } => Some(Clause::new(8489, "9.1.3")),
            Self::Dropped { why: DropReason::Unexpected, .. } => Some(Clause::new(8489, "6.3.3")),
            Self::ProbeSent { .. }
            | Self::Heard { .. }
            | Self::Answered { .. }
            | Self::AddressGivenUp { .. }
            | Self::RouterTracks { .. }
            | Self::CandidateIgnored { .. }
            | Self::SocketRefused { .. }
            | Self::Dropped { why: DropReason::OwnSide | DropReason::QueueFull, .. }
            | Self::Withheld { .. } => None,
        }
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::ProbeSent { .. })
    }
}

impl fmt::Display for PunchNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProbeSent { to, send } => write!(f, "probe {send} to {to}"),
            Self::Heard { from } => write!(f, "a packet of the peer came from {from}"),
            Self::Answered { to, from } if to == from => write!(f, "{to} answered the probe"),
            Self::Answered { to, from } => write!(f, "the probe to {to} was answered from {from}"),
            Self::AddressGivenUp { remote, why } => write!(f, "{remote} is given up: {why}"),
            Self::RouterTracks { remote } => {
                write!(f, "{remote} is unreachable: the peer's router may track early packets, so this side waits")
            }
            Self::CandidateIgnored { remote } => write!(f, "the candidate {remote} is not used"),
            Self::SocketRefused { why } => write!(f, "a socket for guessing could not be opened: {why}"),
            Self::Dropped { from, why } => write!(
                f,
                "a datagram from {from} is dropped: {}",
                match why {
                    DropReason::NotAuthentic => "it is not authentic",
                    DropReason::OwnSide => "it comes from this side itself",
                    DropReason::Unexpected => "it answers no probe",
                    DropReason::QueueFull => "the queue of outputs is full",
                }
            ),
            Self::Withheld { to, why } => write!(
                f,
                "a packet to {to} is not sent: {}",
                match why {
                    WithholdReason::Entries => "the budget of mappings and sessions is used up",
                    WithholdReason::Rate => "the last second has as many packets as allowed",
                    WithholdReason::QueueFull => "the queue of outputs is full",
                }
            ),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::notes::{self, Table, table};

    pub(crate) fn puncher() -> Table {
        let (to, from) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 2)));
        let remote = to;
        use {DropReason as D, PunchNote as N, WithholdReason as W};
        let mut samples = alloc::vec![
            N::ProbeSent { to, send: 1 },
            N::Heard { from },
            N::Answered { to, from },
            N::AddressGivenUp { remote, why: Unreachability::Port },
            N::RouterTracks { remote },
            N::CandidateIgnored { remote },
            N::SocketRefused { why: Refusal::TooManySockets },
        ];
        samples.extend([D::NotAuthentic, D::OwnSide, D::Unexpected, D::QueueFull].map(|why| N::Dropped { from, why }));
        samples.extend([W::Entries, W::Rate, W::QueueFull].map(|why| N::Withheld { to, why }));
        table!(
            PunchNote,
            samples,
            [
                N::ProbeSent { .. },
                N::Heard { .. },
                N::Answered { .. },
                N::AddressGivenUp { .. },
                N::RouterTracks { .. },
                N::CandidateIgnored { .. },
                N::SocketRefused { .. },
                N::Dropped { .. },
                N::Withheld { .. },
            ]
        )
    }
}
