//! Machines with a fault, for the proof that the fuzzer finds faults.
//!
//! Each is a fault that machines have had: an answer repeated at every awakening, a deadline that is not moved on, an output
//! for something that was not the machine's, an output lost when two things happen at once. All are sound until a
//! destination was unreachable and then some packets of their own came in: a conversation of a certain course is needed.

use crate::SEEDED;
use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Output, SocketNews, Transmit, Verdict};
use std::time::Duration;

/// What is wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It asks to be woken in the past.
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
    again: bool,
    /// Inputs since the last wait.
    undrained: u32,
}

impl Flaw {
    /// How many of its own packets it takes until it shows, after a destination was unreachable.
    const fn shows_after(self) -> u32 {
        match self {
            // It is seen at the next timeout, and shall not be met by the first run that comes.
            Self::OldDeadline => 8,
            Self::Parrot | Self::Eavesdropper | Self::Forgetful => 3,
        }
    }
}

impl<M> Flawed<M> {
    /// The machine, and what is wrong with it in a seeded build.
    pub const fn new(machine: M, flaw: Flaw) -> Self {
        Self { machine, flaw, own: None, now: Instant::ORIGIN, last: None, again: false, undrained: 0 }
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
        match (&mut self.own, input) {
            (None, Input::Socket(_, SocketNews::Unreachable { .. })) => self.own = Some(0),
            (Some(own), _) => *own += u32::from(packet && verdict == Verdict::Mine),
            (None, _) => {}
        }
        self.undrained += 1;
        self.again |= match self.flaw {
            Flaw::Parrot => input == Input::Timeout,
            Flaw::Eavesdropper => packet && verdict == Verdict::NotMine,
            Flaw::OldDeadline | Flaw::Forgetful => false,
        };
        verdict
    }

    fn poll(&mut self) -> Output<M::Event> {
        let output = self.machine.poll();
        if !SEEDED || self.own.is_none_or(|own| own < self.flaw.shows_after()) {
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

impl<M: Machine> Flawed<M> {
    fn wait(&mut self, wait: Option<Deadline>) -> Output<M::Event> {
        let again = std::mem::take(&mut self.again);
        match (self.last.clone(), wait) {
            (Some(last), _) if again => Output::Transmit(last),
            (_, Some(_)) if self.flaw == Flaw::OldDeadline => {
                let past = self.now.since_origin().saturating_sub(Duration::from_millis(1));
                Output::Wait(Some(Deadline::new(Instant::from_origin(past), "a deadline that was not moved on")))
            }
            (_, wait) => Output::Wait(wait),
        }
    }
}
