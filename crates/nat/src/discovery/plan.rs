//! The schedules of requests, and the budget of ten new transactions in any second.
//!
//! Rules of this file: it uses times and counts, not the meaning of a request. RFC 5780 §5 allows ten *new*
//! transactions a second. Retransmissions do not count, and all families share the budget.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, SocketId};
use portolan_stun::ChangeRequest;
use portolan_stun_agent::{AnswerFrom, Request, Schedule};

use super::tag::Tag;
use crate::profile::Family;

/// The sends of a test whose silence is evidence. Four do not suffice: at 5 % loss per direction one run in 11,000
/// loses all four.
const EVIDENCE_MILLIS: [u32; 7] = [0, 90, 190, 300, 400, 510, 600];

/// The jitter of each send, so that sends of several sockets do not coincide (RFC 5780 §5).
const EVIDENCE_JITTER: Duration = Duration::from_millis(10);

/// The shortest wait after the last send before silence counts.
pub(super) const SHORTEST_TAIL: Duration = Duration::from_millis(250);

/// A test that is sent until it is answered, at most seven times.
pub(super) const EVIDENCE: Schedule = Schedule::at_millis(EVIDENCE_MILLIS).jitter(EVIDENCE_JITTER).tail(SHORTEST_TAIL);

/// The control of such a test. All sends are made, even after a response, because the responses measure the loss.
pub(super) const CONTROL: Schedule = EVIDENCE.repeat(true);

/// The first sends of a mapping test; then one every [`MAPPING_EVERY`].
const MAPPING_MILLIS: [u32; 4] = [0, 100, 250, 450];
const MAPPING_EVERY: Duration = Duration::from_millis(250);

/// The time of the last send.
const MAPPING_UNTIL: Duration = Duration::from_secs(2);

/// The jitter of each send of a mapping test, so that retransmissions of several requests do not coincide (RFC 5780 §5).
const MAPPING_JITTER: Duration = Duration::from_millis(20);

/// A request that any server answers; sent until it is answered.
pub(super) const MAPPING: Schedule = Schedule::at_millis(MAPPING_MILLIS)
    .every(MAPPING_EVERY)
    .until(MAPPING_UNTIL)
    .jitter(MAPPING_JITTER)
    .tail(SHORTEST_TAIL);

/// The request to a primary address, or to the other address and port. It is repeated after a response.
///
/// A later response shows whether the mapping has changed and whether the path works. A repeated request also opens the
/// filter again if the NAT has lost its mappings.
pub(super) const MAPPING_REPEATED: Schedule = MAPPING.repeat(true);

/// The request to a server that TCP has reached: seven sends in 1.2 s. Silence means that UDP does not pass.
pub(super) const AGAIN: Schedule = MAPPING.until(Duration::from_millis(1_200));

/// The request over a TCP connection.
pub(super) const STREAM: Schedule = Schedule::reliable(Duration::from_millis(1_500));

/// The time after the first send within which a datagram of any server must come. Otherwise the path was interrupted,
/// and the silence of one request is no evidence.
pub(super) const PATH_CHECK: Duration = Duration::from_millis(250);

/// The time without a response after which another server is used too.
pub(super) const SERVER_TIMEOUT: Duration = Duration::from_millis(300);

/// The time without a response from an alternate address after which another server is used too.
pub(super) const ALTERNATE_TIMEOUT: Duration = Duration::from_millis(600);

/// The time without a UDP response after which TCP connections are tried.
pub(super) const UDP_TIMEOUT: Duration = Duration::from_secs(1);

/// The time without a UDP or TCP response after which the host is offline. An interruption of three seconds, with two
/// retransmissions of a TCP SYN (RFC 6298 §2.1), is shorter.
pub(super) const OFFLINE_TIMEOUT: Duration = Duration::from_secs(4);

/// The time after which a TCP connection without a response counts as timed out.
pub(super) const TCP_TIMEOUT: Duration = Duration::from_millis(900);

/// The delay of the IPv6 mapping test if IPv4 is measured too: the ten transactions of IPv4 go first.
pub(super) const SECOND_FAMILY: Duration = Duration::from_secs(1);

/// At most ten new transactions in any second.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    starts: [Option<Instant>; Self::PER_SECOND],
    next: usize,
}

impl Budget {
    const PER_SECOND: usize = 10;
    const WINDOW: Duration = Duration::from_secs(1);

    pub(super) const fn new() -> Self {
        Self { starts: [None; Self::PER_SECOND], next: 0 }
    }

