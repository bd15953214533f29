//! The parser of descriptions. A strict reader stops at the first deviation; a lenient reader reports each one and
//! continues.
//!
//! Rules of this file: every byte of the text belongs to exactly one line. A line costs one step of a vectorised
//! search. [`Limits`] bounds the lines and diagnostics that the reader stores. The reader checks a limit before it
//! stores.
//!
//! ```
//! use portolan_sdp::{Limits, Reader, diagnostic::Rule, line::Kind};
//!
//! let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n";
//! let refused = Reader::strict().read(text).unwrap_err();
//! assert_eq!((refused.line, refused.rule), (4, Rule::Missing(Kind::Time)));
//! assert_eq!(Reader::lenient().read(text)?.diagnostics, [refused]);
//!
//! let limits = Limits { lines: 4, ..Limits::default() };
//! assert!(Reader::lenient().with_limits(limits).read(text).is_err());
//! # Ok::<(), portolan_sdp::diagnostic::Diagnostic>(())
//! ```

mod order;

use crate::diagnostic::{Diagnostic, LimitKind, Rule, Severity};
use crate::error::{Citation, Span, ValueError};
use crate::grammar::is_token;
use crate::line::{Ending, Kind};
use crate::scan;
use crate::session::{Place as Stored, Record, Session};
use crate::value::{
    Bandwidth, Connection, Email, Key, MediaLine, Origin, Phone, Repeat, Timing, Uri, Value, Version, Zone,
};
use crate::work::look;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use order::{Order, Place};

pub(crate) use order::rank;

/// Parses descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    is_strict: bool,
    limits: Limits,
}

/// The limits of a reader. A reader refuses a text that exceeds one of the first four, also in lenient mode.
///
/// The default limits are those of [`Limits::for_bytes`] for 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the description, at most 2³² − 1.
    pub bytes: usize,
    /// Lines.
    pub lines: usize,
    /// `a=` lines in one section.
    pub attributes: usize,
    /// Media descriptions.
    pub media: usize,
    /// The largest number of stored diagnostics; further ones are only counted.
    pub diagnostics: usize,
}

impl Limits {
    /// Returns limits that fit a description of this many bytes.
    ///
    /// They allow one line for each 8 bytes, one media description for each 64 bytes, and 100 diagnostics. All lines can
    /// be attributes of one section.
    ///
    /// A valid line has at least 7 bytes (`t=0 0` with CR LF), and only few lines are so short. The shortest media
    /// description of a browser, a rejected one, has about 70 bytes.
    #[must_use]
    pub const fn for_bytes(bytes: usize) -> Self {
        Self { bytes, lines: bytes / 8, attributes: bytes / 8, media: bytes / 64, diagnostics: 100 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::for_bytes(1 << 20)
    }
}

/// The result of reading a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The description.
    pub session: Session<'a>,
    /// The diagnostics, in the order of the lines, at most [`Limits::diagnostics`] of them. A strict reader reports
    /// only remarks.
    pub diagnostics: Vec<Diagnostic>,
    /// The number of diagnostics that were not stored.
    pub unreported: usize,
}

impl Reader {
    /// Returns a reader that stops at the first deviation from RFC 8866.
    #[must_use]
    pub fn strict() -> Self {
        Self { is_strict: true, limits: Limits::default() }
    }

    /// Returns a reader that accepts the deviations of deployed endpoints, and reports each one.
    #[must_use]
    pub fn lenient() -> Self {
        Self { is_strict: false, limits: Limits::default() }
    }

