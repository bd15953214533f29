//! Why each section of an answer is what it is, in words and with the section of the RFC.
//!
//! ```
//! use portolan_sdp::offer_answer::{Explanation, SectionOutcome, Refusal};
//!
//! let outcome = SectionOutcome::Refused(Refusal::NoCommonFormat);
//! let explanation = Explanation { media: 1, outcome, notes: Vec::new() };
//! assert_eq!(explanation.to_string(), "m-line 1 refused: no common codec");
//! assert_eq!(explanation.outcome.clause().to_string(), "RFC 3264 §6.1");
//! ```

use super::codecs::LeftOut;
use crate::attribute::Direction;
use crate::error::{Citation, TypedError};
use alloc::vec::Vec;
use core::fmt;

/// What became of one offered media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Which section, counted from 0 as `sdpMLineIndex` does.
    pub media: usize,
    /// Taken or refused.
    pub outcome: SectionOutcome,
    /// What was decided on the way, in order.
    pub notes: Vec<Decision>,
}

/// `m-line 1 refused: no common codec`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m-line {} {}", self.media, self.outcome)
    }
}

/// Taken or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionOutcome {
    /// Taken.
    Accepted {
        /// How many of the offered formats are answered.
        formats: usize,
        /// How many there are.
        of: usize,
        /// Which way the media goes, seen from the answerer; none for data channels.
        direction: Option<Direction>,
    },
    /// Answered with port 0.
    Refused(Refusal),
}

impl SectionOutcome {
    /// The section that decides it.
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
    /// It is offered with port 0.
    #[error("it was removed, its port is 0")]
    Removed,
    /// A line that cannot be done without cannot be read.
    #[error("{0}")]
    Unreadable(TypedError),
    /// Nothing is known of this kind of media.
    #[error("this kind of media is not supported")]
    Kind,
    /// The capabilities say so.
    #[error("it is not wanted")]
    Declined,
    /// The protocol of the `m=` line is not known.
    #[error("the protocol is not supported")]
    Protocol,
    /// It goes to a multicast address; whoever is in such a session has the one description of it.
    #[error("multicast is not supported")]
    Multicast,
    /// No offered codec is supported.
    #[error("no common codec")]
    NoCommonFormat,
    /// Data channels need `a=sctp-port`, or in old offers `a=sctpmap`.
    #[error("data channels without an SCTP port")]
    NoSctpPort,
    /// Its `a=mid` is that of a section before it, which must not be.
    #[error("its a=mid is that of another section")]
    MidTwice,
    /// The bundle policy takes it in a bundle only.
    #[error("it is not bundled with the first section, as the bundle policy asks for")]
    NotBundled,
    /// It is offered in a bundle only, and there is none.
    #[error("it is offered in a bundle only, and is in none")]
    BundleOnly,
    /// The section whose transport it would use is refused.
    #[error("it is bundled with m-line {with}, which is refused")]
    BundleRefused {
        /// That section.
        with: usize,
    },
    /// RTCP on the port of RTP is required, and not offered.
    #[error("rtcp-mux is not offered")]
    NoRtcpMux,
    /// The other end has no ICE.
    #[error("ICE is not offered")]
    NoIce,
    /// The other end has no key for DTLS.
    #[error("no fingerprint, so no DTLS, is offered")]
    NoFingerprint,
    /// The offered role can be answered by none.
    #[error("a=setup:holdconn cannot be answered with DTLS")]
    HoldConnection,
    /// There are more sections than transports.
    #[error("there is no transport left for it")]
    NoTransport,
    /// The transport that it would take has no ICE credentials.
    #[error("its transport has no ICE credentials")]
    TransportWithoutIce,
    /// The transport that it would take has no certificate.
    #[error("its transport has no certificate")]
    TransportWithoutDtls,
}

impl Refusal {
    /// The section that decides it.
    #[must_use]
    pub const fn clause(&self) -> Citation {
        let (document, section) = match self {
            Self::Removed => ("RFC 3264", "8.2"),
            Self::Unreadable(error) => return error.error.clause,
            Self::Kind | Self::Declined | Self::NoTransport => ("RFC 3264", "6"),
            Self::Multicast => ("RFC 3264", "6.2"),
            Self::Protocol => ("RFC 8829", "5.1.2"),
            Self::NoCommonFormat => ("RFC 3264", "6.1"),
            Self::NoSctpPort => ("RFC 8829", "5.8.2"),
            Self::NotBundled | Self::BundleRefused { .. } => ("RFC 8829", "5.3.1"),
            Self::MidTwice => ("RFC 5888", "4"),
            Self::BundleOnly => ("RFC 9143", "6"),
            Self::NoRtcpMux => ("RFC 8829", "5.8.3"),
            Self::NoIce | Self::NoFingerprint | Self::TransportWithoutIce | Self::TransportWithoutDtls => {
                ("RFC 8829", "5.1.1")
            }
            Self::HoldConnection => ("RFC 5763", "5"),
        };
        Citation::new(document, section)
    }
}

/// A decision within an accepted section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// A format is not answered.
    FormatLeftOut {
        /// Its payload type.
        payload: u8,
        /// Why.
        why: LeftOut,
    },
    /// A header extension is not answered.
    ExtensionLeftOut {
        /// Its number.
        id: u16,
    },
    /// Media goes fewer ways than the offer would have it.
    Narrowed {
        /// What was offered, seen from the offerer.
        offered: Direction,
        /// What is answered, seen from the answerer.
        answered: Direction,
    },
    /// It shares the transport of another section.
    BundledWith {
        /// That section.
        media: usize,
    },
    /// Several versions of one source are offered or asked for, and not answered.
    SimulcastLeftOut,
}

impl Decision {
    /// The section that the decision follows.
    #[must_use]
    pub const fn clause(&self) -> Citation {
        let (document, section) = match self {
            Self::FormatLeftOut { .. } | Self::Narrowed { .. } => ("RFC 3264", "6.1"),
            Self::ExtensionLeftOut { .. } => ("RFC 8285", "7"),
            Self::BundledWith { .. } => ("RFC 9143", "7.3"),
            Self::SimulcastLeftOut => ("RFC 8853", "5.3.2"),
        };
        Citation::new(document, section)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormatLeftOut { payload, why } => write!(f, "format {payload} left out: {why}"),
            Self::ExtensionLeftOut { id } => write!(f, "header extension {id} left out"),
            Self::Narrowed { offered, answered } => write!(f, "{offered} was offered, {answered} is answered"),
            Self::BundledWith { media } => write!(f, "shares the transport of m-line {media}"),
            Self::SimulcastLeftOut => f.write_str("simulcast left out"),
        }
    }
}
