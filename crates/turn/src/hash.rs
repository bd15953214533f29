//! The keyed hash of the maps of this crate.
//!
//! Rules of this file: clients and peers choose the addresses and ports that are the keys of a map. The hash of a key
//! depends on two secrets from the RNG, so no client can choose keys with equal hashes. The hash folds each word of a
//! key into the state by one multiplication. It is no MAC: its values never leave the process.

use core::hash::{BuildHasher, Hasher};
use portolan_machine::Cx;

/// The two secrets of a map. Their `Debug` text does not show them.
#[derive(Clone, Copy)]
pub(crate) struct KeyedHash {
    first: u64,
    second: u64,
}

impl KeyedHash {
    /// Draws both secrets from the RNG.
    pub(crate) fn new(cx: &mut Cx<'_>) -> Self {
        let (first, second) = (cx.random(), cx.random());
        Self { first: u64::from_be_bytes(first), second: u64::from_be_bytes(second) }
    }
}

impl core::fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("KeyedHash").finish_non_exhaustive()
    }
}

impl BuildHasher for KeyedHash {
    type Hasher = FoldingHasher;

    #[inline]
    fn build_hasher(&self) -> FoldingHasher {
        FoldingHasher { state: self.first, word: 0, bits: 0, secrets: *self }
    }
}

/// The state of the hash of one key. It has no `Debug` text, because its first state is a secret.
#[derive(Clone)]
pub(crate) struct FoldingHasher {
    state: u64,
    /// Bits that wait to be folded. Narrow values share one word, so an IPv4 address with its port is one word.
    word: u64,
    /// The number of bits in `word`, at most 64.
    bits: u32,
    secrets: KeyedHash,
}

impl FoldingHasher {
    /// Adds the low `bits` bits of a value: to the word if it has room, otherwise to a new word.
    #[inline]
    const fn push(&mut self, value: u64, bits: u32) {
        if self.bits + bits > u64::BITS {
            self.state = fold(self.state ^ self.word, self.secrets.second | 1);
            (self.word, self.bits) = (0, 0);
        }
        self.word |= value << self.bits;
        self.bits += bits;
    }
}

impl Hasher for FoldingHasher {
    #[inline]
    fn finish(&self) -> u64 {
        // The number of bits separates a word from the same word with zeros after it.
        let mixed = fold(self.state ^ self.word, self.secrets.second | 1).wrapping_add(self.bits as u64);
        fold(mixed ^ self.secrets.second, self.secrets.first | 1)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte.into(), 8);
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.push(value.into(), 8);
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.push(value.into(), 16);
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.push(value.into(), 32);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.push(value, 64);
    }

    fn write_u128(&mut self, value: u128) {
        self.push(value as u64, 64);
        self.push((value >> 64) as u64, 64);
    }

    fn write_usize(&mut self, value: usize) {
        self.push(value as u64, 64);
    }

    /// The discriminant of an enum: `#[derive(Hash)]` writes it as an `isize`. No enum of a key has more than 256
    /// variants, so it takes eight bits.
    #[inline]
    fn write_isize(&mut self, value: isize) {
        self.push(u64::from(value as u8), 8);
    }
}

