//! The rules about several lines: each with examples, the whole corpus, and the page with the table of rules.

mod corpus;
mod examples;

use alloc::collections::BTreeSet;
use examples::{EXAMPLES, Example};
use portolan_sdp::Session;
use portolan_sdp::diagnostic::Severity;
use portolan_sdp::lint::{Finding, Rule, lint};
use portolan_strategies::sessions::nearly_valid;
use proptest::prelude::*;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

/// Returns the description of an example, and the number of the line with the mark.
fn description(lines: &str) -> (String, Option<usize>) {
    let (mut text, mut marked) = (HEAD.to_owned(), None);
    for (index, line) in lines.lines().enumerate() {
        let line = line.trim_start();
        let unmarked = line.strip_prefix('>');
        if unmarked.is_some() {
            marked = Some(HEAD.lines().count() + index + 1);
        }
        text.push_str(unmarked.unwrap_or(line));
        text.push_str("\r\n");
    }
    (text, marked)
}

/// Returns the rule, the line and the text of each finding.
fn found(lines: &str) -> Vec<(Rule, usize, String)> {
    let (text, _) = description(lines);
    let session = Session::read(text.as_bytes()).unwrap();
    let owned = |finding: &Finding<'_>| {
        let text = String::from_utf8(finding.text.to_vec()).unwrap();
        (finding.rule, finding.line - HEAD.lines().count(), text)
    };
    lint(&session).iter().map(owned).collect()
}

#[test]
fn each_rule_has_a_violating_and_a_conforming_example() {
    let shown: Vec<Rule> = EXAMPLES.iter().map(|example| example.rule).collect();
    assert_eq!(shown, Rule::ALL, "each rule has one row, in the order of the table");
    for Example { rule, text, violating, conforming } in EXAMPLES {
        let (bad, line) = description(violating);
        let session = Session::read(bad.as_bytes()).unwrap();
        let findings = lint(&session);
        let [finding] = findings[..] else { panic!("{rule:?}: {findings:#?}") };
        assert_eq!(
            (finding.rule, Some(finding.line), core::str::from_utf8(finding.text)),
            (*rule, line, Ok(*text)),
            "{rule:?}"
        );
        let marked = session.line(finding.line - 1).unwrap().text();
        assert!(marked[finding.column - 1..].starts_with(finding.text), "{rule:?}: {finding}");
        let (good, _) = description(conforming);
        let findings = Session::read(good.as_bytes()).map(|session| lint(&session).len());
        assert_eq!(findings, Ok(0), "{rule:?}: {:?}", found(conforming));
    }
}

#[test]
fn a_finding_names_the_mid_and_the_other_line() {
    let (text, _) = description("m=audio 9 RTP/AVP 0\na=mid:x\na=fmtp:0 a=1\na=fmtp:0 b=2");
    let session = Session::read(text.as_bytes()).unwrap();
    assert_eq!(
        lint(&session)[0].to_string(),
        "line 8, column 8: mid x: a second a=fmtp for one format: 0 (the other one: line 7) (RFC 8866 §6.15)"
    );
    let (text, _) = description("a=group:LS x\nm=audio 9 RTP/AVP 0");
    let session = Session::read(text.as_bytes()).unwrap();
    let findings: Vec<String> = lint(&session).iter().map(ToString::to_string).collect();
    assert_eq!(
        findings,
        [
            "line 5, column 12: session: a=group names a mid that no media description has: x (RFC 5888 §6)",
            "line 6, column 3: m-line 0: a media description without a=mid in a description with a=group: audio \
             (RFC 5888 §6)",
        ]
    );
}

