//! The lossless tree: all lines of a description, in their order and with their bytes.
//!
//! Rules of this file: a line is a record of 12 bytes. The record points to the text that was read or to the text that
//! edits added. Only an edited line is copied. Writing copies runs of unedited lines at once. Reading the written text
//! again gives the same lines.
//!
//! ```
//! use portolan_sdp::Session;
//!
//! let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns= \r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n";
//! let mut session = Session::read(text)?;
//! assert_eq!(session.to_bytes(), text);
//!
//! let mid = session.media(0).and_then(|media| media.attribute(b"mid")).ok_or("it has one")?.index();
//! session.set_value(mid, b"mid:audio")?;
//! assert!(session.to_bytes().ends_with(b"RTP/AVP 0\r\na=mid:audio\r\n"));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod edit;

pub use edit::EditError;
pub(crate) use edit::first_forbidden_byte;

use crate::diagnostic::Diagnostic;
use crate::line::{Ending, Kind, Line, Lossy};
use crate::media::Section;
use crate::reader::Reader;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// A session description: its own lines, and its media sections.
///
/// Two sessions are equal when they write the same bytes.
#[derive(Clone, Default)]
pub struct Session<'a> {
    pub(crate) read: Cow<'a, [u8]>,
    /// The texts of the lines that edits wrote, one after another.
    pub(crate) added: Vec<u8>,
    pub(crate) lines: Vec<Record>,
    /// The indices of the `m=` lines.
    pub(crate) heads: Vec<u32>,
    /// The number of bytes of `added` that no line uses any more.
    unused: usize,
    is_edited: bool,
}

/// Where the text of a line is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) start: u32,
    /// The length without the ending.
    pub(crate) length: u32,
    pub(crate) kind: Kind,
    pub(crate) ending: Ending,
    pub(crate) place: Place,
}

const _: () = assert!(size_of::<Record>() == 12, "a line costs 12 bytes");

/// Which buffer holds the bytes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The text that was read; the ending follows the line there.
    Read,
    /// The text that was read, but the line now has another ending.
    ReadWithNewEnding,
    /// The text that edits added, without the ending.
    Added,
}

impl<'a> Session<'a> {
    /// Reads a description as deployed endpoints write it. Deviations are not reported; a [`Reader`] reports them.
    ///
    /// # Errors
    /// The [`Diagnostic`] of an exceeded default limit, or of a text without any line of a
    /// description.
    pub fn read(text: &'a [u8]) -> Result<Self, Diagnostic> {
        Reader::lenient().read(text).map(|reading| reading.session)
    }

