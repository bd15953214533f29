//! `portolan explain`: what each byte of a message is, who says so, and what is wrong with it.
//!
//! Whatever is given is looked at: hexadecimal, base64, the bytes themselves, what tcpdump prints, or a capture. Which of
//! them it is is told by the bytes alone: a capture has its magic number, hexadecimal and base64 are text, and no STUN
//! message is. Bytes that are a whole packet are read as a capture of it would be. The explanations are those of
//! `portolan-stun`; this file only finds the messages.

mod capture;
mod finder;
mod frame;
mod message;
pub(crate) mod report;
mod stream;
mod tcpdump;
mod text;

use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use crate::options::DocumentFormat;
use crate::output;
use capture::{CaptureError, Packet};
use clap::Args;
use finder::Finder;
use frame::Frame;
use message::{Found, Message, Origin};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use text::TextError;

/// What is more than this is not read: no capture that a person asks about is larger, and all of it is kept in memory.
const LIMIT: u64 = 1 << 30;

/// Arguments of `portolan explain`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct ExplainArgs {
    /// The file to read; `-` or nothing: standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The bytes themselves, in hexadecimal; what follows belongs together
    #[arg(long, value_name = "HEX", num_args = 1.., conflicts_with = "file")]
    pub(crate) hex: Vec<String>,
    /// How to write the explanation
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

const HELP: &str = "\
What is read, by itself: hexadecimal (with spaces, colons, commas, 0x; dumps of xxd, hexdump -C,
od -A x -t x1 and Wireshark with their offsets; an empty line begins another message), base64, the
bytes themselves, what tcpdump -x, -xx, -X and -XX print, and captures in pcap or pcapng format.
Of packets each STUN message over UDP or TCP is told with its packet, time and addresses, and the
ChannelData of TURN where STUN was seen between the same two or the port is that of STUN. Bytes
that are a whole Ethernet frame or IP packet, every length in it exact, are read as a packet too;
padding and check sequence of a frame may follow. A dump of which a line is missing is refused.

Exit codes: 0 nothing is wrong, 1 a message has something wrong, 2 nothing could be read.

Examples:
  portolan explain --hex 000100002112a442000102030405060708090a0b
  tcpdump -w - -c 20 udp port 3478 | portolan explain
  tcpdump -n -X -c 20 udp port 3478 | portolan explain
  portolan explain call.pcapng --format json";

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error("cannot read {file}: {why}; name a file, or - for standard input")]
    Read { file: Box<str>, why: io::Error },
    #[error("there is nothing to explain: the input is empty; give --hex HEX, a file, or bytes on standard input")]
    Empty,
    #[error("the input is longer than 1 GiB; cut the capture, for example with a filter on port 3478")]
    Long,
    #[error("{hex}; nor is it base64: {base64}; give hexadecimal, base64, the bytes themselves or a capture")]
    Text { hex: TextError, base64: TextError },
    #[error("{0}; for other text give a file")]
    Hex(TextError),
    #[error("{0}: lines of the dump are missing, or stand in another order; give all of it")]
    Gap(TextError),
    #[error("{0}, nor the heading of a packet as tcpdump prints it")]
    Printed(TextError),
    #[error("not a capture that can be read: {0}; save it as pcap or pcapng again")]
    Capture(CaptureError),
    #[error(
        "no STUN message in the input's {packets} packet(s) ({skipped} could not be looked into: fragments, link types other than \
         Ethernet, cooked, loopback and IP, or neither UDP nor TCP); capture both ends of a call from its beginning"
    )]
    NoMessage { packets: u64, skipped: u64 },
}

impl CommandError for ExplainError {}

impl ExplainError {
    /// A gap is told as such, everything else as what was expected there.
    fn of(why: TextError, other: fn(TextError) -> Self) -> Self {
        if matches!(why, TextError::Gap { .. }) { Self::Gap(why) } else { other(why) }
    }
}

