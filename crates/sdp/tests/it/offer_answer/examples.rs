//! The examples of RFC 3264 §10 and RFC 9429 §7.

use super::endpoints::{explanations, origin, ports, section, session, values};
use portolan_sdp::attribute::Direction;
use portolan_sdp::offer_answer::{
    BundlePolicy, Capabilities, Codec, DataChannel, Dtls, Extension, Features, Flaw, Media, Role, Transport, answer,
    validate,
};

const PCMU: Codec<'_> = Codec::new("PCMU", 8000);
const G723: Codec<'_> = Codec::new("G723", 8000);
const H261: Codec<'_> = Codec::new("H261", 90_000);
const MPV: Codec<'_> = Codec::new("MPV", 90_000);

const ALICE: &str = "v=0
    o=alice 2890844526 2890844526 IN IP4 host.anywhere.com
    s=
    c=IN IP4 host.anywhere.com
    t=0 0";
const BOB: &str = "v=0
    o=bob 2890844730 2890844730 IN IP4 host.example.com
    s=
    c=IN IP4 host.example.com
    t=0 0";

#[test]
fn rfc3264_10_1_the_basic_exchange_is_answered() {
    let offer = session(&format!(
        "{ALICE}
        m=audio 49170 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 51372 RTP/AVP 31
        a=rtpmap:31 H261/90000
        m=video 53000 RTP/AVP 32
        a=rtpmap:32 MPV/90000"
    ));
    let expected = session(&format!(
        "{BOB}
        m=audio 49920 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 0 RTP/AVP 31
        m=video 53000 RTP/AVP 32
        a=rtpmap:32 MPV/90000"
    ));
    assert_eq!(validate(&offer, &expected), []);

    // Bob supports H.261, and refuses the first video stream.
    let media = [Media::new("audio", &[PCMU]), Media::declined("video"), Media::new("video", &[H261, MPV])];
    let ports = ports();
    let answered = answer(&offer, &Capabilities::plain(origin(), &media, &ports)).unwrap();
    assert_eq!(validate(&offer, &answered.session), []);
    assert_eq!(
        explanations(&answered),
        [
            "m-line 0 accepted: 1 of 1 formats, sendrecv",
            "m-line 1 refused: the endpoint declines it",
            "m-line 2 accepted: 1 of 1 formats, sendrecv",
        ]
    );
    for index in 0..3 {
        // The answer contains all lines of the example, and also `c=` and the direction.
        let (expected, answered) = (section(&expected, index), section(&answered.session, index));
        assert!(expected.iter().all(|line| answered.contains(line)), "{expected:?} {answered:?}");
    }
}

#[test]
fn rfc3264_10_1_a_stream_is_added() {
    let offer = session(
        "v=0
        o=bob 2890844730 2890844731 IN IP4 host.example.com
        s=
        c=IN IP4 host.example.com
        t=0 0
        m=audio 65422 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 0 RTP/AVP 31
        m=video 53000 RTP/AVP 32
        a=rtpmap:32 MPV/90000
        m=audio 51434 RTP/AVP 110
        a=rtpmap:110 telephone-events/8000
        a=recvonly",
    );
    let expected = session(
        "v=0
        o=alice 2890844526 2890844527 IN IP4 host.anywhere.com
        s=
        c=IN IP4 host.anywhere.com
        t=0 0
        m=audio 49170 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 0 RTP/AVP 31
        a=rtpmap:31 H261/90000
        m=video 53000 RTP/AVP 32
        a=rtpmap:32 MPV/90000
        m=audio 53122 RTP/AVP 110
        a=rtpmap:110 telephone-events/8000
        a=sendonly",
    );
    assert_eq!(validate(&offer, &expected), []);

    let ports = ports();
    for events in ["telephone-events", "telephone-event"] {
        let codecs = [PCMU, Codec::new(events, 8000)];
        let media = [Media::new("audio", &codecs), Media::new("video", &[MPV])];
        let answered = answer(&offer, &Capabilities::plain(origin(), &media, &ports)).unwrap();
        assert_eq!(validate(&offer, &answered.session), []);
        let last = match events {
            "telephone-events" => "m-line 3 accepted: 1 of 1 formats, sendonly",
            // The registered encoding name differs.
            _ => "m-line 3 refused: no common codec",
        };
        assert_eq!(
            explanations(&answered)[1..],
            ["m-line 1 refused: it was removed, its port is 0", "m-line 2 accepted: 1 of 1 formats, sendrecv", last,]
        );
    }
}

