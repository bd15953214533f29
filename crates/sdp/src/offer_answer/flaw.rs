//! Violations of the RFCs in an answer, in words and with the section of the RFC.
//!
//! Rules of this file: a flaw is a violated MUST that is visible in the two descriptions alone. Unusual contents are no
//! flaw.

use crate::attribute::Direction;
use crate::error::{Citation, TypedError};
use crate::lint::Rule;
use alloc::string::String;
use core::fmt;

/// One violation in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The index of the media section, counted from 0 like `sdpMLineIndex`; `None`: the session.
    pub media: Option<usize>,
    /// The line of the answer with the violation, counted from 1. If a line is missing, this is the `m=` line of its
    /// section, or line 1. For [`Flaw::Offer`] it is the line of the offer.
    pub line: usize,
    /// The byte in the line, counted from 1.
    pub column: usize,
    /// The violation.
    pub flaw: Flaw,
}

/// Writes `m-line 1: recvonly answers sendrecv … (RFC 3264 §6.1)`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.media {
            Some(media) => write!(f, "m-line {media}: {}", self.flaw)?,
            None => write!(f, "session: {}", self.flaw)?,
        }
        // A parse error includes its RFC section.
        if self.flaw.is_unreadable() { Ok(()) } else { write!(f, " ({})", self.flaw.clause()) }
    }
}

