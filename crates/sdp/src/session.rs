//! The lossless tree: every line of a description, in the order and with the bytes that it came with.
//!
//! Rules of this file: a line is 12 bytes that say where its text lies, in what was read or in what was added since;
//! nothing is copied until a line is edited, and then that line alone. Writing copies whole runs of untouched lines.
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
    /// The texts of the lines that were written since, one after another.
    pub(crate) added: Vec<u8>,
    pub(crate) lines: Vec<Record>,
    /// Which lines are the heads of media descriptions.
    pub(crate) heads: Vec<u32>,
    pub(crate) is_edited: bool,
}

/// Where the text of a line lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) start: u32,
    /// Without the ending.
    pub(crate) length: u32,
    pub(crate) kind: Kind,
    pub(crate) ending: Ending,
    /// In [`Session::added`], where the ending is not stored.
    pub(crate) is_added: bool,
}

/// Why an edit was refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A value holds CR, LF or NUL, which would end or break the line (RFC 8866 §9, `byte-string`).
    #[error(
        "byte {at} of the value is {byte:#04x}, which would break the line (RFC 8866 §9); leave it out or encode it"
    )]
    Breaks {
        /// The offset in the value.
        at: usize,
        /// 0x00, 0x0A or 0x0D.
        byte: u8,
    },
    /// There is no such line.
    #[error("there is no line {index}, the session has {lines}")]
    NoLine {
        /// The line asked for, counted from 0.
        index: usize,
        /// How many there are.
        lines: usize,
    },
    /// The line's kind has no letter to be written with.
    #[error("a line of this kind cannot be written: it needs a letter that is not CR, LF or NUL")]
    NoLetter,
    /// The session would have more than 2³² − 1 bytes or lines.
    #[error("a session has at most 4,294,967,295 bytes")]
    TooLong,
}

impl<'a> Session<'a> {
    /// Reads a description as deployed endpoints write it; what is unusual is not told. [`Reader`] tells it.
    ///
    /// # Errors
    /// When it passes the default limits, or no line of it is a line of a description.
    pub fn read(text: &'a [u8]) -> Result<Self, Diagnostic> {
        Reader::lenient().read(text).map(|reading| reading.session)
    }

