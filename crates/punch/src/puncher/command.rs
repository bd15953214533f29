//! The commands of a puncher, and their text.

use core::fmt;
use portolan_machine::{Script, ScriptError};

/// The commands of a puncher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunchCommand {
    /// Begins: the first probe leaves after the configured delay.
    Start,
    /// Ends the puncher after a connection. The owner takes the socket of the path, and keepalives are its matter.
    Release,
    /// Ends the puncher.
    Close,
}

impl Script for PunchCommand {
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
