//! Compares this crate with the `sdp-types` crate. Descriptions that both crates accept have the same meaning. When
//! `sdp-types` refuses a description, this crate reports a deviation.

use crate::{corpus, prefix, vectors};
use portolan_sdp::diagnostic::{Diagnostic, Rule, Severity};
use portolan_sdp::line::Kind;
use portolan_sdp::sdp_types::ConvertError;
use portolan_sdp::{EditError, Limits, Reader, Session};
use proptest::prelude::*;
use sdp_types::ParserError;

/// The result of the comparison of the two crates for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Both crates accept the text, with the same meaning.
    Same,
    /// `sdp-types` refuses the text, and this crate reports a deviation.
    RefusedByReference,
    /// `sdp-types` accepts the text, but this crate reports a value that violates RFC 8866.
    RefusedByThisCrate,
}

/// Reads a text with both crates. Only the differences that are listed here are allowed.
fn compare(text: &[u8]) -> Result<Outcome, String> {
    let reference = sdp_types::Session::parse(text);
    let limits = Limits { diagnostics: usize::MAX, ..Limits::default() };
    let reading = match Reader::lenient().with_limits(limits).read(text) {
        Ok(reading) => reading,
        // This crate refuses only a text without any line of a description. `sdp-types` refuses such a text too.
        Err(refused) => {
            return outcome(
                refused.rule == Rule::NotADescription && reference.is_err(),
                Outcome::RefusedByReference,
                &refused,
            );
        }
    };
    let diagnostics = &reading.diagnostics;
    match reference {
        Err(error) => {
            outcome(is_named(&error, diagnostics, &reading.session), Outcome::RefusedByReference, &(error, diagnostics))
        }
        Ok(reference) => match sdp_types::Session::try_from(&normalized(reading.session, &reference)?) {
            Ok(converted) if converted == reference => {
                check_round_trip(&reference)?;
                Ok(Outcome::Same)
            }
            Ok(converted) => Err(format!("{converted:#?}\nis not the reference: {reference:#?}")),
            Err(ConvertError::Value(error)) => {
                let is_reported = diagnostics.iter().any(
                    |diagnostic| matches!(diagnostic.rule, Rule::Value { error: found, .. } if found == error.error),
                );
                outcome(is_reported, Outcome::RefusedByThisCrate, &error)
            }
            Err(error) => Err(format!("{error}: {diagnostics:?}")),
        },
    }
}

fn outcome(is_expected: bool, outcome: Outcome, reason: &dyn core::fmt::Debug) -> Result<Outcome, String> {
    if is_expected { Ok(outcome) } else { Err(format!("{reason:?}")) }
}

/// Removes the lines that `sdp-types` ignores: unknown kinds, lines of the session in a media section, and a second
/// `v=`. Adds the default origin of `sdp-types` if there is no origin.
fn normalized<'a>(mut session: Session<'a>, reference: &sdp_types::Session) -> Result<Session<'a>, String> {
    let version = session.lines().position(|line| line.kind() == Kind::Version).ok_or("no version")?;
    for index in (0..session.line_count()).rev() {
        let line = session.line(index).ok_or("a line")?;
        let in_media = session.media(0).is_some_and(|first| index >= first.range().start);
        let is_ignored = match line.kind() {
            Kind::Unknown(_) => true,
            Kind::Stray => line.text().is_empty(),
            Kind::Version => index > version,
            Kind::Origin
            | Kind::Name
            | Kind::Uri
            | Kind::Email
            | Kind::Phone
            | Kind::Time
            | Kind::Repeat
            | Kind::Zone => in_media,
            Kind::Information | Kind::Connection | Kind::Bandwidth | Kind::Key | Kind::Attribute | Kind::Media => false,
        };
        if is_ignored {
            session.remove(index).map_err(|error| error.to_string())?;
        }
    }
    if session.top().line(Kind::Origin).is_none() {
        assert_eq!(reference.origin, sdp_types::Origin::with_ip_addr("0", 0, core::net::Ipv4Addr::UNSPECIFIED));
        session.insert(1, Kind::Origin, b"- 0 0 IN IP4 0.0.0.0").map_err(|error| error.to_string())?;
    }
    Ok(session)
}

/// Checks that the text which this crate writes for a model is read by `sdp-types` as the same model.
fn check_round_trip(reference: &sdp_types::Session) -> Result<(), String> {
    let written = Session::try_from(reference).map_err(|error| error.to_string())?.to_bytes();
    let again = sdp_types::Session::parse(&written).map_err(|error| error.to_string())?;
    if again == *reference { Ok(()) } else { Err(format!("{again:#?}\nis not {reference:#?}")) }
}

