//! Tests of the driver on real sockets: on loopback, and in network namespaces.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and handles all unexpected values in one arm"
)]

extern crate alloc;

mod application;
mod backpressure;
mod driving;
mod forward;
mod full_streams;
mod limits;
mod machines;
mod namespace;
#[cfg(not(feature = "tls"))]
mod no_tls;
mod recorder;
// One of its tests uses QUIC, which needs TLS.
#[cfg(feature = "tls")]
mod release;
mod streams;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod udp;
