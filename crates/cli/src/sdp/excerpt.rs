//! Prints a line with carets under the relevant part, as a compiler does.

use crate::wrap;
use core::fmt::{self, Write};

/// The number of bytes of a long line that are shown before and after the place.
const CONTEXT: usize = 60;

/// The smallest number of columns for a line. On a narrower terminal the line is cut at this number.
const LEAST: usize = 10;

/// Writes a line with its number, a row of `length` carets from the column on, the hint, and an empty line. Line and
/// column count from 1. A line that is longer than `width` is cut around the column, so that the terminal does not break
/// it. The hint is wrapped.
pub(super) fn write(
    (line, column): (usize, usize),
    length: usize,
    text: &[u8],
    hint: Option<&str>,
    width: usize,
    out: &mut String,
) -> fmt::Result {
    let margin = line.to_string().len();
    let window = Window::of(text, column.saturating_sub(1), length).cut(width.saturating_sub(margin + 3).max(LEAST));
    writeln!(out, "{:margin$} |", "")?;
    writeln!(out, "{line} | {}", window.shown)?;
    writeln!(out, "{:margin$} | {:before$}{:^<length$}", "", "", "", before = window.before, length = window.length)?;
    if let Some(hint) = hint {
        out.push_str(&wrap::to_width(&format!("{:margin$} = hint: {hint}", ""), width));
    }
    writeln!(out)
}

/// Cuts a line that is already safe for a terminal to `width` columns around a column from 0, and returns the line and
/// the new column.
pub(super) fn cut(line: &str, column: usize, width: usize) -> (String, usize) {
    let before: String = line.chars().take(column).collect();
    let behind: String = line.chars().skip(column).collect();
    let window = Window { shown: before + &behind, before: column, length: 1 }.cut(width);
    (window.shown, window.before)
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

    /// Cuts the line to this number of columns. If possible, as many columns are shown before the place as after its
    /// start. The first caret stays visible.
    fn cut(self, columns: usize) -> Self {
        // A caret can be after the end of the line.
        let total = self.shown.chars().count().max(self.before + 1);
        if total <= columns {
            return self;
        }
        let behind = total - self.before;
        let kept = self.before.min(columns.saturating_sub(behind.min(columns.div_ceil(2))));
        let skipped = self.before - kept;
        let is_cut_after = total - skipped > columns;
        let mut shown: Vec<char> = self.shown.chars().skip(skipped).take(columns).collect();
        // An ellipsis takes the place of the first and of the last column. The first caret is at neither of the two.
        if let Some(first) = shown.first_mut().filter(|_| skipped > 0) {
            *first = '…';
        }
        if let Some(last) = shown.last_mut().filter(|_| is_cut_after) {
            *last = '…';
        }
        let room = columns.saturating_sub(kept + usize::from(is_cut_after));
        Self { shown: shown.into_iter().collect(), before: kept, length: self.length.min(room).max(1) }
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

    #[test]
    fn a_cut_line_fits_and_its_carets_stay_below_the_same_text() {
        let text: String = (0..100).map(|number| char::from(b'!' + number % 90)).collect();
        for columns in LEAST..140 {
            for at in 0..=text.len() {
                for length in [0, 1, 7, 60] {
                    let whole = Window::of(text.as_bytes(), at, length);
                    let under = |window: &Window| -> Vec<char> {
                        window.shown.chars().skip(window.before).take(window.length).collect()
                    };
                    let meant = under(&whole);
                    let window = whole.cut(columns);
                    assert!(window.shown.chars().count() <= columns, "{columns} {at} {length}: {}", window.shown);
                    assert!(window.before + window.length <= columns, "{columns} {at} {length}");
                    assert!(meant.starts_with(&under(&window)), "{columns} {at} {length}: {} {meant:?}", window.shown);
                    assert_eq!(under(&window).is_empty(), meant.is_empty(), "{columns} {at} {length}");
                }
            }
        }
    }
}
