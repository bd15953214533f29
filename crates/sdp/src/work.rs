//! How much is done for a text, counted for tests: bytes that a grammar looks at, and steps of loops over what was read.
//!
//! Rules of this file: a look-up in an ordered map counts once, with the length of its key. Outside of tests nothing is
//! counted, and nothing is left of the calls.

#[cfg(test)]
pub(crate) use tests::look;

/// Counts bytes or steps, where the tests ask for it.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn look(_: usize) {}

#[cfg(test)]
mod tests;
