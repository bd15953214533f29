//! `portolan sdp json`: converts a description to JSON, schema `portolan.sdp/1` (docs/json.md), and back.
//!
//! The conversion loses nothing: the way back gives exactly the same bytes. The result of the way back is parsed again,
//! and must have the same lines as the JSON.

use super::input::{self, Input, InputError, LIMITS, Source};
use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::output;
use clap::Args;
use core::fmt;
use portolan_sdp::line::{Ending, Kind, Line};
use portolan_sdp::{Reader, Session};
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "portolan.sdp/1";

/// A description.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    schema: String,
    /// The ending of lines without their own ending.
    ending: Word,
    /// The lines before the first `m=`.
    lines: Vec<JsonLine>,
    media: Vec<Media>,
}

/// A media description. Its first line is `m=`.
#[derive(Debug, Serialize, Deserialize)]
struct Media {
    lines: Vec<JsonLine>,
}

/// A line in one of four forms. A line has `kind` and `value`. An attribute has `kind`, `name` and an optional
/// `value`. A line without a type letter has `text`. A line that is not UTF-8 has `hex`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct JsonLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    /// The ending, if it differs from that of the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<Word>,
}

/// The ending of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    CrLf,
    Lf,
    Cr,
    None,
}

impl Word {
    const fn of(ending: Ending) -> Self {
        match ending {
            Ending::CrLf => Self::CrLf,
            Ending::Lf => Self::Lf,
            Ending::Cr => Self::Cr,
            Ending::End => Self::None,
        }
    }

    const fn ending(self) -> Ending {
        match self {
            Self::CrLf => Ending::CrLf,
            Self::Lf => Ending::Lf,
            Self::Cr => Ending::Cr,
            Self::None => Ending::End,
        }
    }
}

/// The place of a line in a JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    media: Option<usize>,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.media {
            Some(media) => write!(f, "media[{media}].lines[{}]", self.line),
            None => write!(f, "lines[{}]", self.line),
        }
    }
}

/// Why JSON cannot be converted to a description.
#[derive(Debug, thiserror::Error)]
enum JsonError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("{file} is not JSON of portolan.sdp/1: {why}; write one with: portolan sdp json FILE")]
    Json { file: Source, why: serde_json::Error },
    #[error("{file}: {place} {why}")]
    Line { file: Source, place: Place, why: &'static str },
}

impl CommandError for JsonError {}

/// Arguments of `portolan sdp json`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct JsonArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Convert JSON to a description
    #[arg(long)]
    pub(crate) to_sdp: bool,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The conversion loses nothing: line endings, bytes that are not UTF-8 and unknown lines come back
unchanged. The format is docs/json.md, portolan.sdp/1.

{}

Examples:
  portolan sdp json offer.sdp | jq -r '.media[].lines[0].value'
  portolan sdp json offer.sdp | jq '.media |= map(select(.lines[0].value | test(\"^video\") | not))' |
    portolan sdp json --to-sdp > audio-only.sdp",
        exit::help("sdp json")
    )
}

pub(super) fn run(args: &JsonArgs) -> Result<Exit, Failure> {
    let file = args.input.file();
    if args.to_sdp {
        output::write(&to_sdp(&Source::of(file), &input::raw(file)?)?)?;
    } else {
        let bytes = input::bytes(file)?;
        let session = input::session(file, &bytes)?;
        // Serialization cannot fail: every map key is text.
        let mut text = serde_json::to_vec(&Document::of(&session)).unwrap_or_default();
        text.push(b'\n');
        output::write(&text)?;
    }
    Ok(Exit::Success)
}

impl Document {
    fn of(session: &Session<'_>) -> Self {
        let ending = session.line(0).map_or(Word::CrLf, |line| Word::of(line.ending()));
        let each = |line: Line<'_>| JsonLine::of(&line, ending);
        Self {
            schema: SCHEMA.to_owned(),
            ending,
            lines: session.top().lines().map(each).collect(),
            media: session.all_media().map(|media| Media { lines: media.lines().map(each).collect() }).collect(),
        }
    }

    /// Returns the lines with their places.
    fn lines(&self) -> impl Iterator<Item = (Place, &JsonLine)> {
        let top = self.lines.iter().enumerate().map(|(line, found)| (Place { media: None, line }, found));
        let media = self.media.iter().enumerate().flat_map(|(media, section)| {
            section.lines.iter().enumerate().map(move |(line, found)| (Place { media: Some(media), line }, found))
        });
        top.chain(media)
    }
}

