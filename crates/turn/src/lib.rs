//! TURN, sans-IO: a client and a server for RFC 8656.
//!
//! # Contents
//!
//! * [`indication`]: the Send and Data indications, which carry one datagram between client and server.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate alloc;

pub mod indication;

pub use indication::{Indication, IndicationKind};
