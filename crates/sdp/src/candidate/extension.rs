//! The names and values at the end of a candidate (RFC 8839 §5.1, `cand-extension`).
//!
//! Rules of this file: the text is checked once and then iterated. `tcptype` is one of the extensions on the wire, but
//! a field of the candidate (RFC 6544 §4.5); it is never listed here.

use super::TcpType;
use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, is_token, refuse, space};
use crate::work::look;
use alloc::string::String;
use core::hash::{Hash, Hasher};
use core::str;

/// Names and values in order, unchanged; a name may occur more than once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extensions<S> {
    /// Names and values in turn, separated by single spaces. The count is odd if the last name has no value.
    text: S,
}

impl<S: AsRef<str>> Extensions<S> {
    /// Returns names and values in order; a last name without a value has an empty one.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs().map(|(name, value)| (name, value.unwrap_or_default()))
    }

    /// Returns the value of the first extension with a name; names are case-sensitive.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Returns whether there is no extension.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// Returns the names that have a value, with their values.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let text = self.text.as_ref();
        let mut rest = Some(text).filter(|text| !text.is_empty());
        core::iter::from_fn(move || {
            let name = word(&mut rest)?;
            Some((name, word(&mut rest)))
        })
        .filter(|(name, _)| !name.eq_ignore_ascii_case("tcptype"))
    }

    /// Returns the last name if it has no value.
    pub(super) fn lone(&self) -> Option<&str> {
        self.pairs().last().filter(|(_, value)| value.is_none()).map(|(name, _)| name)
    }
}

impl Extensions<&str> {
    pub(super) fn to_owned(self) -> Extensions<String> {
        Extensions { text: self.text.into() }
    }
}

impl Extensions<String> {
    /// Returns an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: String::new() }
    }

    /// Adds a name and its value.
    ///
    /// # Errors
    /// [`ValueError`]: the name is no token, or is `raddr`, `rport` or `tcptype`, which are fields of the candidate.
    /// The same error: the value has a space, a control character or a byte outside ASCII. The offset counts from the
    /// start of the name or of the value.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), ValueError> {
        const CLAUSE: Citation = Citation::new("RFC 8839", "5.1");
        let bad_name = name.bytes().position(|byte| !is_token(byte));
        if let Some(at) = bad_name.or(if name.is_empty() { Some(0) } else { None }) {
            return Err(ValueError::new(name.as_bytes(), at, "the name of an extension, a token", CLAUSE));
        }
        if ["raddr", "rport", "tcptype"].iter().any(|field| name.eq_ignore_ascii_case(field)) {
            return Err(ValueError::new(name.as_bytes(), 0, "a name that is no field of a candidate", CLAUSE));
        }
        if let Some(at) = value.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(ValueError::new(value.as_bytes(), at, "visible characters", CLAUSE));
        }
        if self.text.split(' ').count() % 2 == 1 && !self.text.is_empty() {
            // The last name has no value yet. It gets an empty one; otherwise the new name would become its value.
            self.text.push(' ');
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(name);
        self.text.push(' ');
        self.text.push_str(value);
        Ok(())
    }

    pub(super) fn borrowed(&self) -> Extensions<&str> {
        Extensions { text: &self.text }
    }
}

/// Compares names and values: the position of `tcptype` among them makes no difference.
impl<S: AsRef<str>> PartialEq for Extensions<S> {
    fn eq(&self, other: &Self) -> bool {
        self.pairs().eq(other.pairs())
    }
}

impl<S: AsRef<str>> Eq for Extensions<S> {}

impl<S: AsRef<str>> Hash for Extensions<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pairs().for_each(|pair| pair.hash(state));
    }
}

/// Returns the text before the next space.
#[inline]
fn word<'a>(rest: &mut Option<&'a str>) -> Option<&'a str> {
    let text = (*rest)?;
    // Words are short: a loop over the bytes is faster than a search for long texts.
    let length = text.bytes().position(|byte| byte == b' ');
    look(length.unwrap_or(text.len()) + 1);
    let (word, after) = length.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
    *rest = after.get(1..);
    Some(word)
}

/// Parses all extensions, each after a space. The last name may have no value, which is a deviation.
#[inline]
pub(super) fn parse(input: &[u8]) -> Parsed<'_, (Option<TcpType>, Extensions<&str>)> {
    let mut tcp_type = None;
    let mut rest = input;
    while !rest.is_empty() {
        let name_at = space(rest)?.0;
        let length = name_at.iter().position(|byte| !is_token(*byte)).unwrap_or(name_at.len());
        look(length + 1);
        let (name, after) = name_at.split_at_checked(length).unwrap_or_default();
        if name.is_empty() {
            return fail(name_at, "the name of an extension");
        }
        let is_tcp_type = name.eq_ignore_ascii_case(b"tcptype");
        let value_at = match after {
            [] if is_tcp_type => return refuse(after, TCP_TYPE),
            [] => {
                rest = after;
                break;
            }
            [b' ', value @ ..] => value,
            _ => return fail(after, "a space"),
        };
        let length = value_at.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(value_at.len());
        look(length + 1);
        let (value, after) = value_at.split_at_checked(length).unwrap_or_default();
        if is_tcp_type {
            tcp_type = match (TcpType::from_name(value), tcp_type) {
                (Some(found), None) => Some(found),
                (Some(_), Some(_)) => return refuse(name_at, "one tcptype only"),
                (None, _) => return refuse(value_at, TCP_TYPE),
            };
        }
        rest = after;
    }
    let text = input.get(1..).unwrap_or_default();
    str::from_utf8(text).map_or_else(|_| fail(input, "ASCII"), |text| Ok((rest, (tcp_type, Extensions { text }))))
}

impl TcpType {
    /// Returns the type with this name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            _ if name.eq_ignore_ascii_case(b"active") => Self::Active,
            _ if name.eq_ignore_ascii_case(b"passive") => Self::Passive,
            _ if name.eq_ignore_ascii_case(b"so") => Self::SimultaneousOpen,
            _ => return None,
        })
    }
}

const TCP_TYPE: &str = "active, passive or so";
