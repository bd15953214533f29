//! Diagnostics: each deviation of a description with its position, its rule, and advice how to correct it.
//!
//! ```
//! use portolan_sdp::Reader;
//! use portolan_sdp::diagnostic::Severity;
//!
//! // A camera's description: no name, and lines that end with LF alone.
//! let reading = Reader::lenient().read(b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=\nt=0 0\n")?;
//! let messages: Vec<String> = reading.diagnostics.iter().map(ToString::to_string).collect();
//! assert_eq!(messages, [
//!     "line 1, column 4: the line ends with LF alone, not with CR and LF (RFC 8866 §5)",
//!     "line 3, column 3: s= is empty (RFC 8866 §5.3)",
//! ]);
//! let severities: Vec<Severity> = reading.diagnostics.iter().map(|diagnostic| diagnostic.rule.severity()).collect();
//! assert_eq!(severities, [Severity::Remark, Severity::Deviation], "RFC 8866 asks readers to accept LF");
//! # Ok::<(), portolan_sdp::diagnostic::Diagnostic>(())
//! ```

use crate::error::{Citation, Found, Span, ValueError};
use crate::line::Kind;
use core::fmt;

/// One deviation or remark, with its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("line {line}, column {column}: {rule} ({})", .rule.clause())]
pub struct Diagnostic {
    /// The line, counted from 1. A missing line is reported at the line where it belongs.
    pub line: usize,
    /// The byte in the line, counted from 1.
    pub column: usize,
    /// The range of bytes in the text; empty if something is missing.
    pub span: Span,
    /// The rule.
    pub rule: Rule,
}

/// The severity of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Allowed by RFC 8866, but worth reporting.
    Remark,
    /// Discouraged by an RFC, or forbidden although endpoints handle it. Only the rules of [`lint`](mod@crate::lint)
    /// have this severity.
    Warning,
    /// Not allowed by RFC 8866. A strict reader refuses the text; a lenient reader continues.
    Deviation,
    /// Every reader refuses it.
    Fatal,
}

/// The kind of a limit of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Bytes of the description.
    Bytes,
    /// Lines.
    Lines,
    /// `a=` lines in one section.
    Attributes,
    /// Media descriptions.
    Media,
}

/// The rule that a description breaks, or a remark about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A line ends with LF alone. Reported once for a description.
    LineFeed,
    /// A line ends with CR alone. Reported once for a description.
    CarriageReturn,
    /// The last line has no ending.
    NoFinalEnding,
    /// A line holds a NUL byte.
    Nul,
    /// A line is empty.
    Blank,
    /// A line does not begin with a letter and `=`.
    NoLetter,
    /// RFC 8866 does not define the letter.
    UnknownKind(Kind),
    /// The first line is not `v=`.
    VersionNotFirst,
    /// A required line is missing.
    Missing(Kind),
    /// A second line of a kind that may occur only once.
    Repeated(Kind),
    /// A line stands after a line that must follow it.
    OutOfOrder {
        /// The line that is out of order.
        kind: Kind,
        /// The line that it follows.
        after: Kind,
    },
    /// A line of the session stands in a media description.
    NotInMedia(Kind),
    /// Neither the session nor this media description has `c=`. RFC 8866 §5.7 requires one. No reader refuses the
    /// description: with ICE many endpoints leave `c=` out, because ICE finds the addresses.
    NoConnection,
    /// A line that needs a value is empty.
    Empty(Kind),
    /// The value of a line does not match its grammar.
    Value {
        /// The line.
        kind: Kind,
        /// The error of its value.
        error: ValueError,
    },
    /// No line has the form letter and `=`: the text is not a session description.
    NotADescription,
    /// The text exceeds a limit of the reader.
    Limit {
        /// The kind of the limit.
        kind: LimitKind,
        /// The limit.
        most: usize,
    },
}

