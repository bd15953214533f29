//! Explains the decision on each section of an answer, in words and with the section of the RFC.
//!
//! ```
//! use portolan_sdp::offer_answer::{Explanation, SectionOutcome, Refusal};
//!
//! let outcome = SectionOutcome::Refused(Refusal::NoCommonFormat);
//! let explanation = Explanation { media: 1, outcome, notes: Vec::new() };
//! assert_eq!(explanation.to_string(), "m-line 1 refused: no common codec");
//! assert_eq!(explanation.outcome.clause().to_string(), "RFC 3264 §6.1");
//! ```

use super::codecs::OmissionReason;
use crate::attribute::Direction;
use crate::error::{Citation, Found, TypedError};
use alloc::vec::Vec;
use core::fmt;

/// The result for one offered media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The index of the section, counted from 0 like `sdpMLineIndex`.
    pub media: usize,
    /// Accepted or refused.
    pub outcome: SectionOutcome,
    /// The decisions within the section, in order.
    pub notes: Vec<Decision>,
}

/// Writes `m-line 1 refused: no common codec`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m-line {} {}", self.media, self.outcome)
    }
}

/// Accepted or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionOutcome {
    /// Accepted.
    Accepted {
        /// The number of answered formats.
        formats: usize,
        /// The number of offered formats.
        of: usize,
        /// The direction of the media from the view of the answerer; `None` for data channels.
        direction: Option<Direction>,
    },
    /// Refused: answered with port 0.
    Refused(Refusal),
}

impl SectionOutcome {
    /// Returns the section of the RFC for the result.
    #[must_use]
    pub const fn clause(&self) -> Citation {
        match self {
            Self::Accepted { .. } => Citation::new("RFC 3264", "6.1"),
            Self::Refused(refusal) => refusal.clause(),
        }
    }
}

impl fmt::Display for SectionOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { formats, of, direction: Some(direction) } => {
                write!(f, "accepted: {formats} of {of} formats, {direction}")
            }
            Self::Accepted { direction: None, .. } => f.write_str("accepted: data channels"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
        }
    }
}

/// Why a section is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The section is offered with port 0.
    #[error("it was removed, its port is 0")]
    Removed,
    /// A required line cannot be parsed.
    #[error("{0}")]
    Unreadable(TypedError),
    /// The capabilities have no entry for this kind of media.
    #[error("this kind of media is not supported")]
    Kind,
    /// The capabilities refuse this kind of media.
    #[error("the endpoint declines it")]
    Declined,
    /// The protocol of the `m=` line is not supported.
    #[error("the protocol is not supported")]
    Protocol,
    /// The section has a multicast address. All participants of a multicast session share one description.
    #[error("multicast is not supported")]
    Multicast,
    /// No offered codec is supported.
    #[error("no common codec")]
    NoCommonFormat,
    /// Data channels need `a=sctp-port`, or in old offers `a=sctpmap`.
    #[error("data channels without an SCTP port")]
    NoSctpPort,
    /// An earlier section has the same `a=mid`, which is not allowed.
    #[error("its a=mid is that of another section")]
    MidTwice,
    /// The bundle policy requires a bundle.
    #[error("it is not bundled with the first section, as the bundle policy asks for")]
    NotBundled,
    /// The offer has `bundle-only`, but the section is in no bundle.
    #[error("it is bundle-only, but in no bundle")]
    BundleOnly,
    /// The section whose transport it would use is refused.
    #[error("it is bundled with m-line {with}, which is refused")]
    BundleRefused {
        /// The index of that section.
        with: usize,
    },
    /// Multiplexed RTCP is required, but not offered.
    #[error("rtcp-mux is not offered")]
    NoRtcpMux,
    /// The offer has no ICE.
    #[error("ICE is not offered")]
    NoIce,
    /// The offer has no DTLS fingerprint.
    #[error("no fingerprint, so no DTLS, is offered")]
    NoFingerprint,
    /// The keys are in `a=crypto`, which is not supported, and the offer has no DTLS fingerprint.
    #[error("its keys are in a=crypto (SDES), which is not supported, and no fingerprint for DTLS is offered")]
    Crypto,
    /// No role answers the offered role.
    #[error("a=setup:holdconn must not be used with DTLS")]
    HoldConnection,
    /// There are more sections than transports.
    #[error("there is no transport left for it")]
    NoTransport,
    /// The next transport has no ICE credentials.
    #[error("its transport has no ICE credentials")]
    TransportWithoutIce,
    /// The next transport has no certificate.
    #[error("its transport has no certificate")]
    TransportWithoutDtls,
}