    /// Returns the same reader with other limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads a description, which borrows from the text.
    ///
    /// # Errors
    /// The [`Diagnostic`] that stopped the reader: an exceeded limit ([`Rule::Limit`]), a text without any line of a
    /// description ([`Rule::NotADescription`]), or, for a strict reader, the first deviation.
    pub fn read<'a>(&self, text: &'a [u8]) -> Result<Reading<'a>, Diagnostic> {
        self.read_in(text, Order::new())
    }

    /// Reads a part of a description: media descriptions, or some lines of one. Lines that must come before the part
    /// are not missed. Trickled candidates arrive in this form (RFC 8840 §9, `application/trickle-ice-sdpfrag`).
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_fragment<'a>(&self, text: &'a [u8]) -> Result<Reading<'a>, Diagnostic> {
        self.read_in(text, Order::fragment())
    }

    fn read_in<'a>(&self, text: &'a [u8], order: Order) -> Result<Reading<'a>, Diagnostic> {
        let most = self.limits.bytes.min(u32::MAX as usize);
        if text.len() > most {
            let rule = Rule::Limit { kind: LimitKind::Bytes, most };
            return Err(Diagnostic { line: 1, column: 1, span: Span::new(0, text.len()), rule });
        }
        // A typical line has about 40 bytes. For a text of shorter lines the list grows.
        let expected = (text.len() / 28 + 8).min(self.limits.lines);
        let mut reading = Progress {
            reader: *self,
            text,
            lines: Vec::with_capacity(expected),
            heads: Vec::new(),
            diagnostics: Vec::new(),
            unreported: 0,
            order,
            attributes: 0,
            is_known: false,
            reported: ReportedOnce::default(),
        };
        reading.run()?;
        let Progress { lines, heads, diagnostics, unreported, .. } = reading;
        let session = Session::of(Cow::Borrowed(text), lines, heads);
        Ok(Reading { session, diagnostics, unreported })
    }
}

/// The rules that are reported once for a description.
#[derive(Clone, Copy, Debug, Default)]
struct ReportedOnce {
    line_feed: bool,
    carriage_return: bool,
}

struct Progress<'a> {
    reader: Reader,
    text: &'a [u8],
    lines: Vec<Record>,
    heads: Vec<u32>,
    diagnostics: Vec<Diagnostic>,
    unreported: usize,
    order: Order,
    /// The number of `a=` lines of the section so far.
    attributes: usize,
    /// Whether a line of a description was seen.
    is_known: bool,
    reported: ReportedOnce,
}

