//! `portolan sdp check`: reports deviations from the RFCs in the form of compiler diagnostics.
//!
//! The reader checks the lines against RFC 8866. This file parses each attribute value and so checks it against its
//! RFC. The rules about several lines are those of `portolan_sdp::lint`.

use super::excerpt::{self, SourceLines};
use super::input::{self, Input, LIMITS, Source};
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use crate::wrap;
use clap::Args;
use core::fmt;
use portolan_sdp::diagnostic::{Rule, Severity};
use portolan_sdp::lint::{Finding as LintFinding, lint};
use portolan_sdp::{Citation, Diagnostic, Reader, Session, Span, TypedError, example};
use serde::Serialize;

const SCHEMA: &str = "portolan.sdp.check/1";

/// What was found in one place.
#[derive(Clone, Debug)]
struct Finding {
    line: usize,
    column: usize,
    span: Span,
    severity: Severity,
    rule: &'static str,
    message: String,
    clause: Citation,
    hint: String,
    /// The `mid` of the media section, of a rule about several lines.
    mid: Option<String>,
}

impl Finding {
    /// `text` is the line.
    fn of_diagnostic(diagnostic: &Diagnostic, text: &[u8]) -> Self {
        let Diagnostic { line, column, span, rule } = *diagnostic;
        Self {
            line,
            column,
            span,
            severity: rule.severity(),
            rule: rule.name(),
            message: rule.to_string(),
            clause: rule.clause(),
            hint: hint(&rule, text),
            mid: None,
        }
    }

    fn of_lint(finding: &LintFinding<'_>, session: &Session<'_>) -> Self {
        let LintFinding { rule, clause, line, column, text, mid, .. } = *finding;
        let start = session.line(line - 1).and_then(|line| line.span()).map_or(0, |span| span.start) + column - 1;
        Self {
            line,
            column,
            span: Span::new(start, start + text.len()),
            severity: rule.severity(),
            rule: rule.code(),
            message: finding.message().to_string(),
            clause,
            hint: rule.hint().to_owned(),
            mid: mid.map(str::to_owned),
        }
    }
}

/// The findings, in the order of lines.
#[derive(Debug)]
struct Findings {
    list: Vec<Finding>,
    /// The number of findings beyond the limit.
    hidden: usize,
    /// The highest severity among them.
    hidden_severity: Severity,
    /// Whether the input is not a session description.
    is_unreadable: bool,
    /// The lowest severity with which the command fails.
    fails: Severity,
}

impl Findings {
    fn of(text: &[u8], strict: bool) -> Self {
        let fails = if strict { Severity::Warning } else { Severity::Deviation };
        let mut found =
            Self { list: vec![], hidden: 0, hidden_severity: Severity::Remark, is_unreadable: false, fails };
        let reading = match Reader::lenient().with_limits(LIMITS).read(text) {
            Ok(reading) => reading,
            Err(why) => {
                let lines = SourceLines::of(text);
                return Self {
                    list: vec![Finding::of_diagnostic(&why, lines.line(why.line))],
                    is_unreadable: true,
                    ..found
                };
            }
        };
        let session = &reading.session;
        let line = |number: usize| session.line(number - 1).map(|line| line.text()).unwrap_or_default();
        found.list.extend(
            reading.diagnostics.iter().map(|diagnostic| Finding::of_diagnostic(diagnostic, line(diagnostic.line))),
        );
        found.hidden = reading.unreported;
        let hides_deviation = || Reader::strict().with_limits(LIMITS).read(text).is_err_and(|why| counts(&why));
        if reading.unreported > 0 && hides_deviation() {
            found.hidden_severity = Severity::Deviation;
        }
        typed(session, &reading.diagnostics, |diagnostic| {
            found.add(diagnostic.rule.severity(), || Finding::of_diagnostic(&diagnostic, line(diagnostic.line)));
        });
        for finding in lint(session) {
            found.add(finding.severity(), || Finding::of_lint(&finding, session));
        }
        // The sort is stable: the findings of the reader come first, those of lint last.
        found.list.sort_by_key(|finding| finding.line);
        found
    }

    /// Adds a finding as long as there is room. Findings beyond the limit still count.
    fn add(&mut self, severity: Severity, make: impl FnOnce() -> Finding) {
        if self.list.len() < LIMITS.diagnostics {
            self.list.push(make());
        } else {
            self.hidden += 1;
            self.hidden_severity = self.hidden_severity.max(severity);
        }
    }

    fn count(&self, is_counted: impl Fn(Severity) -> bool) -> usize {
        self.list.iter().filter(|finding| is_counted(finding.severity)).count()
    }

    /// Returns whether there is nothing but remarks.
    fn is_clean(&self) -> bool {
        self.hidden_severity == Severity::Remark && self.count(|severity| severity > Severity::Remark) == 0
    }