/// Generates the enum and its table of RFC sections from one list.
macro_rules! flaws {
    ($($(#[$attribute:meta])* $name:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })? => $document:literal $section:literal $(, $rule:ident)?;)*) => {
        /// A violation.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Flaw {
            /// A line of the answer cannot be parsed.
            #[error("{0}")]
            Unreadable(TypedError),
            /// A line of the offer that is needed for the comparison cannot be parsed.
            #[error("the offer: {0}")]
            Offer(TypedError),
            $($(#[$attribute])* $name $({ $($(#[$field_doc])* $field: $type),+ })?,)*
        }

        impl Flaw {
            const fn is_unreadable(&self) -> bool {
                matches!(self, Self::Unreadable(_) | Self::Offer(_))
            }

            /// Returns a short name for programs, which does not change between versions: the name of the variant.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    Self::Unreadable(_) => "Unreadable",
                    Self::Offer(_) => "Offer",
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }

            /// Returns the section of the RFC that is violated.
            #[must_use]
            pub const fn clause(&self) -> Citation {
                match self {
                    Self::Unreadable(error) | Self::Offer(error) => error.error.clause,
                    $(Self::$name { .. } => Citation::new($document, $section),)*
                }
            }

            /// Returns the rule of [`lint`](mod@crate::lint) that finds the same violation in the answer alone.
            #[must_use]
            pub fn rule(&self) -> Option<Rule> {
                match self {
                    Self::Unreadable(_) | Self::Offer(_) => None,
                    $(Self::$name { .. } => [$(Rule::$rule)?].first().copied(),)*
                }
            }
        }
    };
}

flaws! {
    /// The number of media sections differs from the offer.
    #[error("{answered} media sections answer {offered}")]
    MediaCount {
        /// The number of offered sections.
        offered: usize,
        /// The number of answered sections.
        answered: usize,
    } => "RFC 3264" "6";
    /// The `t=` lines differ.
    #[error("the time is not that of the offer")]
    Time => "RFC 3264" "6";
    /// The descriptions differ, but their `o=` lines are equal.
    #[error("o= is that of the offer, though the answer differs")]
    Origin => "RFC 3264" "6";
    /// The session id or the version in `o=` does not fit 63 bits.
    #[error("the session id or version has more than 63 bits")]
    OriginNumber => "RFC 3264" "5";
    /// A bundle has a section that is not in the offered bundle.
    #[error("the bundle has {mids}, which the offer does not have in that bundle")]
    BundleNotOffered {
        /// The `mid` of each such section, separated by spaces.
        mids: String,
    } => "RFC 9143" "7.3";
    /// A bundle has a refused section.
    #[error("the bundle has {mids}, which is refused")]
    BundleOfRefused {
        /// The `mid` of each such section, separated by spaces.
        mids: String,
    } => "RFC 9143" "7.3.3", GroupRemovedMedia;
    /// A group has a `mid` that no section has.
    #[error("the group has the mid {mids}, which no section has")]
    GroupUnknown {
        /// Each such `mid`, separated by spaces.
        mids: String,
    } => "RFC 5888" "9.2", GroupUnknownMid;
    /// A lite implementation writes `a=ice-pacing`.
    #[error("a=ice-pacing of a lite implementation, which sends no checks")]
    PacingOfLite => "RFC 8839" "4.3.2", LitePacing;
    /// The kind of media differs from the offer.
    #[error("the kind of media is not that of the offer")]
    Kind => "RFC 3264" "6.1";
    /// The protocol differs from the offer.
    #[error("the protocol is not that of the offer")]
    Protocol => "RFC 9429" "5.8.3";
    /// A removed section is accepted.
    #[error("the section was offered with port 0, and is not refused")]
    RemovedTaken => "RFC 3264" "8.2";
    /// No format is one of the offered formats.
    #[error("no format is one of the offer's")]
    NoOfferedFormat => "RFC 3264" "6.1";
    /// The formats of data channels differ from the offer.
    #[error("the formats are not exactly those of the offer")]
    DataFormats => "RFC 9429" "5.3.1";
    /// A dynamic payload type has no `a=rtpmap`.
    #[error("payload type {payload} has no a=rtpmap")]
    NoRtpmap {
        /// The payload type.
        payload: u8,
    } => "RFC 3264" "6.1", NoRtpmap;
    /// A payload type has another codec than in the offer.
    #[error("payload type {payload} is another codec than in the offer")]
    Remapped {
        /// The payload type.
        payload: u8,
    } => "RFC 3264" "8.3.2";
    /// A format has another configuration than in the offer.
    #[error("payload type {payload} is not configured as in the offer")]
    Configuration {
        /// The payload type.
        payload: u8,
    } => "RFC 3264" "6.1";
    /// An H.264 format has a higher level than in the offer, although one side does not allow different levels.
    #[error("payload type {payload} has a higher level than in the offer, without level-asymmetry-allowed=1 on both sides")]
    LevelRaised {
        /// The payload type.
        payload: u8,
    } => "RFC 6184" "8.2.2";
    /// A retransmission format repeats a format that is not answered.
    #[error("payload type {payload} repeats one that is not answered")]
    RetransmitsNothing {
        /// The payload type.
        payload: u8,
    } => "RFC 9429" "5.10", AptUnknownFormat;
    /// The offered direction does not allow this one.
    #[error("{answered} answers {offered}")]
    Direction {
        /// The offered direction.
        offered: Direction,
        /// The answered direction.
        answered: Direction,
    } => "RFC 3264" "6.1";
    /// Multicast and unicast are mixed.
    #[error("a multicast address answers a unicast one")]
    MulticastAnswered => "RFC 3264" "6.1";
    /// A multicast stream differs from its description in the offer.
    #[error("address, port, direction or formats of a multicast stream differ from the offer")]
    MulticastChanged => "RFC 3264" "6.2";
    /// `a=mid` differs from the offer, or is missing.
    #[error("a=mid is not that of the offer")]
    Mid => "RFC 5888" "9.1";
    /// `a=bundle-only` has no meaning in an answer.
    #[error("a=bundle-only in an answer")]
    BundleOnlyAnswered => "RFC 9429" "5.3.1";
    /// A `bundle-only` section is accepted outside of any bundle.
    #[error("the section is bundle-only, but accepted outside of a bundle")]
    BundleOnlyAlone => "RFC 9143" "7.3.2";
    /// There is DTLS, but no `a=setup`.
    #[error("DTLS without a=setup")]
    NoSetup => "RFC 8842" "5.3", NoSetup;
    /// The answer has `a=setup:actpass`, but must choose a role.
    #[error("a=setup:actpass in an answer")]
    SetupOpen => "RFC 4145" "4.1";
    /// Both endpoints are active, or both are passive.
    #[error("a=setup is the same role as in the offer")]
    SetupConflict => "RFC 4145" "4.1";
    /// The answer has `a=setup:holdconn` with DTLS.
    #[error("a=setup:holdconn with DTLS")]
    HoldConnection => "RFC 8842" "5.1", HoldConnection;
    /// The offer has `a=setup:holdconn` with DTLS, and the section is not refused.
    #[error("the offer has a=setup:holdconn with DTLS, and the section is not refused")]
    OfferedHoldConnection => "RFC 8842" "5.1";
    /// An SRTP section is accepted without `a=crypto`, which is offered, and without a DTLS fingerprint.
    #[error("neither a=crypto nor a=fingerprint, though a=crypto is offered")]
    NoCrypto => "RFC 4568" "5.1.2";
    /// There is more than one `a=crypto`.
    #[error("a second a=crypto in an answer")]
    CryptoTwice => "RFC 4568" "5.1.2";
    /// An `a=crypto` has a tag that is not offered, or another suite than the offered one.
    #[error("a=crypto with tag {tag} is not offered with this suite")]
    CryptoNotOffered {
        /// The tag.
        tag: u32,
    } => "RFC 4568" "5.1.3";
    /// `a=tls-id` was not offered.
    #[error("a=tls-id is answered, and was not offered")]
    TlsIdNotOffered => "RFC 8842" "5.3";
    /// There is DTLS, but no fingerprint.
    #[error("DTLS without a=fingerprint")]
    NoFingerprint => "RFC 9429" "5.8.3", NoFingerprint;
    /// ICE and DTLS were offered, but the answer has no ICE credentials.
    #[error("neither a=ice-ufrag nor a=ice-pwd, though ICE is offered")]
    NoIce => "RFC 9429" "5.8.3";
    /// Only one of the two ICE credentials is present.
    #[error("one of a=ice-ufrag and a=ice-pwd without the other")]
    HalfIce => "RFC 8839" "5.4", HalfIceCredentials;
    /// ICE was not offered.
    #[error("ICE is answered, and was not offered")]
    IceNotOffered => "RFC 8839" "4.3.2";
    /// `a=remote-candidates` is allowed in offers only.
    #[error("a=remote-candidates in an answer")]
    RemoteCandidates => "RFC 8839" "4.4.2";
    /// RTCP is multiplexed, but this was not offered.
    #[error("a=rtcp-mux is answered, and was not offered")]
    MuxNotOffered => "RFC 8035" "3";
    /// `a=rtcp-mux-only` was offered, but RTCP is not multiplexed.
    #[error("a=rtcp-mux-only is offered, and a=rtcp-mux is not answered")]
    MuxMissing => "RFC 8858" "4.3";
    /// `a=rtcp-mux-only` is allowed in offers only.
    #[error("a=rtcp-mux-only in an answer")]
    MuxOnlyAnswered => "RFC 8858" "4.3";
    /// Reduced-size RTCP was not offered.
    #[error("a=rtcp-rsize is answered, and was not offered")]
    ReducedSizeNotOffered => "RFC 5506" "5";
    /// An RTCP feedback was not offered.
    #[error("feedback of {} was not offered", Formats(*.payload))]
    FeedbackNotOffered {
        /// The payload type; `None`: all.
        payload: Option<u8>,
    } => "RFC 9429" "5.11";
    /// A header extension has another identifier than in the offer, or the identifier of another extension.
    #[error("header extension {id} has another number in the offer, or is another there")]
    ExtensionRenumbered {
        /// Its identifier in the answer.
        id: u16,
    } => "RFC 8285" "7";
    /// Two header extensions of a section have the same identifier.
    #[error("header extension {id} is there twice")]
    ExtensionTwice {
        /// The identifier.
        id: u16,
    } => "RFC 8285" "7", ExtensionIdTwice;
    /// A header extension has a direction that the offer does not allow.
    #[error("header extension {id} goes a way that was not offered")]
    ExtensionDirection {
        /// Its identifier.
        id: u16,
    } => "RFC 8285" "7";
    /// `a=extmap-allow-mixed` was not offered.
    #[error("a=extmap-allow-mixed is answered, and was not offered")]
    MixedNotOffered => "RFC 8285" "6";
    /// Simulcast streams are answered that were not offered, or not in that direction.
    #[error("a=simulcast answers what was not offered")]
    SimulcastNotOffered => "RFC 8853" "5.3.2";
    /// There is more than one `a=simulcast`.
    #[error("a second a=simulcast in the section")]
    SimulcastTwice => "RFC 8853" "5.2";
    /// A simulcast stream has no `a=rid` with its direction.
    #[error("a=simulcast names a version that no a=rid describes")]
    SimulcastWithoutRid => "RFC 9429" "5.8.3", SimulcastUnknownRid;
    /// An `a=rid` has no counterpart in the offer with the opposite direction.
    #[error("a=rid is none of the offer's reversed")]
    RidNotReversed => "RFC 8851" "6.3";
    /// Data channels have no SCTP port.
    #[error("data channels without a=sctp-port")]
    NoSctpPort => "RFC 9429" "5.8.2", NoSctpPort;
    /// SCTP port 0 closes the association, but another port is answered.
    #[error("a=sctp-port:0 is offered, and another port is answered")]
    SctpPortNotZero => "RFC 8841" "10.3";
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
