//! A section of a session: the lines before the first media description, or one media description (RFC 8866 §5.14).
//!
//! Typed values are parsed on demand and borrow from the session. An invalid value gives an error with its position;
//! the other values can still be read.
//!
//! ```
//! use portolan_sdp::{Session, value::{Bandwidth, BandwidthKind}};
//!
//! let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\nb=AS:64\r\na=rtcp-mux\r\n")?;
//! let audio = session.media(0).ok_or("it has one")?;
//! assert!(audio.has(b"rtcp-mux"));
//! let bandwidth: Bandwidth = audio.line(portolan_sdp::line::Kind::Bandwidth).ok_or("it has one")?.read()?;
//! assert_eq!((bandwidth.kind, bandwidth.amount), (BandwidthKind::As, 64));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! The getters that are named after an attribute return the effective value: they inherit from the session.
//!
//! ```
//! use portolan_sdp::{Session, attribute::{Direction, Setup}};
//!
//! let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=sendonly\r\na=setup:actpass\r\n\
//!     m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-mux\r\n")?;
//! let audio = session.media(0).ok_or("it has one")?;
//! assert_eq!((audio.direction()?, audio.setup()?), (Direction::SendOnly, Some(Setup::ActPass)));
//! let names = audio.codecs()?.map(|codec| Ok(codec?.rtpmap.map_or("", |map| map.encoding)));
//! assert_eq!(names.collect::<Result<Vec<_>, portolan_sdp::TypedError>>()?, ["opus", "PCMU"]);
//! assert!(audio.rtcp_mux()? && audio.mid()? == Some("0"));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod view;

pub use view::{IceCredentials, PayloadFormat};

use crate::error::TypedError;
use crate::line::{Kind, Line};
use crate::session::{Lines, Session};
use crate::value::AttributeValue;
use core::fmt;
use core::ops::Range;

/// The lines of a session before its first media description, or those of one media description.
#[derive(Clone)]
pub struct Section<'s> {
    session: &'s Session<'s>,
    range: Range<usize>,
    media: Option<usize>,
}

impl<'s> Section<'s> {
    pub(crate) const fn new(session: &'s Session<'s>, range: Range<usize>, media: Option<usize>) -> Self {
        Self { session, range, media }
    }

    /// Returns the index of the media section, counted from 0; `None` for the session's own lines.
    #[must_use]
    pub const fn media_index(&self) -> Option<usize> {
        self.media
    }

    /// Returns the indices of the lines in the session, counted from 0.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Returns the session that this section is a part of.
    #[must_use]
    pub const fn session(&self) -> &'s Session<'s> {
        self.session
    }

    /// Returns the lines in order. The first line of a media section is its `m=`.
    #[inline]
    pub fn lines(&self) -> Lines<'s> {
        self.session.lines_in(self.range.clone())
    }

    /// Returns the first line of a kind.
    #[must_use]
    pub fn line(&self, kind: Kind) -> Option<Line<'s>> {
        self.lines().find(|line| line.kind() == kind)
    }

    /// Returns all lines of a kind.
    pub fn lines_of(&self, kind: Kind) -> impl Iterator<Item = Line<'s>> + use<'s> {
        self.lines().filter(move |line| line.kind() == kind)
    }

    /// Returns the first attribute with a name; names are case-sensitive (RFC 8866 §5.13).
    #[must_use]
    pub fn attribute(&self, name: &[u8]) -> Option<Line<'s>> {
        self.lines().find(|line| named(line, name).is_some())
    }

    /// Returns whether the section has an attribute with this name, with or without a value.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.attribute(name).is_some()
    }

    /// Parses the first attribute of a type; `None` if the section has no attribute with its name.
    ///
    /// # Errors
    /// [`TypedError`]: the value does not match its grammar. The error gives the line and the
    /// column.
    pub fn first<T: AttributeValue<'s>>(&self) -> Option<Result<T, TypedError>> {
        self.all().next()
    }

    /// Parses all attributes of a type.
    pub fn all<T: AttributeValue<'s>>(&self) -> impl Iterator<Item = Result<T, TypedError>> + use<'s, T> {
        self.lines().filter_map(|line| named(&line, T::NAME.as_bytes()).map(|value| line.read_from(value)))
    }
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines()).finish()
    }
}

/// Returns the value of an attribute with this name; empty for an attribute without a value.
#[inline]
fn named<'s>(line: &Line<'s>, name: &[u8]) -> Option<&'s [u8]> {
    if line.kind() != Kind::Attribute {
        return None;
    }
    match line.value().strip_prefix(name)? {
        [] => Some(&[]),
        [b':', value @ ..] => Some(value),
        _ => None,
    }
}
