//! Finds the description in pasted text: UTF-16, a string of JSON or source code, a log line, a quotation, base64,
//! percent-encoding.
//!
//! The functions are pure, and their time is linear in the length of the text. Each removal is a [`Step`]. A text that
//! begins with `v=` at the start of a line is returned unchanged. A text without a description is returned unchanged
//! too, so that the reader reports it. Text with two different descriptions is refused.

mod encoding;
mod lines;
mod string;

use alloc::boxed::Box;
use core::fmt;
use core::ops::Range;
use encoding::Damage;
use lines::Lines;
use string::Strings;

/// A description, and the steps that removed its wrapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extracted {
    /// The description.
    pub(super) text: Vec<u8>,
    /// The steps, in their order; empty if the text is unchanged.
    pub(super) steps: Vec<Step>,
}

/// The removal of one kind of wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The byte order mark of UTF-8.
    ByteOrderMark,
    /// UTF-16 was converted to UTF-8.
    Utf16,
    /// The description was in a string with a closing quote, or without it.
    String { is_closed: bool },
    /// Escape sequences were replaced outside of a string.
    Escapes,
    /// Each line had something before it: indentation, quotation marks of mail, the prefix of a log.
    Prefix,
    /// Lines around the description were left out.
    Around { before: usize, after: usize },
    /// The text was decoded from base64.
    Base64,
    /// The text was decoded from percent-encoding, or taken out of a web form.
    Percent,
    /// The text had more copies of the description.
    Copies(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByteOrderMark => f.write_str("removed the byte order mark"),
            Self::Utf16 => f.write_str("converted UTF-16 to UTF-8"),
            Self::String { is_closed: true } => f.write_str("took the description out of a string"),
            Self::String { is_closed: false } => {
                f.write_str("took the description out of a string without a closing quote")
            }
            Self::Escapes => f.write_str("replaced escape sequences such as \\r\\n"),
            Self::Prefix => f.write_str("removed the start of each line before the description"),
            Self::Around { before, after } => {
                write!(f, "left out {before} line(s) before and {after} line(s) after the description")
            }
            Self::Base64 => f.write_str("decoded base64"),
            Self::Percent => f.write_str("decoded percent-encoding (URL)"),
            Self::Copies(count) => write!(f, "left out {count} equal copies of the description"),
        }
    }
}

/// Why no description can be taken from a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrappingError {
    #[error("byte {at}: invalid UTF-16; save the text as UTF-8")]
    Utf16 { at: usize },
    #[error("{} different descriptions, at {}; give one of them", .0.len(), List(.0))]
    Several(Vec<Position>),
    #[error("{at}: damaged base64: {why}; copy the whole text again")]
    Base64 { at: Position, why: Damage },
    /// Positions count in the decoded text.
    #[error("{step}, and in the decoded text: {why}")]
    Decoded { step: Step, why: Box<Self> },
}

/// A line and a column in bytes, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    line: usize,
    column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

struct List<'a>(&'a [Position]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More positions are not printed.
        const SHOWN: usize = 8;
        for (index, position) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{position}", if index == 0 { "" } else { ", " })?;
        }
        if self.0.len() > SHOWN { f.write_str(", …") } else { Ok(()) }
    }
}

/// The maximum number of encodings inside of each other: base64 of JSON in a web form has two.
const DEEPEST: u32 = 4;

/// Returns the description in the text.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, WrappingError> {
    let (text, mut steps) = decode(bytes)?;
    let lines = Lines::of(&text);
    let found = if lines.is_bare() { None } else { find(&lines, DEEPEST)? };
    Ok(match found {
        Some(found) => {
            steps.extend(found.steps);
            Extracted { text: found.text, steps }
        }
        None => Extracted { text, steps },
    })
}

/// Returns the description in a decoded text. `depth` is the number of encodings that may follow.
fn extract_inside(bytes: Vec<u8>, depth: u32) -> Result<Option<Extracted>, WrappingError> {
    // Bytes that are no text at all can look like invalid UTF-16.
    let Ok((text, mut steps)) = decode(bytes) else { return Ok(None) };
    let lines = Lines::of(&text);
    if lines.is_bare() {
        return Ok(is_description(&text).then_some(Extracted { text, steps }));
    }
    Ok(find(&lines, depth)?.map(|found| {
        steps.extend(found.steps);
        Extracted { text: found.text, steps }
    }))
}

/// Returns the description in a text with wrapping. Encoded parts are searched only if no other part has one.
fn find(lines: &Lines<'_>, depth: u32) -> Result<Option<Extracted>, WrappingError> {
    let text = lines.text();
    let (mut found, mut from, mut strings) = (Candidates::default(), 0, Strings::of(text));
    while let Some(at) = version_from(text, from) {
        from = at + 1;
        let Some(next) = found_at(lines, &mut strings, at).filter(|next| is_description(&next.text)) else { continue };
        from = from.max(next.end);
        let mut steps = next.steps;
        // The lines are counted only once.
        let block = next.lines.filter(|_| found.first.is_none());
        if let Some((before, after)) = block.map(|block| lines.around(&block)).filter(|around| *around != (0, 0)) {
            steps.insert(0, Step::Around { before, after });
        }
        found.add(lines.position(at), Extracted { text: next.text, steps });
    }
    match found.finish()? {
        None => encoding::find(text, lines, depth),
        found => Ok(found),
    }
}