#[test]
fn rfc3264_10_2_one_of_n_codecs_is_selected() {
    let offer = session(&format!(
        "{ALICE}
        m=audio 62986 RTP/AVP 0 4 18
        a=rtpmap:0 PCMU/8000
        a=rtpmap:4 G723/8000
        a=rtpmap:18 G729/8000
        a=inactive"
    ));
    let expected = session(&format!(
        "{BOB}
        m=audio 54344 RTP/AVP 0 4
        a=rtpmap:0 PCMU/8000
        a=rtpmap:4 G723/8000
        a=inactive"
    ));
    assert_eq!(validate(&offer, &expected), []);
    let media = [Media::new("audio", &[G723, PCMU])];
    let ports = ports();
    let capabilities = Capabilities::plain(origin(), &media, &ports);
    let answered = answer(&offer, &capabilities).unwrap();
    assert_eq!(validate(&offer, &answered.session), []);
    // The formats have the order of the offer, although Bob prefers G.723.
    assert_eq!(values(&answered.session, 0, "m="), ["audio 49920 RTP/AVP 0 4"]);
    assert_eq!(explanations(&answered), ["m-line 0 accepted: 2 of 3 formats, inactive"]);

    let locked = session(
        "v=0
        o=alice 2890844526 2890844527 IN IP4 host.anywhere.com
        s=
        c=IN IP4 host.anywhere.com
        t=0 0
        m=audio 62986 RTP/AVP 4
        a=rtpmap:4 G723/8000
        a=sendrecv",
    );
    let answered = answer(&locked, &capabilities).unwrap();
    assert_eq!(
        section(&answered.session, 0),
        ["m=audio 49920 RTP/AVP 4", "c=IN IP4 host.example.com", "a=sendrecv", "a=rtpmap:4 G723/8000",]
    );
}

const OFFER_A1: &str = "v=0
    o=- 4962303333179871722 1 IN IP4 0.0.0.0
    s=-
    t=0 0
    a=ice-options:trickle ice2
    a=group:BUNDLE a1 v1
    a=group:LS a1 v1
    m=audio 10100 UDP/TLS/RTP/SAVPF 96 0 8 97 98
    c=IN IP4 203.0.113.100
    a=mid:a1
    a=sendrecv
    a=rtpmap:96 opus/48000/2
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:97 telephone-event/8000
    a=rtpmap:98 telephone-event/48000
    a=fmtp:97 0-15
    a=fmtp:98 0-15
    a=maxptime:120
    a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
    a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
    a=msid:47017fee-b6c1-4162-929c-a25110252400
    a=ice-ufrag:ETEn
    a=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl
    a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2
    a=setup:actpass
    a=tls-id:91bbf309c0990a6bec11e38ba2933cee
    a=rtcp:10101 IN IP4 203.0.113.100
    a=rtcp-mux
    a=rtcp-rsize
    a=candidate:1 1 udp 2113929471 203.0.113.100 10100 typ host
    a=candidate:1 2 udp 2113929470 203.0.113.100 10101 typ host
    a=end-of-candidates
    m=video 10102 UDP/TLS/RTP/SAVPF 100 101 102 103
    c=IN IP4 203.0.113.100
    a=mid:v1
    a=sendrecv
    a=rtpmap:100 VP8/90000
    a=rtpmap:101 H264/90000
    a=fmtp:101 packetization-mode=1;profile-level-id=42e01f
    a=rtpmap:102 rtx/90000
    a=fmtp:102 apt=100
    a=rtpmap:103 rtx/90000
    a=fmtp:103 apt=101
    a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
    a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
    a=rtcp-fb:100 ccm fir
    a=rtcp-fb:100 nack
    a=rtcp-fb:100 nack pli
    a=msid:47017fee-b6c1-4162-929c-a25110252400
    a=ice-ufrag:BGKk
    a=ice-pwd:mqyWsAjvtKwTGnvhPztQ9mIf
    a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2
    a=setup:actpass
    a=tls-id:91bbf309c0990a6bec11e38ba2933cee
    a=rtcp:10103 IN IP4 203.0.113.100
    a=rtcp-mux
    a=rtcp-rsize
    a=candidate:1 1 udp 2113929471 203.0.113.100 10102 typ host
    a=candidate:1 2 udp 2113929470 203.0.113.100 10103 typ host
    a=end-of-candidates";

