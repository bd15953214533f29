//! A line with a caret under what is meant of it, as a compiler shows it.

use core::fmt::{self, Write};

/// How many bytes of a long line are shown before and behind the place that is meant.
const AROUND: usize = 60;

/// Writes a line, by its number and the column that is meant, both from 1, under it a caret for each of so many bytes and
/// what to do about it, and an empty line.
pub(super) fn tell(
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

/// The lines of a text, found once.
pub(super) struct Texts<'a> {
    text: &'a [u8],
    starts: Vec<(usize, usize)>,
}

impl<'a> Texts<'a> {
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

    /// A line by its number from 1; nothing past the end, where something is missing.
    pub(super) fn line(&self, number: usize) -> &'a [u8] {
        let found = number.checked_sub(1).and_then(|index| self.starts.get(index));
        found.and_then(|(start, end)| self.text.get(*start..*end)).unwrap_or_default()
    }
}

/// What is shown of a line, and what of it is meant, in columns of the terminal.
struct Window {
    shown: String,
    before: usize,
    length: usize,
}

impl Window {
    fn of(text: &[u8], at: usize, length: usize) -> Self {
        let at = at.min(text.len());
        let first = at.saturating_sub(AROUND);
        let last = text.len().min(at + AROUND);
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

/// Text that does nothing to a terminal: control characters and what is no UTF-8 become one character each.
fn visible(bytes: &[u8]) -> String {
    let shown = |c: char| if c == '\t' || c.is_control() { '\u{b7}' } else { c };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let window = Window::of("ab\tcdé\u{1b}!".as_bytes(), 7, 1);
        assert_eq!((window.shown.as_str(), window.before, window.length), ("ab·cdé·!", 6, 1));
        let window = Window::of(&[b'x'; 500], 400, 3);
        assert_eq!((window.before, window.length, window.shown.chars().count()), (61, 3, 122));
    }
}
