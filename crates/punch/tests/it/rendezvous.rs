//! The tests of the rendezvous.

mod lab;
mod laws;
mod messages;
mod state;
mod stories;