const ANSWER_A1: &str = "v=0
    o=- 6729291447651054566 1 IN IP4 0.0.0.0
    s=-
    t=0 0
    a=ice-options:trickle ice2
    a=group:BUNDLE a1 v1
    a=group:LS a1 v1
    m=audio 10200 UDP/TLS/RTP/SAVPF 96 0 8 97 98
    c=IN IP4 203.0.113.200
    a=mid:a1
    a=sendrecv
    a=rtpmap:96 opus/48000/2
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:97 telephone-event/8000
    a=rtpmap:98 telephone-event/48000
    a=fmtp:97 0-15
    a=fmtp:98 0-15
    a=maxptime:120
    a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
    a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
    a=msid:61317484-2ed4-49d7-9eb7-1414322a7aae
    a=ice-ufrag:6sFv
    a=ice-pwd:cOTZKZNVlO9RSGsEGM63JXT2
    a=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08
    a=setup:active
    a=tls-id:eec3392ab83e11ceb6a0990c903fbb19
    a=rtcp-mux
    a=rtcp-rsize
    a=candidate:1 1 udp 2113929471 203.0.113.200 10200 typ host
    a=end-of-candidates
    m=video 10200 UDP/TLS/RTP/SAVPF 100 101 102 103
    c=IN IP4 203.0.113.200
    a=mid:v1
    a=sendrecv
    a=rtpmap:100 VP8/90000
    a=rtpmap:101 H264/90000
    a=fmtp:101 packetization-mode=1;profile-level-id=42e01f
    a=rtpmap:102 rtx/90000
    a=fmtp:102 apt=100
    a=rtpmap:103 rtx/90000
    a=fmtp:103 apt=101
    a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
    a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
    a=rtcp-fb:100 ccm fir
    a=rtcp-fb:100 nack
    a=rtcp-fb:100 nack pli
    a=msid:61317484-2ed4-49d7-9eb7-1414322a7aae";

/// Compares the answer with that of RFC 9429 §7.1 line by line. The order within a section can differ.
#[test]
fn rfc9429_7_1_the_simple_example_is_answered() {
    let (offer, expected) = (session(OFFER_A1), session(ANSWER_A1));
    assert_eq!(validate(&offer, &expected), []);

    const EVENTS: &str = "0-15";
    let audio = [
        Codec::new("opus", 48_000).with_channels(2),
        PCMU,
        Codec::new("PCMA", 8000),
        Codec::new("telephone-event", 8000).with_parameters(EVENTS),
        Codec::new("telephone-event", 48_000).with_parameters(EVENTS),
    ];
    let video = [
        Codec::new("VP8", 90_000).with_feedback(&["ccm fir", "nack", "nack pli"]),
        Codec::new("H264", 90_000).with_parameters("packetization-mode=1;profile-level-id=42e01f"),
        Codec::rtx(90_000),
    ];
    let mid = Extension::new("urn:ietf:params:rtp-hdrext:sdes:mid");
    let audio_extensions = [mid, Extension::new("urn:ietf:params:rtp-hdrext:ssrc-audio-level")];
    let video_extensions = [mid, Extension::new("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id")];
    let features = Features { reduced_size: true, ..Features::NONE };
    let streams = ["61317484-2ed4-49d7-9eb7-1414322a7aae"];
    let media = [
        Media {
            extensions: &audio_extensions,
            features,
            streams: &streams,
            attributes: &["maxptime:120"],
            ..Media::new("audio", &audio)
        },
        Media { extensions: &video_extensions, features, streams: &streams, ..Media::new("video", &video) },
    ];
    let fingerprints = [super::endpoints::FINGERPRINT];
    let candidates = ["1 1 udp 2113929471 203.0.113.200 10200 typ host"];
    let transports = [Transport {
        address: portolan_sdp::Value::parse(b"IN IP4 203.0.113.200").unwrap(),
        port: 10_200,
        dtls: Some(Dtls {
            fingerprints: &fingerprints,
            tls_id: Some("eec3392ab83e11ceb6a0990c903fbb19"),
            role: Role::Active,
        }),
        candidates: &candidates,
        is_complete: true,
        ..Transport::trickled("6sFv", "cOTZKZNVlO9RSGsEGM63JXT2", &fingerprints)
    }];
    let bob = portolan_sdp::Value::parse(b"- 6729291447651054566 1 IN IP4 0.0.0.0").unwrap();
    let answered = answer(&offer, &Capabilities::webrtc(bob, &media, &transports)).unwrap();
    assert_eq!(validate(&offer, &answered.session), []);
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let top = |session: &portolan_sdp::Session<'_>| session.top().lines().map(|line| line.to_string()).collect();
    assert_eq!(sorted(top(&answered.session)), sorted(top(&expected)));
    for index in 0..2 {
        assert_eq!(section(&answered.session, index)[..4], section(&expected, index)[..4]);
        assert_eq!(sorted(section(&answered.session, index)), sorted(section(&expected, index)));
    }
}

