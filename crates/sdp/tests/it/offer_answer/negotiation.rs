//! The contents of an answer, with accepted and refused items and their explanations, by section of the RFC.

use super::endpoints::{
    ALL, AUDIO, AUDIO_CODECS, CAMERA, FINGERPRINT, LEVEL, MID, OPUS, OWN_ORDER, PCMA, PCMU, STREAM_ID, VIDEO_CODECS,
    VP8, browser, explanations, origin, ports, section, session, transports, values,
};
use portolan_sdp::Session;
use portolan_sdp::attribute::Direction;
use portolan_sdp::offer_answer::{
    Answer, AnswerError, BundlePolicy, Capabilities, Codec, Credentials, Decision, Demands, Dtls, Extension, Features,
    Media, MuxPolicy, OmissionReason, Refusal, Role, SectionOutcome, Transport, answer, validate,
};
use portolan_sdp::session::EditError;

const TOP: &str = "v=0\no=- 4962303333179871722 1 IN IP4 0.0.0.0\ns=-\nt=0 0";
const KEYS: &str = "a=ice-ufrag:ETEn\na=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl
    a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2
    a=setup:actpass\na=rtcp-mux";

/// Makes an offer whose sections each have their own ICE and DTLS attributes.
fn offer(sections: &[&str]) -> Session<'static> {
    let sections = sections.iter().map(|section| format!("\n{section}\n{KEYS}"));
    session(&(TOP.to_owned() + &sections.collect::<String>()))
}

fn answered(offer: &Session<'_>, media: &[Media<'_>]) -> Answer {
    let transports = transports();
    checked(offer, &browser(media, &transports))
}

/// Answers an offer and validates the answer.
fn checked(offer: &Session<'_>, capabilities: &Capabilities<'_>) -> Answer {
    let made = answer(offer, capabilities).unwrap();
    assert_eq!(validate(offer, &made.session), [], "{}", made.session);
    made
}

