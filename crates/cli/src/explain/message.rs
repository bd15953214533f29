//! What is found in the input: messages, and the packets that they are in.

use super::capture::CaptureError;
use super::frame::Frame;
use alloc::sync::Arc;
use core::net::SocketAddr;

/// One message, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// The packet that it ends in.
    pub(super) place: Option<Place>,
    /// What is said of that packet.
    pub(super) origin: Option<Origin>,
}

/// What is said of a packet that stands in no capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The heading that tcpdump printed over it.
    Heading(Arc<str>),
    /// The bytes were a whole packet.
    Frame(Frame),
}

/// Where among packets a message was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The packet's number, from 1.
    pub(super) packet: u64,
    /// When it was captured, in nanoseconds since 1970; not every format says so.
    pub(super) time: Option<u64>,
    /// Who sent it to whom.
    pub(super) flow: Flow,
    /// The capture holds only the front of it.
    pub(super) is_cut: bool,
}

/// Who sends to whom, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// What was found in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What the input is.
    pub(super) source: &'static str,
    /// The messages, in their order.
    pub(super) messages: Vec<Message>,
    /// How many packets there are; 0 where the messages stand in none.
    pub(super) packets: u64,
    /// How many of them could not be looked into: fragments, other link types, other protocols than UDP and TCP.
    pub(super) skipped: u64,
    /// Where the capture ends before it should.
    pub(super) torn: Option<CaptureError>,
}

impl Message {
    /// Returns a message that is in no packet.
    pub(super) fn alone(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), place: None, origin: None }
    }
}