#[test]
fn each_attribute_with_one_value_is_found_when_it_is_repeated() {
    let twice = [
        ("mid:a", "mid:b"),
        ("setup:active", "setup:passive"),
        ("ptime:20", "ptime:30"),
        ("maxptime:20", "maxptime:30"),
        ("ice-ufrag:abcd", "ice-ufrag:efgh"),
        ("ice-pwd:abcdefghijklmnopqrstuvwx", "ice-pwd:xbcdefghijklmnopqrstuvwx"),
        ("rtcp:9", "rtcp:10"),
        ("framerate:25", "framerate:30"),
        ("quality:1", "quality:2"),
        ("max-message-size:1", "max-message-size:2"),
        ("tls-id:abc3de65cddef001be82", "tls-id:abc3de65cddef001be83"),
        ("label:1", "label:2"),
        ("connection:new", "connection:existing"),
    ];
    for (first, second) in twice {
        let name = first.split(':').next().unwrap();
        let findings = found(&format!("m=audio 9 RTP/AVP 0\na={first}\na={second}"));
        assert!(findings.contains(&(Rule::RepeatedAttribute, 3, format!("a={name}"))), "{name}: {findings:?}");
        // The session and each media description may have one.
        let findings = found(&format!("m=audio 9 RTP/AVP 0\na={first}\nm=audio 9 RTP/AVP 0\na={second}"));
        assert!(findings.iter().all(|(rule, ..)| *rule != Rule::RepeatedAttribute), "{name}: {findings:?}");
    }
    let text = description("m=audio 9 RTP/AVP 0\na=setup:active\na=setup:passive").0;
    let session = Session::read(text.as_bytes()).unwrap();
    assert_eq!(lint(&session)[0].clause.to_string(), "RFC 4145 §4", "the section that defines the attribute");
}

#[test]
fn a_name_that_no_resolver_accepts_is_found_in_each_place() {
    for bad in ["-", "a-.example", "-a.example", "a..b", ".a", "192.0.2.1.5e", "a.1"] {
        let is_bad = !matches!(bad, "192.0.2.1.5e");
        for lines in [
            format!("c=IN IP4 {bad}"),
            format!("c=IN IP6 {bad}"),
            format!("m=audio 9 RTP/AVP 0\na=rtcp:9 IN IP4 {bad}"),
            format!(
                "m=audio 9 RTP/AVP 0\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=candidate:1 1 UDP 1 \
                 {bad} 9 typ host"
            ),
        ] {
            let findings = found(&lines);
            assert_eq!(findings.len(), usize::from(is_bad), "{lines}: {findings:?}");
            assert!(findings.iter().all(|(rule, _, text)| (*rule, text.as_str()) == (Rule::InvalidName, bad)), "{bad}");
        }
    }
    let long = "a".repeat(64);
    assert_eq!(found(&format!("c=IN IP4 {long}.example"))[0].0, Rule::InvalidName);
    assert_eq!(found(&format!("c=IN IP4 {}.example", &long[1..])), []);
    assert_eq!(found("c=IN IP4 xn--bcher-kva.example."), []);
    let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 a..b\r\ns=-\r\nt=0 0\r\n").unwrap();
    assert_eq!((lint(&session)[0].rule, lint(&session)[0].column), (Rule::InvalidName, 16));
}

#[test]
fn a_line_that_cannot_be_parsed_is_not_called_missing() {
    const DTLS: &str = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel";
    for lines in [
        format!("{DTLS}\na=setup:activ\na=fingerprint:sha-256 00\na=sctp-port:x"),
        "m=video 9 RTP/AVP 96\na=rtpmap:96".to_owned(),
        "m=video 9 RTP/AVP 96 97\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97;apt=96".to_owned(),
        "m=video 9 RTP/AVP 31\na=rid:f sends\na=simulcast:send f".to_owned(),
        "a=group:LS a\nm=audio 9 RTP/AVP 0\na=mid:a b".to_owned(),
        "a=group:LS a\nm=audio 9999999 RTP/AVP 0\na=mid:a".to_owned(),
        "m=audio 9 RTP/AVP 0\na=ice-ufrag:a\na=ice-pwd:a\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host".to_owned(),
    ] {
        assert_eq!(found(&lines), [], "{lines}");
    }
}

#[test]
fn a_removed_section_needs_nothing() {
    let removed = "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=setup:actpass\n\
                   m=video 0 UDP/TLS/RTP/SAVPF 96\nm=application 0 UDP/DTLS/SCTP webrtc-datachannel";
    assert_eq!(found(removed), []);
}

#[test]
fn half_of_the_credentials_is_found_once_at_its_level() {
    let halves =
        |lines: &str| -> Vec<(Rule, usize)> { found(lines).iter().map(|(rule, line, _)| (*rule, *line)).collect() };
    let two = "m=audio 9 RTP/AVP 0\nm=video 9 RTP/AVP 31";
    assert_eq!(halves(&format!("a=ice-ufrag:abcd\n{two}")), [(Rule::HalfIceCredentials, 1)]);
    let completed = "a=ice-ufrag:abcd\nm=audio 9 RTP/AVP 0\na=ice-pwd:abcdefghijklmnopqrstuvwx";
    assert_eq!(halves(completed), []);
    let pwd = "m=audio 9 RTP/AVP 0\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=end-of-candidates";
    assert_eq!(halves(pwd), [(Rule::HalfIceCredentials, 2)]);
    let in_bundle = "a=group:BUNDLE a b\nm=text 9 udp t140\na=mid:a\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\n\
                     m=text 9 udp t140\na=mid:b\na=ice-ufrag:efgh";
    assert_eq!(halves(in_bundle), [(Rule::HalfIceCredentials, 8)], "the password belongs to another fragment");
    assert_eq!(halves("m=audio 9 RTP/AVP 0\na=end-of-candidates"), [(Rule::IceWithoutCredentials, 2)]);
    assert_eq!(halves("a=ice-lite\nm=audio 9 RTP/AVP 0"), [(Rule::IceWithoutCredentials, 1)]);
}

