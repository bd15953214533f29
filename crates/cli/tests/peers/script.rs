//! The scripts of peers, and the list of trials.

use crate::Outcome;
use crate::TIMEOUT;
use crate::binary::portolan;
use crate::signalling::{Peer, signal};
use core::fmt::Write as _;
use libtest_mimic::{Completion, Failed, Trial};
use serde_json::{Value, json};
use std::env;
use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

/// A trial: its name, and the work. The work returns a line about the connection.
pub(crate) type Named = (String, Box<dyn FnOnce() -> Outcome<String> + Send>);

/// Makes the trials. With a reason why the peer is absent, each trial is ignored, or fails if the peers are required.
pub(crate) fn trials(list: Vec<Named>, missing: Option<String>) -> Vec<Trial> {
    let is_required = env::var_os("PORTOLAN_PEERS").is_some_and(|value| value == "require");
    let trial = |(name, work): Named| {
        let missing = missing.clone();
        Trial::ignorable_test(name.clone(), move || match missing {
            None => {
                let started = Instant::now();
                let line = work()?;
                eprintln!("{name}: {line}; the trial took {:.1} s", started.elapsed().as_secs_f64());
                Ok(Completion::Completed)
            }
            Some(why) if is_required => Err(Failed::from(format!("PORTOLAN_PEERS=require, but {why}"))),
            Some(why) => Ok(Completion::ignored_with(why)),
        })
    };
    list.into_iter().map(trial).collect()
}

/// Returns the Python interpreter.
fn python() -> OsString {
    env::var_os("PORTOLAN_PYTHON").unwrap_or_else(|| "python3".into())
}

/// Why a package cannot be imported.
pub(crate) fn missing_package(name: &str) -> Option<String> {
    let python = python();
    let tried = Command::new(&python).args(["-c", &format!("import {name}")]).output();
    let is_there = tried.is_ok_and(|output| output.status.success());
    let python = python.to_string_lossy();
    (!is_there).then(|| format!("{python} cannot import {name} (`pip install {name}`, and see PORTOLAN_PYTHON)"))
}

/// Starts a script of this folder.
pub(crate) fn start(name: &str, arguments: &[OsString]) -> Outcome<Peer> {
    let path = format!("{}/tests/peers/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python());
    command.arg(path).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(Peer::start(command)?)
}

/// The role of the command of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    Offers,
    Answers,
}

impl Ours {
    pub(crate) const BOTH: [Self; 2] = [Self::Offers, Self::Answers];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Offers => "offer",
            Self::Answers => "answer",
        }
    }

    pub(crate) const fn other(self) -> &'static str {
        match self {
            Self::Offers => "answer",
            Self::Answers => "offer",
        }
    }
}

/// A session between the command, which is the first peer, and a script.
pub(crate) struct Trip {
    pub(crate) peers: [Peer; 2],
    report: String,
}

impl Trip {
    /// Starts the command with these arguments and a log, which a failure prints, and sends a start message to each.
    pub(crate) fn start(script: Peer, arguments: &[&str], starts: [Value; 2]) -> Outcome<Self> {
        let all = [&["-vv", "ice", "--format", "json", "--address", "127.0.0.1"], arguments].concat();
        let mut peers = [Peer::start(portolan(&all)?)?, script];
        for (peer, start) in peers.iter_mut().zip(&starts) {
            peer.tell(start)?;
        }
        Ok(Self { peers, report: String::new() })
    }

    /// Waits until the command has selected a pair, and the script fulfils the condition.
    pub(crate) fn connect(&mut self, is_connected: impl Fn(&Peer) -> bool) -> Outcome {
        // The start of the script is not a part of the time.
        signal(&mut self.peers, TIMEOUT, |peers| peers.iter().all(|peer| peer.has(is_description)))?;
        let started = Instant::now();
        signal(&mut self.peers, TIMEOUT, |[ours, script]| ours.is("completed") && is_connected(script))?;
        let took = started.elapsed();
        let pair = self.pair();
        let separator = if self.report.is_empty() { "" } else { ", then " };
        let _ = write!(
            self.report,
            "{separator}{} to {} in {} ms",
            pair["localType"].as_str().unwrap_or("?"),
            pair["remoteType"].as_str().unwrap_or("?"),
            took.as_millis()
        );
        Ok(())
    }

    /// The pair that the command has selected.
    pub(crate) fn pair(&self) -> Value {
        self.peers[0].last_state().map(|state| state["pair"].clone()).unwrap_or_default()
    }

    /// Checks the type of a candidate of the selected pair.
    pub(crate) fn expect_type(&self, side: &str, expected: &str) -> Outcome {
        let pair = self.pair();
        if pair[side] == expected { Ok(()) } else { Err(format!("{side} is not {expected}: {pair}").into()) }
    }

    /// Sends a text in each direction, and waits for it.
    pub(crate) fn exchange(&mut self) -> Outcome {
        for (peer, text) in self.peers.iter_mut().zip(["from the command", "from the peer"]) {
            peer.tell(&json!({"type": "send", "data": text}))?;
        }
        let got = |peer: &Peer, text: &str| peer.has(|message| message["type"] == "message" && message["data"] == text);
        signal(&mut self.peers, TIMEOUT, |[ours, script]| {
            got(ours, "from the peer") && got(script, "from the command")
        })?;
        Ok(())
    }

    /// Ends both, and returns the line about the connection. Each error message of a side is a failure.
    pub(crate) fn end(self) -> Outcome<String> {
        for (peer, name) in self.peers.into_iter().zip(["the command", "the script"]) {
            if let Some(error) = peer.messages.iter().find(|message| message["type"] == "error") {
                return Err(format!("{name}: {error}").into());
            }
            let finished = peer.end(TIMEOUT * 4)?;
            if finished.code != Some(0) {
                return Err(format!("{name} ended with {finished:?}").into());
            }
        }
        Ok(self.report)
    }
}

fn is_description(message: &Value) -> bool {
    matches!(message["type"].as_str(), Some("offer" | "answer"))
}
