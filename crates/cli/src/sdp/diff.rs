//! `portolan sdp diff`: what changed from one description to another, by meaning.

use super::input;
use crate::error::Failure;
use crate::exit::Exit;
use crate::options::DocumentFormat;
use crate::output;
use clap::Args;
use core::fmt::{self, Write};
use portolan_sdp::diff::{Change, Place, diff};
use serde::Serialize;
use std::path::PathBuf;

const SCHEMA: &str = "portolan.sdp.diff/1";

/// Arguments of `portolan sdp diff`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct DiffArgs {
    /// The description before; `-`: standard input
    #[arg(value_name = "WAS")]
    pub(crate) was: PathBuf,
    /// The description now; `-`: standard input
    #[arg(value_name = "IS")]
    pub(crate) is: PathBuf,
    /// How to write what changed
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

const HELP: &str = "\
Media sections are matched by their mid, else by their place; codecs by what they are, not by their
payload types; spelling and the order of attributes make no difference.

Exit codes: 0 nothing changed, 1 something did, 2 one of them could not be read.

Examples:
  portolan sdp diff offer-1.sdp offer-2.sdp
  portolan sdp scrub offer.sdp | portolan sdp diff offer.sdp -";

pub(super) fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let (first, second) = (Some(args.was.as_path()), Some(args.is.as_path()));
    input::check_pair(&args.was, &args.is)?;
    let (was, is) = (input::bytes(first)?, input::bytes(second)?);
    let (was, is) = (input::session(first, &was)?, input::session(second, &is)?);
    let changes = diff(&was, &is);
    output::print(&match args.format {
        DocumentFormat::Human => human(&changes),
        DocumentFormat::Json => json(&changes),
    })?;
    Ok(if changes.is_empty() { Exit::Done } else { Exit::Wrong })
}

/// Changes of one place stand together under it.
fn human(changes: &[Change<'_>]) -> String {
    let mut out = String::new();
    for together in changes.chunk_by(|one, other| one.place == other.place) {
        let Some(Change { place, .. }) = together.first() else { continue };
        // Writing to a string cannot fail.
        let _ = tell(place, together, &mut out);
    }
    out
}

fn tell(place: &Place<'_>, together: &[Change<'_>], out: &mut String) -> fmt::Result {
    if let [Change { what, .. }] = together {
        return writeln!(out, "{place}: {what}");
    }
    writeln!(out, "{place}:")?;
    together.iter().try_for_each(|Change { what, .. }| writeln!(out, "  {what}"))
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    changes: Vec<JsonChange>,
}

#[derive(Serialize)]
struct JsonChange {
    /// Where in the first description; absent: before the media sections, or not there.
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
        let (what, text) = (change.what.name(), change.what.to_string());
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
    // Nothing in it can fail: no map has other keys than text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}
