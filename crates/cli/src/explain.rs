//! `portolan explain`: what each byte of a message is, who says so, and what is wrong with it.
//!
//! Whatever is given is looked at: hexadecimal, base64, the bytes themselves, what tcpdump prints, or a capture. Which of
//! them it is is told by the bytes alone: a capture has its magic number, hexadecimal and base64 are text, and no STUN
//! message is. Bytes that are a whole packet are read as a capture of it would be. The explanations are those of
//! `portolan-stun`; this file only finds the messages.

mod capture;
mod finder;
mod frame;
mod tcpdump;
pub(crate) mod tell;
mod text;

use crate::args::{ExplainArgs, Whole};
use crate::error::Complaint;
use crate::exit::Exit;
use crate::output;
use alloc::sync::Arc;
use capture::{CaptureError, Packet};
use core::net::SocketAddr;
use finder::{Finder, claims_stun};
use frame::Frame;
use portolan_stun::framing;
use std::io::{self, Read};
use std::path::Path;
use text::TextError;

/// What is more than this is not read: no capture that a person asks about is larger, and all of it is kept in memory.
const LIMIT: u64 = 1 << 30;

/// One message, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    /// Its bytes.
    bytes: Vec<u8>,
    /// The packet that it ends in.
    place: Option<Place>,
    /// What is said of that packet.
    said: Option<Said>,
}

/// What is said of a packet that stands in no capture.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// The heading that tcpdump printed over it.
    Heading(Arc<str>),
    /// The bytes were a whole packet.
    Frame(Frame),
}

/// Where among packets a message was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The packet's number, from 1.
    packet: u64,
    /// When it was captured, in nanoseconds since 1970; not every format says so.
    time: Option<u64>,
    /// Who sent it to whom.
    flow: Flow,
    /// The capture holds only the front of it.
    is_cut: bool,
}

/// Who sends to whom, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flow {
    transport: Transport,
    from: SocketAddr,
    to: SocketAddr,
}

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Transport {
    Udp,
    Tcp,
}

/// What was found in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// What the input is.
    source: &'static str,
    /// The messages, in their order.
    pieces: Vec<Piece>,
    /// How many packets there are; 0 where the messages stand in none.
    packets: u64,
    /// How many of them could not be looked into: fragments, other link types, other protocols than UDP and TCP.
    skipped: u64,
    /// Where the capture ends before it should.
    torn: Option<CaptureError>,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
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

impl SourceError {
    /// A gap is told as such, everything else as what was expected there.
    fn of(why: TextError, other: fn(TextError) -> Self) -> Self {
        if matches!(why, TextError::Gap { .. }) { Self::Gap(why) } else { other(why) }
    }
}

/// Reads, finds, tells.
pub(crate) fn run(args: &ExplainArgs) -> Result<Exit, Complaint> {
    let found = if args.hex.is_empty() {
        find(&read(args.file.as_deref())?)?
    } else {
        let messages = text::hex(&args.hex.join(" ")).map_err(|why| SourceError::of(why, SourceError::Hex))?;
        direct("hex", messages)?
    };
    let (told, wrong) = match args.format {
        Whole::Human => tell::human(&found),
        Whole::Json => tell::json(&found),
    };
    output::print(&told)?;
    if let Some(why) = &found.torn {
        output::complain(format_args!("the capture ends early: {why}; what came before is told"));
    }
    Ok(if wrong { Exit::Wrong } else { Exit::Done })
}

fn read(file: Option<&Path>) -> Result<Vec<u8>, SourceError> {
    let file = file.filter(|file| *file != Path::new("-"));
    let mut bytes = vec![];
    let read = match file {
        Some(file) => std::fs::File::open(file).and_then(|opened| opened.take(LIMIT + 1).read_to_end(&mut bytes)),
        None => io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes),
    };
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= LIMIT) => Ok(bytes),
        Ok(_) => Err(SourceError::Long),
        Err(why) => {
            let file = file.map_or("standard input".into(), |file| file.display().to_string().into());
            Err(SourceError::Read { file, why })
        }
    }
}

