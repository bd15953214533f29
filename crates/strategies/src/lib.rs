//! proptest strategies for portolan: random runs of machines, STUN messages, session descriptions, ICE candidates and
//! NATs.
//!
//! # Purpose
//!
//! * [`laws`] checks the fourteen laws of a [`Machine`](portolan_machine::Machine) over many random runs. It shrinks a
//!   run that breaks a law to a script of a few lines.
//! * [`machines`] generates these runs: random inputs at random times, and a peer that answers the machine's transmits.
//! * [`messages`] generates STUN messages: valid messages, and damaged messages.
//! * [`sessions`] generates session descriptions: valid descriptions, and damaged descriptions.
//! * [`candidates`] generates ICE candidates.
//! * [`topologies`] generates NATs, chains of NATs, and whole networks.
//!
//! # Limits
//!
//! This crate is for tests only. It contains no protocol code: `portolan-stun` writes the messages, `portolan-sdp`
//! writes the descriptions, `portolan-nat` defines the NATs, and `portolan-sim` defines the laws.
//!
//! # Example
//!
//! ```
//! use portolan_strategies::{laws, machines::Scripts, messages};
//! use portolan_stun_agent::{Request, Transactions};
//! use portolan_machine::SocketId;
//! use proptest::prelude::*;
//!
//! let server = "192.0.2.1:3478".parse()?;
//! let requests = any::<u8>().prop_map(move |tag| Request::binding(SocketId(1), server, tag));
//! let scripts = Scripts::new(messages::nearly_valid(messages::message()))
//!     .sockets(&[SocketId(1)])
//!     .remotes(&[server])
//!     .commands(requests.prop_map(|request| format!("request {request}")));
//! let config = laws::LawsConfig { cases: 8, ..laws::LawsConfig::for_sockets(&[SocketId(1)]) };
//! laws::assert_laws(&Transactions::<u8>::new, &scripts, &config);
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_alloc, reason = "a crate with std has no second name for its collections")]

pub mod candidates;
pub mod laws;
pub mod machines;
pub mod messages;
pub mod sessions;
pub mod topologies;
