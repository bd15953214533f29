//! Explains a description line by line: the meaning in plain words, the section of the RFC, and the error of an invalid
//! line.
//!
//! Rules of this file: each line of any session has one item. The errors are those of parsing the value. An item needs
//! bounded space and time, independent of the session. The texts are in `explain/`: `line.rs` for lines, `attribute.rs`
//! and `media.rs` for attributes, `print.rs` for the output of an item.
//!
//! ```
//! use portolan_sdp::{Session, explain::explain};
//!
//! let session = Session::read(
//!     b"v=0\r\no=- 7 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=ptime:20x\r\n",
//! )?;
//! let items: Vec<_> = explain(&session).collect();
//! assert_eq!(items[5].meaning().to_string(), "payload type 111 is opus at 48 kHz, 2 channels");
//! assert_eq!(items[5].clause().to_string(), "RFC 8866 §6.6");
//! assert_eq!(items[4].to_string(), "   5  m=audio 9 UDP/TLS/RTP/SAVPF 111
//!       audio in RTP with feedback, encrypted by SRTP with keys from DTLS, its port is signalled elsewhere; format 111 (opus) (RFC 8866 §5.14)");
//! # Ok::<(), portolan_sdp::Diagnostic>(())
//! ```

mod attribute;
mod line;
mod media;
mod print;

pub(crate) use line::static_format;
pub(crate) use print::{Plain, Text};

use crate::attribute::{Attribute, Rtpmap};
use crate::error::{Citation, TypedError};
use crate::line::{Kind, Line};
use crate::session::{Lines, Session};
use crate::value::{Bandwidth, Connection, Email, Key, MediaLine, Origin, Phone, Repeat, Timing, Uri, Version, Zone};
use core::fmt;

/// Explains a session line by line.
#[must_use]
pub fn explain<'s>(session: &'s Session<'s>) -> Explanation<'s> {
    Explanation { session, lines: session.lines(), sections: 0, next_head: 0, codecs: [NONE; 128] }
}

/// An iterator over the items of a session, one for each line in order; made by [`explain`].
#[derive(Clone)]
pub struct Explanation<'s> {
    session: &'s Session<'s>,
    lines: Lines<'s>,
    /// The number of media sections that have begun.
    sections: usize,
    /// The line at which the next section begins.
    next_head: usize,
    /// For each payload type the line of its `a=rtpmap` in the section, or [`NONE`].
    codecs: [u32; 128],
}

/// No line.
const NONE: u32 = u32::MAX;

impl fmt::Debug for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation").field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// One line with its explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'s> {
    /// The line.
    pub line: Line<'s>,
    /// The index of the media section, counted from 0; `None` before the first section.
    pub media: Option<usize>,
    /// The parsed value, or its error.
    pub value: Result<LineValue<'s>, TypedError>,
    session: &'s Session<'s>,
    /// The encoding of the payload type that the line refers to.
    codec: Option<Rtpmap<'s>>,
}