/// The XOR of both halves of the 128-bit product.
const fn fold(a: u64, b: u64) -> u64 {
    let wide = a as u128 * b as u128;
    (wide >> 64) as u64 ^ wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::hash::Hash;
    use core::net::{IpAddr, SocketAddr};
    use portolan_machine::{Entropy, Instant, SocketId, SocketIds};

    /// An RNG with a seed: the steps of SplitMix64.
    struct Seeded(u64);
    impl Entropy for Seeded {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                *byte = (mixed >> 56) as u8;
            }
        }
    }

    fn keyed(seed: u64) -> KeyedHash {
        let (mut rng, mut ids) = (Seeded(seed), SocketIds::new());
        KeyedHash::new(&mut Cx::new(Instant::ORIGIN, &mut rng, &mut ids))
    }

    /// The keys of a server: sequential ports, sequential addresses, sequential sockets, and /64 prefixes.
    fn hashes(hash: KeyedHash) -> Vec<Vec<u64>> {
        fn all<K: Hash>(hash: KeyedHash, key: impl Fn(u32) -> K) -> Vec<u64> {
            (0..65_536).map(|n| hash.hash_one(key(n))).collect()
        }
        let v4 = |n: u32| IpAddr::from((0xc633_0000 + n).to_be_bytes());
        let v6 = |n: u32| IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(n) << 64 | 7).to_be_bytes());
        let port = |n: u32| u16::try_from(n % 65_536).unwrap();
        let server = IpAddr::from([192, 0, 2, 1]);
        alloc::vec![
            all(hash, |n| SocketId(n.into())),
            all(hash, v4),
            all(hash, v6),
            all(hash, |n| SocketAddr::new(v4(7), port(n))),
            all(hash, |n| SocketAddr::new(v4(n), 5000)),
            all(hash, |n| SocketAddr::new(v6(n), 5000)),
            all(hash, |n| SocketAddr::new(v6(7), port(n))),
            all(hash, |n| (SocketId(3), server, SocketAddr::new(v4(7), port(n)))),
            all(hash, |n| (SocketId(3), server, SocketAddr::new(v4(n), 5000))),
            all(hash, |n| (SocketId(n.into()), server, SocketAddr::new(v4(7), 5000))),
            all(hash, |n| (SocketId(3), v6(n), SocketAddr::new(v6(7), 5000))),
        ]
    }

    /// The sum of (count − mean)² / mean. For random hashes it is about the number of buckets.
    fn chi_squared(counts: &[u32], mean: f64) -> f64 {
        counts.iter().map(|&count| (f64::from(count) - mean).powi(2) / mean).sum()
    }

    #[test]
    fn sequential_keys_fill_the_buckets_of_a_map_evenly_and_have_no_equal_hashes() {
        for seed in 0..20 {
            for (kind, hashes) in hashes(keyed(seed)).into_iter().enumerate() {
                let mut unique = hashes.clone();
                unique.sort_unstable();
                unique.dedup();
                assert_eq!(unique.len(), 65_536, "kind {kind}, seed {seed}");
                // A hash map takes the bucket from the low bits, and a tag from the seven highest bits.
                let (mut low, mut high) = ([0; 4096], [0; 128]);
                for hash in hashes {
                    low[usize::try_from(hash % 4096).unwrap()] += 1;
                    high[usize::try_from(hash >> 57).unwrap()] += 1;
                }
                // Nine standard deviations above the mean of the distribution.
                let (low, high) = (chi_squared(&low, 16.0), chi_squared(&high, 512.0));
                assert!(low < 4096.0 + 9.0 * 91.0, "kind {kind}, seed {seed}: {low} for the buckets");
                assert!(high < 128.0 + 9.0 * 16.0, "kind {kind}, seed {seed}: {high} for the tags");
            }
        }
    }

    #[test]
    fn the_order_of_the_buckets_depends_on_both_secrets() {
        let order = |hash: KeyedHash| {
            let mut ports: Vec<u16> = (0..64).collect();
            ports.sort_unstable_by_key(|&port| hash.hash_one(SocketAddr::new([192, 0, 2, 1].into(), port)));
            ports
        };
        let KeyedHash { first, second } = keyed(1);
        let orders = [keyed(1), keyed(2), KeyedHash { first: !first, second }, KeyedHash { first, second: !second }];
        assert_eq!(order(keyed(1)), order(keyed(1)), "the same secrets give the same order");
        for (n, one) in orders.iter().enumerate() {
            for other in &orders[n + 1..] {
                assert_ne!(order(*one), order(*other));
            }
        }
    }

    #[test]
    fn keys_with_the_same_bytes_and_different_widths_have_different_hashes() {
        let hash = keyed(1);
        assert_ne!(hash.hash_one(1_u8), hash.hash_one(1_u16));
        assert_ne!(hash.hash_one((1_u64, 0_u8)), hash.hash_one(1_u64));
        assert_ne!(hash.hash_one(IpAddr::from([0_u8; 4])), hash.hash_one(IpAddr::from([0_u8; 16])));
        assert_ne!(hash.hash_one(1_u128 << 64), hash.hash_one(1_u128));
    }

    #[test]
    fn no_text_shows_the_secrets() {
        let (hash, mut map) = (keyed(1), hashbrown::HashMap::with_hasher(keyed(1)));
        map.insert(SocketId(1), 2);
        assert_eq!(alloc::format!("{hash:?} {map:?}"), "KeyedHash { .. } {SocketId(1): 2}");
    }
}
