//! What is known so far, on one line of the terminal that the report then replaces. Nothing of it when piped.

use crate::options::Format;
use std::io::{IsTerminal, Write, stderr, stdout};

/// The line, or nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    active: bool,
    said: String,
}

/// Longer lines would wrap on a narrow terminal, and could then not be wiped out.
const WIDTH: usize = 79;

impl Progress {
    /// A line for a person who looks on: both outputs are terminals, and the report is meant for people.
    pub(crate) fn new(format: Format) -> Self {
        let active = format == Format::Human && stderr().is_terminal() && stdout().is_terminal();
        Self { shown: false, active, said: String::new() }
    }

    /// Adds what has become known.
    pub(crate) fn add(&mut self, news: &str) {
        if !self.said.is_empty() {
            self.said.push_str(" · ");
        }
        self.said.push_str(news);
        self.show();
    }

    /// Says this instead of what was said before.
    pub(crate) fn replace(&mut self, news: &str) {
        news.clone_into(&mut self.said);
        self.show();
    }

    /// Wipes the line out.
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

/// The end of a text, as much as fits.
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
    // A progress line that cannot be written is no loss.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_end_and_never_wraps() {
        assert_eq!(tail("short"), "short");
        let long = tail(&"x".repeat(200));
        assert_eq!(long.chars().count(), WIDTH);
        assert!(long.starts_with('…'));
    }
}
