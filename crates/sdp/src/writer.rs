//! Builders of descriptions.
//!
//! Rules of this file: a strict reader accepts the result of a builder, and parses each typed value in it as the
//! value that was given. No value is dropped or repaired silently. Lines are put into the order of RFC 8866 §9,
//! independent of the order of the calls. The order of the calls is kept among lines of one kind, and among all of
//! `t=`, `r=` and `z=`. An error gives the number that the line would have had.
//!
//! ```
//! use portolan_sdp::attribute::{Attribute, Direction, Mid};
//! use portolan_sdp::value::{Address, Connection, MediaLine, Origin};
//! use portolan_sdp::{MediaBuilder, SessionBuilder, Value};
//!
//! let session = SessionBuilder::new(&Origin::parse(b"- 4962303333179871722 1 IN IP4 0.0.0.0")?)
//!     .attribute(Attribute::Other { name: b"x-made-by", value: Some(b"hand") })
//!     .media(
//!         MediaBuilder::new(&MediaLine::parse(b"audio 9 UDP/TLS/RTP/SAVPF 111")?)
//!             .attribute(Mid::parse(b"0")?)
//!             .attribute(Direction::SendRecv)
//!             .attribute(Attribute::RtcpMux)
//!             .connection(&Connection::parse(b"IN IP4 0.0.0.0")?),
//!     )
//!     .build()?;
//! assert_eq!(
//!     session.to_string(),
//!     "v=0\r\no=- 4962303333179871722 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=x-made-by:hand\r\n\
//!      m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
//! );
//!
//! let origin = Origin::parse(b"- 1 1 IN IP4 192.0.2.1")?;
//! let refused = SessionBuilder::new(&origin).name("two\r\nlines").build().unwrap_err();
//! assert_eq!(refused.to_string(), "line 3, column 6: byte 0x0d would break the line (RFC 8866 §9)");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::attribute::Attribute;
use crate::diagnostic::Diagnostic;
use crate::error::{TypedError, ValueError};
use crate::line::{Ending, Kind, name_and_value};
use crate::reader::{Limits, Reader, rank};
use crate::session::{EditError, Session, first_forbidden_byte};
use crate::value::{Bandwidth, Connection, MediaLine, Origin, Repeat, Timing, Value, Version, Zone};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ops::Range;

/// Builds a session from its lines and its media sections.
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct SessionBuilder {
    top: Part,
    media: Vec<MediaBuilder>,
}

/// Builds one media section.
#[derive(Clone, Debug)]
#[must_use = "a media section is for a session: `SessionBuilder::media`, `Session::insert_media`"]
pub struct MediaBuilder {
    part: Part,
}

