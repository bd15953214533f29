//! TURN, sans-IO: a client and a server for RFC 8656.
//!
//! # Contents
//!
//! * [`indication`]: the Send and Data indications, which carry one datagram between client and server.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod client;
pub mod error;
pub mod event;
mod hex;
pub mod indication;
pub mod note;

pub use client::{Client, ClientCommand, ClientConfig, ClientState};
pub use error::ClientError;
pub use event::{ClientEvent, ClientFailure, LossReason, Outcome, Reason, Step};
pub use indication::{Indication, IndicationKind};
pub use note::{ClientDropped, ClientNote};
