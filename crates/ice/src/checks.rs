//! The pending checks of an agent (RFC 8445 §7.2, §14.3, RFC 8489 §6.2.1).
//!
//! Rules of this file: a check keeps no message; a retransmission encodes the message again. A cancelled check is not
//! retransmitted and its timeout is no failure, but its response counts (RFC 8445 §7.3.1.4).

use crate::pair::PairId;
use crate::role::Role;
use alloc::vec::Vec;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::TransactionId;

/// A pending check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) id: TransactionId,
    pub(crate) pair: PairId,
    /// The role in the request (§7.2.5.1).
    pub(crate) role: Role,
    pub(crate) nomination: Option<u32>,
    pub(crate) use_candidate: bool,
    pub(crate) is_cancelled: bool,
    pub(crate) sends: u8,
    /// The last send.
    pub(crate) sent: Instant,
    rto: Duration,
    /// The next send, or the timeout after the last one.
    due: Instant,
}

/// How a check is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Retransmissions with a doubling RTO: Rc = 7, Rm = 16 (RFC 8489 §6.2.1).
    Doubling,
    /// One send; the agent repeats the pair with new transactions.
    Once,
    /// One send over a reliable transport: Ti = 39.5 s (RFC 8489 §6.2.2).
    Reliable,
}

/// What is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// The check is sent again.
    Send(Check),
    /// The check got no response.
    TimedOut(Check),
}

#[derive(Clone, Debug)]
pub(crate) struct Checks {
    all: Vec<Check>,
    next: Option<Instant>,
    limit: usize,
}

impl Checks {
    /// Room for two checks of each pair, and for at least 256 checks.
    pub(crate) const fn new(pairs: usize) -> Self {
        let limit = if pairs > Self::LIMIT / 2 { 2 * pairs } else { Self::LIMIT };
        Self { all: Vec::new(), next: None, limit }
    }

    /// The least limit of pending checks.
    const LIMIT: usize = 256;

    /// The time for which a check that is sent once can be answered.
    pub(crate) const ONCE: Duration = Duration::from_secs(5);

    /// Ti of RFC 8489 §6.2.2.
    const RELIABLE: Duration = Duration::from_millis(39_500);

    /// Rc and Rm of RFC 8489 §6.2.1.
    const SENDS: u8 = 7;
    const LAST: u32 = 16;

    /// The time from the first send to the timeout, at this RTO: 39.5 s at 500 ms.
    pub(crate) fn duration(rto: Duration) -> Duration {
        rto.saturating_mul((1 << (Self::SENDS - 1)) - 1 + Self::LAST)
    }

    pub(crate) fn add(&mut self, check: Check) {
        if self.all.len() >= self.limit {
            let at = self.least_useful();
            self.all.remove(at);
        }
        self.next = Some(self.next.map_or(check.due, |next| next.min(check.due)));
        self.all.push(check);
    }

    /// The check to forget when the table is full: a cancelled check, else a check whose pair has another one. So the last
    /// check of a pair stays, and its timeout fails the pair.
    fn least_useful(&self) -> usize {
        let cancelled = self.all.iter().position(|check| check.is_cancelled);
        let has_other = |check: &Check| self.of_pair(check.pair).nth(1).is_some();
        cancelled.or_else(|| self.all.iter().position(has_other)).unwrap_or(0)
    }

    /// The check with this id.
    pub(crate) fn find(&self, id: TransactionId) -> Option<&Check> {
        self.all.iter().find(|check| check.id == id)
    }

    pub(crate) fn remove(&mut self, id: TransactionId) -> Option<Check> {
        let at = self.all.iter().position(|check| check.id == id)?;
        let check = self.all.swap_remove(at);
        self.refresh();
        Some(check)
    }

    /// Cancels the checks of a pair.
    pub(crate) fn cancel(&mut self, pair: PairId) {
        for check in self.all.iter_mut().filter(|check| check.pair == pair && !check.is_cancelled) {
            check.cancel();
        }
        self.refresh();
    }

    /// Forgets the checks of a pair that does not exist any more.
    pub(crate) fn forget(&mut self, pair: PairId) {
        self.all.retain(|check| check.pair != pair);
        self.refresh();
    }

    pub(crate) fn clear(&mut self) {
        self.all = Vec::new();
        self.next = None;
    }

    /// The checks of a pair, oldest first.
    pub(crate) fn of_pair(&self, pair: PairId) -> impl Iterator<Item = &Check> {
        self.all.iter().filter(move |check| check.pair == pair)
    }

    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// The next check that is due. A check to send has its next time already.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        let at = self.all.iter().position(|check| check.due <= now);
        let due = at.and_then(|at| {
            let check = self.all.get_mut(at)?;
            if !check.is_cancelled && check.sends < check.limit() {
                check.send_again(now);
                return Some(Due::Send(*check));
            }
            Some(Due::TimedOut(self.all.swap_remove(at)))
        });
        self.refresh();
        due
    }

    fn refresh(&mut self) {
        self.next = self.all.iter().map(|check| check.due).min();
    }
}

impl Check {
    pub(crate) fn new(
        id: TransactionId,
        pair: PairId,
        role: Role,
        now: Instant,
        repeat: Repeat,
        rto: Duration,
    ) -> Self {
        let (rto, due) = match repeat {
            Repeat::Doubling => (rto, now + rto),
            Repeat::Once => (Duration::ZERO, now + Checks::ONCE),
            Repeat::Reliable => (Duration::ZERO, now + Checks::RELIABLE),
        };
        Self {
            id,
            pair,
            role,
            nomination: None,
            use_candidate: false,
            is_cancelled: false,
            sends: 1,
            sent: now,
            rto,
            due,
        }
    }

    const fn limit(&self) -> u8 {
        if self.rto.is_zero() { 1 } else { Checks::SENDS }
    }

    /// The check waits for the rest of its transaction timeout (§7.3.1.4).
    fn cancel(&mut self) {
        self.is_cancelled = true;
        if !self.rto.is_zero() {
            let first = self.first_send();
            self.due = first + Checks::duration(self.rto);
        }
    }

    /// The time of the first send, from the number of sends: the sends are at 0, 1, 3, 7 … RTO.
    fn first_send(&self) -> Instant {
        let factor = (1_u32 << (self.sends.clamp(1, Checks::SENDS) - 1)) - 1;
        let since = self.rto.saturating_mul(factor);
        Instant::from_origin(self.sent.since_origin().saturating_sub(since))
    }

    fn send_again(&mut self, now: Instant) {
        self.sends += 1;
        self.sent = now;
        let wait = if self.sends < Checks::SENDS { 1 << (self.sends - 1) } else { Checks::LAST };
        self.due = now + self.rto.saturating_mul(wait);
    }
}
