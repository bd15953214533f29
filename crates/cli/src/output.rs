//! Where the command's words go: results to standard output, everything else to standard error.
//!
//! A reader that has gone (`portolan … | head`) is no failure: what it did not want is not written, and the exit code
//! stays what the run made it.

use core::time::Duration;
use std::io::{self, ErrorKind, Write};

/// Writes text to standard output, its colours only where they are seen, and has it arrive now.
pub(crate) fn print(text: &str) -> io::Result<()> {
    arrived(write_to(anstream::stdout().lock(), text))
}

/// Writes bytes to standard output as they are, and has them arrive now.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    arrived(out.write_all(bytes).and_then(|()| out.flush()))
}

/// One line on standard error.
pub(crate) fn complain(line: impl core::fmt::Display) {
    // Where standard error is gone there is nobody left to tell.
    let _ = write_to(anstream::stderr().lock(), &format!("portolan: {line}\n"));
}

/// Returns a duration in milliseconds, rounded to the microsecond, as the JSON documents have it.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn write_to(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn arrived(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_failure_but_a_full_disk_is() {
        assert!(arrived(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(arrived(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
