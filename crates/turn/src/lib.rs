//! TURN, sans-IO: a client and a server for RFC 8656.
//!
//! # Contents
//!
//! * [`Client`]: the client machine, with its [`ClientConfig`]. Its stated times and bounds are on the page of [`Client`].
//! * [`Server`]: the server machine, with its [`ServerConfig`].
//! * [`policy`]: the addresses that a server relays to.
//! * [`indication`]: the Send and Data indications, which carry one datagram between client and server.
//!
//! # Times and bounds of the server
//!
//! * An allocation lives 600 s, or up to 3600 s if its client requests it ([`ServerConfig::lifetimes`]). A permission
//!   lives 300 s, a channel 600 s. The number and the peer of a channel are not bound otherwise for 300 s more. A
//!   reserved port is kept 30 s. Each is over at the exact time, also if the timeout comes late.
//! * Allocations, permissions, channels and bandwidth have limits ([`ServerLimits`]). A source without valid
//!   credentials leaves nothing but its slot in a table of 4,096 rates.
//! * An allocation with one channel has about 0.9 KB of state, without a channel about 0.55 KB.
//! * A reply without credentials to an IPv4 client has 32 bytes (Binding), or 104 bytes and the padded realm (401).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod error;
pub mod event;
mod hash;
pub mod indication;
pub mod note;
pub mod server;

pub use client::{Client, ClientAllocation, ClientCommand, ClientConfig, ClientState, PermissionState};
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
