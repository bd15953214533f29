//! The errors of commands.
//!
//! ```
//! use portolan_connect::RelayError;
//! use portolan_turn::ClientError;
//!
//! assert_eq!(RelayError::from(ClientError::NotRunning).to_string(), "the client is not running");
//! ```

use portolan_machine::SocketId;
use portolan_turn::ClientError;

/// The reason why a command of a [`Relay`](crate::Relay) was refused. Nothing was sent, and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The TURN client refused the command.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The socket is not an open virtual socket of this relay.
    #[error("{0} is not an open socket of this relay")]
    Socket(SocketId),
}
