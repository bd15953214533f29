//! A lenient reader reads any prefix of a description or returns an error. It does not panic and keeps every byte.

use crate::vectors::VALID;
use portolan_sdp::diagnostic::{Rule, Severity};
use portolan_sdp::{Reader, Session};
use proptest::prelude::*;

#[test]
fn every_prefix_is_read_or_returns_an_error() {
    for text in VALID {
        for end in 0..=text.len() {
            let prefix = &text.as_bytes()[..end];
            match Reader::lenient().read(prefix) {
                Ok(reading) => {
                    assert_eq!(reading.session.to_bytes(), prefix);
                    assert!(end >= 2, "a description has at least two bytes");
                    let is_unended =
                        reading.diagnostics.iter().any(|diagnostic| diagnostic.rule == Rule::NoFinalEnding);
                    // A prefix that ends between CR and LF ends with CR, which is a line ending too.
                    assert_eq!(is_unended, !matches!(prefix[end - 1], b'\r' | b'\n'), "{prefix:?}");
                }
                Err(refused) => assert_eq!((refused.rule, end < 2), (Rule::NotADescription, true)),
            }
        }
    }
}

/// Generates valid descriptions in which a few bytes are replaced, removed or inserted.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![prop::sample::select(&b"\r\n\0= :/vosctma"[..]), any::<u8>(),];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, byte), 0..6);
    (prop::sample::select(VALID), damage).prop_map(|(text, damage)| {
        let mut text = text.as_bytes().to_vec();
        for (at, operation, byte) in damage {
            let at = at.index(text.len());
            match operation {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => drop(text.remove(at)),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_lines_are_kept_and_reported(text in damaged()) {
        let lenient = Reader::lenient().read(&text);
        let strict = Reader::strict().read(&text);
        let Ok(lenient) = lenient else {
            prop_assert!(strict.is_err());
            return Ok(());
        };
        prop_assert_eq!(&lenient.session.to_bytes(), &text);
        prop_assert_eq!(&lenient.session.clone().into_owned().to_bytes(), &text);
        prop_assert!(lenient.diagnostics.is_sorted_by_key(|diagnostic| diagnostic.line));
        let deviations: Vec<_> =
            lenient.diagnostics.iter().filter(|diagnostic| diagnostic.rule.severity() == Severity::Deviation).copied().collect();
        match strict {
            Ok(reading) => prop_assert!(deviations.is_empty() && reading.session == lenient.session),
            Err(refused) => prop_assert_eq!(Some(&refused), deviations.first(), "strict reading stops at the first deviation"),
        }
        // Every value can be parsed; an error is in the line of its value.
        for line in lenient.session.lines() {
            if let Some(Err(error)) = line.typed() {
                prop_assert_eq!(error.line, line.index() + 1);
                prop_assert!(error.column >= 3 && error.column <= line.text().len() + 1, "{}", error);
            }
        }
        let again = lenient.session.to_bytes();
        prop_assert_eq!(Session::read(&again).unwrap(), lenient.session);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        for reader in [Reader::strict(), Reader::lenient()] {
            for read in [reader.read(&text), reader.read_fragment(&text)].into_iter().flatten() {
                prop_assert_eq!(read.session.to_bytes(), &text[..]);
            }
        }
    }
}
