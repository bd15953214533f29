//! Connections over NATs, sans-IO.
//!
//! # Contents
//!
//! * [`Connection`]: one machine of an ICE agent, its gatherer and its TURN clients.
//! * [`relay`]: a TURN client that presents each relayed address as a virtual socket of another machine.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod connection;
pub mod error;
pub mod event;
mod frames;
pub mod note;
pub mod relay;
mod tcp;

pub use connection::{
    ConnectCommand, ConnectConfig, ConnectError, ConnectEvent, ConnectNote, Connection, RelayFailure,
};
pub use error::RelayError;
pub use event::{RelayClosure, RelayEvent};
pub use frames::StreamFault;
pub use note::{RelayDropped, RelayNote};
pub use relay::{Relay, RelayCommand};
