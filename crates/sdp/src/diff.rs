//! The differences in meaning between two descriptions.
//!
//! Rules of this file: media sections are matched by `mid`, and sections without one by their index. Values are
//! compared by meaning: letter case, spaces and the order of attributes count only where the RFC gives them a meaning.
//! The order of formats counts, because it is a preference. Neither description is validated; values that cannot be
//! parsed are compared as bytes. The cost is n · log n in the number of lines.
//!
//! ```
//! use portolan_sdp::{Session, diff::diff};
//!
//! let was = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=video 9 RTP/AVP 96\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\n")?;
//! let is = Session::read(
//!     b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=video 9 RTP/AVP 96 98\r\na=inactive\r\na=rtpmap:98 VP9/90000\r\na=rtpmap:96 vp8/90000\r\na=mid:v\r\n",
//! )?;
//! let changes: Vec<String> = diff(&was, &is).iter().map(ToString::to_string).collect();
//! assert_eq!(changes, [
//!     "session: version 1 → 2",
//!     "video (mid v): codec VP9 (98) added",
//!     "video (mid v): direction sendrecv → inactive",
//! ]);
//! assert_eq!(diff(&was, &was), []);
//! # Ok::<(), portolan_sdp::Diagnostic>(())
//! ```

mod codecs;
mod section;

use crate::attribute::{Direction, Mid, Rtpmap};
use crate::candidate::Candidate;
use crate::explain::{Plain, Text};
use crate::line::{Kind, Line};
use crate::media::Section;
use crate::session::Session;
use crate::value::MediaLine;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

/// One change, with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'s> {
    /// The place.
    pub place: Place<'s>,
    /// The kind of the change, with its details.
    pub kind: ChangeKind<'s>,
}

/// The place of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'s> {
    /// Before the first media section.
    Session,
    /// In a media section.
    Media {
        /// The index in the first description, counted from 0; `None`: the section was added.
        was: Option<usize>,
        /// The index in the second description, counted from 0; `None`: the section was removed.
        is: Option<usize>,
        /// The kind of media in the newer `m=` line, such as `video`; the raw bytes if the line cannot be parsed.
        media: &'s [u8],
        /// The `mid`.
        mid: Option<&'s str>,
    },
}

