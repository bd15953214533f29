//! Tests of the work for hostile texts. A text of twice the size causes at most twice the work in reading, typed parsing,
//! answering and comparing.

extern crate std;

use crate::attribute::{Attribute, Group, ImageAttr, Simulcast, SsrcGroup};
use crate::candidate::Candidate;
use crate::lint::lint;
use crate::offer_answer::{
    BundlePolicy, Capabilities, Codec, Demands, Extension, Features, Media, MuxPolicy, Transport, answer, validate,
};
use crate::reader::{Limits, Reader};
use crate::session::Session;
use crate::value::{MediaLine, Origin, Repeat, Value, Zone};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

std::thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Counts bytes or steps.
pub(crate) fn look(steps: usize) {
    STEPS.set(STEPS.get() + steps);
}

/// Returns the number of steps of a function.
fn cost<T>(work: impl FnOnce() -> T) -> usize {
    let before = STEPS.get();
    let _result = work();
    STEPS.get() - before
}

const NO_LIMITS: Limits =
    Limits { bytes: usize::MAX, lines: usize::MAX, attributes: usize::MAX, media: usize::MAX, diagnostics: 9 };

fn read(text: &[u8]) -> Session<'_> {
    Reader::lenient().with_limits(NO_LIMITS).read(text).unwrap().session
}

/// Calls `work` with a text of `size` and with a text of twice the size. Asserts at most `most` steps per byte, and at
/// most twice the steps for twice the size.
#[track_caller]
fn assert_linear(name: &str, size: usize, most: usize, make: impl Fn(usize) -> String, work: impl Fn(&str)) {
    let (small, large) = (make(size), make(2 * size));
    let (once, twice) = (cost(|| work(&small)), cost(|| work(&large)));
    assert!(once >= small.len() / 8, "{name}: {once} steps for {} bytes are too few", small.len());
    assert!(once <= most * small.len(), "{name}: {once} steps for {} bytes", small.len());
    let growth = large.len() as f64 / small.len() as f64;
    assert!(twice as f64 <= 1.05 * growth * once as f64, "{name}: {once} steps, for {growth} times the text {twice}");
}

/// A name, and a function that makes a text of a size.
type Shape = (&'static str, fn(usize) -> String);

#[test]
fn reading_is_linear() {
    let shapes: [Shape; 8] = [
        ("attributes", |size| "a=\r\n".repeat(size / 4)),
        ("sections", |size| "m=audio 9 RTP/AVP 0\r\n".repeat(size / 21)),
        ("one line", |size| format!("a=x:{}", "x".repeat(size))),
        ("NUL", |size| format!("a=x:{}", "\0".repeat(size))),
        ("LF", |size| format!("v=0\r\n{}", "\n".repeat(size))),
        ("CR", |size| format!("v=0\r\n{}", "\r".repeat(size))),
        ("formats", |size| format!("m=audio 9 RTP/AVP{}", " 0".repeat(size / 2))),
        ("emails", |size| format!("e={}", "a.".repeat(size / 2))),
    ];
    for (name, make) in shapes {
        assert_linear(name, 1 << 19, 6, make, |text| drop(read(text.as_bytes())));
    }
}

/// Returns a prefix that is followed by a repeated text.
fn list(before: &str, item: &str, size: usize) -> String {
    let mut text = String::from(before);
    while text.len() < size {
        text.push_str(item);
    }
    text
}

/// Attribute names, the beginning of a value, and the part that repeats.
const LISTS: [(&str, &str, &str); 33] = [
    ("candidate", "1 1 UDP 1 192.0.2.1 9 typ host", " x y"),
    ("candidate", "1 1 UDP 1 ", "a"),
    ("candidate", "1 1 UDP 1 fe80::1%", "a"),
    ("ice-options", "trickle", " ice2"),
    ("remote-candidates", "1 192.0.2.1 9", " 2 192.0.2.1 9"),
    ("fingerprint", "new 00", ":00"),
    ("group", "BUNDLE", " 1"),
    ("msid-semantic", "WMS", " a"),
    ("msid-semantic", "", " "),
    ("fmtp", "96 a=b", ";apt=1"),
    ("fmtp", "96", " "),
    ("rtcp-fb", "96 nack pli", " "),
    ("rtcp-fb", "96 nack ", "x"),
    ("extmap", "1 ", "u"),
    ("ssrc", "1 a:", " "),
    ("ssrc-group", "FID", " 1"),
    ("rid", "1 send max-width=1", ";x=y"),
    ("rid", "1 send pt=1", ",1"),
    ("simulcast", "send 1", ";1"),
    ("simulcast", "send 1", ",~1"),
    ("content", "main", ",alt"),
    ("imageattr", "* send [x=1,y=1]", " [x=1,y=1,q=0.5]"),
    ("imageattr", "* send [x=[1", ",1"),
    ("imageattr", "* send [x=1,y=1", ",a=b"),
    ("crypto", "1 S inline:AAAA", ";inline:AAAA|1:4"),
    ("crypto", "1 S inline:AAAA", " FEC_KEY=inline:AAAA;inline:AAAA"),
    ("crypto", "1 S inline:AAAA", " KDR=1"),
    ("rtcp-xr", "voip-metrics", " stat-summary=loss,dup,jitt,TTL,HL"),
    ("rtcp-xr", "stat-summary=loss", ",HL"),
    ("source-filter", " incl IN IP4 *", " 192.0.2.1"),
    ("range", "clock=19960213T143205.1", "1"),
    ("mediaclk", "id=AAAA", "AAAA"),
    ("lang", "de", "-de"),
];

/// The values are valid, or invalid only at the end.
#[test]
fn typed_values_are_linear() {
    const SIZE: usize = 1 << 19;
    let parse = |name: &'static str| {
        move |value: &str| {
            let _read = Attribute::parse(name.as_bytes(), Some(value.as_bytes()));
        }
    };
    for (name, before, item) in LISTS {
        let label = format!("{name}:{before}{item}…");
        assert_linear(&label, SIZE, 12, |size| list(before, item, size), parse(name));
        // The parser reads a value with trailing spaces a second time if the first attempt fails.
        assert_linear(&label, SIZE, 20, |size| list(before, item, size) + "\u{7f} ", parse(name));
    }
}

