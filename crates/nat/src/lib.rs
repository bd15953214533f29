//! NAT behaviour in the words of RFC 4787: a NAT as plain data, and the sans-IO machine that finds out which one is in
//! front of a host.
//!
//! # What this crate refuses to do
//!
//! It opens no socket, reads no clock and rolls no dice: it is driven as `portolan-machine` describes. It gives no single
//! name for what has two axes: mapping and filtering come first, the name of RFC 3489 is an alias ([`behavior`]). It says
//! `unknown`, with a reason, rather than guess ([`profile`]). It asks no gateway and opens no port.
//!
//! # What it does
//!
//! * [`behavior`]: the words (mapping, filtering, port allocation, pooling, hairpinning, timers) and the old names.
//! * [`translator`]: a NAT as plain data. Packets' addresses go in, translated addresses or a reason to drop come out. It
//!   is what the simulator's gateways are made of.
//! * [`discovery`]: the machine that finds out which NAT is there, from servers that may be silent, incapable or lying.
//! * [`profile`]: what it reports; [`event`], [`note`], [`error`]: what its owner must hear, what a student may hear, what
//!   its caller did wrong.
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
