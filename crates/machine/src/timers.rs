//! A queue of many timers: [`Timers`].
//!
//! A machine with many timers needs the earliest of them at every `poll`. [`Timers`] is a binary heap with an index:
//! it inserts and cancels in O(log n) and returns the next deadline in O(1). Equal deadlines are due in the order in
//! which they were inserted, so a run is deterministic.
//!
//! ```
//! use portolan_machine::{Instant, Timers};
//!
//! let at = Instant::from_millis;
//! let mut timers = Timers::new();
//! let keepalive = timers.insert(at(15_000), "keepalive");
//! timers.insert(at(500), "retransmission");
//! assert_eq!(timers.next(), Some(at(500)));
//! assert_eq!(timers.pop_due(at(499)), None);
//! assert_eq!(timers.pop_due(at(500)), Some("retransmission"));
//! assert_eq!(timers.cancel(keepalive), Some("keepalive"));
//! assert_eq!((timers.cancel(keepalive), timers.next()), (None, None));
//! ```

use crate::Instant;
use alloc::vec::Vec;

/// The name of a timer in its [`Timers`]. It stays invalid after the timer was due or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: u32,
    generation: u32,
}

/// Deadlines with their keys.
///
/// A timer costs one entry in a heap and one in a slab. Both shrink when few timers are left, so the memory of a flood is
/// released.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    heap: Vec<HeapEntry>,
    slots: Vec<TimerSlot<K>>,
    /// The first free slot; the free slots form a list.
    free: Option<u32>,
    inserted: u64,
}

/// A deadline. Entries are ordered by time, then by the number of their insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HeapEntry {
    at: Instant,
    number: u64,
    slot: u32,
}

#[derive(Clone, Debug)]
struct TimerSlot<K> {
    generation: u32,
    state: SlotState<K>,
}

#[derive(Clone, Debug)]
enum SlotState<K> {
    /// A timer and its place in the heap.
    Used { key: K, place: usize },
    /// The next free slot.
    Free { next: Option<u32> },
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Timers<K> {
    /// No timers; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: Vec::new(), slots: Vec::new(), free: None, inserted: 0 }
    }

