//! Stories in virtual time, every clause of the responder by name, and the laws under random inputs.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
#![expect(clippy::indexing_slicing, reason = "a test says what went wrong by failing")]

extern crate alloc;

mod alternates;
mod backpressure;
mod chunks;
mod credentials_client;
mod credentials_server;
mod credentials_together;
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
