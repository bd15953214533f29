//! The input of every codec: two offers in the style of a browser, and one candidate.
//!
//! The names and keys are made up. The addresses are those for documentation (RFC 5737, RFC 3849).

use bytesstr::BytesStr;
use core::fmt::Write as _;

/// A text, in each form that a codec reads from.
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) shared: BytesStr,
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        let shared = BytesStr::from(text.clone());
        Self { text, shared }
    }
}

/// The texts of a run, the same in every run.
pub(crate) struct Texts {
    /// About 8 kB: audio, video, data and 14 candidates.
    pub(crate) small: Text,
    /// About 75 kB: 50 sections.
    pub(crate) large: Text,
    /// A candidate without `a=candidate:`.
    pub(crate) candidate: Text,
    /// The same candidate with `candidate:`, but without `a=`.
    pub(crate) attribute: Text,
}

/// The number of sections of the large offer.
pub(crate) const SECTIONS: usize = 50;

/// A server-reflexive candidate with the extensions of browsers.
const CANDIDATE: &str = "2841136656 1 udp 1685987071 198.51.100.27 51472 typ srflx raddr 192.0.2.34 rport 51472 generation 0 \
                         ufrag EsAw network-id 1 network-cost 10";

impl Texts {
    pub(crate) fn new() -> Self {
        let attribute = format!("candidate:{CANDIDATE}");
        Self {
            small: small().into(),
            large: large().into(),
            candidate: CANDIDATE.to_owned().into(),
            attribute: attribute.into(),
        }
    }
}

/// Appends a line.
macro_rules! line {
    ($out:expr, $($arguments:tt)*) => {{
        write!($out, $($arguments)*).expect("writing to a string cannot fail");
        $out.push_str("\r\n");
    }};
}

