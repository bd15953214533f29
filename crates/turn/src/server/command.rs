//! The commands of a server, and their text.
//!
//! ```
//! use portolan_turn::{ServerCommand, ServerError};
//!
//! assert_eq!("drain".parse(), Ok(ServerCommand::Drain));
//! assert_eq!("halt".parse::<ServerCommand>(), Err(ServerError::UnknownCommand));
//! ```

use crate::ServerError;
use core::fmt;
use core::str::FromStr;
use portolan_machine::{Script, ScriptError};

/// A command to a [`Server`](crate::Server). Its text is `start`, `drain` or `stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerCommand {
    /// Orders the sockets.
    Start,
    /// Refuses new allocations with 508. When the last allocation has ended, [`ServerEvent::Drained`](crate::ServerEvent::Drained) is reported.
    Drain,
    /// Closes all sockets and ends the server.
    Stop,
}

impl fmt::Display for ServerCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Drain => "drain",
            Self::Stop => "stop",
        })
    }
}

impl FromStr for ServerCommand {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        match text {
            "start" => Ok(Self::Start),
            "drain" => Ok(Self::Drain),
            "stop" => Ok(Self::Stop),
            _ => Err(ServerError::UnknownCommand),
        }
    }
}

impl Script for ServerCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(|_| ScriptError::new("`start`, `drain` or `stop`"))
    }
}
