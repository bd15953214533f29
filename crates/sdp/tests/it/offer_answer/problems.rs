//! Offers and answers with errors: the refusals, the notes of an answer, and the places of findings.

use super::endpoints::{
    AUDIO, CAMERA, FINGERPRINT, H264, browser, explanations, origin, ports, session, transports, values,
};
use portolan_sdp::Session;
use portolan_sdp::offer_answer::{Capabilities, Finding, Media, answer, validate};

fn offer(lines: &str) -> Session<'static> {
    session(&format!("v=0\no=- 4 2 IN IP4 127.0.0.1\ns=-\nt=0 0\n{lines}"))
}

fn keys(setup: &str) -> String {
    format!(
        "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=fingerprint:{FINGERPRINT}\na=setup:{setup}\na=rtcp-mux"
    )
}

/// Answers an offer like a browser. Returns the answer, and its explanations and notes as text.
fn answered(offer: &Session<'_>) -> (Session<'static>, Vec<String>) {
    let (media, transports) = ([AUDIO, CAMERA], transports());
    let made = answer(offer, &browser(&media, &transports)).unwrap();
    assert_eq!(validate(offer, &made.session), [], "{}", made.session);
    let mut text = explanations(&made);
    text.extend(made.explanations.iter().flat_map(|explanation| &explanation.notes).map(ToString::to_string));
    (made.session, text)
}

#[test]
fn rfc8841_10_3_sctp_port_0_is_answered_with_port_0() {
    let data = |port: u16| {
        offer(&format!("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n{}\na=sctp-port:{port}", keys("actpass")))
    };
    let (closed, text) = answered(&data(0));
    assert_eq!(values(&closed, 0, "a=sctp-port:"), ["0"]);
    assert_eq!(
        text,
        ["m-line 0 accepted: data channels", "a=sctp-port:0 closes the SCTP association, and is answered with 0"]
    );
    let (open, text) = answered(&data(5001));
    assert_eq!((values(&open, 0, "a=sctp-port:"), text.len()), (vec!["5000".to_owned()], 1));
    let findings = validate(&data(0), &open);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (findings[0].line, findings[0].column, findings[0].to_string().as_str()),
        (12, 13, "m-line 0: a=sctp-port:0 is offered, and another port is answered (RFC 8841 §10.3)")
    );
    // An answerer may also decline an association.
    assert_eq!(validate(&data(5000), &closed), []);
}

#[test]
fn rfc4568_5_1_2_an_offer_with_keys_in_the_description_is_refused_for_that_reason() {
    const CRYPTO: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    const ICE: &str = "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=rtcp-mux";
    let refused = "m-line 0 refused: its keys are in a=crypto (SDES), which is not supported, and no fingerprint for DTLS is offered";
    for lines in [
        format!("m=audio 9 RTP/SAVPF 0\n{CRYPTO}\n{ICE}"),
        format!("m=audio 9 RTP/SAVP 0\n{CRYPTO}"),
        format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\n{CRYPTO}\n{ICE}"),
        format!("m=audio 9 RTP/AVP 0\n{CRYPTO}\n{ICE}"),
    ] {
        assert_eq!(answered(&offer(&lines)).1, [refused], "{lines}");
    }
    // The same holds for an endpoint without ICE and DTLS.
    let (media, ports) = ([AUDIO], ports());
    let made =
        answer(&offer(&format!("m=audio 9 RTP/SAVP 0\n{CRYPTO}")), &Capabilities::plain(origin(), &media, &ports));
    assert_eq!(explanations(&made.unwrap()), [refused]);
    // With a fingerprint the section uses DTLS.
    let both = offer(&format!("m=audio 9 RTP/SAVPF 0\n{CRYPTO}\n{}", keys("actpass")));
    assert!(answered(&both).1[0].starts_with("m-line 0 accepted"));
}

