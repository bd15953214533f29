//! The commands of a measurement, with their text form.
//!
//! ```
//! use portolan_nat::command::MeasurementCommand;
//!
//! assert_eq!("start".parse(), Ok(MeasurementCommand::Start));
//! assert_eq!(MeasurementCommand::Stop.to_string(), "stop");
//! assert_eq!("pause".parse::<MeasurementCommand>().unwrap_err().to_string(), "a command is `start` or `stop`");
//! ```

use core::fmt;
use core::str::FromStr;
use portolan_machine::{Script, ScriptError};

/// The commands of a [`Discovery`](crate::discovery::Discovery) and of a [`Lifetime`](crate::lifetime::Lifetime).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeasurementCommand {
    /// Start: `start`.
    Start,
    /// Report the results so far, and end: `stop`.
    Stop,
}

impl fmt::Display for MeasurementCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
        })
    }
}

impl FromStr for MeasurementCommand {
    type Err = UnknownCommand;

    fn from_str(text: &str) -> Result<Self, UnknownCommand> {
        match text {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            _ => Err(UnknownCommand),
        }
    }
}

impl Script for MeasurementCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(|_| ScriptError::new("`start` or `stop`"))
    }
}

/// A text that is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a command is `start` or `stop`")]
pub struct UnknownCommand;

/// A command at the wrong time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// `start` came twice.
    #[error("the measurement has been started already")]
    AlreadyStarted,
    /// `stop` came before `start`.
    #[error("the measurement has not been started")]
    NotStarted,
    /// The report has been made.
    #[error("the measurement has ended")]
    Ended,
}
