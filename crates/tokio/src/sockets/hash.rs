//! The hash of socket ids.
//!
//! Every datagram needs several lookups by id. The driver numbers the ids itself, and no peer can choose an id. So the
//! hash needs no secret, and one multiplication is enough: it maps different ids to different hashes.

use core::hash::{BuildHasherDefault, Hasher};
use portolan_machine::SocketId;
use std::collections::HashMap;

/// A map with socket ids as keys.
pub(crate) type SocketMap<T> = HashMap<SocketId, T, BuildHasherDefault<SocketIdHasher>>;

/// Hashes one id.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SocketIdHasher(u64);

impl Hasher for SocketIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, id: u64) {
        /// 2⁶⁴ divided by the golden ratio: successive ids differ in the high bits as well as in the low bits. The map
        /// uses both.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0.rotate_left(5) ^ id).wrapping_mul(FACTOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::BuildHasher as _;
    use std::collections::HashSet;

    #[test]
    fn successive_ids_differ_in_the_low_and_in_the_high_bits() {
        let hasher = BuildHasherDefault::<SocketIdHasher>::default();
        let hashes: Vec<u64> = (0..1_024).map(|id| hasher.hash_one(SocketId(id))).collect();
        assert_eq!(hashes.iter().map(|hash| hash & 1_023).collect::<HashSet<_>>().len(), 1_024);
        assert_eq!(hashes.iter().map(|hash| hash >> 57).collect::<HashSet<_>>().len(), 128);
    }
}
