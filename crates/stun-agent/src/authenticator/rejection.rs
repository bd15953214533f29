//! Why a message is not taken, in words and in numbers.
//!
//! Rules of this file: a rejection holds nothing that a peer wrote and nothing secret; all of it may be logged.

use crate::credential::Mechanism;
use crate::nonce::NonceError;
use core::fmt;
use portolan_machine::Clause;
use portolan_stun::{ErrorCode, IntegrityError};

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Under which mechanism.
    pub mechanism: Mechanism,
    /// Which rule it breaks.
    pub kind: RejectionKind,
}

/// Which rule a message breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectionKind {
    /// No integrity attribute: the first request of a long-term client (401).
    #[error("it is not signed")]
    Unsigned,
    /// An attribute that must come with the credentials is missing or malformed (400).
    #[error("its credentials are not complete")]
    Incomplete,
    /// PASSWORD-ALGORITHMS are not those that were offered, or PASSWORD-ALGORITHM is none of them (400).
    #[error("its password algorithms are not those that were offered")]
    Algorithms,
    /// No user has this name here, or none with such a key (401).
    #[error("its user is not known here")]
    UnknownUser,
    /// The integrity is of another key or other bytes (401).
    #[error("{0}")]
    Integrity(IntegrityError),
    /// The nonce is not valid, or no longer (438).
    #[error("{0}")]
    Nonce(NonceError),
    /// Only requests are judged, with short-term credentials indications too (no reply).
    #[error("it is nothing that this mechanism judges")]
    NotARequest,
}

impl Rejection {
    /// The error code of the reply; for what is no request, that of none: 400.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self.kind {
            RejectionKind::Incomplete | RejectionKind::Algorithms | RejectionKind::NotARequest => {
                ErrorCode::BAD_REQUEST
            }
            RejectionKind::Unsigned | RejectionKind::UnknownUser | RejectionKind::Integrity(_) => {
                ErrorCode::UNAUTHENTICATED
            }
            RejectionKind::Nonce(_) => ErrorCode::STALE_NONCE,
        }
    }

    /// The section that says so.
    #[must_use]
    pub const fn clause(self) -> Clause {
        Clause::new(
            8489,
            match (self.mechanism, self.kind) {
                (Mechanism::LongTerm, RejectionKind::NotARequest) => "9.2",
                (Mechanism::LongTerm, _) => "9.2.4",
                (Mechanism::ShortTerm, _) => "9.1.3",
            },
        )
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