/// Why a builder failed. Lines and columns count from 1 in the text that would have been written. For a media section
/// that is inserted into a session, its `m=` is line 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value holds CR, LF or NUL (RFC 8866 §9, `byte-string`).
    #[error("line {line}, column {column}: byte {byte:#04x} would break the line (RFC 8866 §9)")]
    ForbiddenByte {
        /// The line.
        line: usize,
        /// The byte in the line.
        column: usize,
        /// 0x00, 0x0A or 0x0D.
        byte: u8,
    },
    /// The text that a typed value wrote does not match its grammar.
    #[error(transparent)]
    Value(#[from] TypedError),
    /// The text that a typed value wrote is read back as another value. Values with bytes that are not UTF-8 have this
    /// error; such bytes can be added as a raw line.
    #[error("line {line}: {kind} would be read as another value than the one given")]
    Mismatch {
        /// The line.
        line: usize,
        /// Its kind.
        kind: Kind,
    },
    /// A line of this kind cannot be added as a raw line: the kind has no letter, or it is an `m=`, which begins a
    /// [`MediaBuilder`].
    #[error("line {line}: {kind} cannot be added as a line")]
    Kind {
        /// The line.
        line: usize,
        /// Its kind.
        kind: Kind,
    },
    /// A strict reader would refuse the description.
    #[error(transparent)]
    Refused(#[from] Diagnostic),
    /// The session into which the part was to be inserted refuses it.
    #[error(transparent)]
    Edit(#[from] EditError),
}

/// The methods that a session and a media section share.
macro_rules! shared {
    ($($field:ident).+) => {
        /// Adds `i=`: a text about it for users (RFC 8866 §5.4).
        pub fn information(self, text: impl AsRef<[u8]>) -> Self {
            self.line(Kind::Information, text)
        }

        /// Adds `c=`: the address to which media is sent (RFC 8866 §5.7).
        pub fn connection(mut self, connection: &Connection<'_>) -> Self {
            self.$($field).+.value(Kind::Connection, connection, |text| Ok(Connection::parse(text)? == *connection));
            self
        }

        /// Adds `b=`: the bandwidth (RFC 8866 §5.8).
        pub fn bandwidth(mut self, bandwidth: &Bandwidth<'_>) -> Self {
            self.$($field).+.value(Kind::Bandwidth, bandwidth, |text| Ok(Bandwidth::parse(text)? == *bandwidth));
            self
        }

        /// Adds `a=`: a typed attribute, or any other one with [`Attribute::Other`], whose bytes are taken unchanged.
        pub fn attribute<'v>(mut self, attribute: impl Into<Attribute<'v>>) -> Self {
            self.$($field).+.attribute(&attribute.into());
            self
        }

        /// Adds attributes in order.
        pub fn attributes<'v, A: Into<Attribute<'v>>>(self, attributes: impl IntoIterator<Item = A>) -> Self {
            attributes.into_iter().fold(self, Self::attribute)
        }

        /// Adds a line of any kind but `m=` from its bytes. A strict reader must accept the line.
        pub fn line(mut self, kind: Kind, value: impl AsRef<[u8]>) -> Self {
            // `Kind::Other` may hold a letter that RFC 8866 defines.
            let kind = kind.letter().map_or(kind, |letter| Kind::of(&[letter, b'=']));
            let fault = if kind == Kind::Media { Some(Fault::Kind) } else { None };
            self.$($field).+.push(kind, value.as_ref(), fault);
            self
        }
    };
}

impl SessionBuilder {
    /// Begins with `v=0` and `o=`. By default the session is named `-` and does not end (`t=0 0`).
    pub fn new(origin: &Origin<'_>) -> Self {
        let mut top = Part::default();
        top.value(Kind::Version, &Version, |_| Ok(true));
        top.value(Kind::Origin, origin, |text| Ok(Origin::parse(text)? == *origin));
        Self { top, media: Vec::new() }
    }

    /// Adds `s=`: the session's name (RFC 8866 §5.3).
    pub fn name(self, name: impl AsRef<[u8]>) -> Self {
        self.line(Kind::Name, name)
    }

    /// Adds `u=`: a URI with more information (RFC 8866 §5.5).
    pub fn uri(self, uri: impl AsRef<[u8]>) -> Self {
        self.line(Kind::Uri, uri)
    }

    /// Adds `e=`: an email address (RFC 8866 §5.6).
    pub fn email(self, email: impl AsRef<[u8]>) -> Self {
        self.line(Kind::Email, email)
    }

    /// Adds `p=`: a phone number (RFC 8866 §5.6).
    pub fn phone(self, phone: impl AsRef<[u8]>) -> Self {
        self.line(Kind::Phone, phone)
    }

    /// Adds `t=`: the start and stop time (RFC 8866 §5.9). Its `r=` and `z=` are added after it.
    pub fn time(mut self, timing: &Timing) -> Self {
        self.top.value(Kind::Time, timing, |text| Ok(Timing::parse(text)? == *timing));
        self
    }

    /// Adds `r=`: how often the last added time repeats (RFC 8866 §5.10).
    pub fn repeat(mut self, repeat: &Repeat<'_>) -> Self {
        self.top.value(Kind::Repeat, repeat, |text| Ok(Repeat::parse(text)? == *repeat));
        self
    }

    /// Adds `z=`: the time zone adjustments for the last added repetitions (RFC 8866 §5.11).
    pub fn zone(mut self, zone: &Zone<'_>) -> Self {
        self.top.value(Kind::Zone, zone, |text| Ok(Zone::parse(text)? == *zone));
        self
    }

    shared!(top);

    /// Adds a media section after those already added.
    pub fn media(mut self, media: MediaBuilder) -> Self {
        self.media.push(media);
        self
    }

    /// Builds the session.
    ///
    /// # Errors
    /// The error of the first line, in the order of the description, that cannot be written:
    /// * [`BuildError::ForbiddenByte`]: a value holds CR, LF or NUL.
    /// * [`BuildError::Value`]: the text of a typed value does not match its grammar.
    /// * [`BuildError::Mismatch`]: the text of a typed value is read back as another value.
    /// * [`BuildError::Kind`]: a raw line has a kind that cannot be added.
    /// * [`BuildError::Refused`]: a strict reader refuses the description.
    pub fn build(mut self) -> Result<Session<'static>, BuildError> {
        for (kind, usual) in [(Kind::Name, "-"), (Kind::Time, "0 0")] {
            if !self.top.has(kind) {
                self.top.push(kind, usual.as_bytes(), None);
            }
        }
        let (mut text, mut line) = (Vec::with_capacity(self.length()), 0);
        self.top.write(&mut text, &mut line)?;
        for media in &mut self.media {
            media.part.write(&mut text, &mut line)?;
        }
        let session = Reader::strict().with_limits(WRITTEN).read(&text)?.session;
        let (lines, heads) = (session.lines, session.heads);
        Ok(Session::of(Cow::Owned(text), lines, heads))
    }

    fn length(&self) -> usize {
        self.media.iter().map(|media| media.part.length()).sum::<usize>() + self.top.length()
    }
}

