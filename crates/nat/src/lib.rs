//! NAT behaviour in the terms of RFC 4787: a NAT as plain data, and the sans-IO machine that detects the NAT in front
//! of a host.
//!
//! # Scope
//!
//! This crate opens no socket, reads no clock and has no RNG: a driver drives the machines as `portolan-machine`
//! describes. A NAT is described by its mapping and its filtering. The single name of RFC 3489 is only an alias
//! ([`behavior`]). A result that the evidence does not support is `unknown`, with a reason ([`profile`]). The crate
//! sends no request to a gateway and opens no port on it.
//!
//! # Modules
//!
//! * [`behavior`]: the terms (mapping, filtering, port allocation, pooling, hairpinning, timers) and the old names.
//! * [`translator`]: a NAT as plain data. It takes the addresses of packets and returns translated addresses, or the
//!   reason for a drop. The gateways of the simulator use it.
//! * [`discovery`]: the machine that detects the NAT. Its servers may be silent, incapable or wrong.
//! * [`lifetime`]: the machine that measures how long mappings live.
//! * [`profile`]: the results. [`event`], [`note`] and [`error`]: events, diagnostics and errors of the caller.
//!
//! # Features
//!
//! `serde`: reports implement `Serialize`. The names of the fields are those of the command's JSON, `docs/json.md`.
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
#[cfg(feature = "serde")]
mod serialize;
pub mod translator;
