//! Agents of ICE in virtual time.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]

mod candidates;
mod gather;
mod lab;
mod stories;
