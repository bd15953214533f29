//! One line of a description: its letter, its value, how it ends and where it stood.
//!
//! A line is told apart by its first two bytes and nothing else (RFC 8866 §5: one case-sensitive character, and `=` without
//! space on either side); what has another form is kept as [`Kind::Stray`].
//!
//! ```
//! use portolan_sdp::line::{Ending, Kind};
//! use portolan_sdp::Reader;
//!
//! let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=tool:x\n";
//! let reading = Reader::lenient().read(text)?;
//! let line = reading.session.lines().last().ok_or("five lines")?;
//! assert_eq!((line.kind(), line.value(), line.ending()), (Kind::Attribute, &b"tool:x"[..], Ending::Lf));
//! assert_eq!(line.attribute(), Some((&b"tool"[..], Some(&b"x"[..]))));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::error::{Citation, Span, TypedError};
use crate::value::Value;
use core::fmt;

/// What a line is, by its letter (RFC 8866 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `v=`, the version of the protocol.
    Version,
    /// `o=`, who made the description.
    Origin,
    /// `s=`, the session's name.
    Name,
    /// `i=`, a line of text about the session or the media.
    Information,
    /// `u=`, where to read more.
    Uri,
    /// `e=`, an email address.
    Email,
    /// `p=`, a phone number.
    Phone,
    /// `c=`, an address.
    Connection,
    /// `b=`, a bandwidth.
    Bandwidth,
    /// `t=`, when the session is active.
    Time,
    /// `r=`, when it repeats.
    Repeat,
    /// `z=`, changes of the clock.
    Zone,
    /// `k=`, a key (obsolete, RFC 8866 §5.12).
    Key,
    /// `a=`, an attribute.
    Attribute,
    /// `m=`, the head of a media description.
    Media,
    /// Another letter, or whatever byte stands before the `=`.
    Unknown(u8),
    /// No `x=` at all, or nothing at all.
    Stray,
}

impl Kind {
    /// The kind of a line, from its text.
    #[must_use]
    #[inline]
    pub const fn of(text: &[u8]) -> Self {
        let [letter, b'=', ..] = *text else { return Self::Stray };
        match letter {
            b'a' => Self::Attribute,
            b'v' => Self::Version,
            b'o' => Self::Origin,
            b's' => Self::Name,
            b'i' => Self::Information,
            b'u' => Self::Uri,
            b'e' => Self::Email,
            b'p' => Self::Phone,
            b'c' => Self::Connection,
            b'b' => Self::Bandwidth,
            b't' => Self::Time,
            b'r' => Self::Repeat,
            b'z' => Self::Zone,
            b'k' => Self::Key,
            b'm' => Self::Media,
            other => Self::Unknown(other),
        }
    }

    /// The letter; none for a line without one.
    #[must_use]
    pub const fn letter(self) -> Option<u8> {
        Some(match self {
            Self::Version => b'v',
            Self::Origin => b'o',
            Self::Name => b's',
            Self::Information => b'i',
            Self::Uri => b'u',
            Self::Email => b'e',
            Self::Phone => b'p',
            Self::Connection => b'c',
            Self::Bandwidth => b'b',
            Self::Time => b't',
            Self::Repeat => b'r',
            Self::Zone => b'z',
            Self::Key => b'k',
            Self::Attribute => b'a',
            Self::Media => b'm',
            Self::Unknown(other) => other,
            Self::Stray => return None,
        })
    }

    /// The section of RFC 8866 that is about such lines.
    #[must_use]
    pub const fn clause(self) -> Citation {
        Citation::new(
            "RFC 8866",
            match self {
                Self::Version => "5.1",
                Self::Origin => "5.2",
                Self::Name => "5.3",
                Self::Information => "5.4",
                Self::Uri => "5.5",
                Self::Email | Self::Phone => "5.6",
                Self::Connection => "5.7",
                Self::Bandwidth => "5.8",
                Self::Time => "5.9",
                Self::Repeat => "5.10",
                Self::Zone => "5.11",
                Self::Key => "5.12",
                Self::Attribute => "5.13",
                Self::Media => "5.14",
                Self::Unknown(_) | Self::Stray => "5",
            },
        )
    }
}