#[test]
fn each_line_that_is_repeated_or_cannot_be_read_has_a_note() {
    let video = offer(&format!(
        "m=video 9 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 0.0.0.0\nc=IN IP4 192.0.2.1\na=mid:0\na=mid:1\n{}\na=setup:passive
        a=ice-ufrag:efgh\na=ice-pwd:bcdefghijklmnopqrstuvwxy\na=recvonly\na=sendonly\na=rtpmap:96 VP8/90000
        a=rtpmap:96 VP9/90000\na=fmtp:96 max-fs=1\na=fmtp:96 max-fs=2\na=rid:1 recv\na=rid:1 recv
        a=simulcast:recv 1\na=simulcast:recv 1\na=extmap:x y\na=rtcp-fb:300 nack\na=framerate:x",
        keys("actpass")
    ));
    let (made, text) = answered(&video);
    let unreadable = "at column 10 expected";
    let notes: Vec<&str> = text.iter().map(String::as_str).skip(1).collect();
    let repeats = |line: usize, name: &str| format!("line {line} repeats {name}: the first line is used");
    let unused =
        |line: usize| format!("line {line} repeats an attribute that may occur once: none of its lines is used");
    for note in [
        repeats(7, "c="),
        repeats(9, "mid"),
        repeats(15, "setup"),
        repeats(16, "ice-ufrag"),
        repeats(17, "ice-pwd"),
        repeats(19, "direction"),
        repeats(21, "rtpmap"),
        repeats(23, "fmtp"),
        unused(25),
        unused(27),
        "simulcast left out".to_owned(),
    ] {
        assert!(notes.contains(&note.as_str()), "{note}: {notes:#?}");
    }
    for line in [28, 29, 30] {
        let prefix = format!("line {line} is ignored: at column ");
        assert!(notes.iter().any(|note| note.starts_with(&prefix)), "{line}: {notes:#?}");
    }
    assert!(notes.iter().any(|note| note.contains(unreadable)), "{notes:#?}");
    assert_eq!((values(&made, 0, "a=simulcast:"), values(&made, 0, "a=mid:")), (Vec::new(), vec!["0".to_owned()]));
    // Lines of the session are reported once.
    let twice = offer(&format!(
        "{}\na=setup:active\nm=audio 9 RTP/AVP 0\na=rtcp-mux\nm=audio 9 RTP/AVP 0\na=rtcp-mux",
        keys("actpass")
    ));
    let notes = answered(&twice).1.iter().filter(|note| note.contains("repeats setup")).count();
    assert_eq!(notes, 1);
}

#[test]
fn rfc9143_6_bundle_only_outside_of_a_bundle_is_discarded() {
    let text = |port: u16| format!("m=audio {port} RTP/AVP 0\na=bundle-only\n{}", keys("actpass"));
    assert!(answered(&offer(&text(9))).1[0].starts_with("m-line 0 accepted"));
    assert_eq!(answered(&offer(&text(0))).1, ["m-line 0 refused: it is bundle-only, but in no bundle"]);
}