/// The descriptions that were found in a text: the first one, and the places of different ones.
#[derive(Debug, Default)]
struct Candidates {
    first: Option<Extracted>,
    positions: Vec<Position>,
    copies: usize,
}

impl Candidates {
    fn add(&mut self, at: Position, next: Extracted) {
        match &self.first {
            Some(first) if first.text == next.text => self.copies += 1,
            Some(_) => self.positions.push(at),
            None => {
                self.positions.push(at);
                self.first = Some(next);
            }
        }
    }

    fn finish(self) -> Result<Option<Extracted>, WrappingError> {
        if self.positions.len() > 1 {
            return Err(WrappingError::Several(self.positions));
        }
        Ok(self.first.map(|mut found| {
            if self.copies > 0 {
                found.steps.push(Step::Copies(self.copies));
            }
            found
        }))
    }
}

/// A description that was found.
struct Found {
    text: Vec<u8>,
    steps: Vec<Step>,
    /// The indexes of its lines, if it consists of whole lines.
    lines: Option<Range<usize>>,
    /// The offset after the description.
    end: usize,
}

/// Returns the text that begins with the `v=` at this offset.
fn found_at(lines: &Lines<'_>, strings: &mut Strings<'_>, at: usize) -> Option<Found> {
    if let Some((text, is_closed, end)) = strings.string_at(at) {
        let text = lines::without_indentation(text);
        return Some(Found { text, steps: vec![Step::String { is_closed }], lines: None, end });
    }
    let (before, after) = lines.parts(at)?;
    let is_in_word = before.last().is_some_and(u8::is_ascii_alphanumeric) && string::without_line_end(before) == before;
    if is_in_word || before.last().is_some_and(|last| string::is_quote(*last)) {
        return None;
    }
    let after = after.get(version(after)?..)?;
    if string::without_line_end(after).trim_ascii().is_empty() {
        return lines.block(at);
    }
    // The line endings are escape sequences. What follows the last one is wrapping, unless it has the form of a line.
    string::starts_with_line_end(after).then(|| {
        let end = version_from(lines.text(), at + 1).unwrap_or(usize::MAX).min(lines.end(at));
        let mut text = string::unescape_all(lines.text().get(at..end).unwrap_or_default().to_vec());
        let last = text.iter().rposition(|byte| matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        if !text.get(last..).is_some_and(is_typed) {
            text.truncate(last);
        }
        Found { text, steps: vec![Step::Escapes], lines: None, end }
    })
}

/// Converts the text to UTF-8 without a byte order mark. UTF-16 without a mark is recognized by its zero bytes.
fn decode(mut bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<Step>), WrappingError> {
    let (skip, is_big) = match *bytes.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => {
            bytes.drain(..3);
            return Ok((bytes, vec![Step::ByteOrderMark]));
        }
        [0xff, 0xfe, ..] => (2, false),
        [0xfe, 0xff, ..] => (2, true),
        [1..=255, 0, 1..=255, 0, ..] => (0, false),
        [0, 1..=255, 0, 1..=255, ..] => (0, true),
        _ => return Ok((bytes, vec![])),
    };
    let (units, rest) = bytes.get(skip..).unwrap_or_default().as_chunks();
    let unit = |pair: &[u8; 2]| if is_big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
    let (mut text, mut at) = (String::with_capacity(units.len()), skip);
    for character in char::decode_utf16(units.iter().map(unit)) {
        let character = character.map_err(|_| WrappingError::Utf16 { at })?;
        text.push(character);
        at += 2 * character.len_utf16();
    }
    if rest.is_empty() { Ok((text.into_bytes(), vec![Step::Utf16])) } else { Err(WrappingError::Utf16 { at }) }
}

/// Returns the length of a `v=` with its number at the start of the text; JSON may write `=` as an escape sequence.
fn version(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"v")?;
    let rest = rest.strip_prefix(b"=").or_else(|| {
        let number = string::without_backslashes(rest).filter(|rest| rest.starts_with(b"u003"))?;
        number.strip_prefix(b"u003d").or_else(|| number.strip_prefix(b"u003D"))
    })?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| text.len() - rest.len() + digits)
}

/// Returns the offset of the next `v=` with a number.
fn version_from(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let letters = rest.iter().enumerate().filter(|(_, byte)| **byte == b'v');
    letters.map(|(at, _)| at).find(|at| rest.get(*at..).and_then(version).is_some()).map(|at| from + at)
}

/// Whether the text begins with a letter and an equals sign.
fn is_typed(text: &[u8]) -> bool {
    matches!(text, [b'a'..=b'z', b'=', ..])
}

/// Whether the text has a line `v=` and then another line.
fn is_description(text: &[u8]) -> bool {
    let Some(after) = version(text).and_then(|length| text.get(length..)) else { return false };
    let next = after.trim_ascii_start();
    is_typed(next) && after.iter().take(after.len() - next.len()).any(|byte| matches!(byte, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests;
