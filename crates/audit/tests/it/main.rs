//! Audits in virtual time, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
#![expect(clippy::indexing_slicing, reason = "a test says what went wrong by failing")]

mod audits;
mod laws;
mod world;
