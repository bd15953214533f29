//! The choice of an external port for a new mapping (RFC 4787 §4.2.1, RFC 6888 §5, RFC 7857 §9).
//!
//! This file has no list of the ports in use: it calls a function for each candidate. That call may free the port,
//! because it removes an expired mapping that uses the port.

use super::config::PortRange;
use super::table::{Endpoint, Id, Table};
use crate::behavior::PortAllocation;
use core::net::IpAddr;

/// A small seeded RNG (SplitMix64), so that a NAT chooses the same ports for the same seed.
#[derive(Clone, Debug)]
pub(super) struct SplitMix(u64);

impl SplitMix {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, 0 where `bound` is 0.
    pub(super) const fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * bound as u64) >> 32) as u32
    }
}

/// The owner of a block of ports.
#[derive(Clone, Copy, Debug)]
struct BlockOwner {
    internal: IpAddr,
    mappings: u32,
}

/// The state of an allocator for each external address: the last sequential port, and the owner of each block.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    last: Table<Endpoint, u16>,
    blocks: Table<Endpoint, BlockOwner>,
}

impl Ports {
    pub(super) const fn new() -> Self {
        Self { last: Table::new(), blocks: Table::new() }
    }

    pub(super) fn clear(&mut self) {
        self.last.clear();
        self.blocks.clear();
    }

    /// A free port of `external` for `internal`, or `None` where there is none.
    pub(super) fn choose(
        &mut self,
        allocation: PortAllocation,
        range: PortRange,
        (internal, external): (Endpoint, IpAddr),
        rng: &mut SplitMix,
        mut is_free: impl FnMut(&mut Self, u16) -> bool,
    ) -> Option<u16> {
        match allocation {
            PortAllocation::Preserving => {
                let first = range.offset(internal.port);
                (0..range.count()).map(|n| range.at(first + n)).find(|port| is_free(self, *port))
            }
            PortAllocation::Random => any_of(range, rng, |port| is_free(self, port)),
            PortAllocation::Sequential { step } => self.sequential(step, range, external, rng, is_free),
            PortAllocation::Block { size } => {
                let size = size.max(1);
                let blocks = range.count().div_ceil(u32::from(size));
                // The same host starts its search at the same block, without a table of hosts.
                let first = super::table::Key::mix(&Endpoint::new(internal.ip, 0)) as u32;
                (0..blocks).find_map(|n| {
                    let block = (first.wrapping_add(n)) % blocks;
                    let key = Endpoint::new(external, range.at(block * u32::from(size)));
                    let owner = self.blocks.find(key).and_then(|id| self.blocks.get(id)).map(|(_, t)| *t);
                    if owner.is_some_and(|t| t.internal != internal.ip && t.mappings > 0) {
                        return None;
                    }
                    let last = range.last.min(key.port.saturating_add(size - 1));
                    let own = PortRange::new(key.port, last);
                    let port = any_of(own, rng, |port| is_free(self, port))?;
                    self.add_to_block(key, internal.ip);
                    Some(port)
                })
            }
        }
    }

    /// Releases the port of `external`.
    pub(super) fn release(&mut self, allocation: PortAllocation, range: PortRange, external: Endpoint) {
        let PortAllocation::Block { size } = allocation else { return };
        let size = u32::from(size.max(1));
        let block = range.offset(external.port) / size;
        let key = Endpoint::new(external.ip, range.at(block * size));
        let id = self.blocks.find(key).unwrap_or(Id::NONE);
        if let Some(owner) = self.blocks.value_mut(id) {
            owner.mappings = owner.mappings.saturating_sub(1);
            if owner.mappings == 0 {
                self.blocks.remove(id);
            }
        }
    }

    fn add_to_block(&mut self, block: Endpoint, internal: IpAddr) {
        let id = self.blocks.find(block).unwrap_or(Id::NONE);
        match self.blocks.value_mut(id) {
            Some(owner) => {
                owner.internal = internal;
                owner.mappings += 1;
            }
            None => {
                self.blocks.insert(block, BlockOwner { internal, mappings: 1 });
            }
        }
    }

    fn sequential(
        &mut self,
        step: i16,
        range: PortRange,
        external: IpAddr,
        rng: &mut SplitMix,
        mut is_free: impl FnMut(&mut Self, u16) -> bool,
    ) -> Option<u16> {
        let count = i64::from(range.count());
        let key = Endpoint::new(external, 0);
        let known = self.last.find(key);
        let next = match known.and_then(|id| self.last.get(id)) {
            Some((_, last)) => i64::from(range.offset(*last)) + i64::from(step),
            // A device that has been up for a while may be at any port of its range.
            None => i64::from(rng.below(range.count())),
        };
        // Taken ports are skipped one by one, so that every port is tried with any step.
        let skip = if step < 0 { -1 } else { 1 };
        let port = (0..count)
            .map(|n| range.at(u32::try_from((next + n * skip).rem_euclid(count)).unwrap_or(0)))
            .find(|port| is_free(self, *port))?;
        match known.and_then(|id| self.last.value_mut(id)) {
            Some(last) => *last = port,
            None => {
                self.last.insert(key, port);
            }
        }
        Some(port)
    }
}

/// Returns any free port: a few random tries, then one by one from another random port.
fn any_of(range: PortRange, rng: &mut SplitMix, mut is_free: impl FnMut(u16) -> bool) -> Option<u16> {
    for _ in 0..8 {
        let port = range.at(rng.below(range.count()));
        if is_free(port) {
            return Some(port);
        }
    }
    let start = rng.below(range.count());
    (0..range.count()).map(|n| range.at(start + n)).find(|port| is_free(*port))
}
