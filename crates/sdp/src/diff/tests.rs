//! Tests of changes with their places, and of differences that are not changes.

use super::*;
use alloc::format;
use alloc::string::{String, ToString};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

/// Returns the changes between two lists of lines after a common head.
fn changes(was: &str, is: &str) -> Vec<String> {
    let text = |lines: &str| format!("{HEAD}{}\r\n", lines.replace('\n', "\r\n"));
    let (was, is) = (text(was), text(is));
    let (was, is) = (Session::read(was.as_bytes()).unwrap(), Session::read(is.as_bytes()).unwrap());
    assert_eq!(diff(&was, &was), []);
    assert_eq!(diff(&is, &is), []);
    diff(&was, &is).iter().map(ToString::to_string).collect()
}

#[test]
fn spelling_and_the_order_of_attributes_are_not_changes() {
    for (was, is) in [
        ("a=x\na=y:1", "a=y:1\na=x"),
        (
            "a=candidate:1 1 udp 7 192.0.2.1 5 typ host\na=candidate:2 1 UDP 7 192.0.2.2 5 typ host",
            "a=candidate:2 1 udp 7 192.0.2.2 5 typ host\na=candidate:1 1 UDP 7 192.0.2.1 5 typ host",
        ),
        (
            "a=fingerprint:md5 aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99",
            "a=fingerprint:MD5 AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99",
        ),
        (
            "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 a=1;B=2",
            "m=video 9 RTP/AVP 96\na=fmtp:96 b=2; a=1\na=rtpmap:96 h264/90000",
        ),
        ("m=audio 9 RTP/AVP 96\na=rtpmap:96 L16/8000", "m=audio 9 RTP/AVP 96\na=rtpmap:96 L16/8000/1\na=sendrecv"),
        ("a=sendonly\nm=audio 9 RTP/AVP 0", "m=audio 9 RTP/AVP 0\na=sendonly"),
        (
            "m=text 9 RTP/AVP 0\na=mid:0\nm=text 9 RTP/AVP 98\na=mid:0",
            "m=text 9 RTP/AVP 0\na=mid:0\nm=text 9 RTP/AVP 98\na=mid:0",
        ),
        ("m=audio 9 RTP/AVP 0\na=mid:a\nm=video 9 RTP/AVP 31", "m=audio 9 RTP/AVP 0\na=mid:a\nm=video 9 RTP/AVP 31"),
    ] {
        assert_eq!(changes(was, is), Vec::<String>::new(), "{was} {is}");
    }
}

#[test]
fn codecs_are_matched_by_encoding() {
    let was = "m=video 9 RTP/AVP 96 97 98\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\na=rtpmap:98 H264/90000\n\
               a=fmtp:98 packetization-mode=1\na=rtcp-fb:96 nack\na=rtcp-fb:98 nack";
    let is = "m=video 9 RTP/AVP 102 96 45\na=rtpmap:96 VP8/90000\na=rtpmap:102 H264/90000\na=fmtp:102 packetization-mode=1\n\
              a=rtpmap:45 AV1/90000\na=rtcp-fb:96 nack\na=rtcp-fb:96 nack pli\na=rtcp-fb:102 nack\na=rtcp-fb:45 nack";
    assert_eq!(
        changes(was, is),
        [
            "video (section 1): codec rtx (97) removed",
            "video (section 1): codec AV1 (45) added",
            "video (section 1): codec H264 (98) is H264 (102) now",
            "video (section 1): codecs are preferred in another order, H264 (102) first",
            "video (section 1): a=rtcp-fb:96 nack pli added",
        ]
    );
    assert_eq!(
        changes(
            "m=audio 9 RTP/AVP 0 111\na=rtpmap:111 opus/48000/2",
            "m=audio 9 RTP/AVP 0 111\na=rtpmap:111 opus/48000/2\na=fmtp:111 useinbandfec=1"
        ),
        ["audio (section 1): parameters of opus (111): none → useinbandfec=1"]
    );
    assert_eq!(
        changes("m=audio 9 RTP/AVP 96\na=rtpmap:96 a/8000", "m=audio 9 RTP/AVP 96\na=rtpmap:96 b/8000"),
        ["audio (section 1): codec a (96) removed", "audio (section 1): codec b (96) added"]
    );
    assert_eq!(changes("m=audio 9 RTP/AVP 0 8", "m=audio 9 RTP/AVP 8"), ["audio (section 1): codec PCMU (0) removed"]);
}

