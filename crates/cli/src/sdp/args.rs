//! The command line of `portolan sdp …`, and the help that teaches it.

use super::answer::CodecName;
use crate::args::Whole;
use clap::{Args, Subcommand};
use core::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What to do with a session description.
#[derive(Debug, Subcommand)]
pub(crate) enum Sdp {
    /// Say what each line means, who says so, and what cannot be read
    #[command(after_long_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// Find what is not as the RFCs have it: place, line, rule and hint
    #[command(after_long_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Turn a description into JSON, and JSON back into the very bytes
    #[command(after_long_help = JSON_HELP)]
    Json(JsonArgs),
    /// Tell what changed from one description to another, by meaning
    #[command(after_long_help = DIFF_HELP)]
    Diff(DiffArgs),
    /// Replace addresses, names and secrets, the same by the same, so that it can be shown to strangers
    #[command(after_long_help = SCRUB_HELP)]
    Scrub(ScrubArgs),
    /// Answer an offer as an endpoint with common codecs would, and say why
    #[command(after_long_help = ANSWER_HELP)]
    Answer(AnswerArgs),
    /// Find what of an answer does not go with its offer
    #[command(after_long_help = VALIDATE_HELP)]
    Validate(ValidateArgs),
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

/// Arguments of `portolan sdp explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// How to write the explanation
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Whole,
}

/// Arguments of `portolan sdp diff`.
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// The description before; `-`: standard input
    #[arg(value_name = "WAS")]
    pub(crate) was: PathBuf,
    /// The description now; `-`: standard input
    #[arg(value_name = "IS")]
    pub(crate) is: PathBuf,
    /// How to write what changed
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Whole,
}

/// Arguments of `portolan sdp validate`.
#[derive(Args, Debug)]
pub(crate) struct ValidateArgs {
    /// The offer; `-`: standard input
    #[arg(value_name = "OFFER")]
    pub(crate) offer: PathBuf,
    /// The answer to it; `-`: standard input
    #[arg(value_name = "ANSWER")]
    pub(crate) answer: PathBuf,
    /// How to write what is found
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Whole,
}

/// Arguments of `portolan sdp answer`.
#[derive(Args, Debug)]
pub(crate) struct AnswerArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Take these codecs only: opus, G722, PCMU, PCMA, red, telephone-event, VP8, VP9, H264, AV1, H265
    ///
    /// Retransmission (rtx) goes with video. H264 is answered with packetization-mode 1 in the constrained baseline profile,
    /// VP9 in profile 0.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) codec: Vec<CodecName>,
    /// Take no data channels
    #[arg(long)]
    pub(crate) no_data: bool,
    /// Receive only
    #[arg(long)]
    pub(crate) receive_only: bool,
    /// Take plain RTP without ICE and DTLS, at this address and port, each section two ports further
    #[arg(long, value_name = "ADDR:PORT", conflicts_with_all = ["ufrag", "pwd", "fingerprint", "candidate"])]
    pub(crate) plain: Option<SocketAddr>,
    /// The ICE user name to answer with; without it a placeholder that no agent may use
    #[arg(long, value_name = "UFRAG", default_value = "0000")]
    pub(crate) ufrag: String,
    /// The ICE password to answer with, 22 characters at least; without it a placeholder
    #[arg(long, value_name = "PWD", default_value = "0000000000000000000000")]
    pub(crate) pwd: String,
    /// The certificate's hash to answer with, as after `a=fingerprint:`; without it a placeholder of zeros
    #[arg(long, value_name = "HASH", default_value = NO_FINGERPRINT, hide_default_value = true)]
    pub(crate) fingerprint: String,
    /// A candidate to answer with, as after `a=candidate:`; for several say it several times
    #[arg(long, value_name = "CANDIDATE")]
    pub(crate) candidate: Vec<String>,
}

/// The hash of no certificate.
const NO_FINGERPRINT: &str =
    "sha-256 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00";

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