    /// Returns the number of lines.
    #[must_use]
    pub const fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Returns the line with an index, counted from 0.
    #[must_use]
    #[inline]
    pub fn line(&self, index: usize) -> Option<Line<'_>> {
        self.lines.get(index).map(|record| self.view(index, record))
    }

    /// Returns all lines, including those of the media sections.
    #[inline]
    pub fn lines(&self) -> Lines<'_> {
        self.lines_in(0..self.lines.len())
    }

    /// Returns the lines before the first media section.
    #[must_use]
    #[inline]
    pub fn top(&self) -> Section<'_> {
        Section::new(self, 0..self.head(0), None)
    }

    /// Returns the number of media sections.
    #[must_use]
    pub const fn media_count(&self) -> usize {
        self.heads.len()
    }

    /// Returns the media section with an index, counted from 0.
    #[must_use]
    #[inline]
    pub fn media(&self, index: usize) -> Option<Section<'_>> {
        let start = *self.heads.get(index)?;
        Some(Section::new(self, start as usize..self.head(index + 1), Some(index)))
    }

    /// Returns the media sections in order.
    pub fn all_media(&self) -> impl DoubleEndedIterator<Item = Section<'_>> + ExactSizeIterator + '_ {
        (0..self.heads.len()).map(|index| {
            let start = self.head(index);
            Section::new(self, start..self.head(index + 1), Some(index))
        })
    }

    /// Returns the text that was read. The spans of lines and diagnostics refer to it.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.read
    }

    /// Returns whether a line was changed, added or removed since the session was read.
    #[must_use]
    pub const fn is_edited(&self) -> bool {
        self.is_edited
    }

    /// Returns a session that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Session<'static> {
        let Self { read, added, lines, heads, unused, is_edited } = self;
        Session { read: Cow::Owned(read.into_owned()), added, lines, heads, unused, is_edited }
    }

    /// Makes a session from a text and the records of its lines.
    pub(crate) const fn of(read: Cow<'a, [u8]>, lines: Vec<Record>, heads: Vec<u32>) -> Self {
        Self { read, added: Vec::new(), lines, heads, unused: 0, is_edited: false }
    }

    /// Returns the description as bytes. Without an edit these are the bytes that were read. Makes one allocation.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out
    }

    /// Appends the description, with at most one allocation.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if !self.is_edited {
            out.extend_from_slice(&self.read);
            return;
        }
        out.reserve(self.lines.iter().map(Record::full_length).sum());
        // Consecutive unedited lines are copied at once.
        let mut run: Range<usize> = 0..0;
        for record in &self.lines {
            if record.place != Place::Read {
                out.extend_from_slice(self.read.get(run).unwrap_or_default());
                run = 0..0;
                out.extend_from_slice(self.text_of(record));
                out.extend_from_slice(record.ending.as_bytes());
                continue;
            }
            let start = record.start as usize;
            if run.end != start {
                out.extend_from_slice(self.read.get(run).unwrap_or_default());
                run = start..start;
            }
            run.end = start + record.full_length();
        }
        out.extend_from_slice(self.read.get(run).unwrap_or_default());
    }

    /// Returns the index of the first line of a media section, or the number of lines past the last section.
    fn head(&self, index: usize) -> usize {
        self.heads.get(index).map_or(self.lines.len(), |start| *start as usize)
    }

    pub(crate) fn lines_in(&self, range: Range<usize>) -> Lines<'_> {
        let records = self.lines.get(range.clone()).unwrap_or_default();
        Lines { session: self, index: range.start, records: records.iter() }
    }

    #[inline]
    fn view(&self, index: usize, record: &Record) -> Line<'_> {
        Line {
            text: self.text_of(record),
            kind: record.kind,
            ending: record.ending,
            index,
            offset: if record.place == Place::Added { None } else { Some(record.start as usize) },
        }
    }

    #[inline]
    fn text_of(&self, record: &Record) -> &[u8] {
        let start = record.start as usize;
        let source = if record.place == Place::Added { &*self.added } else { &*self.read };
        source.get(start..start + record.length as usize).unwrap_or_default()
    }
}

impl Record {
    const fn full_length(&self) -> usize {
        self.length as usize + self.ending.len()
    }
}

/// Writes the text; bytes that are not UTF-8 are replaced by U+FFFD.
impl fmt::Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            write!(f, "{}", Lossy(line.text()))?;
            // An ending is ASCII.
            write!(f, "{}", Lossy(line.ending().as_bytes()))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines()).finish()
    }
}

impl PartialEq for Session<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.is_edited, other.is_edited) {
            (false, false) => self.read == other.read,
            _ => self.to_bytes() == other.to_bytes(),
        }
    }
}

impl Eq for Session<'_> {}

/// An iterator over lines in order.
#[derive(Clone, Debug)]
pub struct Lines<'s> {
    session: &'s Session<'s>,
    index: usize,
    records: core::slice::Iter<'s, Record>,
}

impl<'s> Iterator for Lines<'s> {
    type Item = Line<'s>;

    #[inline]
    fn next(&mut self) -> Option<Line<'s>> {
        let record = self.records.next()?;
        let line = self.session.view(self.index, record);
        self.index += 1;
        Some(line)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl DoubleEndedIterator for Lines<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let record = self.records.next_back()?;
        Some(self.session.view(self.index + self.records.len(), record))
    }
}

impl ExactSizeIterator for Lines<'_> {}
