//! Machines with a fault, for the proof that the fuzzer finds faults.
//!
//! Each is a fault that machines have had: an answer repeated at every awakening, a deadline that is not moved on, an output
//! for something that was not the machine's.

use crate::SEEDED;
use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Output, Transmit, Verdict};
use std::time::Duration;

/// What is wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// After the third packet that is its own it asks to be woken in the past.
    OldDeadline,
    /// What it sent last it sends again when it is woken, whether it was time or not.
    Parrot,
    /// It takes note of a packet that is not its own.
    Eavesdropper,
}

/// A machine as it is, or with its flaw where bugs are seeded.
#[derive(Debug)]
pub struct Flawed<M> {
    machine: M,
    flaw: Flaw,
    own: u32,
    now: Instant,
    last: Option<Transmit>,
    again: bool,
}

impl<M> Flawed<M> {
    /// The machine, and what is wrong with it in a seeded build.
    pub const fn new(machine: M, flaw: Flaw) -> Self {
        Self { machine, flaw, own: 0, now: Instant::ORIGIN, last: None, again: false }
    }
}

impl<M: Machine> Machine for Flawed<M> {
    type Command = M::Command;
    type Error = M::Error;
    type Event = M::Event;

    fn command(&mut self, cx: &mut Cx<'_>, command: M::Command) -> Result<(), M::Error> {
        self.machine.command(cx, command)
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = self.machine.handle(cx, input);
        self.now = cx.now();
        let packet = matches!(input, Input::Datagram(_) | Input::Stream(_));
        self.own += u32::from(packet && verdict == Verdict::Mine);
        self.again |= match self.flaw {
            Flaw::Parrot => input == Input::Timeout,
            Flaw::Eavesdropper => packet && verdict == Verdict::NotMine,
            Flaw::OldDeadline => false,
        };
        verdict
    }

    fn poll(&mut self) -> Output<M::Event> {
        let output = self.machine.poll();
        if !SEEDED {
            return output;
        }
        match output {
            Output::Transmit(sent) => {
                self.last = Some(sent.clone());
                Output::Transmit(sent)
            }
            Output::Wait(_) if std::mem::take(&mut self.again) && self.last.is_some() => {
                self.last.clone().map_or(Output::Wait(None), Output::Transmit)
            }
            Output::Wait(Some(_)) if self.flaw == Flaw::OldDeadline && self.own >= 3 => {
                let past = self.now.since_origin().saturating_sub(Duration::from_millis(1));
                let past = Instant::from_origin(past);
                Output::Wait(Some(Deadline::new(past, "a deadline that was not moved on")))
            }
            output => output,
        }
    }
}
