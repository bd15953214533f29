//! Each mutation of a valid answer gives exactly the expected finding.

use super::endpoints::session;
use portolan_sdp::attribute::Direction;
use portolan_sdp::offer_answer::{Finding, Flaw, validate};

const OFFER: &str = "v=0
o=- 4962303333179871722 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE a1 v1
a=ice-options:trickle ice2
m=audio 9 UDP/TLS/RTP/SAVPF 96 0 97
c=IN IP4 0.0.0.0
a=mid:a1
a=sendonly
a=rtpmap:96 opus/48000/2
a=rtpmap:97 telephone-event/48000
a=rtcp-fb:96 transport-cc
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=ice-ufrag:ETEn
a=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl
a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2
a=setup:passive
a=rtcp-mux
a=rtcp-mux-only
m=video 0 UDP/TLS/RTP/SAVPF 100 101 102
c=IN IP4 0.0.0.0
a=bundle-only
a=mid:v1
a=sendrecv
a=rtpmap:100 VP8/90000
a=rtpmap:101 H264/90000
a=fmtp:101 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:102 rtx/90000
a=fmtp:102 apt=101
a=rtcp-fb:100 nack
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=rid:hi send
a=rid:lo send
a=simulcast:send hi;lo
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:d1
a=ice-ufrag:BGKk
a=ice-pwd:mqyWsAjvtKwTGnvhPztQ9mIf
a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2
a=setup:actpass
a=sctp-port:5000
m=audio 0 RTP/AVP 0
m=audio 49170 RTP/AVP 0
c=IN IP4 233.252.0.1/127
m=text 49172 RTP/AVP 98
c=IN IP4 192.0.2.1
a=rtpmap:98 t140/1000";

const ANSWER: &str = "v=0
o=- 6729291447651054566 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE a1 v1
a=ice-options:trickle ice2
m=audio 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:a1
a=recvonly
a=rtpmap:96 opus/48000/2
a=rtpmap:97 telephone-event/48000
a=rtcp-fb:96 transport-cc
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=ice-ufrag:6sFv
a=ice-pwd:cOTZKZNVlO9RSGsEGM63JXT2
a=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08
a=setup:active
a=rtcp-mux
m=video 9 UDP/TLS/RTP/SAVPF 101 102
c=IN IP4 0.0.0.0
a=mid:v1
a=recvonly
a=rtpmap:101 H264/90000
a=fmtp:101 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:102 rtx/90000
a=fmtp:102 apt=101
a=rid:hi recv
a=simulcast:recv hi
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:d1
a=ice-ufrag:7sFv
a=ice-pwd:dOTZKZNVlO9RSGsEGM63JXT2
a=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08
a=setup:passive
a=sctp-port:5000
m=audio 0 RTP/AVP 0
m=audio 49170 RTP/AVP 0
c=IN IP4 233.252.0.1/127
m=text 49180 RTP/AVP 98
c=IN IP4 192.0.2.2
a=rtpmap:98 t140/1000";

/// The replaced text, its replacement, the section of the finding (`None`: the session), and the finding.
type Mutation = (&'static str, &'static str, Option<usize>, Flaw);

const TAIL: &str = "\nm=text 49180 RTP/AVP 98\nc=IN IP4 192.0.2.2\na=rtpmap:98 t140/1000";
const ANSWERED_FINGERPRINT: &str = "\na=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\na=setup:active";