impl JsonLine {
    fn of(line: &Line<'_>, usual: Word) -> Self {
        let ending = Some(Word::of(line.ending())).filter(|ending| *ending != usual);
        let Ok(text) = core::str::from_utf8(line.text()) else {
            return Self { hex: Some(hex(line.text())), ending, ..Self::default() };
        };
        let mut letters = text.chars();
        match (line.kind(), letters.next()) {
            (Kind::Attribute, _) => {
                let inside = text.get(2..).unwrap_or_default();
                let (name, value) = inside.split_once(':').map_or((inside, None), |(name, value)| (name, Some(value)));
                let (name, value) = (Some(name.to_owned()), value.map(str::to_owned));
                Self { kind: Some("a".to_owned()), name, value, ending, ..Self::default() }
            }
            (Kind::Stray, _) | (_, None) => Self { text: Some(text.to_owned()), ending, ..Self::default() },
            (_, Some(letter)) => {
                let value = letters.as_str().strip_prefix('=').unwrap_or_default();
                Self { kind: Some(letter.to_string()), value: Some(value.to_owned()), ending, ..Self::default() }
            }
        }
    }

    /// Writes the line without its ending.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Self { kind: Some(kind), name: Some(name), value, text: None, hex: None, .. } if kind == "a" => {
                out.extend_from_slice(b"a=");
                out.extend_from_slice(name.as_bytes());
                if let Some(value) = value {
                    out.push(b':');
                    out.extend_from_slice(value.as_bytes());
                }
                Ok(())
            }
            Self { kind: Some(kind), name: None, value: Some(value), text: None, hex: None, .. } if kind.len() == 1 => {
                out.extend_from_slice(kind.as_bytes());
                out.push(b'=');
                out.extend_from_slice(value.as_bytes());
                Ok(())
            }
            Self { kind: None, name: None, value: None, text: Some(text), hex: None, .. } => {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Self { kind: None, name: None, value: None, text: None, hex: Some(digits), .. } => {
                unhex(digits, out).ok_or("has a hex that is not pairs of hexadecimal digits")
            }
            Self { .. } => {
                Err("must have kind (one letter) and value, or for an attribute kind, name and perhaps value, or \
                 text, or hex")
            }
        }
    }
}

fn to_sdp(file: &Source, bytes: &[u8]) -> Result<Vec<u8>, JsonError> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|why| JsonError::Json { file: file.clone(), why })?;
    let refuse = |place: Place, why: &'static str| JsonError::Line { file: file.clone(), place, why };
    if document.schema != SCHEMA {
        return Err(refuse(Place { media: None, line: 0 }, "is of another schema than portolan.sdp/1"));
    }
    let mut out = vec![];
    let mut ends = vec![];
    for (place, line) in document.lines() {
        let start = out.len();
        line.write(&mut out).map_err(|why| refuse(place, why))?;
        ends.push((place, start, out.len()));
        out.extend_from_slice(line.ending.unwrap_or(document.ending).ending().as_bytes());
    }
    if out.is_empty() {
        return Ok(out);
    }
    let reading = Reader::lenient().with_limits(LIMITS).read(&out);
    let session = reading.map_err(|why| InputError::Unreadable { file: file.clone(), why })?.session;
    let mut read = session.lines();
    for (place, start, end) in ends {
        let line = read.next();
        if line.and_then(|line| line.span()).is_none_or(|span| (span.start, span.end) != (start, end)) {
            return Err(refuse(
                place,
                "does not end where it should: no value holds CR or LF, no line but the last has no end",
            ));
        }
        // A line of another kind belongs to another list.
        if line.is_some_and(|line| (line.kind() == Kind::Media) != (place.media.is_some() && place.line == 0)) {
            return Err(refuse(
                place,
                "stands in the wrong list: m= is the first line of an object in media, and only there",
            ));
        }
    }
    Ok(out)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(digits: &str, out: &mut Vec<u8>) -> Option<()> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    for pair in digits.as_bytes().chunks(2) {
        let [high, low] = pair else { return None };
        out.push(value(high)? << 4 | value(low)?);
    }
    Some(())
}

#[cfg(test)]
mod tests;
