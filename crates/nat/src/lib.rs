//! NAT behaviour in the terms of RFC 4787: a NAT as plain data, and the sans-IO machine that finds out which NAT is in
//! front of a host.
//!
//! # What this crate refuses to do
//!
//! It opens no socket, reads no clock and has no RNG: a driver drives it as `portolan-machine` describes. It gives no
//! single name to what has two axes: mapping and filtering come first, and the name of RFC 3489 is an alias
//! ([`behavior`]). It does not guess: it says `unknown`, with a reason ([`profile`]). It asks no gateway and opens no
//! port.
//!
//! # What it does
//!
//! * [`behavior`]: the terms (mapping, filtering, port allocation, pooling, hairpinning, timers) and the old names.
//! * [`translator`]: a NAT as plain data. Addresses of packets go in; translated addresses, or a reason to drop, come
//!   out. The simulator's gateways consist of it.
//! * [`discovery`]: the machine that finds out which NAT is there. Its servers may be silent, incapable or wrong.
//! * [`profile`]: what it reports. [`event`], [`note`], [`error`]: what the owner must act on, what a reader of the log
//!   learns, what the caller did wrong.
//!
//! # A NAT in ten lines
//!
//! ```
//! use portolan_machine::Instant;
//! use portolan_nat::translator::{Translator, TranslatorConfig};
//!
//! let mut nat = Translator::new(TranslatorConfig::symmetric(), &["198.51.100.7".parse()?], 1);
//! let host = "192.168.1.7:5000".parse()?;
//! let one = nat.outbound(Instant::ORIGIN, host, "203.0.113.10:3478".parse()?);
//! let two = nat.outbound(Instant::ORIGIN, host, "203.0.113.20:3478".parse()?);
//! assert_ne!(one, two, "each destination sees another endpoint");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod behavior;
pub mod command;
pub mod discovery;
pub mod error;
pub mod event;
pub mod lifetime;
pub mod note;
pub mod profile;
pub mod translator;
