//! Tests with the lines of the corpus.
//!
//! The corpus is not part of this repository. `PORTOLAN_CORPUS` is its folder. Without the variable, these tests
//! print one line and pass.

use crate::field::{folder, rows, unquoted};
use core::fmt::{Debug, Display};
use portolan_sdp::line::{Kind, Line};
use portolan_sdp::value::{
    Bandwidth, Connection, Email, Information, Key, MediaLine, Origin, Phone, Repeat, SessionName, Timing, Uri, Zone,
};
use portolan_sdp::{Attribute, Reader, Value};
use std::fs;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};

/// The attributes that these tests check.
const NAMES: [&str; 25] = [
    "cat",
    "keywds",
    "tool",
    "type",
    "charset",
    "sdplang",
    "lang",
    "orient",
    "ptime",
    "maxptime",
    "framerate",
    "quality",
    "label",
    "content",
    "imageattr",
    "connection",
    "crypto",
    "rtcp-xr",
    "source-filter",
    "control",
    "range",
    "ts-refclk",
    "mediaclk",
    "bundle-only",
    "cryptex",
];

/// Values that are refused although their description is accepted, and the reason.
const EXCEPTIONS: [(&str, &str); 4] = [
    // Deliberately invalid.
    ("a=imageattr:flob", "a payload type, 0 to 127, or *"),
    // A camera without a frame rate.
    ("a=framerate:0S", "frames a second, more than 0"),
    // A value of `z=` in a line of `r=`.
    ("r=2882844526 -1h 2898848070 0", "a duration such as 1h"),
    ("r=2882844526 -3600 2898848070 0", "a duration such as 1h"),
];

/// Returns every description that should be accepted.
fn descriptions(folder: &Path) -> Vec<PathBuf> {
    let accepted = rows(&folder.join("sdp/manifest.tsv")).into_iter().filter(|row| row[2] == "accept");
    let mut files: Vec<_> = accepted.map(|row| folder.join("sdp").join(&row[0])).collect();
    let browser = fs::read_dir(folder.join("browser")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(browser.filter(|path| path.extension().is_some_and(|extension| extension == "sdp")));
    files
}

/// Parses a value and returns its text.
///
/// # Errors
///
/// Returns the expectation of the parser if the value is invalid.
fn typed<'a, T: Value<'a> + Debug + Display>(line: &Line<'a>) -> Result<String, &'static str> {
    line.read::<T>().map(|value| value.to_string()).map_err(|error| error.error.expected)
}

/// Parses the value of a line, if these tests check it.
fn read(line: &Line<'_>) -> Option<Result<String, &'static str>> {
    Some(match line.kind() {
        Kind::Origin => typed::<Origin<'_>>(line),
        Kind::Name => typed::<SessionName<'_>>(line),
        Kind::Information => typed::<Information<'_>>(line),
        Kind::Uri => typed::<Uri<'_>>(line),
        Kind::Email => typed::<Email<'_>>(line),
        Kind::Phone => typed::<Phone<'_>>(line),
        Kind::Connection => typed::<Connection<'_>>(line),
        Kind::Bandwidth => typed::<Bandwidth<'_>>(line),
        Kind::Time => typed::<Timing>(line),
        Kind::Repeat => typed::<Repeat<'_>>(line),
        Kind::Zone => typed::<Zone<'_>>(line),
        Kind::Key => typed::<Key<'_>>(line),
        Kind::Media => typed::<MediaLine<'_>>(line),
        Kind::Attribute => {
            let (name, _) = line.attribute()?;
            NAMES.iter().find(|known| known.as_bytes() == name)?;
            match line.typed()? {
                Ok(Attribute::Other { .. }) => Err("a type of its own"),
                Ok(attribute) => Ok(attribute.to_string()),
                Err(error) => Err(error.error.expected),
            }
        }
        Kind::Version | Kind::Unknown(_) | Kind::Stray => return None,
    })
}

#[test]
fn every_value_of_the_corpus_is_parsed() {
    let Some(folder) = folder() else { return };
    let (mut lines, mut attributes, mut failed, mut found_exceptions) = (0, 0, Vec::new(), Vec::new());
    for file in descriptions(&folder) {
        let text = fs::read(&file).unwrap();
        let reading = Reader::lenient().read(&text).unwrap();
        // A value can be invalid if the reader reports a deviation in its line.
        let named: Vec<_> = reading.diagnostics.iter().map(|diagnostic| diagnostic.line).collect();
        for line in reading.session.lines() {
            let found = read(&line);
            match found {
                None => continue,
                Some(Ok(_)) if line.kind() == Kind::Attribute => attributes += 1,
                Some(Ok(_)) => lines += 1,
                Some(Err(expected)) => {
                    let text = line.to_string();
                    let is_exception = EXCEPTIONS.contains(&(text.as_str(), expected));
                    found_exceptions
                        .extend(EXCEPTIONS.iter().position(|exception| *exception == (text.as_str(), expected)));
                    let is_named = line.kind() != Kind::Attribute && named.contains(&(line.index() + 1));
                    if !is_exception && !is_named {
                        failed.push(format!("{}: {text}: {expected}", file.display()));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    found_exceptions.sort_unstable();
    found_exceptions.dedup();
    assert_eq!(found_exceptions.len(), EXCEPTIONS.len(), "each exception occurs");
    drop(writeln!(stderr(), "{lines} lines and {attributes} attributes of the corpus were parsed"));
    assert!(lines >= 2_000 && attributes >= 330, "{lines} lines, {attributes} attributes");
}

#[test]
fn attribute_lines_of_a_browser_have_the_expected_result() {
    let Some(folder) = folder() else { return };
    let mut count = 0;
    for row in rows(&folder.join("sdp/tables/attribute_lines_mozilla.tsv")) {
        let text = unquoted(&row[1]);
        let (name, value) = text.split_once(':').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
        if !NAMES.contains(&name) {
            continue;
        }
        let read = Attribute::parse(name.as_bytes(), value.map(str::as_bytes));
        // RFC 4574 §4: a label is a token, which contains no space.
        let expect = if text == "label:foobar barfoo" { "reject" } else { &row[2] };
        assert_eq!(read.is_ok(), expect == "accept", "{text}: {read:?}");
        count += 1;
    }
    assert!(count >= 30, "{count} rows");
}
