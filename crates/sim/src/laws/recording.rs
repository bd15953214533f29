//! A run as text: inputs, commands, times, entropy and socket numbers.
//!
//! [`record`] plays a script and stores all data that the run depended on. A [`Recorder`] does the same beside a driver
//! that runs the machine on real sockets. [`replay`] plays a recording again, from its text alone.
//!
//! ```
//! use portolan_machine::{Cx, Input, Instant, Machine, Never, Output, Verdict};
//! use portolan_sim::laws::{self, Context, Recording, Step};
//!
//! /// Draws a number at every timeout and reports it as an event.
//! #[derive(Default)]
//! struct Die(Option<u8>);
//!
//! impl Machine for Die {
//!     type Command = Never;
//!     type Error = Never;
//!     type Event = u8;
//!     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
//!         match command {}
//!     }
//!     fn handle(&mut self, cx: &mut Cx<'_>, _: Input<'_>) -> Verdict {
//!         self.0 = Some(cx.random::<1>()[0]);
//!         Verdict::Mine
//!     }
//!     fn poll(&mut self) -> Output<u8> {
//!         self.0.take().map_or(Output::Wait(None), Output::Event)
//!     }
//! }
//!
//! let text = "portolan recording 1\n0.500000000 entropy=2a timeout\n";
//! let recording: Recording = text.parse()?;
//! let played = laws::replay(Die::default(), &recording, &Context::default())?;
//! assert_eq!(played[1].outputs, [Output::Event(0x2a)]);
//! assert_eq!(recording.to_string(), text);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use super::script::{Action, Hex, Nanos, ReadError, Step, read_hex, read_socket, read_time, read_what};
use super::stage::{HIGHEST_SOCKET, Stage, StepResult, drain};
use super::{Context, OwnedInput};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Script, SocketId, SocketIds, Trace, Verdict};

/// The first line of a recording's text.
const HEAD: &str = "portolan recording 1";

/// All data that a run depended on. As text it is one line a step, after a line that names the format. Empty lines and
/// lines that begin with `#` are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The steps in order, each with the random values that the machine drew in it.
    pub steps: Vec<Recorded>,
}

/// One step of a [`Recording`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The step, with its time.
    pub step: Step,
    /// The random bytes that the machine drew, in order.
    pub entropy: Vec<u8>,
    /// The socket numbers that the machine drew, in order.
    pub sockets: Vec<SocketId>,
}

impl Recording {
    /// The steps alone, for another machine or for the laws.
    #[must_use]
    pub fn script(&self) -> Vec<Step> {
        self.steps.iter().map(|recorded| recorded.step.clone()).collect()
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        self.steps.iter().try_for_each(|recorded| writeln!(f, "{recorded}"))
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Nanos(self.step.at))?;
        if !self.entropy.is_empty() {
            write!(f, "entropy={} ", Hex(&self.entropy))?;
        }
        for (index, socket) in self.sockets.iter().enumerate() {
            write!(f, "{}{socket}", if index == 0 { "sockets=" } else { "," })?;
        }
        if !self.sockets.is_empty() {
            f.write_str(" ")?;
        }
        if !self.step.drain {
            f.write_str("undrained ")?;
        }
        write!(f, "{}", self.step.action)
    }
}

impl FromStr for Recording {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        if lines.next().map(|(_, line)| line) != Some(HEAD) {
            return Err(ReadError { line: 1, expected: "`portolan recording 1`" });
        }
        let steps = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let steps = steps.map(|(line, text)| read(text).map_err(|expected| ReadError { line, expected }));
        Ok(Self { steps: steps.collect::<Result<_, _>>()? })
    }
}

fn read(line: &str) -> Result<Recorded, &'static str> {
    let (at, mut rest) = read_time(line)?;
    let (mut entropy, mut sockets) = (Vec::new(), Vec::new());
    if let Some(field) = rest.strip_prefix("entropy=") {
        let (hex, after) = field.split_once(' ').ok_or("something after the entropy")?;
        entropy = read_hex(hex).ok_or("entropy in hex")?;
        rest = after;
    }
    if let Some(field) = rest.strip_prefix("sockets=") {
        let (list, after) = field.split_once(' ').ok_or("something after the sockets")?;
        sockets = list.split(',').map(|word| read_socket(Some(word))).collect::<Result<_, _>>()?;
        rest = after;
    }
    let (drain, rest) = rest.strip_prefix("undrained ").map_or((true, rest), |rest| (false, rest));
    Ok(Recorded { step: Step { at, drain, action: read_what(rest)? }, entropy, sockets })
}

/// Records a [`Recording`] beside a driver that runs a machine on real sockets.
///
/// The driver calls the machine through the recorder, and reports when it has drained the machine.
#[derive(Debug, Default)]
pub struct Recorder {
    recording: Recording,
}

