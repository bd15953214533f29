//! Virtual time: a clock that leaps from wake-up to wake-up.
//!
//! Rules of this file: time never runs backwards; what falls on one moment happens in the order in which it was put
//! down, so a run depends on nothing but its seed. Nothing here knows what a wake-up is for.

use alloc::collections::BinaryHeap;
use core::cmp::Ordering;
use core::time::Duration;
use portolan_machine::Instant;

/// Nanoseconds since the origin; half the size of an [`Instant`] and one comparison. Ends after 584 years.
pub(crate) type Nanos = u64;

/// A duration in nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The moment so many nanoseconds after the origin.
pub(crate) const fn instant(nanos: Nanos) -> Instant {
    Instant::from_origin(Duration::from_nanos(nanos))
}

/// The time, and what is still to come.
#[derive(Clone, Debug)]
pub(crate) struct Clock<T> {
    now: Nanos,
    put: u64,
    agenda: BinaryHeap<Entry<T>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    /// The time above, the order below: one comparison.
    key: u128,
    what: T,
}

impl<T> Clock<T> {
    pub(crate) const fn new() -> Self {
        Self { now: 0, put: 0, agenda: BinaryHeap::new() }
    }

    /// Back to the origin; gives away what was still to come, in no order, and keeps its memory.
    pub(crate) fn reset(&mut self) -> impl Iterator<Item = T> + '_ {
        (self.now, self.put) = (0, 0);
        self.agenda.drain().map(|entry| entry.what)
    }

    pub(crate) const fn now(&self) -> Nanos {
        self.now
    }

    /// Puts something down for `at`, for now where that has passed.
    pub(crate) fn put(&mut self, at: Nanos, what: T) {
        self.put += 1;
        let key = (u128::from(at.max(self.now)) << 64) | u128::from(self.put);
        self.agenda.push(Entry { key, what });
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.agenda.peek().map(Entry::at)
    }

    /// Leaps to the next thing and takes it.
    pub(crate) fn leap(&mut self) -> Option<T> {
        let entry = self.agenda.pop()?;
        self.now = entry.at();
        Some(entry.what)
    }

    /// Lets time pass without anything happening; never back, and never past what is to come.
    pub(crate) fn pass(&mut self, until: Nanos) {
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
    /// The earliest is the greatest, for the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_happens_in_the_order_it_was_put_down() {
        let mut clock = Clock::new();
        clock.put(20, 'c');
        clock.put(10, 'a');
        clock.put(10, 'b');
        assert_eq!([clock.leap(), clock.leap()], [Some('a'), Some('b')]);
        clock.put(5, 'd');
        assert_eq!((clock.leap(), clock.now()), (Some('d'), 10), "the past is now");
        clock.pass(100);
        assert_eq!(clock.now(), 20, "never past what is to come");
        assert_eq!((clock.leap(), clock.leap()), (Some('c'), None));
    }
}
