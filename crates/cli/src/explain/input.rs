//! The input in parts as they arrive: a file or standard input, perhaps compressed with gzip.
//!
//! A thread reads, so that a signal can end the command while it waits for a pipe. The thread ends with the process.

use super::ExplainError;
use crate::dissect::claims_stun;
use crate::output;
use flate2::read::MultiGzDecoder;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::thread;
use tokio::sync::mpsc;

/// The input.
#[derive(Debug)]
pub(super) struct Input {
    name: Box<str>,
    parts: mpsc::Receiver<Result<Vec<u8>, ReadError>>,
}

/// Why the input ended early.
#[derive(Debug)]
enum ReadError {
    Io(io::Error),
    Gzip,
}

/// The next part of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Bytes(Vec<u8>),
    End,
    /// The gzip stream is cut off or malformed.
    Torn,
}

/// The length of a part, in bytes.
const PART: usize = 1 << 16;

/// The number of bytes that show whether the input is compressed, and whether it is a capture.
const START: usize = 8;

impl Input {
    /// Opens a file, or standard input. If standard input is a terminal, a line on standard error says that the command
    /// waits.
    pub(super) fn open(file: Option<&Path>) -> Result<Self, ExplainError> {
        let file = file.filter(|file| *file != Path::new("-"));
        let name: Box<str> = file.map_or("standard input".into(), |file| file.display().to_string().into());
        let opened = match file.map(std::fs::File::open).transpose() {
            Ok(opened) => opened,
            Err(why) => return Err(ExplainError::Read { file: name, why }),
        };
        if opened.is_none() {
            output::announce_terminal_input("hexadecimal or base64");
        }
        let (sender, parts) = mpsc::channel(4);
        thread::spawn(move || {
            let end = match opened {
                Some(file) => forward(file, &sender),
                None => forward(io::stdin().lock(), &sender),
            };
            // An error here means that nothing reads the parts any more.
            let _ = end.map_err(|why| sender.blocking_send(Err(why)));
        });
        Ok(Self { name, parts })
    }

    /// Returns the next part. This method is cancellation safe.
    pub(super) async fn next(&mut self) -> Result<Part, ExplainError> {
        match self.parts.recv().await {
            Some(Ok(bytes)) => Ok(Part::Bytes(bytes)),
            Some(Err(ReadError::Gzip)) => Ok(Part::Torn),
            Some(Err(ReadError::Io(why))) => Err(ExplainError::Read { file: self.name.clone(), why }),
            None => Ok(Part::End),
        }
    }

    /// Returns the first bytes: at least those that show the kind of input, if there are so many.
    pub(super) async fn start(&mut self) -> Result<Vec<u8>, ExplainError> {
        let mut bytes = vec![];
        while bytes.len() < START {
            match self.next().await? {
                Part::Bytes(more) => bytes.extend(more),
                Part::Torn => return Err(ExplainError::Gzip),
                Part::End => break,
            }
        }
        Ok(bytes)
    }

    /// Adds the rest of the input to its start, up to `most` bytes.
    pub(super) async fn rest(&mut self, mut bytes: Vec<u8>, most: usize) -> Result<Vec<u8>, ExplainError> {
        loop {
            match self.next().await? {
                Part::Bytes(more) if bytes.len() + more.len() > most => return Err(ExplainError::TooLong),
                Part::Bytes(more) => bytes.extend(more),
                Part::Torn => return Err(ExplainError::Gzip),
                Part::End => return Ok(bytes),
            }
        }
    }
}

/// Sends the input in parts, decompressed if it is compressed, until it ends or nothing receives the parts any more.
fn forward(mut from: impl Read, to: &mpsc::Sender<Result<Vec<u8>, ReadError>>) -> Result<(), ReadError> {
    let mut start = vec![];
    from.by_ref().take(START as u64).read_to_end(&mut start).map_err(ReadError::Io)?;
    if start.len() < START {
        // At a terminal, reading after the end would wait for more.
        return send_parts(start.as_slice(), to).map_err(ReadError::Io);
    }
    let is_compressed = start.starts_with(&[0x1f, 0x8b, 8]) && !claims_stun(&start);
    let all = io::Cursor::new(start).chain(from);
    if is_compressed {
        let is_of_stream = [ErrorKind::InvalidInput, ErrorKind::InvalidData, ErrorKind::UnexpectedEof];
        send_parts(MultiGzDecoder::new(all), to)
            .map_err(|why| if is_of_stream.contains(&why.kind()) { ReadError::Gzip } else { ReadError::Io(why) })
    } else {
        send_parts(all, to).map_err(ReadError::Io)
    }
}

fn send_parts(mut from: impl Read, to: &mpsc::Sender<Result<Vec<u8>, ReadError>>) -> io::Result<()> {
    loop {
        let mut part = vec![0; PART];
        match from.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                part.truncate(length);
                if to.blocking_send(Ok(part)).is_err() {
                    return Ok(());
                }
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}