/// The driver's part of a [`Cx`] for one call through a [`Recorder`].
pub struct CallContext<'a> {
    /// The time of the call.
    pub now: Instant,
    /// The RNG.
    pub entropy: &'a mut dyn Entropy,
    /// The socket ids.
    pub sockets: &'a mut SocketIds,
    /// The receiver of notes.
    pub trace: Option<&'a mut dyn Trace>,
}

impl<'a> CallContext<'a> {
    pub(super) fn into_cx(self) -> Cx<'a> {
        let cx = Cx::new(self.now, self.entropy, self.sockets);
        match self.trace {
            Some(trace) => cx.with_trace(trace),
            None => cx,
        }
    }
}

impl fmt::Debug for CallContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext").field("now", &self.now).field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Creates an empty recorder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands `input` to the machine.
    pub fn handle<M: Machine<Command: Script>>(
        &mut self,
        machine: &mut M,
        context: CallContext<'_>,
        input: Input<'_>,
    ) -> Verdict {
        let action = Action::Input(OwnedInput::from(input));
        self.call(context, action, |cx| machine.handle(cx, input))
    }

    /// Hands bytes of a stream to the machine, and records the bytes that the machine took. If the bytes are not the
    /// machine's, all of them are recorded.
    pub fn stream<M: Machine>(
        &mut self,
        machine: &mut M,
        context: CallContext<'_>,
        chunk: Datagram<'_>,
    ) -> Option<usize> {
        let action = Action::Stream(chunk.into());
        let taken = self.call(context, action, |cx| machine.stream(cx, chunk));
        if let (Some(Recorded { step: Step { action: Action::Stream(kept), .. }, .. }), Some(taken)) =
            (self.recording.steps.last_mut(), taken)
        {
            kept.payload.truncate(taken);
        }
        taken
    }

    /// Hands `command` to the machine.
    ///
    /// # Errors
    /// [`Machine::Error`]: the command is impossible.
    pub fn command<M: Machine<Command: Script>>(
        &mut self,
        machine: &mut M,
        context: CallContext<'_>,
        command: M::Command,
    ) -> Result<(), M::Error> {
        let action = Action::Command(command.to_text());
        self.call(context, action, |cx| machine.command(cx, command))
    }

    /// Reports that the machine was drained after the last call.
    pub fn drained(&mut self) {
        if let Some(last) = self.recording.steps.last_mut() {
            last.step.drain = true;
        }
    }

    /// Returns the recording.
    #[must_use]
    pub fn into_recording(self) -> Recording {
        self.recording
    }

    /// The number of recorded calls.
    pub(super) const fn len(&self) -> usize {
        self.recording.steps.len()
    }

    fn call<R>(&mut self, context: CallContext<'_>, action: Action, call: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let CallContext { now, entropy, sockets, trace } = context;
        let before = sockets.clone();
        let mut tape = Tape { from: entropy, drawn: Vec::new() };
        let mut cx = Cx::new(now, &mut tape, sockets);
        if let Some(trace) = trace {
            cx = cx.with_trace(trace);
        }
        let result = call(&mut cx);
        let step = Step::new(now, action).undrained();
        self.recording.steps.push(Recorded { step, entropy: tape.drawn, sockets: between(before, sockets) });
        result
    }
}

/// The socket numbers between two states of their counter.
fn between(mut before: SocketIds, after: &SocketIds) -> Vec<SocketId> {
    let mut drawn = Vec::new();
    while before != *after {
        drawn.push(before.next_socket());
    }
    drawn
}

/// An RNG that records its output.
struct Tape<'a> {
    from: &'a mut dyn Entropy,
    drawn: Vec<u8>,
}

impl Entropy for Tape<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        self.from.fill(out);
        self.drawn.extend_from_slice(out);
    }
}

/// Plays the script on `machine` and records it. Steps that are no command of the machine are skipped.
///
/// Returns the outputs and the recording: first the outputs of the fresh machine, then those of each step. A step whose
/// bytes the machine took in several calls becomes several steps of the recording.
pub fn record<M: Machine<Command: Script>>(
    machine: M,
    script: &[Step],
    context: &Context<'_, M>,
) -> (Recording, Vec<StepResult<M::Event>>) {
    let (recording, played, _) = record_calls(machine, script, context);
    (recording, played)
}

/// Like [`record`], and also returns the number of recorded calls of each step.
pub(super) fn record_calls<M: Machine<Command: Script>>(
    machine: M,
    script: &[Step],
    context: &Context<'_, M>,
) -> (Recording, Vec<StepResult<M::Event>>, Vec<usize>) {
    let mut stage = Stage::new(machine, context).recorded();
    let mut all = Vec::from([stage.drain()]);
    let mut calls = Vec::new();
    for step in script {
        if let Action::Command(text) = &step.action
            && M::Command::read(text).is_err()
        {
            continue;
        }
        let before = stage.recorded_calls();
        all.push(stage.play(step));
        calls.push(stage.recorded_calls() - before);
    }
    (stage.into_recording(), all, calls)
}

