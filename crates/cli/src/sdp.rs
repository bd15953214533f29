//! `portolan sdp …`: session descriptions as text and as JSON.
//!
//! Each subcommand has its own file. `portolan-sdp` parses and interprets the description; these files read the input
//! and print the result. A description in pasted text is taken out of JSON, logs and quotations. Input is parsed
//! leniently, with limits for a local file, in time linear in its length.

mod answer;
mod check;
mod diff;
mod excerpt;
mod explain;
mod input;
mod json;
mod scrub;
mod validate;
mod wrapping;

use crate::error::Failure;
use crate::exit::Exit;
use clap::Subcommand;

/// The subcommands for session descriptions.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A description may be in a JSON object, in a string with \\r\\n, in a log line, in a quotation,
indented, in UTF-16, in base64 or in a URL: it is taken out, and standard error says so.")]
pub(crate) enum SdpCommand {
    /// Explain each line, with the RFC section, and mark lines that cannot be parsed
    Explain(explain::ExplainArgs),
    /// Check a description against the RFCs: place, line, rule and hint
    Check(check::CheckArgs),
    /// Convert a description to JSON, and JSON back to exactly the same bytes
    Json(json::JsonArgs),
    /// Compare two descriptions by meaning
    Diff(diff::DiffArgs),
    /// Replace addresses, names and secrets consistently, so that the description can be published
    Scrub(scrub::ScrubArgs),
    /// Answer an offer like an endpoint with common codecs, and explain the decisions
    Answer(answer::AnswerArgs),
    /// Check whether an answer conforms to its offer
    Validate(validate::ValidateArgs),
}

/// Runs one of the subcommands.
pub(crate) fn run(command: &SdpCommand) -> Result<Exit, Failure> {
    match command {
        SdpCommand::Explain(args) => explain::run(args),
        SdpCommand::Check(args) => check::run(args),
        SdpCommand::Json(args) => json::run(args),
        SdpCommand::Diff(args) => diff::run(args),
        SdpCommand::Scrub(args) => scrub::run(args),
        SdpCommand::Answer(args) => answer::run(args),
        SdpCommand::Validate(args) => validate::run(args),
    }
}
