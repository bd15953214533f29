//! The reason why a message is rejected, with its error code and RFC section.
//!
//! Rules of this file: a rejection contains no text of a peer and no secret, so it can be logged.

use crate::credential::Mechanism;
use crate::nonce::NonceError;
use core::fmt;
use portolan_machine::Clause;
use portolan_stun::{ErrorCode, IntegrityError};

/// The reason why a message is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The mechanism of the server.
    pub mechanism: Mechanism,
    /// The violated rule.
    pub kind: RejectionKind,
}

/// The rule that a message violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The message has no integrity attribute, like the first request of a long-term client (401).
    #[error("it is not signed")]
    Unsigned,
    /// A required attribute of the credentials is missing or malformed (400).
    #[error("its credentials are not complete")]
    Incomplete,
    /// PASSWORD-ALGORITHMS is not the offered list, or PASSWORD-ALGORITHM is not in it (400).
    #[error("its password algorithms are not those that were offered")]
    Algorithms,
    /// No user has this name and a key of this kind (401).
    #[error("its user is unknown")]
    UnknownUser,
    /// The integrity does not match the key and the bytes (401).
    #[error("{0}")]
    Integrity(IntegrityError),
    /// The credential has expired (401). Only a message with a correct integrity is rejected for this reason.
    #[error("its credentials have expired")]
    Expired,
    /// The nonce is not valid (438).
    #[error("{0}")]
    Nonce(NonceError),
    /// The message is not a request, or an indication in the short-term mechanism (no reply).
    #[error("this mechanism does not authenticate this class of message")]
    NotARequest,
}

impl Rejection {
    /// The error code of the reply; 400 if the message is not a request, although no reply is sent.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self.kind {
            RejectionKind::Incomplete | RejectionKind::Algorithms | RejectionKind::NotARequest => {
                ErrorCode::BAD_REQUEST
            }
            RejectionKind::Unsigned
            | RejectionKind::UnknownUser
            | RejectionKind::Integrity(_)
            | RejectionKind::Expired => ErrorCode::UNAUTHENTICATED,
            RejectionKind::Nonce(_) => ErrorCode::STALE_NONCE,
        }
    }

    /// The RFC section of the violated rule.
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
