//! What may be wrong with an answer, in words and with the section that says so.
//!
//! Rules of this file: a flaw is a MUST that was not kept, seen in the two descriptions alone; what is merely unusual is
//! none.

use crate::attribute::Direction;
use crate::error::{Citation, TypedError};
use core::fmt;

/// One thing that is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// Which media section, counted from 0 as `sdpMLineIndex` does; none: the session.
    pub media: Option<usize>,
    /// The line of the answer where that section begins, counted from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub flaw: Flaw,
}

/// `m-line 1: recvonly answers sendrecv … (RFC 3264 §6.1)`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.media {
            Some(media) => write!(f, "m-line {media}: {}", self.flaw)?,
            None => write!(f, "session: {}", self.flaw)?,
        }
        // What cannot be read has its section with it.
        if self.flaw.is_unreadable() { Ok(()) } else { write!(f, " ({})", self.flaw.clause()) }
    }
}

/// Writes the enum and its table of sections from one list.
macro_rules! flaws {
    ($($(#[$attribute:meta])* $name:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })? => $document:literal $section:literal;)*) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Flaw {
            /// A line of the answer that holds for its section, or for all, cannot be read.
            #[error("{0}")]
            Unreadable(TypedError),
            /// The offer cannot be read, so that nothing can be said of the answer.
            #[error("the offer: {0}")]
            Offer(TypedError),
            $($(#[$attribute])* $name $({ $($(#[$field_doc])* $field: $type),+ })?,)*
        }

        impl Flaw {
            const fn is_unreadable(&self) -> bool {
                matches!(self, Self::Unreadable(_) | Self::Offer(_))
            }

            /// A short name that stays the same, for programs: that of the variant.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    Self::Unreadable(_) => "Unreadable",
                    Self::Offer(_) => "Offer",
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }

            /// The section that says so.
            #[must_use]
            pub const fn clause(&self) -> Citation {
                match self {
                    Self::Unreadable(error) | Self::Offer(error) => error.error.clause,
                    $(Self::$name { .. } => Citation::new($document, $section),)*
                }
            }
        }
    };
}

flaws! {
    /// The answer has another number of media sections.
    #[error("{answered} media sections answer {offered}")]
    MediaCount {
        /// How many were offered.
        offered: usize,
        /// How many are answered.
        answered: usize,
    } => "RFC 3264" "6";
    /// The `t=` lines differ.
    #[error("the time is not that of the offer")]
    Time => "RFC 3264" "6";
    /// The descriptions differ, but their `o=` is one.
    #[error("o= is that of the offer, though the answer differs")]
    Origin => "RFC 3264" "6";
    /// The number or the version in `o=` does not fit 63 bits.
    #[error("the session id or version has more than 63 bits")]
    OriginNumber => "RFC 3264" "5";
    /// A bundle has a section that the offered one has not.
    #[error("a bundle has sections that the offer does not bundle")]
    BundleNotOffered => "RFC 9143" "7.3";
    /// A bundle names a section that is refused.
    #[error("a refused section is in a bundle")]
    BundleOfRefused => "RFC 9143" "7.3.3";
    /// A group names a section that there is not.
    #[error("a group names a section that there is not")]
    GroupUnknown => "RFC 5888" "9.1";
    /// A lite implementation tells a pace.
    #[error("a=ice-pacing of a lite implementation, which does not check")]
    PacingOfLite => "RFC 8839" "4.3.2";
    /// The kind of media is another one.
    #[error("the kind of media is not that of the offer")]
    Kind => "RFC 3264" "6.1";
    /// The protocol is another one.
    #[error("the protocol is not that of the offer")]
    Protocol => "RFC 8829" "5.8.3";
    /// A section that was removed is taken.
    #[error("the section was offered with port 0, and is not refused")]
    RemovedTaken => "RFC 3264" "8.2";
    /// None of the formats was offered.
    #[error("no format is one of the offer's")]
    NoOfferedFormat => "RFC 3264" "6.1";
    /// The formats of data channels are others.
    #[error("the formats are not exactly those of the offer")]
    DataFormats => "RFC 8829" "5.3.1";
    /// A payload type that is not static has no `a=rtpmap`.
    #[error("payload type {payload} has no a=rtpmap")]
    NoRtpmap {
        /// The payload type.
        payload: u8,
    } => "RFC 3264" "6.1";
    /// A payload type means another codec than in the offer.
    #[error("payload type {payload} is another codec than in the offer")]
    Remapped {
        /// The payload type.
        payload: u8,
    } => "RFC 3264" "8.3.2";
    /// A format is configured otherwise than in the offer.
    #[error("payload type {payload} is not configured as in the offer")]
    Configuration {
        /// The payload type.
        payload: u8,
    } => "RFC 3264" "6.1";
    /// A retransmission of a format that is not answered.
    #[error("payload type {payload} repeats one that is not answered")]
    RetransmitsNothing {
        /// The payload type.
        payload: u8,
    } => "RFC 8829" "5.10";
    /// The direction is none that the offer allows.
    #[error("{answered} answers {offered}")]
    Direction {
        /// What was offered.
        offered: Direction,
        /// What is answered.
        answered: Direction,
    } => "RFC 3264" "6.1";
    /// Multicast answers unicast.
    #[error("a multicast address answers a unicast one")]
    MulticastAnswered => "RFC 3264" "6.1";
    /// A multicast stream is described otherwise than in the offer.
    #[error("address, port, direction or formats of a multicast stream differ from the offer")]
    MulticastChanged => "RFC 3264" "6.2";
    /// `a=mid` is another one, or is missing.
    #[error("a=mid is not that of the offer")]
    Mid => "RFC 5888" "9.1";
    /// `a=bundle-only` has no meaning in an answer.
    #[error("a=bundle-only in an answer")]
    BundleOnlyAnswered => "RFC 8829" "5.3.1";
    /// A section that is offered in a bundle only is taken outside of any.
    #[error("the section is offered in a bundle only, and is taken outside of any")]
    BundleOnlyAlone => "RFC 9143" "6";
    /// There is DTLS, but no role.
    #[error("DTLS without a=setup")]
    NoSetup => "RFC 5763" "5";
    /// An answer must choose.
    #[error("a=setup:actpass in an answer")]
    SetupOpen => "RFC 4145" "4.1";
    /// Both wait, or both begin.
    #[error("a=setup is the same role as in the offer")]
    SetupConflict => "RFC 4145" "4.1";
    /// There is DTLS, but no fingerprint.
    #[error("DTLS without a=fingerprint")]
    NoFingerprint => "RFC 8829" "5.8.3";
    /// ICE and DTLS were offered, and there are no credentials.
    #[error("neither a=ice-ufrag nor a=ice-pwd, though ICE is offered")]
    NoIce => "RFC 8829" "5.8.3";
    /// One of the credentials is there without the other.
    #[error("one of a=ice-ufrag and a=ice-pwd without the other")]
    HalfIce => "RFC 8839" "5.4";
    /// ICE was not offered.
    #[error("ICE is answered, and was not offered")]
    IceNotOffered => "RFC 8839" "4.3.2";
    /// `a=remote-candidates` is for offers.
    #[error("a=remote-candidates in an answer")]
    RemoteCandidates => "RFC 8839" "4.4.2";
    /// RTCP is multiplexed, and that was not offered.
    #[error("a=rtcp-mux is answered, and was not offered")]
    MuxNotOffered => "RFC 8035" "3";
    /// Multiplexed RTCP was offered as the only way, and is not answered.
    #[error("a=rtcp-mux-only is offered, and a=rtcp-mux is not answered")]
    MuxMissing => "RFC 8858" "4.3";
    /// `a=rtcp-mux-only` is for offers.
    #[error("a=rtcp-mux-only in an answer")]
    MuxOnlyAnswered => "RFC 8858" "4.3";
    /// RTCP of reduced size was not offered.
    #[error("a=rtcp-rsize is answered, and was not offered")]
    ReducedSizeNotOffered => "RFC 5506" "5";
    /// A feedback was not offered.
    #[error("feedback of {} was not offered", Formats(*.payload))]
    FeedbackNotOffered {
        /// The payload type; none: it is for all.
        payload: Option<u8>,
    } => "RFC 8829" "5.11";
    /// A header extension has another number than in the offer, or the number of another one.
    #[error("header extension {id} has another number in the offer, or is another there")]
    ExtensionRenumbered {
        /// Its number in the answer.
        id: u16,
    } => "RFC 8285" "7";
    /// Two header extensions of a section have one number.
    #[error("header extension {id} is there twice")]
    ExtensionTwice {
        /// The number.
        id: u16,
    } => "RFC 8285" "7";
    /// A header extension goes a way that the offer does not allow.
    #[error("header extension {id} goes a way that was not offered")]
    ExtensionDirection {
        /// Its number.
        id: u16,
    } => "RFC 8285" "7";
    /// Header extensions of both lengths in one stream were not offered.
    #[error("a=extmap-allow-mixed is answered, and was not offered")]
    MixedNotOffered => "RFC 8285" "6";
    /// Versions are answered, and were not offered, or not that way.
    #[error("a=simulcast answers what was not offered")]
    SimulcastNotOffered => "RFC 8853" "5.3.2";
    /// A version has no `a=rid` of its direction.
    #[error("a=simulcast names a version that no a=rid describes")]
    SimulcastWithoutRid => "RFC 8829" "5.8.3";
    /// An `a=rid` is none of the offer's, seen from the other side.
    #[error("a=rid is none of the offer's reversed")]
    RidNotReversed => "RFC 8851" "6.3";
    /// Data channels without a port.
    #[error("data channels without a=sctp-port")]
    NoSctpPort => "RFC 8829" "5.8.2";
}

struct Formats(Option<u8>);

impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(payload) => write!(f, "payload type {payload}"),
            None => f.write_str("all formats"),
        }
    }
}
