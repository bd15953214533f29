//! Typed attributes (`a=`). [`Attribute`] has one variant for each type; `Attribute::Other` keeps any other attribute.
//!
//! Each type parses the text after `a=NAME:`, and `Display` writes it. An attribute without a value is parsed from an
//! empty text. Lists inside a value are checked once and then iterated without allocation.
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
mod deviation;
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
pub use deviation::Deviation;
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

/// Generates the enum, its parser and its writer from one list: name, variant and type. An attribute without a value
/// has its RFC section in place of the type.
macro_rules! attributes {
    (
        values { $($(#[$doc:meta])* $name:literal => $variant:ident($type:ty),)* }
        flags { $($(#[$flag_doc:meta])* $flag_name:literal => $flag:ident, $document:literal $section:literal;)* }
    ) => {
        /// An attribute. The name selects the variant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Attribute<'a> {
            /// `a=sendrecv`, `sendonly`, `recvonly`, `inactive`: the direction of the media (RFC 8866 §6.7).
            Direction(Direction),
            $($(#[$doc])* $variant($type),)*
            $($(#[$flag_doc])* $flag,)*
            /// An attribute without its own type, as bytes.
            Other {
                /// The text before the colon.
                name: &'a [u8],
                /// The text after the colon; `None` without a colon.
                value: Option<&'a [u8]>,
            },
        }

        impl<'a> Attribute<'a> {
            /// The names of all attributes that have their own type.
            pub const NAMES: &'static [&'static str] = &[
                "sendrecv", "sendonly", "recvonly", "inactive", $(text($name),)* $(text($flag_name),)*
            ];

            /// Parses an attribute by its name.
            ///
            /// # Errors
            /// [`ValueError`]: the value does not match the grammar of its name, or there is a value where none is
            /// allowed. The offset counts from the start of the value.
            pub fn parse(name: &'a [u8], value: Option<&'a [u8]>) -> Result<Self, ValueError> {
                Self::dispatch(name, value, Ok, Err)
            }

            /// Parses an attribute and passes it to `read` in each match arm. The largest variant is many times larger
            /// than most of the others, so that moving the enum would cost more than parsing.
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
                    _ => match Direction::from_name(name) {
                        Some(direction) => match no_value(bytes, Direction::CLAUSE) {
                            Ok(()) => read(Self::Direction(direction)),
                            Err(error) => refused(error),
                        },
                        None => read(Self::Other { name, value }),
                    },
                }
            }

            /// Returns the section that defines the attribute; `None` for [`Attribute::Other`].
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

        /// Writes the text after `a=`.
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
        /// `a=ice-ufrag`: the user name fragment of ICE.
        b"ice-ufrag" => IceUfrag(IceUfrag<'a>),
        /// `a=ice-pwd`: the password of ICE.
        b"ice-pwd" => IcePwd(IcePwd<'a>),
        /// `a=ice-options`: the ICE extensions that an endpoint supports.
        b"ice-options" => IceOptions(IceOptions<'a>),
        /// `a=ice-pacing`: the interval that an endpoint requests between two connectivity checks.
        b"ice-pacing" => IcePacing(IcePacing),
        /// `a=remote-candidates`: the peer's candidates that the offerer has selected.
        b"remote-candidates" => RemoteCandidates(RemoteCandidates<'a>),
        /// `a=fingerprint`: the hash of a certificate.
        b"fingerprint" => Fingerprint(Fingerprint<'a>),
        /// `a=setup`: which endpoint opens the connection.
        b"setup" => Setup(Setup),
        /// `a=tls-id`: the identifier of the DTLS association.
        b"tls-id" => TlsId(TlsId<'a>),
        /// `a=group`: media sections that belong together.
        b"group" => Group(Group<'a>),
        /// `a=msid`: the stream and the track of a media section.
        b"msid" => Msid(Msid<'a>),
        /// `a=msid-semantic`: the meaning of `msid`.
        b"msid-semantic" => MsidSemantic(MsidSemantic<'a>),
        /// `a=rtpmap`: the encoding of a payload type.
        b"rtpmap" => Rtpmap(Rtpmap<'a>),
        /// `a=fmtp`: parameters of a format.
        b"fmtp" => Fmtp(Fmtp<'a>),
        /// `a=rtcp-fb`: RTCP feedback that the endpoint supports.
        b"rtcp-fb" => RtcpFb(RtcpFb<'a>),
        /// `a=extmap`: the meaning of an RTP header extension.
        b"extmap" => Extmap(Extmap<'a>),
        /// `a=rtcp`: port and address of RTCP.
        b"rtcp" => Rtcp(Rtcp<'a>),
        /// `a=ssrc`: an attribute of one source.
        b"ssrc" => Ssrc(Ssrc<'a>),
        /// `a=ssrc-group`: sources that belong together.
        b"ssrc-group" => SsrcGroup(SsrcGroup<'a>),
        /// `a=rid`: the name of an encoding, with its restrictions.
        b"rid" => Rid(Rid<'a>),
        /// `a=simulcast`: the encodings that an endpoint sends and receives.
        b"simulcast" => Simulcast(Simulcast<'a>),
        /// `a=sctp-port`: the port of the SCTP association.
        b"sctp-port" => SctpPort(SctpPort),
        /// `a=max-message-size`: the longest message that an endpoint accepts.
        b"max-message-size" => MaxMessageSize(MaxMessageSize),
        /// `a=sctpmap`: the older form of `sctp-port`, from drafts of RFC 8841.
        b"sctpmap" => Sctpmap(Sctpmap<'a>),
        // WebRTC ends
        // Sections and bundles.
        /// `a=mid`: the name of a media section.
        b"mid" => Mid(Mid<'a>),
        // The session and its media (RFC 8866 §6).
        /// `a=cat`: the category of the session.
        b"cat" => Cat(Cat<'a>),
        /// `a=keywds`: search words for the session.
        b"keywds" => Keywds(Keywds<'a>),
        /// `a=tool`: the program that wrote the description.
        b"tool" => Tool(Tool<'a>),
        /// `a=type`: the kind of conference.
        b"type" => Type(ConferenceType),
        /// `a=charset`: the character set of the session's texts.
        b"charset" => Charset(Charset<'a>),
        /// `a=sdplang`: the language of the description.
        b"sdplang" => SdpLang(SdpLang<'a>),
        /// `a=lang`: a language of the media.
        b"lang" => Lang(Lang<'a>),
        /// `a=orient`: the orientation of a workspace on the screen.
        b"orient" => Orient(Orientation),
        /// `a=ptime`: the recommended duration of the media in a packet.
        b"ptime" => PTime(PTime<'a>),
        /// `a=maxptime`: the maximum duration of the media in a packet.
        b"maxptime" => MaxPTime(MaxPTime<'a>),
        /// `a=framerate`: the maximum frame rate of a video.
        b"framerate" => FrameRate(FrameRate<'a>),
        /// `a=quality`: the recommended quality of the encoding.
        b"quality" => Quality(Quality),
        // Identification and content of streams.
        /// `a=label`: a name by which other documents refer to the stream.
        b"label" => Label(Label<'a>),
        /// `a=content`: the content of a stream.
        b"content" => Content(Content<'a>),
        /// `a=imageattr`: the image sizes that an endpoint sends and receives.
        b"imageattr" => ImageAttr(ImageAttr<'a>),
        // Transport of streams.
        /// `a=connection`: whether a new TCP connection is opened.
        b"connection" => Connection(ConnectionUse),
        /// `a=crypto`: keys for SRTP.
        b"crypto" => Crypto(Crypto<'a>),
        /// `a=rtcp-xr`: the extended reports that an endpoint requests.
        b"rtcp-xr" => RtcpXr(RtcpXr<'a>),
        /// `a=source-filter`: the sources from which packets are accepted or excluded.
        b"source-filter" => SourceFilter(SourceFilter<'a>),
        // RTSP and professional media.
        /// `a=control`: the URI for RTSP requests.
        b"control" => Control(Control<'a>),
        /// `a=range`: the time range of a presentation.
        b"range" => Range(Range<'a>),
        /// `a=ts-refclk`: the reference clock of the times in RTCP reports.
        b"ts-refclk" => TsRefClk(TsRefClk<'a>),
        /// `a=mediaclk`: the clock of the RTP timestamps.
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
        /// `a=extmap-allow-mixed`: one stream may mix one-byte and two-byte header extensions.
        b"extmap-allow-mixed" => ExtmapAllowMixed, "RFC 8285" "6";
        /// `a=bundle-only`: the media section must not be used outside its bundle.
        b"bundle-only" => BundleOnly, "RFC 9143" "6";
        /// `a=ice-lite`: the endpoint is a lite implementation of ICE.
        b"ice-lite" => IceLite, "RFC 8839" "5.3";
        /// `a=ice-mismatch`: the default destination of the offer was none of its candidates.
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

/// Converts a name of the list above to a string.
const fn text(name: &'static [u8]) -> &'static str {
    match core::str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => panic!("the names of attributes are ASCII"),
    }
}

/// Checks that an attribute without a value has none.
fn no_value(value: &[u8], clause: Citation) -> Result<(), ValueError> {
    if value.is_empty() { Ok(()) } else { Err(ValueError::new(value, 0, "no value", clause)) }
}

impl<'s> Line<'s> {
    /// Parses the line as an attribute; `None` if the line is no `a=` line.
    ///
    /// # Errors
    /// [`TypedError`](crate::TypedError): the value does not match its grammar. The error gives the line and the column.
    pub fn typed(&self) -> Option<Result<Attribute<'s>, crate::TypedError>> {
        let (name, value) = self.attribute()?;
        let place = |error| Some(Err(self.locate(value.unwrap_or_default(), error)));
        Attribute::dispatch(name, value, |attribute| Some(Ok(attribute)), place)
    }
}

impl<'s> crate::Section<'s> {
    /// Parses all attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = Result<Attribute<'s>, crate::TypedError>> + use<'s> {
        self.lines().filter_map(|line| line.typed())
    }
}