/// `v=` and so on; a line without a letter is `a line without "="`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.letter() {
            Some(letter @ 0x21..=0x7e) => write!(f, "{}=", char::from(letter)),
            Some(letter) => write!(f, "{letter:#04x}="),
            None => f.write_str("a line without \"=\""),
        }
    }
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ending {
    /// CR and LF, as RFC 8866 §5 writes it.
    #[default]
    CrLf,
    /// LF alone, which RFC 8866 §5 asks readers to accept.
    Lf,
    /// CR alone.
    Cr,
    /// The text ended.
    End,
}

impl Ending {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
            Self::Cr => b"\r",
            Self::End => b"",
        }
    }

    /// How many bytes, 0 to 2.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it is [`Ending::End`].
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::End)
    }
}

/// A line of a session, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line<'s> {
    pub(crate) text: &'s [u8],
    pub(crate) kind: Kind,
    pub(crate) ending: Ending,
    pub(crate) index: usize,
    /// Where its first byte stood in what was read; none for a line that was written since.
    pub(crate) offset: Option<usize>,
}

impl<'s> Line<'s> {
    /// What it is.
    #[must_use]
    #[inline]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The whole line, without its ending.
    #[must_use]
    #[inline]
    pub const fn text(&self) -> &'s [u8] {
        self.text
    }

    /// What follows the `=`; of a stray line all of it.
    #[must_use]
    #[inline]
    pub fn value(&self) -> &'s [u8] {
        if self.kind == Kind::Stray { self.text } else { self.text.get(2..).unwrap_or_default() }
    }

    /// How it ends.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        self.ending
    }

    /// Which line of its session it is, counted from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Where it stood in the text that was read, without its ending; none where it was written since.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.offset.map(|start| Span::new(start, start + self.text.len()))
    }

    /// An attribute's name and value (RFC 8866 §5.13); none for another line. An attribute without `:` has no value.
    #[must_use]
    #[inline]
    pub fn attribute(&self) -> Option<(&'s [u8], Option<&'s [u8]>)> {
        if self.kind != Kind::Attribute {
            return None;
        }
        Some(name_and_value(self.value()))
    }

    /// Reads what follows the `=` as a value.
    ///
    /// # Errors
    /// What is wrong with it, and where in the session it stands.
    #[inline]
    pub fn read<T: Value<'s>>(&self) -> Result<T, TypedError> {
        self.read_from(self.value())
    }

    /// Reads `part`, which is a part of this line, as a value.
    #[inline]
    pub(crate) fn read_from<T: Value<'s>>(&self, part: &'s [u8]) -> Result<T, TypedError> {
        T::parse(part).map_err(|error| self.locate(part, error))
    }

    /// `part` runs to the end of the line.
    #[cold]
    pub(crate) fn locate(&self, part: &[u8], error: crate::ValueError) -> TypedError {
        let before = self.text.len().saturating_sub(part.len());
        TypedError { line: self.index + 1, column: before + error.at + 1, error }
    }
}

/// What stands before the first colon of an attribute, and what after it.
#[inline]
pub(crate) fn name_and_value(attribute: &[u8]) -> (&[u8], Option<&[u8]>) {
    match crate::grammar::colon(attribute).and_then(|at| attribute.split_at_checked(at)) {
        Some((name, rest)) => (name, rest.get(1..)),
        None => (attribute, None),
    }
}

/// The text, lossy where it is not UTF-8.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Lossy(self.text), f)
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({}, \"{}\", {:?})", self.index, self.text.escape_ascii(), self.ending)
    }
}

/// Bytes for people: what is not UTF-8 becomes U+FFFD.
pub(crate) struct Lossy<'s>(pub(crate) &'s [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            if chunk.invalid().is_empty() { Ok(()) } else { f.write_str("\u{fffd}") }
        })
    }
}
