//! Machines with a planted fault. They prove that the fuzzer finds faults.
//!
//! Each [`Flaw`] is a fault that a machine of this project has had. A fault shows only after a destination was
//! unreachable and the machine then accepted three packets. So the fuzzer must find a conversation of several steps.

use crate::SEEDED;
use portolan_machine::{
    Cx, Datagram, Deadline, Forward, Input, Instant, Machine, Output, Script, SocketEvent, Transmit, Verdict,
};
use std::time::Duration;

/// The fault of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// After the clock ran backwards, the deadline is in the past.
    PastDeadline,
    /// Each timeout sends the last transmit again, even a timeout before the deadline.
    RepeatsTransmit,
    /// A packet with the verdict [`Verdict::NotMine`] causes an output.
    AnswersForeign,
    /// One output is lost after two inputs without a drain between them.
    LosesOutput,
}

/// A machine that has its flaw only in a build with `seeded-bugs`.
#[derive(Debug)]
pub struct Flawed<M> {
    machine: M,
    flaw: Flaw,
    /// The number of packets that the machine accepted after a destination was unreachable.
    accepted: Option<u32>,
    now: Instant,
    last: Option<Transmit>,
    /// Whether the condition of the flaw has occurred.
    triggered: bool,
    /// The number of inputs since the last wait.
    undrained: u32,
}

/// The number of accepted packets after which the flaw has an effect.
const ACCEPTED_BEFORE_FLAW: u32 = 3;

impl<M> Flawed<M> {
    /// Wraps the machine; `flaw` has an effect in a seeded build only.
    pub const fn new(machine: M, flaw: Flaw) -> Self {
        Self { machine, flaw, accepted: None, now: Instant::ORIGIN, last: None, triggered: false, undrained: 0 }
    }
}

impl<M: Machine<Command: Script>> Machine for Flawed<M> {
    type Command = M::Command;
    type Error = M::Error;
    type Event = M::Event;

    fn command(&mut self, cx: &mut Cx<'_>, command: M::Command) -> Result<(), M::Error> {
        self.machine.command(cx, command)
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = self.machine.handle(cx, input);
        self.triggered |= self.flaw == Flaw::PastDeadline && self.accepted.is_some() && cx.now() < self.now;
        self.now = cx.now();
        if let (None, Input::Socket(_, SocketEvent::Unreachable { .. })) = (self.accepted, input) {
            self.accepted = Some(0);
        }
        self.triggered |= self.flaw == Flaw::RepeatsTransmit && input == Input::Timeout;
        self.count_input(matches!(input, Input::Datagram(_)).then_some(verdict == Verdict::Mine));
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let taken = self.machine.stream(cx, chunk);
        self.triggered |= self.flaw == Flaw::PastDeadline && self.accepted.is_some() && cx.now() < self.now;
        self.now = cx.now();
        self.count_input(Some(taken.is_some()));
        taken
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let forward = self.machine.forward(cx, datagram)?;
        self.now = cx.now();
        self.count_input(Some(true));
        Some(forward)
    }

    fn poll(&mut self) -> Output<M::Event> {
        let output = self.machine.poll();
        if !SEEDED || self.accepted.is_none_or(|accepted| accepted < ACCEPTED_BEFORE_FLAW) {
            return output;
        }
        match output {
            Output::Wait(wait) => {
                self.undrained = 0;
                self.wait(wait)
            }
            _ if self.flaw == Flaw::LosesOutput && self.undrained > 1 => {
                self.undrained = 0;
                self.poll()
            }
            Output::Transmit(sent) => {
                self.last = Some(sent.clone());
                Output::Transmit(sent)
            }
            output => output,
        }
    }
}

impl<M: Machine<Command: Script>> Flawed<M> {
    /// Counts an input. For a packet `is_accepted` says whether the machine accepted it.
    fn count_input(&mut self, is_accepted: Option<bool>) {
        if let (Some(count), Some(true)) = (&mut self.accepted, is_accepted) {
            *count += 1;
        }
        self.undrained += 1;
        self.triggered |= self.flaw == Flaw::AnswersForeign && is_accepted == Some(false);
    }

    fn wait(&mut self, wait: Option<Deadline>) -> Output<M::Event> {
        match (self.last.clone(), wait) {
            (_, Some(_)) if self.triggered && self.flaw == Flaw::PastDeadline => {
                let past = self.now.since_origin().saturating_sub(Duration::from_millis(1));
                Output::Wait(Some(Deadline::new(Instant::from_origin(past), "a deadline that was not moved on")))
            }
            (Some(last), _) if self.triggered && self.flaw != Flaw::PastDeadline => {
                self.triggered = false;
                Output::Transmit(last)
            }
            (_, wait) => Output::Wait(wait),
        }
    }
}
