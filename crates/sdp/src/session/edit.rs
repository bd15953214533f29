//! Edits of a session. An edit changes the lines that it names, and no byte of any other line.
//!
//! There are two exceptions, both for line endings. A last line without an ending gets one when a line is put after
//! it. A line that ends with CR alone gets CR and LF when an empty line that ends with LF follows it. Otherwise a
//! reader would take the two lines for one.

use super::{Place, Record, Session};
use crate::line::{Ending, Kind};
use alloc::vec::Vec;
use core::ops::Range;

/// Why an edit was refused. The session is then unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The value holds CR, LF or NUL, which would end or break the line (RFC 8866 §9, `byte-string`).
    #[error(
        "byte {at} of the value is {byte:#04x}, which would break the line (RFC 8866 §9); leave it out or encode it"
    )]
    ForbiddenByte {
        /// The offset in the value.
        at: usize,
        /// 0x00, 0x0A or 0x0D.
        byte: u8,
    },
    /// No line has this index.
    #[error("there is no line {index}, the session has {lines}")]
    NoLine {
        /// The requested line, counted from 0.
        index: usize,
        /// The number of lines.
        lines: usize,
    },
    /// No media section has this index.
    #[error("there is no media section {index}, the session has {sections}")]
    NoMedia {
        /// The requested section, counted from 0.
        index: usize,
        /// The number of media sections.
        sections: usize,
    },
    /// The kind of the line has no letter to write.
    #[error("a line of this kind cannot be written: it needs a letter that is not CR, LF or NUL")]
    NoLetter,
    /// The session would have more than 2³² − 1 bytes or lines.
    #[error("a session has at most 4,294,967,295 bytes")]
    TooLong,
}

