//! Integration tests of the strategies.

#![expect(clippy::std_instead_of_alloc, reason = "a crate with std has no second name for its collections")]
#![expect(clippy::expect_used, reason = "a helper of a test fails by panicking")]

mod commands;
mod discovery;
mod laws;
mod machines;
mod messages;
mod responder;
mod sessions;
mod topologies;
