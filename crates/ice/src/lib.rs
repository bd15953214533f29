//! ICE, sans-IO: candidates, connectivity checks, nomination and consent (RFC 8445).
//!
//! # Contents
//!
//! * [`candidate`]: candidates and their priorities.
//! * [`gather`]: network interfaces and STUN servers give local candidates.
//! * [`preference`]: local preferences of the addresses of a host.
//! * [`pacing`]: the time of the next transaction.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod candidate;
pub mod gather;
pub mod pacing;
pub mod preference;

pub use candidate::{CandidateKind, ComponentId, LocalCandidate, Transport};
pub use gather::{GatherCommand, GatherConfig, GatherError, GatherEvent, GatherNote, Gatherer};
pub use pacing::Pacer;
