//! A description in a string of JSON or source code, and its escape sequences.
//!
//! A quote after backslashes belongs to a string inside of another string. `"` has level 1, `\"` level 2, `\\\"` level 3.
//! A quote of the same level or of a lower level ends a string. The escape sequences of a string of level 2 are replaced
//! twice. If the other strings have another kind of quote, the escape sequence of the first line ending shows how many
//! strings contain this one.

use super::{is_typed, version};

/// The strings of a text.
pub(super) struct Strings<'a> {
    text: &'a [u8],
    /// For each kind of quote the highest level of a string without an end. No string is searched twice for its end.
    unclosed: [u32; QUOTES.len()],
}

const QUOTES: [u8; 3] = [b'"', b'\'', b'`'];

pub(super) const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// Escape sequences are replaced this number of times at most.
const DEEPEST: u32 = 8;

impl<'a> Strings<'a> {
    pub(super) const fn of(text: &'a [u8]) -> Self {
        Self { text, unclosed: [0; QUOTES.len()] }
    }

    /// Returns the string whose content begins at this offset, whether it has an end, and the offset after it. Strings
    /// that continue a description are joined: lines of source code, and a list of lines.
    pub(super) fn string_at(&mut self, at: usize) -> Option<(Vec<u8>, bool, usize)> {
        let quote = at.checked_sub(1)?;
        let kind = QUOTES.iter().position(|kind| self.text.get(quote) == Some(kind))?;
        let level = level_of(self.backslashes(quote)).min(DEEPEST);
        let unclosed = self.unclosed.get_mut(kind)?;
        if level <= *unclosed {
            return None;
        }
        let Some((mut text, mut end)) = self.content(at, level) else {
            *self.unclosed.get_mut(kind)? = level;
            return Some((unescaped(self.text.get(at..)?, level), false, self.text.len()));
        };
        let is_list = !text.trim_ascii_end().iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        while let Some(start) = self.continuation(end, quote, is_list) {
            let Some((more, after)) = self.content(start, level) else { break };
            if !text.ends_with(b"\n") {
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(&more);
            end = after;
        }
        if is_list && !text.ends_with(b"\n") {
            text.extend_from_slice(b"\r\n");
        }
        Some((text, true, end))
    }

    /// Returns the start of the next string, if it has the same quote and continues the description.
    fn continuation(&self, end: usize, quote: usize, is_list: bool) -> Option<usize> {
        let rest = self.text.get(end..)?;
        let is_between = |byte: &u8| byte.is_ascii_whitespace() || b"+.\\&".contains(byte) || is_list && *byte == b',';
        let start = end + rest.iter().take_while(|byte| is_between(byte)).count() + 1;
        let content = self.text.get(start..)?;
        let is_same = self.text.get(start - 1) == self.text.get(quote) && self.backslashes(quote) == 0;
        (is_same && is_typed(content) && version(content).is_none()).then_some(start)
    }

    /// Returns the content of the string that begins at this offset, and the offset after its closing quote.
    fn content(&self, at: usize, level: u32) -> Option<(Vec<u8>, usize)> {
        let kind = self.text.get(at - 1)?;
        let rest = self.text.get(at..)?;
        let quotes = rest.iter().enumerate().filter(|(_, byte)| *byte == kind).map(|(offset, _)| at + offset);
        let others = depth(rest).saturating_sub(level);
        let close = quotes.into_iter().find(|quote| level_of(self.backslashes(*quote) >> others) <= level)?;
        let own = (1_usize << (level_of(self.backslashes(close) >> others) - 1)) - 1;
        let backslashes = (own << others).min(self.backslashes(close));
        let content = self.text.get(at..close.checked_sub(backslashes)?)?;
        Some((unescaped(content, level), close + 1))
    }

    fn backslashes(&self, quote: usize) -> usize {
        let before = self.text.get(..quote).unwrap_or_default();
        before.iter().rev().take_while(|byte| **byte == b'\\').count()
    }
}

/// Returns the level of a quote after this number of backslashes, from 1.
const fn level_of(backslashes: usize) -> u32 {
    (backslashes + 1).trailing_zeros() + 1
}

/// Returns the number of strings around a description, by the escape sequence after its version; 0 if there is none.
fn depth(text: &[u8]) -> u32 {
    let after = version(text).and_then(|length| text.get(length..)).filter(|after| starts_with_line_end(after));
    let backslashes = after.map_or(0, |after| after.iter().take_while(|byte| **byte == b'\\').count());
    backslashes.checked_ilog2().map_or(0, |depth| (depth + 1).min(DEEPEST))
}

/// Replaces the escape sequences of a string of this level, and those that are left between the lines.
fn unescaped(text: &[u8], level: u32) -> Vec<u8> {
    unescape_all((0..level).fold(text.to_vec(), |text, _| unescape(&text)))
}

/// Replaces escape sequences until the end of the first line is none.
pub(super) fn unescape_all(mut text: Vec<u8>) -> Vec<u8> {
    for _ in 0..DEEPEST {
        if !version(&text).and_then(|length| text.get(length..)).is_some_and(starts_with_line_end) {
            break;
        }
        text = unescape(&text);
    }
    text
}

/// Replaces each escape sequence of JSON, JavaScript, Python and C once. Other backslashes are kept.
fn unescape(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&first, after)) = rest.split_first() {
        let Some((&kind, tail)) = after.split_first().filter(|_| first == b'\\') else {
            out.push(first);
            rest = after;
            continue;
        };
        rest = tail;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'\\' | b'/' | b'"' | b'\'' | b'`' => out.push(kind),
            // A line that continues in source code.
            b'\n' => {}
            b'x' => match digits(tail, 2) {
                Some((byte, tail)) => {
                    out.push(u8::try_from(byte).unwrap_or_default());
                    rest = tail;
                }
                None => out.extend([first, kind]),
            },
            b'u' => match character(tail) {
                Some((found, tail)) => {
                    out.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = tail;
                }
                None => out.extend([first, kind]),
            },
            _ => out.extend([first, kind]),
        }
    }
    out
}

