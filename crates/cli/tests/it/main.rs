//! The binary as a user runs it, on loopback only.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[cfg(feature = "tls")]
extern crate alloc;

mod audit;
#[path = "../support/binary.rs"]
mod binary;
mod credentials;
mod demo;
#[cfg(unix)]
mod descriptors;
#[cfg(feature = "explain")]
mod explain;
mod forecast;
mod help;
mod ice;
mod invalid_responses;
mod lab;
mod nat;
#[cfg(unix)]
mod operator;
#[path = "../support/process.rs"]
mod process;
mod punch;
#[path = "../support/receive.rs"]
mod receive;
#[path = "../support/refusal.rs"]
mod refusal;
mod relay_server;
mod rendezvous;
mod sdp;
mod serve;
#[path = "../support/signalling.rs"]
mod signalling;
mod stun;
#[cfg(feature = "tls")]
mod tls;
mod turn;
mod turn_audit;

use core::time::Duration;
use process::{Finished, Process};
use std::io::{ErrorKind, Write};
use std::process::Stdio;

/// The maximum time of a run, on a busy machine too.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs the binary until it ends.
fn run(arguments: &[&str]) -> Finished {
    let mut command = binary::portolan(arguments).expect("loopback only");
    // The variable would change the width of the help.
    command.env_remove("COLUMNS");
    Process::start(command).and_then(|process| process.finish(TIMEOUT)).expect("the process ends")
}

/// A width at which no line of a report is wrapped.
const WIDE: usize = 1_000;

/// Runs the binary until it ends, on a terminal of this width.
fn run_at_width(arguments: &[&str], columns: usize) -> Finished {
    let mut command = binary::portolan(arguments).expect("loopback only");
    command.env("COLUMNS", columns.to_string());
    Process::start(command).and_then(|process| process.finish(TIMEOUT)).expect("the process ends")
}

/// Runs the binary with this standard input.
fn run_with_input(arguments: &[&str], input: &[u8]) -> Finished {
    run_with_input_at_width(arguments, input, WIDE)
}

/// Runs the binary with this standard input, on a terminal of this width.
fn run_with_input_at_width(arguments: &[&str], input: &[u8], columns: usize) -> Finished {
    let mut command = binary::portolan(arguments).expect("no server");
    command.env("COLUMNS", columns.to_string());
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the binary starts");
    // A process that refuses its arguments ends without reading.
    match child.stdin.take().expect("piped").write_all(input) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => panic!("the input: {why}"),
        Ok(()) | Err(_) => {}
    }
    let output = child.wait_with_output().expect("the process ends");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        ..Finished::default()
    }
}

/// Asserts that the command could not run: code 2, empty standard output, and one line with these words.
#[track_caller]
fn assert_refused(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout, "", "{finished:?}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is missing: {finished:?}");
    }
}
