//! A table of transaction ids.
//!
//! Rules of this file: an open-addressed table with linear probing, at most half full, so that every search ends. The
//! ids are random and made by this agent, so no peer can choose them, and their bits are the hash. A lookup, an
//! insertion and a removal cost O(1). The table shrinks when few ids are left.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use portolan_stun::TransactionId;

/// A table from transaction ids to `V`.
#[derive(Clone)]
pub(super) struct IdTable<V> {
    /// The number of slots is a power of two, or 0.
    slots: Vec<Option<(TransactionId, V)>>,
    used: usize,
}

impl<V: Copy> IdTable<V> {
    /// The smallest number of slots of a table that is not empty.
    const LEAST: usize = 16;

    /// An empty table; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), used: 0 }
    }

    /// The value of an id.
    #[inline]
    pub(super) fn get(&self, id: TransactionId) -> Option<V> {
        let (slot, _) = self.find(id)?;
        self.slots.get(slot)?.map(|(_, value)| value)
    }

    /// Sets the value of an id.
    pub(super) fn set(&mut self, id: TransactionId, value: V) {
        if (self.used + 1) * 2 > self.slots.len() {
            self.rebuild((self.slots.len() * 2).max(Self::LEAST));
        }
        let Some((slot, known)) = self.find_slot(id) else { return };
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = Some((id, value));
            self.used += usize::from(!known);
        }
    }

    /// Removes an id. Later ids of the same run move into the gap, so that no search stops at it.
    pub(super) fn remove(&mut self, id: TransactionId) {
        let Some((mut gap, mask)) = self.find(id) else { return };
        let mut slot = (gap + 1) & mask;
        while let Some(Some((other, _))) = self.slots.get(slot) {
            let first = self.first_slot(*other);
            if slot.wrapping_sub(first) & mask >= slot.wrapping_sub(gap) & mask {
                self.slots.swap(gap, slot);
                gap = slot;
            }
            slot = (slot + 1) & mask;
        }
        if let Some(entry) = self.slots.get_mut(gap) {
            *entry = None;
        }
        self.used -= 1;
        if self.slots.len() > Self::LEAST && self.used * 8 < self.slots.len() {
            self.rebuild(self.slots.len() / 2);
        }
    }

    /// The slot of an id in the table, and the mask of slot numbers; `None` if the id is not in the table.
    #[inline]
    fn find(&self, id: TransactionId) -> Option<(usize, usize)> {
        let (slot, known) = self.find_slot(id)?;
        known.then_some((slot, self.slots.len() - 1))
    }

    /// The slot of an id, or the free slot for it, and whether the id is in the table. `None`: the table has no
    /// slots.
    #[inline]
    fn find_slot(&self, id: TransactionId) -> Option<(usize, bool)> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = self.first_slot(id);
        loop {
            match self.slots.get(slot)? {
                None => return Some((slot, false)),
                Some((other, _)) if *other == id => return Some((slot, true)),
                Some(_) => slot = (slot + 1) & mask,
            }
        }
    }

    /// The first slot of the search for an id. The multiplication spreads consecutive ids, which a broken RNG
    /// returns.
    #[inline]
    fn first_slot(&self, id: TransactionId) -> usize {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *id.as_bytes();
        let low = u64::from_be_bytes([e, f, g, h, i, j, k, l]) ^ u64::from(u32::from_be_bytes([a, b, c, d])) << 32;
        let bits = self.slots.len().trailing_zeros();
        // The highest bits depend on all bits of the id.
        low.wrapping_mul(SPREAD).checked_shr(64 - bits).and_then(|slot| usize::try_from(slot).ok()).unwrap_or(0)
    }

    fn rebuild(&mut self, slots: usize) {
        let old = core::mem::replace(&mut self.slots, vec![None; slots]);
        for (id, value) in old.into_iter().flatten() {
            if let Some((slot, _)) = self.find_slot(id)
                && let Some(entry) = self.slots.get_mut(slot)
            {
                *entry = Some((id, value));
            }
        }
    }

    /// The number of slots.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }
}

impl<V: fmt::Debug> fmt::Debug for IdTable<V> {
    /// Prints the ids and their values without the free slots.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.slots.iter().flatten().map(|(id, value)| (id, value))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn id(number: u64) -> TransactionId {
        let mut bytes = [0x5a; 12];
        bytes[4..].copy_from_slice(&number.to_be_bytes());
        bytes.into()
    }

    /// The naive reference: a sorted map. Few different ids, so that removals fall into runs of colliding ids.
    #[test]
    fn random_transitions_agree_with_a_sorted_map() {
        for range in [20, 200, 20_000] {
            let (mut table, mut model) = (IdTable::new(), BTreeMap::new());
            let mut random = 1_u64;
            for step in 0..30_000_u32 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let id = id((random >> 33) % range);
                if random >> 20 & 1 == 0 {
                    table.set(id, step);
                    model.insert(id, step);
                } else {
                    table.remove(id);
                    model.remove(&id);
                }
                assert_eq!(table.get(id), model.get(&id).copied());
                assert!(table.used * 2 <= table.slots.len(), "at most half full");
            }
            assert_eq!(table.used, model.len());
            assert!(model.iter().all(|(id, value)| table.get(*id) == Some(*value)));
        }
    }

    #[test]
    fn ids_that_differ_in_one_byte_do_not_share_their_slots() {
        for byte in 0..12 {
            let ids: Vec<TransactionId> = (0..=255_u8)
                .map(|value| {
                    let mut bytes = [7; 12];
                    bytes[byte] = value;
                    bytes.into()
                })
                .collect();
            let mut table = IdTable::new();
            ids.iter().for_each(|id| table.set(*id, ()));
            let distance = |id: &TransactionId| {
                table.find(*id).unwrap().0.wrapping_sub(table.first_slot(*id)) & (table.slots.len() - 1)
            };
            let longest = ids.iter().map(distance).max().unwrap();
            assert!(longest <= 16, "byte {byte}: {longest} steps");
        }
    }

    #[test]
    fn the_memory_of_a_flood_is_released() {
        let mut table = IdTable::new();
        (0..100_000).for_each(|number| table.set(id(number), number));
        assert!(table.slots() >= 200_000);
        (10..100_000).for_each(|number| table.remove(id(number)));
        assert!(table.slots() <= 128, "{}", table.slots());
        assert!((0..10).all(|number| table.get(id(number)) == Some(number)));
    }
}
