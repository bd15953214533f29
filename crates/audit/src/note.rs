//! What a reader of the log learns during an audit, beside the notes of its transactions.

use crate::Probe;
use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain};

/// The notes of an [`Audit`](crate::Audit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditNote {
    /// A question begins.
    Asking {
        /// Which.
        probe: Probe,
        /// Where it goes.
        to: SocketAddr,
    },
    /// A datagram came.
    Heard {
        /// What it answers; `None`: nothing that was asked.
        probe: Option<Probe>,
        /// Whom it came from.
        from: SocketAddr,
        /// Its bytes.
        length: usize,
    },
}

impl fmt::Display for AuditNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking { probe, to } => write!(f, "question {probe} to {to}"),
            Self::Heard { probe: Some(probe), from, length } => {
                write!(f, "{length} bytes from {from} answer the question {probe}")
            }
            Self::Heard { probe: None, from, length } => {
                write!(f, "{length} bytes from {from} answer nothing that was asked")
            }
        }
    }
}

impl Explain for AuditNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Asking { .. } => "probe-sent",
            Self::Heard { probe: Some(_), .. } => "probe-answered",
            Self::Heard { probe: None, .. } => "probe-unmatched",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Asking { .. } => None,
            Self::Heard { .. } => Some(Clause::new(8489, "6.3")),
        }
    }
}

#[cfg(test)]
mod tests;
