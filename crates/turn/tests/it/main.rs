//! TURN clients and servers in virtual time, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]

extern crate alloc;

mod attacks;
mod expiry;
mod laws;
mod model;
mod policy;
mod relaying;
mod requests;
mod state;
mod streams;
mod tcp;
mod world;