    /// The number of timers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there is no timer.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The earliest deadline, in O(1).
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.at)
    }

    /// The key of the earliest deadline, in O(1).
    #[must_use]
    pub fn next_key(&self) -> Option<&K> {
        self.key(self.heap.first()?.slot)
    }

    /// Inserts a timer that is due at `at`, in O(log n).
    pub fn insert(&mut self, at: Instant, key: K) -> TimerId {
        let place = self.heap.len();
        let used = SlotState::Used { key, place };
        let slot = match self.free {
            Some(slot) => {
                if let Some(free) = self.slots.get_mut(slot as usize)
                    && let SlotState::Free { next } = core::mem::replace(&mut free.state, used)
                {
                    self.free = next;
                }
                slot
            }
            None => {
                let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                // Ids of slots that were released with the slab stay invalid: the generation starts at the count of
                // all insertions.
                self.slots.push(TimerSlot { generation: self.inserted as u32, state: used });
                slot
            }
        };
        self.heap.push(HeapEntry { at, number: self.inserted, slot });
        self.inserted += 1;
        self.sift_up(place);
        TimerId { slot, generation: self.slots.get(slot as usize).map_or(0, |slot| slot.generation) }
    }

    /// Removes a timer before it is due, in O(log n), and returns its key; `None` when it was due or cancelled already.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        let slot = self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        let SlotState::Used { place, .. } = slot.state else { return None };
        self.remove(place)
    }

    /// Removes the earliest timer that is due at `now`, in O(log n), and returns its key.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        self.remove(0)
    }

    fn key(&self, slot: u32) -> Option<&K> {
        match &self.slots.get(slot as usize)?.state {
            SlotState::Used { key, .. } => Some(key),
            SlotState::Free { .. } => None,
        }
    }

    fn remove(&mut self, place: usize) -> Option<K> {
        if place >= self.heap.len() {
            return None;
        }
        let entry = self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.set_place(place);
            self.sift_down(place);
            self.sift_up(place);
        }
        let freed = SlotState::Free { next: self.free };
        let slot = self.slots.get_mut(entry.slot as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        let SlotState::Used { key, .. } = core::mem::replace(&mut slot.state, freed) else { return None };
        self.free = Some(entry.slot);
        self.release();
        Some(key)
    }

    /// Releases memory: all slots when no timer is left, half of the heap when it is mostly empty.
    fn release(&mut self) {
        const KEPT: usize = 64;
        if self.heap.is_empty() {
            self.slots.clear();
            self.free = None;
            self.slots.shrink_to(KEPT);
        }
        if self.heap.capacity() > KEPT && self.heap.len() < self.heap.capacity() / 4 {
            self.heap.shrink_to((self.heap.capacity() / 2).max(KEPT));
        }
    }

    /// Stores the place of a heap entry in its slot.
    fn set_place(&mut self, place: usize) {
        let slot = self.heap.get(place).and_then(|entry| self.slots.get_mut(entry.slot as usize));
        if let Some(TimerSlot { state: SlotState::Used { place: known, .. }, .. }) = slot {
            *known = place;
        }
    }

    fn is_before(&self, one: usize, other: usize) -> bool {
        match (self.heap.get(one), self.heap.get(other)) {
            (Some(one), Some(other)) => one < other,
            _ => false,
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.set_place(one);
        self.set_place(other);
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.is_before(place, parent) {
                return;
            }
            self.swap(place, parent);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let child = if self.is_before(right, left) { right } else { left };
            if !self.is_before(child, place) {
                return;
            }
            self.swap(place, child);
            place = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn timers_with_equal_deadlines_are_due_in_order_of_insertion() {
        let mut timers = Timers::new();
        for key in 0..100 {
            timers.insert(at(5), key);
        }
        let due: Vec<_> = core::iter::from_fn(|| timers.pop_due(at(5))).collect();
        assert_eq!(due, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn an_id_stays_invalid_after_its_timer_is_gone() {
        let mut timers = Timers::new();
        let first = timers.insert(at(1), 'a');
        assert_eq!(timers.pop_due(at(1)), Some('a'));
        let second = timers.insert(at(2), 'b');
        assert_ne!(first, second);
        assert_eq!(timers.cancel(first), None);
        assert_eq!((timers.len(), timers.next_key()), (1, Some(&'b')));
        assert_eq!(timers.cancel(second), Some('b'));
    }

    /// The naive reference: a sorted map from time and number to key.
    #[test]
    fn random_transitions_agree_with_a_sorted_map() {
        let (mut timers, mut model, mut ids) = (Timers::new(), BTreeMap::new(), Vec::new());
        let mut random = 1_u64;
        for number in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = random >> 33;
            match choice % 4 {
                0 | 1 => {
                    let due = at(choice / 4 % 500);
                    ids.push((timers.insert(due, number), (due, number)));
                    model.insert((due, number), number);
                }
                2 if !ids.is_empty() => {
                    let (id, key) = ids.swap_remove(choice as usize / 4 % ids.len());
                    assert_eq!(timers.cancel(id), model.remove(&key));
                }
                _ => {
                    let now = at(choice / 4 % 500);
                    let due = model.first_key_value().filter(|((at, _), _)| *at <= now).map(|(key, _)| *key);
                    assert_eq!(timers.pop_due(now), due.and_then(|key| model.remove(&key)));
                }
            }
            assert_eq!(timers.next(), model.first_key_value().map(|((at, _), _)| *at));
            assert_eq!(timers.len(), model.len());
        }
    }

    #[test]
    fn the_memory_of_a_flood_is_released() {
        let mut timers = Timers::new();
        for key in 0..100_000_u64 {
            timers.insert(at(key % 977), key);
        }
        while timers.pop_due(at(977)).is_some() {}
        assert!(timers.heap.capacity() <= 256, "{}", timers.heap.capacity());
        assert!(timers.slots.capacity() <= 64, "{}", timers.slots.capacity());
    }
}
