//! Edits of a session: each touches the lines that it is about, and no byte of another.
//!
//! Two line endings are the only exceptions, and both are written down at the edits that meet them: a last line without an
//! ending gets one when a line comes after it, and a line that ends with CR alone gets CR and LF when an empty line that
//! ends with LF comes after it, because the two would be read as one line.

use super::{Place, Record, Session};
use crate::line::{Ending, Kind};
use alloc::vec::Vec;
use core::ops::Range;

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
    /// There is no such media section.
    #[error("there is no media section {index}, the session has {sections}")]
    NoMedia {
        /// The section asked for, counted from 0.
        index: usize,
        /// How many there are.
        sections: usize,
    },
    /// The line's kind has no letter to be written with.
    #[error("a line of this kind cannot be written: it needs a letter that is not CR, LF or NUL")]
    NoLetter,
    /// The session would have more than 2³² − 1 bytes or lines.
    #[error("a session has at most 4,294,967,295 bytes")]
    TooLong,
}

impl Session<'_> {
    /// Replaces what follows the `=` of a line; of a stray line the whole. Its letter and its ending stay.
    ///
    /// # Errors
    /// A value that would break the line, no such line, or too much text. Nothing has changed then.
    pub fn set_value(&mut self, index: usize, value: &[u8]) -> Result<(), EditError> {
        let lines = self.lines.len();
        let old = *self.lines.get(index).ok_or(EditError::NoLine { index, lines })?;
        let new = match old.kind.letter() {
            Some(letter) => self.add(Some(letter), value, old.ending)?,
            // It may become a line with a letter, or even the head of a media section.
            None => self.add(None, value, old.ending)?,
        };
        if let Some(slot) = self.lines.get_mut(index) {
            *slot = new;
        }
        self.forget(&old);
        self.settle(index..index + 1, new.kind != old.kind);
        Ok(())
    }

    /// Puts a new line before line `index`, or at the end where `index` is the number of lines. It ends as the session's
    /// first line does, or with CR and LF; a line before it that had no ending gets one.
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
        let record = self.add(Some(letter), value, self.usual_ending())?;
        self.lines.insert(index, record);
        self.settle(index..index + 1, true);
        Ok(())
    }

    /// Takes a line out. A media section whose head is taken becomes a part of the one before it. A line before it that
    /// ended with CR alone gets CR and LF if an empty line with LF comes after it now.
    ///
    /// # Errors
    /// No such line.
    pub fn remove(&mut self, index: usize) -> Result<(), EditError> {
        let lines = self.lines.len();
        if index >= lines {
            return Err(EditError::NoLine { index, lines });
        }
        let old = self.lines.remove(index);
        self.forget(&old);
        self.settle(index..index, true);
        Ok(())
    }

    /// Takes a whole media section out, head and all. An answer keeps the sections that it refuses, with port 0
    /// (RFC 3264 §6); this is for descriptions that are no answers.
    ///
    /// # Errors
    /// No such section.
    pub fn remove_media(&mut self, index: usize) -> Result<(), EditError> {
        let range = self.section(index)?;
        let start = range.start;
        let mut dead = 0;
        for old in self.lines.drain(range) {
            dead += if old.place == Place::Added { old.length as usize } else { 0 };
        }
        self.dead += dead;
        self.settle(start..start, true);
        Ok(())
    }

    /// Moves a whole media section, so that it is section number `to` afterwards. A last line without an ending that is
    /// last no more gets one.
    ///
    /// # Errors
    /// No such section.
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
            self.settle(span, true);
        }
        Ok(())
    }

    /// Puts lines before media section `index`, or at the end; each a letter and a value that were found to break nothing.
    pub(crate) fn splice<'v>(
        &mut self,
        index: usize,
        lines: impl Iterator<Item = (u8, &'v [u8])>,
    ) -> Result<(), EditError> {
        let sections = self.heads.len();
        if index > sections {
            return Err(EditError::NoMedia { index, sections });
        }
        let (at, ending) = (self.head(index), self.usual_ending());
        let added = self.added.len();
        let new: Result<Vec<Record>, EditError> =
            lines.map(|(letter, value)| self.append(Some(letter), value, ending)).collect();
        let new = new.inspect_err(|_| self.added.truncate(added))?;
        let end = at + new.len();
        self.lines.splice(at..at, new);
        self.settle(at..end, true);
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

    /// Appends to the texts that were added, and makes a line of it.
    fn add(&mut self, letter: Option<u8>, value: &[u8], ending: Ending) -> Result<Record, EditError> {
        // What edits leave behind is never more than half of the whole.
        if self.dead > 1024 && self.dead > self.added.len() / 2 {
            self.compact();
        }
        self.append(letter, value, ending)
    }

    fn append(&mut self, letter: Option<u8>, value: &[u8], ending: Ending) -> Result<Record, EditError> {
        if let Some((at, byte)) = breaking(value) {
            return Err(EditError::Breaks { at, byte });
        }
        let length = value.len() + if letter.is_some() { 2 } else { 0 };
        let end = self.added.len().checked_add(length).ok_or(EditError::TooLong)?;
        // A line that is written takes more than a byte: there are fewer lines than bytes.
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

    /// A line is no more.
    const fn forget(&mut self, old: &Record) {
        if matches!(old.place, Place::Added) {
            self.dead += old.length as usize;
        }
    }

    /// Leaves only the texts of lines that there are.
    #[cold]
    fn compact(&mut self) {
        let mut kept = Vec::with_capacity(self.added.len().saturating_sub(self.dead));
        for record in self.lines.iter_mut().filter(|record| record.place == Place::Added) {
            let start = record.start as usize;
            // No longer than the old one, which was short enough.
            record.start = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            kept.extend_from_slice(self.added.get(start..start + record.length as usize).unwrap_or_default());
        }
        (self.added, self.dead) = (kept, 0);
    }

    /// After an edit of some lines: no two lines may be written as one, and the heads are where they are.
    fn settle(&mut self, edited: Range<usize>, moves_heads: bool) {
        let usual = self.usual_ending();
        for index in edited.start.saturating_sub(1)..edited.end.min(self.lines.len()) {
            self.end_line(index, usual);
        }
        self.is_edited = true;
        if moves_heads {
            self.find_heads();
        }
    }

    /// Gives a line an ending where it must have one, or another one where it would be read together with the next line.
    fn end_line(&mut self, index: usize, usual: Ending) {
        let next = self.lines.get(index + 1).copied();
        let Some(line) = self.lines.get_mut(index) else { return };
        // Nothing at all is no line.
        let must_end = next.is_some() || line.length == 0;
        let mut ending = if must_end && line.ending.is_empty() { usual } else { line.ending };
        if ending == Ending::Cr && next.is_some_and(|next| next.length == 0 && next.ending == Ending::Lf) {
            ending = Ending::CrLf;
        }
        if ending != line.ending {
            line.ending = ending;
            if line.place == Place::Read {
                line.place = Place::EndsAnew;
            }
        }
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
}

/// The first byte that would end or break a line, and where it stands.
pub(crate) fn breaking(value: &[u8]) -> Option<(usize, u8)> {
    let at = memchr::memchr3(b'\n', b'\r', 0, value)?;
    Some((at, value.get(at).copied().unwrap_or_default()))
}

const fn breaks(byte: u8) -> bool {
    matches!(byte, 0 | b'\r' | b'\n')
}