#[rustfmt::skip]
fn mutations() -> Vec<Mutation> {
    let mid = str::to_string;
    vec![
    (TAIL, "", None, Flaw::MediaCount { offered: 6, answered: 5 }),
    ("t=0 0", "t=0 3034423619", None, Flaw::Time),
    ("o=- 6729291447651054566 1", "o=- 4962303333179871722 1", None, Flaw::Origin),
    ("o=- 6729291447651054566 1", "o=- 9223372036854775808 1", None, Flaw::OriginNumber),
    ("o=- 6729291447651054566 1", "o=- 1 9223372036854775808", None, Flaw::OriginNumber),
    ("BUNDLE a1 v1", "BUNDLE a1 v1 d1", None, Flaw::BundleNotOffered { mids: mid("d1") }),
    ("BUNDLE a1 v1", "BUNDLE a1 v1 x1", None, Flaw::GroupUnknown { mids: mid("x1") }),
    ("m=video 9", "m=video 0", None, Flaw::BundleOfRefused { mids: mid("v1") }),
    ("a=ice-options:trickle ice2", "a=ice-lite\na=ice-pacing:50", None, Flaw::PacingOfLite),
    ("m=text 49180", "m=message 49180", Some(5), Flaw::Kind),
    ("m=text 49180 RTP/AVP", "m=text 49180 RTP/AVPF", Some(5), Flaw::Protocol),
    ("m=audio 0 RTP/AVP 0", "m=audio 5004 RTP/AVP 0", Some(3), Flaw::RemovedTaken),
    ("49180 RTP/AVP 98\nc=IN IP4 192.0.2.2\na=rtpmap:98", "49180 RTP/AVP 99\nc=IN IP4 192.0.2.2\na=rtpmap:99", Some(5), Flaw::NoOfferedFormat),
    ("webrtc-datachannel", "webrtc-datachannels", Some(2), Flaw::DataFormats),
    ("\na=rtpmap:97 telephone-event/48000", "", Some(0), Flaw::NoRtpmap { payload: 97 }),
    ("telephone-event/48000", "telephone-event/8000", Some(0), Flaw::Remapped { payload: 97 }),
    ("opus/48000/2", "opus/48000", Some(0), Flaw::Remapped { payload: 96 }),
    ("packetization-mode=1", "packetization-mode=0", Some(1), Flaw::Configuration { payload: 101 }),
    ("profile-level-id=42e01f", "profile-level-id=64001f", Some(1), Flaw::Configuration { payload: 101 }),
    ("apt=101", "apt=100", Some(1), Flaw::RetransmitsNothing { payload: 102 }),
    ("a=mid:a1\na=recvonly", "a=mid:a1\na=sendonly", Some(0), Flaw::Direction { offered: Direction::SendOnly, answered: Direction::SendOnly }),
    ("a=mid:a1\na=recvonly", "a=mid:a1", Some(0), Flaw::Direction { offered: Direction::SendOnly, answered: Direction::SendRecv }),
    ("IN IP4 192.0.2.2", "IN IP4 233.252.0.2/1", Some(5), Flaw::MulticastAnswered),
    ("IN IP4 233.252.0.1/127", "IN IP4 233.252.0.2/127", Some(4), Flaw::MulticastChanged),
    ("m=audio 49170", "m=audio 49172", Some(4), Flaw::MulticastChanged),
    ("m=audio 49170 RTP/AVP 0", "m=audio 49170 RTP/AVP 0 8", Some(4), Flaw::MulticastChanged),
    ("a=mid:d1", "a=mid:d2", Some(2), Flaw::Mid),
    ("\na=mid:d1", "", Some(2), Flaw::Mid),
    ("a=mid:v1", "a=mid:v1\na=bundle-only", Some(1), Flaw::BundleOnlyAnswered),
    ("\na=setup:passive", "", Some(2), Flaw::NoSetup),
    ("a=setup:passive", "a=setup:actpass", Some(2), Flaw::SetupOpen),
    ("a=setup:active", "a=setup:passive", Some(0), Flaw::SetupConflict),
    (ANSWERED_FINGERPRINT, "\na=setup:active", Some(0), Flaw::NoFingerprint),
    ("\na=ice-ufrag:7sFv\na=ice-pwd:dOTZKZNVlO9RSGsEGM63JXT2", "", Some(2), Flaw::NoIce),
    ("\na=ice-pwd:dOTZKZNVlO9RSGsEGM63JXT2", "", Some(2), Flaw::HalfIce),
    ("a=rtpmap:98 t140/1000", "a=rtpmap:98 t140/1000\na=ice-ufrag:8sFv\na=ice-pwd:eOTZKZNVlO9RSGsEGM63JXT2", Some(5), Flaw::IceNotOffered),
    ("a=sctp-port:5000", "a=sctp-port:5000\na=remote-candidates:1 192.0.2.1 9", Some(2), Flaw::RemoteCandidates),
    ("\na=rtpmap:98 t140/1000", "\na=rtpmap:98 t140/1000\na=rtcp-mux", Some(5), Flaw::MuxNotOffered),
    ("\na=rtcp-mux\n", "\n", Some(0), Flaw::MuxMissing),
    ("\na=rtcp-mux\n", "\na=rtcp-mux\na=rtcp-mux-only\n", Some(0), Flaw::MuxOnlyAnswered),
    ("\na=rtcp-mux\n", "\na=rtcp-mux\na=rtcp-rsize\n", Some(0), Flaw::ReducedSizeNotOffered),
    ("a=rtcp-fb:96 transport-cc", "a=rtcp-fb:96 nack", Some(0), Flaw::FeedbackNotOffered { payload: Some(96) }),
    ("a=fmtp:102 apt=101", "a=fmtp:102 apt=101\na=rtcp-fb:* nack pli", Some(1), Flaw::FeedbackNotOffered { payload: None }),
    ("a=extmap:1 ", "a=extmap:3 ", Some(0), Flaw::ExtensionRenumbered { id: 3 }),
    ("a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:2 urn:example:new", Some(0), Flaw::ExtensionRenumbered { id: 2 }),
    ("a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:7 urn:example:a\na=extmap:7 urn:example:b", Some(0), Flaw::ExtensionTwice { id: 7 }),
    ("a=extmap:1 ", "a=extmap:1/sendonly ", Some(0), Flaw::ExtensionDirection { id: 1 }),
    ("a=rtcp-fb:96 transport-cc", "a=rtcp-fb:96 transport-cc\na=extmap-allow-mixed", Some(0), Flaw::MixedNotOffered),
    ("a=rid:hi recv\na=simulcast:recv hi", "a=rid:hi recv\na=rid:lo recv\na=simulcast:recv hi;lo;mid", Some(1), Flaw::SimulcastNotOffered),
    ("a=simulcast:recv hi", "a=simulcast:recv hi;lo", Some(1), Flaw::SimulcastWithoutRid),
    ("a=rid:hi recv", "a=rid:hi recv\na=rid:x recv", Some(1), Flaw::RidNotReversed),
    ("a=sctp-port:5000", "a=x-port:5000", Some(2), Flaw::NoSctpPort),
    ("BUNDLE a1 v1", "BUNDLE a1", Some(1), Flaw::BundleOnlyAlone),
    ("a=setup:active", "a=setup:holdconn", Some(0), Flaw::HoldConnection),
    ("profile-level-id=42e01f", "profile-level-id=42e020", Some(1), Flaw::LevelRaised { payload: 101 }),
    ("profile-level-id=42e01f", "level-asymmetry-allowed=1;profile-level-id=42e020", Some(1), Flaw::LevelRaised { payload: 101 }),
    ("a=rtpmap:98 t140/1000", "a=rtpmap:98 t140/1000\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj", Some(5), Flaw::CryptoNotOffered { tag: 1 }),
    ]
}

