//! The errors of configurations and commands.
//!
//! ```
//! use portolan_punch::rendezvous::ClientError;
//!
//! assert_eq!(ClientError::NotIdle.to_string(), "the client was started before");
//! ```

use super::message::{CANDIDATES, CARD_LEN, ROOM_LEN};
use core::net::SocketAddr;

/// The reason why a server cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerConfigError {
    /// There is no secret, or a secret is empty.
    #[error("the rendezvous needs a secret; give one of at least 20 random characters")]
    NoSecret,
    /// A limit is 0, or the lifetime of a registration is below 1 s.
    #[error("a limit of the rendezvous is zero")]
    Limit,
}

/// The reason why a client cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientConfigError {
    /// The name of the room is empty or too long.
    #[error("the name of a room has 1 to {ROOM_LEN} bytes, not {length}")]
    Room {
        /// Its length in bytes.
        length: usize,
    },
    /// The password or the secret of the peers is empty.
    #[error("the password or the secret is empty")]
    Empty,
    /// The card is too long, or has a control character.
    #[error("a card has at most {CARD_LEN} bytes and no control character")]
    Card,
    /// There are too many candidates.
    #[error("a peer has at most {CANDIDATES} candidates, not {count}")]
    Candidates {
        /// Their number.
        count: usize,
    },
    /// Nothing can be sent to the address of the server or of a candidate.
    #[error("{0} is not an address of one host with a port")]
    Address(SocketAddr),
    /// A time is zero.
    #[error("a time limit of the client is zero")]
    Time,
}

/// The reason why a client refuses a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client was started before.
    #[error("the client was started before")]
    NotIdle,
    /// The client was not started, or is leaving, or has ended.
    #[error("the client is not running")]
    NotRunning,
    /// The text is not a command.
    #[error("the commands are `start` and `leave`")]
    UnknownCommand,
}
