//! Scenarios in virtual time, the clauses of the responder by name, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a panic reports the failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic reports the failed test")]

extern crate alloc;

mod alternates;
mod backpressure;
mod bindings;
mod chunks;
mod credentials_client;
mod credentials_server;
mod credentials_together;
mod drops;
mod laws;
mod load;
mod nonces;
mod properties;
mod query;
mod requests;
mod responses;
mod source_address;
mod state;
mod streams;
mod world;
