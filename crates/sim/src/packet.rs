//! Packets on their way, and a pool of those that have arrived, to be used again.
//!
//! A packet lives in one box from its sender to its end: moving it along moves a pointer, and its buffer keeps its room
//! for the next packet.

use crate::clock::Nanos;
use crate::net::HostId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use portolan_machine::SocketId;

/// A UDP datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Where it is, or will be when the clock wakes it.
    pub(crate) place: Place,
    pub(crate) hop_limit: u8,
    /// Who made it, so that ICMP finds the way back as a NAT that obeys RFC 5508 would lead it.
    pub(crate) origin: Option<Origin>,
    /// When it was sent: bad news takes as long back as the packet took to meet it.
    pub(crate) sent: Nanos,
    /// A machine's bytes; without them the packet's own count.
    shared: Option<Bytes>,
    own: Vec<u8>,
}

/// Where a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before this interface's wire towards its segment.
    Up(usize),
    /// Before this interface's wire towards its owner.
    Down(usize),
    /// In a segment.
    AtSegment(usize),
    /// With the owner of this interface.
    AtOwner(usize),
}

/// The socket that sent a packet and where it meant to send it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) host: HostId,
    pub(crate) socket: SocketId,
    pub(crate) remote: SocketAddr,
}

/// The length in bytes of the IP packets that carry a segment of a stream: 40 bytes of headers for each full packet and for
/// the rest (IPv4 and TCP without options).
pub(crate) fn stream_wire_len(payload: usize) -> u64 {
    let packets = payload.div_ceil(SEGMENT).max(1);
    (payload + packets * 40) as u64
}

/// The most bytes of a stream in one packet: an Ethernet frame's worth.
pub(crate) const SEGMENT: usize = 1_460;

/// The hop limit of a datagram that states none (RFC 1340 recommends 64).
const HOP_LIMIT: u8 = 64;

impl Packet {
    fn blank() -> Self {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            source: nobody,
            destination: nobody,
            place: Place::Up(0),
            hop_limit: HOP_LIMIT,
            origin: None,
            sent: 0,
            shared: None,
            own: Vec::new(),
        }
    }

    /// What it carries.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.shared.as_deref().unwrap_or(&self.own)
    }

    /// The length of the IP packet in bytes: 28 bytes of headers for IPv4, 48 for IPv6 (RFC 768, RFC 791, RFC 8200).
    pub(crate) fn wire_len(&self) -> u64 {
        let headers = if self.destination.is_ipv4() { 28 } else { 48 };
        self.bytes().len() as u64 + headers
    }

    /// What it carries, in a copy of its own.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        if let Some(shared) = self.shared.take() {
            self.own.clear();
            self.own.extend_from_slice(&shared);
        }
        &mut self.own
    }

    /// Lets it carry somebody's bytes without a copy.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        self.shared = Some(bytes);
    }

    /// Lets it carry a copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.shared = None;
        self.own.clear();
        self.own.extend_from_slice(bytes);
    }
}

/// Packets that have come to their end, and room to write an answer in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    #[expect(clippy::vec_box, reason = "boxes travel; taking one out of the vector must not move what is in it")]
    free: Vec<Box<Packet>>,
    pub(crate) scratch: Vec<u8>,
}

impl Pool {
    /// An empty packet that begins at `place`.
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

    /// The same packet once more.
    pub(crate) fn twin(&mut self, packet: &Packet) -> Box<Packet> {
        let mut twin = self.packet(packet.source, packet.destination, packet.place, packet.sent);
        (twin.hop_limit, twin.origin) = (packet.hop_limit, packet.origin);
        match &packet.shared {
            Some(shared) => twin.share(shared.clone()),
            None => twin.copy(&packet.own),
        }
        twin
    }

    /// Takes back a packet that has come to its end.
    pub(crate) fn recycle(&mut self, mut packet: Box<Packet>) {
        packet.shared = None;
        self.free.push(packet);
    }
}
