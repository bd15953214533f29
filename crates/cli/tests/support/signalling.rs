//! A peer that uses the signalling of `portolan ice --format json` (docs/ice.md): the command itself, or a program of a
//! trial. The test passes the messages of one peer on to the other.

#![allow(clippy::indexing_slicing, reason = "a missing field of a JSON value is null")]

use crate::process::{Finished, Process};
use core::time::Duration;
use serde_json::Value;
use std::io::{self, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Instant;

/// A running peer.
pub(crate) struct Peer {
    pub(crate) process: Process,
    input: Option<ChildStdin>,
    /// All messages so far.
    pub(crate) messages: Vec<Value>,
    /// The number of messages that were passed on to the other side.
    signalled: usize,
    /// Whether messages for this peer are held back.
    pub(crate) is_held: bool,
}

impl Peer {
    /// Starts a peer.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped());
        let mut process = Process::start(command)?;
        let input = process.take_input();
        Ok(Self { process, input, messages: vec![], signalled: 0, is_held: false })
    }

    /// Writes a message to the peer.
    pub(crate) fn tell(&mut self, message: &Value) -> io::Result<()> {
        self.write(&format!("{message}\n"))
    }

    /// Writes text to the peer.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        let input = self.input.as_mut().ok_or_else(|| io::Error::other("the input of the peer is closed"))?;
        input.write_all(text.as_bytes()).and_then(|()| input.flush())
    }

    /// Reads the messages that arrive within this time.
    fn read(&mut self, within: Duration) -> io::Result<()> {
        while let Ok(line) = self.process.wait_for("{\"type\"", within) {
            self.messages.push(serde_json::from_str(&line)?);
        }
        Ok(())
    }

    /// Whether a message is like this.
    pub(crate) fn has(&self, is_it: impl Fn(&Value) -> bool) -> bool {
        self.messages.iter().any(is_it)
    }

    /// The last message with the state.
    pub(crate) fn last_state(&self) -> Option<&Value> {
        self.messages.iter().rev().find(|message| message["type"] == "state")
    }

    /// Whether the last state is this one.
    pub(crate) fn is(&self, state: &str) -> bool {
        self.last_state().is_some_and(|last| last["ice"] == state)
    }

    /// Forgets the messages so far, before a restart.
    #[allow(dead_code, reason = "not each test binary that includes this file restarts ICE")]
    pub(crate) fn forget(&mut self) {
        self.messages.clear();
        self.signalled = 0;
    }

    /// Ends the input, and waits until the process has ended.
    pub(crate) fn end(mut self, within: Duration) -> io::Result<Finished> {
        drop(self.input.take());
        self.process.finish(within)
    }
}

/// Passes signalling between two peers until both fulfil the condition.
///
/// # Errors
///
/// After the time `within`, with all messages; or a peer does not read or write messages.
pub(crate) fn signal(
    peers: &mut [Peer; 2],
    within: Duration,
    mut is_done: impl FnMut(&[Peer; 2]) -> bool,
) -> io::Result<()> {
    let end = Instant::now() + within;
    while !is_done(peers) {
        if Instant::now() > end {
            let [first, second] =
                peers.each_ref().map(|peer| format!("{:?}\n{}", peer.messages, peer.process.stderr()));
            return Err(io::Error::other(format!("not within {within:?}:\n{first}\n{second}")));
        }
        let [first, second] = peers;
        pass_on(first, second)?;
        pass_on(second, first)?;
    }
    Ok(())
}

/// Reads messages of one peer, and writes those that are signalling to the other.
fn pass_on(from: &mut Peer, to: &mut Peer) -> io::Result<()> {
    from.read(TURN)?;
    if to.is_held {
        return Ok(());
    }
    for message in from.messages.iter().skip(from.signalled) {
        let kind = message["type"].as_str().unwrap_or_default();
        if matches!(kind, "offer" | "answer" | "candidate" | "end-of-candidates") {
            to.tell(message)?;
        }
    }
    from.signalled = from.messages.len();
    Ok(())
}

/// The time to wait for more messages of one peer before those of the other are read.
const TURN: Duration = Duration::from_millis(10);
