//! The events of the machines.
//!
//! ```
//! use portolan_turn::{ClientEvent, LossReason};
//!
//! let event = ClientEvent::Lost { relayed: vec!["192.0.2.1:50000".parse()?], why: LossReason::Mismatch };
//! assert!(!event.is_terminal());
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod client;

pub use client::{ClientEvent, ClientFailure, LossReason, Outcome, Reason, Step};
