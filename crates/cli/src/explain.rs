//! `portolan explain`: explains each byte of a message, with the RFC section and the errors.
//!
//! The input is hexadecimal, base64, raw bytes, the output of tcpdump, or a capture, perhaps compressed with gzip. The
//! bytes alone decide which: a capture begins with a magic number, hexadecimal and base64 are printable text, and a STUN
//! message is neither. Bytes that are one whole packet are read like a packet of a capture. A capture is explained while
//! its packets arrive. `portolan-stun` explains the messages; this file only finds them.

mod capture;
mod finder;
mod frame;
mod input;
mod message;
mod report;
mod stream;
mod summary;
mod tcpdump;
mod text;

use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output::{self, OutputError};
use crate::signals::StopSignal;
use crate::wrap;
use capture::{Capture, CaptureError, Packet};
use clap::Args;
use core::time::Duration;
use finder::Finder;
use frame::Frame;
use input::{Input, Part};
use message::{Found, Message, Origin};
use report::Human;
use std::io;
use std::path::PathBuf;
use summary::Summary;
use text::TextError;
use tokio::time::{Instant, sleep_until};

/// The longest input that is no capture, in bytes. Such an input is kept in memory.
const LIMIT: usize = 1 << 30;

/// The maximum time from a signal to the end of the input. The program before the pipe gets the same Ctrl-C, and then
/// writes its last packets.
const GRACE: Duration = Duration::from_secs(1);

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
    /// Print a table of transactions: request, response, round-trip time, retransmissions, error
    #[arg(long, conflicts_with = "deep")]
    pub(crate) summary: bool,
    /// Explain also the fields inside each attribute: family, port XOR cookie, error class
    #[arg(long)]
    pub(crate) deep: bool,
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
base64, raw bytes, the output of tcpdump -x, -xx, -X and -XX, and captures in pcap or pcapng format,
each of them perhaps compressed with gzip. A capture from a pipe is explained while packets arrive.
In packets, each STUN message over UDP or TCP is explained with its packet, time and addresses.
ChannelData of TURN is explained between endpoints that exchanged STUN, and on the ports of STUN.
Bytes that are exactly one Ethernet frame or IP packet are read as a packet; padding and frame check
sequence may follow. A dump with a missing line is rejected.

{}

Examples:
  portolan explain --hex 000100002112a442000102030405060708090a0b
  tcpdump -U -w - udp port 3478 | portolan explain
  portolan explain call.pcapng.gz --summary
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
    #[error("the input is longer than 1 GiB; give a part of it, or a capture")]
    TooLong,
    #[error("the gzip stream is cut off or malformed; compress the input again")]
    Gzip,
    #[error("neither STUN nor ChannelData was recognized; give a whole message, from its first byte")]
    Unrecognized,
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
pub(crate) async fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    if !args.hex.is_empty() {
        let messages = text::hex(&args.hex.join(" ")).map_err(|why| ExplainError::of(why, ExplainError::Hex))?;
        return print(args, find_in_bytes("hex", messages)?);
    }
    let mut input = Input::open(args.file.as_deref())?;
    let start = input.start().await?;
    if capture::is_capture(&start) {
        return explain_capture(args, input, start).await;
    }
    print(args, find(&input.rest(start, LIMIT).await?)?)
}

/// Prints the explanation of an input that was read completely.
fn print(args: &ExplainArgs, mut found: Found) -> Result<Exit, Failure> {
    let mut printer = Printer::new(args, found.messages.len() > 1);
    printer.add(core::mem::take(&mut found.messages))?;
    printer.end(found)
}

/// Explains the packets of a capture while they arrive. A signal ends the input.
async fn explain_capture(args: &ExplainArgs, mut input: Input, mut pending: Vec<u8>) -> Result<Exit, Failure> {
    let mut signal = StopSignal::register()?;
    let mut printer = Printer::new(args, true);
    let (mut capture, mut finder) = (Capture::default(), Finder::default());
    let mut deadline = None;
    let torn = loop {
        let read = capture.read(&pending, |packet| finder.add_packet(&packet));
        let has_reader = printer.add(finder.take_messages())?;
        match read {
            Err(why) => break Some(why),
            Ok(_) if !has_reader => break None,
            Ok(length) => drop(pending.drain(..length)),
        }
        let part = tokio::select! {
            part = input.next() => part?,
            () = signal.received() => {
                if deadline.is_some() {
                    break None;
                }
                deadline = Some(Instant::now() + GRACE);
                continue;
            }
            () = passed(deadline) => break None,
        };
        match part {
            Part::Bytes(bytes) => pending.extend(bytes),
            Part::Torn => break Some(CaptureError::Gzip { at: capture.at() + pending.len() }),
            // After a signal the last packet may be cut off.
            Part::End => break if deadline.is_some() { None } else { capture.end(&pending).err() },
        }
    };
    let (packets, skipped) = finder.counts();
    if let Some(why) = torn.filter(|_| packets == 0) {
        return Err(ExplainError::Capture(why).into());
    }
    printer.end(Found { source: "capture", packets, skipped, torn, ..Found::default() })
}

