//! Errors of values: the position, and the text that the grammar expected.
//!
//! Every error here is `Copy` and holds no text. A [`ValueError`] counts from the start of the value that was parsed. A
//! [`TypedError`] also has the line, so that a user finds the place in the description.
//!
//! ```
//! use portolan_sdp::{Value, value::Bandwidth};
//!
//! let error = Bandwidth::parse(b"AS:5x0").unwrap_err();
//! assert_eq!((error.at, error.expected), (4, "the end of the value"));
//! assert_eq!(error.to_string(), "byte 4: expected the end of the value, found 'x' (RFC 8866 §5.8)");
//! ```

use core::fmt;

/// A section of an RFC or of another document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Citation {
    /// The document, such as `RFC 8866`.
    pub document: &'static str,
    /// The section, such as `5.2`; empty for the whole document.
    pub section: &'static str,
}

impl Citation {
    /// Makes the citation of a section of a document.
    #[must_use]
    pub const fn new(document: &'static str, section: &'static str) -> Self {
        Self { document, section }
    }
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.document)?;
        if self.section.is_empty() { Ok(()) } else { write!(f, " §{}", self.section) }
    }
}

/// A range of bytes, the end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The offset of the first byte.
    pub start: usize,
    /// The offset after the last byte.
    pub end: usize,
}

impl Span {
    /// Makes the range from `start` up to, but not including, `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Returns whether the range is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Why a text does not match the grammar of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("byte {at}: expected {expected}, found {} ({clause})", Found(*.found))]
pub struct ValueError {
    /// The offset in bytes from the start of the value.
    pub at: usize,
    /// The text that the grammar expected at this position, in words.
    pub expected: &'static str,
    /// The byte that was found there; `None`: the value ends there.
    pub found: Option<u8>,
    /// The section that has the grammar.
    pub clause: Citation,
}

impl ValueError {
    /// Makes the error at offset `at` of `value`.
    #[cold]
    #[must_use]
    pub fn new(value: &[u8], at: usize, expected: &'static str, clause: Citation) -> Self {
        Self { at, expected, found: value.get(at).copied(), clause }
    }
}

/// A [`ValueError`] with its position in the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("line {line}, column {column}: expected {}, found {} ({})", .error.expected, Found(.error.found), .error.clause)]
pub struct TypedError {
    /// The line, counted from 1.
    pub line: usize,
    /// The byte in the line, counted from 1.
    pub column: usize,
    /// The error of the value; its offset counts from the start of the value, not of the line.
    pub error: ValueError,
}

/// Describes a found byte for users.
pub(crate) struct Found(pub(crate) Option<u8>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the end"),
            Some(b' ') => f.write_str("a space"),
            Some(byte @ 0x21..=0x7e) => write!(f, "'{}'", char::from(byte)),
            Some(byte) => write!(f, "byte {byte:#04x}"),
        }
    }
}
