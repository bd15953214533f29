//! Pacing: at most one new STUN or TURN transaction each Ta (RFC 8445 §14).
//!
//! Rules of this file: a [`Pacer`] is plain data. It paces new transactions, not retransmissions: their times follow
//! from the RTO, which grows with the number of transactions (§14.3). Machines that share one path to the network share
//! one pacer: after a call to one machine, the owner passes that machine's pacer to the other machines.
//!
//! ```
//! use core::time::Duration;
//! use portolan_ice::Pacer;
//! use portolan_machine::Instant;
//!
//! let (mut gatherer, mut agent) = (Pacer::new(Pacer::DEFAULT), Pacer::new(Pacer::DEFAULT));
//! let now = Instant::from_millis(7);
//! assert!(gatherer.due(now));
//! gatherer.take(now);
//! agent.merge(gatherer);
//! assert!(!agent.due(now), "the agent waits for 50 ms after a transaction of the gatherer");
//! assert_eq!(agent.next(), Instant::from_millis(57));
//! ```

use core::time::Duration;
use portolan_machine::Instant;

/// The time of the next new transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacer {
    interval: Duration,
    next: Instant,
}

impl Pacer {
    /// The default Ta, 50 ms (RFC 8445 §14.2).
    pub const DEFAULT: Duration = Duration::from_millis(50);
    /// The least Ta, 5 ms (RFC 8445 §14.2).
    pub const LEAST: Duration = Duration::from_millis(5);

    /// A pacer with this Ta, at least [`LEAST`](Self::LEAST). The first transaction is due at once.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval: interval.max(Self::LEAST), next: Instant::ORIGIN }
    }

    /// Returns Ta.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns the time from which the next transaction is allowed.
    #[must_use]
    pub const fn next(&self) -> Instant {
        self.next
    }

    /// Whether a transaction is allowed now.
    #[must_use]
    pub fn due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Records that a transaction starts now.
    pub fn take(&mut self, now: Instant) {
        self.next = now + self.interval;
    }

    /// Sets Ta to the larger of both, and the time of the next transaction to the later of both.
    pub fn merge(&mut self, other: Self) {
        self.interval = self.interval.max(other.interval);
        self.next = self.next.max(other.next);
    }
}

impl Default for Pacer {
    /// A pacer with the default Ta.
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8445_14_2_ta_is_50_ms_by_default_and_never_below_5_ms() {
        assert_eq!(Pacer::default().interval(), Duration::from_millis(50));
        assert_eq!(Pacer::new(Duration::ZERO).interval(), Duration::from_millis(5));
    }

    #[test]
    fn the_larger_interval_and_the_later_time_win() {
        let (mut fast, mut slow) = (Pacer::new(Duration::from_millis(20)), Pacer::default());
        fast.take(Instant::from_millis(100));
        slow.merge(fast);
        assert_eq!((slow.interval(), slow.next()), (Pacer::DEFAULT, Instant::from_millis(120)));
        fast.merge(slow);
        assert_eq!(fast, slow);
    }
}
