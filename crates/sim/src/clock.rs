//! Virtual time: a clock that jumps from wake-up to wake-up.
//!
//! Rules of this file: time never runs backwards. Wake-ups at the same time fire in the order of insertion, so a run
//! depends only on its seed. The clock does not know the purpose of a wake-up.

use alloc::collections::BinaryHeap;
use core::cmp::Ordering;
use core::time::Duration;
use portolan_machine::Instant;

/// Nanoseconds since the origin: half the size of an [`Instant`], compared in one instruction. Ends after 584 years.
pub(crate) type Nanos = u64;

/// A duration in nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The instant that is this many nanoseconds after the origin.
pub(crate) const fn instant(nanos: Nanos) -> Instant {
    Instant::from_origin(Duration::from_nanos(nanos))
}

/// The current time and the pending wake-ups.
#[derive(Clone, Debug)]
pub(crate) struct Clock<T> {
    now: Nanos,
    inserted: u64,
    agenda: BinaryHeap<Entry<T>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    /// The time in the high bits, the insertion order in the low bits: one comparison.
    key: u128,
    what: T,
}

impl<T> Clock<T> {
    pub(crate) const fn new() -> Self {
        Self { now: 0, inserted: 0, agenda: BinaryHeap::new() }
    }

    /// Resets the clock to the origin. Returns the pending wake-ups in no order, and keeps the memory.
    pub(crate) fn reset(&mut self) -> impl Iterator<Item = T> + '_ {
        (self.now, self.inserted) = (0, 0);
        self.agenda.drain().map(|entry| entry.what)
    }

    pub(crate) const fn now(&self) -> Nanos {
        self.now
    }

    /// Schedules an item at `at`, or now if `at` has passed.
    pub(crate) fn schedule(&mut self, at: Nanos, what: T) {
        self.inserted += 1;
        let key = (u128::from(at.max(self.now)) << 64) | u128::from(self.inserted);
        self.agenda.push(Entry { key, what });
    }

    /// The time of the next item.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.agenda.peek().map(Entry::at)
    }

    /// Advances the clock to the next item and removes it.
    pub(crate) fn advance(&mut self) -> Option<T> {
        let entry = self.agenda.pop()?;
        self.now = entry.at();
        Some(entry.what)
    }

    /// Advances the clock without firing an item: never backwards, and never past the next item.
    pub(crate) fn advance_to(&mut self, until: Nanos) {
        self.now = self.now.max(until.min(self.next().unwrap_or(Nanos::MAX)));
    }
}

impl<T> Entry<T> {
    const fn at(&self) -> Nanos {
        (self.key >> 64) as Nanos
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed order: the heap returns the greatest first, so the earliest must be the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_ups_at_one_time_fire_in_insertion_order() {
        let mut clock = Clock::new();
        clock.schedule(20, 'c');
        clock.schedule(10, 'a');
        clock.schedule(10, 'b');
        assert_eq!([clock.advance(), clock.advance()], [Some('a'), Some('b')]);
        clock.schedule(5, 'd');
        assert_eq!((clock.advance(), clock.now()), (Some('d'), 10), "the past is now");
        clock.advance_to(100);
        assert_eq!(clock.now(), 20, "never past what is to come");
        assert_eq!((clock.advance(), clock.advance()), (Some('c'), None));
    }
}
