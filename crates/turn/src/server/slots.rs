//! The memory of the allocations.
//!
//! Rules of this file: values are stored in chunks. The place of a value follows from its number and the start of its
//! chunk. The starts are in a near cache, so the data path waits for one load less than with a box for each value. An
//! empty chunk holds no memory. Numbers of removed values are used again, the latest first, so the memory is bounded by
//! the largest number of values at one time.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The number of a value, while it exists.
pub(super) type Slot = u32;

/// Values that are found by their number.
#[derive(Clone, Debug)]
pub(super) struct Slots<T> {
    chunks: Vec<Option<Box<Chunk<T>>>>,
    free: Vec<Slot>,
    /// The number of slots, free or not.
    count: Slot,
}

/// The number of values in a chunk.
const SIZE: Slot = 32;

#[derive(Clone, Debug)]
struct Chunk<T> {
    places: [Option<T>; SIZE as usize],
    used: Slot,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), count: 0 }
    }
}

impl<T> Slots<T> {
    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.count as usize - self.free.len()
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        let chunk = self.chunks.get((slot / SIZE) as usize)?.as_deref()?;
        chunk.places.get((slot % SIZE) as usize)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let chunk = self.chunks.get_mut((slot / SIZE) as usize)?.as_deref_mut()?;
        chunk.places.get_mut((slot % SIZE) as usize)?.as_mut()
    }

    /// All values, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (0..self.count).filter_map(|slot| Some((slot, self.get(slot)?)))
    }

    /// Adds a value and returns its number.
    pub(super) fn insert(&mut self, value: T) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        if self.count as usize > self.chunks.len() * SIZE as usize {
            self.chunks.push(None);
        }
        if let Some(chunk) = self.chunks.get_mut((slot / SIZE) as usize) {
            let chunk =
                chunk.get_or_insert_with(|| Box::new(Chunk { places: [const { None }; SIZE as usize], used: 0 }));
            if let Some(place) = chunk.places.get_mut((slot % SIZE) as usize) {
                *place = Some(value);
                chunk.used += 1;
            }
        }
        slot
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let place = self.chunks.get_mut((slot / SIZE) as usize)?;
        let chunk = place.as_deref_mut()?;
        let value = chunk.places.get_mut((slot % SIZE) as usize)?.take()?;
        chunk.used -= 1;
        if chunk.used == 0 {
            *place = None;
        }
        self.free.push(slot);
        if self.len() == 0 {
            *self = Self::default();
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_and_an_empty_chunk_or_table_holds_no_memory() {
        let mut slots = Slots::default();
        let values = 3 * SIZE + 1;
        for value in 0..values {
            assert_eq!(slots.insert(value), value);
        }
        for slot in SIZE..2 * SIZE {
            assert_eq!(slots.remove(slot), Some(slot));
            assert_eq!((slots.remove(slot), slots.get(slot)), (None, None));
            assert_eq!(slots.get_mut(slot), None);
        }
        let memory = |slots: &Slots<u32>| slots.chunks.iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(memory(&slots), [true, false, true, true]);
        assert_eq!((slots.len(), slots.insert(7)), (65, 2 * SIZE - 1), "the latest number first");
        assert_eq!((slots.get(2 * SIZE - 1), memory(&slots)), (Some(&7), alloc::vec![true; 4]));
        for slot in 0..values {
            let _absent = slots.remove(slot);
        }
        assert_eq!((slots.len(), slots.chunks.capacity(), slots.free.capacity(), slots.count), (0, 0, 0, 0));
        assert_eq!(slots.remove(u32::MAX), None);
    }

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_are_found_by_their_numbers_in_any_order_of_changes(
            changes in proptest::collection::vec((any::<bool>(), 0..200_u32), 0..400),
        ) {
            let (mut slots, mut known) = (Slots::default(), alloc::collections::BTreeMap::new());
            for (n, (is_insertion, slot)) in changes.into_iter().enumerate() {
                if is_insertion {
                    prop_assert_eq!(known.insert(slots.insert(n), n), None, "the number was free");
                } else {
                    prop_assert_eq!(slots.remove(slot), known.remove(&slot));
                }
                prop_assert_eq!(slots.len(), known.len());
                prop_assert!(slots.iter().eq(known.iter().map(|(slot, value)| (*slot, value))));
            }
        }
    }
}
