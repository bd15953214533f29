//! Attributes with a grammar of their own (`a=`), each a type; [`Attribute`] is all of them, and `Other` keeps the rest.
//!
//! Each type is read from what follows `a=NAME:` and written by `Display`; an attribute without a value is read from no
//! bytes. Lists inside of a value are checked once and then iterated, without allocation.
//!
//! ```
//! use portolan_sdp::Session;
//! use portolan_sdp::attribute::{Attribute, Direction};
//!
//! let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=sendonly\r\na=x-mine:1\r\n")?;
//! let attributes: Vec<_> = session.top().attributes().collect::<Result<_, _>>()?;
//! assert_eq!(attributes[0], Attribute::Direction(Direction::SendOnly));
//! assert_eq!(attributes[1], Attribute::Other { name: b"x-mine", value: Some(b"1") });
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod clock;
mod control;
mod crypto;
mod data;
mod direction;
mod dtls;
mod group;
mod ice;
mod imageattr;
mod keyword;
mod label;
mod language;
mod mid;
mod packet_time;
mod range;
mod rtcp;
mod rtcp_xr;
mod rtp;
mod simulcast;
mod source_filter;
mod ssrc;
mod tool;

pub use clock::{ClockRate, Eui, Grandmaster, MediaClk, MediaClock, MediaClockId, NtpServer, PtpDomain, TsRefClk};
pub use control::Control;
pub use crypto::{Crypto, CryptoKey, CryptoKeys, Lifetime, Mki, SessionParameter};
pub use data::{MaxMessageSize, SctpPort, Sctpmap};
pub use direction::Direction;
pub use dtls::{Digest, Fingerprint, Setup, TlsId};
pub use group::{Group, Msid, MsidSemantic};
pub use ice::{IceOptions, IcePacing, IcePwd, IceUfrag, RemoteCandidate, RemoteCandidates};
pub use imageattr::{ImageAttr, ImageList, ImageSet, ImageSets, Ratio, RatioList, Ratios, SizeList, Sizes};
pub use keyword::{ConferenceType, ConnectionUse, Orientation};
pub use label::{Content, ContentKind, Label};
pub use language::{Charset, Lang, SdpLang};
pub use mid::Mid;
pub use packet_time::{FrameRate, MaxPTime, PTime, Quality};
pub use range::{NptTime, Range, SmpteKind, SmpteTime, UtcTime};
pub use rtcp::{Rtcp, RtcpAddress, RtcpFb};
pub use rtcp_xr::{RtcpXr, StatisticsFlags, XrFormat};
pub use rtp::{Extmap, Fmtp, Parameter, Rtpmap};
pub use simulcast::{Alternatives, Rid, RidDirection, Simulcast, SimulcastId, Streams};
pub use source_filter::{FilterMode, SourceFilter};
pub use ssrc::{Ssrc, SsrcGroup};
pub use tool::{Cat, Keywds, Tool};

use crate::candidate::Candidate;
use crate::error::{Citation, ValueError};
use crate::line::{Line, Lossy};
use crate::value::Value;
use core::fmt;

