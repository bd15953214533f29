//! Every typed value of a description: what is read is written so that it reads the same, and what is refused says where.

use super::{sdp_candidate, within};
use crate::SEEDED;
use portolan_sdp::line::{Kind, Line};
use portolan_sdp::value::{
    Bandwidth, Connection, Email, Information, Key, MediaLine, Origin, Phone, Repeat, SessionName, Timing, Uri,
    Version, Zone,
};
use portolan_sdp::{Attribute, Session, Value};

/// Reads every line as what it should be; says whether one with a grammar of its own was right.
pub fn run(bytes: &[u8]) -> bool {
    let Ok(session) = Session::read(bytes) else { return false };
    session.lines().fold(false, |known, line| known | typed(&line))
}

/// Reads the line as one kind of value. What was written reads back as the same value, and is written the same. Bytes that
/// are not UTF-8 are written for people.
macro_rules! value {
    ($line:ident, $value:ident) => {
        match $value::parse($line.value()) {
            Ok(value) => {
                if std::str::from_utf8($line.value()).is_ok() {
                    let text = value.to_string();
                    let again = $value::parse(text.as_bytes());
                    assert_eq!(again, Ok(value), "{text:?} was written for it");
                    if text.as_bytes() != $line.value() {
                        assert_eq!(again.map(|again| again.to_string()), Ok(text));
                    }
                }
                true
            }
            Err(error) => {
                within::place($line.value(), error);
                false
            }
        }
    };
}

fn typed(line: &Line<'_>) -> bool {
    match line.kind() {
        Kind::Version => value!(line, Version),
        Kind::Origin => value!(line, Origin),
        Kind::Connection => value!(line, Connection),
        Kind::Bandwidth => value!(line, Bandwidth),
        Kind::Time => value!(line, Timing),
        Kind::Media => value!(line, MediaLine),
        Kind::Name => value!(line, SessionName),
        Kind::Information => value!(line, Information),
        Kind::Uri => value!(line, Uri),
        Kind::Email => value!(line, Email),
        Kind::Phone => value!(line, Phone),
        Kind::Repeat => value!(line, Repeat),
        Kind::Zone => value!(line, Zone),
        Kind::Key => value!(line, Key),
        Kind::Attribute => attribute(line),
        Kind::Unknown(_) | Kind::Stray => sdp_candidate::alone(line.text()),
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
                if text.as_bytes() != line.value() {
                    assert_eq!(again.map(|again| again.to_string()).as_ref(), Ok(&text));
                }
            }
            value.clause().is_some()
        }
        Err(error) => {
            within::place(bytes.unwrap_or_default(), error);
            let told = line.typed().and_then(Result::err).expect("it is refused");
            assert_eq!((told.line, told.error), (line.index() + 1, error), "{told}");
            within::stands(line.text(), told.column - 1, error.found);
            false
        }
    }
}

/// An attribute as it is written; in a seeded build a channel is left out where there is one of it.
fn written(text: &str) -> String {
    let shorter = text.strip_suffix("/1").filter(|_| SEEDED && text.starts_with("rtpmap:"));
    shorter.unwrap_or(text).to_owned()
}
