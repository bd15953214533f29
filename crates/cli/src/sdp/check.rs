//! `portolan sdp check`: what is not as the RFCs have it, told the way a compiler does.
//!
//! Lines are held to RFC 8866 by the reader, the values of attributes to their own RFCs by reading each once.

use super::excerpt::{self, Texts};
use super::input::{self, Input, LIMITS, Source};
use crate::error::Failure;
use crate::exit::Exit;
use crate::options::DocumentFormat;
use crate::output;
use clap::Args;
use core::fmt::{self, Write};
use portolan_sdp::diagnostic::{Rule, Severity};
use portolan_sdp::line::Kind;
use portolan_sdp::{Attribute, Diagnostic, Reader, Session, Span, TypedError, example};
use serde::Serialize;

const SCHEMA: &str = "portolan.sdp.check/1";

/// All that was found, in the order of lines.
#[derive(Debug, Default)]
struct Findings {
    told: Vec<Diagnostic>,
    /// How many more there were.
    untold: usize,
    /// Among those there is a deviation.
    hides_deviations: bool,
    /// It is no session description.
    is_unreadable: bool,
}

impl Findings {
    fn of(text: &[u8], strict: bool) -> Self {
        let reading = match Reader::lenient().with_limits(LIMITS).read(text) {
            Ok(reading) => reading,
            Err(why) => return Self { told: vec![why], is_unreadable: true, ..Self::default() },
        };
        let values = typed(&reading.session, &reading.diagnostics);
        // Room is taken by whatever comes first; what finds none still counts.
        let hides_deviations = values.untold > 0
            || reading.untold > 0 && Reader::strict().with_limits(LIMITS).read(text).is_err_and(|why| counts(&why));
        let untold = reading.untold + values.untold;
        let mut told = reading.diagnostics;
        told.extend(values.told);
        // Stable: what the reader says of a line comes before what its value says.
        told.sort_by_key(|finding| finding.line);
        let mut found = Self { told, untold, hides_deviations, is_unreadable: false };
        if strict {
            found.end_at_first();
        }
        found
    }

    /// Forgets all after the first deviation.
    fn end_at_first(&mut self) {
        if let Some(first) = self.told.iter().position(counts) {
            self.told.truncate(first + 1);
            self.untold = 0;
        }
    }

    fn deviations(&self) -> usize {
        self.told.iter().filter(|finding| counts(finding)).count()
    }

    fn exit(&self) -> Exit {
        match (self.is_unreadable, self.hides_deviations || self.deviations() > 0) {
            (true, _) => Exit::CouldNotRun,
            (false, false) => Exit::Done,
            (false, true) => Exit::Wrong,
        }
    }
}

fn counts(finding: &Diagnostic) -> bool {
    finding.rule.severity() >= Severity::Deviation
}

const fn severity(finding: &Diagnostic) -> &'static str {
    match finding.rule.severity() {
        Severity::Remark => "remark",
        Severity::Deviation => "deviation",
        Severity::Fatal => "error",
    }
}

/// Reads every attribute once, in the room that what was said leaves.
fn typed(session: &Session<'_>, said: &[Diagnostic]) -> Findings {
    let mut found = Findings::default();
    let room = LIMITS.diagnostics.saturating_sub(said.len());
    // What the reader says of a line is not said again of its value.
    let mut values =
        said.iter().filter(|told| matches!(told.rule, Rule::Value { .. })).map(|told| told.line).peekable();
    for line in session.lines() {
        let number = line.index() + 1;
        while values.next_if(|said| *said < number).is_some() {}
        let is_said = values.peek() == Some(&number);
        let mut tell = |TypedError { column, error, .. }| {
            if found.told.len() >= room {
                found.untold += 1;
                return;
            }
            let at = line.span().map_or(0, |span| span.start) + column - 1;
            let span = Span::new(at, at + usize::from(error.found.is_some()));
            let rule = Rule::Value { kind: Kind::Attribute, error };
            found.told.push(Diagnostic { line: number, column, span, rule });
        };
        match line.typed() {
            Some(Err(error)) if !is_said => tell(error),
            // Deployed endpoints write more than RFC 8839 has.
            Some(Ok(Attribute::Candidate(candidate))) => {
                let value = line.attribute().and_then(|(_, value)| value).unwrap_or_default();
                let before = line.text().len() - value.len();
                for deviation in candidate.deviations() {
                    let error = deviation.in_value(value);
                    tell(TypedError { line: number, column: before + error.at + 1, error });
                }
            }
            Some(Ok(_) | Err(_)) | None => {}
        }
    }
    found
}

