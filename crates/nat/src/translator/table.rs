//! A hash table that is fast for few and for many entries: a slab with chains from a power-of-two array of heads.
//!
//! A NAT in a simulation holds a few mappings for a short time. A carrier's NAT holds tens of thousands. The heads
//! start with sixteen and double with the content. A removed slot is used again, and [`Table::clear`] keeps all
//! memory. Several entries may share one key.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// An address and port, without the flow label and scope of a `SocketAddr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
}

impl Endpoint {
    pub(super) const fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port() }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.ip, endpoint.port)
    }
}

/// A search key.
pub(super) trait Key: Copy + Eq {
    /// A hash of the key.
    fn mix(&self) -> u64;
}

/// Spreads the differences of `value` over all bits; an odd multiplier keeps it one to one.
const fn spread(value: u64) -> u64 {
    let product = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 29)
}

impl Key for Endpoint {
    fn mix(&self) -> u64 {
        let port = u64::from(self.port);
        match self.ip {
            IpAddr::V4(ip) => spread((u64::from(ip.to_bits()) << 16) | port),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h] = ip.segments().map(u64::from);
                let (high, low) = ((a << 48) | (b << 32) | (c << 16) | d, (e << 48) | (f << 32) | (g << 16) | h);
                spread(high ^ spread(low ^ spread(port)))
            }
        }
    }
}

impl Key for (Endpoint, Endpoint) {
    fn mix(&self) -> u64 {
        spread(self.0.mix() ^ self.1.mix().rotate_left(31))
    }
}

impl Key for (Id, Endpoint) {
    fn mix(&self) -> u64 {
        spread(u64::from(self.0.0) ^ self.1.mix().rotate_left(31))
    }
}

/// The place of an entry, valid until the entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

impl Id {
    /// No entry.
    pub(super) const NONE: Self = Self(u32::MAX);

    const fn place(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    /// `None` if the slot is free.
    entry: Option<(K, V)>,
    /// The next of the chain, or of the free slots.
    next: Id,
}

/// Entries by key and by place.
#[derive(Clone, Debug)]
pub(super) struct Table<K, V> {
    slots: Vec<Slot<K, V>>,
    heads: Vec<Id>,
    free: Id,
    len: usize,
}

impl<K: Key, V> Table<K, V> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), heads: Vec::new(), free: Id::NONE, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Removes all entries, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.heads.fill(Id::NONE);
        self.free = Id::NONE;
        self.len = 0;
    }

    pub(super) fn get(&self, id: Id) -> Option<&(K, V)> {
        self.slots.get(id.place()).and_then(|slot| slot.entry.as_ref())
    }

    pub(super) fn value_mut(&mut self, id: Id) -> Option<&mut V> {
        self.slots.get_mut(id.place()).and_then(|slot| slot.entry.as_mut()).map(|(_, value)| value)
    }

    /// An entry with this key.
    pub(super) fn find(&self, key: K) -> Option<Id> {
        self.all(key).next()
    }

    /// All entries with this key.
    pub(super) fn all(&self, key: K) -> impl Iterator<Item = Id> + '_ {
        let mut at = self.heads.get(self.head(key)).copied().unwrap_or(Id::NONE);
        core::iter::from_fn(move || {
            while let Some(slot) = self.slots.get(at.place()) {
                let here = at;
                at = slot.next;
                if slot.entry.as_ref().is_some_and(|(k, _)| *k == key) {
                    return Some(here);
                }
            }
            None
        })
    }

    /// Every entry, in no particular order; the order is the same for the same history.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &K, &V)> {
        self.slots.iter().zip(0..).filter_map(|(slot, at)| slot.entry.as_ref().map(|(k, v)| (Id(at), k, v)))
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Id {
        if self.len >= self.heads.len() {
            self.grow();
        }
        let head = self.head(key);
        let next = self.heads.get(head).copied().unwrap_or(Id::NONE);
        let id = if let Some(slot) = self.slots.get_mut(self.free.place()) {
            let id = self.free;
            self.free = slot.next;
            *slot = Slot { entry: Some((key, value)), next };
            id
        } else {
            // 2³² entries would need more memory than an address space of 32 bits has.
            let id = Id(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            self.slots.push(Slot { entry: Some((key, value)), next });
            id
        };
        if let Some(first) = self.heads.get_mut(head) {
            *first = id;
        }
        self.len += 1;
        id
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<(K, V)> {
        let slot = self.slots.get_mut(id.place())?;
        let entry = slot.entry.take()?;
        let after = slot.next;
        slot.next = self.free;
        self.free = id;
        self.len -= 1;
        let head = self.head(entry.0);
        let mut at = self.heads.get(head).copied().unwrap_or(Id::NONE);
        if at == id {
            if let Some(first) = self.heads.get_mut(head) {
                *first = after;
            }
            return Some(entry);
        }
        while let Some(slot) = self.slots.get_mut(at.place()) {
            if slot.next == id {
                slot.next = after;
                break;
            }
            at = slot.next;
        }
        Some(entry)
    }

    /// The chain of `key`: the low bits of its hash.
    fn head(&self, key: K) -> usize {
        (key.mix() as usize) & self.heads.len().wrapping_sub(1)
    }

    /// Doubles the heads and puts every entry on its new chain, oldest place first.
    #[cold]
    fn grow(&mut self) {
        let heads = (self.heads.len() * 2).max(16);
        self.heads.clear();
        self.heads.resize(heads, Id::NONE);
        for at in 0..self.slots.len() {
            let Some(key) = self.slots.get(at).and_then(|slot| slot.entry.as_ref()).map(|(key, _)| *key) else {
                continue;
            };
            let head = self.head(key);
            if let (Some(first), Some(slot)) = (self.heads.get_mut(head), self.slots.get_mut(at)) {
                slot.next = *first;
                *first = Id(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn key(n: u16) -> Endpoint {
        Endpoint::new(IpAddr::from([10, 0, 0, (n % 7) as u8]), n)
    }

    #[test]
    fn the_table_agrees_with_a_btree_map() {
        let (mut table, mut model) = (Table::new(), BTreeMap::new());
        let mut rng = 7_u64;
        for round in 0..20_000_u32 {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let port = ((rng >> 40) % 600) as u16;
            match table.find(key(port)) {
                Some(id) if rng >> 63 == 0 => {
                    assert_eq!(table.remove(id), model.remove(&port).map(|value| (key(port), value)));
                }
                Some(id) => assert_eq!(table.get(id).map(|(_, value)| *value), model.get(&port).copied()),
                None => {
                    assert!(!model.contains_key(&port));
                    table.insert(key(port), round);
                    model.insert(port, round);
                }
            }
            assert_eq!(table.len(), model.len());
        }
        assert_eq!(table.iter().count(), model.len());
        table.clear();
        assert!(table.find(key(1)).is_none() && table.len() == 0);
    }

    #[test]
    fn two_entries_can_have_the_same_key() {
        let mut table = Table::new();
        let first = table.insert(key(1), 'a');
        let second = table.insert(key(1), 'b');
        assert_eq!(table.all(key(1)).count(), 2);
        table.remove(second);
        assert_eq!(table.find(key(1)), Some(first));
    }
}