#[test]
fn values_of_lines_are_linear() {
    const SIZE: usize = 1 << 19;
    assert_linear(
        "z=",
        SIZE,
        8,
        |size| list("3730928400 1", " 3730928400 1", size),
        |text| {
            assert!(Zone::parse(text.as_bytes()).unwrap().adjustments().count() > 1_000);
        },
    );
    assert_linear(
        "r=",
        SIZE,
        8,
        |size| list("7d 1 0", " 1h", size),
        |text| {
            assert!(Repeat::parse(text.as_bytes()).unwrap().offsets().count() > 1_000);
        },
    );
    assert_linear(
        "m=",
        SIZE,
        8,
        |size| list("audio 9 RTP/AVP 0", " 8", size),
        |text| {
            assert!(MediaLine::parse(text.as_bytes()).unwrap().formats().count() > 1_000);
        },
    );
}

/// The iterators of a value do not parse the whole value for each item.
#[test]
fn iterating_over_a_value_is_linear() {
    const SIZE: usize = 1 << 19;
    assert_linear(
        "group",
        SIZE,
        8,
        |size| list("BUNDLE", " 1", size),
        |text| {
            assert!(Group::parse(text.as_bytes()).unwrap().mids().count() > 100_000);
        },
    );
    assert_linear(
        "ssrc-group",
        SIZE,
        8,
        |size| list("FID", " 1", size),
        |text| {
            assert!(SsrcGroup::parse(text.as_bytes()).unwrap().ids().count() > 100_000);
        },
    );
    assert_linear(
        "simulcast",
        SIZE,
        8,
        |size| list("send 1", ";1,2", size),
        |text| {
            let streams = Simulcast::parse(text.as_bytes()).unwrap().send.unwrap();
            assert!(streams.iter().flat_map(|stream| stream.iter()).count() > 100_000);
        },
    );
    assert_linear(
        "imageattr",
        SIZE,
        8,
        |size| list("* send [x=1,y=1]", " [x=1,y=1]", size),
        |text| {
            let crate::attribute::ImageList::Sets(sets) = ImageAttr::parse(text.as_bytes()).unwrap().send.unwrap()
            else {
                panic!("sets")
            };
            assert!(sets.iter().count() > 10_000);
        },
    );
    assert_linear(
        "fmtp",
        SIZE,
        8,
        |size| list("96 a=b", ";c=d", size),
        |text| {
            let fmtp = crate::attribute::Fmtp::parse(text.as_bytes()).unwrap();
            assert_eq!((fmtp.parameter("x"), fmtp.payload_type()), (None, Some(96)));
        },
    );
}

#[test]
fn iterating_over_candidates_is_linear() {
    const SIZE: usize = 1 << 19;
    assert_linear(
        "candidate",
        SIZE,
        20,
        |size| list("1 1 UDP 1 192.0.2.1 9 typ host", " x y", size),
        |text| {
            let candidate = Candidate::strict(text.as_bytes()).unwrap();
            assert_eq!((candidate.extensions.get("z"), candidate.deviations().count()), (None, 0));
        },
    );
    assert_linear(
        "candidates",
        SIZE,
        12,
        |size| list("", "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n", size),
        |text| {
            let session = read(text.as_bytes());
            assert!(session.top().attributes().filter(Result::is_ok).count() > 10_000);
        },
    );
}

