//! Tests of the text of each line, of the position of errors, and of the escape of control characters.

use super::*;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

/// Returns the meaning of the last line, after a head.
fn meaning(lines: &str) -> String {
    let text = format!("{HEAD}{}\r\n", lines.replace('\n', "\r\n"));
    let session = Session::read(text.as_bytes()).unwrap();
    let items: Vec<_> = explain(&session).collect();
    assert_eq!(items.len(), session.line_count());
    items.last().unwrap().meaning().to_string()
}

#[test]
fn each_line_has_its_explanation() {
    for (line, text) in [
        ("v=0", "version 0 of SDP, the only one"),
        (
            "o=jane 7 2 IN IP4 10.0.0.1",
            "made by the user jane at 10.0.0.1 (a private address): session 7, version 2 of its description",
        ),
        ("s=Concert", "the session is named \"Concert\""),
        ("s=-", "the session has no name"),
        ("i=", "i= is empty"),
        ("i=A talk", "about the session: \"A talk\""),
        (
            "c=IN IP4 233.252.0.1/127/3",
            "media goes to 233.252.0.1 (multicast) and those that follow it, 3 in all, as far as 127 hops",
        ),
        ("c=IN IP4 0.0.0.0", "no address yet: ICE will find one, or the media is on hold"),
        ("b=AS:64", "the application takes 64 kbit/s at most, with headers"),
        ("t=0 0", "the session is permanent: it has no start and no end"),
        ("t=3724394400 3724398000", "the session runs from 2018-01-08 10:00:00 UTC to 2018-01-08 11:00:00 UTC"),
        ("t=2208988800 0", "the session starts at 1970-01-01 00:00:00 UTC and does not end by itself"),
        ("t=0 9999999999999", "the session runs until second 9999999999999 after 1900"),
        ("m=audio 0 RTP/AVP 0 8 101", "audio in RTP, refused or ended (port 0); formats 0 (PCMU), 8 (PCMA), 101"),
        (
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "data channels in SCTP over DTLS over UDP, its port is signalled elsewhere; format webrtc-datachannel",
        ),
        ("m=audio 9 RTP/AVP 0\ni=Loud", "about the media: \"Loud\""),
        ("u=https://example.org/a", "more about the session is at https://example.org/a"),
        ("e=j.doe@example.com (Jane Doe)", "mail about the session goes to j.doe@example.com, Jane Doe"),
        ("p=+1 617 555-6011", "calls about the session go to +1 617 555-6011"),
        (
            "t=3724394400 3724398000\nr=7d 1h 0 25h",
            "the session repeats every 7 days for 1 hour, each time after 0 seconds, 25 hours",
        ),
        ("t=3724394400 3724398000\nr=604800 3600 0", "the session repeats every 7 days for 1 hour"),
        (
            "t=3724394400 3724398000\nr=604800 3600 0\nz=3730928400 -1h",
            "the clock that repeats follow is changed: back by 1 hour at 2018-03-25 01:00:00 UTC",
        ),
        ("k=prompt", "the user is asked for the key"),
        ("k=clear:hunter2", "a key in the clear, which must not be used any more"),
        ("x=1", "a kind of line that RFC 8866 does not define; readers ignore it"),
        ("", "an empty line, which is not allowed"),
        ("hello", "no line of a description: it does not begin with a letter and \"=\""),
    ] {
        assert_eq!(meaning(line), text, "{line}");
    }
}

