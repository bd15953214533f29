//! The endpoints of the tests.

use portolan_sdp::offer_answer::{Capabilities, Codec, DataChannel, Extension, Features, Media, Order, Transport};
use portolan_sdp::value::{Connection, Origin};
use portolan_sdp::{Session, Value};

pub(super) const OPUS: Codec<'_> =
    Codec::new("opus", 48_000).with_channels(2).with_parameters("minptime=10;useinbandfec=1").with_feedback(TRANSPORT);
pub(super) const RED_AUDIO: Codec<'_> = Codec::new("red", 48_000).with_channels(2);
pub(super) const PCMU: Codec<'_> = Codec::new("PCMU", 8000);
pub(super) const PCMA: Codec<'_> = Codec::new("PCMA", 8000);
pub(super) const NOISE: Codec<'_> = Codec::new("CN", 8000);
pub(super) const EVENTS_8: Codec<'_> = Codec::new("telephone-event", 8000).with_parameters("0-15");
pub(super) const EVENTS_48: Codec<'_> = Codec::new("telephone-event", 48_000).with_parameters("0-15");
pub(super) const VP8: Codec<'_> = Codec::new("VP8", 90_000).with_feedback(VIDEO);
pub(super) const VP9: Codec<'_> = Codec::new("VP9", 90_000).with_parameters("profile-id=0").with_feedback(VIDEO);
pub(super) const H264: Codec<'_> = Codec::new("H264", 90_000)
    .with_parameters("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
    .with_feedback(VIDEO);
pub(super) const AV1: Codec<'_> = Codec::new("AV1", 90_000).with_parameters("level-idx=5").with_feedback(VIDEO);
pub(super) const RTX: Codec<'_> = Codec::rtx(90_000);
pub(super) const RED_VIDEO: Codec<'_> = Codec::new("red", 90_000);
pub(super) const ULPFEC: Codec<'_> = Codec::new("ulpfec", 90_000);

const TRANSPORT: &[&str] = &["transport-cc"];
const VIDEO: &[&str] = &["nack", "nack pli", "ccm fir", "transport-cc"];

pub(super) const AUDIO_CODECS: &[Codec<'_>] = &[OPUS, RED_AUDIO, PCMU, PCMA, NOISE, EVENTS_48, EVENTS_8];
pub(super) const VIDEO_CODECS: &[Codec<'_>] = &[VP8, VP9, H264, AV1, RTX, RED_VIDEO, ULPFEC];

pub(super) const MID: Extension<'_> = Extension::new("urn:ietf:params:rtp-hdrext:sdes:mid");
pub(super) const LEVEL: Extension<'_> = Extension::new("urn:ietf:params:rtp-hdrext:ssrc-audio-level");
pub(super) const STREAM_ID: Extension<'_> = Extension::new("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id");

pub(super) const ALL: Features =
    Features { reduced_size: true, mixed_extensions: true, receives_simulcast: true, sends_simulcast: true };

pub(super) const AUDIO: Media<'_> =
    Media { extensions: &[MID, LEVEL], features: ALL, streams: &["ours"], ..Media::new("audio", AUDIO_CODECS) };
pub(super) const CAMERA: Media<'_> =
    Media { extensions: &[MID, STREAM_ID], features: ALL, streams: &["ours"], ..Media::new("video", VIDEO_CODECS) };
pub(super) const OWN_ORDER: Media<'_> = Media { order: Order::Own, ..AUDIO };

pub(super) const FINGERPRINT: &str =
    "sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08";

pub(super) fn origin() -> Origin<'static> {
    Origin::parse(b"- 3141592653589793238 1 IN IP4 0.0.0.0").unwrap()
}

/// Returns the transports of an endpoint with ICE and DTLS.
pub(super) fn transports() -> [Transport<'static>; 3] {
    [
        Transport::trickled("6sFv", "cOTZKZNVlO9RSGsEGM63JXT2", &[FINGERPRINT]),
        Transport::trickled("7sFv", "dOTZKZNVlO9RSGsEGM63JXT2", &[FINGERPRINT]),
        Transport::trickled("8sFv", "eOTZKZNVlO9RSGsEGM63JXT2", &[FINGERPRINT]),
    ]
}

/// Returns the capabilities of a browser, with audio, video and data.
pub(super) fn browser<'a>(media: &'a [Media<'a>], transports: &'a [Transport<'a>]) -> Capabilities<'a> {
    Capabilities::webrtc(origin(), media, transports)
        .with_data(DataChannel { port: 5000, max_message_size: Some(262_144) })
}

/// Returns the transports of a telephone, without ICE and DTLS.
pub(super) fn ports() -> [Transport<'static>; 3] {
    let at = |port| Transport::plain(Connection::parse(b"IN IP4 host.example.com").unwrap(), port);
    [at(49_920), at(53_000), at(55_000)]
}

/// Reads a session from lines without CR and LF.
pub(super) fn session(lines: &str) -> Session<'static> {
    let text: String =
        lines.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(|line| [line, "\r\n"]).collect();
    Session::read(text.as_bytes()).unwrap().into_owned()
}

/// Returns the lines of a media section.
pub(super) fn section(session: &Session<'_>, index: usize) -> Vec<String> {
    session.media(index).unwrap().lines().map(|line| line.to_string()).collect()
}

/// Returns the values of the lines with a prefix.
pub(super) fn values(session: &Session<'_>, index: usize, start: &str) -> Vec<String> {
    section(session, index).iter().filter_map(|line| line.strip_prefix(start).map(str::to_owned)).collect()
}

/// Returns the explanation of each section as text.
pub(super) fn explanations(answer: &portolan_sdp::offer_answer::Answer) -> Vec<String> {
    answer.explanations.iter().map(ToString::to_string).collect()
}