const EXPLAIN_HELP: &str = "\
Exit codes: 0 every line can be read, 1 some cannot (see the carets), 2 this is no description.

Examples:
  portolan sdp explain offer.sdp
  portolan sdp explain --format json < answer.sdp | jq -r '.lines[] | select(.wrong) | .text'";

const DIFF_HELP: &str = "\
Media sections are matched by their mid, else by their place; codecs by what they are, not by their
payload types; spelling and the order of attributes make no difference.

Exit codes: 0 nothing changed, 1 something did, 2 one of them could not be read.

Examples:
  portolan sdp diff offer-1.sdp offer-2.sdp
  portolan sdp scrub offer.sdp | portolan sdp diff offer.sdp -";

const ANSWER_HELP: &str = "\
The answer goes to standard output, and what became of each section, and why, to standard error.
The answer is not ready for use as it is: user name, password and certificate are placeholders,
and no candidate is in it, unless they are given with --ufrag, --pwd, --fingerprint and
--candidate. Candidates go into the first section, whose transport a bundle shares.
The rules are those of RFC 3264 and, without --plain, of WebRTC (RFC 9429).

Exit codes: 0 answered, 1 every section is refused, 2 there is no answer.

Examples:
  portolan sdp answer offer.sdp
  portolan sdp answer --codec opus,VP8 --no-data offer.sdp > answer.sdp
  portolan sdp answer --plain 192.0.2.7:5004 invite.sdp | portolan sdp explain
  portolan sdp answer --ufrag EsAw --pwd bP+XJMM09aR8AiX1jdukzR6Y \\
    --candidate '1 1 UDP 2130706431 192.0.2.7 5004 typ host' offer.sdp";

const VALIDATE_HELP: &str = "\
Told is each MUST of RFC 3264 and of WebRTC (RFC 9429, BUNDLE, ICE, DTLS, simulcast) that the two
show to be broken, at the section of the answer, or at the line of either that cannot be read.

Exit codes: 0 the answer goes with the offer, 1 it does not, 2 one of them could not be read.

Examples:
  portolan sdp validate offer.sdp answer.sdp
  portolan sdp answer offer.sdp | portolan sdp validate offer.sdp - --format json";

const CHECK_HELP: &str = "\
Lines and their order are held to RFC 8866, attributes each to its own RFC, candidates to the
letter of RFC 8839 and RFC 6544. A remark (a bare LF,
no c=) is allowed by its RFC and does not count.

Exit codes: 0 clean, 1 deviations, 2 it could not be read as a session description.

Examples:
  portolan sdp check offer.sdp
  curl -s https://device.example/session.sdp | portolan sdp check --format json
  portolan sdp check --strict offer.sdp && echo 'as RFC 8866 has it'";

const JSON_HELP: &str = "\
Nothing is lost on the way: line endings, bytes that are no UTF-8 and lines that nobody knows come
back as they were. The format is docs/json.md, portolan.sdp/1.

Exit codes: 0 done, 2 it could not be read.

Examples:
  portolan sdp json offer.sdp | jq -r '.media[].lines[0].value'
  portolan sdp json offer.sdp | jq '.media |= map(select(.lines[0].value | test(\"^video\") | not))' |
    portolan sdp json --to-sdp > audio-only.sdp";

const SCRUB_HELP: &str = "\
What goes: addresses and names of hosts, users and sessions, links, mail addresses, phone numbers,
ICE and DTLS credentials, fingerprints, keys, names of streams, and the values of attributes that
are not known to be harmless. Equal things stay equal; lengths stay where a grammar counts them.
What stays: ports, priorities, payload types, SSRCs, the numbers of o=, codecs, and the order of
everything, so that it can still be matched with a capture.

Exit codes: 0 done, 2 it could not be read.

Examples:
  portolan sdp scrub offer.sdp > for-the-bug-report.sdp
  portolan sdp scrub < answer.sdp | portolan sdp check";
