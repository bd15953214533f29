//! Peers, NATs and the introducer in virtual time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail by panicking, as the tests do"
)]

extern crate alloc;

mod budgets;
mod cases;
mod figures;
mod forecasts;
mod guesses;
mod laws;
mod oracle;
mod rendezvous;
mod session;
mod world;
