//! Three endpoints answer an offer. Every answer is valid for the offer and accepted by a strict reader, and has an
//! explanation for each section.
//!
//! No description makes `answer`, `validate` or `lint` panic, in either order of the two descriptions.

use crate::SEEDED;
use portolan_sdp::attribute::Direction;
use portolan_sdp::line::Kind;
use portolan_sdp::lint::lint;
use portolan_sdp::offer_answer::{
    Capabilities, Codec, DataChannel, Extension, Features, Media, Transport, answer, validate,
};
use portolan_sdp::value::{Connection, MediaLine, Origin};
use portolan_sdp::{Attribute, Reader, Session, Value};

/// Answers the offer. Returns whether an endpoint made an answer.
pub fn run(bytes: &[u8]) -> bool {
    let Ok(offer) = Session::read(bytes) else { return false };
    // An offer with the origin of the answerer cannot be answered here: the two origins must differ.
    let is_own = offer.top().line(Kind::Origin).is_some_and(|line| line.value().starts_with(b"- 3141592653589793238 "));
    drop(validate(&offer, &offer));
    for finding in lint(&offer) {
        let line = offer.line(finding.line - 1).unwrap_or_else(|| panic!("{finding}"));
        let rest = line.text().get(finding.column - 1..).unwrap_or_else(|| panic!("{finding}"));
        assert!(rest.starts_with(finding.text), "{finding}");
    }
    if is_own {
        return false;
    }
    let (carriers, ports) = (carriers(), ports());
    let browser = Capabilities::webrtc(origin(), &[AUDIO, VIDEO], &carriers).with_data(DATA);
    let listener = Capabilities::webrtc(origin(), &[AUDIO], &carriers);
    let telephone = Capabilities::plain(origin(), &[TELEPHONE], &ports);
    // `|` and not `||`: all three endpoints must answer.
    [browser, listener, telephone].iter().fold(false, |made, endpoint| made | answered(&offer, endpoint))
}

fn answered(offer: &Session<'_>, endpoint: &Capabilities<'_>) -> bool {
    let made = match answer(offer, endpoint) {
        Ok(made) => made,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let mut session = made.session;
    if SEEDED && has_inactive_behind_refused(offer) {
        let _ = session.remove_media(session.media_count() - 1);
    }
    assert_eq!(made.explanations.len(), offer.media_count());
    let faults = validate(offer, &session);
    assert!(faults.is_empty(), "{faults:?}\n{session}");
    drop(validate(&session, offer));
    let bytes = session.to_bytes();
    let read = Reader::strict().read(&bytes).unwrap_or_else(|error| panic!("{error}\n{session}"));
    for attribute in read.session.all_media().flat_map(|media| media.attributes()) {
        attribute.unwrap_or_else(|error| panic!("{error}\n{session}"));
    }
    true
}

/// The condition of the seeded bug: an inactive section behind a refused one.
fn has_inactive_behind_refused(offer: &Session<'_>) -> bool {
    let mut is_refused = false;
    for media in offer.all_media() {
        let is_inactive = media.attributes().any(|read| read == Ok(Attribute::Direction(Direction::Inactive)));
        if is_refused && is_inactive {
            return true;
        }
        let head = media.line(Kind::Media).and_then(|line| line.read::<MediaLine<'_>>().ok());
        is_refused |= head.is_some_and(|head| head.port == 0);
    }
    false
}

const ALL: Features =
    Features { reduced_size: true, mixed_extensions: true, receives_simulcast: true, sends_simulcast: true };
const DATA: DataChannel = DataChannel { port: 5000, max_message_size: Some(262_144) };
const FEEDBACK: &[&str] = &["nack", "nack pli", "ccm fir", "transport-cc"];
const EXTENSIONS: &[Extension<'_>] = &[
    Extension::new("urn:ietf:params:rtp-hdrext:sdes:mid"),
    Extension::new("urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    Extension::new("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
];
const PCMU: Codec<'_> = Codec::new("PCMU", 8000);
const EVENTS: Codec<'_> = Codec::new("telephone-event", 8000).with_parameters("0-15");
const AUDIO_CODECS: &[Codec<'_>] = &[
    Codec::new("opus", 48_000).with_channels(2).with_parameters("minptime=10;useinbandfec=1"),
    Codec::new("red", 48_000).with_channels(2),
    PCMU,
    EVENTS,
];
const VIDEO_CODECS: &[Codec<'_>] = &[
    Codec::new("VP8", 90_000).with_feedback(FEEDBACK),
    Codec::new("VP9", 90_000).with_parameters("profile-id=0").with_feedback(FEEDBACK),
    Codec::new("H264", 90_000)
        .with_parameters("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
        .with_feedback(FEEDBACK),
    Codec::rtx(90_000),
];
const AUDIO: Media<'_> =
    Media { extensions: EXTENSIONS, features: ALL, streams: &["ours"], ..Media::new("audio", AUDIO_CODECS) };
const VIDEO: Media<'_> =
    Media { extensions: EXTENSIONS, features: ALL, streams: &["ours"], ..Media::new("video", VIDEO_CODECS) };
const TELEPHONE: Media<'_> = Media::new("audio", &[PCMU, EVENTS]);
const FINGERPRINT: &str =
    "sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08";

fn origin() -> Origin<'static> {
    Origin::parse(b"- 3141592653589793238 1 IN IP4 0.0.0.0").expect("an origin")
}

fn carriers() -> [Transport<'static>; 3] {
    ["one1", "two2", "six6"].map(|name| Transport::trickled(name, "cOTZKZNVlO9RSGsEGM63JXT2", &[FINGERPRINT]))
}

fn ports() -> [Transport<'static>; 2] {
    [49_920, 53_000]
        .map(|port| Transport::plain(Connection::parse(b"IN IP4 host.example.com").expect("an address"), port))
}
