//! Every typed value of a description: what is read is written so that it reads the same, and what is refused says where.

use crate::SEEDED;
use portolan_sdp::candidate::Candidate;
use portolan_sdp::line::{Kind, Line};
use portolan_sdp::value::{
    Bandwidth, Connection, Email, Information, Key, MediaLine, Origin, Phone, Repeat, SessionName, Timing, Uri,
    Version, Zone,
};
use portolan_sdp::{Attribute, Session, Value, ValueError};

/// Reads every line as what it should be; says whether one with a grammar of its own was right.
pub fn run(bytes: &[u8]) -> bool {
    let Ok(session) = Session::read(bytes) else { return false };
    session.lines().fold(false, |known, line| known | typed(&line))
}

/// How a value is shown to programmers, and how it is written.
type Shown = (String, String);

/// Reads a text as a value and shows it.
macro_rules! shown {
    ($value:ident) => {
        |text: &[u8]| $value::parse(text).map(|value| (format!("{value:?}"), value.to_string()))
    };
}

fn typed(line: &Line<'_>) -> bool {
    match line.kind() {
        Kind::Version => value(line, shown!(Version)),
        Kind::Origin => value(line, shown!(Origin)),
        Kind::Connection => value(line, shown!(Connection)),
        Kind::Bandwidth => value(line, shown!(Bandwidth)),
        Kind::Time => value(line, shown!(Timing)),
        Kind::Media => value(line, shown!(MediaLine)),
        Kind::Name => value(line, shown!(SessionName)),
        Kind::Information => value(line, shown!(Information)),
        Kind::Uri => value(line, shown!(Uri)),
        Kind::Email => value(line, shown!(Email)),
        Kind::Phone => value(line, shown!(Phone)),
        Kind::Repeat => value(line, shown!(Repeat)),
        Kind::Zone => value(line, shown!(Zone)),
        Kind::Key => value(line, shown!(Key)),
        Kind::Attribute => attribute(line),
        Kind::Unknown(_) | Kind::Stray => alone(line),
    }
}

/// A candidate that came alone: what is read is written so that it reads the same, owned too, and strictly if it was so.
fn alone(line: &Line<'_>) -> bool {
    let text = line.text();
    let (prefix, candidate) = match Candidate::trickled(text) {
        Ok(read) => read,
        Err(error) => {
            place(text, error);
            return false;
        }
    };
    let written = candidate.to_string();
    assert_eq!(Candidate::trickled(written.as_bytes()).map(|(_, again)| again), Ok(candidate), "{prefix:?}");
    assert_eq!(candidate.to_owned().borrowed(), candidate);
    assert_eq!(written.parse(), Ok(candidate.to_owned()));
    let is_strict = candidate.deviations().next().is_none();
    assert_eq!(Candidate::strict(written.as_bytes()).is_ok(), is_strict, "{candidate:?}");
    true
}

fn value(line: &Line<'_>, read: impl Fn(&[u8]) -> Result<Shown, ValueError>) -> bool {
    match read(line.value()) {
        Ok(shown) => {
            reads_again(line.value(), &shown, read);
            true
        }
        Err(error) => {
            place(line.value(), error);
            false
        }
    }
}

fn attribute(line: &Line<'_>) -> bool {
    let (name, bytes) = line.attribute().expect("it is one");
    let direct = Attribute::parse(name, bytes);
    assert_eq!(line.typed().map(|read| read.map_err(|told| told.error)), Some(direct));
    match direct {
        Ok(value) => {
            if std::str::from_utf8(line.value()).is_ok() {
                let text = value.to_string();
                let again = written(&text);
                let (name, bytes) = again.split_once(':').map_or((&*again, None), |(name, value)| (name, Some(value)));
                let again = Attribute::parse(name.as_bytes(), bytes.map(str::as_bytes));
                assert_eq!(again, Ok(value), "{text:?} was written for it");
                assert_eq!(again.map(|again| again.to_string()).as_ref(), Ok(&text));
            }
            value.clause().is_some()
        }
        Err(error) => {
            place(bytes.unwrap_or_default(), error);
            let told = line.typed().and_then(Result::err).expect("it is refused");
            assert_eq!((told.line, told.error), (line.index() + 1, error), "{told}");
            stands(line.text(), told.column - 1, error.found);
            false
        }
    }
}

/// What was written reads back as the same value, and is written the same. Bytes that are not UTF-8 are written for people.
fn reads_again(bytes: &[u8], shown: &Shown, read: impl Fn(&[u8]) -> Result<Shown, ValueError>) {
    if std::str::from_utf8(bytes).is_ok() {
        assert_eq!(read(shown.1.as_bytes()).as_ref(), Ok(shown));
    }
}

/// An attribute as it is written; in a seeded build a channel is left out where there is one of it.
fn written(text: &str) -> String {
    let shorter = text.strip_suffix("/1").filter(|_| SEEDED && text.starts_with("rtpmap:"));
    shorter.unwrap_or(text).to_owned()
}

/// An error lies inside of the value, or right behind it, and names the byte that stands there.
fn place(value: &[u8], error: ValueError) {
    assert!(error.at <= value.len(), "{error} lies outside of {:?}", value.escape_ascii().to_string());
    stands(value, error.at, error.found);
    assert!(!error.expected.is_empty() && !error.to_string().is_empty());
}

/// The byte is what was found; where the end was found, spaces may follow, which some values have at their end.
fn stands(text: &[u8], at: usize, found: Option<u8>) {
    let rest = text.get(at..).unwrap_or_default();
    let is_end = rest.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let shown = text.escape_ascii().to_string();
    assert!(found == rest.first().copied() || (found.is_none() && is_end), "not {found:?} stands at {at} of {shown}");
}
