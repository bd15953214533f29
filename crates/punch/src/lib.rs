//! UDP hole punching, sans-IO.
//!
//! * [`card`]: the properties of a NAT as one line of text.
//! * [`forecast`]: whether and how two hosts can connect, from their cards.
//! * [`puncher`]: the machine that opens the path.
//! * [`rendezvous`]: the introducer, and its client.
//! * [`session`]: one machine with a client of the rendezvous and a puncher.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod card;
pub mod forecast;
#[cfg(test)]
mod notes;
pub mod puncher;
pub mod rendezvous;
#[cfg(feature = "serde")]
mod serialize;
pub mod session;
