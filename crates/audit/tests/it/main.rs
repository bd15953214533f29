//! Audits in virtual time, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test matches the cases that it needs")]

extern crate alloc;

mod audits;
mod laws;
mod scripted_turn;
mod turn_audits;
mod turn_laws;
mod turn_server;
mod world;
