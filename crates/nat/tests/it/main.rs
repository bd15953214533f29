//! Tests of discovery and of lifetime measurements through the public API, with simulated NATs and servers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail by panicking, as the tests do"
)]

extern crate alloc;

mod defects;
mod faults;
mod interruptions;
mod kinds;
mod lifetime;
mod model;
mod paths;
mod pools;
mod reachability;
mod rebinding;
mod regressions;
mod state;
mod world;
