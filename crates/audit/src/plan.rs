//! When each question is begun, and when those that are no transactions are sent again.
//!
//! Rules of this file: takes the time, returns what to do, sees no queue.

use crate::probe::{DEAF_AFTER, ODDITIES, PACE, Probe, REQUESTS};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Deadline, Instant};
use portolan_stun_agent::Schedule;

/// What is still to be begun.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    requests: VecDeque<Probe>,
    oddities: VecDeque<Probe>,
    started: Instant,
    next: Instant,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self { requests: REQUESTS.into(), oddities: ODDITIES.into(), started: Instant::ORIGIN, next: Instant::ORIGIN }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        (self.started, self.next) = (now, now);
    }

    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// The questions to begin now: a request and, in the first slots, one that is none.
    ///
    /// A question that cannot be asked gives its slot to the next one. When nothing was heard for long the rest is left out.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        deaf: bool,
        can_ask: impl Fn(Probe) -> bool,
    ) -> Option<(Option<Probe>, Option<Probe>)> {
        if self.is_empty() || self.next > now {
            return None;
        }
        if deaf && now.since(self.started) >= DEAF_AFTER {
            (self.requests, self.oddities) = (VecDeque::new(), VecDeque::new());
            return None;
        }
        // A late wake-up moves the rest: a burst is what the pace is there to prevent.
        self.next = now + PACE;
        let mut request = self.requests.pop_front();
        while request.is_some_and(|probe| !can_ask(probe)) {
            request = self.requests.pop_front();
        }
        // The first slot belongs to the control alone.
        let oddity = if request == Some(Probe::Control) { None } else { self.oddities.pop_front() };
        Some((request, oddity))
    }

    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.oddities.is_empty()
    }

    pub(crate) fn wait(&self) -> Option<Deadline> {
        (!self.is_empty()).then_some(Deadline::new(self.next, "next question"))
    }
}

/// Questions on their way that are no transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Irregular {
    shots: Vec<Shot>,
}

#[derive(Clone, Debug)]
struct Shot {
    probe: Probe,
    to: SocketAddr,
    bytes: Bytes,
    schedule: Schedule,
    /// The moment that the schedule's offsets count from.
    base: Instant,
    due: Instant,
    sends: u32,
}

impl Irregular {
    pub(crate) fn begin(&mut self, now: Instant, probe: Probe, to: SocketAddr, bytes: Bytes, schedule: Schedule) {
        self.shots.push(Shot { probe, to, bytes, schedule, base: now, due: now, sends: 0 });
    }

    /// Forgets a question that is answered.
    pub(crate) fn answered(&mut self, probe: Probe) {
        self.shots.retain(|shot| shot.probe != probe);
    }

    /// The next datagram that is due now; forgets the questions whose time is up.
    pub(crate) fn step(&mut self, now: Instant) -> Option<(SocketAddr, Bytes)> {
        self.shots.retain(|shot| shot.due > now || shot.schedule.offset(shot.sends).is_some());
        let shot = self.shots.iter_mut().find(|shot| shot.due <= now)?;
        // A late wake-up moves the rest, as in a transaction.
        shot.base += now.since(shot.due);
        shot.sends += 1;
        shot.due = match shot.schedule.offset(shot.sends) {
            Some(offset) => shot.base + offset,
            None => now + shot.schedule.tail_after(),
        };
        Some((shot.to, shot.bytes.clone()))
    }

    pub(crate) fn wait(&self) -> Option<Deadline> {
        let first = self.shots.iter().map(|shot| shot.due).min()?;
        Some(Deadline::new(first, "next question of no transaction"))
    }
}