#[test]
fn sections_are_matched_by_name_then_by_position() {
    let (a, v) = ("m=audio 9 RTP/AVP 0\na=mid:a", "m=video 9 RTP/AVP 31\na=mid:v");
    assert_eq!(changes(&format!("{a}\n{v}"), v), ["video (mid v): moved to another place", "audio (mid a): removed"]);
    assert_eq!(changes(a, &format!("{a}\n{v}")), ["video (mid v): added"]);
    assert_eq!(changes("m=audio 9 RTP/AVP 0", a), ["audio (mid a): a=mid:a added"]);
    assert_eq!(
        changes(&format!("{a}\nm=video 9 RTP/AVP 31"), &format!("m=video 9 RTP/AVP 31\n{a}")),
        ["video (section 1): added", "audio (mid a): moved to another place", "video (section 2): removed"]
    );
}

#[test]
fn each_change_has_its_text() {
    for (was, is, expected) in [
        (
            "m=audio 9 RTP/AVP 0\na=sendrecv",
            "m=audio 9 RTP/AVP 0\na=inactive",
            &["audio (section 1): direction sendrecv → inactive"][..],
        ),
        (
            "a=recvonly\nm=audio 9 RTP/AVP 0",
            "m=audio 9 RTP/AVP 0",
            &["audio (section 1): direction recvonly → sendrecv"],
        ),
        ("m=audio 9 RTP/AVP 0", "m=audio 0 RTP/AVP 0", &["audio (section 1): refused or ended (port 0)"]),
        ("m=audio 0 RTP/AVP 0", "m=audio 9 RTP/AVP 0", &["audio (section 1): taken up again (no longer port 0)"]),
        (
            "m=audio 9 RTP/AVP 0",
            "m=audio 10 RTP/SAVP 0",
            &["audio (section 1): audio RTP/AVP → audio RTP/SAVP", "audio (section 1): port 9 → 10"],
        ),
        (
            "a=ice-ufrag:aaaa\na=ice-pwd:0123456789012345678901",
            "a=ice-ufrag:bbbb\na=ice-pwd:1123456789012345678901",
            &["session: ICE restart: new user name aaaa → bbbb and a new password"],
        ),
        (
            "a=ice-ufrag:aaaa\na=ice-pwd:0123456789012345678901",
            "a=ice-ufrag:bbbb\na=ice-pwd:0123456789012345678901",
            &["session: a=ice-ufrag:aaaa → a=ice-ufrag:bbbb"],
        ),
        (
            "a=x",
            "a=x\na=candidate:1 1 udp 7 192.0.2.1 5 typ host",
            &["session: candidate added: 1 1 UDP 7 192.0.2.1 5 typ host"],
        ),
        ("a=setup:actpass", "a=setup:active", &["session: a=setup:actpass → a=setup:active"]),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0", &["session: a=group:BUNDLE 0 1 → a=group:BUNDLE 0"]),
        (
            "a=x:1\na=x:2\na=x:2",
            "a=x:2\na=x:3",
            &["session: a=x:1 removed", "session: a=x:2 removed", "session: a=x:3 added"],
        ),
        ("b=AS:1", "b=AS:2", &["session: b=AS:1 → b=AS:2"]),
        ("a=x", "a=x\na=y:\u{1b}[2J", &["session: a=y:·[2J added"]),
        ("m=nothing", "m=something", &["something (section 1): m=nothing → m=something"]),
    ] {
        assert_eq!(changes(was, is), expected, "{was} {is}");
    }
}

#[test]
fn an_origin_distinguishes_versions_from_sessions() {
    let of = |origin: &str| HEAD.replace("- 1 1", origin);
    let (was, is, other) = (of("- 1 1"), of("- 1 9"), of("- 2 1"));
    let read = |text| Session::read(text).unwrap();
    let (was, is, other) = (read(was.as_bytes()), read(is.as_bytes()), read(other.as_bytes()));
    assert_eq!(diff(&was, &is), [Change { place: Place::Session, kind: ChangeKind::Version { was: "1", is: "9" } }]);
    assert_eq!(diff(&was, &other), [Change { place: Place::Session, kind: ChangeKind::NewSession }]);
}
