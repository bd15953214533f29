//! Benchmarks and campaigns of portolan, in a crate of their own so that what they need leaks nowhere.
//!
//! `cargo run --release -p portolan-benches --bin campaign` runs [`campaign`].

pub mod campaign;

/// The examples of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;

/// The page of the book that reads one packet by hand.
#[cfg(doctest)]
#[doc = include_str!("../../docs/book/one-packet-by-hand.md")]
#[derive(Debug)]
pub struct OnePacketByHand;
