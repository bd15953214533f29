//! The TURN server.

pub mod policy;