    /// The time at which the next transaction may start; `None` if it may start now.
    pub(super) fn free_at(&self, now: Instant) -> Option<Instant> {
        let oldest = self.starts.get(self.next).copied().flatten()?;
        let free = oldest + Self::WINDOW;
        (free > now).then_some(free)
    }

    /// Counts a transaction that starts now.
    pub(super) fn start(&mut self, now: Instant) {
        if let Some(slot) = self.starts.get_mut(self.next) {
            *slot = Some(now);
        }
        self.next = (self.next + 1) % Self::PER_SECOND;
    }
}

/// A request that starts as soon as the budget allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedRequest {
    pub(super) tag: Tag,
    pub(super) socket: SocketId,
    pub(super) to: SocketAddr,
    pub(super) change: Option<ChangeRequest>,
    pub(super) schedule: Schedule,
    pub(super) from: AnswerFrom,
    /// No start before this time.
    pub(super) not_before: Instant,
}

impl PlannedRequest {
    pub(super) fn request(&self) -> Request<Tag> {
        let request = Request::binding(self.socket, self.to, self.tag).schedule(self.schedule).from(self.from);
        match self.change {
            Some(change) => request.change(change),
            None => request,
        }
    }
}

/// The requests that have not started, in the order in which they were planned.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    budget: Budget,
    planned: Vec<PlannedRequest>,
}

impl Plan {
    pub(super) const fn new() -> Self {
        Self { budget: Budget::new(), planned: Vec::new() }
    }

    pub(super) fn add(&mut self, request: PlannedRequest) {
        self.planned.push(request);
    }

    /// Returns the next request that may start now, and counts it.
    pub(super) fn take(&mut self, now: Instant) -> Option<PlannedRequest> {
        if self.planned.is_empty() || self.budget.free_at(now).is_some() {
            return None;
        }
        let ready = self.planned.iter().position(|request| request.not_before <= now)?;
        self.budget.start(now);
        Some(self.planned.remove(ready))
    }

    /// The time at which [`Plan::take`] may return a request.
    pub(super) fn wake(&self, now: Instant) -> Option<Instant> {
        let ready = self.planned.iter().map(|request| request.not_before).min()?;
        Some(self.budget.free_at(now).map_or(ready, |free| free.max(ready)))
    }

    /// Lets the requests of a family start now, because the other family is over.
    pub(super) fn start_now(&mut self, now: Instant, family: Family) {
        for request in self.planned.iter_mut().filter(|request| request.tag.family == family) {
            request.not_before = request.not_before.min(now);
        }
    }

    /// Withdraws the requests of a filtering attempt.
    pub(super) fn withdraw(&mut self, family: Family, attempt: u8) {
        self.planned.retain(|request| request.tag.family != family || request.tag.test.attempt() != Some(attempt));
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_transaction_waits_until_the_first_is_a_second_old() {
        let mut budget = Budget::new();
        let start = Instant::from_millis(5_000);
        for n in 0..10 {
            let now = start + Duration::from_millis(n);
            assert_eq!(budget.free_at(now), None);
            budget.start(now);
        }
        let now = start + Duration::from_millis(10);
        assert_eq!(budget.free_at(now), Some(start + Duration::from_secs(1)));
        assert_eq!(budget.free_at(start + Duration::from_secs(1)), None);
        budget.start(start + Duration::from_secs(1));
        assert_eq!(budget.free_at(start + Duration::from_secs(1)), Some(start + Duration::from_millis(1_001)));
    }

    #[test]
    fn each_schedule_has_the_expected_offsets() {
        let sends = |schedule: Schedule| -> Vec<u128> {
            (0..20).map_while(|n| schedule.offset(n)).map(|offset| offset.as_millis()).collect()
        };
        assert_eq!(sends(EVIDENCE), [0, 90, 190, 300, 400, 510, 600]);
        assert_eq!(sends(CONTROL), sends(EVIDENCE));
        assert_eq!(sends(MAPPING), [0, 100, 250, 450, 700, 950, 1200, 1450, 1700, 1950]);
        assert_eq!(sends(AGAIN), [0, 100, 250, 450, 700, 950, 1200]);
        assert!(MAPPING_REPEATED.is_repeating());
        assert!(CONTROL.is_repeating() && !EVIDENCE.is_repeating() && !MAPPING.is_repeating());
        assert_eq!(EVIDENCE.jitter_up_to(), Duration::from_millis(10));
        assert_eq!(MAPPING.jitter_up_to(), Duration::from_millis(20));
    }
}
