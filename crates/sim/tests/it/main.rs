//! The virtual internet from the outside: what a test of somebody else's machine would see.

mod datagrams;
mod probe;
