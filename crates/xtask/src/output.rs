//! Output: results go to standard output, faults and the usage go to standard error.
//!
//! A reader that closes the pipe (`cargo xtask … | head`) is no failure: the rest is not written, and the exit code does
//! not change.

use core::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::exit;

/// Prints a line on standard output. If it cannot be written for another reason than a closed pipe, the process ends
/// with exit code 1.
pub(crate) fn print(line: impl Display) {
    if let Err(why) = write_line(io::stdout().lock(), line) {
        print_error(format_args!("cannot write to standard output: {why}"));
        exit(1);
    }
}

/// Prints a line on standard error.
pub(crate) fn print_error(line: impl Display) {
    // If standard error cannot be written, there is no other channel to report that.
    let _ = write_line(io::stderr().lock(), line);
}

/// Writes a line as one write, so that lines of several processes do not mix.
fn write_line(mut out: impl Write, line: impl Display) -> io::Result<()> {
    match out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        assert!(write_line(&writer, "1 fault found").is_ok());
        let mut written = Vec::new();
        write_line(&mut written, "1 fault found").expect("memory");
        assert_eq!(written, b"1 fault found\n");
    }

    #[test]
    fn a_full_disk_is_a_failure() {
        let mut full = [0_u8; 4];
        assert!(write_line(&mut full[..], "1 fault found").is_err());
    }
}
