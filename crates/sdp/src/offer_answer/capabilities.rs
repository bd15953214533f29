//! The capabilities of an endpoint: together with the offer the only input of an answer.
//!
//! All types borrow and are `Copy`, so that a table of constants is enough. No state is kept between two answers.
//! Texts are written unchanged. A text that would break its line, or that cannot be parsed again, is refused with an
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
//! assert!(capabilities.data.is_none(), "no data channel by default");
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::attribute::Direction;
use crate::value::{Address, Connection, Origin};
use core::net::Ipv4Addr;

/// The capabilities of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities<'a> {
    /// The `o=` of the answer, which is the answerer's own (RFC 3264 §6). The caller keeps its session id for the whole
    /// session, and increments its version by one whenever the description changes (§8).
    pub origin: Origin<'a>,
    /// The media capabilities. The first offered section of a kind uses the first entry of that kind, the second
    /// section the second entry, and so on. All further sections of the kind use the last entry.
    pub media: &'a [Media<'a>],
    /// Data channels, if supported.
    pub data: Option<DataChannel>,
    /// The transports. Sections that need their own transport take them in this order. A section for which none is left
    /// is refused. Bundled sections share the transport of the first one.
    pub transports: &'a [Transport<'a>],
    /// The ICE attributes of the session.
    pub ice: Ice<'a>,
    /// Which sections must be bundled.
    pub bundle: BundlePolicy,
    /// Whether RTP without multiplexed RTCP is accepted.
    pub rtcp_mux: MuxPolicy,
    /// The requirements for an offer.
    pub demands: Demands,
    /// Whether each bundled section repeats the transport attributes. RFC 9143 §7.1.3 and RFC 9429 §5.3.1 require them
    /// in the first section only, but some deployed endpoints require `a=rtcp-mux` in the others.
    pub repeats_transport: bool,
}

impl<'a> Capabilities<'a> {
    /// Makes a WebRTC endpoint: requires ICE, DTLS and multiplexed RTCP (RFC 9429 §5.1.1); the bundle policy is
    /// balanced.
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

    /// Makes an endpoint that also accepts plain RTP without ICE and DTLS (RFC 3264).
    #[must_use]
    pub const fn plain(origin: Origin<'a>, media: &'a [Media<'a>], transports: &'a [Transport<'a>]) -> Self {
        Self {
            bundle: BundlePolicy::MaxCompat,
            rtcp_mux: MuxPolicy::Negotiate,
            demands: Demands::Nothing,
            ..Self::webrtc(origin, media, transports)
        }
    }

    /// Returns the same capabilities with data channels.
    #[must_use]
    pub const fn with_data(mut self, data: DataChannel) -> Self {
        self.data = Some(data);
        self
    }
}

/// The requirements for an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demands {
    /// ICE and DTLS in each transport (RFC 9429 §5.1.1).
    #[default]
    Webrtc,
    /// No requirement. ICE is used if it is offered. DTLS is used if it is offered and the protocol of the `m=` line
    /// includes it.
    Nothing,
}

/// Which sections are accepted in bundles, and which are refused outside of bundles (RFC 9429 §4.1.1, §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BundlePolicy {
    /// Refuses sections that are not bundled with the first of their kind.
    #[default]
    Balanced,
    /// Accepts all sections.
    MaxCompat,
    /// Refuses sections that are not bundled with the first of the session. RFC 8829 named this policy `max-bundle`.
    MustBundle,
    /// Accepts no bundle: the answer has no groups, and each section needs its own transport.
    Never,
}

/// Whether RTP without multiplexed RTCP is accepted (RFC 9429 §4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MuxPolicy {
    /// RTP sections that do not offer `a=rtcp-mux` are refused.
    #[default]
    Require,
    /// RTP sections without multiplexed RTCP are accepted.
    Negotiate,
}

/// The ICE attributes of the session (RFC 8839 §5.3, §5.5, §5.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ice<'a> {
    /// Whether the endpoint is a lite implementation.
    pub is_lite: bool,
    /// The supported ICE options, such as `trickle`. The answer has those that the offer has too.
    pub options: &'a [&'a str],
    /// The minimum interval between two checks, in milliseconds. A lite implementation does not write it.
    pub pacing: Option<u32>,
}

/// The capabilities for one kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video` or another.
    pub kind: &'a str,
    /// The codecs, in order of preference.
    pub codecs: &'a [Codec<'a>],
    /// The directions that the answerer supports. The answer is their intersection with the offer (RFC 3264 §6.1).
    pub direction: Direction,
    /// The order of the formats in the answer.
    pub order: Order,
    /// The header extensions.
    pub extensions: &'a [Extension<'a>],
    /// Other RTP features.
    pub features: Features,
    /// The media streams of the sent media: one `a=msid` each (RFC 8830). They are written if [`Media::direction`]
    /// sends.
    pub streams: &'a [&'a str],
    /// Further attributes of an accepted section, as text after `a=`: `ptime:20`, `ssrc:1 cname:x`.
    pub attributes: &'a [&'a str],
    /// Whether sections that use this entry are refused, for any reason of the application (RFC 3264 §6).
    pub is_declined: bool,
}

impl<'a> Media<'a> {
    /// Makes an entry for media that is sent and received.
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

    /// Makes an entry for media that is refused.
    #[must_use]
    pub const fn declined(kind: &'a str) -> Self {
        Self { is_declined: true, ..Self::new(kind, &[]) }
    }

    /// Returns the same entry with another direction.
    #[must_use]
    pub const fn with_direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }
}

/// The order of formats in the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The order of the offer, which RFC 3264 §6.1 recommends.
    #[default]
    Offered,
    /// The order of [`Media::codecs`].
    Own,
}

