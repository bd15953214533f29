//! `portolan sdp diff`: compares two descriptions by meaning.

use super::input;
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use crate::wrap;
use clap::Args;
use core::fmt::{self, Write};
use portolan_sdp::diff::{Change, Place, diff};
use serde::Serialize;
use std::path::PathBuf;

const SCHEMA: &str = "portolan.sdp.diff/1";

/// Arguments of `portolan sdp diff`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct DiffArgs {
    /// The first description; `-`: standard input
    #[arg(value_name = "WAS")]
    pub(crate) was: PathBuf,
    /// The second description; `-`: standard input
    #[arg(value_name = "IS")]
    pub(crate) is: PathBuf,
    /// The format of the differences
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
Media sections are matched by mid, otherwise by index. Codecs are matched by name and parameters, not
by payload type. Spelling and the order of attributes make no difference.

{}

Examples:
  portolan sdp diff offer-1.sdp offer-2.sdp
  portolan sdp scrub offer.sdp | portolan sdp diff offer.sdp -",
        exit::help("sdp diff")
    )
}

pub(super) fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let (first, second) = (Some(args.was.as_path()), Some(args.is.as_path()));
    input::check_pair(&args.was, &args.is)?;
    let (was, is) = (input::bytes(first)?, input::bytes(second)?);
    let (was, is) = (input::session(first, &was)?, input::session(second, &is)?);
    let changes = diff(&was, &is);
    output::print(&match args.format {
        DocumentFormat::Human => wrap::to_width(&human(&changes), wrap::width_for_findings()),
        DocumentFormat::Json => json(&changes),
    })?;
    Ok(if changes.is_empty() { Exit::Success } else { Exit::Negative })
}

/// Formats the changes, grouped by place.
fn human(changes: &[Change<'_>]) -> String {
    let mut out = String::new();
    for group in changes.chunk_by(|one, other| one.place == other.place) {
        let Some(Change { place, .. }) = group.first() else { continue };
        // Writing to a string cannot fail.
        let _ = write_changes(place, group, &mut out);
    }
    out
}

fn write_changes(place: &Place<'_>, group: &[Change<'_>], out: &mut String) -> fmt::Result {
    if let [Change { kind, .. }] = group {
        return writeln!(out, "{place}: {kind}");
    }
    writeln!(out, "{place}:")?;
    group.iter().try_for_each(|Change { kind, .. }| writeln!(out, "  {kind}"))
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    changes: Vec<JsonChange>,
}

#[derive(Serialize)]
struct JsonChange {
    /// The index in the first description; absent for the session, or if the section is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mid: Option<String>,
    what: &'static str,
    text: String,
}

impl From<&Change<'_>> for JsonChange {
    fn from(change: &Change<'_>) -> Self {
        let (what, text) = (change.kind.name(), change.kind.to_string());
        match change.place {
            Place::Session => Self { was: None, is: None, media: None, mid: None, what, text },
            Place::Media { was, is, media, mid } => {
                let media = Some(String::from_utf8_lossy(media).into_owned());
                Self { was, is, media, mid: mid.map(str::to_owned), what, text }
            }
        }
    }
}

fn json(changes: &[Change<'_>]) -> String {
    let document = Document { schema: SCHEMA, changes: changes.iter().map(JsonChange::from).collect() };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}
