//! The limit of packets in any second.
//!
//! Rules of this file: it takes the time and returns whether a packet may leave. Probes and responses count alike.

use alloc::collections::VecDeque;
use core::time::Duration;
use portolan_machine::Instant;

/// The times of the last packets.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate: usize,
    sent: VecDeque<Instant>,
    /// All packets.
    total: u64,
}

const SECOND: Duration = Duration::from_secs(1);

impl Pace {
    pub(super) fn new(rate: u16) -> Self {
        Self { rate: usize::from(rate.max(1)), sent: VecDeque::new(), total: 0 }
    }

    /// The number of all packets.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// The earliest time for the next packet; `now` or earlier if it may leave at once.
    pub(super) fn ready(&self) -> Instant {
        match self.sent.front() {
            Some(oldest) if self.sent.len() >= self.rate => *oldest + SECOND,
            Some(_) | None => Instant::ORIGIN,
        }
    }

    /// Counts a packet, if it may leave at `now`.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.ready() > now {
            return false;
        }
        if self.sent.len() >= self.rate {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        self.total += 1;
        true
    }

    /// Forgets the times, not the number.
    pub(super) fn clear(&mut self) {
        self.sent = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_packets_than_the_rate() {
        let mut pace = Pace::new(100);
        let mut sent = alloc::vec::Vec::new();
        for millis in 0..5000 {
            let now = Instant::from_millis(millis);
            if pace.take(now) {
                sent.push(now);
            }
        }
        assert_eq!(sent.len(), 500);
        for window in sent.windows(101) {
            assert!(window[100] - window[0] >= SECOND);
        }
        assert_eq!(pace.ready(), Instant::from_millis(5000));
    }

    #[test]
    fn the_memory_is_bounded_by_the_rate() {
        let mut pace = Pace::new(3);
        for second in 0..50 {
            assert!(pace.take(Instant::from_millis(1000 * second)));
        }
        assert_eq!(pace.sent.len(), 3);
        pace.clear();
        assert_eq!((pace.sent.capacity(), pace.total()), (0, 50));
    }
}
