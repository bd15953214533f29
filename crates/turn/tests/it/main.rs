//! TURN clients and servers in virtual time, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test matches the events that it needs")]

extern crate alloc;

mod attacks;
mod cases;
mod client;
mod client_laws;
mod expiry;
mod lab;
mod laws;
mod model;
mod policy;
mod relaying;
mod requests;
mod state;
mod streams;
mod system;
mod tcp;
mod world;
