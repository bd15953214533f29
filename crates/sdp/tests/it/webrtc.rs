//! Tests with the WebRTC attributes of the corpus, and the reasons why some are refused.

use crate::allocations::count;
use crate::field::{folder, rows, unquoted};
use portolan_sdp::{Attribute, Session};
use std::fs;

/// The attribute names that these tests check.
const NAMES: [&str; 33] = [
    "bundle-only",
    "candidate",
    "end-of-candidates",
    "extmap",
    "extmap-allow-mixed",
    "fingerprint",
    "fmtp",
    "group",
    "ice-lite",
    "ice-mismatch",
    "ice-options",
    "ice-pacing",
    "ice-pwd",
    "ice-ufrag",
    "max-message-size",
    "mid",
    "msid",
    "msid-semantic",
    "remote-candidates",
    "rid",
    "rtcp",
    "rtcp-fb",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-rsize",
    "rtpmap",
    "sctp-port",
    "sctpmap",
    "setup",
    "simulcast",
    "ssrc",
    "ssrc-group",
    "tls-id",
];

const TOKEN: &str = "the RFC has a token there, so that future extensions can be parsed";
const CODEC: &str = "the codec defines the parameters";

/// Lines with another result than in the source of the corpus, with the reason.
const EXPLAINED_LINES: [(&str, &str); 23] = [
    ("moz-027", TOKEN),
    ("moz-032", TOKEN),
    ("moz-033", "parsed, and reported as Deviation::LoneExtension"),
    ("moz-034", "parsed, and reported as Deviation::LoneExtension"),
    ("moz-035", "extension-att-value is any VCHAR"),
    ("moz-036", "extension-att-value is any VCHAR"),
    ("moz-064", TOKEN),
    ("moz-086", "some cameras write fmtp without parameters"),
    ("moz-087", CODEC),
    ("moz-088", CODEC),
    ("moz-089", CODEC),
    ("moz-090", CODEC),
    ("moz-169", "RFC 5888 §4: a name is a token; a name with a space could not be part of a group"),
    ("moz-179", "RFC 8839 §5.1: components count from 1"),
    ("moz-207", "RFC 8839 §5.1: there are at most 256 components"),
    ("moz-246", TOKEN),
    ("moz-248", TOKEN),
    ("moz-249", TOKEN),
    ("moz-252", TOKEN),
    ("moz-253", TOKEN),
    ("moz-269", TOKEN),
    ("moz-304", "RFC 5576 §10: a group may have no source"),
    ("moz-305", "RFC 5576 §10: a group may have no source"),
];

const SHORT: &str = "RFC 8839 §5.4: a password has at least 22 characters; these are made-up test values";
const SPACE: &str = "RFC 8830 §2: the text after the space is missing; a line folded in an RFC was joined";
const JOINED: &str = "lines folded in an RFC were joined without the space";

/// Lines of accepted descriptions that are refused as attributes, and the reason.
const EXPLAINED_IN_FILES: [(&str, &str); 28] = [
    ("fingerprint:sha-256 AA:BB", "RFC 8122 §5: a fingerprint is as long as its hash"),
    ("fingerprint:sha-256 E7:70:CE:58:6A:CC:77:B0:B4:4B:F2:BC:7E:89:0D:69:E3:90:FR3:", "no hexadecimal digit"),
    ("fingerprint:sha-25619:", JOINED),
    ("fingerprint:sha-25629:", JOINED),
    ("fingerprint:sha-2566B:", JOINED),
    ("fingerprint:sha-2567B:", JOINED),
    ("fingerprint:sha-256A2:", JOINED),
    ("fingerprint:sha-256C4:", JOINED),
    ("ice-pwd:greatNewPwd", SHORT),
    ("ice-pwd:pwd_video", SHORT),
    ("ice-pwd:pwd_voice", SHORT),
    ("ice-pwd:somepwd", SHORT),
    ("ice-pwd:testpwd", SHORT),
    ("msid:61317484-2ed4-49d7-9eb7-1414322a7aae ", SPACE),
    ("msid:751f239e-4ae0-c549-aa3d-890de772998b ", SPACE),
    ("msid:81317484-2ed4-49d7-9eb7-1414322a7aae ", SPACE),
    ("msid:bbce3ba6-abfc-ac63-d00a-e15b286f8fce ", SPACE),
    ("msid:{fb6d1fa3-d993-f244-a0fe-d9fb99214c23} ", "RFC 8830 §2: the text after the space is missing"),
    ("mid:secondary;", "RFC 5888 §4: a name is a token"),
    ("remote-candidates:0 10.0.0.1 5555", "RFC 8839 §5.1: components count from 1"),
    ("rtcp:1 IN IP7 X", "RFC 8866 §8.2.7: the Internet has IP4 and IP6"),
    ("rtcp:5000 IN IP4 127.0.0.0/24", "RFC 3605 §2.1: one address, which is not multicast"),
    ("rtcp:5000 IN NONIP non-IP", "RFC 8866 §8.2.7: the Internet has IP4 and IP6"),
    ("rtpmap:96 AppleLossless", "RFC 8866 §6.6: an encoding has a clock rate"),
    ("sctp-port", "RFC 8841 §5: a port; a made-up test value"),
    ("sctpmap:5000", "every draft requires the use; a made-up test value"),
    ("simulcast: send rid=1,4;2;3 paused=4 recv rid=c", "a draft from before 2017, which endpoints no longer write"),
    ("ssrc:1.* cname:evil", "RFC 5576 §4.1: a source is a number; a made-up test value"),
];

