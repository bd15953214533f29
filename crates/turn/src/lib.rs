//! TURN, sans-IO: a client and a server for RFC 8656.
//!
//! # Contents
//!
//! * [`Server`]: the server machine, with its [`ServerConfig`].
//! * [`policy`]: the addresses that a server relays to.
//! * [`indication`]: the Send and Data indications, which carry one datagram between client and server.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod error;
pub mod event;
mod hash;
pub mod indication;
pub mod note;
pub mod server;

pub use error::{ServerConfigError, ServerError};
pub use event::{ClientId, FreedReason, RelayedAddresses, ServerEvent, Totals, Traffic};
pub use indication::{Indication, IndicationKind};
pub use note::{RequestRefusal, ServerDropped, ServerNote};
pub use server::policy;
pub use server::policy::{Cidr, CidrError, Denial, OwnAddresses, PeerPolicy};
pub use server::{
    AllocationInfo, DroppedStats, RefusedStats, RejectedStats, Server, ServerCommand, ServerConfig, ServerLimits,
    ServerSocket, ServerStats,
};
