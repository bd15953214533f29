//! Packets in transit, and a pool that reuses the packets that have arrived.
//!
//! A packet stays in one box from the sender to the end of its path. Moving the packet moves a pointer, and its buffer
//! keeps its capacity for the next packet.

use crate::clock::Nanos;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use portolan_machine::SocketId;

/// A UDP datagram in transit.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Where the packet is, or will be at its next wake-up.
    pub(crate) place: Place,
    pub(crate) hop_limit: u8,
    /// The socket that sent the packet. ICMP uses it to find the way back, as through a NAT that obeys RFC 5508.
    pub(crate) origin: Option<Origin>,
    /// When the packet was sent. An ICMP error takes as long back as the packet took to the point of the error.
    pub(crate) sent: Nanos,
    /// The shared bytes of a machine; `None`: the packet's own bytes count.
    shared: Option<Bytes>,
    own: Vec<u8>,
}

/// Where a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the wire of this interface, towards the segment.
    Up(usize),
    /// Before the wire of this interface, towards the owner of the interface.
    Down(usize),
    /// In a segment.
    AtSegment(usize),
    /// At the owner of this interface.
    AtOwner(usize),
}

/// The socket that sent a packet, and the destination that the sender gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) host: usize,
    pub(crate) socket: SocketId,
    pub(crate) remote: SocketAddr,
}

/// The length in bytes of the IP packets that carry a segment of a stream. Each packet has 40 bytes of headers (IPv4
/// and TCP without options).
pub(crate) fn stream_wire_len(payload: usize) -> u64 {
    let packets = payload.div_ceil(SEGMENT).max(1);
    (payload + packets * 40) as u64
}

/// The most bytes of a stream in one packet: the payload of an Ethernet frame.
pub(crate) const SEGMENT: usize = 1_460;

/// The hop limit of a datagram without an explicit one (RFC 1340 recommends 64).
const HOP_LIMIT: u8 = 64;

impl Packet {
    fn blank() -> Self {
        let unspecified = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            source: unspecified,
            destination: unspecified,
            place: Place::Up(0),
            hop_limit: HOP_LIMIT,
            origin: None,
            sent: 0,
            shared: None,
            own: Vec::new(),
        }
    }

    /// The payload.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.shared.as_deref().unwrap_or(&self.own)
    }

    /// The length of the IP packet in bytes: 28 bytes of headers for IPv4, 48 for IPv6 (RFC 768, RFC 791, RFC 8200).
    pub(crate) fn wire_len(&self) -> u64 {
        let headers = if self.destination.is_ipv4() { 28 } else { 48 };
        self.bytes().len() as u64 + headers
    }

    /// The payload, copied into the packet's own buffer so that it can be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        if let Some(shared) = self.shared.take() {
            self.own.clear();
            self.own.extend_from_slice(&shared);
        }
        &mut self.own
    }

    /// Sets the payload to shared bytes, without a copy.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        self.shared = Some(bytes);
    }

    /// Sets the payload to a copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.shared = None;
        self.own.clear();
        self.own.extend_from_slice(bytes);
    }
}

/// Free packets for reuse, and scratch space for a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    #[expect(clippy::vec_box, reason = "boxes travel; taking one out of the vector must not move what is in it")]
    free: Vec<Box<Packet>>,
    pub(crate) scratch: Vec<u8>,
}

impl Pool {
    /// Returns an empty packet that starts at `place`.
    pub(crate) fn packet(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        place: Place,
        sent: Nanos,
    ) -> Box<Packet> {
        let mut packet = self.free.pop().unwrap_or_else(|| Box::new(Packet::blank()));
        (packet.source, packet.destination, packet.place, packet.sent) = (source, destination, place, sent);
        (packet.hop_limit, packet.origin) = (HOP_LIMIT, None);
        packet
    }

    /// Returns a copy of the packet.
    pub(crate) fn duplicate(&mut self, packet: &Packet) -> Box<Packet> {
        let mut copy = self.packet(packet.source, packet.destination, packet.place, packet.sent);
        (copy.hop_limit, copy.origin) = (packet.hop_limit, packet.origin);
        match &packet.shared {
            Some(shared) => copy.share(shared.clone()),
            None => copy.copy(&packet.own),
        }
        copy
    }

    /// Takes back a packet that has reached the end of its path.
    pub(crate) fn recycle(&mut self, mut packet: Box<Packet>) {
        packet.shared = None;
        self.free.push(packet);
    }
}