const TOP: &str = "v=0\r\no=- 4962303333179871722 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
const KEYS: &str = "a=ice-ufrag:ETEn\r\na=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl\r\na=fingerprint:md5 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F\r\na=setup:actpass\r\na=rtcp-mux\r\n";

/// Answers an offer with several capabilities, and validates the offer itself and the answers.
fn negotiate(text: &str) {
    const OPUS: Codec<'_> = Codec::new("opus", 48_000).with_channels(2).with_feedback(&["nack", "transport-cc"]);
    const H264: Codec<'_> = Codec::new("H264", 90_000)
        .with_parameters("packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1");
    const AUDIO: Media<'_> = Media::new("audio", &[OPUS, Codec::new("PCMU", 8_000), Codec::new("red", 48_000)]);
    const VIDEO: Media<'_> = Media {
        extensions: &[Extension::new("urn:x")],
        features: Features { receives_simulcast: true, sends_simulcast: true, ..Features::NONE },
        ..Media::new("video", &[H264, Codec::rtx(90_000)])
    };
    let media = [AUDIO, VIDEO];
    let fingerprints = ["md5 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F"];
    let transports = [Transport::trickled("6sFv", "cOTZKZNVlO9RSGsEGM63JXT2", &fingerprints); 4];
    let origin = Origin::parse(b"- 6729291447651054566 1 IN IP4 0.0.0.0").unwrap();
    let webrtc = Capabilities::webrtc(origin, &media, &transports);
    let plain = Capabilities { demands: Demands::Nothing, rtcp_mux: MuxPolicy::Negotiate, ..webrtc };
    let offer = read(text.as_bytes());
    for capabilities in [webrtc, Capabilities { bundle: BundlePolicy::MaxBundle, repeats_transport: true, ..plain }] {
        let made = answer(&offer, &capabilities).unwrap();
        assert_eq!(validate(&offer, &made.session), []);
    }
    let _findings = validate(&offer, &offer);
}

#[test]
fn offer_and_answer_are_linear_in_sections() {
    const SIZE: usize = 1 << 20;
    // The text has about 100,000 sections.
    assert_linear("sections", SIZE, 200, |size| list(TOP, "m=a 9 b c\r\n", size), negotiate);
    assert_linear(
        "audio",
        SIZE / 2,
        100,
        |size| list(&format!("{TOP}{KEYS}"), "m=audio 9 RTP/AVP 0\r\n", size),
        negotiate,
    );
    // All sections are in one bundle and have unique names.
    let bundle = |size: usize| {
        let count = size / 30;
        let mids: String = (0..count).map(|mid| format!(" {:06}", mid)).collect();
        let sections: String = (0..count).map(|mid| format!("m=audio 9 RTP/AVP 0\r\na=mid:{mid:06}\r\n")).collect();
        format!("{TOP}a=group:BUNDLE{mids}\r\na=group:LS{mids}\r\n{KEYS}{sections}")
    };
    assert_linear("bundle", SIZE, 100, bundle, negotiate);
    // All sections have the same name.
    assert_linear(
        "one mid",
        SIZE,
        100,
        |size| list(&format!("{TOP}a=group:BUNDLE 1\r\n{KEYS}"), "m=audio 9 RTP/AVP 0\r\na=mid:1\r\n", size),
        negotiate,
    );
    assert_linear(
        "groups",
        SIZE,
        60,
        |size| list(&format!("{TOP}{KEYS}"), "a=group:BUNDLE 1 2\r\n", size) + "m=audio 9 RTP/AVP 0\r\na=mid:1\r\n",
        negotiate,
    );
}

