//! Rules about several lines of one description: lines that contradict each other, repeat each other, or refer to a
//! line that is missing.
//!
//! A [`Reader`](crate::Reader) checks single lines and their order, and a typed value checks its own grammar. [`lint`]
//! checks what remains visible only when two lines, or two media sections, are compared. It is a pure function of the
//! parsed session. It needs no second description: [`validate`](crate::offer_answer::validate) compares an answer with
//! its offer.
//!
//! # Which lines count
//!
//! * A line that cannot be parsed gives no finding here, and no finding about its absence.
//! * A media section without its own line uses that of the session. In a bundle it also uses the transport lines of the
//!   first section of the bundle (RFC 9143 §7.1.3).
//! * A section with port 0 is not used, unless it is `bundle-only`. Nothing is required of such a section.
//!
//! ```
//! use portolan_sdp::Session;
//! use portolan_sdp::lint::{Rule, lint};
//!
//! let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 101\r\n\
//!              a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n";
//! let session = Session::read(text)?;
//! let findings = lint(&session);
//! assert_eq!((findings[0].rule, findings[0].line, findings[0].column), (Rule::DuplicateRtpmap, 8, 10));
//! assert_eq!(
//!     findings[0].to_string(),
//!     "line 8, column 10: m-line 0: a second a=rtpmap for one format: 101 (the other one: line 7) (RFC 8866 §6.6)",
//! );
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod address;
mod bundle;
mod format;
mod level;
mod part;
mod repeated;
mod rule;
mod stream;
mod transport;

pub(crate) use address::is_domain_name;
pub use rule::Rule;

use crate::diagnostic::Severity;
use crate::error::Citation;
use crate::session::Session;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use part::{Part, View};

/// One broken rule, with its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finding<'s> {
    /// The rule.
    pub rule: Rule,
    /// The section of the RFC. For [`Rule::RepeatedAttribute`] and similar rules the section that defines the attribute.
    pub clause: Citation,
    /// The line, counted from 1. A missing line is reported at the `m=` line or at a line that requires it.
    pub line: usize,
    /// The byte in the line at which [`Finding::text`] begins, counted from 1.
    pub column: usize,
    /// The part of the line that breaks the rule.
    pub text: &'s [u8],
    /// The index of the media section, counted from 0 like `sdpMLineIndex`; `None`: the session.
    pub media: Option<usize>,
    /// The `mid` of the media section, if it has one.
    pub mid: Option<&'s str>,
    /// The earlier line that this one contradicts or repeats, counted from 1.
    pub other: Option<usize>,
}

impl Finding<'_> {
    /// Returns the severity of the rule.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.rule.severity()
    }

    /// Returns the text of the finding without line, column and RFC section.
    #[must_use]
    pub const fn message(&self) -> Message<'_> {
        Message(self)
    }
}

/// Writes `line 8, column 10: mid 0: a second a=rtpmap … (RFC 8866 §6.6)`.
impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {} ({})", self.line, self.column, self.message(), self.clause)
    }
}

/// The text of a [`Finding`] without line, column and RFC section.
#[derive(Clone, Copy, Debug)]
pub struct Message<'f>(&'f Finding<'f>);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { rule, text, media, mid, other, .. } = self.0;
        match (media, mid) {
            (_, Some(mid)) => write!(f, "mid {mid}: ")?,
            (Some(media), None) => write!(f, "m-line {media}: ")?,
            (None, None) => f.write_str("session: ")?,
        }
        f.write_str(rule.meaning())?;
        let shown = text.get(..LONGEST_TEXT).unwrap_or(text);
        let more = if shown.len() < text.len() { "…" } else { "" };
        write!(f, ": {}{more}", shown.escape_ascii())?;
        other.map_or(Ok(()), |line| write!(f, " (the other one: line {line})"))
    }
}

/// The number of bytes of the text that a message shows.
const LONGEST_TEXT: usize = 60;

/// Returns the broken rules of a description, in the order of its lines; an empty list if there is none.
///
/// The time is proportional to the length of the description, but for the logarithm of the maps. A line gives at most
/// one finding for each rule and each word.
#[must_use]
pub fn lint<'s>(session: &'s Session<'s>) -> Vec<Finding<'s>> {
    let view = View::new(session);
    let mut report = Report(Vec::new());
    for part in view.all() {
        repeated::check(part, &mut report);
        level::check(part, &mut report);
        address::check(part, &mut report);
        format::check(part, &mut report);
        stream::check(part, &mut report);
        transport::check(&view, part, &mut report);
    }
    transport::check_session(&view, &mut report);
    bundle::check(&view, &mut report);
    // The sort is stable.
    report.0.sort_by_key(|finding| (finding.line, finding.column));
    report.0
}

/// The findings so far.
struct Report<'s>(Vec<Finding<'s>>);

impl<'s> Report<'s> {
    /// Adds a finding about a part of a line.
    fn add(&mut self, part: &Part<'s>, rule: Rule, line: crate::line::Line<'s>, mark: Range<usize>) {
        self.add_beside(part, rule, line, mark, None);
    }

    /// Adds a finding about a part of a line that contradicts or repeats another line.
    fn add_beside(
        &mut self,
        part: &Part<'s>,
        rule: Rule,
        line: crate::line::Line<'s>,
        mark: Range<usize>,
        other: Option<usize>,
    ) {
        self.0.push(Finding {
            rule,
            clause: rule.clause(),
            line: line.index() + 1,
            column: mark.start + 1,
            text: line.text().get(mark).unwrap_or_default(),
            media: part.media,
            mid: part.mid,
            other,
        });
    }

    /// Cites the section that defines the attribute in the finding that was added last.
    fn cite(&mut self, clause: Option<Citation>) {
        if let (Some(last), Some(clause)) = (self.0.last_mut(), clause) {
            last.clause = clause;
        }
    }
}