/// Descriptions that people reported, and the findings in them.
#[test]
fn reported_descriptions_are_found() {
    const KEYS: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\n\
        a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\na=rtpmap:96 VP8/90000\na=mid:0\n";
    assert_eq!(
        found(&format!("{KEYS}a=setup:holdconn")),
        [(Rule::HoldConnection, 7, "holdconn".to_owned())],
        "06-holdconn-offer and -answer"
    );
    assert_eq!(
        found(
            "m=audio 5004 RTP/AVP 9 101\na=rtpmap:9 G722/8000\na=rtpmap:101 telephone-event/16000\na=rtpmap:101 \
               telephone-event/8000\na=fmtp:101 0-15"
        ),
        [(Rule::DuplicateRtpmap, 4, "101".to_owned())],
        "13-two-rtpmaps-one-payload-type"
    );
    assert_eq!(
        found(&format!("{KEYS}a=setup:actpass\na=recvonly\na=sendonly")),
        [(Rule::RepeatedDirection, 9, "a=sendonly".to_owned())],
        "24-two-directions"
    );
    // The `m=` line of the camera cannot be parsed, so that its formats are not known.
    assert_eq!(found("m=video -1353744643 RTP/AVP 96\na=rtpmap:96 H264/90000"), [], "03-camera-garbage");
    // An answer whose simulcast cannot be parsed; its second `a=rid` lines can.
    let twice = found(&format!(
        "{KEYS}a=setup:active\na=rid:f send\na=rid:h send\na=rid:f send\na=rid:h send\na=simulcast:send f;h send f;h"
    ));
    assert_eq!(
        twice,
        [(Rule::DuplicateRid, 10, "f".to_owned()), (Rule::DuplicateRid, 11, "h".to_owned())],
        "07-simulcast-twice-answer"
    );
}

/// Several examples in one description, damaged.
fn damaged_examples() -> BoxedStrategy<Vec<u8>> {
    let texts: Vec<&str> = EXAMPLES.iter().flat_map(|example| [example.violating, example.conforming]).collect();
    let several = prop::collection::vec(prop::sample::select(texts), 1..4);
    nearly_valid(several.prop_map(|parts| description(&parts.join("\n")).0.into_bytes()))
}

proptest! {
    #[test]
    fn findings_of_damaged_descriptions_are_in_their_lines(text in damaged_examples()) {
        let Ok(session) = Session::read(&text) else { return Ok(()) };
        for finding in lint(&session) {
            corpus::check(&session, &finding);
            prop_assert!(!finding.to_string().contains(['\r', '\n', '\0']));
        }
    }
}

#[test]
fn a_rule_has_a_code_a_severity_a_section_and_a_hint() {
    let codes: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    assert_eq!(codes.len(), Rule::ALL.len(), "no code occurs twice");
    for rule in Rule::ALL {
        assert!(matches!(rule.severity(), Severity::Warning | Severity::Deviation), "{rule:?}");
        assert!(!rule.meaning().ends_with('.') && !rule.hint().ends_with('.'), "{rule:?}");
        assert!(rule.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{rule:?}");
    }
}

#[test]
fn the_page_has_the_table_of_rules() {
    let page = include_str!("../../../../docs/sdp-rules.md");
    let mut table = String::from("| rule | severity | RFC | violation | hint |\n|---|---|---|---|---|\n");
    for rule in Rule::ALL {
        let severity = if rule.severity() == Severity::Warning { "warning" } else { "deviation" };
        let (code, clause) = (rule.code(), rule.clause());
        table.push_str(&format!("| `{code}` | {severity} | {clause} | {} | {} |\n", rule.meaning(), rule.hint()));
    }
    let written: String = page.lines().filter(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    assert_eq!(written, table, "replace the table in docs/sdp-rules.md by:\n{table}");
}
