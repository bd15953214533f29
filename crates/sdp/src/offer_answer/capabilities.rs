//! What an endpoint can do and wants: all that an answer is made of besides the offer.
//!
//! Everything here is borrowed and `Copy`: a table of constants serves, and nothing is remembered between two answers. Text
//! is written as it is given; what would break its line, or cannot be read back, is refused with
//! [`AnswerError`](super::AnswerError).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::offer_answer::{Capabilities, Codec, Media, Transport};
//! use portolan_sdp::value::Origin;
//!
//! const OPUS: Codec<'_> = Codec::new("opus", 48_000).with_channels(2).with_parameters("useinbandfec=1");
//! const VP8: Codec<'_> = Codec::new("VP8", 90_000).with_feedback(&["nack", "nack pli", "transport-cc"]);
//! const RTX: Codec<'_> = Codec::rtx(90_000);
//!
//! let media = [Media::new("audio", &[OPUS]), Media::new("video", &[VP8, RTX])];
//! let fingerprints = ["sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2"];
//! let transports = [Transport::trickled("6sFv", "cOTZKZNVlO9RSGsEGM63JXT2", &fingerprints)];
//! let origin = Origin::parse(b"- 6729291447651054566 1 IN IP4 0.0.0.0")?;
//! let capabilities = Capabilities::webrtc(origin, &media, &transports);
//! assert!(capabilities.data.is_none(), "no data channel unless it is said");
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::attribute::Direction;
use crate::value::{Address, Connection, Origin};
use core::net::Ipv4Addr;

/// All that an answer is made of besides the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities<'a> {
    /// The `o=` of the answer. It is the answerer's own (RFC 3264 §6); it keeps its number through a session, and its
    /// version grows by one whenever the description changes (§8): the caller's business.
    pub origin: Origin<'a>,
    /// What can be done with each kind of media. The first offered section of a kind takes the first entry of that kind,
    /// the second the second, and so on; the last entry of a kind serves all that are left.
    pub media: &'a [Media<'a>],
    /// Data channels, where there are any.
    pub data: Option<DataChannel>,
    /// The transports, in the order in which sections that need one of their own take them; a section for which none is
    /// left is refused. Sections in a bundle share the one of their first.
    pub transports: &'a [Transport<'a>],
    /// What ICE says for the whole session.
    pub ice: Ice<'a>,
    /// Which sections must be bundled.
    pub bundle: BundlePolicy,
    /// Whether RTP without multiplexed RTCP is taken.
    pub rtcp_mux: MuxPolicy,
    /// What an offer must have.
    pub demands: Demands,
    /// Whether the attributes of the transport stand in each bundled section. RFC 9143 §7.1.3 and RFC 8829 §5.3.1 have them
    /// in the first alone; endpoints are deployed that miss `a=rtcp-mux` in the others.
    pub repeats_transport: bool,
}

impl<'a> Capabilities<'a> {
    /// A WebRTC endpoint: ICE, DTLS and multiplexed RTCP are demanded (RFC 8829 §5.1.1), bundles are balanced.
    #[must_use]
    pub const fn webrtc(origin: Origin<'a>, media: &'a [Media<'a>], transports: &'a [Transport<'a>]) -> Self {
        Self {
            origin,
            media,
            data: None,
            transports,
            ice: Ice { is_lite: false, options: &["trickle", "ice2"], pacing: None },
            bundle: BundlePolicy::Balanced,
            rtcp_mux: MuxPolicy::Require,
            demands: Demands::Webrtc,
            repeats_transport: false,
        }
    }

    /// An endpoint that takes what is offered: plain RTP too, without ICE and without DTLS (RFC 3264).
    #[must_use]
    pub const fn plain(origin: Origin<'a>, media: &'a [Media<'a>], transports: &'a [Transport<'a>]) -> Self {
        Self {
            bundle: BundlePolicy::MaxCompat,
            rtcp_mux: MuxPolicy::Negotiate,
            demands: Demands::Nothing,
            ..Self::webrtc(origin, media, transports)
        }
    }

    /// The same with data channels.
    #[must_use]
    pub const fn with_data(mut self, data: DataChannel) -> Self {
        self.data = Some(data);
        self
    }
}

/// What an offer must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demands {
    /// ICE and DTLS in each transport (RFC 8829 §5.1.1).
    #[default]
    Webrtc,
    /// Nothing: ICE and DTLS are used where they are offered, and DTLS where the protocol of the `m=` line says so.
    Nothing,
}

/// Which sections an answerer takes into bundles, and which it refuses outside of them (RFC 8829 §4.1.1, §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BundlePolicy {
    /// Refuses sections that are not bundled with the first of their kind.
    #[default]
    Balanced,
    /// Takes all.
    MaxCompat,
    /// Refuses sections that are not bundled with the first of the session.
    MaxBundle,
    /// Takes no bundle: the groups are left out of the answer, each section needs a transport of its own.
    Never,
}

/// Whether RTP without multiplexed RTCP is taken (RFC 8829 §4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MuxPolicy {
    /// RTP sections that do not offer `a=rtcp-mux` are refused.
    #[default]
    Require,
    /// They are taken.
    Negotiate,
}

/// What ICE says for the whole session (RFC 8839 §5.3, §5.5, §5.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ice<'a> {
    /// A lite implementation.
    pub is_lite: bool,
    /// The extensions that are known, such as `trickle`; those that the offer has too are answered.
    pub options: &'a [&'a str],
    /// The least interval between two checks, in milliseconds; not written by a lite implementation.
    pub pacing: Option<u32>,
}

