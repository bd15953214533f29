//! `portolan sdp scrub`: a description that may be shown to strangers.

use super::input::{self, Input};
use crate::error::Failure;
use crate::exit::Exit;
use crate::output;
use clap::Args;

/// Arguments of `portolan sdp scrub`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct ScrubArgs {
    #[command(flatten)]
    pub(crate) input: Input,
}

const HELP: &str = "\
What goes: addresses and names of hosts, users and sessions, links, mail addresses, phone numbers,
ICE and DTLS credentials, fingerprints, keys, names of streams, and the values of attributes that
are not known to be harmless. Equal things stay equal; lengths stay where a grammar counts them.
What stays: ports, priorities, payload types, SSRCs, the numbers of o=, codecs, and the order of
everything, so that it can still be matched with a capture.

Exit codes: 0 done, 2 it could not be read.

Examples:
  portolan sdp scrub offer.sdp > for-the-bug-report.sdp
  portolan sdp scrub < answer.sdp | portolan sdp check";

pub(super) fn run(args: &ScrubArgs) -> Result<Exit, Failure> {
    let file = args.input.file();
    let bytes = input::bytes(file)?;
    let session = input::session(file, &bytes)?;
    output::write(&portolan_sdp::scrub::scrub(&session).to_bytes())?;
    Ok(Exit::Done)
}
