//! The system's dice.

use portolan_machine::Entropy;

/// Random bytes from the operating system's CSPRNG.
///
/// ```
/// use portolan_machine::Entropy;
/// use portolan_tokio::OsEntropy;
///
/// let (mut a, mut b) = ([0; 16], [0; 16]);
/// OsEntropy.fill(&mut a);
/// OsEntropy.fill(&mut b);
/// assert_ne!(a, b);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl OsEntropy {
    /// Asks the system for random bytes once, so that a host without any is found out before the first machine runs.
    ///
    /// # Errors
    /// When the system has no random source.
    pub(crate) fn probe() -> std::io::Result<Self> {
        let mut probe = [0; 8];
        getrandom::fill(&mut probe).map_err(|_| std::io::Error::other("the system has no random source"))?;
        Ok(Self)
    }
}

impl Entropy for OsEntropy {
    /// # Panics
    /// When the system's random source fails after it has worked before: predictable transaction ids would be worse.
    fn fill(&mut self, out: &mut [u8]) {
        if let Err(why) = getrandom::fill(out) {
            panic!("the system's random source failed: {why}");
        }
    }
}