#[test]
fn offer_and_answer_are_linear_in_lists() {
    const SIZE: usize = 1 << 18;
    let video =
        format!("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 rtx/90000\r\n{KEYS}");
    // The attributes of the session must not be parsed again for each section. One section is accepted.
    let shared = |line: &'static str, item: &'static str| {
        move |size: usize| {
            let wide = list(&format!("{TOP}{line}"), item, size) + "\r\n";
            list(&wide, "m=a 9 b c\r\n", 2 * size) + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" + KEYS
        }
    };
    assert_linear("ice-options", SIZE, 200, shared("a=ice-options:x", " y"), negotiate);
    assert_linear("unknown mids", SIZE, 200, shared("a=group:BUNDLE", " y"), negotiate);
    for (name, line, item) in [
        ("profile-level-id", "a=fmtp:96 packetization-mode=1", ";profile-level-id=42e01f"),
        ("apt", "a=fmtp:97 apt=96", ";apt=96"),
        ("simulcast", "a=rid:1 send\r\na=simulcast:send 1", ";1"),
        ("alternatives", "a=rid:1 send\r\na=simulcast:send 1", ",1"),
        ("rid", "a=rid:1 send pt=96", ",96"),
        ("rids", "", "a=rid:1 send\r\n"),
        ("feedback", "", "a=rtcp-fb:96 nack\r\n"),
        ("feedback for all", "", "a=rtcp-fb:* nack pli\r\n"),
        ("extensions", "", "a=extmap:1 urn:x\r\n"),
        ("parameters", "", "a=fmtp:96 x=y\r\n"),
        ("maps", "", "a=rtpmap:96 H264/90000\r\n"),
        ("candidates", "", "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n"),
    ] {
        assert_linear(name, SIZE, 100, |size| list(&format!("{TOP}{video}{line}"), item, size) + "\r\n", negotiate);
    }
    let formats: String = (96..128).map(|format| format!(" {format}")).collect();
    let red =
        format!("m=audio 9 UDP/TLS/RTP/SAVPF{formats}\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 red/48000\r\n{KEYS}");
    assert_linear("red", SIZE, 100, |size| list(&format!("{TOP}{red}a=fmtp:97 96"), "/96", size) + "\r\n", negotiate);
}

#[test]
fn lint_is_linear() {
    let sections = |lines: &str, size: usize| {
        let mids: String = (0..size / 100).map(|index| format!(" m{index}")).collect();
        let section = |index: usize| format!("m=audio 9 RTP/AVP 0 96\r\na=mid:m{index}\r\n{lines}");
        format!("a=group:BUNDLE{mids}\r\n") + &(0..size / 100).map(section).collect::<String>()
    };
    let numbered = |head: &str, size: usize, line: fn(usize) -> String| {
        String::from(head) + &(0..size / 20).map(line).collect::<String>()
    };
    for (name, lines) in [
        ("sections", ""),
        ("codecs", "a=rtpmap:96 x/1\r\na=fmtp:96 b;a\r\n"),
        ("extensions", "a=extmap:1 urn:a\r\na=extmap:2 urn:b\r\n"),
        ("sources", "a=ssrc:1 cname:a\r\na=ssrc-group:FID 1 2 3\r\n"),
        ("credentials", "a=ice-ufrag:abcd\r\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n"),
    ] {
        assert_linear(name, 1 << 16, 200, |size| sections(lines, size), |text| drop(lint(&read(text.as_bytes()))));
    }
    let shapes: [Shape; 8] = [
        ("formats", |size| format!("m=audio 9 RTP/AVP{}\r\na=fmtp:1 a\r\n", " 97".repeat(size / 3))),
        ("names", |size| list("m=audio 9 RTP/AVP 0\r\na=rid:a send\r\na=simulcast:send a", ";b", size)),
        ("payload types", |size| list("m=audio 9 RTP/AVP 0\r\na=rid:a send pt=1", ",1", size)),
        ("dependencies", |size| list("m=audio 9 RTP/AVP 0\r\na=rid:a send depend=a", ",b", size)),
        ("group", |size| list("a=group:BUNDLE", " x", size)),
        ("source group", |size| list("m=audio 9 RTP/AVP 0\r\na=ssrc-group:FID", " 7", size)),
        ("repeated", |size| list("m=audio 9 RTP/AVP 0\r\n", "a=ptime:20\r\na=sendonly\r\n", size)),
        ("addresses", |size| list("m=audio 9 RTP/AVP 0\r\n", "c=IN IP4 192.0.2.1\r\n", size)),
    ];
    for (name, make) in shapes {
        assert_linear(name, 1 << 16, 60, make, |text| drop(lint(&read(text.as_bytes()))));
    }
    let lines: [Shape; 3] = [
        ("rids", |index| format!("a=rid:r{index} send depend=r0\r\n")),
        ("sources", |index| format!("a=ssrc:{index} cname:a\r\n")),
        ("extensions", |index| format!("a=extmap:{} urn:x:{index}\r\n", index % 300 + 1)),
    ];
    for (name, line) in lines {
        let make = |size| numbered("m=audio 9 RTP/AVP 0\r\n", size, line);
        assert_linear(name, 1 << 16, 60, make, |text| drop(lint(&read(text.as_bytes()))));
    }
}

#[test]
fn the_count_grows_with_the_work() {
    let (text, texts) = ("1 1 UDP 1 192.0.2.1 9 typ host", Vec::from([(); 3]));
    let once = cost(|| Candidate::parse(text.as_bytes()));
    assert_eq!(cost(|| texts.iter().filter(|()| Candidate::parse(text.as_bytes()).is_ok()).count()), 3 * once);
    assert!(once >= text.len() / 2, "{once}");
}
