//! Hostile offers. The size of the answer and of its explanations is at most a small multiple of the size of the offer.

use crate::allocations::peak;

use super::endpoints::{AUDIO, CAMERA, FINGERPRINT, browser, transports};
use portolan_sdp::offer_answer::{BundlePolicy, Capabilities, Demands, MuxPolicy, answer, validate};
use portolan_sdp::{Limits, Reader, Session};

const TOP: &str = "v=0\r\no=- 4962303333179871722 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";

fn keys() -> String {
    format!(
        "a=ice-ufrag:ETEn\r\na=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl\r\na=fingerprint:{FINGERPRINT}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
    )
}

fn read(text: &str) -> Session<'_> {
    let limits = Limits { bytes: 1 << 24, lines: 1 << 22, attributes: 1 << 20, media: 1 << 20, ..Limits::default() };
    Reader::lenient().with_limits(limits).read(text.as_bytes()).unwrap().session
}

/// Answers an offer, and checks the size of the answer, of its explanations and of the findings.
fn check_size(text: &str) {
    let offer = read(text);
    let (media, transports) = ([AUDIO, CAMERA], transports());
    for bundle in [BundlePolicy::Balanced, BundlePolicy::MaxCompat, BundlePolicy::Never] {
        let capabilities = Capabilities { bundle, repeats_transport: true, ..browser(&media, &transports) };
        let answered = answer(&offer, &capabilities).unwrap();
        let length = answered.session.to_bytes().len();
        assert!(length <= 10 * text.len() + 10_000, "{length} bytes for an offer of {}", text.len());
        let notes: usize = answered.explanations.iter().map(|explanation| explanation.notes.len()).sum();
        assert!(notes <= offer.line_count() + text.len() / 2, "{notes} notes for {} lines", offer.line_count());
        assert_eq!(validate(&offer, &answered.session), []);
        // An offer is not a valid answer to itself. The number of findings is bounded.
        let findings = validate(&offer, &offer).len();
        assert!(findings <= 10 * offer.media_count() + 2 * offer.line_count() + 10, "{findings} findings");
    }
}

#[test]
fn many_sections_of_different_kinds_are_answered() {
    let sections: String = (0..20_000).map(|kind| format!("m=k{kind} 9 RTP/AVP 0\r\na=mid:{kind}\r\n")).collect();
    check_size(&format!("{TOP}{sections}"));
}

#[test]
fn many_sections_in_many_groups_are_answered() {
    let names: Vec<String> = (0..10_000).map(|name| name.to_string()).collect();
    let groups = format!("a=group:BUNDLE {}\r\n", names.join(" ")).repeat(20);
    let sections: String =
        names.iter().map(|name| format!("m=audio 0 RTP/AVP 0\r\na=bundle-only\r\na=mid:{name}\r\n")).collect();
    check_size(&format!("{TOP}{groups}{}{sections}", keys()));
    let two_names: String =
        names.iter().map(|name| format!("a=group:BUNDLE {name} x\r\na=group:LS {name} 1 2\r\n")).collect();
    check_size(&format!("{TOP}{two_names}{sections}"));
}

#[test]
fn many_lines_of_one_kind_are_answered() {
    let audio = format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF {}\r\n{}",
        (0..128).map(|payload| payload.to_string()).collect::<Vec<_>>().join(" "),
        keys()
    );
    for line in [
        "a=rtcp-fb:* nack pli\r\n",
        "a=rtcp-fb:0 x y z\r\n",
        "a=rtpmap:96 opus/48000/2\r\n",
        "a=fmtp:0 a=b;c=d\r\n",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
        "a=rid:1 send pt=1,2,3\r\n",
        "a=group:BUNDLE\r\n",
    ] {
        check_size(&format!("{TOP}{audio}{}", line.repeat(20_000)));
        check_size(&format!("{TOP}{}{audio}", line.repeat(20_000)));
    }
    let distinct: String = (0..20_000)
        .map(|word| format!("a=rtcp-fb:* w{word}\r\na=extmap:{} urn:{word}\r\na=rid:{word} send\r\n", word % 5000 + 1))
        .collect();
    check_size(&format!("{TOP}{audio}{distinct}"));
    let sections = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n".repeat(1000);
    check_size(&format!("{TOP}{distinct}{}{sections}", keys()));
}

#[test]
fn long_lists_in_one_line_are_answered() {
    let list = |item: &str, separator: &str| vec![item; 100_000].join(separator);
    let video = format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n{}", keys());
    check_size(&format!("{TOP}{video}a=rid:1 send\r\na=simulcast:send {}\r\n", list("1", ";")));
    check_size(&format!(
        "{TOP}{video}a=rid:1 send pt={}\r\na=simulcast:send 1,{}\r\n",
        list("96", ","),
        list("1", ",")
    ));
    check_size(&format!("{TOP}m=video 9 UDP/TLS/RTP/SAVPF {}\r\n{}", list("96", " "), keys()));
    check_size(&format!("{TOP}{video}a=fmtp:96 {}\r\n", list("apt=96", ";")));
    check_size(&format!("{TOP}a=ice-options:{}\r\n{video}", list("trickle", " ")));
}

/// The sections are as short as possible. With its default limits, a reader accepts at most a thousand sections.
#[test]
fn memory_is_at_most_a_multiple_of_the_offer() {
    const SIZE: usize = 1 << 21;
    for section in ["m=a 0 b c\r\n", "m=audio 9 RTP/AVP 0\r\n", "m=a 9 b c\r\na=mid:x\r\n"] {
        let text = format!("{TOP}{}", section.repeat(SIZE / section.len()));
        let offer = read(&text);
        let sections = offer.media_count();
        let (media, transports) = ([AUDIO, CAMERA], transports());
        let webrtc = browser(&media, &transports);
        let plain = Capabilities { demands: Demands::Nothing, rtcp_mux: MuxPolicy::Negotiate, ..webrtc };
        for capabilities in [webrtc, plain] {
            let (answered, most) = peak(|| answer(&offer, &capabilities).unwrap());
            println!("{section:?}: answer {most} = {} per section", most / sections);
            assert_eq!(answered.session.media_count(), sections);
            assert!(most <= 60 * text.len(), "{section:?}: {most} bytes for {}", text.len());
        }
        let (_, most) = peak(|| validate(&offer, &offer));
        println!("{section:?}: validate {most} = {} per section", most / sections);
        assert!(most <= 60 * text.len(), "{section:?}: {most} bytes for {}", text.len());
    }
}