/// What can be done with one kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video` or another.
    pub kind: &'a str,
    /// The codecs, the best first.
    pub codecs: &'a [Codec<'a>],
    /// What the answerer is ready to do: the answer is what the offer leaves of it (RFC 3264 §6.1).
    pub direction: Direction,
    /// In which order the formats are answered.
    pub order: Order,
    /// The header extensions.
    pub extensions: &'a [Extension<'a>],
    /// What else is known.
    pub features: Features,
    /// The streams that what is sent belongs to: one `a=msid` each (RFC 8830), written where [`Media::direction`] sends.
    pub streams: &'a [&'a str],
    /// Further attributes of an accepted section, as after `a=`: `ptime:20`, `ssrc:1 cname:x`.
    pub attributes: &'a [&'a str],
    /// Whether sections that take this entry are refused, for whatever reason (RFC 3264 §6).
    pub is_declined: bool,
}

impl<'a> Media<'a> {
    /// Media that is sent and received.
    #[must_use]
    pub const fn new(kind: &'a str, codecs: &'a [Codec<'a>]) -> Self {
        Self {
            kind,
            codecs,
            direction: Direction::SendRecv,
            order: Order::Offered,
            extensions: &[],
            features: Features::NONE,
            streams: &[],
            attributes: &[],
            is_declined: false,
        }
    }

    /// Media that is refused.
    #[must_use]
    pub const fn declined(kind: &'a str) -> Self {
        Self { is_declined: true, ..Self::new(kind, &[]) }
    }

    /// The same with another direction.
    #[must_use]
    pub const fn with_direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }
}

/// In which order formats are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As they were offered, which RFC 3264 §6.1 recommends.
    #[default]
    Offered,
    /// As in [`Media::codecs`].
    Own,
}

/// What else is known of RTP; each is answered only where it is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// RTCP packets of reduced size (RFC 5506).
    pub reduced_size: bool,
    /// Header extensions with one byte and with two in one stream (RFC 8285 §4.1.2).
    pub mixed_extensions: bool,
    /// Several versions of one source are received (RFC 8853).
    pub receives_simulcast: bool,
    /// Several versions of one source can be sent.
    pub sends_simulcast: bool,
}

impl Features {
    /// None of them.
    pub const NONE: Self =
        Self { reduced_size: false, mixed_extensions: false, receives_simulcast: false, sends_simulcast: false };
}

/// A codec, or a format that protects or repeats others.
///
/// `rtx`, `red`, `ulpfec`, `flexfec`, `CN` and `telephone-event` are codecs here too: they are answered where they are listed,
/// and where what they serve is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec<'a> {
    /// The name, as in `a=rtpmap`; letters match in either case.
    pub name: &'a str,
    /// The clock, in hertz.
    pub clock: u32,
    /// How many channels, at least 1.
    pub channels: u32,
    /// What the answerer says in `a=fmtp`; may be empty. What configures the format (`packetization-mode`, `profile-id` …)
    /// must be equal in the offer, or the codecs are two.
    pub parameters: &'a str,
    /// What follows the payload type in `a=rtcp-fb`: `nack pli`.
    pub feedback: &'a [&'a str],
}

impl<'a> Codec<'a> {
    /// A codec with one channel, without parameters and without feedback.
    #[must_use]
    pub const fn new(name: &'a str, clock: u32) -> Self {
        Self { name, clock, channels: 1, parameters: "", feedback: &[] }
    }

