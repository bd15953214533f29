//! Properties of answers, with random offers and random answerers.

use super::endpoints::{
    ALL, AUDIO_CODECS, FINGERPRINT, LEVEL, MID, STREAM_ID, VIDEO_CODECS, origin, ports, transports,
};
use portolan_sdp::attribute::Direction;
use portolan_sdp::offer_answer::{
    Answer, BundlePolicy, Capabilities, Codec, DataChannel, Decision, Demands, Features, Media, MuxPolicy, Order,
    SectionOutcome, answer, validate,
};
use portolan_sdp::value::MediaLine;
use portolan_sdp::{Session, line::Kind};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// The formats of an offer: the payload type and its attributes.
const FORMATS: [(&str, &[&str]); 21] = [
    ("0", &[]),
    ("8", &["rtpmap:8 PCMA/8000"]),
    ("13", &[]),
    ("111", &["rtpmap:111 opus/48000/2", "fmtp:111 useinbandfec=1", "rtcp-fb:111 transport-cc"]),
    ("63", &["rtpmap:63 red/48000/2", "fmtp:63 111/111"]),
    ("110", &["rtpmap:110 telephone-event/48000"]),
    ("126", &["rtpmap:126 telephone-event/8000", "fmtp:126 0-16"]),
    ("96", &["rtpmap:96 VP8/90000", "rtcp-fb:* nack", "rtcp-fb:96 ccm fir"]),
    ("97", &["rtpmap:97 rtx/90000", "fmtp:97 apt=96"]),
    ("98", &["rtpmap:98 vp9/90000", "fmtp:98 profile-id=2"]),
    ("99", &["rtpmap:99 VP9/90000", "rtcp-fb:99 nack pli"]),
    ("102", &["rtpmap:102 H264/90000", "fmtp:102 packetization-mode=1; profile-level-id=42c014"]),
    ("103", &["rtpmap:103 rtx/90000", "fmtp:103 apt=102;rtx-time=200"]),
    ("104", &["rtpmap:104 H264/90000", "fmtp:104 profile-level-id=640032"]),
    ("105", &["rtpmap:105 AV1/90000", "fmtp:105 profile=0;tier=0"]),
    ("118", &["rtpmap:118 red/90000"]),
    ("119", &["rtpmap:119 rtx/90000", "fmtp:119 apt=118"]),
    ("120", &["rtpmap:120 ulpfec/90000"]),
    ("121", &["rtpmap:121 rtx/90000", "fmtp:121 apt=121"]),
    ("122", &["fmtp:122 apt=3"]),
    ("127", &["rtpmap:127 x-unheard-of/1"]),
];

/// The attributes of a section other than its formats, each with its probability in percent.
const LINES: [(&str, u32); 27] = [
    ("rtcp-mux", 85),
    ("rtcp-mux-only", 10),
    ("rtcp-rsize", 50),
    ("bundle-only", 5),
    ("extmap-allow-mixed", 50),
    ("setup:active", 5),
    ("setup:passive", 5),
    ("setup:actpass", 85),
    ("setup:holdconn", 1),
    ("setup:what", 1),
    ("sendonly", 10),
    ("recvonly", 10),
    ("inactive", 5),
    ("extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", 50),
    ("extmap:2/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level", 20),
    ("extmap:2/sendonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", 20),
    ("extmap:4096 urn:ietf:params:rtp-hdrext:ssrc-audio-level", 10),
    ("extmap:5 urn:ietf:params:rtp-hdrext:ssrc-audio-level", 20),
    ("rid:1 send pt=96;max-width=640", 40),
    ("rid:2 send", 40),
    ("rid:3 recv pt=97", 40),
    ("simulcast:send 1,~2;4 recv 3", 20),
    ("simulcast:recv 3", 5),
    ("sctp-port:5000", 90),
    ("sctpmap:5000 webrtc-datachannel 16", 10),
    ("remote-candidates:1 192.0.2.1 9", 5),
    ("rtpmap:300 VP8/90000", 1),
];