/// Answers a section with these codecs. Returns the formats of the answer.
fn formats(lines: &str, codecs: &[Codec<'_>]) -> String {
    let made = answered(&offer(&[lines]), &[Media::new("audio", codecs), Media::new("video", codecs)]);
    let head = section(&made.session, 0)[0].clone();
    head.split_once("SAVPF ").unwrap().1.to_owned()
}

#[test]
fn rfc3264_6_1_codecs_match_by_name_clock_and_channels() {
    let lines = "m=audio 9 UDP/TLS/RTP/SAVPF 111 112 113 0 8 9
        a=rtpmap:111 OPUS/48000/2\na=rtpmap:112 opus/48000\na=rtpmap:113 opus/24000/2";
    assert_eq!(formats(lines, &[OPUS]), "111");
    // Static payload types need no mapping, and PCMU may have a dynamic one.
    assert_eq!(formats(lines, &[OPUS, PCMU]), "111 0");
    assert_eq!(formats("m=audio 9 UDP/TLS/RTP/SAVPF 100 8\na=rtpmap:100 pcmu/8000/1", &[PCMU]), "100");
    // An `a=rtpmap` overrides the static payload type.
    assert_eq!(formats("m=audio 9 UDP/TLS/RTP/SAVPF 0 8\na=rtpmap:0 PCMA/8000", &[PCMA]), "0 8");
    // A format that is offered twice is answered once.
    assert_eq!(formats("m=audio 9 UDP/TLS/RTP/SAVPF 0 0 8 0", &[PCMU, PCMA]), "0 8");
}

#[test]
fn rfc3264_6_1_the_formats_have_the_order_of_the_offer_or_of_the_answerer() {
    let offer = offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 8 0 111\na=rtpmap:111 opus/48000/2"]);
    assert_eq!(values(&answered(&offer, &[AUDIO]).session, 0, "m="), ["audio 9 UDP/TLS/RTP/SAVPF 8 0 111"]);
    assert_eq!(values(&answered(&offer, &[OWN_ORDER]).session, 0, "m="), ["audio 9 UDP/TLS/RTP/SAVPF 111 0 8"]);
}

#[test]
fn rfc3264_6_1_mappings_and_parameters_are_answered() {
    let offer = offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 0 111 126
        a=rtpmap:111 opus/48000/2\na=fmtp:111 maxplaybackrate=16000\na=rtcp-fb:111 transport-cc\na=rtcp-fb:* nack
        a=rtpmap:126 telephone-event/8000\na=fmtp:126 0-16"]);
    let made = answered(&offer, &[Media { streams: &[], ..AUDIO }]);
    assert_eq!(values(&made.session, 0, "a=rtpmap:"), ["0 PCMU/8000", "111 opus/48000/2", "126 telephone-event/8000"]);
    // These parameters describe a receiver: the answer has the answerer's own.
    assert_eq!(values(&made.session, 0, "a=fmtp:"), ["111 minptime=10;useinbandfec=1", "126 0-15"]);
    assert_eq!(values(&made.session, 0, "a=rtcp-fb:"), ["111 transport-cc"]);
}

#[test]
fn rfc3264_6_1_formats_with_another_configuration_do_not_match() {
    const HIGH: Codec<'_> = Codec::new("H264", 90_000).with_parameters("packetization-mode=1;profile-level-id=64001f");
    const PLAIN: Codec<'_> = Codec::new("H264", 90_000).with_parameters("profile-level-id=42e01f");
    let lines = "m=video 9 UDP/TLS/RTP/SAVPF 1 2 3 4
        a=rtpmap:1 H264/90000\na=fmtp:1 packetization-mode=1;profile-level-id=42e01f
        a=rtpmap:2 H264/90000\na=fmtp:2 packetization-mode=1; profile-level-id=64001F
        a=rtpmap:3 H264/90000\na=fmtp:3 profile-level-id=4d801f;packetization-mode=0
        a=rtpmap:4 H264/90000";
    let lines = &lines.replace(" 1 2 3 4", " 101 102 103 104").replace(":1", ":101").replace(":2", ":102");
    let lines = &lines.replace(":3", ":103").replace(":4", ":104");
    assert_eq!(formats(lines, &[HIGH]), "102");
    // 4d801f and 42e01f are one profile, constrained baseline. Without a parameter the profile is baseline (RFC 6184
    // §8.1).
    assert_eq!(formats(lines, &[PLAIN]), "103");
    assert_eq!(formats(lines, &[Codec::new("H264", 90_000)]), "104");

    let lines = "m=video 9 UDP/TLS/RTP/SAVPF 98 99 100 101
        a=rtpmap:98 VP9/90000\na=fmtp:98 profile-id=0\na=rtpmap:99 VP9/90000\na=fmtp:99 profile-id=2
        a=rtpmap:100 AV1/90000\na=fmtp:100 profile=1\na=rtpmap:101 AV1/90000";
    assert_eq!(formats(lines, &[Codec::new("VP9", 90_000), Codec::new("AV1", 90_000)]), "98 101");
    let made = answered(&offer(&[lines]), &[Media::new("video", &[Codec::new("VP9", 90_000)])]);
    assert_eq!(values(&made.session, 0, "a=fmtp:"), ["98 profile-id=0"]);
    assert!(
        made.explanations[0]
            .notes
            .contains(&Decision::FormatOmitted { payload: 99, why: OmissionReason::Configuration })
    );
    assert!(
        made.explanations[0]
            .notes
            .contains(&Decision::FormatOmitted { payload: 101, why: OmissionReason::Unsupported })
    );
}

#[test]
fn rfc6184_8_2_2_the_level_is_the_lower_one_without_level_asymmetry() {
    let level = |offered: &str, own: &str| {
        let lines = format!("m=video 9 UDP/TLS/RTP/SAVPF 101\na=rtpmap:101 H264/90000\na=fmtp:101 {offered}");
        let codecs = [Codec::new("H264", 90_000).with_parameters(own)];
        let made = answered(&offer(&[&lines]), &[Media::new("video", &codecs)]);
        values(&made.session, 0, "a=fmtp:101 ").concat()
    };
    assert_eq!(level("profile-level-id=42e033", "profile-level-id=42e01f"), "profile-level-id=42e01f");
    assert_eq!(level("profile-level-id=42e00d", "profile-level-id=42e01f"), "profile-level-id=42e00d");
    let both =
        ["level-asymmetry-allowed=1;profile-level-id=42e00d", "profile-level-id=42e01f;level-asymmetry-allowed=1"];
    assert_eq!(level(both[0], both[1]), "profile-level-id=42e01f;level-asymmetry-allowed=1");
    // Level 1b is between 1 and 1.1, in both encodings.
    assert_eq!(level("profile-level-id=42f00b", "profile-level-id=42e00b"), "profile-level-id=42f00b");
    assert_eq!(level("profile-level-id=42e00b", "profile-level-id=42f00b"), "profile-level-id=42f00b");
    assert_eq!(level("profile-level-id=42e009", "profile-level-id=42e00a"), "profile-level-id=42e00a");
}

#[test]
fn rfc9429_5_3_1_a_repair_format_needs_its_primary_format() {
    let lines = "m=video 9 UDP/TLS/RTP/SAVPF 97 96 99 98 118 119 120 121
        a=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\na=rtpmap:96 VP8/90000
        a=rtpmap:99 rtx/90000\na=fmtp:99 apt=98;rtx-time=3000\na=rtpmap:98 VP9/90000
        a=rtpmap:118 red/90000\na=rtpmap:119 rtx/90000\na=fmtp:119 apt=118
        a=rtpmap:120 ulpfec/90000\na=rtpmap:121 rtx/90000\na=fmtp:121 apt=97";
    assert_eq!(formats(lines, VIDEO_CODECS), "97 96 99 98 118 119 120");
    assert_eq!(formats(lines, &[VP8, Codec::rtx(90_000)]), "97 96");
    assert_eq!(formats(lines, &[VP8]), "96");
    let made =
        answered(&offer(&[lines]), &[Media::new("video", &[VP8, Codec::rtx(90_000).with_parameters("rtx-time=500")])]);
    assert_eq!(values(&made.session, 0, "a=fmtp:"), ["97 apt=96;rtx-time=500"]);
    // A repair format alone is not a common format.
    let made = answered(&offer(&[lines]), &[Media::new("video", &[Codec::rtx(90_000), Codec::new("ulpfec", 90_000)])]);
    assert_eq!(explanations(&made), ["m-line 0 refused: no common codec"]);

    let lines = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 13 110 126
        a=rtpmap:111 opus/48000/2\na=rtpmap:63 red/48000/2\na=fmtp:63 111/111
        a=rtpmap:110 telephone-event/48000\na=rtpmap:126 telephone-event/8000";
    assert_eq!(formats(lines, AUDIO_CODECS), "111 63 0 13 110 126");
    let without = |name: &str| -> Vec<Codec<'static>> {
        AUDIO_CODECS.iter().copied().filter(|codec| codec.name != name).collect()
    };
    // Comfort noise and events have the clock rate of the formats that they accompany (RFC 3389 §5, RFC 4733 §2.5.1.2).
    assert_eq!(formats(lines, &without("PCMU")), "111 63 110");
    assert_eq!(formats(lines, &without("opus")), "0 13 126");
    let made = answered(&offer(&[lines]), &[Media::new("audio", &without("opus"))]);
    assert_eq!(
        made.explanations[0].notes[..2],
        [
            Decision::FormatOmitted { payload: 111, why: OmissionReason::Unsupported },
            Decision::FormatOmitted { payload: 63, why: OmissionReason::NoPrimaryFormat },
        ]
    );
    assert_eq!(made.explanations[0].notes[1].to_string(), "format 63 left out: no format that it serves is answered");
}

