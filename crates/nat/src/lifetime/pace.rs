//! The limit on the starts of transactions.
//!
//! Rules of this file: at most ten transactions start within a second (RFC 5780 §5); retransmissions do not count.
//! Starts that are not urgent keep a distance too, so that their retransmissions do not coincide.

use core::time::Duration;
use portolan_machine::Instant;

/// The starts of the last ten transactions.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    ring: [Option<Instant>; Self::PER_SECOND],
    next: usize,
    last: Option<Instant>,
}

/// The urgency of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Its time is part of the measurement.
    Now,
    /// Its time does not matter.
    Whenever,
}

impl Pace {
    /// RFC 5780 §5.
    pub(super) const PER_SECOND: usize = 10;
    /// A little more than a second, so that a second with both its ends holds ten.
    const WINDOW: Duration = Duration::from_millis(1001);
    /// The distance between two that are not urgent.
    const DISTANCE: Duration = Duration::from_millis(101);

    pub(super) const fn new() -> Self {
        Self { ring: [None; Self::PER_SECOND], next: 0, last: None }
    }

    /// The time at which the next transaction may start. A time in the past means now.
    pub(super) fn opens(&self, urgency: Urgency) -> Instant {
        let window = self.ring.get(self.next).copied().flatten().map_or(Instant::ORIGIN, |tenth| tenth + Self::WINDOW);
        let distance = match urgency {
            Urgency::Now => Instant::ORIGIN,
            Urgency::Whenever => self.last.map_or(Instant::ORIGIN, |last| last + Self::DISTANCE),
        };
        window.max(distance)
    }

    /// Counts a start.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Some(slot) = self.ring.get_mut(self.next) {
            *slot = Some(now);
        }
        self.next = (self.next + 1) % Self::PER_SECOND;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn at_most_ten_transactions_start_in_one_second() {
        let (mut pace, mut begun) = (Pace::new(), Vec::new());
        let mut now = Instant::from_millis(5);
        for _ in 0..95 {
            now = now.max(pace.opens(Urgency::Now));
            pace.begin(now);
            begun.push(now);
        }
        assert!(begun.windows(11).all(|eleven| eleven[10] - eleven[0] > Duration::from_secs(1)));
        assert!(now < Instant::from_millis(9100), "no transaction waits longer than necessary: {now}");
    }

    #[test]
    fn a_transaction_that_is_not_urgent_waits_for_the_interval() {
        let mut pace = Pace::new();
        pace.begin(Instant::from_millis(1000));
        assert!(pace.opens(Urgency::Now) <= Instant::from_millis(1000));
        assert_eq!(pace.opens(Urgency::Whenever), Instant::from_millis(1101));
    }
}
