//! Machines with a fault, for the proof that the fuzzer finds faults.
//!
//! Each is a fault that machines have had: an answer repeated at every awakening, a deadline that is not moved on, an output
//! for something that was not the machine's, an output lost when two things happen at once. All are sound until a
//! destination was unreachable and then three packets of their own came in: a conversation of a certain course is needed.

use crate::SEEDED;
use portolan_machine::{
    Cx, Datagram, Deadline, Forward, Input, Instant, Machine, Output, Script, SocketEvent, Transmit, Verdict,
};
use std::time::Duration;

/// What is wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It asks to be woken in the past, once the clock has run backwards.
    OldDeadline,
    /// What it sent last it sends again when it is woken, whether it was time or not.
    Parrot,
    /// It answers a packet that is not its own.
    Eavesdropper,
    /// Of what two inputs without a drain between them gave, it loses one output.
    Forgetful,
}

/// A machine as it is, or with its flaw where bugs are seeded.
#[derive(Debug)]
pub struct Flawed<M> {
    machine: M,
    flaw: Flaw,
    /// Its own packets since a destination was unreachable.
    own: Option<u32>,
    now: Instant,
    last: Option<Transmit>,
    /// What its flaw waits for has happened.
    again: bool,
    /// Inputs since the last wait.
    undrained: u32,
}

/// Its own packets after which a machine shows its flaw.
const SOUND: u32 = 3;

impl<M> Flawed<M> {
    /// The machine, and what is wrong with it in a seeded build.
    pub const fn new(machine: M, flaw: Flaw) -> Self {
        Self { machine, flaw, own: None, now: Instant::ORIGIN, last: None, again: false, undrained: 0 }
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
        self.again |= self.flaw == Flaw::OldDeadline && self.own.is_some() && cx.now() < self.now;
        self.now = cx.now();
        if let (None, Input::Socket(_, SocketEvent::Unreachable { .. })) = (self.own, input) {
            self.own = Some(0);
        }
        self.again |= self.flaw == Flaw::Parrot && input == Input::Timeout;
        self.packet(matches!(input, Input::Datagram(_)).then_some(verdict == Verdict::Mine));
        verdict
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let taken = self.machine.stream(cx, chunk);
        self.again |= self.flaw == Flaw::OldDeadline && self.own.is_some() && cx.now() < self.now;
        self.now = cx.now();
        self.packet(Some(taken.is_some()));
        taken
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let forward = self.machine.forward(cx, datagram)?;
        self.now = cx.now();
        self.packet(Some(true));
        Some(forward)
    }

    fn poll(&mut self) -> Output<M::Event> {
        let output = self.machine.poll();
        if !SEEDED || self.own.is_none_or(|own| own < SOUND) {
            return output;
        }
        match output {
            Output::Wait(wait) => {
                self.undrained = 0;
                self.wait(wait)
            }
            _ if self.flaw == Flaw::Forgetful && self.undrained > 1 => {
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
    /// Counts an input, and a packet if it was one: its own or not.
    fn packet(&mut self, own: Option<bool>) {
        if let (Some(count), Some(true)) = (&mut self.own, own) {
            *count += 1;
        }
        self.undrained += 1;
        self.again |= self.flaw == Flaw::Eavesdropper && own == Some(false);
    }

    fn wait(&mut self, wait: Option<Deadline>) -> Output<M::Event> {
        match (self.last.clone(), wait) {
            (_, Some(_)) if self.again && self.flaw == Flaw::OldDeadline => {
                let past = self.now.since_origin().saturating_sub(Duration::from_millis(1));
                Output::Wait(Some(Deadline::new(Instant::from_origin(past), "a deadline that was not moved on")))
            }
            (Some(last), _) if self.again && self.flaw != Flaw::OldDeadline => {
                self.again = false;
                Output::Transmit(last)
            }
            (_, wait) => Output::Wait(wait),
        }
    }
}
