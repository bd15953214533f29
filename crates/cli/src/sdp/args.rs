//! The command line of `portolan sdp …`, and the help that teaches it.

use crate::args::Whole;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// What to do with a session description.
#[derive(Debug, Subcommand)]
pub(crate) enum Sdp {
    /// Find what is not as the RFCs have it: place, line, rule and hint
    #[command(after_long_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Turn a description into JSON, and JSON back into the very bytes
    #[command(after_long_help = JSON_HELP)]
    Json(JsonArgs),
    /// Replace addresses, names and secrets, the same by the same, so that it can be shown to strangers
    #[command(after_long_help = SCRUB_HELP)]
    Scrub(ScrubArgs),
}

/// A description.
#[derive(Args, Debug)]
pub(crate) struct Input {
    /// The file to read; `-` or nothing: standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Input {
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Arguments of `portolan sdp check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Stop at the first deviation, as a strict reader does
    #[arg(long)]
    pub(crate) strict: bool,
    /// How to write what is found
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Whole,
}

/// Arguments of `portolan sdp json`.
#[derive(Args, Debug)]
pub(crate) struct JsonArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// The other way: read JSON, write the description
    #[arg(long)]
    pub(crate) to_sdp: bool,
}

/// Arguments of `portolan sdp scrub`.
#[derive(Args, Debug)]
pub(crate) struct ScrubArgs {
    #[command(flatten)]
    pub(crate) input: Input,
}

const CHECK_HELP: &str = "\
Lines and their order are held to RFC 8866, attributes each to its own RFC. A remark (a bare LF,
no c=) is allowed by its RFC and does not count.

Exit codes: 0 clean, 1 deviations, 2 it could not be read as a session description.

Examples:
  portolan sdp check offer.sdp
  curl -s https://device.example/session.sdp | portolan sdp check --format json
  portolan sdp check --strict offer.sdp && echo 'as RFC 8866 has it'";

const JSON_HELP: &str = "\
Nothing is lost on the way: line endings, bytes that are no UTF-8 and lines that nobody knows come back
as they were. The format is docs/json.md, portolan.sdp/1.

Exit codes: 0 done, 2 it could not be read.

Examples:
  portolan sdp json offer.sdp | jq -r '.media[].lines[0].value'
  portolan sdp json offer.sdp | jq '.media |= map(select(.lines[0].value | test(\"^video\") | not))' |
    portolan sdp json --to-sdp > audio-only.sdp";

const SCRUB_HELP: &str = "\
What goes: addresses and names of hosts, users and sessions, links, mail addresses, phone numbers,
ICE and DTLS credentials, fingerprints, keys, names of streams, and the values of attributes that are
not known to be harmless. Equal things stay equal, lengths stay where a grammar counts them.
What stays: ports, priorities, payload types, SSRCs, codecs, and the order of everything.

Exit codes: 0 done, 2 it could not be read.

Examples:
  portolan sdp scrub offer.sdp > for-the-bug-report.sdp
  portolan sdp scrub < answer.sdp | portolan sdp check";
