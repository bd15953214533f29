//! `portolan sdp validate`: what of an answer is not as the RFCs have it, given its offer.
//!
//! Each finding is shown where it is meant: at the line of the answer that cannot be read, at the head of the section that is
//! wrong, and where the offer itself cannot be read there.

use super::excerpt::{self, Texts};
use super::input::{self, Source};
use crate::error::Failure;
use crate::exit::Exit;
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
    texts: Texts<'a>,
}

/// Arguments of `portolan sdp validate`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct ValidateArgs {
    /// The offer; `-`: standard input
    #[arg(value_name = "OFFER")]
    pub(crate) offer: PathBuf,
    /// The answer to it; `-`: standard input
    #[arg(value_name = "ANSWER")]
    pub(crate) answer: PathBuf,
    /// How to write what is found
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

const HELP: &str = "\
Told is each MUST of RFC 3264 and of WebRTC (RFC 9429, BUNDLE, ICE, DTLS, simulcast) that the two
show to be broken, at the section of the answer, or at the line of either that cannot be read.

Exit codes: 0 the answer goes with the offer, 1 it does not, 2 one of them could not be read.

Examples:
  portolan sdp validate offer.sdp answer.sdp
  portolan sdp answer offer.sdp | portolan sdp validate offer.sdp - --format json";

pub(super) fn run(args: &ValidateArgs) -> Result<Exit, Failure> {
    let (first, second) = (Some(args.offer.as_path()), Some(args.answer.as_path()));
    input::check_pair(&args.offer, &args.answer)?;
    let (offer, answer) = (input::bytes(first)?, input::bytes(second)?);
    let described = |file: Option<&Path>, text| Described { source: Source::of(file), texts: Texts::of(text) };
    let pair = [described(first, &offer), described(second, &answer)];
    let (offer, answer) = (input::session(first, &offer)?, input::session(second, &answer)?);
    let findings = validate(&offer, &answer);
    output::print(&match args.format {
        DocumentFormat::Human => human(&pair, &findings),
        DocumentFormat::Json => json(&pair, &findings),
    })?;
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Wrong })
}

/// Which of the two is meant, and the line and the column there; what is wrong with the whole is told of its first line.
fn place<'p, 'a>(pair: &'p [Described<'a>; 2], finding: &Finding) -> (&'p Described<'a>, (usize, usize)) {
    let [offer, answer] = pair;
    if let Flaw::Offer(error) = finding.flaw {
        return (offer, (error.line, error.column));
    }
    if let Flaw::Unreadable(error) = finding.flaw {
        return (answer, (error.line, error.column));
    }
    (answer, (finding.line.unwrap_or(1), 1))
}

/// `answer.sdp:7:1: deviation: m-line 0: the kind of media is not that of the offer (RFC 3264 §6.1)`, the line, a caret.
fn human(pair: &[Described<'_>; 2], findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        // Writing to a string cannot fail.
        let _ = tell(pair, finding, &mut out);
    }
    let [offer, answer] = pair;
    let _ = match findings.len() {
        0 => writeln!(out, "{}: answers {}", answer.source, offer.source),
        1 => writeln!(out, "{}: 1 fault", answer.source),
        count => writeln!(out, "{}: {count} faults", answer.source),
    };
    out
}

fn tell(pair: &[Described<'_>; 2], finding: &Finding, out: &mut String) -> fmt::Result {
    let (meant, (line, column)) = place(pair, finding);
    let text = meant.texts.line(line);
    writeln!(out, "{}:{line}:{column}: deviation: {finding}", meant.source)?;
    // All of a section's head, or one byte of a value.
    let is_value = matches!(finding.flaw, Flaw::Offer(_) | Flaw::Unreadable(_));
    excerpt::tell((line, column), if is_value { 1 } else { text.len() }, text, None, out)
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
    // Nothing in it can fail: no map has other keys than text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

/// `MediaCount` as `media-count`.
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
