//! Packets on their way, and a pool for the bytes of those that the network makes itself.

use crate::clock::Nanos;
use crate::net::HostId;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::SocketId;

/// A UDP datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: Payload,
    pub(crate) hop_limit: u8,
    /// Who made it, so that ICMP finds the way back as a NAT that obeys RFC 5508 would lead it.
    pub(crate) origin: Option<Origin>,
    /// When it was sent: bad news takes as long back as the packet took to meet it.
    pub(crate) sent: Nanos,
}

/// The socket that sent a packet and where it meant to send it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) host: HostId,
    pub(crate) socket: SocketId,
    pub(crate) remote: SocketAddr,
}

/// The bytes of a packet: a machine's, shared, or the network's, pooled.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Shared(Bytes),
    Pooled(Vec<u8>),
}

impl Payload {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Pooled(bytes) => bytes,
        }
    }
}

/// Buffers that were used before, so that a packet of the network's own costs no allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
}

impl Pool {
    /// A copy of `bytes` in a used buffer.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Payload {
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        Payload::Pooled(buffer)
    }

    /// The same packet once more.
    pub(crate) fn twin(&mut self, packet: &Packet) -> Packet {
        let payload = match &packet.payload {
            Payload::Shared(bytes) => Payload::Shared(bytes.clone()),
            Payload::Pooled(bytes) => self.copy(bytes),
        };
        Packet { payload, ..*packet }
    }

    /// Bytes that may be written to: the packet's own copy.
    pub(crate) fn own<'p>(&mut self, payload: &'p mut Payload) -> &'p mut [u8] {
        if let Payload::Shared(bytes) = payload {
            *payload = self.copy(bytes);
        }
        match payload {
            Payload::Pooled(bytes) => bytes,
            Payload::Shared(_) => &mut [],
        }
    }

    /// Takes back what a packet held.
    pub(crate) fn recycle(&mut self, packet: Packet) {
        if let Payload::Pooled(buffer) = packet.payload {
            self.free.push(buffer);
        }
    }
}