    fn exit(&self) -> Exit {
        let is_negative = self.hidden_severity >= self.fails || self.count(|severity| severity >= self.fails) > 0;
        match (self.is_unreadable, is_negative) {
            (true, _) => Exit::CouldNotRun,
            (false, false) => Exit::Success,
            (false, true) => Exit::Negative,
        }
    }
}

fn counts(finding: &Diagnostic) -> bool {
    finding.rule.severity() >= Severity::Deviation
}

pub(super) const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Remark => "remark",
        Severity::Warning => "warning",
        Severity::Deviation => "deviation",
        Severity::Fatal => "error",
    }
}

/// Parses every attribute once, and passes each error on.
fn typed(session: &Session<'_>, reported: &[Diagnostic], mut add: impl FnMut(Diagnostic)) {
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
            let at = line.span().map_or(0, |span| span.start) + column - 1;
            let span = Span::new(at, at + usize::from(error.found.is_some()));
            let rule = Rule::Value { kind: line.kind(), error };
            add(Diagnostic { line: number, column, span, rule });
        };
        match line.typed() {
            Some(Err(error)) if !is_reported => add(error),
            // Deployed endpoints write more than the grammars allow.
            Some(Ok(_) | Err(_)) | None => line.deviations().for_each(|(_, error)| add(error)),
        }
    }
}

/// Arguments of `portolan sdp check`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Fail at warnings, too
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
RFC. It checks what lines say together: formats, groups and bundles, ICE, DTLS, SCTP and simulcast
(docs/sdp-rules.md). A deviation is forbidden by its RFC. A warning is discouraged, or forbidden
although endpoints handle it. A remark (a bare LF, no c=) is allowed.

{}

Examples:
  portolan sdp check offer.sdp
  curl -s https://device.example/session.sdp | portolan sdp check --format json
  portolan sdp check --strict offer.sdp && echo 'no deviation and no warning'",
        exit::help("sdp check")
    )
}

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let file = args.input.file();
    let text = input::bytes(file)?;
    let found = Findings::of(&text, args.strict);
    let source = Source::of(file);
    output::print(&match args.format {
        DocumentFormat::Human => human(&source, &text, &found, wrap::width_for_findings()),
        DocumentFormat::Json => json(&source, &found),
    })?;
    Ok(found.exit())
}

/// Formats `offer.sdp:3:3: deviation: s= is empty (RFC 8866 §5.3)`, the line, a caret and the hint, wrapped at `width`.
fn human(source: &Source, text: &[u8], found: &Findings, width: usize) -> String {
    let mut out = String::new();
    let lines = SourceLines::of(text);
    for finding in &found.list {
        // Writing to a string cannot fail.
        let _ = write_finding(finding, source, lines.line(finding.line), width, &mut out);
    }
    let kinds = [Severity::Deviation, Severity::Warning, Severity::Remark];
    let numbers = kinds.map(|kind| (found.count(|severity| severity == kind), word(kind)));
    let counted = numbers.iter().filter(|(number, _)| *number > 0);
    let mut parts: Vec<String> = counted.map(|(number, word)| excerpt::count(*number, word)).collect();
    if found.is_clean() {
        parts.insert(0, "clean".to_owned());
    }
    if found.hidden > 0 {
        parts.push(format!("and {} more not shown", found.hidden));
    }
    let summary = match found.is_unreadable {
        true => format!("{source}: not readable as a session description"),
        false => format!("{source}: {}", parts.join(", ")),
    };
    out.push_str(&wrap::to_width(&summary, width));
    out
}

fn write_finding(finding: &Finding, source: &Source, text: &[u8], width: usize, out: &mut String) -> fmt::Result {
    let Finding { line, column, span, severity, message, clause, hint, .. } = finding;
    let head = format!("{source}:{line}:{column}: {}: {message} ({clause})", word(*severity));
    out.push_str(&wrap::to_width(&head, width));
    excerpt::write((*line, *column), span.len(), text, Some(hint), width, out)
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
    #[serde(skip_serializing_if = "Option::is_none")]
    mid: Option<String>,
}

fn json(source: &Source, found: &Findings) -> String {
    let findings = found.list.iter().cloned().map(|finding| JsonFinding {
        line: finding.line,
        column: finding.column,
        offset: finding.span.start,
        length: finding.span.len(),
        severity: word(finding.severity),
        rule: finding.rule,
        message: finding.message,
        rfc: finding.clause.to_string(),
        hint: finding.hint,
        mid: finding.mid,
    });
    let document = Document {
        schema: SCHEMA,
        file: source.to_string(),
        readable: !found.is_unreadable,
        clean: !found.is_unreadable && found.is_clean(),
        findings: findings.collect(),
        untold: found.hidden,
    };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests;