    /// Retransmission of whatever codec has this clock (RFC 4588).
    #[must_use]
    pub const fn rtx(clock: u32) -> Self {
        Self::new("rtx", clock)
    }

    /// The same with other channels.
    #[must_use]
    pub const fn with_channels(mut self, channels: u32) -> Self {
        self.channels = channels;
        self
    }

    /// The same with other parameters.
    #[must_use]
    pub const fn with_parameters(mut self, parameters: &'a str) -> Self {
        self.parameters = parameters;
        self
    }

    /// The same with other feedback.
    #[must_use]
    pub const fn with_feedback(mut self, feedback: &'a [&'a str]) -> Self {
        self.feedback = feedback;
        self
    }
}

/// A header extension (RFC 8285).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extension<'a> {
    /// Its name.
    pub uri: &'a str,
    /// What follows the name, which must be equal in the offer; may be empty. An encrypted extension has its name here and
    /// `urn:ietf:params:rtp-hdrext:encrypt` as [`Extension::uri`] (RFC 6904).
    pub attributes: &'a str,
    /// Which way it is wanted.
    pub direction: Direction,
}

impl<'a> Extension<'a> {
    /// An extension both ways.
    #[must_use]
    pub const fn new(uri: &'a str) -> Self {
        Self { uri, attributes: "", direction: Direction::SendRecv }
    }
}

/// Data channels over SCTP (RFC 8841).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataChannel {
    /// The SCTP port, 5000 by custom.
    pub port: u16,
    /// The longest message that is received, in bytes; 0: any length. None: not said, which means 65,536.
    pub max_message_size: Option<u64>,
}

impl Default for DataChannel {
    fn default() -> Self {
        Self { port: 5000, max_message_size: None }
    }
}

/// Where media goes, and how it is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transport<'a> {
    /// The `c=` line.
    pub address: Connection<'a>,
    /// The port, not 0; 9 where ICE tells the addresses later.
    pub port: u16,
    /// ICE's user name fragment and password, fresh for each session and each restart.
    pub credentials: Option<Credentials<'a>>,
    /// DTLS.
    pub dtls: Option<Dtls<'a>>,
    /// What follows `a=candidate:`.
    pub candidates: &'a [&'a str],
    /// Whether these are all candidates there will be.
    pub is_complete: bool,
}

impl<'a> Transport<'a> {
    /// An address and a port, without ICE and DTLS.
    #[must_use]
    pub const fn plain(address: Connection<'a>, port: u16) -> Self {
        Self { address, port, credentials: None, dtls: None, candidates: &[], is_complete: false }
    }

    /// ICE whose candidates follow later, and DTLS where the answerer is the client; address and port are those that
    /// RFC 8840 §4.1.3 has for this case. Each fingerprint is what follows `a=fingerprint:`.
    #[must_use]
    pub const fn trickled(fragment: &'a str, password: &'a str, fingerprints: &'a [&'a str]) -> Self {
        Self {
            credentials: Some(Credentials { fragment, password }),
            dtls: Some(Dtls { fingerprints, tls_id: None, role: Role::Active }),
            ..Self::plain(UNKNOWN, 9)
        }
    }
}

/// `IN IP4 0.0.0.0`.
const UNKNOWN: Connection<'static> = Connection {
    network: "IN",
    address_type: "IP4",
    address: Address::Ip4(Ipv4Addr::UNSPECIFIED),
    ttl: None,
    count: None,
};

/// `a=ice-ufrag` and `a=ice-pwd` (RFC 8839 §5.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credentials<'a> {
    /// The user name fragment, 4 to 256 letters.
    pub fragment: &'a str,
    /// The password, 22 to 256 letters.
    pub password: &'a str,
}

/// The password is not shown.
impl core::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Credentials").field("fragment", &self.fragment).finish_non_exhaustive()
    }
}

/// DTLS (RFC 8122, RFC 8842).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dtls<'a> {
    /// What follows `a=fingerprint:`; at least one.
    pub fingerprints: &'a [&'a str],
    /// `a=tls-id`, answered where it is offered. It changes exactly when the offer's does (RFC 8829 §5.3.2).
    pub tls_id: Option<&'a str>,
    /// Who is the client, where the offer leaves it open. RFC 8829 §5.3.1 recommends [`Role::Active`]; an association that
    /// goes on keeps its roles.
    pub role: Role,
}

/// Which end of a DTLS association (RFC 4145 §4, RFC 5763 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// The client.
    #[default]
    Active,
    /// The server.
    Passive,
}
