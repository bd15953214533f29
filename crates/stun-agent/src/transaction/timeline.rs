//! Where one request stands on its schedule.
//!
//! Rules of this file: takes the time and the RNG, returns what to do, sees no queue. A late wake-up sends
//! one datagram and moves the rest of the schedule by the lateness: the intervals between sends are never cut short,
//! because they are what keeps retransmissions from being a burst (RFC 8489 §6.2.1), and probes from being lost together.

use crate::Schedule;
use core::time::Duration;
use portolan_machine::{Cx, Instant};

#[derive(Clone, Debug)]
pub(super) struct Timeline {
    schedule: Schedule,
    phase: Phase,
    /// The moment that the schedule's offsets count from.
    base: Instant,
    due: Instant,
    first: Instant,
    last: Instant,
    sends: u32,
}

/// What a timeline is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Sends are left.
    Sending,
    /// All is sent, the answer may still come.
    Listening,
    /// Given up.
    Over,
}

/// What may follow what.
const TRANSITIONS: &[(Phase, Phase)] = &[(Phase::Sending, Phase::Listening), (Phase::Listening, Phase::Over)];

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send the request.
    Send,
    /// Give it up.
    GiveUp,
    /// Nothing yet.
    Nothing,
}

impl Timeline {
    pub(super) fn new(schedule: Schedule, now: Instant) -> Self {
        let due = now + schedule.offset(0).unwrap_or_default();
        Self { schedule, phase: Phase::Sending, base: now, due, first: due, last: due, sends: 0 }
    }

    /// Starts again, as for another request.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(self.schedule, now);
    }

    /// When the next step is due; past the end it means nothing.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// The next thing due at this time; asked again until it says [`Step::Nothing`] or [`Step::GiveUp`].
    #[inline]
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) -> Step {
        if self.due > cx.now() {
            return Step::Nothing;
        }
        match self.phase {
            Phase::Sending => {
                self.send(cx);
                Step::Send
            }
            Phase::Listening => {
                self.become_phase(Phase::Over);
                Step::GiveUp
            }
            Phase::Over => Step::Nothing,
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        self.base += now - self.due;
        if self.sends == 0 {
            self.first = now;
        }
        self.last = now;
        let before = self.schedule.offset(self.sends).unwrap_or_default();
        self.sends = self.sends.saturating_add(1);
        let Some(offset) = self.schedule.offset(self.sends) else {
            self.become_phase(Phase::Listening);
            self.due = now + self.schedule.tail_after();
            return;
        };
        // Moved by more than the interval before it, a send could overtake the next one.
        let most = self.schedule.jitter_up_to().min(offset.saturating_sub(before));
        self.due = now.max(self.base + offset + random_up_to(cx, most));
    }

    /// Changes how long after the last send the request is given up, also while that wait runs.
    pub(super) fn set_tail(&mut self, tail: Duration) {
        self.schedule = self.schedule.tail(tail);
        if self.phase == Phase::Listening {
            self.due = self.last + self.schedule.tail_after();
        }
    }

    pub(super) const fn repeats(&self) -> bool {
        self.schedule.is_repeating()
    }

    pub(super) const fn sends(&self) -> u32 {
        self.sends
    }

    pub(super) const fn since_first(&self, now: Instant) -> Duration {
        now.since(self.first)
    }

    pub(super) const fn since_last(&self, now: Instant) -> Duration {
        now.since(self.last)
    }

    /// The reason for the next wake-up.
    pub(super) const fn why(&self) -> &'static str {
        match (self.phase, self.sends) {
            (Phase::Sending, 0) => "first transmission",
            (Phase::Sending, _) => "retransmission",
            (Phase::Listening | Phase::Over, _) => "end of the wait for an answer",
        }
    }

    fn become_phase(&mut self, next: Phase) {
        let allowed = TRANSITIONS.contains(&(self.phase, next));
        debug_assert!(allowed, "{:?} to {next:?}", self.phase);
        if allowed {
            self.phase = next;
        }
    }
}

/// A random duration of whole microseconds, 0 to `most`; draws no random bytes where there is no choice.
fn random_up_to(cx: &mut Cx<'_>, most: Duration) -> Duration {
    let micros = u32::try_from(most.as_micros()).unwrap_or(u32::MAX);
    if micros == 0 { Duration::ZERO } else { Duration::from_micros(cx.random_below(micros.saturating_add(1)).into()) }
}