/// RTP features. Each is answered only if it is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// RTCP packets of reduced size (RFC 5506).
    pub reduced_size: bool,
    /// One-byte and two-byte header extensions in one stream (RFC 8285 §4.1.2).
    pub mixed_extensions: bool,
    /// Simulcast streams can be received (RFC 8853).
    pub receives_simulcast: bool,
    /// Simulcast streams can be sent.
    pub sends_simulcast: bool,
}

impl Features {
    /// No feature.
    pub const NONE: Self =
        Self { reduced_size: false, mixed_extensions: false, receives_simulcast: false, sends_simulcast: false };
}

/// A codec, or a format that protects or repeats others.
///
/// `rtx`, `red`, `ulpfec`, `flexfec`, `CN` and `telephone-event` are codecs here too. Each is answered if it is listed
/// and the formats that it serves are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec<'a> {
    /// The encoding name, as in `a=rtpmap`; case-insensitive.
    pub name: &'a str,
    /// The clock rate in hertz.
    pub clock: u32,
    /// The number of channels, at least 1.
    pub channels: u32,
    /// The parameters for `a=fmtp` in the answer; may be empty. Parameters that configure the format
    /// (`packetization-mode`, `profile-id` …) must equal those of the offer; otherwise the codecs are different.
    pub parameters: &'a str,
    /// The RTCP feedback, as text after the payload type in `a=rtcp-fb`: `nack pli`.
    pub feedback: &'a [&'a str],
}

impl<'a> Codec<'a> {
    /// Makes a codec with one channel, without parameters and without feedback.
    #[must_use]
    pub const fn new(name: &'a str, clock: u32) -> Self {
        Self { name, clock, channels: 1, parameters: "", feedback: &[] }
    }

    /// Makes a retransmission format for any codec with this clock rate (RFC 4588).
    #[must_use]
    pub const fn rtx(clock: u32) -> Self {
        Self::new("rtx", clock)
    }

    /// Returns the same codec with another number of channels.
    #[must_use]
    pub const fn with_channels(mut self, channels: u32) -> Self {
        self.channels = channels;
        self
    }

    /// Returns the same codec with other parameters.
    #[must_use]
    pub const fn with_parameters(mut self, parameters: &'a str) -> Self {
        self.parameters = parameters;
        self
    }

    /// Returns the same codec with other feedback.
    #[must_use]
    pub const fn with_feedback(mut self, feedback: &'a [&'a str]) -> Self {
        self.feedback = feedback;
        self
    }
}

/// A header extension (RFC 8285).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extension<'a> {
    /// The URI.
    pub uri: &'a str,
    /// The attributes after the URI, which must equal those of the offer; may be empty. For an encrypted extension they
    /// are the URI of the extension, and [`Extension::uri`] is `urn:ietf:params:rtp-hdrext:encrypt` (RFC 6904).
    pub attributes: &'a str,
    /// The supported direction.
    pub direction: Direction,
}

impl<'a> Extension<'a> {
    /// Makes an extension for both directions.
    #[must_use]
    pub const fn new(uri: &'a str) -> Self {
        Self { uri, attributes: "", direction: Direction::SendRecv }
    }
}

/// Data channels over SCTP (RFC 8841).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataChannel {
    /// The SCTP port, usually 5000.
    pub port: u16,
    /// The longest message that is accepted, in bytes; 0: any length. `None`: the attribute is not written, which means
    /// 65,536.
    pub max_message_size: Option<u64>,
}

impl Default for DataChannel {
    fn default() -> Self {
        Self { port: 5000, max_message_size: None }
    }
}

/// Address, port, and protection of the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transport<'a> {
    /// The `c=` line.
    pub address: Connection<'a>,
    /// The port, not 0; 9 if ICE signals the addresses later.
    pub port: u16,
    /// User name fragment and password of ICE, new for each session and each restart.
    pub credentials: Option<Credentials<'a>>,
    /// The DTLS attributes.
    pub dtls: Option<Dtls<'a>>,
    /// The candidates, as text after `a=candidate:`.
    pub candidates: &'a [&'a str],
    /// Whether no more candidates will follow.
    pub is_complete: bool,
}

impl<'a> Transport<'a> {
    /// Makes a transport with an address and a port, without ICE and DTLS.
    #[must_use]
    pub const fn plain(address: Connection<'a>, port: u16) -> Self {
        Self { address, port, credentials: None, dtls: None, candidates: &[], is_complete: false }
    }

    /// Makes a transport with ICE, whose candidates follow later, and DTLS with the answerer as the client. Address and
    /// port are those of RFC 8840 §4.1.3. Each fingerprint is the text after `a=fingerprint:`.
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

/// Omits the password.
impl core::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Credentials").field("fragment", &self.fragment).finish_non_exhaustive()
    }
}

/// DTLS (RFC 8122, RFC 8842).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dtls<'a> {
    /// The fingerprints, as text after `a=fingerprint:`; at least one.
    pub fingerprints: &'a [&'a str],
    /// `a=tls-id`, answered if it is offered. It changes exactly when the offer's `a=tls-id` changes (RFC 9429 §5.3.2).
    pub tls_id: Option<&'a str>,
    /// The role of the answerer, if the offer leaves the choice. RFC 9429 §5.3.1 recommends [`Role::Active`]. An
    /// existing association keeps its roles.
    pub role: Role,
}

/// The role in a DTLS association (RFC 4145 §4, RFC 8842 §5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// The DTLS client.
    #[default]
    Active,
    /// The DTLS server.
    Passive,
}
