//! Collects the findings about an answer, each with its place.
//!
//! Rules of this file: the place of a finding is the line with the violation. The lines of a section are indexed when
//! the first place is needed, once.

use super::flaw::{Finding, Flaw};
use super::section::MediaSection;
use crate::error::TypedError;
use crate::line::{Kind, Line};
use crate::media::Section;
use crate::session::Session;
use crate::work::look;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The findings so far, and the current section.
pub(super) struct Report<'s> {
    findings: Vec<Finding>,
    media: Option<usize>,
    /// The line of the `m=`, or line 1.
    head: usize,
    top: Lines<'s>,
    section: Lines<'s>,
    blame: Blame,
}

/// A line of the offer that cannot be parsed. It is reported once, instead of the findings that depend on it.
#[derive(Clone, Copy)]
enum Blame {
    Nothing,
    Line(TypedError),
    Reported,
}

impl<'s> Report<'s> {
    pub(super) fn new(answer: &'s Session<'s>) -> Self {
        let (top, section) = (Lines::of(Some(answer.top())), Lines::of(None));
        Self { findings: Vec::new(), media: None, head: 1, top, section, blame: Blame::Nothing }
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Begins a section of the answer.
    pub(super) fn begin(&mut self, answer: &'s Session<'s>, section: &MediaSection<'_>) {
        (self.media, self.head, self.blame) = (Some(section.index), section.line, Blame::Nothing);
        self.section = Lines::of(answer.media(section.index));
    }

    /// Sets the line of the offer that is reported instead of the next findings.
    pub(super) fn blame(&mut self, line: Option<TypedError>) {
        self.blame = line.map_or(Blame::Nothing, Blame::Line);
    }

    /// Adds a line that cannot be parsed.
    pub(super) fn add_error(&mut self, error: TypedError, flaw: fn(TypedError) -> Flaw) {
        self.findings.push(Finding { media: self.media, line: error.line, column: error.column, flaw: flaw(error) });
    }

    /// Adds a finding at the first line of an attribute, given as `NAME` or `NAME:FIRST WORD`. Without such a line the
    /// place is the head of the section.
    pub(super) fn add(&mut self, attribute: &str, flaw: Flaw) {
        let place = self.section.place(attribute).or_else(|| self.top.place(attribute));
        let (line, column) = place.unwrap_or((self.head, 1));
        self.add_at(line, column, flaw);
    }

    pub(super) fn add_if(&mut self, is_flawed: bool, attribute: &str, flaw: Flaw) {
        if is_flawed {
            self.add(attribute, flaw);
        }
    }

    pub(super) fn add_at(&mut self, line: usize, column: usize, flaw: Flaw) {
        match self.blame {
            Blame::Nothing => self.findings.push(Finding { media: self.media, line, column, flaw }),
            Blame::Line(error) => {
                self.blame = Blame::Reported;
                self.add_error(error, Flaw::Offer);
            }
            Blame::Reported => {}
        }
    }
}

/// The lines of a section with their places.
struct Lines<'s> {
    section: Option<Section<'s>>,
    /// The first line with a name, and the first one with a name and a first word.
    places: Option<BTreeMap<Key<'s>, (usize, usize)>>,
}

/// The name of a line, and the first word of its value.
type Key<'s> = (&'s [u8], &'s [u8]);

impl<'s> Lines<'s> {
    const fn of(section: Option<Section<'s>>) -> Self {
        Self { section, places: None }
    }

    fn place(&mut self, attribute: &str) -> Option<(usize, usize)> {
        let section = self.section.as_ref()?;
        let places = self.places.get_or_insert_with(|| {
            let mut places = BTreeMap::new();
            for line in section.lines() {
                look(line.text().len() + 1);
                let (name, word, column) = key(&line);
                let place = (line.index() + 1, column);
                places.entry((name, &b""[..])).or_insert(place);
                places.entry((name, word)).or_insert(place);
            }
            places
        });
        let (name, word) = attribute.split_once(':').unwrap_or((attribute, ""));
        look(attribute.len());
        places.get(&(name.as_bytes(), word.as_bytes())).copied()
    }
}

/// Returns the name of a line, the first word of its value, and the column of the value.
fn key<'s>(line: &Line<'s>) -> (&'s [u8], &'s [u8], usize) {
    match line.attribute() {
        Some((name, Some(value))) => {
            let end = value.iter().position(|byte| matches!(byte, b' ' | b'/')).unwrap_or(value.len());
            (name, value.get(..end).unwrap_or(value), name.len() + 4)
        }
        Some((name, None)) => (name, b"", 3),
        None if line.kind() == Kind::Media => (b"", b"", 1),
        None => (line.text().get(..2).unwrap_or_default(), b"", 3),
    }
}