/// Writes the enum, its reader and its writer from one list: the name, the variant and its type; for an attribute without a
/// value the name, the variant and its section.
macro_rules! attributes {
    (
        values { $($(#[$doc:meta])* $name:literal => $variant:ident($type:ty),)* }
        flags { $($(#[$flag_doc:meta])* $flag_name:literal => $flag:ident, $document:literal $section:literal;)* }
    ) => {
        /// An attribute, by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Attribute<'a> {
            /// `a=sendrecv`, `sendonly`, `recvonly`, `inactive`: which way the media goes (RFC 8866 §6.7).
            Direction(Direction),
            $($(#[$doc])* $variant($type),)*
            $($(#[$flag_doc])* $flag,)*
            /// An attribute without a type of its own, as its bytes.
            Other {
                /// What stands before the colon.
                name: &'a [u8],
                /// What stands after it, if there is one.
                value: Option<&'a [u8]>,
            },
        }

        impl<'a> Attribute<'a> {
            /// The names of all attributes that have a type.
            pub const NAMES: &'static [&'static str] = &[
                "sendrecv", "sendonly", "recvonly", "inactive", $(text($name),)* $(text($flag_name),)*
            ];

            /// Reads an attribute by its name.
            ///
            /// # Errors
            /// A value that is none of its name's, or one where there must be none; its place counts from the start of the
            /// value.
            pub fn parse(name: &'a [u8], value: Option<&'a [u8]>) -> Result<Self, ValueError> {
                Self::dispatch(name, value, Ok, Err)
            }

            /// Reads an attribute and hands it on arm by arm: the largest of them is many times as large as most, and to move
            /// it about as a whole would cost more than to read it.
            #[inline(always)]
            fn dispatch<R>(
                name: &'a [u8],
                value: Option<&'a [u8]>,
                read: impl Fn(Self) -> R,
                refused: impl Fn(ValueError) -> R,
            ) -> R {
                let bytes = value.unwrap_or_default();
                match name {
                    $($name => match <$type>::parse(bytes) {
                        Ok(value) => read(Self::$variant(value)),
                        Err(error) => refused(error),
                    },)*
                    $($flag_name => match no_value(bytes, Citation::new($document, $section)) {
                        Ok(()) => read(Self::$flag),
                        Err(error) => refused(error),
                    },)*
                    _ => match Direction::named(name) {
                        Some(direction) => match no_value(bytes, Direction::CLAUSE) {
                            Ok(()) => read(Self::Direction(direction)),
                            Err(error) => refused(error),
                        },
                        None => read(Self::Other { name, value }),
                    },
                }
            }

            /// The section that describes the attribute; none for [`Attribute::Other`].
            #[must_use]
            pub const fn clause(&self) -> Option<Citation> {
                match self {
                    Self::Direction(_) => Some(Direction::CLAUSE),
                    $(Self::$variant(_) => Some(<$type>::CLAUSE),)*
                    $(Self::$flag => Some(Citation::new($document, $section)),)*
                    Self::Other { .. } => None,
                }
            }
        }

        $(impl<'a> From<$type> for Attribute<'a> {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*

        /// What follows `a=`.
        impl fmt::Display for Attribute<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Direction(direction) => write!(f, "{direction}"),
                    $(Self::$variant(value) => write!(f, "{}:{value}", Lossy($name)),)*
                    $(Self::$flag => write!(f, "{}", Lossy($flag_name)),)*
                    Self::Other { name, value: None } => write!(f, "{}", Lossy(name)),
                    Self::Other { name, value: Some(value) } => write!(f, "{}:{}", Lossy(name), Lossy(value)),
                }
            }
        }
    };
}

attributes! {
    values {
        // WebRTC begins
        /// `a=candidate`: a transport address that a peer may try.
        b"candidate" => Candidate(Candidate<&'a str>),
        /// `a=ice-ufrag`: the name of a side in its checks.
        b"ice-ufrag" => IceUfrag(IceUfrag<'a>),
        /// `a=ice-pwd`: the password of the checks.
        b"ice-pwd" => IcePwd(IcePwd<'a>),
        /// `a=ice-options`: the extensions of ICE that a side knows.
        b"ice-options" => IceOptions(IceOptions<'a>),
        /// `a=ice-pacing`: how long a side wants between two checks.
        b"ice-pacing" => IcePacing(IcePacing),
        /// `a=remote-candidates`: the peer's candidates that a side has chosen.
        b"remote-candidates" => RemoteCandidates(RemoteCandidates<'a>),
        /// `a=fingerprint`: the hash of a certificate.
        b"fingerprint" => Fingerprint(Fingerprint<'a>),
        /// `a=setup`: which side begins.
        b"setup" => Setup(Setup),
        /// `a=tls-id`: which DTLS association is meant.
        b"tls-id" => TlsId(TlsId<'a>),
        /// `a=group`: media sections that belong together.
        b"group" => Group(Group<'a>),
        /// `a=msid`: the stream and the track of a media section.
        b"msid" => Msid(Msid<'a>),
        /// `a=msid-semantic`: what `msid` means.
        b"msid-semantic" => MsidSemantic(MsidSemantic<'a>),
        /// `a=rtpmap`: what a payload type stands for.
        b"rtpmap" => Rtpmap(Rtpmap<'a>),
        /// `a=fmtp`: parameters of a format.
        b"fmtp" => Fmtp(Fmtp<'a>),
        /// `a=rtcp-fb`: feedback that the writer understands.
        b"rtcp-fb" => RtcpFb(RtcpFb<'a>),
        /// `a=extmap`: what an extension of the RTP header stands for.
        b"extmap" => Extmap(Extmap<'a>),
        /// `a=rtcp`: where RTCP goes.
        b"rtcp" => Rtcp(Rtcp<'a>),
        /// `a=ssrc`: an attribute of one source.
        b"ssrc" => Ssrc(Ssrc<'a>),
        /// `a=ssrc-group`: sources that belong together.
        b"ssrc-group" => SsrcGroup(SsrcGroup<'a>),
        /// `a=rid`: the name of an encoding, and what it keeps to.
        b"rid" => Rid(Rid<'a>),
        /// `a=simulcast`: which encodings are sent, and which would be received.
        b"simulcast" => Simulcast(Simulcast<'a>),
        /// `a=sctp-port`: the port of the SCTP association.
        b"sctp-port" => SctpPort(SctpPort),
        /// `a=max-message-size`: how long a message may be.
        b"max-message-size" => MaxMessageSize(MaxMessageSize),
        /// `a=sctpmap`: what `sctp-port` says, as drafts had it.
        b"sctpmap" => Sctpmap(Sctpmap<'a>),
        // WebRTC ends
        // Sections and bundles.
        /// `a=mid`: the name of a media section.
        b"mid" => Mid(Mid<'a>),
        // The session and its media (RFC 8866 §6).
        /// `a=cat`: the category of the session.
        b"cat" => Cat(Cat<'a>),
        /// `a=keywds`: words to find the session by.
        b"keywds" => Keywds(Keywds<'a>),
        /// `a=tool`: what made the description.
        b"tool" => Tool(Tool<'a>),
        /// `a=type`: what kind of conference the session is.
        b"type" => Type(ConferenceType),
        /// `a=charset`: the character set of the session's texts.
        b"charset" => Charset(Charset<'a>),
        /// `a=sdplang`: the language of the description.
        b"sdplang" => SdpLang(SdpLang<'a>),
        /// `a=lang`: a language of the media.
        b"lang" => Lang(Lang<'a>),
        /// `a=orient`: how a workspace stands on the screen.
        b"orient" => Orient(Orientation),
        /// `a=ptime`: how long the media in a packet should play.
        b"ptime" => PTime(PTime<'a>),
        /// `a=maxptime`: how long the media in a packet may play at most.
        b"maxptime" => MaxPTime(MaxPTime<'a>),
        /// `a=framerate`: the highest rate of a video.
        b"framerate" => FrameRate(FrameRate<'a>),
        /// `a=quality`: how good the encoding should be.
        b"quality" => Quality(Quality),
        // What streams are.
        /// `a=label`: a name that other documents point at.
        b"label" => Label(Label<'a>),
        /// `a=content`: what a stream shows.
        b"content" => Content(Content<'a>),
        /// `a=imageattr`: which sizes of pictures are sent and received.
        b"imageattr" => ImageAttr(ImageAttr<'a>),
        // How they are carried.
        /// `a=connection`: whether a TCP connection is made anew.
        b"connection" => Connection(ConnectionUse),
        /// `a=crypto`: keys for SRTP.
        b"crypto" => Crypto(Crypto<'a>),
        /// `a=rtcp-xr`: which extended reports are sent.
        b"rtcp-xr" => RtcpXr(RtcpXr<'a>),
        /// `a=source-filter`: which sources may send.
        b"source-filter" => SourceFilter(SourceFilter<'a>),
        // Players and studios.
        /// `a=control`: where an RTSP server is told to play.
        b"control" => Control(Control<'a>),
        /// `a=range`: which part of a presentation there is.
        b"range" => Range(Range<'a>),
        /// `a=ts-refclk`: the clock that the times in reports are of.
        b"ts-refclk" => TsRefClk(TsRefClk<'a>),
        /// `a=mediaclk`: the clock that timestamps follow.
        b"mediaclk" => MediaClk(MediaClk<'a>),
    }
    flags {
        // WebRTC begins
        /// `a=rtcp-mux`: RTP and RTCP on one port.
        b"rtcp-mux" => RtcpMux, "RFC 5761" "5.1.3";
        /// `a=rtcp-mux-only`: RTP and RTCP on one port, or not at all.
        b"rtcp-mux-only" => RtcpMuxOnly, "RFC 8858" "3";
        /// `a=rtcp-rsize`: RTCP packets may be shorter than compound ones.
        b"rtcp-rsize" => RtcpRsize, "RFC 5506" "5";
        /// `a=extmap-allow-mixed`: header extensions of one and of two bytes in one stream.
        b"extmap-allow-mixed" => ExtmapAllowMixed, "RFC 8285" "6";
        /// `a=bundle-only`: the media section is good for nothing outside of its bundle.
        b"bundle-only" => BundleOnly, "RFC 9143" "6";
        /// `a=ice-lite`: the writer is a lite implementation of ICE.
        b"ice-lite" => IceLite, "RFC 8839" "5.3";
        /// `a=ice-mismatch`: the offer's default destination was none of its candidates.
        b"ice-mismatch" => IceMismatch, "RFC 8839" "5.3";
        /// `a=end-of-candidates`: no more candidates will follow.
        b"end-of-candidates" => EndOfCandidates, "RFC 8840" "8.1";
        // WebRTC ends
        /// `a=cryptex`: header extensions are encrypted.
        b"cryptex" => Cryptex, "RFC 9335" "4";
    }
}

impl From<Direction> for Attribute<'_> {
    fn from(direction: Direction) -> Self {
        Self::Direction(direction)
    }
}

/// A name of the list above as a text.
const fn text(name: &'static [u8]) -> &'static str {
    match core::str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => panic!("the names of attributes are ASCII"),
    }
}

/// An attribute that has no value must have none.
fn no_value(value: &[u8], clause: Citation) -> Result<(), ValueError> {
    if value.is_empty() { Ok(()) } else { Err(ValueError::new(value, 0, "no value", clause)) }
}

impl<'s> Line<'s> {
    /// Reads the line as an attribute; none where it is none.
    ///
    /// # Errors
    /// What is wrong with its value, and where it stands.
    pub fn typed(&self) -> Option<Result<Attribute<'s>, crate::TypedError>> {
        let (name, value) = self.attribute()?;
        let place = |error| Some(Err(self.locate(value.unwrap_or_default(), error)));
        Attribute::dispatch(name, value, |attribute| Some(Ok(attribute)), place)
    }
}

impl<'s> crate::Section<'s> {
    /// Reads all attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = Result<Attribute<'s>, crate::TypedError>> + use<'s> {
        self.lines().filter_map(|line| line.typed())
    }
}