#[test]
fn each_attribute_has_its_explanation() {
    for (line, text) in [
        ("a=rtpmap:97 L16/22050", "payload type 97 is L16 at 22.05 kHz"),
        ("a=rtpmap:97 L16/11025/1", "payload type 97 is L16 at 11.025 kHz, 1 channel"),
        ("a=fmtp:97 x=1; y", "format 97 with x 1, y"),
        ("a=rtpmap:97 rtx/90000\na=fmtp:97 apt=96", "payload type 97 (rtx) sends packets of payload type 96 again"),
        (
            "a=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack pli",
            "for payload type 96 (VP8) the receiver may say that a picture is lost (PLI)",
        ),
        ("a=rtcp-fb:* x y z", "for all payload types the receiver may send feedback x y z"),
        (
            "a=candidate:1 1 udp 1694498815 192.0.2.9 5 typ srflx raddr 10.0.0.1 rport 6",
            "the writer as a STUN server saw it: UDP 192.0.2.9 port 5, behind it 10.0.0.1 port 6, for RTP or data, priority 1694498815",
        ),
        (
            "a=candidate:1 2 tcp 7 x.local 9 typ host tcptype active",
            "an address of the host: TCP x.local port 9, which only opens connections, a name that only its own network can resolve, for RTCP, priority 7",
        ),
        ("a=group:BUNDLE 0 1", "these sections share one transport: 0, 1"),
        ("a=setup:actpass", "the writer can open the connection or wait for it: the answer chooses"),
        (
            "a=extmap:3/recvonly urn:3gpp:video-orientation",
            "header extension 3, only received, says which way the picture is turned",
        ),
        (
            "a=simulcast:send 1,~2;3 recv 4",
            "sends at once 2 encodings: 1 or 2 (paused), 3; would receive at once 1 encoding: 4",
        ),
        (
            "a=rid:hi send pt=96,97;max-width=1280",
            "the encoding \"hi\" is sent, in payload types 96, 97, with max-width 1280",
        ),
        ("a=max-message-size:0", "the writer takes messages of any length"),
        ("a=rtcp:9 IN IP4 0.0.0.0", "RTCP goes where ICE finds a way"),
        ("a=ssrc:7 cname:me", "the source 7 calls itself me in RTCP"),
        ("a=ptime:20", "each packet should hold 20 ms of media"),
        (
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32",
            "choice 1 of SRTP keys: AES_CM_128_HMAC_SHA1_80, 1 key in the clear, so the description must be kept secret, selected in packets by MKI",
        ),
        ("a=source-filter: incl IN IP4 232.3.4.5 192.0.2.1", "only these may send to 232.3.4.5: 192.0.2.1"),
        ("a=range:npt=0-12.5", "it plays from second 0 to 12.5"),
        (
            "a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37",
            "times come from PTP (IEEE1588-2008) from the grandmaster 39-A7-94-FF-FE-07-CB-D0 in domain 37",
        ),
        ("a=mediaclk:direct=0", "timestamps follow the reference clock, 0 at its zero"),
        (
            "a=imageattr:97 send [x=800,y=640] recv *",
            "pictures in payload type 97, sent as 800×640, received in any size",
        ),
        ("a=control:*", "RTSP controls it at the URL that the description came from"),
        ("a=content:slides,x", "the stream shows slides, x"),
        (
            "a=rtcp-xr:rcvr-rtt=all:10 voip-metrics",
            "extended RTCP reports: round trips, of all receivers, how good a call is",
        ),
        ("a=x-mine:1", "the attribute x-mine, which has no explanation, with the value \"1\""),
    ] {
        assert_eq!(meaning(line), text, "{line}");
    }
}

#[test]
fn a_payload_type_has_the_codec_of_its_section() {
    let sections =
        "m=video 9 RTP/AVP 96\na=rtpmap:96 VP8/90000\nm=video 9 RTP/AVP 96\na=rtpmap:96 AV1/90000\na=fmtp:96 x=1";
    assert_eq!(meaning(sections), "payload type 96 (AV1) with x 1");
    assert_eq!(
        meaning("m=video 9 RTP/AVP 96\na=rtpmap:96 VP8/90000\nm=video 9 RTP/AVP 96\na=fmtp:96 x=1"),
        "format 96 with x 1"
    );
}

#[test]
fn an_error_is_marked_by_a_caret() {
    let text = format!("{HEAD}b=AS:5x0\r\n");
    let session = Session::read(text.as_bytes()).unwrap();
    let item = explain(&session).last().unwrap();
    assert_eq!(
        item.to_string(),
        "   5  b=AS:5x0\n            ^\n      cannot be read at column 7: expected the end of the value, found 'x' (RFC 8866 §5.8)"
    );
    assert_eq!(item.value, item.line.read::<Bandwidth<'_>>().map(LineValue::Bandwidth));
}

#[test]
fn control_characters_of_a_peer_are_replaced() {
    let text = [HEAD.as_bytes(), b"s=\x1b[2J\xff\xe2\x80\xae\0\r\na=", &[b'x'; 100_000], b"\r\n"].concat();
    let session = Session::read(&text).unwrap();
    let text: String = explain(&session).map(|item| format!("{item}\n")).collect();
    assert!(text.contains("the session is named \"·[2J\u{fffd}··\""), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(text.len() < 2_000, "a long line is truncated: {}", text.len());
}

#[test]
fn a_long_list_is_truncated_with_a_count() {
    let text = format!("{HEAD}m=audio 9 RTP/AVP{}\r\n", " 0".repeat(100_000));
    let session = Session::read(text.as_bytes()).unwrap();
    let text = explain(&session).last().unwrap().meaning().to_string();
    assert!(text.ends_with("0 (PCMU) and 99976 more"), "{text}");
}
