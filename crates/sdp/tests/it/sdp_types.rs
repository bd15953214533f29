//! The `sdp-types` crate as a reference: descriptions that both crates accept have the same meaning. Where one crate
//! refuses a description, the other reports a deviation.

use crate::{corpus, prefix, vectors};
use portolan_sdp::diagnostic::{Diagnostic, Rule, Severity};
use portolan_sdp::line::Kind;
use portolan_sdp::sdp_types::ConvertError;
use portolan_sdp::{EditError, Limits, Reader, Session};
use proptest::prelude::*;
use sdp_types::ParserError;

/// The result of comparing the two crates on a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Both accept it, with the same meaning.
    Same,
    /// `sdp-types` refuses it; this crate reports a deviation there.
    TheyRefuse,
    /// `sdp-types` accepts it, but a value violates RFC 8866; this crate reports that.
    WeRefuse,
}

/// Reads a text with both crates. Only the differences that are listed here are allowed.
fn compare(text: &[u8]) -> Result<Fate, String> {
    let theirs = sdp_types::Session::parse(text);
    let limits = Limits { diagnostics: usize::MAX, ..Limits::default() };
    let ours = match Reader::lenient().with_limits(limits).read(text) {
        Ok(reading) => reading,
        // This crate refuses only a text without any line of a description; `sdp-types` requires a version.
        Err(refused) => {
            return fate(refused.rule == Rule::NotADescription && theirs.is_err(), Fate::TheyRefuse, &refused);
        }
    };
    let diagnostics = &ours.diagnostics;
    match theirs {
        Err(error) => fate(is_named(&error, diagnostics, &ours.session), Fate::TheyRefuse, &(error, diagnostics)),
        Ok(theirs) => match sdp_types::Session::try_from(&placed(ours.session, &theirs)?) {
            Ok(converted) if converted == theirs => {
                there_and_back(&theirs)?;
                Ok(Fate::Same)
            }
            Ok(converted) => Err(format!("{converted:#?}\nis not theirs: {theirs:#?}")),
            Err(ConvertError::Value(error)) => {
                let is_reported = diagnostics.iter().any(
                    |diagnostic| matches!(diagnostic.rule, Rule::Value { error: found, .. } if found == error.error),
                );
                fate(is_reported, Fate::WeRefuse, &error)
            }
            Err(error) => Err(format!("{error}: {diagnostics:?}")),
        },
    }
}

fn fate(is_excused: bool, fate: Fate, why: &dyn core::fmt::Debug) -> Result<Fate, String> {
    if is_excused { Ok(fate) } else { Err(format!("{why:?}")) }
}

/// Removes what the model does not hold and `sdp-types` ignores: unknown kinds, lines of the session in a media
/// section, and a second `v=`. Adds the origin that `sdp-types` makes up.
fn placed<'a>(mut session: Session<'a>, theirs: &sdp_types::Session) -> Result<Session<'a>, String> {
    let version = session.lines().position(|line| line.kind() == Kind::Version).ok_or("no version")?;
    for index in (0..session.line_count()).rev() {
        let line = session.line(index).ok_or("a line")?;
        let in_media = session.media(0).is_some_and(|first| index >= first.range().start);
        let is_passed = match line.kind() {
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
        if is_passed {
            session.remove(index).map_err(|error| error.to_string())?;
        }
    }
    if session.top().line(Kind::Origin).is_none() {
        assert_eq!(theirs.origin, sdp_types::Origin::with_ip_addr("0", 0, core::net::Ipv4Addr::UNSPECIFIED));
        session.insert(1, Kind::Origin, b"- 0 0 IN IP4 0.0.0.0").map_err(|error| error.to_string())?;
    }
    Ok(session)
}

/// The model, written by this crate, is read by both crates as the same model.
fn there_and_back(theirs: &sdp_types::Session) -> Result<(), String> {
    let written = Session::try_from(theirs).map_err(|error| error.to_string())?.to_bytes();
    let again = sdp_types::Session::parse(&written).map_err(|error| error.to_string())?;
    if again == *theirs { Ok(()) } else { Err(format!("{again:#?}\nis not {theirs:#?}")) }
}

/// Returns whether this crate reports a deviation where `sdp-types` fails: in the same line, or for the missing line.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is left is deprecated, and never reported")]
fn is_named(error: &ParserError, diagnostics: &[Diagnostic], session: &Session<'_>) -> bool {
    let deviates = |line: usize| {
        diagnostics
            .iter()
            .any(|diagnostic| diagnostic.line == line && diagnostic.rule.severity() >= Severity::Deviation)
    };
    match error {
        // `sdp-types` expects it in the first line.
        ParserError::NoVersion => diagnostics
            .iter()
            .any(|diagnostic| matches!(diagnostic.rule, Rule::VersionNotFirst | Rule::UnknownKind(_) | Rule::NoLetter)),
        // The texts of the model are UTF-8; a line of this crate may hold any bytes.
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
        other => panic!("{other} is new"),
    }
}

#[test]
fn generated_descriptions_mean_the_same() {
    for text in vectors::VALID {
        assert_eq!(compare(text.as_bytes()), Ok(Fate::Same), "{text}");
    }
}

#[test]
fn descriptions_of_the_corpus_mean_the_same() {
    let Some(cases) = corpus::cases() else { return };
    let (mut same, mut refused) = (0, 0);
    for case in &cases {
        match compare(&case.text).unwrap_or_else(|why| panic!("{}: {why}", case.file)) {
            Fate::Same => same += 1,
            Fate::TheyRefuse => {}
            Fate::WeRefuse => refused += 1,
        }
    }
    assert!(
        same >= 472 && refused <= 10,
        "{same} of {} are the same, {refused} hold values that are none",
        cases.len()
    );
}

#[test]
fn bytes_that_break_a_line_are_refused() {
    let mut model = sdp_types::Session::parse(vectors::VALID[0].as_bytes()).unwrap();
    model.session_name = "two\r\nlines".to_owned();
    assert_eq!(Session::try_from(&model).unwrap_err(), EditError::Breaks { at: 3, byte: b'\r' });
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
    fn damaged_descriptions_mean_the_same(text in prefix::damaged()) {
        let fate = compare(&text);
        prop_assert!(fate.is_ok(), "{}", fate.unwrap_err());
    }
}