#[test]
fn rfc8842_5_1_holdconn_is_a_violation_with_dtls_in_the_offer_and_in_the_answer() {
    let audio = |setup: &str| offer(&format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0\n{}", keys(setup)));
    let made = |setup: &str| session(&audio(setup).to_string().replace("o=- 4 2", "o=- 77 1"));
    let found = |offer: &str, answer: &str| -> Vec<(usize, usize, String)> {
        let findings = validate(&audio(offer), &made(answer));
        findings.iter().map(|Finding { line, column, flaw, .. }| (*line, *column, flaw.name().to_owned())).collect()
    };
    assert_eq!(found("actpass", "holdconn"), [(10, 9, "HoldConnection".to_owned())]);
    assert_eq!(found("holdconn", "holdconn"), [(10, 9, "HoldConnection".to_owned())]);
    assert_eq!(found("holdconn", "active"), [(10, 9, "OfferedHoldConnection".to_owned())]);
    assert_eq!(found("actpass", "active"), []);
    // Without DTLS the value is allowed (RFC 4145 §4.1).
    let tcp = |setup: &str| offer(&format!("m=image 54111 TCP t38\nc=IN IP4 192.0.2.2\na=setup:{setup}"));
    assert_eq!(validate(&tcp("actpass"), &session(&tcp("holdconn").to_string().replace("4 2", "5 2"))), []);
}

/// The lines of an answer, with what is replaced, the replacement, and the findings: place and name.
type Case = (&'static str, &'static str, &'static [(&'static str, usize, &'static str)]);

const UNREADABLE: &str = "Unreadable";

#[rustfmt::skip]
const CASES: [Case; 23] = [
    ("a=simulcast:recv f;h", "a=x-first\na=simulcast:recv f\na=simulcast:recv h", &[("a=simulcast:recv h", 13, "SimulcastTwice")]),
    ("a=setup:active", "a=setup:active\na=tls-id:abc3de65cddef001be82", &[("a=tls-id:", 10, "TlsIdNotOffered")]),
    ("a=simulcast:recv f;h", "a=simulcast:recv f;h recv f;h", &[("a=simulcast:", 22, UNREADABLE)]),
    ("a=rid:f recv", "a=rid:f receive", &[("a=rid:f", 9, UNREADABLE)]),
    ("a=rtcp-fb:96 nack", "a=rtcp-fb:300 nack", &[("a=rtcp-fb:", 11, UNREADABLE)]),
    ("a=extmap:1 ", "a=extmap:one ", &[("a=extmap:", 10, UNREADABLE)]),
    ("a=rtpmap:96 ", "a=rtpmap:960 ", &[("a=rtpmap:", 10, UNREADABLE)]),
    ("a=recvonly", "a=recvonly:1", &[("a=recvonly", 12, UNREADABLE)]),
    ("a=rtcp-mux", "a=rtcp-mux:1", &[("a=rtcp-mux", 12, UNREADABLE)]),
    ("a=mid:0", "a=mid:(", &[("a=mid:", 7, UNREADABLE)]),
    ("a=rtcp-mux", "a=rtcp-mux\na=crypto:x AES", &[("a=crypto:", 10, UNREADABLE)]),
    ("a=rtcp-mux", "a=rtcp-mux\na=candidate:x", &[("a=candidate:", 14, UNREADABLE)]),
    ("a=rtcp-mux", "a=rtcp-mux\na=max-message-size:x", &[("a=max-message-size:", 20, UNREADABLE)]),
    ("a=setup:active", "a=setup:holdconn", &[("a=setup:", 9, "HoldConnection")]),
    ("42e01f", "42e028", &[("a=fmtp:96", 8, "LevelRaised")]),
    ("a=rid:h recv", "a=rid:x recv", &[("a=rid:x", 7, "RidNotReversed"), ("a=simulcast:", 13, "SimulcastWithoutRid")]),
    ("a=rtcp-fb:96 nack", "a=rtcp-fb:96 ccm fir", &[("a=rtcp-fb:", 11, "FeedbackNotOffered")]),
    ("a=group:BUNDLE 0", "a=group:BUNDLE 0 7", &[("a=group:", 9, "GroupUnknown")]),
    ("a=group:BUNDLE 0", "a=group:BUNDLE 0\na=ice-lite\na=ice-pacing:5", &[("a=ice-pacing:", 14, "PacingOfLite")]),
    ("t=0 0", "t=1 0", &[("t=", 3, "Time")]),
    ("a=recvonly", "a=sendonly", &[("a=sendonly", 3, "Direction")]),
    ("a=rtcp-mux", "a=rtcp-mux\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        &[("a=crypto:", 10, "CryptoNotOffered")]),
    ("a=rid:f recv", "a=rid:f receive\na=extmap:one u\na=setup:passive", &[("a=rid:f", 9, UNREADABLE), ("a=extmap:one", 10, UNREADABLE)]),
];

#[test]
fn each_finding_is_at_its_own_line_and_column() {
    let text = |setup: &str, id: u8, way: &str| {
        format!(
            "v=0\no=- {id} 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0\nm=video 9 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 0.0.0.0
            {}\na=mid:0\na={way}only\na=rtpmap:96 H264/90000\na=fmtp:96 profile-level-id=42e01f\na=rtcp-fb:96 nack
            a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\na=rid:f {way}\na=rid:h {way}\na=simulcast:{way} f;h",
            keys(setup)
        )
    };
    let (offer, good) = (session(&text("actpass", 1, "send")), text("active", 2, "recv"));
    assert_eq!(validate(&offer, &session(&good)), []);
    for (from, to, expected) in CASES {
        assert!(good.contains(from), "{from}");
        let answer = session(&good.replacen(from, to, 1));
        let lines: Vec<String> = answer.lines().map(|line| line.to_string()).collect();
        let line = |start: &str| lines.iter().position(|line| line.starts_with(start)).unwrap() + 1;
        let expected: Vec<_> = expected.iter().map(|(start, column, name)| (line(start), *column, *name)).collect();
        let findings = validate(&offer, &answer);
        let found: Vec<_> =
            findings.iter().map(|finding| (finding.line, finding.column, finding.flaw.name())).collect();
        assert_eq!(found, expected, "{to}: {findings:#?}");
    }
}

/// A line of the offer that cannot be read is blamed, not the answer that follows it.
#[test]
fn an_unreadable_line_of_the_offer_is_reported_in_place_of_what_depends_on_it() {
    let text = |id: u8, way: &str, last: &str| {
        format!(
            "v=0\no=- {id} 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=video 9 RTP/AVP 96\nc=IN IP4 192.0.2.1\na=rtpmap:96 VP8/90000\na=rid:f {way}\n{last}"
        )
    };
    let offer = session(&text(1, "send", "a=simulcast:send f send f"));
    let findings = validate(&offer, &session(&text(2, "recv", "a=simulcast:recv f")));
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.line, finding.column, finding.flaw.name()), (9, 20, "Offer"));
    // An answer without simulcast does not depend on the line.
    assert_eq!(validate(&offer, &session(&text(2, "recv", "a=x-nothing"))), []);
}

#[test]
fn rfc4568_5_1_an_answer_repeats_one_offered_tag_and_its_suite() {
    const KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    let text = |id: u8, lines: &[&str]| {
        let lines: String = lines.iter().map(|line| format!("\na=crypto:{line} {KEY}")).collect();
        session(&format!("v=0\no=- {id} 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 9 RTP/SAVP 0{lines}"))
    };
    let offer = text(1, &["1 AES_CM_128_HMAC_SHA1_80", "2 AES_CM_128_HMAC_SHA1_32"]);
    let found = |lines: &[&str]| -> Vec<(usize, &'static str)> {
        validate(&offer, &text(2, lines)).iter().map(|finding| (finding.line, finding.flaw.name())).collect()
    };
    assert_eq!(found(&["2 AES_CM_128_HMAC_SHA1_32"]), []);
    assert_eq!(found(&["1 AES_CM_128_HMAC_SHA1_32"]), [(7, "CryptoNotOffered")]);
    assert_eq!(found(&["3 AES_CM_128_HMAC_SHA1_80"]), [(7, "CryptoNotOffered")]);
    assert_eq!(found(&["1 AES_CM_128_HMAC_SHA1_80", "2 AES_CM_128_HMAC_SHA1_32"]), [(8, "CryptoTwice")]);
    assert_eq!(found(&[]), [(6, "NoCrypto")]);
}

#[test]
fn rfc6184_8_2_2_a_level_is_raised_only_if_both_sides_allow_it() {
    let text = |id: u8, parameters: &str| {
        session(&format!(
            "v=0\no=- {id} 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000{parameters}"
        ))
    };
    let is_raised = |offered: &str, answered: &str| {
        let found = validate(&text(1, offered), &text(2, answered));
        found.iter().any(|finding| finding.flaw.name() == "LevelRaised")
    };
    let level = |level: &str, allowed: &str| format!("\na=fmtp:96 profile-level-id={level}{allowed}");
    let (allowed, denied) = (";level-asymmetry-allowed=1", ";level-asymmetry-allowed=0");
    for (offered, answered, expected) in [
        (level("42e01f", ""), level("42e020", ""), true),
        (level("42e01f", ""), level("42e01f", ""), false),
        (level("42e01f", ""), level("42e015", ""), false),
        (level("42e01f", allowed), level("42e020", allowed), false),
        (level("42e01f", allowed), level("42e020", ""), true),
        (level("42e01f", denied), level("42e020", allowed), true),
        // Without the parameter the level is 1.
        (String::new(), level("42000b", ""), true),
        // Level 1b is between 1 and 1.1.
        (level("42f00b", ""), level("42e00b", ""), true),
        (level("42e00b", ""), level("42f00b", ""), false),
    ] {
        assert_eq!(is_raised(&offered, &answered), expected, "{offered} {answered}");
    }
    // The answer of this crate keeps the rule.
    let media = [Media::new("video", &[H264])];
    let ports = ports();
    for offered in [level("42e00b", ""), level("42e033", allowed), level("42e033", "")] {
        let offer = text(1, &(offered + ";packetization-mode=1"));
        let made = answer(&offer, &Capabilities::plain(origin(), &media, &ports)).unwrap();
        assert_eq!(validate(&offer, &made.session), [], "{}", made.session);
    }
}

#[test]
fn findings_about_a_session_name_the_sections() {
    let text = |id: u8, groups: &str, port: u16| {
        session(&format!(
            "v=0\no=- {id} 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\na=tool:x\n{groups}\nm=audio 9 RTP/AVP 0\na=mid:a\nm=audio 9 RTP/AVP 0\na=mid:b\nm=audio {port} RTP/AVP 0\na=mid:c"
        ))
    };
    let offer = text(1, "a=group:BUNDLE a b\na=group:BUNDLE c", 9);
    let found = |groups: &str, port: u16| -> Vec<(usize, String)> {
        validate(&offer, &text(2, groups, port)).iter().map(|finding| (finding.line, finding.to_string())).collect()
    };
    let text = |line: usize, text: &str| (line, format!("session: {text}"));
    assert_eq!(
        found("a=group:BUNDLE a b\na=group:BUNDLE c x y", 9),
        [text(8, "the group has the mid x y, which no section has (RFC 5888 §9.2)")]
    );
    assert_eq!(
        found("a=group:BUNDLE a b c", 9),
        [text(7, "the bundle has c, which the offer does not have in that bundle (RFC 9143 §7.3)")]
    );
    assert_eq!(
        found("a=group:BUNDLE a b\na=group:BUNDLE c", 0),
        [text(8, "the bundle has c, which is refused (RFC 9143 §7.3.3)")]
    );
}
