//! The messages of the input, and their packets.

use super::capture::CaptureError;
use super::frame::Frame;
use alloc::sync::Arc;
use core::net::SocketAddr;

/// A message and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// The packet in which the message ends.
    pub(super) place: Option<Place>,
    /// Where the packet comes from, if not from a capture.
    pub(super) origin: Option<Origin>,
}

/// Where a packet comes from that is in no capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The heading of the packet in the output of tcpdump.
    Heading(Arc<str>),
    /// The input is a whole packet.
    Frame(Frame),
}

/// The packet of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the packet, from 1.
    pub(super) packet: u64,
    /// The time of the capture in nanoseconds since 1970, if the format has it.
    pub(super) time: Option<u64>,
    /// The source and the destination.
    pub(super) flow: Flow,
    /// Whether the capture has only the first part of the packet.
    pub(super) is_cut: bool,
}

/// The transport, the source and the destination of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

/// The transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// The result of reading the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The kind of input.
    pub(super) source: &'static str,
    /// The messages, in order.
    pub(super) messages: Vec<Message>,
    /// The number of packets; 0 if the messages are in no packet.
    pub(super) packets: u64,
    /// The number of packets that could not be read: fragments, other link types, other protocols than UDP and TCP.
    pub(super) skipped: u64,
    /// The error at which the capture ends early.
    pub(super) torn: Option<CaptureError>,
}

impl Message {
    /// Returns a message that is in no packet.
    pub(super) fn alone(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), place: None, origin: None }
    }
}