const HEADS: [(&str, &str); 16] = [
    ("audio", "UDP/TLS/RTP/SAVPF"),
    ("video", "UDP/TLS/RTP/SAVPF"),
    ("audio", "UDP/TLS/RTP/SAVPF"),
    ("video", "UDP/TLS/RTP/SAVPF"),
    ("video", "UDP/TLS/RTP/SAVPF"),
    ("video", "UDP/TLS/RTP/SAVPF"),
    ("video", "UDP/TLS/RTP/SAVPF"),
    ("application", "UDP/DTLS/SCTP"),
    ("audio", "RTP/AVP"),
    ("video", "RTP/SAVPF"),
    ("video", "RTP/AVPF"),
    ("application", "DTLS/SCTP"),
    ("application", "TCP/BFCP"),
    ("application", "UDP/DTLS/SCTP"),
    ("text", "RTP/AVP"),
    ("audio", "RTP/AVP-made-up"),
];

/// Generates `true` with this probability in percent.
fn percent(percent: u32) -> prop::bool::Weighted {
    prop::bool::weighted(f64::from(percent) / 100.0)
}

fn lines() -> impl Strategy<Value = Vec<&'static str>> {
    let chosen: Vec<_> = LINES.iter().map(|(_, probability)| percent(*probability)).collect();
    let lines = chosen
        .prop_map(|chosen| LINES.iter().zip(chosen).filter(|(_, is_chosen)| *is_chosen).map(|((line, _), _)| *line));
    lines.prop_map(Iterator::collect::<Vec<_>>).prop_shuffle()
}

fn section() -> impl Strategy<Value = String> {
    let head = (select(&HEADS[..]), select(&[9_u16, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 49_170, 0][..]));
    // The audio formats precede the video formats.
    let formats = prop_oneof![
        4 => subsequence(&FORMATS[..7], 2..=7),
        4 => subsequence(&FORMATS[7..], 5..=14),
        1 => subsequence(&FORMATS[..], 0..12),
    ];
    let addresses = prop_oneof![
        9 => Just("IN IP4 192.0.2.1"),
        9 => Just("IN IP6 2001:db8::1"),
        1 => Just("IN IP4 233.252.0.1/3"),
    ];
    let keys = ((percent(90), percent(90), percent(40)), addresses);
    (head, formats.prop_shuffle(), keys, lines()).prop_map(
        |(((kind, protocol), port), formats, ((ice, dtls, is_placed), address), lines)| {
            let list: Vec<&str> = match (kind, protocol) {
                ("application", "DTLS/SCTP") => vec!["5000"],
                ("application", _) => vec!["webrtc-datachannel"],
                _ if formats.is_empty() => vec!["0"],
                _ => formats.iter().map(|(payload, _)| *payload).collect(),
            };
            // The kind of media follows the formats, so that few video sections have audio formats.
            let kind = match (kind, formats.first()) {
                ("audio" | "video", Some(first)) if FORMATS[..7].contains(first) => "audio",
                ("audio" | "video", Some(_)) => "video",
                (kind, _) => kind,
            };
            let mut text = format!("m={kind} {port} {protocol} {}\r\n", list.join(" "));
            if is_placed {
                text += &format!("c={address}\r\n");
            }
            if ice {
                text += "a=ice-ufrag:ETEn\r\na=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl\r\na=ice-options:trickle other\r\n";
            }
            if dtls {
                text += &format!("a=fingerprint:{FINGERPRINT}\r\n");
            }
            let attributes = formats.iter().flat_map(|(_, attributes)| attributes.iter()).chain(&lines);
            attributes.for_each(|line| text += &format!("a={line}\r\n"));
            text
        },
    )
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "a1"];

