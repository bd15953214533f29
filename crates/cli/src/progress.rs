//! The progress line: results so far, on one line of the terminal. The report replaces it; without a terminal it is
//! off.

use crate::options::Format;
use std::io::{IsTerminal, Write, stderr, stdout};

/// The progress line, or nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    active: bool,
    said: String,
}

/// The width of the line. A longer line would wrap on a narrow terminal, and could not be erased.
const WIDTH: usize = 79;

impl Progress {
    /// Returns a progress line that is active if both outputs are terminals and the format is text.
    pub(crate) fn new(format: Format) -> Self {
        let active = format == Format::Human && stderr().is_terminal() && stdout().is_terminal();
        Self { shown: false, active, said: String::new() }
    }

    /// Appends a result.
    pub(crate) fn add(&mut self, text: &str) {
        if !self.said.is_empty() {
            self.said.push_str(" · ");
        }
        self.said.push_str(text);
        self.show();
    }

    /// Replaces the text.
    pub(crate) fn replace(&mut self, text: &str) {
        text.clone_into(&mut self.said);
        self.show();
    }

    /// Erases the line.
    pub(crate) fn clear(&mut self) {
        self.said.clear();
        if self.shown {
            self.shown = false;
            write(&format!("\r{:WIDTH$}\r", ""));
        }
    }

    fn show(&mut self) {
        if self.active {
            self.shown = true;
            write(&format!("\r{:<WIDTH$}", tail(&self.said)));
        }
    }
}

/// Returns the end of a text, as much as fits.
fn tail(text: &str) -> String {
    let length = text.chars().count();
    if length <= WIDTH {
        return text.to_owned();
    }
    let mut out = String::from("…");
    out.extend(text.chars().skip(length + 1 - WIDTH));
    out
}

fn write(text: &str) {
    let mut out = stderr().lock();
    // A progress line that cannot be written is not an error.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_progress_line_is_cut_and_never_wraps() {
        assert_eq!(tail("short"), "short");
        let long = tail(&"x".repeat(200));
        assert_eq!(long.chars().count(), WIDTH);
        assert!(long.starts_with('…'));
    }
}