/// Reads, finds, tells.
pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let found = if args.hex.is_empty() {
        find(&read(args.file.as_deref())?)?
    } else {
        let messages = text::hex(&args.hex.join(" ")).map_err(|why| ExplainError::of(why, ExplainError::Hex))?;
        direct("hex", messages)?
    };
    let (told, wrong) = match args.format {
        DocumentFormat::Human => report::human(&found),
        DocumentFormat::Json => report::json(&found),
    };
    output::print(&told)?;
    if let Some(why) = &found.torn {
        output::complain(format_args!("the capture ends early: {why}; what came before is told"));
    }
    Ok(if wrong { Exit::Wrong } else { Exit::Done })
}

fn read(file: Option<&Path>) -> Result<Vec<u8>, ExplainError> {
    let file = file.filter(|file| *file != Path::new("-"));
    let mut bytes = vec![];
    let read = match file {
        Some(file) => std::fs::File::open(file).and_then(|opened| opened.take(LIMIT + 1).read_to_end(&mut bytes)),
        None => io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes),
    };
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= LIMIT) => Ok(bytes),
        Ok(_) => Err(ExplainError::Long),
        Err(why) => {
            let file = file.map_or("standard input".into(), |file| file.display().to_string().into());
            Err(ExplainError::Read { file, why })
        }
    }
}

/// Finds the messages in whatever this is.
fn find(bytes: &[u8]) -> Result<Found, ExplainError> {
    if capture::is_capture(bytes) {
        return captured(bytes);
    }
    let Some(text) = text::as_text(bytes) else {
        return direct("binary", vec![bytes.to_vec()]);
    };
    if let Some(packets) = tcpdump::packets(text) {
        return printed(&packets.map_err(|why| ExplainError::of(why, ExplainError::Printed))?);
    }
    match (text::hex(text), text::base64(text)) {
        (Ok(messages), _) => direct("hex", messages),
        // White space and digits could be base64 too.
        (Err(why @ TextError::Gap { .. }), _) => Err(ExplainError::Gap(why)),
        (Err(_), Ok(message)) => direct("base64", vec![message]),
        (Err(hex), Err(base64)) => Err(ExplainError::Text { hex, base64 }),
    }
}

/// Bytes that are messages already, or streams of them; or whole packets, if all of them are.
fn direct(source: &'static str, messages: Vec<Vec<u8>>) -> Result<Found, ExplainError> {
    let frames: Option<Vec<_>> = messages.iter().map(|bytes| Frame::of(bytes)).collect();
    if let Some(frames) = frames.filter(|frames| !frames.is_empty()) {
        let mut finder = Finder::default();
        for ((frame, packet), number) in frames.into_iter().zip(1..) {
            let packet = Packet { number, time: None, inside: Some(packet), is_cut: false };
            finder.look_with(&packet, &Origin::Frame(frame));
        }
        return among(source, finder, None);
    }
    let filled = messages.iter().filter(|bytes| !bytes.is_empty());
    let messages: Vec<Message> = filled.flat_map(|bytes| stream::split(bytes)).map(Message::alone).collect();
    if messages.is_empty() {
        return Err(ExplainError::Empty);
    }
    Ok(Found { source, messages, ..Found::default() })
}

fn captured(bytes: &[u8]) -> Result<Found, ExplainError> {
    let mut finder = Finder::default();
    let read = capture::packets(bytes, |packet| finder.look(&packet));
    match read {
        Err(why) if finder.counts().0 == 0 => Err(ExplainError::Capture(why)),
        read => among("capture", finder, read.err()),
    }
}

/// What tcpdump printed.
fn printed(packets: &[tcpdump::Printed]) -> Result<Found, ExplainError> {
    let mut finder = Finder::default();
    for (tcpdump::Printed { heading, bytes }, number) in packets.iter().zip(1..) {
        let (inside, is_cut) = frame::printed(bytes).map_or((None, false), |(inside, is_cut)| (Some(inside), is_cut));
        let packet = Packet { number, time: None, inside, is_cut };
        finder.look_with(&packet, &Origin::Heading(heading.as_str().into()));
    }
    among("tcpdump", finder, None)
}

/// What was found among packets.
fn among(source: &'static str, finder: Finder, torn: Option<CaptureError>) -> Result<Found, ExplainError> {
    let (packets, skipped) = finder.counts();
    let messages = finder.into_messages();
    if messages.is_empty() {
        return Err(ExplainError::NoMessage { packets, skipped });
    }
    Ok(Found { source, messages, packets, skipped, torn })
}

#[cfg(test)]
mod tests;
