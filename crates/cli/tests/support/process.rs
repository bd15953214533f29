//! A process that a test starts: its output is read line by line, its run time is bounded, and it is killed at the end
//! of the test.

use core::borrow::BorrowMut;
use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

/// A running process whose output is collected; it is killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<Line>,
    /// The lines that arrived and were not returned, oldest first.
    unmatched: Vec<String>,
    finished: Finished,
    started: Instant,
}

/// The exit code and the output of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finished {
    /// The exit code; `None` if a signal ended the process.
    pub(crate) code: Option<i32>,
    /// The standard output.
    pub(crate) stdout: String,
    /// The standard error.
    pub(crate) stderr: String,
    /// The time from the start to the end of the output.
    pub(crate) took: Duration,
}

enum Line {
    Out(String),
    Err(String),
}

impl Process {
    /// Starts the process with piped outputs.
    pub(crate) fn start(mut command: impl BorrowMut<Command>) -> io::Result<Self> {
        let command = command.borrow_mut();
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, lines) = mpsc::channel();
        let to_err = sender.clone();
        if let Some(stdout) = child.stdout.take() {
            read(stdout, move |line| sender.send(Line::Out(line)).is_ok());
        }
        if let Some(stderr) = child.stderr.take() {
            read(stderr, move |line| to_err.send(Line::Err(line)).is_ok());
        }
        Ok(Self { child, lines, unmatched: Vec::new(), finished: Finished::default(), started })
    }

    /// Returns the standard input, if the command was given a pipe. Only the first call returns it.
    #[allow(dead_code, reason = "not each test binary that includes this file writes to a process")]
    pub(crate) const fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends SIGTERM.
    #[allow(dead_code, reason = "not each test binary that includes this file ends a process by a signal")]
    pub(crate) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends a signal.
    #[allow(dead_code, reason = "not each test binary that includes this file sends another signal")]
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("the process has no process ID"))?;
        Ok(kill_process(id, signal)?)
    }

    /// Waits for a line with this text, on either output, and returns it. Each line is returned once.
    ///
    /// The lines of the two outputs have no common order, so a line that arrived before is found too.
    pub(crate) fn wait_for(&mut self, text: &str, within: Duration) -> io::Result<String> {
        if let Some(nth) = self.unmatched.iter().position(|line| line.contains(text)) {
            return Ok(self.unmatched.remove(nth));
        }
        let deadline = Instant::now() + within;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let line = self.record(line);
                    if line.contains(text) {
                        return Ok(line);
                    }
                    self.unmatched.push(line);
                }
                Err(why) => {
                    return Err(self.error_with_output(&format!("no line with \"{text}\" within {within:?} ({why})")));
                }
            }
        }
    }

    /// The standard error that was read so far.
    #[allow(dead_code, reason = "not each test binary that includes this file prints it")]
    pub(crate) fn stderr(&self) -> &str {
        &self.finished.stderr
    }

    /// Waits until the process has ended. A process that exceeds the bound is killed, which is an error.
    pub(crate) fn finish(mut self, within: Duration) -> io::Result<Finished> {
        let deadline = self.started + within;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.record(line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.error_with_output(&format!("still running {within:?} after its start")));
                }
            }
        }
        self.finished.took = self.started.elapsed();
        let status: ExitStatus = self.child.wait()?;
        self.finished.code = status.code();
        Ok(core::mem::take(&mut self.finished))
    }

    fn record(&mut self, line: Line) -> String {
        let (all, line) = match line {
            Line::Out(line) => (&mut self.finished.stdout, line),
            Line::Err(line) => (&mut self.finished.stderr, line),
        };
        all.push_str(&line);
        line
    }

    fn error_with_output(&self, what: &str) -> io::Error {
        io::Error::other(format!("{what}; stdout: {:?}; stderr: {:?}", self.finished.stdout, self.finished.stderr))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If the process has ended already, there is nothing to kill and no error to report.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends each line, with its end, until the output ends or the receiver is dropped.
fn read(from: impl Read + Send + 'static, mut forward: impl FnMut(String) -> bool + Send + 'static) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut bytes = vec![];
        while from.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            if !forward(String::from_utf8_lossy(&bytes).into_owned()) {
                return;
            }
            bytes.clear();
        }
    });
}
