//! Properties of sessions, with random descriptions that are valid or nearly valid.

use portolan_sdp::candidate::Candidate;
use portolan_sdp::diagnostic::{Rule, Severity};
use portolan_sdp::{Attribute, Reader, Session, ValueError};
use portolan_strategies::{candidates, sessions};
use proptest::prelude::*;

/// Parses all typed values. Returns the number of valid values.
fn read_all(session: &Session<'_>) -> usize {
    session.lines().filter(|line| line.typed().is_some_and(|read| read.is_ok())).count()
}

/// Parses an attribute from its text.
fn parse_attribute(text: &str) -> Result<Attribute<'_>, ValueError> {
    let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
    Attribute::parse(name.as_bytes(), value.map(str::as_bytes))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_session_has_no_deviation_and_keeps_its_bytes(text in sessions::session()) {
        let reading = Reader::lenient().read(&text).unwrap();
        let deviations = reading.diagnostics.iter().filter(|diagnostic| diagnostic.rule.severity() >= Severity::Deviation).count();
        prop_assert_eq!((deviations, reading.unreported), (0, 0));
        prop_assert_eq!(reading.session.to_bytes(), text);
    }

    #[test]
    fn repeated_writing_and_reading_changes_nothing(
        text in sessions::nearly_valid(sessions::session()),
        passes in 1..5_usize,
    ) {
        let Ok(first) = Reader::lenient().read(&text) else { return Ok(()) };
        let mut bytes = first.session.to_bytes();
        for _ in 0..passes {
            let next = Reader::lenient().read(&bytes).unwrap();
            prop_assert_eq!(&next.diagnostics, &first.diagnostics);
            let written = next.session.to_bytes();
            prop_assert_eq!(&written, &text);
            bytes = written;
        }
    }

    #[test]
    fn every_prefix_is_read_or_refused_as_not_a_description(text in sessions::session(), end in any::<prop::sample::Index>()) {
        let prefix = &text[..end.index(text.len() + 1)];
        match Reader::lenient().read(prefix) {
            Ok(reading) => prop_assert_eq!(reading.session.to_bytes(), prefix),
            Err(refused) => prop_assert!(prefix.len() < 2 && refused.rule == Rule::NotADescription, "{}", refused),
        }
    }

    #[test]
    fn a_prefix_of_whole_lines_reads_the_same_lines(text in sessions::session(), lines in any::<prop::sample::Index>()) {
        let whole = Session::read(&text).unwrap();
        let count = lines.index(whole.line_count()) + 1;
        let end: usize = whole.lines().take(count).map(|line| line.text().len() + line.ending().len()).sum();
        let prefix = Session::read(&text[..end]).unwrap();
        prop_assert!(prefix.lines().eq(whole.lines().take(count)));
    }

    #[test]
    fn typed_values_never_panic_and_round_trip(text in sessions::nearly_valid(sessions::session())) {
        let Ok(session) = Session::read(&text) else { return Ok(()) };
        prop_assert!(read_all(&session) <= session.line_count());
        for line in session.lines().filter(|line| line.text().is_ascii()) {
            if let Some(Ok(attribute)) = line.typed() {
                let text = attribute.to_string();
                prop_assert!(parse_attribute(&text) == Ok(attribute), "{text:?} was written for {attribute:?}");
                prop_assert_eq!(parse_attribute(&text).map(|again| again.to_string()), Ok(text.clone()));
            }
        }
    }

    #[test]
    fn candidates_never_panic_and_strict_parsing_refuses_deviations(text in candidates::nearly_valid()) {
        let parsed = Candidate::trickled(&text);
        if let Ok((prefix, candidate)) = parsed {
            let again = candidate.to_string();
            prop_assert_eq!(Candidate::trickled(again.as_bytes()).map(|(_, again)| again), Ok(candidate), "{:?}", prefix);
            let is_strict = candidate.deviations().next().is_none();
            prop_assert_eq!(Candidate::strict(again.as_bytes()).is_ok(), is_strict);
        }
    }
}
