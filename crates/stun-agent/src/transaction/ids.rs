//! A table of transaction ids.
//!
//! Rules of this file: an open-addressed table with linear probing, at most half full, so that every search ends. The ids
//! are random and made by this agent, so their bits serve as the hash: a peer cannot choose an id that is stored. A lookup,
//! an insertion and a removal cost O(1). The table shrinks when few ids are left.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use portolan_stun::TransactionId;

/// A table from transaction ids to `V`.
#[derive(Clone)]
pub(super) struct IdTable<V> {
    /// A power of two of places, or none.
    places: Vec<Option<(TransactionId, V)>>,
    used: usize,
}

impl<V: Copy> IdTable<V> {
    /// The least number of places of a table that is not empty.
    const LEAST: usize = 16;

    /// An empty table; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), used: 0 }
    }

    /// The value of an id.
    #[inline]
    pub(super) fn get(&self, id: TransactionId) -> Option<V> {
        let (place, _) = self.find(id)?;
        self.places.get(place)?.map(|(_, value)| value)
    }

    /// Sets the value of an id.
    pub(super) fn set(&mut self, id: TransactionId, value: V) {
        if (self.used + 1) * 2 > self.places.len() {
            self.rebuild((self.places.len() * 2).max(Self::LEAST));
        }
        let Some((place, known)) = self.find_place(id) else { return };
        if let Some(entry) = self.places.get_mut(place) {
            *entry = Some((id, value));
            self.used += usize::from(!known);
        }
    }

    /// Removes an id. The ids behind it move up, so that no search meets a gap.
    pub(super) fn remove(&mut self, id: TransactionId) {
        let Some((mut gap, mask)) = self.find(id) else { return };
        let mut place = (gap + 1) & mask;
        while let Some(Some((other, _))) = self.places.get(place) {
            let home = self.home(*other);
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(gap) & mask {
                self.places.swap(gap, place);
                gap = place;
            }
            place = (place + 1) & mask;
        }
        if let Some(entry) = self.places.get_mut(gap) {
            *entry = None;
        }
        self.used -= 1;
        if self.places.len() > Self::LEAST && self.used * 8 < self.places.len() {
            self.rebuild(self.places.len() / 2);
        }
    }

    /// The place of an id that is in the table, and the mask of the places.
    #[inline]
    fn find(&self, id: TransactionId) -> Option<(usize, usize)> {
        let (place, known) = self.find_place(id)?;
        known.then_some((place, self.places.len() - 1))
    }

    /// The place of an id, or the free place where it belongs, and whether the id is there. `None`: there are no places.
    #[inline]
    fn find_place(&self, id: TransactionId) -> Option<(usize, bool)> {
        let mask = self.places.len().checked_sub(1)?;
        let mut place = self.home(id);
        loop {
            match self.places.get(place)? {
                None => return Some((place, false)),
                Some((other, _)) if *other == id => return Some((place, true)),
                Some(_) => place = (place + 1) & mask,
            }
        }
    }

    /// The first place that is searched for an id. The multiplication spreads ids that follow each other, as a broken RNG
    /// gives them.
    #[inline]
    fn home(&self, id: TransactionId) -> usize {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *id.as_bytes();
        let low = u64::from_be_bytes([e, f, g, h, i, j, k, l]) ^ u64::from(u32::from_be_bytes([a, b, c, d])) << 32;
        let bits = self.places.len().trailing_zeros();
        // The highest bits depend on all bits of the id.
        low.wrapping_mul(SPREAD).checked_shr(64 - bits).and_then(|home| usize::try_from(home).ok()).unwrap_or(0)
    }

    fn rebuild(&mut self, places: usize) {
        let old = core::mem::replace(&mut self.places, vec![None; places]);
        for (id, value) in old.into_iter().flatten() {
            if let Some((place, _)) = self.find_place(id)
                && let Some(entry) = self.places.get_mut(place)
            {
                *entry = Some((id, value));
            }
        }
    }

    /// The number of ids that the table has places for.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }
}

impl<V: fmt::Debug> fmt::Debug for IdTable<V> {
    /// The ids in the table and their values; free places are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.places.iter().flatten().map(|(id, value)| (id, value))).finish()
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
                assert!(table.used * 2 <= table.places.len(), "at most half full");
            }
            assert_eq!(table.used, model.len());
            assert!(model.iter().all(|(id, value)| table.get(*id) == Some(*value)));
        }
    }

    #[test]
    fn ids_that_differ_in_one_byte_do_not_share_their_places() {
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
                table.find(*id).unwrap().0.wrapping_sub(table.home(*id)) & (table.places.len() - 1)
            };
            let longest = ids.iter().map(distance).max().unwrap();
            assert!(longest <= 16, "byte {byte}: {longest} steps");
        }
    }

    #[test]
    fn the_memory_of_a_flood_is_released() {
        let mut table = IdTable::new();
        (0..100_000).for_each(|number| table.set(id(number), number));
        assert!(table.places() >= 200_000);
        (10..100_000).for_each(|number| table.remove(id(number)));
        assert!(table.places() <= 128, "{}", table.places());
        assert!((0..10).all(|number| table.get(id(number)) == Some(number)));
    }
}
