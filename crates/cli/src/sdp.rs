//! `portolan sdp …`: session descriptions for people and for programs.
//!
//! One file for each subcommand. What a description means is `portolan-sdp`'s; here stands how it gets in and out. Everything
//! is read leniently, with limits fit for a file of one's own, and costs time in proportion to its length.

mod answer;
mod check;
mod diff;
mod excerpt;
mod explain;
mod input;
mod json;
mod scrub;
mod validate;

use crate::error::Failure;
use crate::exit::Exit;
use clap::Subcommand;

/// What to do with a session description.
#[derive(Debug, Subcommand)]
pub(crate) enum SdpCommand {
    /// Say what each line means, who says so, and what cannot be read
    Explain(explain::ExplainArgs),
    /// Find what is not as the RFCs have it: place, line, rule and hint
    Check(check::CheckArgs),
    /// Turn a description into JSON, and JSON back into the very bytes
    Json(json::JsonArgs),
    /// Tell what changed from one description to another, by meaning
    Diff(diff::DiffArgs),
    /// Replace addresses, names and secrets, the same by the same, so that it can be shown to strangers
    Scrub(scrub::ScrubArgs),
    /// Answer an offer as an endpoint with common codecs would, and say why
    Answer(answer::AnswerArgs),
    /// Find what of an answer does not go with its offer
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
