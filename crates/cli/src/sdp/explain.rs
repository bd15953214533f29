//! `portolan sdp explain`: explains each line, with the RFC section and the errors.

use super::excerpt;
use super::input::{self, Input};
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use crate::wrap;
use clap::Args;
use core::fmt::Write;
use portolan_sdp::Session;
use portolan_sdp::explain::{Item, explain};
use serde::Serialize;

const SCHEMA: &str = "portolan.sdp.explain/1";

/// Arguments of `portolan sdp explain`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// The format of the explanation
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
{}

Examples:
  portolan sdp explain offer.sdp
  portolan sdp explain --format json < answer.sdp | jq -r '.lines[] | select(.wrong) | .text'",
        exit::help("sdp explain")
    )
}

pub(super) fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let file = args.input.file();
    let bytes = input::bytes(file)?;
    let session = input::session(file, &bytes)?;
    let wrong = explain(&session).filter(|item| item.value.is_err()).count();
    output::print(&match args.format {
        DocumentFormat::Human => human(&session, wrong, wrap::width_for_findings()),
        DocumentFormat::Json => json(&session),
    })?;
    Ok(if wrong == 0 { Exit::Success } else { Exit::Negative })
}

/// Formats the items. Meanings are wrapped at `width`. Lines are not wrapped, so that they can be copied.
fn human(session: &Session<'_>, wrong: usize, width: usize) -> String {
    let mut out = String::new();
    let mut media = None;
    for item in explain(session) {
        if item.media != media {
            out.push('\n');
            media = item.media;
        }
        write_item(&item, width, &mut out);
    }
    let count = session.line_count();
    let lines = format!("{count} line{}", if count == 1 { "" } else { "s" });
    let summary = match wrong {
        0 => format!("\n{lines}: all can be read."),
        1 => format!("\n{lines}: one cannot be read, see the caret."),
        wrong => format!("\n{lines}: {wrong} cannot be read, see the carets."),
    };
    out.push_str(&wrap::to_width(&summary, width));
    out
}

/// Writes an item: its line, the caret of an error, and its meaning. A line with a caret is cut around the caret, so that
/// the terminal does not break it.
fn write_item(item: &Item<'_>, width: usize, out: &mut String) {
    let printed = item.to_string();
    let (source, rest) = printed.split_once('\n').unwrap_or((&printed, ""));
    // The number of the line has at least four columns, and two spaces follow.
    let margin = (item.line.index() + 1).to_string().len().max(4) + 2;
    // Writing to a string cannot fail.
    let meaning = match rest.split_once('\n') {
        Some((caret, meaning)) => {
            let (number, text) = source.split_at_checked(margin).unwrap_or((source, ""));
            let column = caret.chars().count().saturating_sub(margin + 1);
            let (text, column) = excerpt::cut(text, column, width.saturating_sub(margin));
            let _ = writeln!(out, "{number}{text}\n{:1$}^", "", margin + column);
            meaning
        }
        None => {
            let _ = writeln!(out, "{source}");
            rest
        }
    };
    out.push_str(&wrap::to_width(meaning, width));
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    lines: Vec<JsonLine>,
}

#[derive(Serialize)]
struct JsonLine {
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<usize>,
    text: String,
    meaning: String,
    rfc: String,
    wrong: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl From<Item<'_>> for JsonLine {
    fn from(item: Item<'_>) -> Self {
        Self {
            line: item.line.index() + 1,
            media: item.media,
            text: item.line.to_string(),
            meaning: item.meaning().to_string(),
            rfc: item.clause().to_string(),
            wrong: item.value.is_err(),
            column: item.value.err().map(|error| error.column),
        }
    }
}

fn json(session: &Session<'_>) -> String {
    let document = Document { schema: SCHEMA, lines: explain(session).map(JsonLine::from).collect() };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}
