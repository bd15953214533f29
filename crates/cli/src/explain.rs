//! `portolan explain`: explains each byte of a message, with the RFC section and the errors.
//!
//! The input is hexadecimal, base64, raw bytes, the output of tcpdump, or a capture. The bytes alone decide which: a
//! capture begins with a magic number, hexadecimal and base64 are printable text, and a STUN message is neither. Bytes
//! that are one whole packet are read like a packet of a capture. `portolan-stun` explains the messages; this file only
//! finds them.

mod capture;
mod finder;
mod frame;
mod message;
pub(crate) mod report;
mod stream;
mod tcpdump;
mod text;

use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
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

/// The longest input, in bytes. The input is kept in memory, and captures of calls are shorter.
const LIMIT: u64 = 1 << 30;

/// Arguments of `portolan explain`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct ExplainArgs {
    /// The file to read; `-` or nothing: standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The bytes in hexadecimal; all words after --hex belong to the input
    #[arg(long, value_name = "HEX", num_args = 1.., conflicts_with = "file")]
    pub(crate) hex: Vec<String>,
    /// The format of the explanation
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: DocumentFormat,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The command detects the kind of input: hexadecimal (with spaces, colons, commas, 0x; dumps of xxd,
hexdump -C, od -A x -t x1 and Wireshark with their offsets; an empty line begins another message),
base64, raw bytes, the output of tcpdump -x, -xx, -X and -XX, and captures in pcap or pcapng format.
In packets, each STUN message over UDP or TCP is explained with its packet, time and addresses.
ChannelData of TURN is explained between endpoints that exchanged STUN, and on the ports of STUN.
Bytes that are exactly one Ethernet frame or IP packet are read as a packet; padding and frame check
sequence may follow. A dump with a missing line is rejected.

{}

Examples:
  portolan explain --hex 000100002112a442000102030405060708090a0b
  tcpdump -w - -c 20 udp port 3478 | portolan explain
  tcpdump -n -X -c 20 udp port 3478 | portolan explain
  portolan explain call.pcapng --format json",
        exit::help("explain")
    )
}

/// Why the input has no message to explain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error("cannot read {file}: {why}; name a file, or - for standard input")]
    Read { file: Box<str>, why: io::Error },
    #[error("the input is empty; give --hex HEX, a file, or bytes on standard input")]
    Empty,
    #[error("the input is longer than 1 GiB; cut the capture, for example with a filter on port 3478")]
    TooLong,
    #[error("{hex}; nor is it base64: {base64}; give hexadecimal, base64, raw bytes or a capture")]
    Encoding { hex: TextError, base64: TextError },
    #[error("{0}; for other text give a file")]
    Hex(TextError),
    #[error("{0}: lines of the dump are missing or out of order; give the whole dump")]
    Gap(TextError),
    #[error("{0}, nor the heading of a packet as tcpdump prints it")]
    TcpdumpText(TextError),
    #[error("not a capture that can be read: {0}; save it as pcap or pcapng again")]
    Capture(CaptureError),
    #[error(
        "no STUN message in the input's {packets} packet(s) ({skipped} could not be read: fragments, link types other than \
         Ethernet, cooked, loopback and IP, or neither UDP nor TCP); capture both ends of a call from its beginning"
    )]
    NoMessage { packets: u64, skipped: u64 },
}

impl CommandError for ExplainError {}

impl ExplainError {
    /// Returns [`Self::Gap`] for a gap in the offsets, and `other` for every other error.
    fn of(why: TextError, other: fn(TextError) -> Self) -> Self {
        if matches!(why, TextError::Gap { .. }) { Self::Gap(why) } else { other(why) }
    }
}

