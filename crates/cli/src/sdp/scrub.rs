//! `portolan sdp scrub`: a description that may be shown to strangers.

use super::args::ScrubArgs;
use crate::error::Complaint;
use crate::exit::Exit;
use crate::output;

pub(super) fn run(args: &ScrubArgs) -> Result<Exit, Complaint> {
    let file = args.input.file();
    let bytes = super::bytes(file)?;
    let session = super::session(file, &bytes)?;
    output::write(&portolan_sdp::scrub::scrub(&session).to_bytes())?;
    Ok(Exit::Done)
}