/// Returns whether an attribute is parsed as the type of its name.
fn is_read(name: &str, value: Option<&[u8]>) -> bool {
    matches!(Attribute::parse(name.as_bytes(), value), Ok(attribute) if !matches!(attribute, Attribute::Other { .. }))
}

#[test]
fn every_line_has_the_expected_result_or_an_explanation() {
    let Some(folder) = folder() else { return };
    let (mut equal, mut different) = (0, Vec::new());
    for row in rows(&folder.join("sdp/tables/attribute_lines_mozilla.tsv")) {
        let [id, text, expect, ..] = row.as_slice() else { panic!("three columns and more: {row:?}") };
        let text = unquoted(text);
        let (name, value) = text.split_once(':').map_or((&*text, None), |(name, value)| (name, Some(value.as_bytes())));
        // `rtcp-mux foobar` is another name, and must not be parsed as `rtcp-mux`.
        if name.split(' ').next().is_none_or(|name| !NAMES.contains(&name)) {
            continue;
        }
        if is_read(name, value) == (expect == "accept") {
            equal += 1;
        } else {
            different.push(id.clone());
        }
    }
    assert_eq!(different, EXPLAINED_LINES.map(|(id, _)| id));
    assert!(equal >= 180, "{equal} equal");
}

#[test]
fn every_line_of_accepted_descriptions_is_parsed_or_has_an_explanation() {
    let Some(folder) = folder() else { return };
    let (mut read, mut refused) = (0, Vec::new());
    for row in rows(&folder.join("sdp/manifest.tsv")) {
        let [file, _, expect, ..] = row.as_slice() else { panic!("three columns and more: {row:?}") };
        if expect == "accept" {
            let bytes = fs::read(folder.join("sdp").join(file)).unwrap();
            lines(&bytes, |text, is_read| if is_read { read += 1 } else { refused.push(text) });
        }
    }
    // All attributes of browsers are parsed.
    for entry in fs::read_dir(folder.join("browser")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sdp") {
            lines(&fs::read(&path).unwrap(), |text, is_read| {
                assert!(is_read, "{}: {text}", path.display());
                read += 1;
            });
        }
    }
    for text in &refused {
        assert!(EXPLAINED_IN_FILES.iter().any(|(different, _)| text.starts_with(different)), "{text}");
    }
    for (different, why) in EXPLAINED_IN_FILES {
        assert!(refused.iter().any(|text| text.starts_with(different)), "{different} is accepted: {why}");
    }
    assert!(read >= 10_000, "{read} read, {} refused", refused.len());
    println!("{read} read, {} refused", refused.len());
}

/// Calls `record` with each attribute of [`NAMES`] in a description, and with whether it is parsed.
fn lines(bytes: &[u8], mut record: impl FnMut(String, bool)) {
    let session = Session::read(bytes).unwrap();
    for line in session.lines() {
        let Some((name, value)) = line.attribute() else { continue };
        let Some(name) = NAMES.into_iter().find(|known| known.as_bytes() == name) else { continue };
        let read = line.typed().unwrap();
        assert_eq!(read.is_ok(), is_read(name, value), "{line}");
        if let Ok(attribute) = read {
            let written = attribute.to_string();
            let (name, value) = written.split_once(':').map_or((&*written, None), |(name, value)| (name, Some(value)));
            let again = Attribute::parse(name.as_bytes(), value.map(str::as_bytes));
            assert_eq!(again, Ok(attribute), "{line}");
        }
        record(String::from_utf8_lossy(line.value()).into_owned(), read.is_ok());
    }
}

/// One valid line of each kind, and one that is invalid near its end.
const LINES: [(&str, &str); 27] = [
    (
        "candidate",
        "1 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998 generation 0 ufrag abcd",
    ),
    ("candidate", "1 1 TCP 2105458943 2001:db8::3 9 typ host tcptype active"),
    ("candidate", "1 1 UDP 2122260223 e2494022-4d9a-4c1e-a750-cc48d4f8d6ee.local 60542 typ host"),
    ("candidate", "1 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 89980"),
    ("ice-ufrag", "8hhY"),
    ("ice-pwd", "asd88fgpdd777uzjYhagZg"),
    ("ice-options", "trickle ice2"),
    ("ice-pacing", "50"),
    ("remote-candidates", "1 192.0.2.3 45664 2 192.0.2.3 45665"),
    ("fingerprint", "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"),
    ("setup", "actpass"),
    ("tls-id", "abc3de65cddef001be82"),
    ("group", "BUNDLE 0 1 2"),
    ("msid", "stream track"),
    ("msid-semantic", " WMS *"),
    ("rtpmap", "111 opus/48000/2"),
    ("fmtp", "111 minptime=10; useinbandfec=1"),
    ("rtcp-fb", "96 nack pli"),
    ("extmap", "1/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on"),
    ("rtcp", "9 IN IP4 0.0.0.0"),
    ("ssrc", "314159 cname:user@example.com"),
    ("ssrc-group", "FID 1 2"),
    ("rid", "hi send pt=97;max-width=1280"),
    ("simulcast", "send hi,~mid;lo recv x"),
    ("sctp-port", "5000"),
    ("max-message-size", "262144"),
    ("sctpmap", "5000 webrtc-datachannel 1024"),
];

#[test]
fn parsing_an_attribute_allocates_nothing() {
    for (name, value) in LINES {
        let (read, allocated) = count(|| Attribute::parse(name.as_bytes(), Some(value.as_bytes())));
        assert_eq!(allocated.times, 0, "{name}:{value}");
        assert_eq!(read.is_ok(), !value.ends_with("89980"), "{name}:{value}: {read:?}");
        assert!(!matches!(read, Ok(Attribute::Other { .. })), "{name} has a type");
    }
}