impl Refusal {
    /// Returns the section of the RFC for the refusal.
    #[must_use]
    pub const fn clause(&self) -> Citation {
        let (document, section) = match self {
            Self::Removed => ("RFC 3264", "8.2"),
            Self::Unreadable(error) => return error.error.clause,
            Self::Kind | Self::Declined | Self::NoTransport => ("RFC 3264", "6"),
            Self::Multicast => ("RFC 3264", "6.2"),
            Self::Protocol => ("RFC 9429", "5.1.2"),
            Self::NoCommonFormat => ("RFC 3264", "6.1"),
            Self::NoSctpPort => ("RFC 9429", "5.8.2"),
            Self::NotBundled | Self::BundleRefused { .. } => ("RFC 9429", "5.3.1"),
            Self::MidTwice => ("RFC 5888", "4"),
            Self::BundleOnly => ("RFC 9143", "6"),
            Self::NoRtcpMux => ("RFC 9429", "5.8.3"),
            Self::NoIce | Self::NoFingerprint | Self::TransportWithoutIce | Self::TransportWithoutDtls => {
                ("RFC 9429", "5.1.1")
            }
            Self::Crypto => ("RFC 4568", "5.1.2"),
            Self::HoldConnection => ("RFC 8842", "5.1"),
        };
        Citation::new(document, section)
    }
}

/// A decision within an accepted section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// A format is not answered.
    FormatOmitted {
        /// Its payload type.
        payload: u8,
        /// The reason.
        why: OmissionReason,
    },
    /// A header extension is not answered.
    ExtensionOmitted {
        /// Its identifier.
        id: u16,
    },
    /// The answer has fewer directions than the offer.
    Narrowed {
        /// The offered direction, from the view of the offerer.
        offered: Direction,
        /// The answered direction, from the view of the answerer.
        answered: Direction,
    },
    /// The section shares the transport of another section.
    BundledWith {
        /// The index of that section.
        media: usize,
    },
    /// Simulcast is offered or requested, and not answered.
    SimulcastOmitted,
    /// SCTP port 0 is offered and answered: there is no SCTP association.
    AssociationClosed,
    /// A line is ignored, because it cannot be parsed.
    LineUnreadable(TypedError),
    /// A line is ignored, because it repeats an attribute. Of repeated `a=rid` and `a=simulcast` lines none is used, of
    /// other attributes the first one.
    LineRepeated {
        /// The name of the attribute, or `c=`.
        name: &'static str,
        /// The line of the offer, counted from 1.
        line: usize,
        /// The section that has the attribute.
        clause: Citation,
    },
}

impl Decision {
    /// Returns the section of the RFC for the decision.
    #[must_use]
    pub const fn clause(&self) -> Citation {
        let (document, section) = match self {
            Self::FormatOmitted { .. } | Self::Narrowed { .. } => ("RFC 3264", "6.1"),
            Self::ExtensionOmitted { .. } => ("RFC 8285", "7"),
            Self::BundledWith { .. } => ("RFC 9143", "7.3"),
            Self::SimulcastOmitted => ("RFC 8853", "5.3.2"),
            Self::AssociationClosed => ("RFC 8841", "10.3"),
            Self::LineUnreadable(error) => return error.error.clause,
            Self::LineRepeated { clause, .. } => return *clause,
        };
        Citation::new(document, section)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormatOmitted { payload, why } => write!(f, "format {payload} left out: {why}"),
            Self::ExtensionOmitted { id } => write!(f, "header extension {id} left out"),
            Self::Narrowed { offered, answered } => write!(f, "{offered} was offered, {answered} is answered"),
            Self::BundledWith { media } => write!(f, "shares the transport of m-line {media}"),
            Self::SimulcastOmitted => f.write_str("simulcast left out"),
            Self::AssociationClosed => f.write_str("a=sctp-port:0 closes the SCTP association, and is answered with 0"),
            Self::LineUnreadable(TypedError { line, column, error }) => {
                write!(
                    f,
                    "line {line} is ignored: at column {column} expected {}, found {}",
                    error.expected,
                    Found(error.found)
                )
            }
            Self::LineRepeated { name: "rid" | "simulcast", line, .. } => {
                write!(f, "line {line} repeats an attribute that may occur once: none of its lines is used")
            }
            Self::LineRepeated { name, line, .. } => write!(f, "line {line} repeats {name}: the first line is used"),
        }
    }
}
