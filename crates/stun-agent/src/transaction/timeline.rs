//! The progress of one request on its schedule.
//!
//! Rules of this file: functions take the time and the RNG, and return the next step. A late wake-up sends one
//! datagram and delays the rest of the schedule by the same time. An interval between two sends is never shortened.
//! So retransmissions are not a burst (RFC 8489 §6.2.1), and probes are not lost together.

use crate::Schedule;
use core::time::Duration;
use portolan_machine::{Cx, Instant};

#[derive(Clone, Debug)]
pub(super) struct Timeline {
    schedule: Schedule,
    phase: Phase,
    /// The time from which the offsets of the schedule count.
    base: Instant,
    due: Instant,
    first: Instant,
    last: Instant,
    sends: u32,
}

/// The phase of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Sends are left.
    Sending,
    /// All sends are done, and a response is still accepted.
    Waiting,
    /// Timed out.
    Over,
}

/// The allowed changes of the phase.
const TRANSITIONS: &[(Phase, Phase)] = &[(Phase::Sending, Phase::Waiting), (Phase::Waiting, Phase::Over)];

/// The next step of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send the request.
    Send,
    /// Time the request out.
    GiveUp,
    /// No step is due.
    Nothing,
}

impl Timeline {
    pub(super) fn new(schedule: Schedule, now: Instant) -> Self {
        let due = now + schedule.offset(0).unwrap_or_default();
        Self { schedule, phase: Phase::Sending, base: now, due, first: due, last: due, sends: 0 }
    }

    /// Starts the schedule again, for the next transaction of a request.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(self.schedule, now);
    }

    /// The time of the next step; without meaning after the end.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Performs one due step. The caller repeats the call until the result is [`Step::Nothing`] or [`Step::GiveUp`].
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
            Phase::Waiting => {
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
            self.become_phase(Phase::Waiting);
            self.due = now + self.schedule.tail_after();
            return;
        };
        // A jitter above the preceding interval could move a send behind the next one.
        let most = self.schedule.jitter_up_to().min(offset.saturating_sub(before));
        self.due = now.max(self.base + offset + random_up_to(cx, most));
    }

    /// Sets the time between the last send and the timeout, also during that time.
    pub(super) fn set_tail(&mut self, tail: Duration) {
        self.schedule = self.schedule.tail(tail);
        if self.phase == Phase::Waiting {
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

    /// The reason of the next deadline.
    pub(super) const fn reason(&self) -> &'static str {
        match (self.phase, self.sends) {
            (Phase::Sending, 0) => "first transmission",
            (Phase::Sending, _) => "retransmission",
            (Phase::Waiting | Phase::Over, _) => "response timeout",
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

/// A random duration of whole microseconds, 0 to `most`. If `most` is below 1 µs, the RNG is not used.
fn random_up_to(cx: &mut Cx<'_>, most: Duration) -> Duration {
    let micros = u32::try_from(most.as_micros()).unwrap_or(u32::MAX);
    if micros == 0 { Duration::ZERO } else { Duration::from_micros(cx.random_below(micros.saturating_add(1)).into()) }
}
