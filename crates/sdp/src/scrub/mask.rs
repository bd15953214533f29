//! Lines with errors: the replaced line has the same errors as the original one.
//!
//! Rules of this file: an error stays because its characters stay in their classes. A letter becomes `x`, or `a` if it is
//! a hexadecimal digit, a digit becomes `9`, and all other ASCII characters are kept. Where a grammar allows no private
//! data, its words and its numbers are kept.

use super::alias::{Aliases, Class};
use super::is_plain;
use crate::attribute::Deviation;
use crate::error::{Citation, ValueError};
use crate::line::{Kind, Line};
use crate::reader;
use alloc::vec::Vec;
use core::net::IpAddr;

/// The errors of a line, without their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Errors {
    /// The error of the line, and the error of the attribute: the expected text and the section.
    unreadable: [Option<(&'static str, Citation)>; 2],
    has_nul: bool,
    deviations: Vec<Deviation>,
}

impl Errors {
    pub(super) fn of(line: &Line<'_>) -> Self {
        let what = |error: ValueError| (error.expected, error.clause);
        let value = if reader::is_text(line.kind()) && line.value().is_empty() {
            Ok(())
        } else {
            reader::check(line.kind(), line.text().get(2..).unwrap_or_default())
        };
        let typed = line.typed().and_then(Result::err);
        Self {
            unreadable: [value.err().map(what), typed.map(|error| what(error.error))],
            has_nul: line.text().contains(&0),
            deviations: line.deviations().map(|(deviation, _)| deviation).collect(),
        }
    }

    /// Returns whether both lines have the same number of findings of each code.
    pub(super) fn has_same_codes(&self, other: &Self) -> bool {
        let codes = |errors: &Self| {
            let [value, typed] = errors.unreadable.map(|error| error.is_some());
            (value, typed, errors.has_nul, errors.deviations.len())
        };
        codes(self) == codes(other)
    }

    /// Returns whether both lines have an error, or neither has.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let has_any = |errors: &Self| errors.is_unreadable() || errors.has_nul || !errors.deviations.is_empty();
        has_any(self) == has_any(other) && self.is_unreadable() == other.is_unreadable()
    }

    pub(super) const fn is_unreadable(&self) -> bool {
        matches!(self.unreadable, [Some(_), _] | [_, Some(_)])
    }
}

/// Returns the offset of the error in the value of the line, if the line cannot be parsed.
pub(super) fn error_at(line: &Line<'_>) -> Option<usize> {
    match line.typed() {
        Some(Err(error)) => Some(error.column.saturating_sub(3)),
        Some(Ok(_)) | None => {
            reader::check(line.kind(), line.text().get(2..).unwrap_or_default()).err().map(|error| error.at)
        }
    }
}

/// The words and numbers that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The words of grammars, and numbers. For values without private data.
    Words,
    /// The words that have a private value after them.
    Names,
    /// Nothing.
    Nothing,
}

impl Aliases {
    /// Writes a text in which letters and digits are replaced, except for kept words. If words are kept, IP addresses
    /// get stand-ins.
    pub(super) fn mask(&mut self, text: &[u8], kept: Kept, out: &mut Vec<u8>) {
        let is_between = |byte: u8| byte <= b' ' || b"\"&'()<>[]{};,=|".contains(&byte);
        for word in text.chunk_by(|a, b| is_between(*a) == is_between(*b)) {
            let is_kept = kept == Kept::Words && is_plain(word);
            if is_kept || word.first().is_some_and(|byte| is_between(*byte)) {
                out.extend_from_slice(word);
                continue;
            }
            for part in word.chunk_by(|a, b| (*a == b'/') == (*b == b'/')) {
                let is_of_ip = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
                let runs = || part.chunk_by(|a, b| is_of_ip(*a) == is_of_ip(*b));
                if kept == Kept::Words && runs().any(is_ip) {
                    for run in runs() {
                        if is_ip(run) { self.address(run, out) } else { mask_word(run, kept, out) }
                    }
                } else {
                    part.chunk_by(|a, b| (*a == b':') == (*b == b':')).for_each(|part| mask_word(part, kept, out));
                }
            }
        }
    }

    /// Writes an address that is none, in a form that is none either.
    pub(super) fn mask_address(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.write(Class::InvalidIp4, text, out);
    }
}

fn is_ip(text: &[u8]) -> bool {
    core::str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

fn mask_word(word: &[u8], kept: Kept, out: &mut Vec<u8>) {
    const NAMES: [&[u8]; 20] = [
        b"IN", b"IP4", b"IP6", b"sha-1", b"sha-224", b"sha-256", b"sha-384", b"sha-512", b"md5", b"md2", b"inline",
        b"cname", b"msid", b"mslabel", b"label", b"fmtp", b"base64", b"clear", b"uri", b"prompt",
    ];
    const WORDS: [&[u8]; 12] = [
        b"send",
        b"recv",
        b"sendonly",
        b"recvonly",
        b"sendrecv",
        b"inactive",
        b"pt",
        b"apt",
        b"nack",
        b"npt",
        b"clock",
        b"rid",
    ];
    let is_known = |words: &[&[u8]]| words.contains(&word);
    let is_kept = match kept {
        Kept::Words => is_plain(word) || is_known(&WORDS) || is_known(&NAMES),
        Kept::Names => is_known(&NAMES),
        Kept::Nothing => false,
    };
    if is_kept {
        return out.extend_from_slice(word);
    }
    for chunk in word.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                'a'..='f' => out.push(b'a'),
                'A'..='F' => out.push(b'A'),
                'g'..='z' => out.push(b'x'),
                'G'..='Z' => out.push(b'X'),
                '0'..='9' => out.push(b'9'),
                _ if letter.is_ascii() => out.extend(u8::try_from(letter)),
                _ => out.extend_from_slice("\u{e9}".as_bytes()),
            }
        }
        out.extend(chunk.invalid().iter().map(|_| 0xff));
    }
}

/// Returns whether a word is a number with an optional sign, fraction and exponent.
pub(super) fn is_number(word: &[u8]) -> bool {
    let digits = word.strip_prefix(b"-").or_else(|| word.strip_prefix(b"+")).unwrap_or(word);
    let mut points = 0;
    let is_digit = |byte: &u8| {
        points += usize::from(*byte == b'.');
        byte.is_ascii_digit() || *byte == b'.'
    };
    digits.iter().all(is_digit) && points < 2 && digits.iter().any(u8::is_ascii_digit)
}

/// Returns the kept words of a line without a letter-specific rule.
pub(super) const fn kept_of(kind: Kind) -> Kept {
    match kind {
        Kind::Version
        | Kind::Origin
        | Kind::Connection
        | Kind::Bandwidth
        | Kind::Time
        | Kind::Repeat
        | Kind::Zone
        | Kind::Media => Kept::Words,
        Kind::Key => Kept::Names,
        Kind::Name
        | Kind::Information
        | Kind::Uri
        | Kind::Email
        | Kind::Phone
        | Kind::Attribute
        | Kind::Unknown(_)
        | Kind::Stray => Kept::Nothing,
    }
}