fn offers() -> impl Strategy<Value = String> {
    // Most sections have their own name.
    let names = prop::collection::vec(prop_oneof![18 => Just(None), 1 => Just(Some("")), 1 => Just(Some("a"))], 6);
    let groups = prop_oneof![
        6 => Just(vec![("BUNDLE", NAMES.to_vec())]),
        3 => prop::collection::vec(
            (select(&["BUNDLE", "BUNDLE", "LS", "FID"][..]), subsequence(&["a", "b", "c", "d", "e", "zz"][..], 0..6)),
            0..4,
        ),
    ];
    let top = (
        (percent(60), percent(10), percent(10), percent(5)),
        select(&["t=0 0\r\n", "", "t=3034423619 3042462419\r\nt=0 0\r\n"][..]),
    );
    (prop::collection::vec(section(), 0..6), names, groups, top).prop_map(
        |(sections, names, groups, ((is_placed, ice, dtls, extmap), t))| {
            let mut text = "v=0\r\no=jdoe 20518 0 IN IP4 203.0.113.1\r\ns=-\r\n".to_owned();
            let mut add = |is_present: bool, lines: &str| text += if is_present { lines } else { "" };
            add(is_placed, "c=IN IP4 203.0.113.1\r\n");
            add(true, t);
            for (semantics, mids) in groups {
                add(true, &format!("a=group:{semantics} {}\r\n", mids.join(" ")).replace(" \r", "\r"));
            }
            add(ice, "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-lite\r\n");
            add(dtls, &format!("a=fingerprint:{FINGERPRINT}\r\na=setup:actpass\r\n"));
            add(extmap, "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendonly\r\n");
            for ((section, name), default) in sections.iter().zip(names).zip(NAMES) {
                text += section;
                let name = name.unwrap_or(default);
                if !name.is_empty() {
                    text += &format!("a=mid:{name}\r\n");
                }
            }
            text
        },
    )
}

/// The owned values of an answerer. The borrowed capabilities are built from these values.
#[derive(Clone, Debug)]
struct Answerer {
    audio: Vec<Codec<'static>>,
    video: Vec<Codec<'static>>,
    media: Vec<(bool, Direction, Order, bool)>,
    features: Features,
    transports: usize,
    policies: (BundlePolicy, MuxPolicy, Demands),
    is_plain: bool,
    has_data: bool,
    repeats: bool,
    ice_lite: bool,
}

fn directions() -> impl Strategy<Value = Direction> {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    prop::sample::select(&[SendRecv, SendRecv, SendRecv, SendRecv, SendOnly, RecvOnly, Inactive][..])
}

fn answerers() -> impl Strategy<Value = Answerer> {
    use BundlePolicy::{Balanced, MaxCompat, MustBundle, Never};
    let order = || select(&[Order::Offered, Order::Own][..]);
    let entry = |is_audio: bool| (Just(is_audio), directions(), order(), percent(5));
    let media =
        (entry(true), entry(false), prop::collection::vec((any::<bool>(), directions(), order(), percent(5)), 0..3));
    let media = media.prop_map(|(audio, video, more)| [audio, video].into_iter().chain(more).collect());
    let policies = (
        select(&[Balanced, MaxCompat, MustBundle, Never][..]),
        select(&[MuxPolicy::Require, MuxPolicy::Negotiate][..]),
        select(&[Demands::Webrtc, Demands::Nothing][..]),
    );
    let codecs = (subsequence(AUDIO_CODECS, 4..=7).prop_shuffle(), subsequence(VIDEO_CODECS, 4..=7).prop_shuffle());
    (codecs, media, (any::<[bool; 3]>(), percent(80)), select(&[0_usize, 1, 2, 3, 3, 3, 3][..]), policies, percent(10))
        .prop_map(|((audio, video), media, ([all, repeats, ice_lite], has_data), transports, policies, is_plain)| {
            Answerer {
                audio,
                video,
                media,
                features: if all { ALL } else { Features::NONE },
                transports,
                policies,
                is_plain,
                has_data,
                repeats,
                ice_lite,
            }
        })
}

impl Answerer {
    fn answer(&self, offer: &Session<'_>) -> Answer {
        let media: Vec<Media<'_>> = self
            .media
            .iter()
            .map(|(is_audio, direction, order, is_declined)| Media {
                direction: *direction,
                order: *order,
                is_declined: *is_declined,
                extensions: &[MID, LEVEL, STREAM_ID],
                features: self.features,
                streams: &["ours"],
                ..if *is_audio { Media::new("audio", &self.audio) } else { Media::new("video", &self.video) }
            })
            .collect();
        let all = if self.is_plain { ports() } else { transports() };
        let mut capabilities = Capabilities::webrtc(origin(), &media, &all[..self.transports]);
        (capabilities.bundle, capabilities.rtcp_mux, capabilities.demands) = self.policies;
        capabilities.data = self.has_data.then(DataChannel::default);
        capabilities.repeats_transport = self.repeats;
        capabilities.ice.is_lite = self.ice_lite;
        capabilities.ice.pacing = Some(50);
        answer(offer, &capabilities).unwrap()
    }
}

