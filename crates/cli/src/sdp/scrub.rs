//! `portolan sdp scrub`: removes personal data from a description, so that it can be published.

use super::input::{self, Input, Source};
use crate::error::Failure;
use crate::exit::{self, Exit};
use crate::output;
use clap::Args;
use portolan_sdp::scrub::Scrubber;

/// The number of replaced lines that are listed.
const MOST_LINES: usize = 20;

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
so that the description can still be matched with a capture. Errors are kept too: sdp check reports
the same findings afterwards. Standard error lists the lines that cannot be read and are replaced as
a whole.

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
    let mut scrubber = Scrubber::new();
    output::write(&scrubber.scrub(&session).to_bytes())?;
    let (source, replaced) = (Source::of(file), scrubber.replaced_lines());
    for line in replaced.iter().take(MOST_LINES) {
        output::print_diagnostic(format_args!("{source}:{line}: the line cannot be read and is replaced as a whole"));
    }
    if let Some(more) = replaced.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        output::print_diagnostic(format_args!("{source}: {more} more lines cannot be read and are replaced"));
    }
    Ok(Exit::Success)
}
