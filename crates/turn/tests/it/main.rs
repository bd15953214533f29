//! TURN clients and servers in virtual time, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]

mod expiry;
mod relaying;
mod requests;
mod world;
