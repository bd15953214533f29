//! The driver on real sockets: loopback, and network namespaces of the tests' own.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and what it did not expect is all one"
)]

extern crate alloc;

mod application;
mod backpressure;
mod driving;
mod forward;
mod limits;
mod machines;
mod namespace;
#[cfg(not(feature = "tls"))]
mod no_tls;
mod puppet;
mod release;
mod streams;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod udp;