/// Arguments of `portolan sdp check`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Stop at the first deviation, as a strict reader does
    #[arg(long)]
    pub(crate) strict: bool,
    /// How to write what is found
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

const HELP: &str = "\
Lines and their order are held to RFC 8866, attributes each to its own RFC, candidates to the
letter of RFC 8839 and RFC 6544. A remark (a bare LF,
no c=) is allowed by its RFC and does not count.

Exit codes: 0 clean, 1 deviations, 2 it could not be read as a session description.

Examples:
  portolan sdp check offer.sdp
  curl -s https://device.example/session.sdp | portolan sdp check --format json
  portolan sdp check --strict offer.sdp && echo 'as RFC 8866 has it'";

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let file = args.input.file();
    let text = input::bytes(file)?;
    let found = Findings::of(&text, args.strict);
    let source = Source::of(file);
    output::print(&match args.format {
        DocumentFormat::Human => human(&source, &text, &found),
        DocumentFormat::Json => json(&source, &text, &found),
    })?;
    Ok(found.exit())
}

/// `offer.sdp:3:3: deviation: s= is empty (RFC 8866 §5.3)`, the line, a caret, the hint.
fn human(source: &Source, text: &[u8], found: &Findings) -> String {
    let mut out = String::new();
    let lines = Texts::of(text);
    for finding in &found.told {
        // Writing to a string cannot fail.
        let _ = tell(finding, source, lines.line(finding.line), &mut out);
    }
    let deviations = found.deviations();
    let remarks = found.told.len() - deviations;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let untold = if found.untold == 0 { String::new() } else { format!(", and {} more not told", found.untold) };
    let _ = match (found.is_unreadable, deviations, remarks) {
        (true, _, _) => writeln!(out, "{source}: not readable as a session description"),
        (false, 0, 0) => writeln!(out, "{source}: clean{untold}"),
        (false, 0, remarks) => writeln!(out, "{source}: clean, {}{untold}", count(remarks, "remark")),
        (false, deviations, 0) => writeln!(out, "{source}: {}{untold}", count(deviations, "deviation")),
        (false, deviations, remarks) => {
            writeln!(out, "{source}: {}, {}{untold}", count(deviations, "deviation"), count(remarks, "remark"))
        }
    };
    out
}

fn tell(finding: &Diagnostic, source: &Source, text: &[u8], out: &mut String) -> fmt::Result {
    let Diagnostic { line, column, span, rule } = finding;
    writeln!(out, "{source}:{line}:{column}: {}: {rule} ({})", severity(finding), rule.clause())?;
    excerpt::tell((*line, *column), span.len(), text, Some(&hint(rule, text)), out)
}

/// What to do about it: of a value that cannot be read, with a line whose value can.
fn hint(rule: &Rule, text: &[u8]) -> String {
    let value = matches!(rule, Rule::Value { .. }).then(|| example::of(text)).flatten();
    value.map_or_else(|| rule.hint().into(), |example| format!("{}, for example {example}", rule.hint()))
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    file: String,
    readable: bool,
    clean: bool,
    findings: Vec<JsonFinding>,
    untold: usize,
}

#[derive(Serialize)]
struct JsonFinding {
    line: usize,
    column: usize,
    offset: usize,
    length: usize,
    severity: &'static str,
    rule: &'static str,
    message: String,
    rfc: String,
    hint: String,
}

fn json(source: &Source, text: &[u8], found: &Findings) -> String {
    let lines = Texts::of(text);
    let findings = found.told.iter().map(|finding| JsonFinding {
        line: finding.line,
        column: finding.column,
        offset: finding.span.start,
        length: finding.span.len(),
        severity: severity(finding),
        rule: finding.rule.name(),
        message: finding.rule.to_string(),
        rfc: finding.rule.clause().to_string(),
        hint: hint(&finding.rule, lines.line(finding.line)),
    });
    let document = Document {
        schema: SCHEMA,
        file: source.to_string(),
        readable: !found.is_unreadable,
        clean: found.exit() == Exit::Done,
        findings: findings.collect(),
        untold: found.untold,
    };
    // Nothing in it can fail: no map has other keys than text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests;
