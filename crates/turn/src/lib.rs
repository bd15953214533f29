//! TURN, sans-IO: a client and a server for RFC 8656.
//!
//! # Contents
//!
//! * [`Client`]: the client machine, with its [`ClientConfig`]. Its stated times and bounds are on the page of [`Client`].
//! * [`Server`]: the server machine, with its [`ServerConfig`].
//! * [`policy`]: the addresses that a server relays to.
//! * [`indication`]: the Send and Data indications, which carry one datagram between client and server.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod error;
pub mod event;
mod hash;
mod hex;
pub mod indication;
pub mod note;
pub mod server;

pub use client::{Client, ClientCommand, ClientConfig, ClientState};
pub use error::{ClientError, ServerConfigError, ServerError};
pub use event::{ClientEvent, ClientFailure, LossReason, Outcome, Reason, Step};
pub use event::{ClientId, FreedReason, RelayedAddresses, ServerEvent, Totals, Traffic};
pub use indication::{Indication, IndicationKind};
pub use note::{ClientDropped, ClientNote, RequestRefusal, ServerDropped, ServerNote};
pub use server::policy;
pub use server::policy::{Cidr, CidrError, Denial, OwnAddresses, PeerPolicy};
pub use server::{
    AllocationInfo, Bandwidth, DroppedStats, RefusedStats, RejectedStats, Server, ServerCommand, ServerConfig,
    ServerLimits, ServerSocket, ServerStats, ServerStreamStats,
};
