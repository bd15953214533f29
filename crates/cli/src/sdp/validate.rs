//! `portolan sdp validate`: checks an answer against its offer.
//!
//! Each fault has a place: the line of the offer or of the answer that cannot be parsed, or the line of the answer that
//! breaks a rule. Lint finds the faults of the answer alone.

use super::excerpt::{self, SourceLines};
use super::input::{self, Source};
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use crate::wrap;
use alloc::collections::BTreeSet;
use clap::Args;
use core::fmt;
use portolan_sdp::Session;
use portolan_sdp::diagnostic::Severity;
use portolan_sdp::lint::{self, lint};
use portolan_sdp::offer_answer::{self, Flaw, validate};
use serde::Serialize;
use std::path::{Path, PathBuf};

const SCHEMA: &str = "portolan.sdp.validate/1";

/// One of the two descriptions.
struct Described<'a> {
    source: Source,
    texts: SourceLines<'a>,
}

/// A fault of the answer.
enum Fault<'s> {
    /// The answer does not match its offer.
    Exchange(offer_answer::Finding),
    /// The answer alone breaks a rule.
    Answer(lint::Finding<'s>),
}

/// Returns the faults of an answer, each once.
fn faults<'s>(offer: &Session<'_>, answer: &'s Session<'s>) -> Vec<Fault<'s>> {
    let mut alone = lint(answer);
    alone.retain(|finding| finding.severity() >= Severity::Deviation);
    let known: BTreeSet<_> = alone.iter().map(|finding| (finding.rule, finding.media)).collect();
    let mut flaws = validate(offer, answer);
    // Lint reports the same fault with a hint.
    flaws.retain(|flaw| flaw.flaw.rule().is_none_or(|rule| !known.contains(&(rule, flaw.media))));
    flaws.into_iter().map(Fault::Exchange).chain(alone.into_iter().map(Fault::Answer)).collect()
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
simulcast), at the line of the answer with the violation, or at the line that cannot be parsed. It
reports each deviation of the answer from the rules in docs/sdp-rules.md, at its line.

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
    let faults = faults(&offer, &answer);
    output::print(&match args.format {
        DocumentFormat::Human => human(&pair, &faults, wrap::width_for_findings()),
        DocumentFormat::Json => json(&pair, &faults),
    })?;
    Ok(if faults.is_empty() { Exit::Success } else { Exit::Negative })
}

/// Returns the description with the fault, its line and column, and the number of bytes that it concerns.
fn place<'p, 'a>(pair: &'p [Described<'a>; 2], fault: &Fault<'_>) -> (&'p Described<'a>, (usize, usize), usize) {
    let [offer, answer] = pair;
    match fault {
        Fault::Answer(finding) => (answer, (finding.line, finding.column), finding.text.len()),
        Fault::Exchange(finding) => {
            let described = if matches!(finding.flaw, Flaw::Offer(_)) { offer } else { answer };
            // The carets mark one byte that cannot be parsed, or all bytes from the column on.
            let is_byte = matches!(finding.flaw, Flaw::Offer(_) | Flaw::Unreadable(_));
            let rest = described.texts.line(finding.line).len().saturating_sub(finding.column - 1);
            (described, (finding.line, finding.column), if is_byte { 1 } else { rest })
        }
    }
}

/// Formats `answer.sdp:7:1: deviation: m-line 0: the kind of media is not that of the offer (RFC 3264 §6.1)` and the
/// line, wrapped at `width`.
fn human(pair: &[Described<'_>; 2], faults: &[Fault<'_>], width: usize) -> String {
    let mut out = String::new();
    for fault in faults {
        // Writing to a string cannot fail.
        let _ = write_fault(pair, fault, width, &mut out);
    }
    let [offer, answer] = pair;
    let summary = match faults.len() {
        0 => format!("{}: answers {}", answer.source, offer.source),
        count => format!("{}: {}", answer.source, excerpt::count(count, "fault")),
    };
    out.push_str(&wrap::to_width(&summary, width));
    out
}

fn write_fault(pair: &[Described<'_>; 2], fault: &Fault<'_>, width: usize, out: &mut String) -> fmt::Result {
    let (meant, (line, column), length) = place(pair, fault);
    let (message, hint) = match fault {
        Fault::Exchange(finding) => (finding.to_string(), None),
        Fault::Answer(finding) => (format!("{} ({})", finding.message(), finding.clause), Some(finding.rule.hint())),
    };
    let head = format!("{}:{line}:{column}: deviation: {message}", meant.source);
    out.push_str(&wrap::to_width(&head, width));
    excerpt::write((line, column), length, meant.texts.line(line), hint, width, out)
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

fn json(pair: &[Described<'_>; 2], faults: &[Fault<'_>]) -> String {
    let [offer, answer] = pair;
    let each = faults.iter().map(|fault| {
        let (meant, (line, column), _) = place(pair, fault);
        let (media, flaw, message, rfc) = match fault {
            Fault::Exchange(finding) => {
                (finding.media, code(finding.flaw.name()), finding.flaw.to_string(), finding.flaw.clause())
            }
            Fault::Answer(finding) => {
                (finding.media, finding.rule.code().to_owned(), finding.message().to_string(), finding.clause)
            }
        };
        JsonFinding { file: meant.source.to_string(), line, column, media, flaw, message, rfc: rfc.to_string() }
    });
    let document = Document {
        schema: SCHEMA,
        offer: offer.source.to_string(),
        answer: answer.source.to_string(),
        valid: faults.is_empty(),
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
