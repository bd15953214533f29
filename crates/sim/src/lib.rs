//! A virtual internet in virtual time: hosts, links, NATs, servers honest and lying; repeatable byte for byte.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub(crate) mod clock;
pub mod entropy;
pub mod gateway;
pub(crate) mod host;
pub mod laws;
pub mod link;
pub(crate) mod map;
pub mod net;
pub(crate) mod packet;
pub mod server;
pub mod story;
pub mod topology;

pub use gateway::{Barrier, Gateway};
pub use link::{Link, Wire, WireStats};
pub use net::{Happening, HostId, Ledger, Net, SegmentId, ServerId, Stop};
pub use server::{Fault, Server};
pub use story::Story;
pub use topology::{Lab, Preset, Topology};
