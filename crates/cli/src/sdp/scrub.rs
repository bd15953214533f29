//! `portolan sdp scrub`: removes personal data from a description, so that it can be published.

use super::input::{self, Input};
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::output;
use clap::Args;

/// Arguments of `portolan sdp scrub`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct ScrubArgs {
    #[command(flatten)]
    pub(crate) input: Input,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
Replaced: addresses and names of hosts, users and sessions, links, mail addresses, phone numbers,
ICE and DTLS credentials, fingerprints, keys, names of streams, and the values of attributes that
are not known to be harmless. Equal things stay equal; lengths stay where a grammar counts them.
Kept: ports, priorities, payload types, SSRCs, the numbers of o=, codecs, and the order of all lines,
so that the description can still be matched with a capture.

{}

Examples:
  portolan sdp scrub offer.sdp > for-the-bug-report.sdp
  portolan sdp scrub < answer.sdp | portolan sdp check",
        exit::help("sdp scrub")
    )
}

pub(super) fn run(args: &ScrubArgs) -> Result<Exit, Failure> {
    let file = args.input.file();
    let bytes = input::bytes(file)?;
    let session = input::session(file, &bytes)?;
    output::write(&portolan_sdp::scrub::scrub(&session).to_bytes())?;
    Ok(Exit::Success)
}