/// RFC 9429 §7.2 and §7.3 have `a=rtcp-mux-only` in answers, which RFC 8858 §4.3 forbids. There is no other violation.
#[test]
fn rfc9429_7_2_data_is_offered_in_a_bundle_only() {
    let audio = |setup: &str, key: &str| {
        format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 96 0 8 97 98
            c=IN IP4 0.0.0.0
            a=mid:a1
            a=sendrecv
            a=rtpmap:96 opus/48000/2
            a=rtpmap:0 PCMU/8000
            a=rtpmap:8 PCMA/8000
            a=rtpmap:97 telephone-event/8000
            a=rtpmap:98 telephone-event/48000
            a=fmtp:97 0-15
            a=fmtp:98 0-15
            a=maxptime:120
            a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
            a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
            a=msid:57017fee-b6c1-4162-929c-a25110252400
            a=ice-ufrag:{key}
            a=ice-pwd:AtSK0WpNtpUjkY4+86js7ZQl
            a=fingerprint:sha-256 29:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2
            a=setup:{setup}
            a=tls-id:17f0f4ba8a5f1213faca591b58ba52a7
            a=rtcp-mux
            a=rtcp-mux-only
            a=rtcp-rsize"
        )
    };
    let top = |id: &str| {
        format!("v=0\no=- {id} 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=ice-options:trickle ice2\na=group:BUNDLE a1 d1\n")
    };
    let data = |port: u16| {
        format!(
            "\nm=application {port} UDP/DTLS/SCTP webrtc-datachannel
            c=IN IP4 0.0.0.0
            a=mid:d1
            a=sctp-port:5000
            a=max-message-size:65536\n"
        )
    };
    let offer = top("4962303333179871723") + &audio("actpass", "ATEn") + &data(0) + "a=bundle-only";
    let expected = top("7729291447651054566") + &audio("active", "7sFv") + &data(9);
    let (offer, expected) = (session(&offer), session(&expected));
    let flaws: Vec<Flaw> = validate(&offer, &expected).iter().map(|finding| finding.flaw.clone()).collect();
    assert_eq!(flaws, [Flaw::MuxOnlyAnswered]);

    let media = [Media::new("audio", &[PCMU])];
    let transports = super::endpoints::transports();
    let data = DataChannel { port: 5000, max_message_size: Some(65_536) };
    let capabilities = Capabilities {
        bundle: BundlePolicy::MustBundle,
        ..Capabilities::webrtc(origin(), &media, &transports[..1]).with_data(data)
    };
    let answered = answer(&offer, &capabilities).unwrap();
    assert_eq!(validate(&offer, &answered.session), []);
    assert_eq!(
        section(&answered.session, 1),
        [
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            "a=mid:d1",
            "a=sctp-port:5000",
            "a=max-message-size:65536",
        ]
    );
}

/// RFC 9429 §7.3: the answerer sends immediately, and receives later.
#[test]
fn rfc9429_7_3_the_answerer_sends_before_it_receives() {
    let offer = session(OFFER_A1);
    let media = [
        Media::new("audio", &[PCMU]).with_direction(Direction::SendOnly),
        Media::new("video", &[super::endpoints::VP8]).with_direction(Direction::SendOnly),
    ];
    let transports = super::endpoints::transports();
    let answered = answer(&offer, &Capabilities::webrtc(origin(), &media, &transports[..1])).unwrap();
    assert_eq!(validate(&offer, &answered.session), []);
    assert_eq!(
        explanations(&answered),
        ["m-line 0 accepted: 1 of 5 formats, sendonly", "m-line 1 accepted: 1 of 4 formats, sendonly",]
    );
}
