//! Descriptions of other implementations: browsers, cameras, gateways, unit tests and fuzz seeds.
//!
//! The corpus is not part of this repository. `PORTOLAN_CORPUS` is its folder. Without the variable, the tests print
//! one line and pass.

use crate::vectors::assert_position;
use portolan_sdp::diagnostic::{Diagnostic, Rule, Severity};
use portolan_sdp::line::Kind;
use portolan_sdp::{Limits, Reader, Session};
use std::fs;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::Once;

fn folder(name: &str) -> Option<PathBuf> {
    static ONCE: Once = Once::new();
    let folder = std::env::var_os("PORTOLAN_CORPUS").map(|corpus| Path::new(&corpus).join(name));
    if folder.is_none() {
        // Writes directly to standard error: the test harness hides the output of a test that passes.
        ONCE.call_once(|| {
            drop(writeln!(stderr(), "PORTOLAN_CORPUS is not set: the tests with its descriptions are skipped"))
        });
    }
    folder
}

/// One row of the manifest and its text.
pub(crate) struct Case {
    pub(crate) file: String,
    expect: String,
    /// The deviations that an independent checker of RFC 8866 reports, in the words of the checker.
    deviations: Vec<String>,
    pub(crate) text: Vec<u8>,
}

impl Case {
    /// Returns whether the source of the description accepts it.
    pub(crate) fn is_accepted(&self) -> bool {
        self.expect == "accept"
    }
}

pub(crate) fn cases() -> Option<Vec<Case>> {
    let folder = folder("sdp")?;
    let table = fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let case = |row: &str| {
        let columns: Vec<&str> = row.split('\t').collect();
        let deviations = columns[4].split(',').filter(|word| *word != "ok").map(str::to_owned).collect();
        let text = fs::read(folder.join(columns[0])).unwrap();
        Case { file: columns[0].to_owned(), expect: columns[2].to_owned(), deviations, text }
    };
    let cases: Vec<Case> = table.lines().skip(1).map(case).collect();
    assert!(cases.len() >= 531, "the corpus has only {} descriptions", cases.len());
    Some(cases)
}

/// Descriptions that their authors and the checker accept, but RFC 8866 does not allow.
/// `docs/decisions/sdp-corpus.md` has the reason for each.
const AGAINST_THE_RFC: &[(&str, &str)] = &[
    (
        "pion-sdp/unmarshal_test-L387-TestUnmarshalNonNilAddress.sdp",
        "line 2, column 16: o= expected an IPv4 address or a domain name, found '0' (RFC 8866 §5.2)",
    ),
    (
        "pion-sdp/unmarshal_test-L398-TestUnmarshalZeroValues.sdp",
        "line 2, column 16: o= expected an IPv4 address or a domain name, found '0' (RFC 8866 §5.2)",
    ),
    (
        "pion-sdp/unmarshal_test-L610-TestUnmarshal_DelegatesToUnmarshalString.sdp",
        "line 2, column 16: o= expected an IPv4 address or a domain name, found '0' (RFC 8866 §5.2)",
    ),
    (
        "pion-sdp/unmarshal_test-L89-TimeZonesSDP.sdp",
        "line 5, column 14: r= expected a duration such as 1h, found '-' (RFC 8866 §5.10)",
    ),
    (
        "pion-sdp/unmarshal_test-L92-TimeZonesSDPExpected.sdp",
        "line 5, column 14: r= expected a duration such as 1h, found '-' (RFC 8866 §5.10)",
    ),
    ("pion-sdp/unmarshal_test-L95-TimeZonesSDP2.sdp", "line 5, column 1: z= is out of order after t= (RFC 8866 §9)"),
    ("sdp-transform/alac.sdp", "line 2, column 34: o= expected the end of the value, found ':' (RFC 8866 §5.2)"),
    (
        "sdp-types/attributes-L2182-sdp.sdp",
        "line 6, column 21: c= expected / and a time to live: the address is multicast, found the end (RFC 8866 §5.7)",
    ),
    ("sdp-types/crypto.sdp", "line 7, column 22: c= expected the end of the value, found '/' (RFC 8866 §5.7)"),
];

