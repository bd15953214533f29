//! Explains every line of the corpus, and compares each description with itself.

use crate::field;
use portolan_sdp::explain::{LineValue, explain};
use portolan_sdp::{Attribute, Session, diff::diff};

#[test]
fn every_line_of_the_corpus_has_an_explanation() {
    let mut lines = 0;
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let items: Vec<_> = explain(&session).collect();
        assert_eq!(items.len(), session.line_count());
        for (item, line) in items.iter().zip(session.lines()) {
            assert_eq!(item.line, line);
            let (meaning, text) = (item.meaning().to_string(), item.to_string());
            let context = format!("{}: {line}: {meaning}", path.display());
            assert!(!meaning.is_empty() && !meaning.contains(char::is_control), "{context}");
            assert!(
                text.lines().count() <= 3 && text.ends_with(&format!("{meaning} ({})", item.clause())),
                "{context}"
            );
            let has_none = matches!(item.value, Ok(LineValue::Attribute(Attribute::Other { .. })));
            assert_eq!(meaning.contains("has no explanation"), has_none, "{context}");
            lines += 1;
        }
        let media = items.iter().filter_map(|item| item.media).max().map_or(0, |last| last + 1);
        assert_eq!(media, session.media_count(), "{}", path.display());
        assert_eq!(diff(&session, &session), [], "{}", path.display());
    }
    assert!(lines > 10_000 || field::folder().is_none(), "only {lines} lines");
}
