//! The binary as its users meet it, on loopback only.

#[path = "../support/binary.rs"]
mod binary;
#[path = "../support/refusal.rs"]
mod refusal;
