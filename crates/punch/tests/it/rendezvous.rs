//! The tests of the rendezvous.

mod lab;
pub(crate) mod laws;
mod messages;
mod state;
mod stories;