impl MediaBuilder {
    /// Begins with `m=` (RFC 8866 §5.14).
    pub fn new(head: &MediaLine<'_>) -> Self {
        let mut part = Part::default();
        part.value(Kind::Media, head, |text| Ok(MediaLine::parse(text)? == *head));
        Self { part }
    }

    shared!(part);
}

impl Session<'_> {
    /// Inserts a media section before section `index`, or at the end if `index` is the number of sections.
    ///
    /// # Errors
    /// The errors of [`SessionBuilder::build`] for a line that cannot be written; [`BuildError::Edit`] if `index` is
    /// past the end. The session is then unchanged.
    pub fn insert_media(&mut self, index: usize, mut media: MediaBuilder) -> Result<(), BuildError> {
        let mut text = Vec::with_capacity(media.part.length());
        media.part.write(&mut text, &mut 0)?;
        let read = Reader::strict().with_limits(WRITTEN).read_fragment(&text)?.session;
        let lines = read.lines().filter_map(|line| line.kind().letter().map(|letter| (letter, line.value())));
        Ok(self.splice(index, lines)?)
    }

    /// Inserts a new attribute before line `index`, like [`Session::insert`].
    ///
    /// # Errors
    /// The errors of [`SessionBuilder::build`] for an attribute that cannot be written; [`BuildError::Edit`] if `index`
    /// is past the end. The session is then unchanged.
    pub fn insert_attribute<'v>(&mut self, index: usize, new: impl Into<Attribute<'v>>) -> Result<(), BuildError> {
        let value = attribute_text(&new.into(), index)?;
        Ok(self.insert(index, Kind::Attribute, &value)?)
    }

    /// Replaces an attribute; the line keeps its ending.
    ///
    /// # Errors
    /// The errors of [`SessionBuilder::build`] for an attribute that cannot be written; [`BuildError::Edit`] if the
    /// line does not exist; [`BuildError::Kind`] if the line is no attribute. The session is then unchanged.
    pub fn set_attribute<'v>(&mut self, index: usize, new: impl Into<Attribute<'v>>) -> Result<(), BuildError> {
        if let Some(line) = self.line(index).filter(|line| line.kind() != Kind::Attribute) {
            return Err(BuildError::Kind { line: index + 1, kind: line.kind() });
        }
        let value = attribute_text(&new.into(), index)?;
        Ok(self.set_value(index, &value)?)
    }
}

/// Writes an attribute and applies the checks of a builder.
fn attribute_text(attribute: &Attribute<'_>, index: usize) -> Result<Vec<u8>, BuildError> {
    let mut part = Part::default();
    part.attribute(attribute);
    let mut text = Vec::with_capacity(part.length());
    part.write(&mut text, &mut index.clone())?;
    let read = Reader::strict().with_limits(WRITTEN).read_fragment(&text);
    read.map_err(|refused| Diagnostic { line: index + refused.line, ..refused })?;
    Ok(part.text)
}

/// Lines in the order of the calls.
#[derive(Clone, Debug, Default)]
struct Part {
    /// The values, one after another.
    text: Vec<u8>,
    drafts: Vec<Draft>,
}

#[derive(Clone, Debug)]
struct Draft {
    kind: Kind,
    /// The range in [`Part::text`].
    value: Range<usize>,
    fault: Option<Fault>,
}

/// An error that is known before the line has its number.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The kind cannot be added as a raw line.
    Kind,
    /// The value does not match the grammar, at this many bytes from the start of the line's value.
    Value {
        error: ValueError,
        from: usize,
    },
    Mismatch,
}

