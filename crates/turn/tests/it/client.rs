//! The client against a scripted server, as a packet trace in virtual time.

mod allocating;
mod attacks;
mod closing;
mod credentials;
mod errors;
mod keeping;
mod peers;
mod relaying;
mod streams;
pub(crate) mod world;
