//! The notes of an audit.
//!
//! ```
//! use portolan_audit::{AuditNote, Probe};
//!
//! let note = AuditNote::Asking { probe: Probe::Control, to: "192.0.2.1:3478".parse()? };
//! assert_eq!(note.to_string(), "probe control to 192.0.2.1:3478");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::Probe;
use crate::turn::TurnAttack;
use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain};

/// A note of an [`Audit`](crate::Audit). The notes of its transactions are separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditNote {
    /// A probe is sent for the first time.
    Asking {
        /// The probe.
        probe: Probe,
        /// Its destination.
        to: SocketAddr,
    },
    /// A datagram arrived.
    Heard {
        /// The probe that the datagram answers; `None` if it answers no probe.
        probe: Option<Probe>,
        /// The sender of the datagram.
        from: SocketAddr,
        /// The length of the datagram in bytes.
        length: usize,
    },
    /// A message of an attack is sent for the first time.
    Attacking {
        /// The attack.
        attack: TurnAttack,
        /// Its destination.
        to: SocketAddr,
    },
}

impl fmt::Display for AuditNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking { probe, to } => write!(f, "probe {probe} to {to}"),
            Self::Attacking { attack, to } => write!(f, "attack {attack} on {to}"),
            Self::Heard { probe: Some(probe), from, length } => {
                write!(f, "{length} bytes from {from} answer the probe {probe}")
            }
            Self::Heard { probe: None, from, length } => {
                write!(f, "{length} bytes from {from} answer no probe")
            }
        }
    }
}

impl Explain for AuditNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Asking { .. } => "probe-sent",
            Self::Attacking { .. } => "attack-sent",
            Self::Heard { probe: Some(_), .. } => "probe-answered",
            Self::Heard { probe: None, .. } => "probe-unmatched",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Asking { .. } | Self::Attacking { .. } => None,
            Self::Heard { .. } => Some(Clause::new(8489, "6.3")),
        }
    }
}

#[cfg(test)]
mod tests;
