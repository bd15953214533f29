//! Integration tests of the simulator through its public API.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail by panicking, as the tests do"
)]

mod backpressure;
mod breaks;
mod calls;
mod datagrams;
mod laws_command;
mod laws_drains;
mod laws_driver;
mod laws_faults;
mod laws_of_streams;
mod laws_of_the_net;
mod laws_pinger;
mod laws_recording;
mod laws_relay;
mod laws_relay_faults;
mod laws_script;
mod places;
mod probe;
mod stories;
mod streamer;
mod streams;
mod wires;