/// Finds the messages in whatever this is.
fn find(bytes: &[u8]) -> Result<Found, SourceError> {
    if capture::is_capture(bytes) {
        return captured(bytes);
    }
    let Some(text) = text::as_text(bytes) else {
        return direct("binary", vec![bytes.to_vec()]);
    };
    if let Some(packets) = tcpdump::packets(text) {
        return printed(&packets.map_err(|why| SourceError::of(why, SourceError::Printed))?);
    }
    match (text::hex(text), text::base64(text)) {
        (Ok(messages), _) => direct("hex", messages),
        // White space and digits could be base64 too.
        (Err(why @ TextError::Gap { .. }), _) => Err(SourceError::Gap(why)),
        (Err(_), Ok(message)) => direct("base64", vec![message]),
        (Err(hex), Err(base64)) => Err(SourceError::Text { hex, base64 }),
    }
}

/// Bytes that are messages already, or streams of them; or whole packets, if all of them are.
fn direct(source: &'static str, messages: Vec<Vec<u8>>) -> Result<Found, SourceError> {
    let frames: Option<Vec<_>> = messages.iter().map(|bytes| Frame::of(bytes)).collect();
    if let Some(frames) = frames.filter(|frames| !frames.is_empty()) {
        let mut finder = Finder::default();
        for ((frame, packet), number) in frames.into_iter().zip(1..) {
            let packet = Packet { number, time: None, inside: Some(packet), is_cut: false };
            finder.look_with(&packet, &Said::Frame(frame));
        }
        return among(source, finder, None);
    }
    let pieces: Vec<Piece> = messages.iter().filter(|bytes| !bytes.is_empty()).flat_map(|bytes| cut(bytes)).collect();
    if pieces.is_empty() {
        return Err(SourceError::Empty);
    }
    Ok(Found { source, pieces, ..Found::default() })
}

/// One message, unless whole frames fill the bytes to their end: then it is a stream.
fn cut(bytes: &[u8]) -> Vec<Piece> {
    let (mut frames, mut rest) = (vec![], bytes);
    while let Ok(Some(frame)) = framing::next(rest) {
        frames.push(Piece::alone(frame.bytes));
        rest = rest.get(frame.taken..).unwrap_or_default();
    }
    if rest.is_empty() && frames.len() > 1 { frames } else { vec![Piece::alone(bytes)] }
}

fn captured(bytes: &[u8]) -> Result<Found, SourceError> {
    let mut finder = Finder::default();
    let read = capture::packets(bytes, |packet| finder.look(&packet));
    match read {
        Err(why) if finder.counts().0 == 0 => Err(SourceError::Capture(why)),
        read => among("capture", finder, read.err()),
    }
}

/// What tcpdump printed.
fn printed(packets: &[tcpdump::Printed]) -> Result<Found, SourceError> {
    let mut finder = Finder::default();
    for (tcpdump::Printed { heading, bytes }, number) in packets.iter().zip(1..) {
        let (inside, is_cut) = frame::printed(bytes).map_or((None, false), |(inside, is_cut)| (Some(inside), is_cut));
        let packet = Packet { number, time: None, inside, is_cut };
        finder.look_with(&packet, &Said::Heading(heading.as_str().into()));
    }
    among("tcpdump", finder, None)
}

/// What was found among packets.
fn among(source: &'static str, finder: Finder, torn: Option<CaptureError>) -> Result<Found, SourceError> {
    let (packets, skipped) = finder.counts();
    let pieces = finder.into_pieces();
    if pieces.is_empty() {
        return Err(SourceError::NoMessage { packets, skipped });
    }
    Ok(Found { source, pieces, packets, skipped, torn })
}

impl Piece {
    /// Bytes that stand in no packet.
    fn alone(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), place: None, said: None }
    }
}

#[cfg(test)]
mod tests;
