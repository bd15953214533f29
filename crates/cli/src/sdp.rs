//! `portolan sdp …`: session descriptions for people and for programs.
//!
//! One file for each subcommand. What a description means is `portolan-sdp`'s; here stands how it gets in and out. Everything
//! is read leniently, with limits fit for a file of one's own, and costs time in proportion to its length.

mod answer;
pub(crate) mod args;
mod check;
mod diff;
mod excerpt;
mod explain;
mod json;
mod scrub;
mod validate;

use crate::error::Complaint;
use crate::exit::Exit;
use args::Sdp;
use core::fmt;
use portolan_sdp::offer_answer::AnswerError;
use portolan_sdp::{Diagnostic, Limits, Reader, Session};
use std::io::{self, Read};
use std::path::Path;

/// What is longer is not read: all of it is kept in memory.
const LIMIT: usize = 64 << 20;

/// How much a reader takes of a file that its user chose.
const LIMITS: Limits = Limits { bytes: LIMIT, lines: LIMIT, attributes: LIMIT, media: LIMIT, diagnostics: 1_000 };

/// Why a description could not be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SdpError {
    #[error("cannot read {file}: {why}; name a file, or - for standard input")]
    Read { file: Source, why: io::Error },
    #[error("{file} is longer than 64 MiB, which no session description is")]
    Long { file: Source },
    #[error("{file}:{}:{}: {} ({}); {}", .why.line, .why.column, .why.rule, .why.rule.clause(), .why.rule.hint())]
    Unreadable { file: Source, why: Diagnostic },
    #[error("standard input can be read only once: give one of the two as a file")]
    Twice,
    #[error("{file}: no answer: {why}")]
    Answer { file: Source, why: AnswerError },
    #[error("{file} is no JSON of portolan.sdp/1: {why}; write one with: portolan sdp json FILE")]
    Json { file: Source, why: serde_json::Error },
    #[error("{file}: {place} {why}")]
    Line { file: Source, place: json::Place, why: &'static str },
}

/// Where a description comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source(Box<str>);

impl Source {
    fn of(file: Option<&Path>) -> Self {
        match named(file) {
            Some(file) => Self(file.display().to_string().into()),
            None => Self("<stdin>".into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs one of the subcommands.
pub(crate) fn run(command: &Sdp) -> Result<Exit, Complaint> {
    match command {
        Sdp::Explain(args) => explain::run(args),
        Sdp::Check(args) => check::run(args),
        Sdp::Json(args) => json::run(args),
        Sdp::Diff(args) => diff::run(args),
        Sdp::Scrub(args) => scrub::run(args),
        Sdp::Answer(args) => answer::run(args),
        Sdp::Validate(args) => validate::run(args),
    }
}

/// A file; none for standard input.
fn named(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| *file != Path::new("-"))
}

/// All bytes of a file or of standard input.
fn bytes(file: Option<&Path>) -> Result<Vec<u8>, SdpError> {
    let (mut bytes, most) = (vec![], LIMIT as u64 + 1);
    let read = match named(file) {
        Some(file) => std::fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut bytes)),
        None => io::stdin().lock().take(most).read_to_end(&mut bytes),
    };
    match read {
        Ok(length) if length <= LIMIT => Ok(bytes),
        Ok(_) => Err(SdpError::Long { file: Source::of(file) }),
        Err(why) => Err(SdpError::Read { file: Source::of(file), why }),
    }
}

/// The description in the bytes of a file, whatever is unusual about it.
fn session<'a>(file: Option<&Path>, bytes: &'a [u8]) -> Result<Session<'a>, SdpError> {
    match Reader::lenient().with_limits(LIMITS).read(bytes) {
        Ok(reading) => Ok(reading.session),
        Err(why) => Err(SdpError::Unreadable { file: Source::of(file), why }),
    }
}