#[test]
fn rfc3264_6_1_directions_are_reversed_and_intersected() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let table = [
        (SendRecv, [SendRecv, SendOnly, RecvOnly, Inactive]),
        (SendOnly, [RecvOnly, Inactive, RecvOnly, Inactive]),
        (RecvOnly, [SendOnly, SendOnly, Inactive, Inactive]),
        (Inactive, [Inactive, Inactive, Inactive, Inactive]),
    ];
    for (offered, expected) in table {
        for (own, expected) in [SendRecv, SendOnly, RecvOnly, Inactive].into_iter().zip(expected) {
            let offer = offer(&[&format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\na={offered}")]);
            let made = answered(&offer, &[Media::new("audio", &[PCMU]).with_direction(own)]);
            let direction = Some(expected);
            assert_eq!(
                made.explanations[0].outcome,
                SectionOutcome::Accepted { formats: 1, of: 1, direction },
                "{offered} {own}"
            );
            assert!(section(&made.session, 0).contains(&format!("a={expected}")));
            let narrowed = made.explanations[0].notes.contains(&Decision::Narrowed { offered, answered: expected });
            assert_eq!(narrowed, expected != offered.reversed());
        }
    }
    // The direction of the session is the default of a section; without both it is sendrecv.
    let wide = session(&format!(
        "{TOP}\na=sendonly\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n{KEYS}\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=recvonly\n{KEYS}"
    ));
    let transports = transports();
    let capabilities = Capabilities { bundle: BundlePolicy::MaxCompat, ..browser(&[AUDIO], &transports) };
    let made = checked(&wide, &capabilities);
    let directions: Vec<_> = made.explanations.iter().map(|explanation| explanation.outcome.to_string()).collect();
    assert_eq!(directions, ["accepted: 1 of 1 formats, recvonly", "accepted: 1 of 1 formats, sendonly"]);
}

#[test]
fn rfc8285_7_extensions_keep_their_numbers() {
    let lines = "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=extmap-allow-mixed
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on
        a=extmap:9/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=extmap:14 urn:example:unknown
        a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:3/recvonly urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:4096 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
    let extensions = [LEVEL, MID, STREAM_ID];
    let answered = |extensions: &[Extension<'_>], features| {
        let media = Media { extensions, features, ..Media::new("audio", &[PCMU]) };
        let made = answered(&offer(&[lines]), &[media]);
        (values(&made.session, 0, "a=extmap"), made.explanations[0].notes.clone())
    };
    let (lines, notes) = answered(&extensions, ALL);
    assert_eq!(
        lines,
        [
            ":9/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            ":3/sendonly urn:ietf:params:rtp-hdrext:sdes:mid",
            "-allow-mixed",
        ]
    );
    assert_eq!(notes, [Decision::ExtensionOmitted { id: 14 }, Decision::ExtensionOmitted { id: 4096 }]);
    // RFC 8285 §7: an endpoint omits an extension that it does not receive.
    let unwanted = [Extension { direction: Direction::SendOnly, ..LEVEL }];
    assert_eq!(answered(&unwanted, Features::NONE).0, [""; 0]);
    let other = [Extension { attributes: "vad=on", ..LEVEL }];
    assert_eq!(answered(&other, Features::NONE).0, [":1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on"]);
}

#[test]
fn rfc4145_4_1_the_role_follows_the_offer() {
    let role = |offered: &str, role| {
        let offer = offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 0"]).to_string().replace("a=setup:actpass\r\n", offered);
        let fingerprints = [FINGERPRINT];
        let dtls = Some(Dtls { fingerprints: &fingerprints, tls_id: Some("eec3392ab83e11ceb6a0990c903fbb19"), role });
        let transports = [Transport { dtls, ..transports()[0] }];
        let offer = session(&offer);
        let made = checked(&offer, &browser(&[AUDIO], &transports));
        (
            values(&made.session, 0, "a=setup:").concat(),
            explanations(&made).concat(),
            values(&made.session, 0, "a=tls-id:").len(),
        )
    };
    assert_eq!(role("a=setup:actpass\r\n", Role::Active).0, "active");
    assert_eq!(role("a=setup:actpass\r\n", Role::Passive).0, "passive");
    assert_eq!(role("a=setup:active\r\n", Role::Active).0, "passive");
    assert_eq!(role("a=setup:passive\r\n", Role::Passive).0, "active");
    assert_eq!(role("", Role::Active).0, "passive", "the default of the offer is active");
    assert_eq!(
        role("a=setup:holdconn\r\n", Role::Active).1,
        "m-line 0 refused: a=setup:holdconn must not be used with DTLS"
    );
    // RFC 9429 §5.3.1: `a=tls-id` is answered. An offerer without it does not support it.
    assert_eq!(role("a=setup:actpass\r\n", Role::Active).2, 0);
    assert_eq!(role("a=setup:actpass\r\na=tls-id:91bbf309c0990a6bec11e38ba2933cee\r\n", Role::Active).2, 1);
}

/// Returns the explanation of a refused section.
fn refused(head: &str, keys: &str, capabilities: &Capabilities<'_>) -> String {
    let made = checked(&session(&format!("{TOP}\n{head}\n{keys}")), capabilities);
    let line = section(&made.session, 0)[0].clone();
    let [_, _, rest] = head.lines().next().unwrap().splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{head}") };
    assert!(line.contains(" 0 ") && line.ends_with(rest), "{line}");
    let SectionOutcome::Refused(refusal) = made.explanations[0].outcome else { panic!("{head} is accepted") };
    format!("{refusal} ({})", refusal.clause())
}

const AUDIO_HEAD: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 0";

#[test]
fn rfc3264_6_a_section_that_cannot_be_answered_is_refused_with_port_0() {
    let (media, transports) = ([AUDIO, CAMERA], transports());
    let browser = browser(&media, &transports);
    let table = [
        ("m=audio 0 UDP/TLS/RTP/SAVPF 0", "it was removed, its port is 0 (RFC 3264 §8.2)"),
        ("m=text 9 UDP/TLS/RTP/SAVPF 98", "this kind of media is not supported (RFC 3264 §6)"),
        ("m=application 9 UDP/BFCP *", "this kind of media is not supported (RFC 3264 §6)"),
        ("m=audio 9 TCP/RTP/AVP 0", "the protocol is not supported (RFC 9429 §5.1.2)"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 96 300 x", "no common codec (RFC 3264 §6.1)"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 9", "no common codec (RFC 3264 §6.1)"),
        ("m=audio 9 RTP/AVP 0\nc=IN IP4 233.252.0.1/3", "multicast is not supported (RFC 3264 §6.2)"),
        ("m=audio 0 RTP/AVP 0\na=bundle-only", "it is bundle-only, but in no bundle (RFC 9143 §6)"),
        ("m=application 9 UDP/DTLS/SCTP other\na=sctp-port:1", "no common codec (RFC 3264 §6.1)"),
        ("m=application 9 DTLS/SCTP 5\na=sctpmap:6 webrtc-datachannel", "no common codec (RFC 3264 §6.1)"),
        ("m=application 9 DTLS/SCTP 5", "data channels without an SCTP port (RFC 9429 §5.8.2)"),
        (
            "m=audio 9 RTP/AVP 0\na=setup:unknown",
            "line 6, column 9: expected active, passive, actpass or holdconn, found 'u' (RFC 4145 §4) (RFC 4145 §4)",
        ),
    ];
    for (head, text) in table {
        assert_eq!(refused(head, KEYS, &browser), text, "{head}");
    }
    let declined = [Media::declined("audio")];
    let text = refused(AUDIO_HEAD, KEYS, &Capabilities { media: &declined, ..browser });
    assert_eq!(text, "the endpoint declines it (RFC 3264 §6)");
    let text = refused("m=application 9 UDP/DTLS/SCTP x", KEYS, &Capabilities { data: None, ..browser });
    assert_eq!(text, "this kind of media is not supported (RFC 3264 §6)");
}

#[test]
fn rfc9429_5_1_1_a_section_without_ice_or_dtls_is_refused() {
    let (media, transports, ports) = ([AUDIO, CAMERA], transports(), ports());
    let browser = browser(&media, &transports);
    let old = Capabilities { transports: &ports, ..browser };
    let unmuxed = KEYS.replace("\na=rtcp-mux", "");
    let no_print = "a=ice-ufrag:ETEn\na=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl\na=rtcp-mux";
    let no_ice = "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\na=rtcp-mux";
    let text = |keys, capabilities| refused(AUDIO_HEAD, keys, capabilities);
    assert_eq!(text(&unmuxed, &browser), "rtcp-mux is not offered (RFC 9429 §5.8.3)");
    assert_eq!(text(no_ice, &browser), "ICE is not offered (RFC 9429 §5.1.1)");
    assert_eq!(text(no_print, &browser), "no fingerprint, so no DTLS, is offered (RFC 9429 §5.1.1)");
    let none = Capabilities { transports: &[], ..browser };
    assert_eq!(text(KEYS, &none), "there is no transport left for it (RFC 3264 §6)");
    assert_eq!(text(KEYS, &old), "its transport has no ICE credentials (RFC 9429 §5.1.1)");
    let old = Capabilities { demands: Demands::Nothing, ..old };
    assert_eq!(text(KEYS, &old), "its transport has no certificate (RFC 9429 §5.1.1)");
    // A secure profile needs DTLS attributes.
    let text = refused("m=audio 9 RTP/SAVP 0", "", &Capabilities::plain(origin(), &media, &ports));
    assert_eq!(text, "no fingerprint, so no DTLS, is offered (RFC 9429 §5.1.1)");
}

#[test]
fn rfc9429_5_1_2_the_answer_has_the_offered_profile() {
    let profiles = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF"];
    for profile in profiles.into_iter().chain(["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"]) {
        let made = answered(&offer(&[&format!("m=audio 9 {profile} 0")]), &[AUDIO]);
        assert_eq!(values(&made.session, 0, "m="), [format!("audio 9 {profile} 0")]);
    }
    for profile in ["UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"] {
        let made = answered(&offer(&[&format!("m=application 9 {profile} webrtc-datachannel\na=sctp-port:4999")]), &[]);
        assert_eq!(section(&made.session, 0)[0], format!("m=application 9 {profile} webrtc-datachannel"));
        assert_eq!(values(&made.session, 0, "a=sctp-port:"), ["5000"]);
        assert_eq!(values(&made.session, 0, "a=max-message-size:"), ["262144"]);
    }
    let made = answered(&offer(&["m=application 9 DTLS/SCTP 4999\na=sctpmap:4999 webrtc-datachannel 16"]), &[]);
    assert_eq!(values(&made.session, 0, "a=sctpmap:"), ["4999 webrtc-datachannel 16"]);
    assert_eq!(explanations(&made), ["m-line 0 accepted: data channels"]);
}

/// Returns an offer with three sections in one bundle and one section outside of the bundle.
fn bundled() -> Session<'static> {
    session(&format!(
        "{TOP}
        a=group:BUNDLE a b c
        m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:a\n{KEYS}
        m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\na=mid:b\n{KEYS}
        m=video 0 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\na=mid:c\na=bundle-only
        m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:d\n{KEYS}"
    ))
}