/// Reads a number of this many hexadecimal digits.
pub(super) fn digits(text: &[u8], count: usize) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let digits = core::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// Reads the character after `\u`: four digits, two halves of UTF-16, or digits in braces.
fn character(text: &[u8]) -> Option<(char, &[u8])> {
    if let Some(inner) = text.strip_prefix(b"{") {
        let (number, rest) = digits(inner, inner.iter().take(7).position(|byte| *byte == b'}')?)?;
        return Some((char::from_u32(number)?, rest.get(1..)?));
    }
    let (high, rest) = digits(text, 4)?;
    if let Some(found) = char::from_u32(high) {
        return Some((found, rest));
    }
    let (low, rest) = digits(rest.strip_prefix(b"\\u")?, 4)?;
    let units = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    Some((char::decode_utf16(units).next()?.ok()?, rest))
}

/// Returns the text after its backslashes; `None` if it begins with none.
pub(super) fn without_backslashes(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| **byte == b'\\').count();
    if count == 0 { None } else { text.get(count..) }
}

/// Whether the text begins with an escape sequence of CR or LF.
pub(super) fn starts_with_line_end(text: &[u8]) -> bool {
    let Some(after) = without_backslashes(text) else { return false };
    let sequences = ["r", "n", "u000d", "u000a", "x0d", "x0a"];
    sequences.iter().any(|sequence| {
        after.get(..sequence.len()).is_some_and(|start| start.eq_ignore_ascii_case(sequence.as_bytes()))
    })
}

/// Removes white space at the end, and escape sequences of CR and LF.
pub(super) fn without_line_end(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii_end();
    while let Some(rest) = text.strip_suffix(b"r").or_else(|| text.strip_suffix(b"n")) {
        let backslashes = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes == 0 {
            break;
        }
        text = rest.get(..rest.len() - backslashes).unwrap_or_default();
    }
    text
}