#[test]
fn the_answer_is_valid_before_the_mutation() {
    assert_eq!(validate(&session(OFFER), &session(ANSWER)), []);
}

#[test]
fn each_mutation_gives_exactly_its_finding() {
    let offer = session(OFFER);
    for (from, to, media, flaw) in mutations() {
        assert_ne!(from, to);
        assert!(ANSWER.contains(from), "{from:?}");
        let findings = validate(&offer, &session(&ANSWER.replacen(from, to, 1)));
        let found: Vec<(Option<usize>, Flaw)> =
            findings.iter().map(|finding| (finding.media, finding.flaw.clone())).collect();
        // Some mutations have further findings as a consequence.
        let consequences: &[Flaw] = if flaw == Flaw::SimulcastNotOffered {
            &[Flaw::SimulcastWithoutRid]
        } else if flaw == Flaw::BundleOnlyAlone {
            &[Flaw::NoSetup, Flaw::NoFingerprint]
        } else {
            &[]
        };
        let mut expected = vec![(media, flaw)];
        expected.extend(consequences.iter().map(|flaw| (media, flaw.clone())));
        assert!(found == expected, "{from:?} to {to:?} gives {found:#?}");
    }
}

#[test]
fn findings_have_their_line_and_their_section() {
    let mutated = session(&ANSWER.replacen("a=setup:active", "a=setup:passive", 1));
    let findings = validate(&session(OFFER), &mutated);
    let [finding] = &findings[..] else { panic!("one finding") };
    assert_eq!(*finding, Finding { media: Some(0), line: 18, column: 9, flaw: Flaw::SetupConflict });
    assert_eq!(finding.to_string(), "m-line 0: a=setup is the same role as in the offer (RFC 4145 §4.1)");

    let mutated = session(&ANSWER.replacen("a=setup:passive", "a=setup:passiv", 1));
    let found: Vec<String> = validate(&session(OFFER), &mutated).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["m-line 2: line 36, column 9: expected active, passive, actpass or holdconn, found 'p' (RFC 4145 §4)",]
    );

    let first_finding = |offer: &str, answer: &str| validate(&session(offer), &session(answer))[0].to_string();
    let odd = OFFER.replacen("m=text 49172", "m=text 491720", 1);
    assert_eq!(
        first_finding(&odd, ANSWER),
        "session: the offer: line 48, column 8: expected a port, 0 to 65535, found '4' (RFC 8866 §5.14)"
    );
}