#[test]
fn rfc9429_5_3_1_the_bundle_policy_refuses_unbundled_sections() {
    let media = [AUDIO, CAMERA];
    let transports = transports();
    let sections =
        |bundle| explanations(&checked(&bundled(), &Capabilities { bundle, ..browser(&media, &transports) }));
    let is_accepted = |bundle| sections(bundle).iter().map(|text| text.contains("accepted")).collect::<Vec<_>>();
    assert_eq!(is_accepted(BundlePolicy::MaxCompat), [true, true, true, true]);
    assert_eq!(is_accepted(BundlePolicy::Balanced), [true, true, true, false]);
    assert_eq!(is_accepted(BundlePolicy::MustBundle), [true, true, true, false]);
    assert_eq!(is_accepted(BundlePolicy::Never), [true, true, false, true]);
    assert_eq!(sections(BundlePolicy::Never)[2], "m-line 2 refused: it is bundle-only, but in no bundle");
    assert_eq!(
        sections(BundlePolicy::MustBundle)[3],
        "m-line 3 refused: it is not bundled with the first section, as the bundle policy asks for"
    );
    // RFC 9429 §5.3.1: if the section that carries the bundle is refused, the whole bundle is refused.
    let media = [Media::declined("audio"), AUDIO, CAMERA];
    let made = checked(&bundled(), &Capabilities { bundle: BundlePolicy::MaxCompat, ..browser(&media, &transports) });
    assert_eq!(
        super::endpoints::explanations(&made),
        [
            "m-line 0 refused: the endpoint declines it",
            "m-line 1 refused: it is bundled with m-line 0, which is refused",
            "m-line 2 refused: it is bundled with m-line 0, which is refused",
            "m-line 3 accepted: 1 of 1 formats, sendrecv",
        ]
    );
    assert!(!made.session.to_string().contains("a=group"), "{}", made.session);
}

