//! The client against a scripted server, as a packet trace in virtual time.

mod allocating;
mod closing;
mod credentials;
mod errors;
mod keeping;
mod peers;
mod relaying;
pub(crate) mod world;