fn read(text: &str) -> Session<'_> {
    Session::read(text.as_bytes()).unwrap()
}

fn head<'s>(session: &'s Session<'_>, index: usize) -> MediaLine<'s> {
    session.media(index).unwrap().line(Kind::Media).unwrap().read().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every answer also has an explanation for each section.
    #[test]
    fn every_answer_is_valid(text in offers(), answerer in answerers()) {
        let offer = read(&text);
        let made = answerer.answer(&offer);
        let findings: Vec<String> = validate(&offer, &made.session).iter().map(ToString::to_string).collect();
        prop_assert!(findings.is_empty(), "{:#?}\n{}", findings, made.session);
        prop_assert_eq!(made.explanations.len(), offer.media_count());
        for (index, explanation) in made.explanations.iter().enumerate() {
            let is_refused = matches!(explanation.outcome, SectionOutcome::Refused(_));
            prop_assert_eq!(explanation.media, index);
            prop_assert_eq!(head(&made.session, index).port == 0, is_refused, "{}", explanation);
        }
    }

    /// Each answer is the next offer. After some exchanges, only the roles change.
    #[test]
    fn an_exchange_converges(text in offers(), answerer in answerers()) {
        let mut exchange = vec![answerer.answer(&read(&text)).session];
        for _ in 0..7 {
            let next = answerer.answer(exchange.last().unwrap()).session;
            exchange.push(next);
        }
        prop_assert_eq!(exchange[5].to_string(), exchange[7].to_string());
    }

    /// The bytes are answered, refused or compared without a panic.
    #[test]
    fn no_bytes_panic(text in offers(), answerer in answerers(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20)) {
        let mut bytes = text.clone().into_bytes();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(offer) = Session::read(&bytes) {
            let media = [super::endpoints::AUDIO, super::endpoints::CAMERA];
            let transports = transports();
            match answer(&offer, &super::endpoints::browser(&media, &transports)) {
                Ok(made) => {
                    let findings = validate(&offer, &made.session);
                    prop_assert!(findings.is_empty(), "{:?}\n{}", findings, made.session);
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
            let other = answerer.answer(&read(&text));
            drop(validate(&offer, &other.session));
            drop(validate(&other.session, &offer));
            drop(validate(&offer, &offer));
        }
    }
}

/// The other properties would be vacuous if no section were accepted.
#[test]
fn the_generated_offers_are_accepted_often_enough() {
    let mut runner = TestRunner::deterministic();
    let [mut sections, mut accepted, mut bundled, mut several, mut simulcast, mut data] = [0; 6];
    for _ in 0..1000 {
        let (text, answerer) = (offers(), answerers()).new_tree(&mut runner).unwrap().current();
        for explanation in answerer.answer(&read(&text)).explanations.iter() {
            sections += 1;
            let SectionOutcome::Accepted { formats, direction, .. } = explanation.outcome else { continue };
            accepted += 1;
            several += i32::from(formats > 1);
            data += i32::from(direction.is_none());
            bundled += i32::from(explanation.notes.iter().any(|note| matches!(note, Decision::BundledWith { .. })));
        }
        let made = answerer.answer(&read(&text)).session;
        simulcast += i32::from(made.lines().any(|line| line.value().starts_with(b"simulcast:")));
    }
    let summary = format!(
        "{sections} sections: {accepted} accepted, {bundled} bundled, {several} with several formats, {simulcast} with simulcast, {data} with data channels"
    );
    assert!(
        sections > 2000 && accepted > 200 && bundled > 20 && several > 50 && simulcast > 5 && data > 20,
        "{summary}"
    );
}
