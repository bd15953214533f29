//! `portolan sdp check`: reports deviations from the RFCs in the form of compiler diagnostics.
//!
//! The reader checks the lines against RFC 8866. This file parses each attribute value and so checks it against its
//! RFC.

use super::excerpt::{self, SourceLines};
use super::input::{self, Input, LIMITS, Source};
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use clap::Args;
use core::fmt::{self, Write};
use portolan_sdp::diagnostic::{Rule, Severity};
use portolan_sdp::{Diagnostic, Reader, Session, Span, TypedError, example};
use serde::Serialize;

const SCHEMA: &str = "portolan.sdp.check/1";

/// The diagnostics, in the order of lines.
#[derive(Debug, Default)]
struct Findings {
    diagnostics: Vec<Diagnostic>,
    /// The number of diagnostics beyond the limit.
    hidden: usize,
    /// Whether there is a deviation among them.
    hides_deviations: bool,
    /// Whether the input is not a session description.
    is_unreadable: bool,
}

impl Findings {
    fn of(text: &[u8], strict: bool) -> Self {
        let reading = match Reader::lenient().with_limits(LIMITS).read(text) {
            Ok(reading) => reading,
            Err(why) => return Self { diagnostics: vec![why], is_unreadable: true, ..Self::default() },
        };
        let values = typed(&reading.session, &reading.diagnostics);
        // Diagnostics take the room in the order in which they are found. Those beyond the limit still count.
        let hides_deviations = values.hidden > 0
            || reading.unreported > 0 && Reader::strict().with_limits(LIMITS).read(text).is_err_and(|why| counts(&why));
        let hidden = reading.unreported + values.hidden;
        let mut diagnostics = reading.diagnostics;
        diagnostics.extend(values.diagnostics);
        // The sort is stable: diagnostics of the reader come before those of the value.
        diagnostics.sort_by_key(|finding| finding.line);
        let mut found = Self { diagnostics, hidden, hides_deviations, is_unreadable: false };
        if strict {
            found.end_at_first();
        }
        found
    }

    /// Removes all diagnostics after the first deviation.
    fn end_at_first(&mut self) {
        if let Some(first) = self.diagnostics.iter().position(counts) {
            self.diagnostics.truncate(first + 1);
            self.hidden = 0;
        }
    }

    fn deviations(&self) -> usize {
        self.diagnostics.iter().filter(|finding| counts(finding)).count()
    }

    fn exit(&self) -> Exit {
        match (self.is_unreadable, self.hides_deviations || self.deviations() > 0) {
            (true, _) => Exit::CouldNotRun,
            (false, false) => Exit::Success,
            (false, true) => Exit::Negative,
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

/// Parses every attribute once. `reported` has taken a part of the room.
fn typed(session: &Session<'_>, reported: &[Diagnostic]) -> Findings {
    let mut found = Findings::default();
    let room = LIMITS.diagnostics.saturating_sub(reported.len());
    // A line that the reader has reported is not reported again.
    let mut values = reported
        .iter()
        .filter(|diagnostics| matches!(diagnostics.rule, Rule::Value { .. }))
        .map(|diagnostics| diagnostics.line)
        .peekable();
    for line in session.lines() {
        let number = line.index() + 1;
        while values.next_if(|reported| *reported < number).is_some() {}
        let is_reported = values.peek() == Some(&number);
        let mut add = |TypedError { column, error, .. }| {
            if found.diagnostics.len() >= room {
                found.hidden += 1;
                return;
            }
            let at = line.span().map_or(0, |span| span.start) + column - 1;
            let span = Span::new(at, at + usize::from(error.found.is_some()));
            let rule = Rule::Value { kind: line.kind(), error };
            found.diagnostics.push(Diagnostic { line: number, column, span, rule });
        };
        match line.typed() {
            Some(Err(error)) if !is_reported => add(error),
            // Deployed endpoints write more than the grammars allow.
            Some(Ok(_) | Err(_)) | None => line.deviations().for_each(|(_, error)| add(error)),
        }
    }
    found
}

/// Arguments of `portolan sdp check`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Stop at the first deviation
    #[arg(long)]
    pub(crate) strict: bool,
    /// The format of the diagnostics
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The command checks lines and their order against RFC 8866, and each attribute strictly against its
RFC. A remark (a bare LF, no c=) is allowed by its RFC and does not count as a deviation.

{}

Examples:
  portolan sdp check offer.sdp
  curl -s https://device.example/session.sdp | portolan sdp check --format json
  portolan sdp check --strict offer.sdp && echo 'as RFC 8866 has it'",
        exit::help("sdp check")
    )
}

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

/// Formats `offer.sdp:3:3: deviation: s= is empty (RFC 8866 §5.3)`, the line, a caret and the hint.
fn human(source: &Source, text: &[u8], found: &Findings) -> String {
    let mut out = String::new();
    let lines = SourceLines::of(text);
    for finding in &found.diagnostics {
        // Writing to a string cannot fail.
        let _ = write_finding(finding, source, lines.line(finding.line), &mut out);
    }
    let deviations = found.deviations();
    let remarks = found.diagnostics.len() - deviations;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let hidden = if found.hidden == 0 { String::new() } else { format!(", and {} more not shown", found.hidden) };
    let _ = match (found.is_unreadable, deviations, remarks) {
        (true, _, _) => writeln!(out, "{source}: not readable as a session description"),
        (false, 0, 0) => writeln!(out, "{source}: clean{hidden}"),
        (false, 0, remarks) => writeln!(out, "{source}: clean, {}{hidden}", count(remarks, "remark")),
        (false, deviations, 0) => writeln!(out, "{source}: {}{hidden}", count(deviations, "deviation")),
        (false, deviations, remarks) => {
            writeln!(out, "{source}: {}, {}{hidden}", count(deviations, "deviation"), count(remarks, "remark"))
        }
    };
    out
}

fn write_finding(finding: &Diagnostic, source: &Source, text: &[u8], out: &mut String) -> fmt::Result {
    let Diagnostic { line, column, span, rule } = finding;
    writeln!(out, "{source}:{line}:{column}: {}: {rule} ({})", severity(finding), rule.clause())?;
    excerpt::write((*line, *column), span.len(), text, Some(&hint(rule, text)), out)
}

/// Returns the hint, for a value that cannot be parsed with an example of a valid line.
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
    let lines = SourceLines::of(text);
    let findings = found.diagnostics.iter().map(|finding| JsonFinding {
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
        clean: found.exit() == Exit::Success,
        findings: findings.collect(),
        untold: found.hidden,
    };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests;