impl Progress<'_> {
    fn run(&mut self) -> Result<(), Diagnostic> {
        let mut start = 0;
        while let Some(rest) = self.text.get(start..).filter(|rest| !rest.is_empty()) {
            let (length, ending, nul) = end_of_line(rest);
            self.line(start, rest.get(..length).unwrap_or(rest), ending, nul)?;
            start += length + ending.len();
        }
        if !self.is_known {
            return Err(self.diagnostic(1, Span::new(0, self.text.len()), Rule::NotADescription));
        }
        self.section_ends(self.text.len())
    }

    #[inline]
    fn line(&mut self, start: usize, text: &[u8], ending: Ending, nul: Option<usize>) -> Result<(), Diagnostic> {
        if self.lines.len() >= self.reader.limits.lines {
            return self.limit(start, text, LimitKind::Lines, self.reader.limits.lines);
        }
        let kind = Kind::of(text);
        self.is_known |= !matches!(kind, Kind::Stray | Kind::Unknown(_));
        if kind == Kind::Attribute {
            self.attributes += 1;
            if self.attributes > self.reader.limits.attributes {
                return self.limit(start, text, LimitKind::Attributes, self.reader.limits.attributes);
            }
        }
        if kind == Kind::Media {
            self.media(start, text)?;
        }
        // The reader has checked that the text has fewer than 2³² bytes.
        #[allow(clippy::cast_possible_truncation, reason = "bounded by the limit on bytes")]
        let (first, length) = (start as u32, text.len() as u32);
        self.lines.push(Record { start: first, length, kind, ending, place: Stored::Read });
        if let Some(at) = nul {
            self.report_at(start, at, 1, Rule::Nul)?;
        }
        self.check_kind(start, text, kind)?;
        if ending == Ending::CrLf { Ok(()) } else { self.check_ending(start + text.len(), text.len(), ending) }
    }

    /// Begins a media description.
    fn media(&mut self, start: usize, text: &[u8]) -> Result<(), Diagnostic> {
        if self.heads.len() >= self.reader.limits.media {
            return self.limit(start, text, LimitKind::Media, self.reader.limits.media);
        }
        self.section_ends(start)?;
        self.attributes = 0;
        // The number of lines is at most the number of bytes.
        self.heads.push(u32::try_from(self.lines.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Checks the kind of a line, its place and its value.
    #[inline]
    fn check_kind(&mut self, start: usize, text: &[u8], kind: Kind) -> Result<(), Diagnostic> {
        let place = self.order.step(kind);
        if place != Place::Right {
            self.report_misplaced(start, text, kind, place)?;
        }
        let value = text.get(2..).unwrap_or_default();
        if value.is_empty() && is_text(kind) {
            return self.report_at(start, 2, 0, Rule::Empty(kind));
        }
        look(value.len());
        match check(kind, value) {
            Ok(()) => Ok(()),
            Err(error) => {
                let length = value.len().saturating_sub(error.at).min(1);
                self.report_at(start, 2 + error.at, length, Rule::Value { kind, error })
            }
        }
    }

    #[cold]
    fn report_misplaced(&mut self, start: usize, text: &[u8], kind: Kind, place: Place) -> Result<(), Diagnostic> {
        let rule = match (kind, place) {
            (Kind::Stray, _) if text.is_empty() => Rule::Blank,
            (Kind::Stray, _) => Rule::NoLetter,
            (Kind::Unknown(_), _) => Rule::UnknownKind(kind),
            (_, Place::Right) => return Ok(()),
            (_, Place::NotFirst) => Rule::VersionNotFirst,
            (_, Place::Again) => Rule::Repeated(kind),
            (_, Place::After(after)) => Rule::OutOfOrder { kind, after },
            (_, Place::Foreign) => Rule::NotInMedia(kind),
        };
        self.report_at(start, 0, text.len().min(2), rule)
    }

    #[cold]
    fn check_ending(&mut self, at: usize, column: usize, ending: Ending) -> Result<(), Diagnostic> {
        let rule = match ending {
            Ending::Lf if !self.reported.line_feed => Rule::LineFeed,
            Ending::Cr if !self.reported.carriage_return => Rule::CarriageReturn,
            Ending::End => Rule::NoFinalEnding,
            Ending::CrLf | Ending::Lf | Ending::Cr => return Ok(()),
        };
        self.reported.line_feed |= ending == Ending::Lf;
        self.reported.carriage_return |= ending == Ending::Cr;
        self.report(Diagnostic {
            line: self.lines.len(),
            column: column + 1,
            span: Span::new(at, at + ending.len()),
            rule,
        })
    }

    /// Checks that the lines before the first media description, or the lines of a media description, are complete.
    fn section_ends(&mut self, at: usize) -> Result<(), Diagnostic> {
        let line = self.lines.len() + 1;
        for kind in self.order.missing() {
            self.report(Diagnostic { line, column: 1, span: Span::new(at, at), rule: Rule::Missing(kind) })?;
        }
        if let (true, Some(head)) = (self.order.is_unconnected(), self.heads.last()) {
            let (line, start) = (*head as usize, self.lines.get(*head as usize).map_or(at, |head| head.start as usize));
            self.report_no_connection(line + 1, start);
        }
        Ok(())
    }

    /// Reports a deviation of an `m=` line at the end of its section. The diagnostic is inserted before those of later
    /// lines.
    fn report_no_connection(&mut self, line: usize, start: usize) {
        let rule = Rule::NoConnection;
        let diagnostic = Diagnostic { line, column: 1, span: Span::new(start, start + 2), rule };
        let at = self.diagnostics.partition_point(|other| other.line <= line);
        if self.diagnostics.len() < self.reader.limits.diagnostics {
            self.diagnostics.insert(at, diagnostic);
        } else {
            self.unreported += 1;
        }
    }

    #[cold]
    fn limit(&self, start: usize, text: &[u8], kind: LimitKind, most: usize) -> Result<(), Diagnostic> {
        let span = Span::new(start, start + text.len());
        Err(self.diagnostic(self.lines.len() + 1, span, Rule::Limit { kind, most }))
    }

    fn diagnostic(&self, line: usize, span: Span, rule: Rule) -> Diagnostic {
        Diagnostic { line, column: 1, span, rule }
    }

    /// Reports a deviation of the line that was read last: `length` bytes at offset `at`.
    #[cold]
    fn report_at(&mut self, start: usize, at: usize, length: usize, rule: Rule) -> Result<(), Diagnostic> {
        let span = Span::new(start + at, start + at + length);
        self.report(Diagnostic { line: self.lines.len(), column: at + 1, span, rule })
    }

    #[cold]
    fn report(&mut self, diagnostic: Diagnostic) -> Result<(), Diagnostic> {
        if self.reader.is_strict && diagnostic.rule.severity() >= Severity::Deviation {
            return Err(diagnostic);
        }
        if self.diagnostics.len() < self.reader.limits.diagnostics {
            self.diagnostics.push(diagnostic);
        } else {
            self.unreported += 1;
        }
        Ok(())
    }
}

/// Returns the length of the first line, its ending, and the offset of its first NUL byte.
#[inline]
fn end_of_line(rest: &[u8]) -> (usize, Ending, Option<usize>) {
    let (mut at, mut nul) = (0, None);
    while let Some(found) = rest.get(at..).and_then(scan::line_break) {
        at += found;
        look(found + 1);
        match rest.get(at..) {
            Some([b'\r', b'\n', ..]) => return (at, Ending::CrLf, nul),
            Some([b'\r', ..]) => return (at, Ending::Cr, nul),
            Some([b'\n', ..]) => return (at, Ending::Lf, nul),
            _ => nul = nul.or(Some(at)),
        }
        at += 1;
    }
    look(rest.len() - at);
    (rest.len(), Ending::End, nul)
}

/// Checks that the name is a token and that the value after a colon is not empty (RFC 8866 §5.13).
#[inline]
fn attribute(value: &[u8]) -> Result<(), ValueError> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.13");
    let length = value.iter().position(|byte| !is_token(*byte)).unwrap_or(value.len());
    match value.get(length..) {
        _ if length == 0 => Err(ValueError::new(value, 0, "the name of an attribute", CLAUSE)),
        Some([] | [b':', _, ..]) | None => Ok(()),
        Some([b':']) => Err(ValueError::new(value, length + 1, "the value of the attribute", CLAUSE)),
        Some(_) => Err(ValueError::new(value, length, "a colon or the end of the name", CLAUSE)),
    }
}

/// Whether lines of this kind may hold any bytes, but at least one.
pub(crate) const fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Name | Kind::Information | Kind::Uri | Kind::Email | Kind::Phone)
}

/// Checks the value of a line.
#[inline]
pub(crate) fn check(kind: Kind, value: &[u8]) -> Result<(), ValueError> {
    match kind {
        Kind::Attribute => attribute(value),
        Kind::Version => Version::parse(value).map(drop),
        Kind::Origin => Origin::parse(value).map(drop),
        Kind::Connection => Connection::parse(value).map(drop),
        Kind::Bandwidth => Bandwidth::parse(value).map(drop),
        Kind::Time => Timing::parse(value).map(drop),
        Kind::Media => MediaLine::parse(value).map(drop),
        Kind::Uri => Uri::parse(value).map(drop),
        Kind::Email => Email::parse(value).map(drop),
        Kind::Phone => Phone::parse(value).map(drop),
        Kind::Repeat => Repeat::parse(value).map(drop),
        Kind::Zone => Zone::parse(value).map(drop),
        Kind::Key => Key::parse(value).map(drop),
        // Any byte is allowed but those that end a line.
        Kind::Name | Kind::Information | Kind::Unknown(_) | Kind::Stray => Ok(()),
    }
}