/// Waits for a deadline; without a deadline, forever.
async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => core::future::pending().await,
    }
}

/// Prints messages: one after the other, or all of them at the end.
struct Printer {
    is_deep: bool,
    /// Whether the output is JSON.
    is_json: bool,
    output: Output,
    /// The width of the terminal in columns.
    width: usize,
    count: usize,
    /// Whether a message is STUN or ChannelData.
    is_recognized: bool,
    is_wrong: bool,
}

/// What a printer prints.
enum Output {
    Text(Human),
    Document(Vec<Message>),
    Summary(Summary),
}

impl Printer {
    /// Returns a printer. A message without a packet has a heading if there are several.
    fn new(args: &ExplainArgs, has_headings: bool) -> Self {
        let output = match args.format {
            _ if args.summary => Output::Summary(Summary::default()),
            DocumentFormat::Human => Output::Text(Human::new(args.deep, has_headings)),
            DocumentFormat::Json => Output::Document(vec![]),
        };
        let is_json = args.format == DocumentFormat::Json;
        let width = wrap::width_for_findings();
        Self { is_deep: args.deep, is_json, output, width, count: 0, is_recognized: false, is_wrong: false }
    }

    /// Prints or keeps messages. Returns whether standard output still has a reader.
    fn add(&mut self, messages: Vec<Message>) -> Result<bool, OutputError> {
        let mut text = String::new();
        for message in messages {
            self.count += 1;
            self.is_recognized |= report::is_recognized(&message);
            self.is_wrong |= report::is_wrong_message(&message);
            match &mut self.output {
                Output::Text(human) => text.push_str(&wrap::to_width(&human.message(&message), self.width)),
                Output::Document(messages) => messages.push(message),
                Output::Summary(summary) => summary.add(&message),
            }
        }
        if text.is_empty() { Ok(true) } else { output::print_part(&text) }
    }

    /// Prints what is left. `found` has the kind of input and the counts of packets.
    fn end(self, mut found: Found) -> Result<Exit, Failure> {
        if self.count == 0 {
            return Err(ExplainError::NoMessage { packets: found.packets, skipped: found.skipped }.into());
        }
        output::print(&match self.output {
            Output::Text(human) => wrap::to_width(&human.end(&found), self.width),
            Output::Summary(summary) if self.is_json => summary::json(&summary, &found),
            Output::Summary(summary) => summary::human(&summary, self.width),
            Output::Document(messages) => {
                found.messages = messages;
                report::json(&found, self.is_deep)
            }
        })?;
        if let Some(why) = &found.torn {
            output::print_diagnostic(format_args!("the capture ends early: {why}; the packets before are explained"));
        }
        match (self.is_recognized, self.is_wrong) {
            (false, _) => Err(ExplainError::Unrecognized.into()),
            (true, true) => Ok(Exit::Negative),
            (true, false) => Ok(Exit::Success),
        }
    }
}

/// Detects the kind of input that is no capture, and finds the messages.
fn find(bytes: &[u8]) -> Result<Found, ExplainError> {
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
        return found_in_packets(source, finder);
    }
    let filled = messages.iter().filter(|bytes| !bytes.is_empty());
    let messages: Vec<Message> = filled.flat_map(|bytes| stream::split(bytes)).map(Message::alone).collect();
    if messages.is_empty() {
        return Err(ExplainError::Empty);
    }
    Ok(Found { source, messages, ..Found::default() })
}

/// Finds the messages in the packets that tcpdump printed.
fn find_in_tcpdump(packets: &[tcpdump::Printed]) -> Result<Found, ExplainError> {
    let mut finder = Finder::default();
    for (tcpdump::Printed { heading, bytes }, number) in packets.iter().zip(1..) {
        let (inside, is_cut) = frame::printed(bytes).map_or((None, false), |(inside, is_cut)| (Some(inside), is_cut));
        let packet = Packet { number, time: None, inside, is_cut };
        finder.add_packet_from(&packet, &Origin::Heading(heading.as_str().into()));
    }
    found_in_packets("tcpdump", finder)
}

/// Returns the messages of packets, or an error if there is none.
fn found_in_packets(source: &'static str, mut finder: Finder) -> Result<Found, ExplainError> {
    let (packets, skipped) = finder.counts();
    let messages = finder.take_messages();
    if messages.is_empty() {
        return Err(ExplainError::NoMessage { packets, skipped });
    }
    Ok(Found { source, messages, packets, skipped, torn: None })
}

#[cfg(test)]
mod tests;
