//! TURN, sans-IO: a client and a server for RFC 8656.
//!
//! # Contents
//!
//! * [`indication`]: the Send and Data indications, which carry one datagram between client and server.
//! * [`policy`]: the addresses that a server relays to.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[allow(dead_code, reason = "the maps of the server use it")]
mod hash;
pub mod indication;
mod server;

pub use indication::{Indication, IndicationKind};
pub use server::Bandwidth;
pub use server::policy;
pub use server::policy::{Cidr, CidrError, Denial, OwnAddresses, PeerPolicy};