/// The reason why a recording does not fit the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayError {
    /// The step, counted from 0.
    pub step: usize,
    /// The mismatch.
    pub kind: ReplayErrorKind,
}

/// The mismatch in a [`ReplayError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayErrorKind {
    /// The command is not one of this machine's.
    Command,
    /// The machine drew more entropy than was recorded.
    EntropyShort,
    /// The machine drew less entropy than was recorded.
    EntropyLeft,
    /// The machine drew other socket ids than were recorded.
    Sockets,
    /// The machine took fewer bytes of a stream than were recorded.
    Stream,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ReplayErrorKind::Command => "the command is not one of this machine's",
            ReplayErrorKind::EntropyShort => "the machine drew more entropy than was recorded",
            ReplayErrorKind::EntropyLeft => "the machine drew less entropy than was recorded",
            ReplayErrorKind::Sockets => "the machine drew other socket ids than were recorded",
            ReplayErrorKind::Stream => "the machine took fewer bytes of a stream than were recorded",
        };
        write!(f, "step {}: {what}", self.step)
    }
}

impl core::error::Error for ReplayError {}

/// Plays a recording on a fresh machine. Returns the outputs of the fresh machine first, then those of each step.
///
/// Of the context, only [`Context::drain_limit`] is used.
///
/// # Errors
/// A [`ReplayError`] for the first step at which the machine differs from the recording. Numbers above 2²⁴ cannot be
/// replayed and count as other numbers.
pub fn replay<M: Machine<Command: Script>>(
    mut machine: M,
    recording: &Recording,
    context: &Context<'_, M>,
) -> Result<Vec<StepResult<M::Event>>, ReplayError> {
    let mut sockets = SocketIds::new();
    let mut all = Vec::from([drain(&mut machine, context.drain_limit)]);
    for (index, recorded) in recording.steps.iter().enumerate() {
        let fault = |kind| ReplayError { step: index, kind };
        if let Some(first) = recorded.sockets.first() {
            sockets = before(*first, sockets).ok_or(fault(ReplayErrorKind::Sockets))?;
        }
        let counter = sockets.clone();
        let mut tape = Replayed { bytes: &recorded.entropy, short: false };
        let mut cx = Cx::new(recorded.step.at, &mut tape, &mut sockets);
        let (verdict, refused) = match &recorded.step.action {
            Action::Input(input) => (Some(machine.handle(&mut cx, input.as_input())), None),
            Action::Stream(chunk) => {
                let taken = machine.stream(&mut cx, chunk.as_datagram());
                if taken.is_some_and(|taken| taken < chunk.payload.len()) {
                    return Err(fault(ReplayErrorKind::Stream));
                }
                (Some(if taken.is_some() { Verdict::Mine } else { Verdict::NotMine }), None)
            }
            Action::Command(text) => {
                let command = M::Command::read(text).map_err(|_| fault(ReplayErrorKind::Command))?;
                (None, machine.command(&mut cx, command).err().map(|why| why.to_string()))
            }
        };
        if tape.short {
            return Err(fault(ReplayErrorKind::EntropyShort));
        }
        if !tape.bytes.is_empty() {
            return Err(fault(ReplayErrorKind::EntropyLeft));
        }
        if between(counter, &sockets) != recorded.sockets {
            return Err(fault(ReplayErrorKind::Sockets));
        }
        let played = if recorded.step.drain { drain(&mut machine, context.drain_limit) } else { StepResult::nothing() };
        all.push(StepResult { verdict, refused, ..played });
    }
    Ok(all)
}

/// A counter whose next number is `first`. Counters only run forward, so it may have to start from the beginning.
fn before(first: SocketId, now: SocketIds) -> Option<SocketIds> {
    let ahead = now.clone().next_socket().0;
    let (mut ids, from) = if ahead <= first.0 { (now, ahead) } else { (SocketIds::new(), 1) };
    if first.0 == 0 || first.0 > HIGHEST_SOCKET {
        return None;
    }
    for _ in from..first.0 {
        ids.next_socket();
    }
    Some(ids)
}

/// An RNG that returns the recorded bytes, then zeros.
struct Replayed<'a> {
    bytes: &'a [u8],
    short: bool,
}

impl Entropy for Replayed<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            match self.bytes.split_first() {
                Some((first, rest)) => {
                    *byte = *first;
                    self.bytes = rest;
                }
                None => {
                    *byte = 0;
                    self.short = true;
                }
            }
        }
    }
}
