//! Explains every line of the corpus, and compares each description with itself, which finds no change.

use crate::field;
use portolan_sdp::explain::{LineValue, explain};
use portolan_sdp::{Attribute, Session, diff::diff};

#[test]
fn every_line_of_the_corpus_has_a_text_and_every_type_has_its_text() {
    let mut counted = 0;
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let items: Vec<_> = explain(&session).collect();
        assert_eq!(items.len(), session.line_count());
        for (item, line) in items.iter().zip(session.lines()) {
            assert_eq!(item.line, line);
            let (words, whole) = (item.meaning().to_string(), item.to_string());
            let context = format!("{}: {line}: {words}", path.display());
            assert!(!words.is_empty() && !words.contains(char::is_control), "{context}");
            assert!(
                whole.lines().count() <= 3 && whole.ends_with(&format!("{words} ({})", item.clause())),
                "{context}"
            );
            let has_none = matches!(item.says, Ok(LineValue::Attribute(Attribute::Other { .. })));
            assert_eq!(words.contains("has no explanation"), has_none, "{context}");
            counted += 1;
        }
        let media = items.iter().filter_map(|item| item.media).max().map_or(0, |last| last + 1);
        assert_eq!(media, session.media_count(), "{}", path.display());
        assert_eq!(diff(&session, &session), [], "{}", path.display());
    }
    assert!(counted > 10_000 || field::folder().is_none(), "only {counted} lines");
}
