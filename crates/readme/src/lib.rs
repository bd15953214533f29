//! The examples of `README.md` and of the pages in `docs/`, as documentation tests: `cargo test -p portolan-readme`.
//!
//! The crate is empty outside of documentation tests. The examples name most crates of the workspace; so no other crate
//! takes those crates as development dependencies.

#![forbid(unsafe_code)]

/// The examples of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[derive(Debug)]
pub struct Readme;

/// The page of the book that reads one packet by hand.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/book/one-packet-by-hand.md")]
#[derive(Debug)]
pub struct OnePacketByHand;

/// The guide for users of other SDP crates.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/moving-to-portolan-sdp.md")]
#[derive(Debug)]
pub struct MovingToPortolanSdp;