impl Rule {
    /// Returns the severity.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::LineFeed | Self::NoConnection => Severity::Remark,
            Self::NotADescription | Self::Limit { .. } => Severity::Fatal,
            Self::CarriageReturn
            | Self::NoFinalEnding
            | Self::Nul
            | Self::Blank
            | Self::NoLetter
            | Self::UnknownKind(_)
            | Self::VersionNotFirst
            | Self::Missing(_)
            | Self::Repeated(_)
            | Self::OutOfOrder { .. }
            | Self::NotInMedia(_)
            | Self::Empty(_)
            | Self::Value { .. } => Severity::Deviation,
        }
    }

    /// Returns a short name for programs, which does not change between versions.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LineFeed => "line-feed",
            Self::CarriageReturn => "carriage-return",
            Self::NoFinalEnding => "no-final-ending",
            Self::Nul => "nul",
            Self::Blank => "blank-line",
            Self::NoLetter => "no-letter",
            Self::UnknownKind(_) => "unknown-kind",
            Self::VersionNotFirst => "version-not-first",
            Self::Missing(_) => "missing",
            Self::Repeated(_) => "repeated",
            Self::OutOfOrder { .. } => "out-of-order",
            Self::NotInMedia(_) => "not-in-media",
            Self::NoConnection => "no-connection",
            Self::Empty(_) => "empty",
            Self::Value { .. } => "value",
            Self::NotADescription => "not-a-description",
            Self::Limit { .. } => "limit",
        }
    }

    /// Returns the section of the RFC that has the rule.
    #[must_use]
    pub const fn clause(&self) -> Citation {
        match self {
            Self::Missing(kind) | Self::Repeated(kind) | Self::Empty(kind) => kind.clause(),
            Self::VersionNotFirst => Citation::new("RFC 8866", "5.1"),
            Self::NoConnection => Citation::new("RFC 8866", "5.7"),
            Self::Value { error, .. } => error.clause,
            Self::LineFeed
            | Self::CarriageReturn
            | Self::Blank
            | Self::NoLetter
            | Self::UnknownKind(_)
            | Self::NotADescription
            | Self::Limit { .. } => Citation::new("RFC 8866", "5"),
            Self::NoFinalEnding | Self::Nul | Self::OutOfOrder { .. } | Self::NotInMedia(_) => {
                Citation::new("RFC 8866", "9")
            }
        }
    }

    /// Returns advice how to correct the deviation, in words.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::LineFeed | Self::CarriageReturn => "end each line with CR and LF",
            Self::NoFinalEnding => "end the last line with CR and LF too",
            Self::Nul => "remove the byte; no value may contain it",
            Self::Blank => "remove the empty line",
            Self::NoLetter => "write a letter and \"=\" without space between them",
            Self::UnknownKind(_) => "extensions are attributes: write a=NAME or a=NAME:VALUE",
            Self::VersionNotFirst => "begin with v=0",
            Self::Missing(Kind::Time) => "add t=0 0 for a session without limits",
            Self::Missing(Kind::Name) | Self::Empty(Kind::Name) => "a session without a name is s=-",
            Self::Missing(_) => "add it",
            Self::Repeated(_) => "keep one of them",
            Self::OutOfOrder { .. } => {
                "the order is v o s i u e p c b t r z k a, and in a media description m i c b k a"
            }
            Self::NotInMedia(_) => "move it before the first m=",
            Self::NoConnection => "add c= to the session or to this media description",
            Self::Empty(_) => "write a value, or leave the line out",
            Self::Value { .. } => "write the value as the section requires",
            Self::NotADescription => "a description begins with the line v=0",
            Self::Limit { .. } => "read it with higher limits if you trust its source",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineFeed => f.write_str("the line ends with LF alone, not with CR and LF"),
            Self::CarriageReturn => f.write_str("the line ends with CR alone, not with CR and LF"),
            Self::NoFinalEnding => f.write_str("the last line does not end with CR and LF"),
            Self::Nul => f.write_str("the line holds a NUL byte"),
            Self::Blank => f.write_str("the line is empty"),
            Self::NoLetter => f.write_str("the line does not begin with a letter and \"=\""),
            Self::UnknownKind(kind) => write!(f, "{kind} is no line of a session description"),
            Self::VersionNotFirst => f.write_str("the first line is not v="),
            Self::Missing(kind) => write!(f, "{kind} is missing"),
            Self::Repeated(kind) => write!(f, "{kind} occurs a second time"),
            Self::OutOfOrder { kind, after } => write!(f, "{kind} is out of order after {after}"),
            Self::NotInMedia(kind) => write!(f, "{kind} is not allowed in a media description"),
            Self::NoConnection => f.write_str("there is no c= for this media description"),
            Self::Empty(kind) => write!(f, "{kind} is empty"),
            Self::Value { kind, error } => {
                write!(f, "{kind} expected {}, found {}", error.expected, Found(error.found))
            }
            Self::NotADescription => f.write_str("this is no session description: no line is a letter and \"=\""),
            Self::Limit { kind, most } => {
                let word = match kind {
                    LimitKind::Bytes => "bytes",
                    LimitKind::Lines => "lines",
                    LimitKind::Attributes => "attributes in a section",
                    LimitKind::Media => "media descriptions",
                };
                write!(f, "more than {most} {word}")
            }
        }
    }
}