/// Reads the input, finds the messages and prints the explanation.
pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let found = if args.hex.is_empty() {
        find(&read(args.file.as_deref())?)?
    } else {
        let messages = text::hex(&args.hex.join(" ")).map_err(|why| ExplainError::of(why, ExplainError::Hex))?;
        find_in_bytes("hex", messages)?
    };
    let (output_text, wrong) = match args.format {
        DocumentFormat::Human => report::human(&found),
        DocumentFormat::Json => report::json(&found),
    };
    output::print(&output_text)?;
    if let Some(why) = &found.torn {
        output::print_diagnostic(format_args!("the capture ends early: {why}; the packets before are explained"));
    }
    Ok(if wrong { Exit::Negative } else { Exit::Success })
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
        Ok(_) => Err(ExplainError::TooLong),
        Err(why) => {
            let file = file.map_or("standard input".into(), |file| file.display().to_string().into());
            Err(ExplainError::Read { file, why })
        }
    }
}

/// Detects the kind of input and finds the messages.
fn find(bytes: &[u8]) -> Result<Found, ExplainError> {
    if capture::is_capture(bytes) {
        return find_in_capture(bytes);
    }
    let Some(text) = text::as_text(bytes) else {
        return find_in_bytes("binary", vec![bytes.to_vec()]);
    };
    if let Some(packets) = tcpdump::packets(text) {
        return find_in_tcpdump(&packets.map_err(|why| ExplainError::of(why, ExplainError::TcpdumpText))?);
    }
    match (text::hex(text), text::base64(text)) {
        (Ok(messages), _) => find_in_bytes("hex", messages),
        // Text of white space and digits can also be base64, so a gap must be reported first.
        (Err(why @ TextError::Gap { .. }), _) => Err(ExplainError::Gap(why)),
        (Err(_), Ok(message)) => find_in_bytes("base64", vec![message]),
        (Err(hex), Err(base64)) => Err(ExplainError::Encoding { hex, base64 }),
    }
}

/// Takes the bytes as messages or streams of messages; if all of them are whole packets, takes them as packets.
fn find_in_bytes(source: &'static str, messages: Vec<Vec<u8>>) -> Result<Found, ExplainError> {
    let frames: Option<Vec<_>> = messages.iter().map(|bytes| Frame::of(bytes)).collect();
    if let Some(frames) = frames.filter(|frames| !frames.is_empty()) {
        let mut finder = Finder::default();
        for ((frame, packet), number) in frames.into_iter().zip(1..) {
            let packet = Packet { number, time: None, inside: Some(packet), is_cut: false };
            finder.add_packet_from(&packet, &Origin::Frame(frame));
        }
        return found_in_packets(source, finder, None);
    }
    let filled = messages.iter().filter(|bytes| !bytes.is_empty());
    let messages: Vec<Message> = filled.flat_map(|bytes| stream::split(bytes)).map(Message::alone).collect();
    if messages.is_empty() {
        return Err(ExplainError::Empty);
    }
    Ok(Found { source, messages, ..Found::default() })
}

fn find_in_capture(bytes: &[u8]) -> Result<Found, ExplainError> {
    let mut finder = Finder::default();
    let read = capture::packets(bytes, |packet| finder.add_packet(&packet));
    match read {
        Err(why) if finder.counts().0 == 0 => Err(ExplainError::Capture(why)),
        read => found_in_packets("capture", finder, read.err()),
    }
}

/// Finds the messages in the packets that tcpdump printed.
fn find_in_tcpdump(packets: &[tcpdump::Printed]) -> Result<Found, ExplainError> {
    let mut finder = Finder::default();
    for (tcpdump::Printed { heading, bytes }, number) in packets.iter().zip(1..) {
        let (inside, is_cut) = frame::printed(bytes).map_or((None, false), |(inside, is_cut)| (Some(inside), is_cut));
        let packet = Packet { number, time: None, inside, is_cut };
        finder.add_packet_from(&packet, &Origin::Heading(heading.as_str().into()));
    }
    found_in_packets("tcpdump", finder, None)
}

/// Returns the messages of packets, or an error if there is none.
fn found_in_packets(source: &'static str, finder: Finder, torn: Option<CaptureError>) -> Result<Found, ExplainError> {
    let (packets, skipped) = finder.counts();
    let messages = finder.into_messages();
    if messages.is_empty() {
        return Err(ExplainError::NoMessage { packets, skipped });
    }
    Ok(Found { source, messages, packets, skipped, torn })
}

#[cfg(test)]
mod tests;