    /// How many lines there are.
    #[must_use]
    pub const fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// One line, counted from 0.
    #[must_use]
    #[inline]
    pub fn line(&self, index: usize) -> Option<Line<'_>> {
        self.lines.get(index).map(|record| self.view(index, record))
    }

    /// All lines, those of the media sections too.
    #[inline]
    pub fn lines(&self) -> Lines<'_> {
        self.lines_in(0..self.lines.len())
    }

    /// The lines before the first media section.
    #[must_use]
    #[inline]
    pub fn top(&self) -> Section<'_> {
        Section::new(self, 0..self.head(0), None)
    }

    /// How many media sections there are.
    #[must_use]
    pub const fn media_count(&self) -> usize {
        self.heads.len()
    }

    /// One media section, counted from 0.
    #[must_use]
    #[inline]
    pub fn media(&self, index: usize) -> Option<Section<'_>> {
        let start = *self.heads.get(index)?;
        Some(Section::new(self, start as usize..self.head(index + 1), Some(index)))
    }

    /// The media sections in order.
    pub fn all_media(&self) -> impl DoubleEndedIterator<Item = Section<'_>> + ExactSizeIterator + '_ {
        (0..self.heads.len()).map(|index| {
            let start = self.head(index);
            Section::new(self, start..self.head(index + 1), Some(index))
        })
    }

    /// What was read: the spans of lines and diagnostics point into it.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.read
    }

    /// Whether a line was changed, added or removed since it was read.
    #[must_use]
    pub const fn is_edited(&self) -> bool {
        self.is_edited
    }

    /// A session that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Session<'static> {
        let Self { read, added, lines, heads, is_edited } = self;
        Session { read: Cow::Owned(read.into_owned()), added, lines, heads, is_edited }
    }

    /// The description; where nothing was edited, the very bytes that were read. One allocation.
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
        // A run of lines that follow one another in what was read is copied at once.
        let mut run: Range<usize> = 0..0;
        for record in &self.lines {
            if record.is_added {
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

    /// Replaces what follows the `=` of a line; of a stray line the whole. Its letter and its ending stay.
    ///
    /// # Errors
    /// A value that would break the line, no such line, or too much text. Nothing has changed then.
    pub fn set_value(&mut self, index: usize, value: &[u8]) -> Result<(), EditError> {
        let lines = self.lines.len();
        let record = *self.lines.get(index).ok_or(EditError::NoLine { index, lines })?;
        let (start, length, kind) = match record.kind.letter() {
            Some(letter) => self.add(&[&[letter, b'='], value], value)?,
            // It may have become a line with a letter, or even a media section.
            None => self.add(&[value], value)?,
        };
        let record = Record { start, length, kind, is_added: true, ..record };
        if let Some(slot) = self.lines.get_mut(index) {
            *slot = record;
        }
        self.is_edited = true;
        self.find_heads();
        Ok(())
    }

    /// Puts a new line before line `index`, or at the end where `index` is the number of lines. It ends as the line before
    /// it does, or with CR and LF; a line before it that had no ending gets one.
    ///
    /// # Errors
    /// A value that would break the line, a kind without a letter, no such place, or too much text. Nothing has changed
    /// then.
    pub fn insert(&mut self, index: usize, kind: Kind, value: &[u8]) -> Result<(), EditError> {
        let lines = self.lines.len();
        if index > lines {
            return Err(EditError::NoLine { index, lines });
        }
        let letter = kind.letter().filter(|letter| !breaks(*letter)).ok_or(EditError::NoLetter)?;
        let (start, length, kind) = self.add(&[&[letter, b'='], value], value)?;
        let ending = self.usual_ending();
        if let Some(before) = index.checked_sub(1) {
            self.end_line(before, ending)?;
        }
        self.lines.insert(index, Record { start, length, kind, ending, is_added: true });
        self.is_edited = true;
        self.find_heads();
        Ok(())
    }

    /// Takes a line out. A media section whose head is taken becomes a part of the one before it.
    ///
    /// # Errors
    /// No such line.
    pub fn remove(&mut self, index: usize) -> Result<(), EditError> {
        let lines = self.lines.len();
        if index >= lines {
            return Err(EditError::NoLine { index, lines });
        }
        self.lines.remove(index);
        self.is_edited = true;
        self.find_heads();
        Ok(())
    }

    /// Appends to the texts that were added.
    fn add(&mut self, parts: &[&[u8]], value: &[u8]) -> Result<(u32, u32, Kind), EditError> {
        if let Some(at) = value.iter().position(|byte| breaks(*byte)) {
            return Err(EditError::Breaks { at, byte: value.get(at).copied().unwrap_or_default() });
        }
        let start = u32::try_from(self.added.len()).map_err(|_| EditError::TooLong)?;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).map_err(|_| EditError::TooLong)?;
        if start.checked_add(length).is_none() || u32::try_from(self.lines.len() + 1).is_err() {
            return Err(EditError::TooLong);
        }
        for part in parts {
            self.added.extend_from_slice(part);
        }
        let kind = Kind::of(self.added.get(start as usize..).unwrap_or_default());
        Ok((start, length, kind))
    }

    /// Gives a line that has no ending this one.
    fn end_line(&mut self, index: usize, ending: Ending) -> Result<(), EditError> {
        let Some(record) = self.lines.get(index).copied().filter(|record| record.ending.is_empty()) else {
            return Ok(());
        };
        let text = self.text_of(&record).to_vec();
        let (start, length, kind) = self.add(&[&text], &[])?;
        if let Some(slot) = self.lines.get_mut(index) {
            *slot = Record { start, length, kind, ending, is_added: true };
        }
        Ok(())
    }

    /// How the session's lines end: as its first does.
    fn usual_ending(&self) -> Ending {
        self.lines.first().map(|record| record.ending).filter(|ending| !ending.is_empty()).unwrap_or_default()
    }

    fn find_heads(&mut self) {
        self.heads.clear();
        for (index, record) in (0_u32..).zip(&self.lines) {
            if record.kind == Kind::Media {
                self.heads.push(index);
            }
        }
    }

    /// Where a media section begins; past the last one, where the lines end.
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
            offset: if record.is_added { None } else { Some(record.start as usize) },
        }
    }

    #[inline]
    fn text_of(&self, record: &Record) -> &[u8] {
        let start = record.start as usize;
        let source = if record.is_added { &*self.added } else { &*self.read };
        source.get(start..start + record.length as usize).unwrap_or_default()
    }
}

impl Record {
    const fn full_length(&self) -> usize {
        self.length as usize + self.ending.len()
    }
}

const fn breaks(byte: u8) -> bool {
    matches!(byte, 0 | b'\r' | b'\n')
}

/// The text, lossy where it is not UTF-8.
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

/// Lines in order.
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
