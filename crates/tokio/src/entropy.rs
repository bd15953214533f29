//! Random bytes of the operating system.

use core::fmt;
use portolan_machine::Entropy;

/// Random bytes from the operating system's CSPRNG.
///
/// An `OsEntropy` reads random bytes in blocks of [`OsEntropy::BLOCK`] bytes, so that most transaction ids need no
/// system call. It returns each byte once and then overwrites the byte in the block with zero. If a process forks, only
/// one of the two processes may use the `OsEntropy`.
///
/// ```
/// use portolan_machine::Entropy;
/// use portolan_tokio::OsEntropy;
///
/// let (mut a, mut b) = ([0; 16], [0; 16]);
/// let mut entropy = OsEntropy::default();
/// entropy.fill(&mut a);
/// entropy.fill(&mut b);
/// assert_ne!(a, b);
/// ```
pub struct OsEntropy {
    block: [u8; Self::BLOCK],
    /// The number of unused bytes at the end of the block.
    left: usize,
}

impl OsEntropy {
    /// The number of random bytes that one system call returns.
    pub const BLOCK: usize = 256;

    /// Reads the first block, so that a host without a random source is found before the machine runs.
    ///
    /// # Errors
    /// [`Other`](std::io::ErrorKind::Other) when the system has no random source.
    pub(crate) fn probe() -> std::io::Result<Self> {
        let mut entropy = Self::default();
        entropy.draw().map_err(|_| std::io::Error::other("the system has no random source"))?;
        Ok(entropy)
    }

    fn draw(&mut self) -> Result<(), getrandom::Error> {
        getrandom::fill(&mut self.block)?;
        self.left = Self::BLOCK;
        Ok(())
    }

    /// Moves unused bytes from the block to `out`. Returns the part of `out` that is not filled yet.
    fn take<'a>(&mut self, out: &'a mut [u8]) -> &'a mut [u8] {
        let start = Self::BLOCK - self.left;
        let count = out.len().min(self.left);
        let (filled, rest) = out.split_at_mut(count);
        if let Some(fresh) = self.block.get_mut(start..start + count) {
            filled.copy_from_slice(fresh);
            fresh.fill(0);
        }
        self.left -= count;
        rest
    }
}

impl Default for OsEntropy {
    /// Returns an `OsEntropy` with an empty block. The first call of `fill` reads a block.
    fn default() -> Self {
        Self { block: [0; Self::BLOCK], left: 0 }
    }
}

impl fmt::Debug for OsEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OsEntropy").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Entropy for OsEntropy {
    /// # Panics
    /// When the system's random source fails. Predictable transaction ids would be worse than a panic.
    fn fill(&mut self, out: &mut [u8]) {
        let mut rest = self.take(out);
        while !rest.is_empty() {
            if let Err(why) = self.draw() {
                panic!("the system's random source failed: {why}");
            }
            rest = self.take(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_returned_once_and_overwritten() {
        let mut entropy = OsEntropy::probe().unwrap();
        let mut expected = entropy.block;
        expected.reverse();
        let mut expected = expected.to_vec();
        for length in [1, 12, 100, 96, 47] {
            let mut out = vec![0; length];
            entropy.fill(&mut out);
            assert!(out.iter().all(|byte| Some(*byte) == expected.pop()), "in order, from the block");
            assert!(
                entropy.block[..OsEntropy::BLOCK - entropy.left].iter().all(|byte| *byte == 0),
                "the used bytes are zero"
            );
        }
        assert_eq!(entropy.left, 0);
        assert_eq!(entropy.block, [0; OsEntropy::BLOCK]);
    }

    #[test]
    fn any_length_is_filled() {
        for length in [0, 1, 255, 256, 257, 1_000] {
            let (mut one, mut other) = (vec![0; length], vec![0; length]);
            let mut entropy = OsEntropy::default();
            entropy.fill(&mut one);
            entropy.fill(&mut other);
            assert!(length < 16 || one != other);
            assert!(length < 16 || one[length - 16..].iter().any(|byte| *byte != 0));
        }
    }

    #[test]
    fn debug_shows_no_random_byte() {
        assert_eq!(format!("{:?}", OsEntropy::probe().unwrap()), "OsEntropy { left: 256, .. }");
    }
}
