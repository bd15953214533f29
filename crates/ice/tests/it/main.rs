//! Agents of ICE in virtual time.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]

extern crate alloc;

mod candidates;
mod cases;
mod clauses;
mod earlier;
mod ends;
mod gather;
mod lab;
mod laws;
mod nominations;
mod properties;
mod restarts;
mod shim;
mod solo;
mod stories;
mod system;
