//! Relays, TURN servers and peers in virtual time, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test matches the events that it needs")]

extern crate alloc;

mod connecting;
mod connection_laws;
mod direct;
mod faults;
mod fields;
mod lab;
mod laws;
mod matrix;
mod pair;
mod relaying;
mod replacing;
mod restarting;
mod server;
mod tcp;
mod tcp_laws;
