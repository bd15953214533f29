//! Output: results go to standard output, everything else to standard error.
//!
//! A reader that closes the pipe (`portolan … | head`) is no failure: the rest is not written, and the exit code does
//! not change.

use crate::error::CommandError;
use crate::wrap;
use core::time::Duration;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Why a result was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub(crate) struct OutputError(io::Error);

impl CommandError for OutputError {}

/// Writes text to standard output and flushes it. Colours are written only to a terminal.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    arrived(write_to(anstream::stdout().lock(), text))
}

/// Writes a part of the output, like [`print()`]. Returns whether standard output still has a reader.
pub(crate) fn print_part(text: &str) -> Result<bool, OutputError> {
    match write_to(anstream::stdout().lock(), text) {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).map_err(OutputError),
    }
}

/// Writes bytes to standard output and flushes them.
pub(crate) fn write(bytes: &[u8]) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    arrived(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Prints one line on standard error.
pub(crate) fn print_diagnostic(line: impl core::fmt::Display) {
    // If standard error is closed, there is no other channel to report that.
    let _ = write_to(anstream::stderr().lock(), &format!("portolan: {line}\n"));
}

/// Writes a part of a machine-readable output to standard error. Returns whether it was written.
pub(crate) fn print_error_part(text: &str) -> bool {
    write_to(io::stderr().lock(), text).is_ok()
}

/// Prints a line on standard error, like [`print_diagnostic()`], wrapped at the width of the terminal.
pub(crate) fn print_wrapped_diagnostic(line: impl core::fmt::Display) {
    let text = wrap::to_width(&format!("portolan: {line}\n"), wrap::width_of_stderr());
    // If standard error is closed, there is no other channel to report that.
    let _ = write_to(anstream::stderr().lock(), &text);
}

/// Prints a line on standard error if standard input is a terminal, on which the command waits for `what`.
pub(crate) fn announce_terminal_input(what: &str) {
    if io::stdin().is_terminal() {
        print_diagnostic(format_args!("waiting for {what} on the terminal; end the input with Ctrl-D"));
    }
}

/// Returns a number with its noun: `1 server`, `2 servers`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Returns a duration in milliseconds, rounded to the microsecond, as the JSON documents have it.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn write_to(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn arrived(result: io::Result<()>) -> Result<(), OutputError> {
    match result {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(OutputError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular_and_no_thing_is_plural() {
        assert_eq!([0, 1, 2].map(|number| count(number, "server")), ["0 servers", "1 server", "2 servers"]);
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
        assert!(arrived(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(arrived(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