fn small() -> String {
    let mut out = head(3);
    section(&mut out, 0, "audio", &AUDIO);
    candidates(&mut out, 0);
    sources(&mut out, 0, false);
    section(&mut out, 1, "video", &VIDEO);
    candidates(&mut out, 1);
    sources(&mut out, 1, true);
    line!(out, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel");
    line!(out, "c=IN IP4 0.0.0.0");
    transport(&mut out, 2);
    line!(out, "a=sctp-port:5000");
    line!(out, "a=max-message-size:262144");
    out
}

fn large() -> String {
    let mut out = head(SECTIONS);
    for index in 0..SECTIONS {
        if index % 3 == 0 {
            section(&mut out, index, "audio", &AUDIO[..5]);
        } else {
            section(&mut out, index, "video", &VIDEO[..4]);
        }
        if index % 25 == 0 {
            candidates(&mut out, index);
        }
        sources(&mut out, index, index % 3 != 0);
    }
    out
}

fn head(sections: usize) -> String {
    let mut out = String::new();
    line!(out, "v=0");
    line!(out, "o=- 4611731400430051336 2 IN IP4 127.0.0.1");
    line!(out, "s=-");
    line!(out, "t=0 0");
    let mids: String = (0..sections).map(|mid| format!(" {mid}")).collect();
    line!(out, "a=group:BUNDLE{mids}");
    line!(out, "a=extmap-allow-mixed");
    line!(out, "a=msid-semantic: WMS");
    out
}

/// The payload type, name, feedback and parameters of a format.
type Format = (u8, &'static str, &'static [&'static str], &'static str);

const FEEDBACK: &[&str] = &["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"];

const AUDIO: [Format; 8] = [
    (111, "opus/48000/2", &["transport-cc"], "minptime=10;useinbandfec=1"),
    (63, "red/48000/2", &[], "111/111"),
    (9, "G722/8000", &[], ""),
    (0, "PCMU/8000", &[], ""),
    (8, "PCMA/8000", &[], ""),
    (13, "CN/8000", &[], ""),
    (110, "telephone-event/48000", &[], "0-15"),
    (126, "telephone-event/8000", &[], "0-15"),
];

const VIDEO: [Format; 25] = [
    (96, "VP8/90000", FEEDBACK, ""),
    (97, "rtx/90000", &[], "apt=96"),
    (98, "VP9/90000", FEEDBACK, "profile-id=0"),
    (99, "rtx/90000", &[], "apt=98"),
    (103, "H264/90000", FEEDBACK, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
    (104, "rtx/90000", &[], "apt=103"),
    (109, "H264/90000", FEEDBACK, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    (114, "rtx/90000", &[], "apt=109"),
    (39, "H264/90000", FEEDBACK, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f"),
    (40, "rtx/90000", &[], "apt=39"),
    (45, "AV1/90000", FEEDBACK, "level-idx=5;profile=0;tier=0"),
    (46, "rtx/90000", &[], "apt=45"),
    (100, "VP9/90000", FEEDBACK, "profile-id=2"),
    (101, "rtx/90000", &[], "apt=100"),
    (35, "H264/90000", FEEDBACK, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"),
    (36, "rtx/90000", &[], "apt=35"),
    (37, "H264/90000", FEEDBACK, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"),
    (38, "rtx/90000", &[], "apt=37"),
    (41, "H264/90000", FEEDBACK, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
    (42, "rtx/90000", &[], "apt=41"),
    (43, "AV1/90000", FEEDBACK, "level-idx=5;profile=1;tier=0"),
    (44, "rtx/90000", &[], "apt=43"),
    (123, "red/90000", &[], ""),
    (124, "rtx/90000", &[], "apt=123"),
    (125, "ulpfec/90000", &[], ""),
];

const EXTENSIONS: [&str; 9] = [
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "urn:ietf:params:rtp-hdrext:toffset",
    "urn:3gpp:video-orientation",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
];

fn section(out: &mut String, index: usize, media: &str, formats: &[Format]) {
    let list: String = formats.iter().map(|(payload, ..)| format!(" {payload}")).collect();
    line!(out, "m={media} 9 UDP/TLS/RTP/SAVPF{list}");
    line!(out, "c=IN IP4 0.0.0.0");
    line!(out, "a=rtcp:9 IN IP4 0.0.0.0");
    transport(out, index);
    let extensions = if media == "audio" { &EXTENSIONS[..4] } else { &EXTENSIONS[..] };
    for (id, uri) in (1..).zip(extensions) {
        line!(out, "a=extmap:{id} {uri}");
    }
    line!(out, "a=sendrecv");
    line!(out, "a=msid:{} {}", stream(index), track(index));
    line!(out, "a=rtcp-mux");
    line!(out, "a=rtcp-rsize");
    for (payload, name, feedback, parameters) in formats {
        line!(out, "a=rtpmap:{payload} {name}");
        for kind in *feedback {
            line!(out, "a=rtcp-fb:{payload} {kind}");
        }
        if !parameters.is_empty() {
            line!(out, "a=fmtp:{payload} {parameters}");
        }
    }
}

fn transport(out: &mut String, index: usize) {
    line!(out, "a=ice-ufrag:EsAw");
    line!(out, "a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y");
    line!(out, "a=ice-options:trickle");
    let digest: Vec<String> = (0_u8..32).map(|byte| format!("{:02X}", byte.wrapping_mul(37) ^ 0xA5)).collect();
    line!(out, "a=fingerprint:sha-256 {}", digest.join(":"));
    line!(out, "a=setup:actpass");
    line!(out, "a=mid:{index}");
}

fn candidates(out: &mut String, index: usize) {
    let port = 46_000 + index;
    let added = "generation 0 network-id 1 network-cost 10";
    line!(out, "a=candidate:1467250027 1 udp 2122260223 192.0.2.34 {port} typ host {added}");
    line!(out, "a=candidate:435653019 1 udp 2122194687 2001:db8::5e7:34 {port} typ host {added}");
    line!(
        out,
        "a=candidate:2841136656 1 udp 1685987071 198.51.100.27 {port} typ srflx raddr 192.0.2.34 rport {port} {added}"
    );
    line!(
        out,
        "a=candidate:3102112340 1 udp 41819902 203.0.113.9 {port} typ relay raddr 198.51.100.27 rport {port} {added}"
    );
    line!(
        out,
        "a=candidate:3988957083 1 udp 1685921535 2001:db8:77::5e7 {port} typ srflx raddr 2001:db8::5e7:34 rport {port} {added}"
    );
    line!(out, "a=candidate:4233069003 1 tcp 1518280447 192.0.2.34 9 typ host tcptype active {added}");
    line!(out, "a=candidate:1704553097 1 tcp 1518149375 192.0.2.34 {port} typ host tcptype passive {added}");
    line!(out, "a=end-of-candidates");
}

fn sources(out: &mut String, index: usize, is_video: bool) {
    let first = 1_350_000_011 + index * 7_919;
    if is_video {
        line!(out, "a=ssrc-group:FID {first} {}", first + 1);
    }
    for source in first..=first + usize::from(is_video) {
        line!(out, "a=ssrc:{source} cname:uM3gIBC5fNsXBkqH");
        line!(out, "a=ssrc:{source} msid:{} {}", stream(index), track(index));
    }
}

fn stream(index: usize) -> String {
    format!("7bea1f3a-{index:04}-4c5c-8d0e-1e9f5a2b6c7d")
}

fn track(index: usize) -> String {
    format!("c0ffee00-{index:04}-4a1b-9f3e-5d6c7b8a9e0f")
}