/// A format of a media section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec<'s> {
    /// The format in `m=`; for RTP a payload type.
    pub format: &'s str,
    /// The encoding, if it is known.
    pub map: Option<Rtpmap<'s>>,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind<'s> {
    /// `o=` has another session id or another author.
    NewSession,
    /// The version of the description in `o=`.
    Version {
        /// The version before.
        was: &'s str,
        /// The version now.
        is: &'s str,
    },
    /// The media section is new.
    MediaAdded,
    /// The media section is gone.
    MediaRemoved,
    /// The media section has another position.
    MediaMoved,
    /// The port of the media section is now 0.
    Refused,
    /// The port of the media section was 0.
    Revived,
    /// The port changed.
    Port {
        /// The port before.
        was: u16,
        /// The port now.
        is: u16,
    },
    /// The kind of media or the protocol of `m=` changed.
    MediaLine {
        /// The value before.
        was: MediaLine<'s>,
        /// The value now.
        is: MediaLine<'s>,
    },
    /// A format is new.
    CodecAdded(Codec<'s>),
    /// A format is gone.
    CodecRemoved(Codec<'s>),
    /// A codec has another payload type.
    CodecRenumbered {
        /// The payload type before.
        was: Codec<'s>,
        /// The payload type now.
        is: Codec<'s>,
    },
    /// The parameters of a format (`fmtp`) changed.
    CodecParameters {
        /// The format now.
        codec: Codec<'s>,
        /// The parameters before; `None`: there were none.
        was: Option<&'s [u8]>,
        /// The parameters now; `None`: there are none.
        is: Option<&'s [u8]>,
    },
    /// The order of preference of the formats in both descriptions changed.
    CodecsReordered {
        /// The most preferred format of both, as it is now.
        first: Codec<'s>,
    },
    /// The direction of the media changed.
    Direction {
        /// The direction before.
        was: Direction,
        /// The direction now.
        is: Direction,
    },
    /// User name fragment and password of ICE changed: an ICE restart (RFC 8839 §4.4.1.1.1).
    IceRestart {
        /// The user name fragment before.
        was: &'s [u8],
        /// The user name fragment now.
        is: &'s [u8],
    },
    /// A candidate is new.
    CandidateAdded(Candidate<&'s str>),
    /// A candidate is gone.
    CandidateRemoved(Candidate<&'s str>),
    /// A line is new.
    Added(Line<'s>),
    /// A line is gone.
    Removed(Line<'s>),
    /// A line that occurs once in both descriptions has another value.
    Changed {
        /// The line before.
        was: Line<'s>,
        /// The line now.
        is: Line<'s>,
    },
}

impl ChangeKind<'_> {
    /// Returns a short name for programs, which does not change between versions.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NewSession => "new-session",
            Self::Version { .. } => "version",
            Self::MediaAdded => "media-added",
            Self::MediaRemoved => "media-removed",
            Self::MediaMoved => "media-moved",
            Self::Refused => "refused",
            Self::Revived => "revived",
            Self::Port { .. } => "port",
            Self::MediaLine { .. } => "media-line",
            Self::CodecAdded(_) => "codec-added",
            Self::CodecRemoved(_) => "codec-removed",
            Self::CodecRenumbered { .. } => "codec-renumbered",
            Self::CodecParameters { .. } => "codec-parameters",
            Self::CodecsReordered { .. } => "codecs-reordered",
            Self::Direction { .. } => "direction",
            Self::IceRestart { .. } => "ice-restart",
            Self::CandidateAdded(_) => "candidate-added",
            Self::CandidateRemoved(_) => "candidate-removed",
            Self::Added(_) => "added",
            Self::Removed(_) => "removed",
            Self::Changed { .. } => "changed",
        }
    }
}

/// Returns the changes from one description to another: first those of the session, then those of each section.
#[must_use]
pub fn diff<'s>(was: &'s Session<'_>, is: &'s Session<'_>) -> Vec<Change<'s>> {
    let usual = |session: &Session<'_>| section::own_direction(&session.top()).unwrap_or_default();
    let mut changes = Changes { place: Place::Session, usual: (usual(was), usual(is)), list: Vec::new() };
    section::compare(&was.top(), &is.top(), &mut changes);
    let matching_sections = matching_sections(was, is);
    for section in is.all_media() {
        let index = section.media_index().unwrap_or_default();
        let before = matching_sections.get(&index).and_then(|index| was.media(*index));
        changes.place = place(&section, before.as_ref().and_then(Section::media_index), Some(index));
        let Some(before) = before else {
            changes.push(ChangeKind::MediaAdded);
            continue;
        };
        if before.media_index() != Some(index) {
            changes.push(ChangeKind::MediaMoved);
        }
        section::compare(&before, &section, &mut changes);
    }
    let matched: BTreeMap<usize, ()> = matching_sections.values().map(|index| (*index, ())).collect();
    for section in was.all_media() {
        let index = section.media_index().unwrap_or_default();
        if !matched.contains_key(&index) {
            changes.place = place(&section, Some(index), None);
            changes.push(ChangeKind::MediaRemoved);
        }
    }
    changes.list
}

/// Returns for each media section of the second description its index in the first.
fn matching_sections(was: &Session<'_>, is: &Session<'_>) -> BTreeMap<usize, usize> {
    // Several sections may share a `mid` by mistake; the first one is used.
    let mut named = BTreeMap::<&str, VecDeque<usize>>::new();
    for (index, section) in was.all_media().enumerate() {
        if let Some(mid) = mid(&section) {
            named.entry(mid).or_default().push_back(index);
        }
    }
    let mut matching_sections = BTreeMap::new();
    for (index, section) in is.all_media().enumerate() {
        let found = match mid(&section) {
            // A section with a new `mid` may replace a section without one.
            Some(mid) => {
                let same = named.get_mut(mid).and_then(VecDeque::pop_front);
                same.or_else(|| was.media(index).filter(|other| self::mid(other).is_none()).map(|_| index))
            }
            None => was.media(index).map(|_| index),
        };
        if let Some(found) = found {
            matching_sections.insert(index, found);
        }
    }
    // A section that was matched by index may also be matched by `mid`. The `mid` counts.
    let mut taken = BTreeMap::new();
    for (index, found) in &matching_sections {
        let by_name = is.media(*index).is_some_and(|section| mid(&section).is_some());
        match taken.get(found) {
            Some((_, true)) => {}
            _ => {
                taken.insert(*found, (*index, by_name));
            }
        }
    }
    matching_sections.retain(|index, found| taken.get(found).is_some_and(|(taken, _)| taken == index));
    matching_sections
}

fn mid<'s>(section: &Section<'s>) -> Option<&'s str> {
    section.first::<Mid<'s>>()?.ok().map(|mid| mid.0)
}

fn place<'s>(section: &Section<'s>, was: Option<usize>, is: Option<usize>) -> Place<'s> {
    let value = section.line(Kind::Media).map(|line| line.value()).unwrap_or_default();
    let media = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    Place::Media { was, is, media, mid: mid(section) }
}

