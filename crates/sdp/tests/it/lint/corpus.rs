//! The rules over the corpus: browsers of today break none, and each finding in another accepted file is listed.

use crate::corpus::cases;
use crate::field;
use alloc::collections::BTreeMap;
use portolan_sdp::diagnostic::Severity;
use portolan_sdp::lint::{Finding, Rule, lint};
use portolan_sdp::{Reader, Session};

fn session(text: &[u8]) -> Option<Session<'_>> {
    Some(Reader::lenient().read(text).ok()?.session)
}

#[test]
fn no_rule_fires_on_a_browser_of_today() {
    let browser = |path: &std::path::Path| path.components().any(|part| part.as_os_str() == "browser");
    let mut looked_at = 0;
    for (path, text) in field::descriptions().iter().filter(|(path, _)| browser(path)) {
        let session = session(text).unwrap();
        let findings: Vec<String> = lint(&session).iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{}: {findings:#?}", path.display());
        looked_at += 1;
    }
    assert!(looked_at > 40 || field::folder().is_none(), "{looked_at} descriptions");
}

/// The number of findings of each rule in the descriptions that their sources accept, and in how many of them.
const ACCEPTED: &[(Rule, usize, usize)] = &[
    (Rule::RepeatedAttribute, 5, 3),
    (Rule::AttributeLevel, 25, 22),
    (Rule::SessionAddresses, 22, 22),
    (Rule::DuplicateFmtp, 18, 1),
    (Rule::RtpmapUnknownFormat, 6, 6),
    (Rule::FmtpUnknownFormat, 1, 1),
    (Rule::ImageattrUnknownFormat, 1, 1),
    (Rule::NoRtpmap, 69, 26),
    (Rule::FeedbackProfile, 3, 2),
    (Rule::ExtensionUriTwice, 2, 1),
    (Rule::RepeatedSimulcast, 1, 1),
    (Rule::NoCname, 12, 4),
    (Rule::GroupUnknownSource, 3, 3),
    (Rule::MsidTrackDiffers, 3, 3),
    (Rule::DuplicateMsid, 6, 4),
    (Rule::CandidateWithoutCredentials, 4, 4),
    (Rule::DefaultNotCandidate, 132, 52),
    (Rule::NoFingerprint, 34, 25),
    (Rule::NoSetup, 43, 31),
    (Rule::NoMid, 1, 1),
    (Rule::GroupUnknownMid, 13, 11),
    (Rule::GroupRemovedMedia, 6, 4),
    (Rule::BundleOnlyPort, 1, 1),
    (Rule::BundleParameters, 1, 1),
    (Rule::BundleExtensionId, 33, 2),
    (Rule::BundleExtensionUri, 17, 2),
    (Rule::BundleNoMidExtension, 358, 135),
    (Rule::BundleNoRtcpMux, 26, 17),
];

#[test]
fn each_finding_in_an_accepted_description_is_listed() {
    let Some(cases) = cases() else { return };
    let mut counts: BTreeMap<Rule, (usize, Vec<&str>)> = BTreeMap::new();
    let mut examples: BTreeMap<Rule, String> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.is_accepted()) {
        let Some(session) = session(&case.text) else { continue };
        for finding in lint(&session) {
            let (count, files) = counts.entry(finding.rule).or_default();
            *count += 1;
            if files.last() != Some(&case.file.as_str()) {
                files.push(&case.file);
                let all = examples.entry(finding.rule).or_default();
                all.push_str(&format!("  {}: {finding}\n", case.file));
            }
        }
    }
    let found: Vec<(Rule, usize, usize)> =
        counts.iter().map(|(rule, (count, files))| (*rule, *count, files.len())).collect();
    let listing: String = found
        .iter()
        .map(|(rule, count, files)| format!("    (Rule::{rule:?}, {count}, {files}),\n{}", examples[rule]))
        .collect();
    assert_eq!(found, ACCEPTED, "{listing}");
}

/// Each description, accepted or not: a finding has its place, and the list is in the order of lines.
#[test]
fn each_finding_is_in_its_line() {
    for (path, text) in field::descriptions() {
        let Some(session) = session(&text) else { continue };
        let findings = lint(&session);
        assert!(findings.is_sorted_by_key(|finding| (finding.line, finding.column)), "{}", path.display());
        for finding in &findings {
            check(&session, finding);
        }
        assert_eq!(findings, lint(&session));
    }
}

/// Checks the place of a finding.
pub(super) fn check(session: &Session<'_>, finding: &Finding<'_>) {
    let line = session.line(finding.line - 1).unwrap();
    assert!(line.text()[finding.column - 1..].starts_with(finding.text), "{finding}");
    assert!(!finding.text.is_empty(), "{finding}");
    assert!(finding.other.is_none_or(|other| other != finding.line), "{finding}");
    assert!(finding.severity() >= Severity::Warning, "{finding}");
    let section = finding.media.map_or(session.top(), |media| session.media(media).unwrap());
    // The `c=` of the session may be reported for a section that uses it.
    let is_here = section.range().contains(&(finding.line - 1)) || finding.rule == Rule::BundleAddressType;
    assert!(is_here, "{finding}");
}
