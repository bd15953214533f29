//! proptest strategies for portolan: runs of machines, STUN messages and session descriptions right and almost right, NATs of
//! every kind.
//!
//! # What this crate refuses to do
//!
//! It holds no protocol knowledge of its own: messages are written by `portolan-stun`, descriptions by `portolan-sdp`, NATs are the plain data of
//! `portolan-nat`, the laws are `portolan-sim`'s. It finds cases and makes them small; it decides nothing. It is no part
//! of a program, only of its tests.
//!
//! # What it does
//!
//! * [`laws`] checks the fourteen laws of a [`Machine`](portolan_machine::Machine) over thousands of random runs, and
//!   shrinks a run that breaks one to a script of a few lines.
//! * [`machines`] makes those runs: random inputs at random times, and a peer that answers what the machine sends.
//! * [`messages`] makes STUN messages: valid ones, and valid ones with something broken in them.
//! * [`sessions`] makes session descriptions: valid ones, and valid ones with something broken in them; [`candidates`] makes
//!   ICE candidates.
//! * [`topologies`] makes NATs, and chains of them.
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
//! let config = laws::LawsConfig { cases: 8, ..laws::LawsConfig::handed(&[SocketId(1)]) };
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
