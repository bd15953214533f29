//! The input of the `portolan sdp` subcommands: a file or standard input, read completely, within limits.
//!
//! A description in pasted text is taken out of its wrapping, and standard error says so.

use super::wrapping::{self, WrappingError};
use crate::error::CommandError;
use crate::output;
use clap::Args;
use core::fmt;
use portolan_sdp::{Diagnostic, Limits, Reader, Session};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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

/// The longest input, in bytes. The input is kept in memory.
const LIMIT: usize = 64 << 20;

/// The limits of the reader for a local file.
pub(super) const LIMITS: Limits =
    Limits { bytes: LIMIT, lines: LIMIT, attributes: LIMIT, media: LIMIT, diagnostics: 1_000 };

/// Why a description could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("cannot read {file}: {why}; name a file, or - for standard input")]
    Read { file: Source, why: io::Error },
    #[error("{file} is longer than 64 MiB, which no session description is")]
    Long { file: Source },
    #[error("{file}:{}:{}: {} ({}); {}", .why.line, .why.column, .why.rule, .why.rule.clause(), .why.rule.hint())]
    Unreadable { file: Source, why: Diagnostic },
    #[error("{file}: {why}")]
    Wrapping { file: Source, why: WrappingError },
    #[error("standard input can be read only once: give one of the two as a file")]
    Twice,
}

impl CommandError for InputError {}

/// The name of an input, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source(Box<str>);

impl Source {
    pub(super) fn of(file: Option<&Path>) -> Self {
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

/// Returns the file; `None` for standard input.
fn named(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| *file != Path::new("-"))
}

/// Reads a description from a file or from standard input. If the description was wrapped, one line on standard error
/// names each step that was taken.
pub(super) fn bytes(file: Option<&Path>) -> Result<Vec<u8>, InputError> {
    let extracted = wrapping::extract(raw(file)?);
    let extracted = extracted.map_err(|why| InputError::Wrapping { file: Source::of(file), why })?;
    if !extracted.steps.is_empty() {
        let steps: Vec<String> = extracted.steps.iter().map(ToString::to_string).collect();
        output::print_diagnostic(format_args!(
            "{}: {}; line numbers count from the v= line",
            Source::of(file),
            steps.join("; ")
        ));
    }
    Ok(extracted.text)
}

/// Reads a file or standard input completely.
pub(super) fn raw(file: Option<&Path>) -> Result<Vec<u8>, InputError> {
    let (mut bytes, most) = (vec![], LIMIT as u64 + 1);
    let read = match named(file) {
        Some(file) => std::fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut bytes)),
        None => {
            output::announce_terminal_input("a session description");
            io::stdin().lock().take(most).read_to_end(&mut bytes)
        }
    };
    match read {
        Ok(length) if length <= LIMIT => Ok(bytes),
        Ok(_) => Err(InputError::Long { file: Source::of(file) }),
        Err(why) => Err(InputError::Read { file: Source::of(file), why }),
    }
}

/// Parses the description leniently.
pub(super) fn session<'a>(file: Option<&Path>, bytes: &'a [u8]) -> Result<Session<'a>, InputError> {
    match Reader::lenient().with_limits(LIMITS).read(bytes) {
        Ok(reading) => Ok(reading.session),
        Err(why) => Err(InputError::Unreadable { file: Source::of(file), why }),
    }
}

/// Checks that at most one of two inputs is standard input.
pub(super) fn check_pair(first: &Path, second: &Path) -> Result<(), InputError> {
    if named(Some(first)).is_none() && named(Some(second)).is_none() { Err(InputError::Twice) } else { Ok(()) }
}
