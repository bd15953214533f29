//! One line of a description: its letter, its value, its ending and its position.
//!
//! The first two bytes alone decide the kind of a line. RFC 8866 §5 has one case-sensitive character, then `=`, without
//! a space on either side. A line of another form is kept as [`Kind::Stray`].
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

/// The kind of a line, given by its letter (RFC 8866 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `v=`, the version of the protocol.
    Version,
    /// `o=`, the origin: the author of the description.
    Origin,
    /// `s=`, the session's name.
    Name,
    /// `i=`, a line of text about the session or the media.
    Information,
    /// `u=`, a URI with more information.
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
    /// `z=`, time zone adjustments.
    Zone,
    /// `k=`, a key (obsolete, RFC 8866 §5.12).
    Key,
    /// `a=`, an attribute.
    Attribute,
    /// `m=`, the head of a media description.
    Media,
    /// Another letter, or any other byte before the `=`.
    Unknown(u8),
    /// A line without `x=`, or an empty line.
    Stray,
}

impl Kind {
    /// Returns the kind of a line from its text.
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

    /// Returns the letter; `None` for a stray line.
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

    /// Returns the section of RFC 8866 that describes lines of this kind.
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

/// Writes `v=` and so on; for a stray line `a line without "="`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.letter() {
            Some(letter @ 0x21..=0x7e) => write!(f, "{}=", char::from(letter)),
            Some(letter) => write!(f, "{letter:#04x}="),
            None => f.write_str("a line without \"=\""),
        }
    }
}

/// The ending of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ending {
    /// CR and LF, as RFC 8866 §5 writes it.
    #[default]
    CrLf,
    /// LF alone. RFC 8866 §5 recommends that parsers accept it.
    Lf,
    /// CR alone.
    Cr,
    /// No ending: the text ended.
    End,
}

impl Ending {
    /// Returns the bytes of the ending.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
            Self::Cr => b"\r",
            Self::End => b"",
        }
    }

    /// Returns the number of bytes, 0 to 2.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether this is [`Ending::End`].
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
    /// The offset of the first byte in the text that was read; none for a line that an edit wrote.
    pub(crate) offset: Option<usize>,
}

impl<'s> Line<'s> {
    /// Returns the kind of the line.
    #[must_use]
    #[inline]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the whole line, without its ending.
    #[must_use]
    #[inline]
    pub const fn text(&self) -> &'s [u8] {
        self.text
    }

    /// Returns the value after the `=`; of a stray line the whole text.
    #[must_use]
    #[inline]
    pub fn value(&self) -> &'s [u8] {
        if self.kind == Kind::Stray { self.text } else { self.text.get(2..).unwrap_or_default() }
    }

    /// Returns the ending.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        self.ending
    }

    /// Returns the index of the line in its session, counted from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Returns the position in the text that was read, without the ending; `None` for a line that an edit wrote.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.offset.map(|start| Span::new(start, start + self.text.len()))
    }

    /// Returns the name and the value of an attribute (RFC 8866 §5.13); `None` for another line. An attribute without
    /// `:` has no value.
    #[must_use]
    #[inline]
    pub fn attribute(&self) -> Option<(&'s [u8], Option<&'s [u8]>)> {
        if self.kind != Kind::Attribute {
            return None;
        }
        Some(name_and_value(self.value()))
    }

    /// Parses the text after the `=` as a value.
    ///
    /// # Errors
    /// [`TypedError`]: the value does not match its grammar. The error gives the line and the column.
    #[inline]
    pub fn read<T: Value<'s>>(&self) -> Result<T, TypedError> {
        self.read_from(self.value())
    }

    /// Parses `part`, a part of this line, as a value.
    #[inline]
    pub(crate) fn read_from<T: Value<'s>>(&self, part: &'s [u8]) -> Result<T, TypedError> {
        T::parse(part).map_err(|error| self.locate(part, error))
    }

    /// Returns the offset in the line; `part` runs to the end of the line.
    #[cold]
    pub(crate) fn locate(&self, part: &[u8], error: crate::ValueError) -> TypedError {
        let before = self.text.len().saturating_sub(part.len());
        TypedError { line: self.index + 1, column: before + error.at + 1, error }
    }
}

/// Splits an attribute at its first colon.
#[inline]
pub(crate) fn name_and_value(attribute: &[u8]) -> (&[u8], Option<&[u8]>) {
    match crate::grammar::colon(attribute).and_then(|at| attribute.split_at_checked(at)) {
        Some((name, rest)) => (name, rest.get(1..)),
        None => (attribute, None),
    }
}

/// Writes the text; bytes that are not UTF-8 are replaced by U+FFFD.
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

/// Displays bytes as text; bytes that are not UTF-8 become U+FFFD.
pub(crate) struct Lossy<'s>(pub(crate) &'s [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            if chunk.invalid().is_empty() { Ok(()) } else { f.write_str("\u{fffd}") }
        })
    }
}