impl Part {
    fn push(&mut self, kind: Kind, value: &[u8], fault: Option<Fault>) {
        let start = self.text.len();
        self.text.extend_from_slice(value);
        self.drafts.push(Draft { kind, value: start..self.text.len(), fault });
    }

    /// Writes a typed value and reads it back.
    fn value(&mut self, kind: Kind, value: &dyn fmt::Display, is_same: impl FnOnce(&[u8]) -> Result<bool, ValueError>) {
        let start = self.text.len();
        let written = write!(Text(&mut self.text), "{value}");
        let fault = match is_same(self.text.get(start..).unwrap_or_default()) {
            Ok(true) if written.is_ok() => None,
            Ok(_) => Some(Fault::Mismatch),
            Err(error) => Some(Fault::Value { error, from: 0 }),
        };
        self.drafts.push(Draft { kind, value: start..self.text.len(), fault });
    }

    fn attribute(&mut self, attribute: &Attribute<'_>) {
        let start = self.text.len();
        let fault = if let Attribute::Other { name, value } = attribute {
            self.text.extend_from_slice(name);
            if let Some(value) = value {
                self.text.push(b':');
                self.text.extend_from_slice(value);
            }
            // A reader ends the name at the first colon.
            name.contains(&b':').then_some(Fault::Mismatch)
        } else {
            let written = write!(Text(&mut self.text), "{attribute}");
            let text = self.text.get(start..).unwrap_or_default();
            let (name, value) = name_and_value(text);
            match Attribute::parse(name, value) {
                Ok(read) if read == *attribute && written.is_ok() => None,
                Ok(_) => Some(Fault::Mismatch),
                Err(error) => Some(Fault::Value { error, from: text.len() - value.map_or(0, <[u8]>::len) }),
            }
        };
        self.drafts.push(Draft { kind: Kind::Attribute, value: start..self.text.len(), fault });
    }

    fn has(&self, kind: Kind) -> bool {
        self.drafts.iter().any(|draft| draft.kind == kind)
    }

    /// The length with letters and endings.
    const fn length(&self) -> usize {
        self.text.len() + 4 * self.drafts.len()
    }

    /// Appends the lines in their order; `line` is the number of the last line before them.
    fn write(&mut self, out: &mut Vec<u8>, line: &mut usize) -> Result<(), BuildError> {
        self.drafts.sort_by_key(|draft| place(draft.kind));
        for draft in &self.drafts {
            *line += 1;
            let value = self.text.get(draft.value.clone()).unwrap_or_default();
            if let Some(error) = draft.error(*line, value) {
                return Err(error);
            }
            out.extend(draft.kind.letter());
            out.push(b'=');
            out.extend_from_slice(value);
            out.extend_from_slice(Ending::CrLf.as_bytes());
        }
        Ok(())
    }
}

impl Draft {
    /// A byte that breaks the line is reported first: it also explains why a value differs or cannot be read.
    fn error(&self, line: usize, value: &[u8]) -> Option<BuildError> {
        let kind = self.kind;
        if let Some((at, byte)) = first_forbidden_byte(value) {
            return Some(BuildError::ForbiddenByte { line, column: at + 3, byte });
        }
        if let None | Some(b'\r' | b'\n' | 0) = kind.letter() {
            return Some(BuildError::Kind { line, kind });
        }
        Some(match self.fault? {
            Fault::Kind => BuildError::Kind { line, kind },
            Fault::Value { error, from } => TypedError { line, column: from + error.at + 3, error }.into(),
            Fault::Mismatch => BuildError::Mismatch { line, kind },
        })
    }
}

/// The order of lines in a part. Each `t=` may be followed by its own lines. Lines without a place come last, where the
/// reader refuses them.
const fn place(kind: Kind) -> u8 {
    if matches!(kind, Kind::Repeat | Kind::Zone) {
        rank(Kind::Time)
    } else if matches!(kind, Kind::Unknown(_) | Kind::Stray) {
        u8::MAX
    } else {
        rank(kind)
    }
}

/// Saturates: only a text that no session can hold is larger.
pub(crate) const WRITTEN: Limits =
    Limits { bytes: usize::MAX, lines: usize::MAX, attributes: usize::MAX, media: usize::MAX, diagnostics: 0 };

/// Writes `Display` output into bytes.
struct Text<'v>(&'v mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
