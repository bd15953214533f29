//! RNGs for simulations: a seeded RNG for test campaigns, and a counting RNG for readable traces.
//!
//! Both are for tests only: the seed determines all output.
//!
//! ```
//! use portolan_machine::Entropy;
//! use portolan_sim::entropy::{CountingRng, SeededRng};
//!
//! let (mut a, mut b) = (SeededRng::new(7), SeededRng::new(7));
//! assert_eq!(a.next_u64(), b.next_u64(), "the same seed gives the same bits");
//!
//! let mut id = [0; 12];
//! CountingRng::default().fill(&mut id);
//! assert_eq!(id, [1; 12], "the first transaction id is 01 01 01…");
//! ```

use portolan_machine::Entropy;

/// A seeded RNG (SplitMix64). One output takes one addition and two multiplications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededRng {
    state: u64,
}

impl SeededRng {
    /// Creates an RNG from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Creates an independent RNG for the `stream`-th user, so that a new user does not change the output of the
    /// others.
    #[must_use]
    pub const fn fork(seed: u64, stream: u64) -> Self {
        let mut rng = Self::new(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        let state = rng.next_u64();
        Self::new(state)
    }

    /// Returns 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..bound`, or 0 if `bound` is 0. The bias is below 2⁻⁶⁴ × `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// Whether an event with this likelihood happens.
    pub(crate) const fn happens(&mut self, likelihood: Likelihood) -> bool {
        // An impossible event draws no random bits, so a perfect link costs nothing.
        likelihood.0 != 0 && (self.next_u64() >> 32) < likelihood.0
    }
}

impl Entropy for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            for (byte, random) in chunk.iter_mut().zip(self.next_u64().to_le_bytes()) {
                *byte = random;
            }
        }
    }
}

/// A probability as a threshold for 32 random bits, so that the hot path needs no floating point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Likelihood(u64);

impl Likelihood {
    /// Converts a probability. Values below 0 and NaN mean never, values above 1 always.
    pub(crate) const fn new(probability: f64) -> Self {
        // A cast from float saturates, and converts NaN to 0.
        Self((probability.clamp(0.0, 1.0) * 4_294_967_296.0) as u64)
    }

    /// Whether the event always happens.
    pub(crate) const fn is_certain(self) -> bool {
        self.0 == 1 << 32
    }
}

/// An RNG that counts: the n-th call fills the buffer with the byte n.
///
/// Past 255 the four bytes of the count repeat. So outputs of four bytes or more never repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountingRng {
    count: u32,
}

impl Entropy for CountingRng {
    fn fill(&mut self, out: &mut [u8]) {
        self.count = self.count.wrapping_add(1);
        match u8::try_from(self.count) {
            Ok(count) => out.fill(count),
            Err(_) => out.iter_mut().zip(self.count.to_be_bytes().into_iter().cycle()).for_each(|(b, n)| *b = n),
        }
    }
}

/// The RNG of a host's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostRng {
    Seeded(SeededRng),
    Counting(CountingRng),
}

impl Entropy for HostRng {
    fn fill(&mut self, out: &mut [u8]) {
        match self {
            Self::Seeded(rng) => rng.fill(out),
            Self::Counting(counting) => counting.fill(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_occurs_with_its_probability() {
        let mut rng = SeededRng::new(1);
        for (probability, low, high) in
            [(0.0, 0, 0), (0.05, 4_700, 5_300), (1.0, 100_000, 100_000), (-1.0, 0, 0), (f64::NAN, 0, 0)]
        {
            let likelihood = Likelihood::new(probability);
            let hits = (0..100_000).filter(|_| rng.happens(likelihood)).count();
            assert!((low..=high).contains(&hits), "{probability}: {hits}");
        }
    }

    #[test]
    fn counting_never_repeats_a_transaction_id() {
        let mut counting = CountingRng::default();
        let mut seen = alloc::collections::BTreeSet::new();
        for _ in 0..2_000 {
            let mut id = [0; 12];
            counting.fill(&mut id);
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut rng = SeededRng::new(3);
        let values: alloc::vec::Vec<u64> = (0..1_000).map(|_| rng.below(6)).collect();
        assert!((0..6).all(|value| values.contains(&value)) && values.iter().all(|value| *value < 6));
        assert_eq!(rng.below(0), 0);
    }
}
