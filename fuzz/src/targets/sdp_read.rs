//! `Reader` beside a reading that keeps its lines in a list: every byte in one line, both readings of one mind, nothing told
//! that does not lie inside, and no limit passed.

use crate::SEEDED;
use portolan_sdp::diagnostic::{Rule, Severity};
use portolan_sdp::line::{Ending, Kind};
use portolan_sdp::{Limits, Reader, Reading, Session};
use std::fmt::Write as _;

/// Reads in all ways; says whether it was a description.
pub fn run(bytes: &[u8]) -> bool {
    let list = list(bytes);
    few(bytes, &list);
    let strict = Reader::strict().read(bytes);
    let reading = match Reader::lenient().read(bytes) {
        Ok(reading) => reading,
        Err(refused) => {
            assert_eq!(refused.rule, Rule::NotADescription, "{refused}");
            assert!(strict.is_err(), "a strict reader takes it");
            return false;
        }
    };
    let first = reading.diagnostics.iter().find(|told| told.rule.severity() >= Severity::Deviation);
    match (&strict, first) {
        (Ok(strict), None) => assert_eq!(*strict, reading, "the strict reading is another"),
        (Err(refused), Some(first)) => assert_eq!(refused, first, "not the first deviation"),
        (Err(_), None) => assert!(reading.unreported > 0, "{strict:?} alone"),
        (Ok(_), Some(first)) => panic!("a strict reader takes it: {first}"),
    }
    told(&reading, bytes);
    lines(&reading.session, bytes, &list);
    sections(&reading.session);
    owned(reading.session, bytes);
    true
}

/// Everything that is told lies inside, in order, and can be said.
fn told(reading: &Reading<'_>, bytes: &[u8]) {
    let (mut before, mut text) = (0, String::new());
    for told in &reading.diagnostics {
        assert!(told.span.start <= told.span.end && told.span.end <= bytes.len(), "{told}");
        assert!(told.column >= 1 && told.line >= 1 && told.line <= reading.session.line_count() + 1, "{told}");
        if let Some(line) = reading.session.line(told.line - 1) {
            let span = line.span().expect("it was read");
            assert!(told.column <= line.text().len() + 2, "{told}");
            let is_there = told.span.start >= span.start && told.span.end <= span.end + 2;
            assert!(is_there, "{told} is told of {span:?}");
        }
        // What a section lacks is told of the line where it should have stood.
        before = before.max(told.line);
        text.clear();
        write!(text, "{told}").expect("a text takes all");
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(!told.rule.name().is_empty() && !told.rule.hint().is_empty());
    }
    assert!(reading.diagnostics.len() <= Limits::default().diagnostics);
    assert!(reading.unreported == 0 || reading.diagnostics.len() == Limits::default().diagnostics);
}

/// The lines are those of the list, and hold every byte.
fn lines(session: &Session<'_>, bytes: &[u8], expected: &[(&[u8], &'static [u8])]) {
    assert_eq!(session.line_count(), expected.len());
    let (mut at, mut shown) = (0, String::new());
    for (line, (text, ending)) in session.lines().zip(expected) {
        assert_eq!((line.text(), line.ending().as_bytes()), (*text, *ending));
        assert_eq!(line.span().map(|span| span.start), Some(at));
        assert_eq!(line.kind() == Kind::Attribute, text.starts_with(b"a="));
        if let Some((name, value)) = line.attribute() {
            let after = text.strip_prefix(b"a=").and_then(|rest| rest.strip_prefix(name));
            let colon = if value.is_some() { &b":"[..] } else { b"" };
            assert_eq!(after.and_then(|rest| rest.strip_prefix(colon)), Some(value.unwrap_or_default()));
            assert!(!name.contains(&b':'));
        }
        at += text.len() + ending.len();
        shown.clear();
        write!(shown, "{line}").expect("a text takes all");
        assert_eq!(shown, String::from_utf8_lossy(text));
    }
    assert_eq!(at, bytes.len(), "bytes are left out");
    assert_eq!(session.lines().rev().count(), expected.len());
}

/// The sections share the lines out, one after another.
fn sections(session: &Session<'_>) {
    let mut at = session.top().range().end;
    assert_eq!(session.top().range().start, 0);
    assert!(session.top().lines().all(|line| line.kind() != Kind::Media));
    for (nth, media) in session.all_media().enumerate() {
        assert_eq!((media.range().start, media.media_index()), (at, Some(nth)));
        assert!(media.lines().enumerate().all(|(nth, line)| (line.kind() == Kind::Media) == (nth == 0)));
        at = media.range().end;
    }
    assert_eq!(at, session.line_count());
}

/// The owned form, and what is written of both.
fn owned(session: Session<'_>, bytes: &[u8]) {
    assert_eq!(written(&session), bytes, "other bytes are written");
    assert_eq!(session.to_string(), String::from_utf8_lossy(bytes));
    let owned = session.clone().into_owned();
    assert_eq!(owned, session);
    assert_eq!(owned.to_bytes(), bytes);
}

/// What a session writes; in a seeded build one byte is lost of an empty line between a lone CR and a `r=`, in a description of
/// two media sections of which the last does not end its line.
fn written(session: &Session<'_>) -> Vec<u8> {
    let mut out = session.to_bytes();
    if SEEDED && session.media_count() == 2 && !out.ends_with(b"\n") {
        let place = out.windows(5).position(|window| window == b"\r\r\nr=");
        place.map(|at| out.remove(at));
    }
    out
}

/// A reader of small limits keeps to them, whatever comes.
fn few(bytes: &[u8], list: &[(&[u8], &'static [u8])]) {
    let limits = Limits { bytes: 256, lines: 12, attributes: 4, media: 2, diagnostics: 3 };
    let reading = Reader::lenient().with_limits(limits).read(bytes);
    let is_over = bytes.len() > limits.bytes || list.len() > limits.lines;
    match reading {
        Ok(reading) => {
            assert!(!is_over && reading.diagnostics.len() <= 3 && reading.session.media_count() <= 2);
            let most = reading.session.all_media().chain([reading.session.top()]);
            let most = most.map(|section| section.lines_of(Kind::Attribute).count()).max();
            assert!(most <= Some(4));
        }
        Err(refused) => match refused.rule {
            Rule::Limit { .. } => {}
            Rule::NotADescription => assert!(!is_over),
            _ => panic!("{refused}"),
        },
    }
}

/// The lines by the book: CR LF, LF, CR, or the end.
fn list(bytes: &[u8]) -> Vec<(&[u8], &'static [u8])> {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let at = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let (text, after) = rest.split_at(at);
        let ending = match after {
            [b'\r', b'\n', ..] => Ending::CrLf,
            [b'\r', ..] => Ending::Cr,
            [b'\n', ..] => Ending::Lf,
            _ => Ending::End,
        };
        lines.push((text, ending.as_bytes()));
        rest = &after[ending.len()..];
    }
    lines
}
