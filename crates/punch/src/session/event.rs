//! The commands, errors and events of a session.

use crate::card::Card;
use crate::forecast::Reason;
use crate::puncher::{Failure, PunchEvent};
use crate::rendezvous::{ClientConfigError, EndReason};
use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Refusal, Script, ScriptError};

/// The commands of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Opens the sockets, and begins.
    Start,
    /// Ends the session after a connection. The owner takes the socket of the path, and keepalives are its matter.
    Release,
    /// Leaves the room, and ends the session.
    Close,
}

impl Script for SessionCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(match self {
            Self::Start => "start",
            Self::Release => "release",
            Self::Close => "close",
        })
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        match text {
            "start" => Ok(Self::Start),
            "release" => Ok(Self::Release),
            "close" => Ok(Self::Close),
            _ => Err(ScriptError::new("`start`, `release` or `close`")),
        }
    }
}

/// The reason why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session was started before.
    #[error("the session was started before")]
    AlreadyStarted,
    /// There is no path.
    #[error("there is no path to release")]
    NotConnected,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}

/// The events of a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The rendezvous knows this host, or its public endpoint has changed.
    Registered {
        /// The public endpoint of the first socket.
        reflexive: SocketAddr,
    },
    /// The peer is there.
    Introduced {
        /// The public endpoint of the peer, as the rendezvous saw it.
        peer: SocketAddr,
        /// The card of the peer; `None` if the peer has sent none, an unreadable one, or one without any property.
        card: Option<Box<Card>>,
        /// The time to the common start: the first probe leaves after it.
        start: Duration,
    },
    /// An event of the puncher: the plan, a strategy, the connection, data, or a loss.
    Punch(PunchEvent),
    /// The session has ended. This is the last event.
    Ended(SessionEnd),
}

/// The reason why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The owner has taken the socket of the path.
    #[error("the socket of the path is released")]
    Released,
    /// The peer was introduced, and no path was found.
    #[error("not connected: {why}; forecast: {forecast}")]
    NotConnected {
        /// The reason.
        why: Failure,
        /// The reason of the forecast, which often explains the failure.
        forecast: Reason,
    },
    /// The rendezvous introduced no peer.
    #[error("{0}")]
    Rendezvous(EndReason),
    /// The socket was refused.
    #[error("no socket: {0}")]
    NoSocket(Refusal),
    /// The configuration is not valid.
    #[error("{0}")]
    Config(ClientConfigError),
    /// The owner ended the session.
    #[error("the session was closed")]
    Closed,
}
