//! `portolan sdp validate`: checks an answer against its offer.
//!
//! Each finding has a place: the line of the answer with the violation, or a line of the offer that cannot be parsed.

use super::excerpt::{self, SourceLines};
use super::input::{self, Source};
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use clap::Args;
use core::fmt::{self, Write};
use portolan_sdp::offer_answer::{Finding, Flaw, validate};
use serde::Serialize;
use std::path::{Path, PathBuf};

const SCHEMA: &str = "portolan.sdp.validate/1";

/// One of the two descriptions.
struct Described<'a> {
    source: Source,
    texts: SourceLines<'a>,
}

/// Arguments of `portolan sdp validate`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct ValidateArgs {
    /// The offer; `-`: standard input
    #[arg(value_name = "OFFER")]
    pub(crate) offer: PathBuf,
    /// The answer to it; `-`: standard input
    #[arg(value_name = "ANSWER")]
    pub(crate) answer: PathBuf,
    /// The format of the findings
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The command reports each violated MUST of RFC 3264 and of WebRTC (RFC 9429, BUNDLE, ICE, DTLS,
simulcast), at the line of the answer with the violation, or at the line that cannot be parsed.

{}

Examples:
  portolan sdp validate offer.sdp answer.sdp
  portolan sdp answer offer.sdp | portolan sdp validate offer.sdp - --format json",
        exit::help("sdp validate")
    )
}

pub(super) fn run(args: &ValidateArgs) -> Result<Exit, Failure> {
    let (first, second) = (Some(args.offer.as_path()), Some(args.answer.as_path()));
    input::check_pair(&args.offer, &args.answer)?;
    let (offer, answer) = (input::bytes(first)?, input::bytes(second)?);
    let described = |file: Option<&Path>, text| Described { source: Source::of(file), texts: SourceLines::of(text) };
    let pair = [described(first, &offer), described(second, &answer)];
    let (offer, answer) = (input::session(first, &offer)?, input::session(second, &answer)?);
    let findings = validate(&offer, &answer);
    output::print(&match args.format {
        DocumentFormat::Human => human(&pair, &findings),
        DocumentFormat::Json => json(&pair, &findings),
    })?;
    Ok(if findings.is_empty() { Exit::Success } else { Exit::Negative })
}

/// Returns the description with the finding, and its line and column.
fn place<'p, 'a>(pair: &'p [Described<'a>; 2], finding: &Finding) -> (&'p Described<'a>, (usize, usize)) {
    let [offer, answer] = pair;
    (if matches!(finding.flaw, Flaw::Offer(_)) { offer } else { answer }, (finding.line, finding.column))
}

/// Formats `answer.sdp:7:1: deviation: m-line 0: the kind of media is not that of the offer (RFC 3264 §6.1)` and the
/// line.
fn human(pair: &[Described<'_>; 2], findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        // Writing to a string cannot fail.
        let _ = write_finding(pair, finding, &mut out);
    }
    let [offer, answer] = pair;
    let _ = match findings.len() {
        0 => writeln!(out, "{}: answers {}", answer.source, offer.source),
        1 => writeln!(out, "{}: 1 fault", answer.source),
        count => writeln!(out, "{}: {count} faults", answer.source),
    };
    out
}

fn write_finding(pair: &[Described<'_>; 2], finding: &Finding, out: &mut String) -> fmt::Result {
    let (meant, (line, column)) = place(pair, finding);
    let text = meant.texts.line(line);
    writeln!(out, "{}:{line}:{column}: deviation: {finding}", meant.source)?;
    // The carets mark one byte that cannot be parsed, or all from the column on.
    let is_byte = matches!(finding.flaw, Flaw::Offer(_) | Flaw::Unreadable(_));
    let length = if is_byte { 1 } else { text.len().saturating_sub(column - 1) };
    excerpt::write((line, column), length, text, None, out)
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    offer: String,
    answer: String,
    valid: bool,
    findings: Vec<JsonFinding>,
}

#[derive(Serialize)]
struct JsonFinding {
    file: String,
    line: usize,
    column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<usize>,
    flaw: String,
    message: String,
    rfc: String,
}

fn json(pair: &[Described<'_>; 2], findings: &[Finding]) -> String {
    let [offer, answer] = pair;
    let each = findings.iter().map(|finding| {
        let (meant, (line, column)) = place(pair, finding);
        JsonFinding {
            file: meant.source.to_string(),
            line,
            column,
            media: finding.media,
            flaw: code(finding.flaw.name()),
            message: finding.flaw.to_string(),
            rfc: finding.flaw.clause().to_string(),
        }
    });
    let document = Document {
        schema: SCHEMA,
        offer: offer.source.to_string(),
        answer: answer.source.to_string(),
        valid: findings.is_empty(),
        findings: each.collect(),
    };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

/// Converts `MediaCount` to `media-count`.
fn code(name: &str) -> String {
    let mut code = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !code.is_empty() {
            code.push('-');
        }
        code.push(letter.to_ascii_lowercase());
    }
    code
}