#[test]
fn rfc9143_7_1_3_transport_attributes_are_written_once() {
    let media = [AUDIO, CAMERA];
    let transports = transports();
    let capabilities = Capabilities { bundle: BundlePolicy::MaxCompat, ..browser(&media, &transports) };
    let made = checked(&bundled(), &capabilities);
    assert_eq!(made.session.top().attribute(b"group").unwrap().value(), b"group:BUNDLE a b c");
    let fragments = |session: &Session<'_>| -> Vec<String> {
        (0..4).map(|index| values(session, index, "a=ice-ufrag:").concat()).collect()
    };
    assert_eq!(fragments(&made.session), ["6sFv", "", "", "7sFv"]);
    assert_eq!(made.explanations[2].notes[0], Decision::BundledWith { media: 0 });
    assert!(!made.session.to_string().contains("bundle-only"));
    let repeated = checked(&bundled(), &Capabilities { repeats_transport: true, ..capabilities });
    assert_eq!(fragments(&repeated.session), ["6sFv", "6sFv", "6sFv", "7sFv"]);
    let muxed = |index| values(&repeated.session, index, "a=rtcp-mux").len();
    assert_eq!(
        [muxed(0), muxed(1), muxed(2), muxed(3)],
        [1, 1, 0, 1],
        "only sections with the attribute in the offer have it"
    );
}

