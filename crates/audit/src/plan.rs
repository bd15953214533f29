//! The times at which probes are sent, and at which irregular probes are retransmitted.
//!
//! Rules of this file: it gets the time and returns what is due. It has no access to the output queue.

use crate::probe::{MALFORMED, NO_RESPONSE_TIMEOUT, PACE, Probe, REQUESTS};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Deadline, Instant};
use portolan_stun_agent::Schedule;

/// The probes that were not sent yet.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    requests: VecDeque<Probe>,
    malformed: VecDeque<Probe>,
    started: Instant,
    next: Instant,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self { requests: REQUESTS.into(), malformed: MALFORMED.into(), started: Instant::ORIGIN, next: Instant::ORIGIN }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        (self.started, self.next) = (now, now);
    }

    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Returns the probes to send now: a request and, in the first slots, a malformed message.
    ///
    /// A probe that cannot be sent gives its slot to the next one. After [`NO_RESPONSE_TIMEOUT`] without a response
    /// the other probes are not sent.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        no_response: bool,
        can_send: impl Fn(Probe) -> bool,
    ) -> Option<(Option<Probe>, Option<Probe>)> {
        if self.is_empty() || self.next > now {
            return None;
        }
        if no_response && now.since(self.started) >= NO_RESPONSE_TIMEOUT {
            (self.requests, self.malformed) = (VecDeque::new(), VecDeque::new());
            return None;
        }
        // After a late timeout all further slots are late too. Otherwise there would be a burst.
        self.next = now + PACE;
        let mut request = self.requests.pop_front();
        while request.is_some_and(|probe| !can_send(probe)) {
            request = self.requests.pop_front();
        }
        // The first slot has only the control.
        let malformed = if request == Some(Probe::Control) { None } else { self.malformed.pop_front() };
        Some((request, malformed))
    }

    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.malformed.is_empty()
    }

    pub(crate) fn wait(&self) -> Option<Deadline> {
        (!self.is_empty()).then_some(Deadline::new(self.next, "next probe"))
    }
}

/// Pending probes that are not transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Irregular {
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
struct Pending {
    probe: Probe,
    to: SocketAddr,
    bytes: Bytes,
    schedule: Schedule,
    /// The time to which the offsets of the schedule are added.
    base: Instant,
    due: Instant,
    sends: u32,
}

impl Irregular {
    pub(crate) fn begin(&mut self, now: Instant, probe: Probe, to: SocketAddr, bytes: Bytes, schedule: Schedule) {
        self.pending.push(Pending { probe, to, bytes, schedule, base: now, due: now, sends: 0 });
    }

    /// Removes a probe that is answered.
    pub(crate) fn answered(&mut self, probe: Probe) {
        self.pending.retain(|pending| pending.probe != probe);
    }

    /// Returns the next datagram that is due. Removes the probes whose schedule has ended.
    pub(crate) fn step(&mut self, now: Instant) -> Option<(SocketAddr, Bytes)> {
        self.pending.retain(|pending| pending.due > now || pending.schedule.offset(pending.sends).is_some());
        let pending = self.pending.iter_mut().find(|pending| pending.due <= now)?;
        // After a late timeout all further sends are late too, as in a transaction.
        pending.base += now.since(pending.due);
        pending.sends += 1;
        pending.due = match pending.schedule.offset(pending.sends) {
            Some(offset) => pending.base + offset,
            None => now + pending.schedule.tail_after(),
        };
        Some((pending.to, pending.bytes.clone()))
    }

    pub(crate) fn wait(&self) -> Option<Deadline> {
        let first = self.pending.iter().map(|pending| pending.due).min()?;
        Some(Deadline::new(first, "next irregular probe"))
    }
}
