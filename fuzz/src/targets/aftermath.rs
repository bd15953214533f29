//! Plays the steps of a run again with a trace, and then lets only time pass.
//!
//! The monitor has no access to the machine. Here a target can look at the state that a run leaves.

use portolan_machine::{
    Cx, Deadline, Entropy, Explain, Instant, Machine, Output, Scope, Script, SocketIds, Trace, Verdict,
};
use portolan_sim::laws::{Action, Step};
use std::fmt::Write;
use std::time::Duration;

/// A machine after its run.
pub(super) struct Aftermath<M: Machine> {
    pub(super) machine: M,
    pub(super) now: Instant,
    /// The texts of all notes.
    pub(super) notes: String,
    /// The number of events that the machine returned.
    pub(super) events: Vec<M::Event>,
    wait: Option<Deadline>,
    random: Counter,
    ids: SocketIds,
}

impl<M: Machine<Command: Script>> Aftermath<M> {
    /// Plays the steps. Returns `None` if the clock of the run is near its end, where deadlines cannot move on.
    pub(super) fn of(machine: M, steps: &[Step]) -> Option<Self> {
        let latest = steps.iter().map(|step| step.at).max().unwrap_or(Instant::ORIGIN);
        if latest.since_origin() > Duration::from_secs(1 << 40) {
            return None;
        }
        let (now, notes, events) = (Instant::ORIGIN, String::new(), Vec::new());
        let (random, ids) = (Counter(0), SocketIds::new());
        let mut this = Self { machine, now, notes, events, wait: None, random, ids };
        for step in steps {
            // A clock that runs backwards would move all ends of lifetimes.
            this.now = this.now.max(step.at);
            this.play(&step.action);
            this.drain();
        }
        Some(this)
    }

    /// Passes the timeouts of all deadlines until `end`, or until no deadline is left.
    pub(super) fn pass_time(&mut self, end: Instant) {
        for _ in 0..100_000 {
            let Some(wait) = self.wait.filter(|wait| wait.at <= end) else { return };
            self.now = self.now.max(wait.at);
            self.play(&Action::Input(portolan_sim::laws::OwnedInput::Timeout));
            self.drain();
        }
        panic!("100,000 deadlines until {end}");
    }

    /// Whether a deadline is left.
    pub(super) const fn waits(&self) -> bool {
        self.wait.is_some()
    }

    fn play(&mut self, action: &Action) {
        let mut notes = Notes(&mut self.notes);
        let mut cx = Cx::new(self.now, &mut self.random, &mut self.ids).with_trace(&mut notes);
        match action {
            Action::Command(text) => {
                if let Ok(command) = M::Command::read(text) {
                    let _refused = self.machine.command(&mut cx, command);
                }
            }
            Action::Stream(chunk) => {
                let _taken = self.machine.stream(&mut cx, chunk.as_datagram());
            }
            Action::Input(input) => {
                let _verdict: Verdict = self.machine.handle(&mut cx, input.as_input());
            }
        }
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll() {
                Output::Wait(wait) => {
                    self.wait = wait;
                    return;
                }
                Output::Event(event) => self.events.push(event),
                Output::Transmit(_) | Output::Socket(_) => {}
            }
        }
    }
}

/// An RNG with different bytes at each call.
struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

struct Notes<'a>(&'a mut String);

impl Trace for Notes<'_> {
    fn note(&mut self, _: Instant, _: &Scope<'_>, note: &dyn Explain) {
        writeln!(self.0, "{note} {note:?} {}", note.code()).expect("memory");
    }
}
