//! What the caller did wrong.
//!
//! ```
//! use portolan_stun_agent::RequestError;
//!
//! let refused = RequestError::Full { limit: 256 };
//! assert_eq!(refused.to_string(), "256 requests are pending already");
//! ```

use portolan_stun::{EncodeError, TransactionId};

/// Why a request, or a command about one, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// As many requests are pending as are allowed.
    #[error("{limit} requests are pending already")]
    Full {
        /// How many are allowed.
        limit: usize,
    },
    /// Nothing can be sent to an unspecified address or to port 0.
    #[error("the destination has no address or no port")]
    Destination,
    /// The attributes are not a sequence of whole, padded attributes.
    #[error("byte {at} of the attributes: not a whole attribute, padded to a multiple of 4")]
    Attributes {
        /// Offset in bytes of the attribute that is cut short.
        at: usize,
    },
    /// The message cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// No pending request has this id.
    #[error("no request {0} is pending")]
    NotPending(TransactionId),
}
