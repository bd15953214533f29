//! `portolan sdp check`: what is not as the RFCs have it, told the way a compiler does.
//!
//! Lines are held to RFC 8866 by the reader, the values of attributes to their own RFCs by reading each once.

use super::args::CheckArgs;
use super::{LIMITS, Source};
use crate::args::Whole;
use crate::error::Complaint;
use crate::exit::Exit;
use crate::output;
use core::fmt::{self, Write};
use portolan_sdp::diagnostic::{Rule, Severity};
use portolan_sdp::line::Kind;
use portolan_sdp::{Diagnostic, Reader, Session, Span};
use serde::Serialize;

const SCHEMA: &str = "portolan.sdp.check/1";

/// How many bytes of a long line are shown before and behind the place that is meant.
const AROUND: usize = 60;

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
        let Some(Err(error)) = line.typed() else { continue };
        if values.peek() == Some(&number) {
            continue;
        }
        if found.told.len() >= room {
            found.untold += 1;
            continue;
        }
        let at = line.span().map_or(0, |span| span.start) + error.column - 1;
        let span = Span::new(at, at + usize::from(error.error.found.is_some()));
        let rule = Rule::Value { kind: Kind::Attribute, error: error.error };
        found.told.push(Diagnostic { line: number, column: error.column, span, rule });
    }
    found
}

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Complaint> {
    let file = args.input.file();
    let text = super::bytes(file)?;
    let found = Findings::of(&text, args.strict);
    let source = Source::of(file);
    output::print(&match args.format {
        Whole::Human => human(&source, &text, &found),
        Whole::Json => json(&source, &found),
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
    let window = Window::of(text, column.saturating_sub(1), span.len());
    let margin = line.to_string().len();
    writeln!(out, "{:margin$} |", "")?;
    writeln!(out, "{line} | {}", window.shown)?;
    writeln!(out, "{:margin$} | {:before$}{:^<length$}", "", "", "", before = window.before, length = window.length)?;
    writeln!(out, "{:margin$} = hint: {}\n", "", rule.hint())
}

/// The lines of a text, found once.
struct Texts<'a> {
    text: &'a [u8],
    starts: Vec<(usize, usize)>,
}

impl<'a> Texts<'a> {
    fn of(text: &'a [u8]) -> Self {
        let mut starts = vec![];
        let mut start = 0;
        while start < text.len() {
            let rest = text.get(start..).unwrap_or_default();
            let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            starts.push((start, start + length));
            let ending = match rest.get(length..) {
                Some([b'\r', b'\n', ..]) => 2,
                _ => 1,
            };
            start += length + ending;
        }
        Self { text, starts }
    }

    /// A line by its number from 1; nothing past the end, where something is missing.
    fn line(&self, number: usize) -> &'a [u8] {
        let found = number.checked_sub(1).and_then(|index| self.starts.get(index));
        found.and_then(|(start, end)| self.text.get(*start..*end)).unwrap_or_default()
    }
}

/// What is shown of a line, and what of it is meant, in columns of the terminal.
struct Window {
    shown: String,
    before: usize,
    length: usize,
}

impl Window {
    fn of(text: &[u8], at: usize, length: usize) -> Self {
        let at = at.min(text.len());
        let first = at.saturating_sub(AROUND);
        let last = text.len().min(at + AROUND);
        let meant = (at + length).clamp(at, last);
        let part = |from: usize, to: usize| visible(text.get(from..to).unwrap_or_default());
        let (before, meant, behind) = (part(first, at), part(at, meant), part(meant, last));
        let (open, close) = (if first > 0 { "…" } else { "" }, if last < text.len() { "…" } else { "" });
        Self {
            before: open.chars().count() + before.chars().count(),
            length: meant.chars().count().max(1),
            shown: format!("{open}{before}{meant}{behind}{close}"),
        }
    }
}

/// Text that does nothing to a terminal: control characters and what is no UTF-8 become one character each.
fn visible(bytes: &[u8]) -> String {
    let shown = |c: char| if c == '\t' || c.is_control() { '\u{b7}' } else { c };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
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
    hint: &'static str,
}

fn json(source: &Source, found: &Findings) -> String {
    let findings = found.told.iter().map(|finding| JsonFinding {
        line: finding.line,
        column: finding.column,
        offset: finding.span.start,
        length: finding.span.len(),
        severity: severity(finding),
        rule: finding.rule.name(),
        message: finding.rule.to_string(),
        rfc: finding.rule.clause().to_string(),
        hint: finding.rule.hint(),
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
