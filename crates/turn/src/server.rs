//! The TURN server.

pub mod policy;
#[allow(dead_code, reason = "the server uses it")]
mod ports;
#[allow(dead_code, reason = "the server uses it")]
mod quota;

pub use quota::Bandwidth;
