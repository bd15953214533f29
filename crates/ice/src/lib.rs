//! ICE, sans-IO: candidates, connectivity checks, nomination and consent (RFC 8445).
//!
//! # Contents
//!
//! * [`candidate`]: candidates and their priorities.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod candidate;

pub use candidate::{CandidateKind, ComponentId, LocalCandidate, Transport};