/// A re-offer has the transport attributes only in the first section. That section can be a data section.
#[test]
fn rfc9143_9_3_the_first_section_has_the_attributes_of_the_bundle() {
    let offer = session(&format!(
        "{TOP}
        a=group:BUNDLE d v\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=sctp-port:5000\na=mid:d\n{KEYS}
        m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\na=mid:v"
    ));
    let made = answered(&offer, &[CAMERA]);
    assert_eq!(values(&made.session, 0, "a=rtcp-mux"), [""]);
    assert_eq!(
        explanations(&made),
        ["m-line 0 accepted: data channels", "m-line 1 accepted: 1 of 1 formats, sendrecv"]
    );
    let unmuxed = session(&offer.to_string().replace("a=rtcp-mux\r\n", ""));
    assert_eq!(explanations(&answered(&unmuxed, &[CAMERA]))[1], "m-line 1 refused: rtcp-mux is not offered");
    // Browsers write the attribute in the media section itself.
    let own = session(&format!("{unmuxed}a=rtcp-mux"));
    assert_eq!(values(&answered(&own, &[CAMERA]).session, 0, "a=rtcp-mux"), [""]);
}

#[test]
fn rfc5888_9_1_only_offered_names_are_answered() {
    let lines = "m=audio 9 UDP/TLS/RTP/SAVPF 0";
    let made = answered(&offer(&[lines]), &[AUDIO]);
    assert_eq!(values(&made.session, 0, "a=mid:"), [""; 0]);
    let twice = session(&format!("{TOP}\n{lines}\na=mid:x\n{KEYS}\n{lines}\na=mid:x\n{KEYS}"));
    let transports = transports();
    let capabilities = Capabilities { bundle: BundlePolicy::MaxCompat, ..browser(&[AUDIO], &transports) };
    let made = checked(&twice, &capabilities);
    assert_eq!(explanations(&made)[1], "m-line 1 refused: its a=mid is that of another section");
    assert_eq!([values(&made.session, 0, "a=mid:").len(), values(&made.session, 1, "a=mid:").len()], [1, 0]);
}

#[test]
fn rfc9429_5_3_1_lip_synchronization_groups_are_answered() {
    let offer = offer(&[
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:a",
        "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:v\na=rtpmap:96 VP8/90000",
    ]);
    let offer = session(&offer.to_string().replace("t=0 0\r\n", "t=0 0\r\na=group:LS a v\r\n"));
    let group = |audio: &[&str], video: &[&str]| {
        let media = [Media { streams: audio, ..AUDIO }, Media { streams: video, ..CAMERA }];
        let made = answered(&offer, &media);
        made.session.top().attribute(b"group").is_some()
    };
    assert!(group(&["one"], &["one"]));
    assert!(!group(&["one"], &["two"]));
    assert!(group(&[], &[]), "sections without a stream stay in the offered group");
    assert!(group(&["one"], &["two", "one"]));
}