/// Returns whether a rule corresponds to a word of the checker.
fn is_named(word: &str, diagnostic: &Diagnostic, text: &[u8]) -> bool {
    let (head, rest) = word.split_once(':').unwrap_or((word, ""));
    let kind = |letter: &str| Kind::of(&[letter.as_bytes()[0], b'=']);
    match (head, diagnostic.rule) {
        ("empty-s", rule) => rule == Rule::Empty(Kind::Name),
        ("no-final-eol", rule) => rule == Rule::NoFinalEnding,
        ("blank-line", rule) => rule == Rule::Blank,
        ("nul", rule) => rule == Rule::Nul,
        ("no-v" | "no-v0-first", rule) => rule == Rule::VersionNotFirst,
        ("order", Rule::OutOfOrder { kind: found, .. } | Rule::Repeated(found)) => found == kind(rest),
        ("order", _) => false,
        // A stray line: the checker's word contains its beginning, up to the first space.
        ("bad-line", Rule::NoLetter | Rule::UnknownKind(_)) => {
            let line = &text[diagnostic.span.start..];
            line.starts_with(rest.as_bytes()) || rest.trim().is_empty()
        }
        ("bad-line", _) => false,
        ("port>65535", rule) => matches!(rule, Rule::Value { kind: Kind::Media, .. }),
        (word, rule) => {
            if let Some(letter) = word.strip_prefix("no-") {
                return rule == Rule::Missing(kind(letter));
            }
            if let Some(letter) = word.strip_prefix("bad-type-") {
                let kind = kind(letter);
                return rule == Rule::UnknownKind(kind) || rule == Rule::NotInMedia(kind);
            }
            let letter = word.strip_prefix("bad-").unwrap_or_else(|| panic!("unknown word {word}"));
            matches!(rule, Rule::Value { kind: found, .. } if found == kind(letter))
        }
    }
}

/// Reads a text in both modes, and checks the invariants of every text.
fn read<'t>(file: &str, text: &'t [u8]) -> (Result<Session<'t>, Diagnostic>, Vec<Diagnostic>) {
    let all = Limits { diagnostics: 10_000, ..Limits::default() };
    let lenient = Reader::lenient().with_limits(all).read(text);
    let strict = Reader::strict().read(text).map(|reading| reading.session);
    if let Err(refused) = &strict {
        assert_position(text, refused);
    }
    let reading = match lenient {
        Ok(reading) => reading,
        Err(refused) => {
            assert_position(text, &refused);
            return (strict, vec![refused]);
        }
    };
    // Repeated writing and reading keeps the bytes and the lines, for borrowed and for owned sessions.
    let mut session = reading.session.clone().into_owned();
    for _ in 0..3 {
        let bytes = session.to_bytes();
        assert_eq!(bytes, text, "{file}");
        let again = Session::read(&bytes).unwrap().into_owned();
        assert!(again.lines().eq(session.lines()), "{file}");
        session = again;
    }
    // The bytes are also the same after each line was written again.
    for index in 0..session.line_count() {
        let value = session.line(index).unwrap().value().to_vec();
        // A value with NUL cannot be written.
        if !value.contains(&0) {
            session.set_value(index, &value).unwrap();
        }
    }
    assert_eq!(session.to_bytes(), text, "{file}, written line by line");
    reading.diagnostics.iter().for_each(|diagnostic| assert_position(text, diagnostic));
    let first = reading.diagnostics.iter().find(|diagnostic| diagnostic.rule.severity() >= Severity::Deviation);
    assert_eq!(strict.as_ref().err(), first, "{file}: strict reading stops at the first deviation only");
    (strict, reading.diagnostics)
}