impl Session<'_> {
    /// Replaces the value after the `=` of a line, or the whole of a stray line. The letter and the ending are kept.
    ///
    /// # Errors
    /// [`EditError::ForbiddenByte`] if the value would break the line, [`EditError::NoLine`] if the line does not exist,
    /// [`EditError::TooLong`] if the session would become too large. The session is then unchanged.
    pub fn set_value(&mut self, index: usize, value: &[u8]) -> Result<(), EditError> {
        let lines = self.lines.len();
        let old = *self.lines.get(index).ok_or(EditError::NoLine { index, lines })?;
        let new = match old.kind.letter() {
            Some(letter) => self.add(Some(letter), value, old.ending)?,
            // A stray line may become a line with a letter, even an `m=` line.
            None => self.add(None, value, old.ending)?,
        };
        if let Some(slot) = self.lines.get_mut(index) {
            *slot = new;
        }
        self.forget(&old);
        self.repair(index..index + 1, new.kind != old.kind);
        Ok(())
    }

    /// Inserts a new line before line `index`, or at the end if `index` is the number of lines. The new line ends like
    /// the first line of the session, or with CR and LF in an empty session. A line before it without an ending gets
    /// one.
    ///
    /// # Errors
    /// [`EditError::ForbiddenByte`] if the value would break the line, [`EditError::NoLetter`] if the kind has no letter,
    /// [`EditError::NoLine`] if `index` is past the end, [`EditError::TooLong`] if the session would become too large.
    /// The session is then unchanged.
    pub fn insert(&mut self, index: usize, kind: Kind, value: &[u8]) -> Result<(), EditError> {
        let lines = self.lines.len();
        if index > lines {
            return Err(EditError::NoLine { index, lines });
        }
        let letter = kind.letter().filter(|letter| !breaks(*letter)).ok_or(EditError::NoLetter)?;
        let record = self.add(Some(letter), value, self.default_ending())?;
        self.lines.insert(index, record);
        self.repair(index..index + 1, true);
        Ok(())
    }

    /// Removes a line. If it is an `m=` line, the rest of its section becomes part of the section before it. A line
    /// before it that ends with CR alone gets CR and LF if an empty line with LF now follows it.
    ///
    /// # Errors
    /// [`EditError::NoLine`] if the line does not exist.
    pub fn remove(&mut self, index: usize) -> Result<(), EditError> {
        let lines = self.lines.len();
        if index >= lines {
            return Err(EditError::NoLine { index, lines });
        }
        let old = self.lines.remove(index);
        self.forget(&old);
        self.repair(index..index, true);
        Ok(())
    }

    /// Removes a whole media section, with its `m=` line. For an answer use port 0 instead: an answer keeps the
    /// sections that it refuses (RFC 3264 §6).
    ///
    /// # Errors
    /// [`EditError::NoMedia`] if the section does not exist.
    pub fn remove_media(&mut self, index: usize) -> Result<(), EditError> {
        let range = self.section(index)?;
        let start = range.start;
        let mut unused = 0;
        for old in self.lines.drain(range) {
            unused += if old.place == Place::Added { old.length as usize } else { 0 };
        }
        self.unused += unused;
        self.repair(start..start, true);
        Ok(())
    }

    /// Moves a whole media section to index `to`. A last line without an ending gets one if it is no longer the last.
    ///
    /// # Errors
    /// [`EditError::NoMedia`] if one of the two indices does not exist.
    pub fn move_media(&mut self, from: usize, to: usize) -> Result<(), EditError> {
        let (moved, target) = (self.section(from)?, self.section(to)?);
        let (span, by) = if from <= to {
            (moved.start..target.end, moved.len())
        } else {
            (target.start..moved.end, moved.start - target.start)
        };
        if from != to {
            if let Some(lines) = self.lines.get_mut(span.clone()) {
                lines.rotate_left(by);
            }
            self.repair(span, true);
        }
        Ok(())
    }

    /// Inserts lines before media section `index`, or at the end. The values were already checked for bytes that break
    /// a line.
    pub(crate) fn splice<'v>(
        &mut self,
        index: usize,
        lines: impl Iterator<Item = (u8, &'v [u8])>,
    ) -> Result<(), EditError> {
        let sections = self.heads.len();
        if index > sections {
            return Err(EditError::NoMedia { index, sections });
        }
        let (at, ending) = (self.head(index), self.default_ending());
        let added = self.added.len();
        let new: Result<Vec<Record>, EditError> =
            lines.map(|(letter, value)| self.append(Some(letter), value, ending)).collect();
        let new = new.inspect_err(|_| self.added.truncate(added))?;
        let end = at + new.len();
        self.lines.splice(at..at, new);
        self.repair(at..end, true);
        Ok(())
    }

    fn section(&self, index: usize) -> Result<Range<usize>, EditError> {
        let sections = self.heads.len();
        if index < sections {
            Ok(self.head(index)..self.head(index + 1))
        } else {
            Err(EditError::NoMedia { index, sections })
        }
    }

    /// Appends text to `added`, and returns the record of its line.
    fn add(&mut self, letter: Option<u8>, value: &[u8], ending: Ending) -> Result<Record, EditError> {
        // Edits leave at most half of `added` unused.
        if self.unused > 1024 && self.unused > self.added.len() / 2 {
            self.compact();
        }
        self.append(letter, value, ending)
    }

    fn append(&mut self, letter: Option<u8>, value: &[u8], ending: Ending) -> Result<Record, EditError> {
        if let Some((at, byte)) = first_forbidden_byte(value) {
            return Err(EditError::ForbiddenByte { at, byte });
        }
        let length = value.len() + if letter.is_some() { 2 } else { 0 };
        let end = self.added.len().checked_add(length).ok_or(EditError::TooLong)?;
        // A written line takes more than one byte, so there are fewer lines than bytes.
        let (Ok(start), Ok(length), Ok(_)) =
            (u32::try_from(self.added.len()), u32::try_from(length), u32::try_from(end.max(self.lines.len() + 1)))
        else {
            return Err(EditError::TooLong);
        };
        self.added.reserve(length as usize);
        if let Some(letter) = letter {
            self.added.extend_from_slice(&[letter, b'=']);
        }
        self.added.extend_from_slice(value);
        let kind = Kind::of(self.added.get(start as usize..).unwrap_or_default());
        Ok(Record { start, length, kind, ending, place: Place::Added })
    }

    /// Counts the bytes of a removed line as unused.
    const fn forget(&mut self, old: &Record) {
        if matches!(old.place, Place::Added) {
            self.unused += old.length as usize;
        }
    }

    /// Copies `added` without the bytes that no line uses.
    #[cold]
    fn compact(&mut self) {
        let mut kept = Vec::with_capacity(self.added.len().saturating_sub(self.unused));
        for record in self.lines.iter_mut().filter(|record| record.place == Place::Added) {
            let start = record.start as usize;
            // The copy is at most as long as the old text, whose length fits.
            record.start = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            kept.extend_from_slice(self.added.get(start..start + record.length as usize).unwrap_or_default());
        }
        (self.added, self.unused) = (kept, 0);
    }

    /// Repairs the session after an edit: separates lines that would be read as one, and finds the `m=` lines again.
    fn repair(&mut self, edited: Range<usize>, moves_heads: bool) {
        let usual = self.default_ending();
        for index in edited.start.saturating_sub(1)..edited.end.min(self.lines.len()) {
            self.end_line(index, usual);
        }
        self.is_edited = true;
        if moves_heads {
            self.find_heads();
        }
    }

    /// Gives a line an ending if it needs one, or another one if a reader would join it with the next line.
    fn end_line(&mut self, index: usize, usual: Ending) {
        let next = self.lines.get(index + 1).copied();
        let Some(line) = self.lines.get_mut(index) else { return };
        // An empty text has no line.
        let must_end = next.is_some() || line.length == 0;
        let mut ending = if must_end && line.ending.is_empty() { usual } else { line.ending };
        if ending == Ending::Cr && next.is_some_and(|next| next.length == 0 && next.ending == Ending::Lf) {
            ending = Ending::CrLf;
        }
        if ending != line.ending {
            line.ending = ending;
            if line.place == Place::Read {
                line.place = Place::ReadWithNewEnding;
            }
        }
    }

    /// Returns the ending of new lines: that of the first line.
    fn default_ending(&self) -> Ending {
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
}

/// Returns the first byte that would end or break a line, and its offset.
pub(crate) fn first_forbidden_byte(value: &[u8]) -> Option<(usize, u8)> {
    let at = memchr::memchr3(b'\n', b'\r', 0, value)?;
    Some((at, value.get(at).copied().unwrap_or_default()))
}

const fn breaks(byte: u8) -> bool {
    matches!(byte, 0 | b'\r' | b'\n')
}