/// The changes so far, and the place of the next ones.
struct Changes<'s> {
    place: Place<'s>,
    /// The default direction of the sections.
    usual: (Direction, Direction),
    list: Vec<Change<'s>>,
}

impl<'s> Changes<'s> {
    fn push(&mut self, kind: ChangeKind<'s>) {
        self.list.push(Change { place: self.place, kind });
    }
}

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Plain(f), "{}: {}", Shown(&self.place), Shown(&self.kind))
    }
}

/// Writes `session`, `video (mid 1)`, or without a `mid` `video (section 2)`, counted from 1.
impl fmt::Display for Shown<'_, Place<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Session => f.write_str("session"),
            Place::Media { media, mid: Some(mid), .. } => write!(f, "{} (mid {})", Text(media), Text(mid.as_bytes())),
            Place::Media { media, was, is, .. } => {
                write!(f, "{} (section {})", Text(media), is.or(*was).unwrap_or_default() + 1)
            }
        }
    }
}

/// Writes `VP9 (98)`, or `format 98` if the encoding is not known.
impl fmt::Display for Codec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.map.map(|map| map.encoding).or_else(|| crate::explain::static_format(self.format));
        match name {
            Some(name) => write!(f, "{name} ({})", self.format),
            None => write!(f, "format {}", self.format),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Plain(f), "{}", Shown(self))
    }
}

impl fmt::Display for ChangeKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Plain(f), "{}", Shown(self))
    }
}

/// Writes through [`Plain`], so that no control character of a peer reaches a terminal.
struct Shown<'c, T>(&'c T);

impl fmt::Display for Shown<'_, ChangeKind<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ChangeKind::NewSession => f.write_str("another session (o=)"),
            ChangeKind::Version { was, is } => write!(f, "version {} → {}", Text(was.as_bytes()), Text(is.as_bytes())),
            ChangeKind::MediaAdded => f.write_str("added"),
            ChangeKind::MediaRemoved => f.write_str("removed"),
            ChangeKind::MediaMoved => f.write_str("moved to another place"),
            ChangeKind::Refused => f.write_str("refused or ended (port 0)"),
            ChangeKind::Revived => f.write_str("taken up again (no longer port 0)"),
            ChangeKind::Port { was, is } => write!(f, "port {was} → {is}"),
            ChangeKind::MediaLine { was, is } => {
                write!(f, "{} {} → {} {}", was.media, was.protocol, is.media, is.protocol)
            }
            ChangeKind::CodecAdded(codec) => write!(f, "codec {codec} added"),
            ChangeKind::CodecRemoved(codec) => write!(f, "codec {codec} removed"),
            ChangeKind::CodecRenumbered { was, is } => write!(f, "codec {was} is {is} now"),
            ChangeKind::CodecParameters { codec, was, is } => {
                let none: &[u8] = b"none";
                write!(f, "parameters of {codec}: {} → {}", Text(was.unwrap_or(none)), Text(is.unwrap_or(none)))
            }
            ChangeKind::CodecsReordered { first } => write!(f, "codecs are preferred in another order, {first} first"),
            ChangeKind::Direction { was, is } => write!(f, "direction {was} → {is}"),
            ChangeKind::IceRestart { was, is } => {
                write!(f, "ICE restart: new user name {} → {} and a new password", Text(was), Text(is))
            }
            ChangeKind::CandidateAdded(candidate) => write!(f, "candidate added: {candidate}"),
            ChangeKind::CandidateRemoved(candidate) => write!(f, "candidate removed: {candidate}"),
            ChangeKind::Added(line) => write!(f, "{} added", Text(line.text())),
            ChangeKind::Removed(line) => write!(f, "{} removed", Text(line.text())),
            ChangeKind::Changed { was, is } => write!(f, "{} → {}", Text(was.text()), Text(is.text())),
        }
    }
}

#[cfg(test)]
mod tests;