#[test]
fn every_description_has_the_expected_result() {
    let Some(cases) = cases() else { return };
    let mut against = Vec::new();
    for Case { file, expect, deviations, text } in &cases {
        let (strict, diagnostics) = read(file, text);
        if expect == "any" {
            continue;
        }
        let is_read = !diagnostics.iter().any(|diagnostic| diagnostic.rule.severity() == Severity::Fatal);
        assert!(is_read || expect == "reject", "{file}: {diagnostics:?}");
        // The lenient reader reports each deviation of the checker.
        for word in deviations {
            assert!(
                diagnostics.iter().any(|diagnostic| is_named(word, diagnostic, text)),
                "{file}: no {word} in {diagnostics:#?}"
            );
        }
        match &strict {
            Ok(_) => assert!(deviations.is_empty(), "{file}: the strict reader accepts {deviations:?}"),
            // The strict reader stops at one of the reported deviations.
            Err(refused) if deviations.iter().any(|word| is_named(word, refused, text)) => {}
            // The checker does not check this value, but the authors of the test refuse it.
            Err(refused) if expect == "reject" && matches!(refused.rule, Rule::Value { .. }) => {}
            Err(refused) => against.push((file.as_str(), refused.to_string())),
        }
    }
    let against: Vec<(&str, &str)> = against.iter().map(|(file, refused)| (*file, refused.as_str())).collect();
    assert_eq!(against, AGAINST_THE_RFC);
}

/// Descriptions with valid syntax that their authors refuse for another reason.
const SEMANTIC_ERRORS: &[&str] = &[
    // Two `a=msid` of one section with different tracks.
    "libwebrtc-unittest/webrtc_sdp_unittest-L4090-sdp.sdp",
    // Audio and video over SCTP, and over an unknown protocol.
    "libwebrtc-unittest/webrtc_sdp_unittest-L4853-WebRtcSdpTest.MediaTypeProtocolMismatch.sdp",
    "libwebrtc-unittest/webrtc_sdp_unittest-L4855-WebRtcSdpTest.MediaTypeProtocolMismatch.sdp",
    "libwebrtc-unittest/webrtc_sdp_unittest-L4857-WebRtcSdpTest.MediaTypeProtocolMismatch.sdp",
    // 512 channels.
    "libwebrtc-unittest/webrtc_sdp_unittest-L4885-sdp.sdp",
    // One payload type with two codecs, for audio and for video.
    "libwebrtc-unittest/webrtc_sdp_unittest-L4897-sdp.sdp",
    "libwebrtc-unittest/webrtc_sdp_unittest-L4910-sdp.sdp",
    // One source twice in a group.
    "libwebrtc-unittest/webrtc_sdp_unittest-L5024-sdp.sdp",
    // A network type called INVALID, which is a token.
    "pion-sdp/unmarshal_test-L537-TestUnmarshalOriginInvalidFields.sdp",
];

#[test]
fn invalid_values_are_reported_when_they_are_parsed() {
    let Some(cases) = cases() else { return };
    let mut well_formed = Vec::new();
    for Case { file, text, .. } in cases.iter().filter(|case| case.expect == "reject" && case.deviations.is_empty()) {
        let Ok(reading) = Reader::strict().read(text) else { continue };
        let refused = reading.session.lines().find_map(|line| line.typed().and_then(Result::err));
        match refused {
            Some(error) => {
                let line = reading.session.line(error.line - 1).unwrap();
                assert!((3..=line.text().len() + 1).contains(&error.column), "{file}: {error}");
            }
            None => well_formed.push(file.as_str()),
        }
    }
    assert_eq!(well_formed, SEMANTIC_ERRORS);
}

#[test]
fn descriptions_of_browsers_are_read_strictly() {
    let Some(folder) = folder("browser") else { return };
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sdp") {
            let text = fs::read(&path).unwrap();
            let file = path.display().to_string();
            let (strict, diagnostics) = read(&file, &text);
            let session = strict.unwrap_or_else(|refused| panic!("{file}: {refused}"));
            assert!(session.media_count() > 0 && diagnostics.is_empty(), "{file}: {diagnostics:?}");
            count += 1;
        }
    }
    assert!(count >= 48, "the corpus has only {count} descriptions");
}
