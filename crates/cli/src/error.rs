//! The failure of a command: one line on standard error, and an exit code.
//!
//! Each subcommand has its own error enum. [`CommandError`] gives the exit code of the command, and `main` prints
//! [`Failure`]. This file is independent of the subcommands.

use crate::exit::Exit;
use core::error::Error;
use core::fmt;
use std::io;

/// The error of a subcommand. Its `Display` text is one line with the reason and the remedy.
pub(crate) trait CommandError: Error {
    /// Returns the exit code of a command that ends with this error.
    fn exit(&self) -> Exit {
        Exit::CouldNotRun
    }
}

/// Why a command ended without a result: the line to print, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    message: Box<str>,
    exit: Exit,
}

impl Failure {
    /// Returns the exit code.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the same failure with another message, for example one without addresses.
    pub(crate) fn map_message(self, map: impl FnOnce(&str) -> String) -> Self {
        Self { message: map(&self.message).into(), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: CommandError> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { message: error.to_string().into(), exit: error.exit() }
    }
}

/// An operation of the system failed: no socket, no runtime, no output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { message: format!("cannot start: {error}").into(), exit: Exit::CouldNotRun }
    }
}
