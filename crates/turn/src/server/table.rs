//! The table of allocations: found by client and by relay socket, each with one timer.
//!
//! Rules of this file: an allocation has a slot, whose number is stored in two hash tables. The tables store no keys: the
//! key is in the allocation, which the caller reads next, and the tables stay in a near cache. The hash has secrets from
//! the RNG, because clients choose their addresses. Iteration is in the order of the slots, so it does not depend on
//! the secrets. Slots of ended allocations are used again, and an empty table holds no memory.

use super::allocation::{Allocation, Client, ClientKey, Timer};
use super::peers;
pub(super) use super::slots::Slot;
use super::slots::Slots;
use crate::hash::KeyedHash;
use core::hash::BuildHasher;
use hashbrown::HashTable;
use portolan_machine::{Cx, Instant, SocketId, Timers};
use portolan_stun::AddressFamily;

/// All allocations of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    slots: Slots<Allocation>,
    clients: HashTable<Slot>,
    relays: HashTable<RelayOf>,
    timers: Timers<Slot>,
    /// The secrets; `None` before the first allocation.
    hash: Option<KeyedHash>,
}

/// The allocation of a relay socket, and in the lowest bit its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RelayOf(u32);

impl RelayOf {
    const fn new(slot: Slot, family: AddressFamily) -> Self {
        Self(slot << 1 | matches!(family, AddressFamily::Ipv6) as u32)
    }

    const fn slot(self) -> Slot {
        self.0 >> 1
    }

    const fn family(self) -> AddressFamily {
        if self.0 & 1 == 0 { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 }
    }

    /// The relay socket.
    #[inline]
    fn socket(self, slots: &Slots<Allocation>) -> Option<SocketId> {
        Some(slots.get(self.slot())?.relay(self.family())?.socket)
    }
}

impl Table {
    /// The number of allocations.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The hash of the tables of all allocations; `None` if there was no allocation yet.
    #[inline]
    pub(super) const fn hash(&self) -> Option<KeyedHash> {
        self.hash
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Allocation> {
        self.slots.get(slot)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Allocation> {
        self.slots.get_mut(slot)
    }

    /// The allocation of a client, expired or not.
    #[inline(always)]
    pub(super) fn by_client(&self, client: ClientKey<'_>) -> Option<(Slot, &Allocation)> {
        let mut found = None;
        let is_client = |&slot: &Slot| {
            found = self.get(slot).filter(|allocation| allocation.client.key() == client);
            found.is_some()
        };
        let slot = *self.clients.find(peers::hash_peer(self.hash?, client.remote), is_client)?;
        Some((slot, found?))
    }

    /// The allocation and the family of a relay socket, expired or not, open or not.
    #[inline]
    pub(super) fn by_relay(&self, socket: SocketId) -> Option<(Slot, AddressFamily)> {
        let is_relay = |relay: &RelayOf| relay.socket(&self.slots) == Some(socket);
        let relay = self.relays.find(self.hash?.hash_one(socket.0), is_relay)?;
        Some((relay.slot(), relay.family()))
    }

    /// All allocations, in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Allocation)> {
        self.slots.iter()
    }

    /// Adds an allocation. No other allocation has its client.
    pub(super) fn insert(&mut self, cx: &mut Cx<'_>, allocation: Allocation) -> Slot {
        let hash = *self.hash.get_or_insert_with(|| KeyedHash::new(cx));
        let key = hash_client(hash, &allocation.client);
        let slot = self.slots.insert(allocation);
        let slots = &self.slots;
        self.clients.insert_unique(key, slot, |&slot| {
            slots.get(slot).map_or(0, |allocation| hash_client(hash, &allocation.client))
        });
        slot
    }

    /// Adds a relay socket of an allocation to the index.
    pub(super) fn add_relay(&mut self, socket: SocketId, slot: Slot, family: AddressFamily) {
        let Some(hash) = self.hash else { return };
        let Self { relays, slots, .. } = self;
        relays.insert_unique(hash.hash_one(socket.0), RelayOf::new(slot, family), |relay| {
            hash_relay(hash, *relay, slots)
        });
    }

    /// Removes a relay socket from the index. The allocation need not exist any more.
    pub(super) fn remove_relay(&mut self, socket: SocketId, slot: Slot, family: AddressFamily) {
        let Some(hash) = self.hash else { return };
        let relay = RelayOf::new(slot, family);
        if let Ok(entry) = self.relays.find_entry(hash.hash_one(socket.0), |known| *known == relay) {
            entry.remove();
        }
    }

    /// Removes an allocation with its relay sockets and its timer, and returns it.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Allocation> {
        let hash = self.hash?;
        let allocation = self.slots.remove(slot)?;
        if let Ok(entry) = self.clients.find_entry(hash_client(hash, &allocation.client), |&other| other == slot) {
            entry.remove();
        }
        for (family, relay) in allocation.relays() {
            self.remove_relay(relay.socket, slot, family);
        }
        if let Timer::Set { id, .. } = allocation.timer {
            self.timers.cancel(id);
        }
        self.shrink(hash);
        Some(allocation)
    }

    /// Sets the timer of an allocation, if `at` is earlier than its timer. A timer that is too early is only set again
    /// when it is due.
    pub(super) fn wake_at(&mut self, slot: Slot, at: Instant) {
        let Some(allocation) = self.slots.get_mut(slot) else { return };
        match allocation.timer {
            Timer::Set { at: earlier, .. } if earlier <= at.into() => return,
            Timer::Set { id, .. } => {
                self.timers.cancel(id);
            }
            Timer::Unset => {}
        }
        allocation.timer = Timer::Set { at: at.into(), id: self.timers.insert(at, slot) };
    }

    /// The earliest timer.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Removes the earliest timer that is due, and returns its allocation.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Slot> {
        let slot = self.timers.pop_due(now)?;
        if let Some(allocation) = self.get_mut(slot) {
            allocation.timer = Timer::Unset;
        }
        Some(slot)
    }

    /// Releases the memory of a flood.
    fn shrink(&mut self, hash: KeyedHash) {
        const KEPT: usize = 64;
        let Self { slots, clients, relays, .. } = self;
        if clients.capacity() > KEPT && clients.len() * 4 < clients.capacity() {
            clients.shrink_to(clients.len() * 2, |&slot| {
                slots.get(slot).map_or(0, |allocation| hash_client(hash, &allocation.client))
            });
        }
        if relays.capacity() > KEPT && relays.len() * 4 < relays.capacity() {
            relays.shrink_to(relays.len() * 2, |relay| hash_relay(hash, *relay, slots));
        }
    }
}

fn hash_relay(hash: KeyedHash, relay: RelayOf, slots: &Slots<Allocation>) -> u64 {
    relay.socket(slots).map_or(0, |socket| hash.hash_one(socket.0))
}

#[inline]
fn hash_client(hash: KeyedHash, client: &Client) -> u64 {
    // Only few clients have the same address and port: at most one for each address that the server listens on.
    peers::hash_peer(hash, &client.remote)
}