/// The parsed value of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineValue<'s> {
    /// `v=`.
    Version(Version),
    /// `o=`.
    Origin(Origin<'s>),
    /// `c=`.
    Connection(Connection<'s>),
    /// `b=`.
    Bandwidth(Bandwidth<'s>),
    /// `t=`.
    Time(Timing),
    /// `u=`.
    Uri(Uri<'s>),
    /// `e=`.
    Email(Email<'s>),
    /// `p=`.
    Phone(Phone<'s>),
    /// `r=`.
    Repeat(Repeat<'s>),
    /// `z=`.
    Zone(Zone<'s>),
    /// `k=`.
    Key(Key<'s>),
    /// `m=`.
    Media(MediaLine<'s>),
    /// `a=`.
    Attribute(Attribute<'s>),
    /// The text after the `=` of a line of another kind, or the whole text of a stray line.
    Text(&'s [u8]),
}

impl<'s> Iterator for Explanation<'s> {
    type Item = Item<'s>;

    fn next(&mut self) -> Option<Item<'s>> {
        let line = self.lines.next()?;
        if line.index() == self.next_head || line.kind() == Kind::Media {
            self.enter(&line);
        }
        let value = parse_line(line);
        let codec = value.ok().and_then(|value| self.codec(&value));
        Some(Item { line, media: self.sections.checked_sub(1), value, session: self.session, codec })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lines.size_hint()
    }
}

impl ExactSizeIterator for Explanation<'_> {}

impl<'s> Explanation<'s> {
    /// Begins a section: finds its `a=rtpmap` lines once.
    fn enter(&mut self, line: &Line<'s>) {
        let section = if line.kind() == Kind::Media {
            self.sections += 1;
            self.session.media(self.sections - 1)
        } else {
            Some(self.session.top())
        };
        self.next_head = NONE as usize;
        self.codecs = [NONE; 128];
        let lines = section.into_iter().flat_map(|section| section.lines());
        for line in lines {
            if let Some(Ok(Attribute::Rtpmap(map))) = is_rtpmap(&line).then(|| line.typed()).flatten()
                && let Some(slot) = self.codecs.get_mut(usize::from(map.payload_type))
                && *slot == NONE
            {
                *slot = u32::try_from(line.index()).unwrap_or(NONE);
            }
        }
    }

    /// Returns the encoding of the payload type that a line refers to.
    fn codec(&self, value: &LineValue<'s>) -> Option<Rtpmap<'s>> {
        let LineValue::Attribute(attribute) = value else { return None };
        let index = *self.codecs.get(usize::from(attribute::payload_type(attribute)?))?;
        match self.session.line(index as usize)?.typed()? {
            Ok(Attribute::Rtpmap(map)) => Some(map),
            Ok(_) | Err(_) => None,
        }
    }
}

fn is_rtpmap(line: &Line<'_>) -> bool {
    line.kind() == Kind::Attribute && line.value().starts_with(b"rtpmap:")
}

fn parse_line(line: Line<'_>) -> Result<LineValue<'_>, TypedError> {
    Ok(match line.kind() {
        Kind::Version => LineValue::Version(line.read()?),
        Kind::Origin => LineValue::Origin(line.read()?),
        Kind::Connection => LineValue::Connection(line.read()?),
        Kind::Bandwidth => LineValue::Bandwidth(line.read()?),
        Kind::Time => LineValue::Time(line.read()?),
        Kind::Media => LineValue::Media(line.read()?),
        Kind::Attribute => match line.typed() {
            Some(typed) => LineValue::Attribute(typed?),
            None => LineValue::Text(line.value()),
        },
        Kind::Uri => LineValue::Uri(line.read()?),
        Kind::Email => LineValue::Email(line.read()?),
        Kind::Phone => LineValue::Phone(line.read()?),
        Kind::Repeat => LineValue::Repeat(line.read()?),
        Kind::Zone => LineValue::Zone(line.read()?),
        Kind::Key => LineValue::Key(line.read()?),
        Kind::Name | Kind::Information | Kind::Unknown(_) | Kind::Stray => LineValue::Text(line.value()),
    })
}

impl<'s> Item<'s> {
    /// Returns the meaning of the line in plain words, without a full stop. The text is one line for any input.
    #[must_use]
    pub const fn meaning(&self) -> Meaning<'_, 's> {
        Meaning(self)
    }

    /// Returns the section of the RFC that defines the line.
    #[must_use]
    pub fn clause(&self) -> Citation {
        match self.value {
            Ok(LineValue::Attribute(attribute)) => attribute.clause().unwrap_or(Kind::Attribute.clause()),
            Ok(_) => self.line.kind().clause(),
            Err(error) => error.error.clause,
        }
    }
}

/// The meaning of a line in plain words; made by [`Item::meaning`].
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'i, 's>(&'i Item<'s>);

#[cfg(test)]
mod tests;
