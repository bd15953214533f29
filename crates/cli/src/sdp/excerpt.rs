//! Prints a line with carets under the relevant part, as a compiler does.

use core::fmt::{self, Write};

/// The number of bytes of a long line that are shown before and after the place.
const CONTEXT: usize = 60;

/// Writes a line with its number, a row of `length` carets from the column on, the hint, and an empty line. Line and
/// column count from 1.
pub(super) fn write(
    (line, column): (usize, usize),
    length: usize,
    text: &[u8],
    hint: Option<&str>,
    out: &mut String,
) -> fmt::Result {
    let window = Window::of(text, column.saturating_sub(1), length);
    let margin = line.to_string().len();
    writeln!(out, "{:margin$} |", "")?;
    writeln!(out, "{line} | {}", window.shown)?;
    writeln!(out, "{:margin$} | {:before$}{:^<length$}", "", "", "", before = window.before, length = window.length)?;
    hint.map_or(Ok(()), |hint| writeln!(out, "{:margin$} = hint: {hint}", ""))?;
    writeln!(out)
}

/// Returns a number with its noun: `1 fault`, `2 faults`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The lines of a text, indexed once.
pub(super) struct SourceLines<'a> {
    text: &'a [u8],
    starts: Vec<(usize, usize)>,
}

impl<'a> SourceLines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        let mut starts = vec![];
        let mut start = 0;
        while start < text.len() {
            let rest = text.get(start..).unwrap_or_default();
            let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            starts.push((start, start + length));
            let ending = match rest.get(length..) {
                Some([b'\r', b'\n', ..]) => 2,
                _ => 1,
            };
            start += length + ending;
        }
        Self { text, starts }
    }

    /// Returns a line by its number from 1; an empty line after the end of the text.
    pub(super) fn line(&self, number: usize) -> &'a [u8] {
        let found = number.checked_sub(1).and_then(|index| self.starts.get(index));
        found.and_then(|(start, end)| self.text.get(*start..*end)).unwrap_or_default()
    }
}

/// The visible part of a line, and the position of the carets in columns of the terminal.
struct Window {
    shown: String,
    before: usize,
    length: usize,
}

impl Window {
    fn of(text: &[u8], at: usize, length: usize) -> Self {
        let at = at.min(text.len());
        let first = at.saturating_sub(CONTEXT);
        let last = text.len().min(at + CONTEXT);
        let meant = (at + length).clamp(at, last);
        let part = |from: usize, to: usize| visible(text.get(from..to).unwrap_or_default());
        let (before, meant, behind) = (part(first, at), part(at, meant), part(meant, last));
        let (open, close) = (if first > 0 { "…" } else { "" }, if last < text.len() { "…" } else { "" });
        Self {
            before: open.chars().count() + before.chars().count(),
            length: meant.chars().count().max(1),
            shown: format!("{open}{before}{meant}{behind}{close}"),
        }
    }
}

/// Returns text that is safe for a terminal: control characters and invalid UTF-8 become one character each.
fn visible(bytes: &[u8]) -> String {
    let shown = |c: char| if c == '\t' || c.is_control() { '\u{b7}' } else { c };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let window = Window::of("ab\tcdé\u{1b}!".as_bytes(), 7, 1);
        assert_eq!((window.shown.as_str(), window.before, window.length), ("ab·cdé·!", 6, 1));
        let window = Window::of(&[b'x'; 500], 400, 3);
        assert_eq!((window.before, window.length, window.shown.chars().count()), (61, 3, 122));
    }
}