#[test]
fn rfc8853_5_3_2_offered_send_streams_are_answered_as_receive_streams() {
    let lines = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98
        a=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\na=rtpmap:98 unknown/90000
        a=rid:hi send pt=96,98;max-width=1280;max-fps=30\na=rid:mid send\na=rid:x send pt=98\na=rid:back recv max-fps=15
        a=simulcast:send hi,~x;~mid;x;gone recv back";
    let versions = |features, direction| {
        let media = Media { features, ..Media::new("video", VIDEO_CODECS) }.with_direction(direction);
        let made = answered(&offer(&[lines]), &[media]);
        let mut lines = values(&made.session, 0, "a=rid:");
        lines.extend(values(&made.session, 0, "a=simulcast:"));
        (lines, made.explanations[0].notes.contains(&Decision::SimulcastOmitted))
    };
    let both =
        ["back send max-fps=15", "hi recv pt=96;max-width=1280;max-fps=30", "mid recv", "send back recv hi;~mid"];
    assert_eq!(versions(ALL, Direction::SendRecv), (both.map(str::to_owned).to_vec(), false));
    assert_eq!(versions(ALL, Direction::SendOnly).0, ["back send max-fps=15", "send back"]);
    assert_eq!(versions(ALL, Direction::RecvOnly).0[2..], ["recv hi;~mid"]);
    assert_eq!(versions(Features::NONE, Direction::SendRecv), (vec![], true));
}

#[test]
fn rfc8839_4_3_2_ice_is_answered_only_when_it_is_offered() {
    let offered = offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 0\na=ice-options:trickle renomination"]);
    let transports =
        [Transport { candidates: &["1 1 udp 1 192.0.2.7 9 typ host"], is_complete: true, ..transports()[0] }];
    let mut capabilities = browser(&[AUDIO], &transports);
    capabilities.ice.pacing = Some(50);
    let made = checked(&offered, &capabilities);
    let top = |made: &Answer| made.session.top().lines().map(|line| line.to_string()).skip(4).collect::<Vec<_>>();
    assert_eq!(top(&made), ["a=ice-options:trickle", "a=ice-pacing:50"]);
    assert!(
        made.session.to_string().ends_with("a=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\na=end-of-candidates\r\n")
    );
    capabilities.ice.is_lite = true;
    assert_eq!(top(&checked(&offered, &capabilities)), ["a=ice-lite", "a=ice-options:trickle"]);

    // RFC 8839 §4.3.2: an answer to an offer without ICE has no ICE.
    let plain = session(&format!("{TOP}\nm=audio 49170 RTP/AVP 0\nc=IN IP4 192.0.2.1"));
    let capabilities = Capabilities { demands: Demands::Nothing, rtcp_mux: MuxPolicy::Negotiate, ..capabilities };
    let made = checked(&plain, &capabilities);
    assert_eq!(
        section(&made.session, 0),
        ["m=audio 9 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=sendrecv", "a=rtpmap:0 PCMU/8000", "a=msid:ours"]
    );
    assert_eq!(top(&made), [""; 0]);
    // Without multiplexing RTCP has its own transport (RFC 9429 §5.3.1).
    let unmuxed = session(&offered.to_string().replace("a=rtcp-mux\r\n", ""));
    assert_eq!(values(&checked(&unmuxed, &capabilities).session, 0, "a=rtcp:"), ["9 IN IP4 0.0.0.0"]);
}

#[test]
fn rfc8839_4_2_1_6_an_inactive_section_has_candidates_and_a_refused_one_has_none() {
    let transports = [Transport { candidates: &["1 1 udp 1 192.0.2.7 9 typ host"], ..transports()[0] }];
    let offer = offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 0\na=inactive", "m=text 9 UDP/TLS/RTP/SAVPF 98"]);
    let made = checked(&offer, &browser(&[AUDIO], &transports)).session;
    let ice = |index| (values(&made, index, "a=ice-").len(), values(&made, index, "a=candidate:").len());
    assert_eq!((values(&made, 0, "a=inactive").len(), ice(0)), (1, (2, 1)));
    assert_eq!((values(&made, 1, "m=text 0 ").len(), ice(1)), (1, (0, 0)));
}

/// The lines are unknown attributes, bandwidths of an unknown kind, keys, and obsolete attributes.
#[test]
fn rfc8866_5_unknown_lines_are_ignored() {
    let plain = offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 0"]).to_string();
    let odd = plain.replace("t=0 0\r\n", "b=X-YZ:1\r\nt=0 0\r\nk=prompt\r\na=cat:x\r\na=keywds:y\r\na=x-what:1\r\n");
    let odd = odd
        .replace("a=rtcp-mux\r\n", "a=x-what\r\na=rtcp-mux\r\n")
        .replace("RTP/SAVPF 0\r\n", "RTP/SAVPF 0\r\nb=YZ:1\r\nk=clear:x\r\n");
    assert_eq!(odd.lines().count(), plain.lines().count() + 8, "{odd}");
    assert_eq!(answered(&session(&odd), &[AUDIO]), answered(&session(&plain), &[AUDIO]));
}

