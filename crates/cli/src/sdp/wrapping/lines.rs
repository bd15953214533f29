//! A description as lines of a longer text, each perhaps with the same start.

use super::{Found, Position, Step, encoding, is_typed, string, version};
use core::ops::Range;

/// The lines of a text, without their endings.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    lines: Vec<Range<usize>>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        let (mut lines, mut start) = (vec![], 0);
        while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
            let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            lines.push(start..start + length);
            start += length + if rest.get(length..).is_some_and(|end| end.starts_with(b"\r\n")) { 2 } else { 1 };
        }
        Self { text, lines }
    }

    /// Returns the whole text.
    pub(super) const fn text(&self) -> &'a [u8] {
        self.text
    }

    fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn line(&self, index: usize) -> &'a [u8] {
        self.lines.get(index).map_or(&[], |range| self.slice(range))
    }

    /// Returns the ending of a line.
    fn ending(&self, index: usize) -> &'a [u8] {
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| next.start);
        self.lines.get(index).map_or(&[], |range| self.slice(&(range.end..end)))
    }

    fn index(&self, at: usize) -> usize {
        self.lines.partition_point(|line| line.start <= at).saturating_sub(1)
    }

    pub(super) fn position(&self, at: usize) -> Position {
        let index = self.index(at);
        let start = self.lines.get(index).map_or(0, |line| line.start);
        Position { line: index + 1, column: at.saturating_sub(start) + 1 }
    }

    /// Returns the line at an offset, before and after the offset.
    pub(super) fn parts(&self, at: usize) -> Option<(&'a [u8], &'a [u8])> {
        let line = self.lines.get(self.index(at))?;
        self.slice(line).split_at_checked(at.checked_sub(line.start)?)
    }

    /// Returns the end of the line at an offset.
    pub(super) fn end(&self, at: usize) -> usize {
        self.lines.get(self.index(at)).map_or(at, |line| line.end)
    }

    /// Returns the number of lines that are not blank before and after these lines.
    pub(super) fn around(&self, block: &Range<usize>) -> (usize, usize) {
        let count = |lines: Option<&[Range<usize>]>| {
            lines.unwrap_or_default().iter().filter(|line| !is_blank(self.slice(line))).count()
        };
        (count(self.lines.get(..block.start)), count(self.lines.get(block.end..)))
    }

    /// Whether the text begins with a line `v=` that has no wrapping. Lines before it are in a wrong order, if all of
    /// them have the form of a line.
    pub(super) fn is_bare(&self) -> bool {
        let mut lines = self.lines.iter().map(|line| self.slice(line)).filter(|line| !is_blank(line));
        let Some(first) = lines.find(|line| line.starts_with(b"v=") || !is_typed(line)) else { return false };
        let Some(after) = version(first).and_then(|length| first.get(length..)) else {
            return first.starts_with(b"v=");
        };
        let mut others = lines.peekable();
        let is_indented = others.peek().is_some() && others.all(is_indented);
        first.starts_with(b"v=")
            && !string::starts_with_line_end(after)
            && !encoding::starts_with_line_end(after)
            && !is_indented
    }

    /// Returns the lines from the `v=` at this offset to the last one that has the form of a line. Another `v=` ends
    /// the lines, and so does the end of a Markdown fence.
    pub(super) fn block(&self, at: usize) -> Option<Found> {
        let (first, (prefix, version_line)) = (self.index(at), self.parts(at)?);
        let next = (first + 1..self.lines.len()).map(|index| self.line(index)).find(|line| !is_blank(line))?;
        let margin = Margin::of(prefix, next);
        let is_fenced = first.checked_sub(1).is_some_and(|before| is_fence(self.line(before)));
        let has_escapes = string::without_line_end(version_line).len() < version_line.trim_ascii_end().len();
        let mut last = first;
        for index in first + 1..self.lines.len() {
            let line = self.line(index);
            if is_fenced && is_fence(line) || version(margin.content(line)).is_some() {
                break;
            }
            if margin.has_form(line) {
                last = index;
            }
        }
        let (mut text, mut is_changed) = (version_line.to_vec(), !prefix.is_empty());
        if has_escapes {
            text.truncate(string::without_line_end(&text).len());
        }
        text.extend_from_slice(self.ending(first));
        for index in first + 1..=last {
            let line = self.line(index);
            let content = margin.content(line);
            is_changed |= content.len() < line.len();
            text.extend_from_slice(if has_escapes { string::without_line_end(content) } else { content });
            text.extend_from_slice(self.ending(index));
        }
        let steps = [(is_changed, Step::Prefix), (has_escapes, Step::Escapes)];
        let steps = steps.into_iter().filter(|(is_taken, _)| *is_taken).map(|(_, step)| step).collect();
        let end = self.lines.get(last).map_or(at, |line| line.end);
        Some(Found { text, steps, lines: Some(first..last + 1), end })
    }
}

/// Removes the indentation, if all lines but the first have it.
pub(super) fn without_indentation(text: Vec<u8>) -> Vec<u8> {
    let lines = Lines::of(&text);
    let block = if lines.is_bare() { None } else { lines.block(0) };
    block.map(|found| found.text).unwrap_or(text)
}

/// What each line has before the description.
enum Margin {
    /// Nothing.
    None,
    /// White space, and this number of quotation marks of mail at least.
    Decoration { marks: usize },
    /// A text of this width in bytes, such as a time.
    Width(usize),
}

impl Margin {
    /// Returns the margin of a line `v=` with this prefix; `next` is the line after it.
    fn of(prefix: &[u8], next: &[u8]) -> Self {
        let (decoration, rest) = split_decoration(prefix);
        match prefix {
            [] if is_indented(next) => Self::Decoration { marks: 0 },
            [] => Self::None,
            _ if rest.is_empty() => Self::Decoration { marks: usize::from(decoration.contains(&b'>')) },
            _ => Self::Width(prefix.len()),
        }
    }

    /// Returns the line without the margin.
    fn content<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        match *self {
            Self::None => line,
            Self::Decoration { marks } => match split_decoration(line) {
                (decoration, rest) if marks == 0 || decoration.contains(&b'>') => rest,
                _ => line,
            },
            Self::Width(width) => line.get(width..).filter(|content| is_typed(content)).unwrap_or(line),
        }
    }

    /// Whether the line has the margin and then the form of a line.
    fn has_form(&self, line: &[u8]) -> bool {
        let content = self.content(line);
        let has_margin = match *self {
            Self::None => true,
            Self::Decoration { marks } => marks == 0 || content.len() < line.len(),
            Self::Width(_) => content.len() < line.len(),
        };
        has_margin && is_typed(content)
    }
}

/// Splits a line after its white space, quotation marks of mail and bars.
fn split_decoration(line: &[u8]) -> (&[u8], &[u8]) {
    let length = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'>' | b'|')).count();
    line.split_at_checked(length).unwrap_or((&[], line))
}

fn is_indented(line: &[u8]) -> bool {
    !is_typed(line) && is_typed(split_decoration(line).1)
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fn is_fence(line: &[u8]) -> bool {
    let line = split_decoration(line).1;
    line.starts_with(b"```") || line.starts_with(b"~~~")
}
