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
mod machines;
mod namespace;
mod puppet;
mod streams;
mod time;
mod tls;
mod udp;