/// RFC 8851 §6.2.2: no line of a repeated `rid` is answered. §6.3: an encoding that is sent must be understood.
#[test]
fn rfc8851_6_2_2_a_repeated_rid_is_not_answered() {
    let answered = |lines: &str| {
        let features = Features { receives_simulcast: true, sends_simulcast: true, ..Features::NONE };
        let media = [Media { features, ..Media::new("video", &[VP8]) }];
        let offer = offer(&[&format!("m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\n{lines}")]);
        let made = answered(&offer, &media).session;
        (values(&made, 0, "a=rid:"), values(&made, 0, "a=simulcast:"))
    };
    let expected = |rids: &[&str], simulcast: &str| {
        (rids.iter().map(|rid| (*rid).to_owned()).collect::<Vec<_>>(), vec![simulcast.to_owned()])
    };
    let twice = "a=rid:1 send\na=rid:2 send\na=rid:1 send max-width=640\na=simulcast:send 1;2";
    assert_eq!(answered(twice), expected(&["2 recv"], "recv 2"));
    let unknown = "a=rid:1 send x-new=1\na=rid:2 recv x-new=1\na=rid:3 recv max-fps=30\na=simulcast:send 1 recv 2;3";
    assert_eq!(answered(unknown), expected(&["1 recv x-new=1", "3 send max-fps=30"], "send 3 recv 1"));
}

#[test]
fn rfc3264_6_the_answer_has_the_time_of_the_offer() {
    for time in ["t=3034423619 3042462419", "t=0 0\nt=3034423619 0"] {
        let offer = session(&offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 0"]).to_string().replace("t=0 0", time));
        let made = answered(&offer, &[AUDIO]);
        let times: Vec<String> =
            made.session.top().lines().map(|line| line.to_string()).filter(|line| line.starts_with("t=")).collect();
        assert_eq!(times.join("\n"), time);
    }
    let without = session(&offer(&[]).to_string().replace("t=0 0\r\n", ""));
    let made = answered(&without, &[AUDIO]);
    assert!(made.session.to_string().contains("t=0 0"));
    // RFC 3264 §6: the answer to an offer without sections has no sections.
    assert_eq!((made.session.media_count(), made.explanations.len()), (0, 0));
}

#[test]
fn texts_that_break_a_line_or_cannot_be_parsed_are_refused() {
    let offer = offer(&["m=audio 9 UDP/TLS/RTP/SAVPF 0"]);
    let made = |transport: Transport<'_>| {
        let transports = [transport];
        answer(&offer, &browser(&[AUDIO], &transports))
    };
    let credentials = |fragment| Some(Credentials { fragment, password: "cOTZKZNVlO9RSGsEGM63JXT2" });
    let broken = made(Transport { credentials: credentials("6sFv\r\na=evil"), ..transports()[0] }).unwrap_err();
    assert_eq!(broken, AnswerError::Edit(EditError::ForbiddenByte { at: 14, byte: b'\r' }));
    let short = made(Transport { credentials: credentials("6s"), ..transports()[0] }).unwrap_err();
    assert_eq!(
        short.to_string(),
        "the capabilities: ice-ufrag: byte 2: expected 4 to 256 letters, digits, + or /, found the end (RFC 8839 §5.4)"
    );
    let long = made(Transport { candidates: &["what"], ..transports()[0] }).unwrap_err();
    assert!(matches!(long, AnswerError::Capabilities { name: "candidate", .. }), "{long}");
    // The password of a transport is not shown.
    assert!(!format!("{:?}", transports()).contains("cOTZ"));
    let odd = session(&offer.to_string().replace("m=audio 9", "m=audio 99999"));
    let odd = answer(&odd, &browser(&[AUDIO], &[])).unwrap_err();
    assert_eq!(odd.to_string(), "the offer: line 5, column 9: expected a port, 0 to 65535, found '9' (RFC 8866 §5.14)");
}

#[test]
fn refusals_and_decisions_cite_their_rfc_section() {
    assert_eq!(SectionOutcome::Refused(Refusal::NoCommonFormat).clause().to_string(), "RFC 3264 §6.1");
    let accepted = SectionOutcome::Accepted { formats: 1, of: 2, direction: Some(Direction::SendRecv) };
    assert_eq!(accepted.clause().to_string(), "RFC 3264 §6.1");
    assert_eq!(Decision::SimulcastOmitted.clause().to_string(), "RFC 8853 §5.3.2");
}
