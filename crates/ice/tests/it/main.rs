//! Integration tests of ICE, in virtual time.

mod candidates;
mod gather;