/// Returns whether this crate reports a deviation where `sdp-types` fails: in the same line, or for the missing line.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other variants are deprecated and never reported")]
fn is_named(error: &ParserError, diagnostics: &[Diagnostic], session: &Session<'_>) -> bool {
    let deviates = |line: usize| {
        diagnostics
            .iter()
            .any(|diagnostic| diagnostic.line == line && diagnostic.rule.severity() >= Severity::Deviation)
    };
    match error {
        // `sdp-types` expects the version in the first line.
        ParserError::NoVersion => diagnostics
            .iter()
            .any(|diagnostic| matches!(diagnostic.rule, Rule::VersionNotFirst | Rule::UnknownKind(_) | Rule::NoLetter)),
        // The texts of the model are UTF-8. A line of this crate can contain any bytes.
        ParserError::InvalidFieldEncoding(line, _) => {
            deviates(*line) || session.line(line - 1).is_some_and(|line| core::str::from_utf8(line.value()).is_err())
        }
        ParserError::InvalidLineFormat(line, _) | ParserError::InvalidFieldFormat(line, _) => deviates(*line),
        ParserError::MissingField(line, _) | ParserError::FieldTrailingData(line, _) => deviates(*line),
        ParserError::InvalidVersion(line, _) => deviates(*line),
        ParserError::MultipleVersions(line) | ParserError::MultipleOrigins(line) => deviates(*line),
        ParserError::MultipleSessionNames(line) | ParserError::MultipleSessionDescription(line) => deviates(*line),
        ParserError::MultipleUris(line) | ParserError::MultipleConnections(line) => deviates(*line),
        ParserError::MultipleMediaTitles(line) | ParserError::MultipleKeys(line) => deviates(*line),
        ParserError::MultipleTimeZones(line) | ParserError::RepeatWithoutTime(line) => deviates(*line),
        other => panic!("unexpected error: {other}"),
    }
}

#[test]
fn valid_descriptions_have_the_same_meaning() {
    for text in vectors::VALID {
        assert_eq!(compare(text.as_bytes()), Ok(Outcome::Same), "{text}");
    }
}

#[test]
fn descriptions_of_the_corpus_have_the_same_meaning() {
    let Some(cases) = corpus::cases() else { return };
    let (mut same, mut refused) = (0, 0);
    for case in &cases {
        match compare(&case.text).unwrap_or_else(|why| panic!("{}: {why}", case.file)) {
            Outcome::Same => same += 1,
            Outcome::RefusedByReference => {}
            Outcome::RefusedByThisCrate => refused += 1,
        }
    }
    assert!(same >= 472 && refused <= 10, "{same} of {} are the same, {refused} have invalid values", cases.len());
}

#[test]
fn bytes_that_break_a_line_are_refused() {
    let mut model = sdp_types::Session::parse(vectors::VALID[0].as_bytes()).unwrap();
    model.session_name = "two\r\nlines".to_owned();
    assert_eq!(Session::try_from(&model).unwrap_err(), EditError::ForbiddenByte { at: 3, byte: b'\r' });
}

#[test]
fn lines_without_a_place_in_the_model_are_refused() {
    let refused = |lines: &str| {
        let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{lines}");
        sdp_types::Session::try_from(&Session::read(text.as_bytes()).unwrap()).unwrap_err()
    };
    assert_eq!(refused("\r\n"), ConvertError::NoPlace { line: 5, kind: Kind::Stray });
    assert_eq!(refused("s=again\r\n"), ConvertError::NoPlace { line: 5, kind: Kind::Name });
    assert_eq!(refused("m=audio 9/70000 RTP/AVP 0\r\n"), ConvertError::TooLarge { line: 5 });
    assert_eq!(refused("m=audio 9 RTP/AVP 0\r\nt=0 0\r\n"), ConvertError::NoPlace { line: 6, kind: Kind::Time });
    assert!(matches!(refused("c=IN IP4 224.2.1.1\r\n"), ConvertError::Value(error) if error.line == 5));
    let latin = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=caf\xe9\r\nt=0 0\r\n").unwrap();
    assert_eq!(sdp_types::Session::try_from(&latin), Err(ConvertError::NotUtf8 { line: 3, column: 6 }));
    let nameless = Session::read(b"v=0\r\ns=-\r\nt=0 0\r\n").unwrap();
    assert_eq!(sdp_types::Session::try_from(&nameless), Err(ConvertError::NoOrigin));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_descriptions_have_the_same_meaning(text in prefix::damaged()) {
        let outcome = compare(&text);
        prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}
