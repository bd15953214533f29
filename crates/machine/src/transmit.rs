//! Bytes that arrive and bytes that leave: [`Datagram`], [`Transmit`], [`Forward`].
//!
//! ```
//! use bytes::Bytes;
//! use portolan_machine::{Datagram, Forward, SocketId, Transmit};
//!
//! let (client, server, peer) = ("198.51.100.7:40000".parse()?, "192.0.2.1:3478".parse()?, "203.0.113.9:5000".parse()?);
//! let datagram = Datagram::new(SocketId(1), server, client, b"\x40\x00\x00\x02hi");
//!
//! // A reply leaves from the address that the request came to.
//! let reply = Transmit::new(datagram.socket, datagram.remote, Bytes::from_static(b"ok")).with_local(datagram.local.ip());
//! assert_eq!(reply.local, Some(server.ip()));
//!
//! // A relay sends the body from the receive buffer.
//! let forward = Forward::new(SocketId(2), peer, &datagram.payload[4..]).with_head(b"head").unwrap();
//! assert_eq!((forward.len(), forward.to_transmit().payload), (6, Bytes::from_static(b"headhi")));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::SocketId;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

/// Bytes that arrived: a UDP datagram, or the next chunk of a stream. They are borrowed; a machine copies what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// The socket that received the bytes.
    pub socket: SocketId,
    /// The address that the bytes were sent to; never unspecified.
    pub local: SocketAddr,
    /// The address that the bytes came from, as the socket saw it.
    pub remote: SocketAddr,
    /// The bytes.
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Bytes that came from `remote` to `local`.
    #[must_use]
    pub const fn new(socket: SocketId, local: SocketAddr, remote: SocketAddr, payload: &'a [u8]) -> Self {
        Self { socket, local, remote, payload }
    }

    /// Returns the same datagram with other bytes: a part of a chunk, or the content of an envelope.
    #[must_use]
    pub const fn with_payload<'b>(self, payload: &'b [u8]) -> Datagram<'b> {
        Datagram { socket: self.socket, local: self.local, remote: self.remote, payload }
    }
}

/// Bytes to send: a UDP datagram to `remote`, or the next bytes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The socket to send from. It has been `Opened`.
    pub socket: SocketId,
    /// The source address of this datagram; `None` leaves the choice to the system. Ignored on a stream.
    pub local: Option<IpAddr>,
    /// The destination; on a stream the peer's address.
    pub remote: SocketAddr,
    /// The IPv4 TTL or IPv6 hop limit of this datagram; `None` leaves the choice to the system. Ignored on a stream.
    pub hop_limit: Option<u8>,
    /// The rule for a stream whose reader is slow. Ignored for UDP.
    pub when_full: WhenFull,
    /// The bytes. A clone is cheap, so a machine can keep the bytes for a retransmission.
    pub payload: Bytes,
}

impl Transmit {
    /// A transmit with the system's source address and hop limit.
    #[must_use]
    pub const fn new(socket: SocketId, remote: SocketAddr, payload: Bytes) -> Self {
        Self { socket, local: None, remote, hop_limit: None, when_full: WhenFull::Close, payload }
    }

    /// Returns the same transmit with this source address.
    #[must_use]
    pub const fn with_local(mut self, local: IpAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// Returns the same transmit with this IPv4 TTL or IPv6 hop limit.
    #[must_use]
    pub const fn with_hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = Some(hop_limit);
        self
    }

    /// Returns the same transmit with this rule for a stream whose reader is slow.
    #[must_use]
    pub const fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }
}

/// The rule for bytes to a stream on which many bytes wait to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// Keep the bytes. Close the stream when more than 256 KiB would wait
    /// ([`Closure::Overflow`](crate::Closure::Overflow)): for bytes that must not be lost.
    #[default]
    Close,
    /// Drop the whole transmit, never a part of it, and count it, when more than 64 KiB wait already: for bytes that are
    /// a datagram in an envelope.
    Drop,
}

/// A datagram to send at once: a short head, a borrowed body and zero to three bytes of padding.
///
/// This is the result of [`Machine::forward`](crate::Machine::forward). The owner of the sockets sends the body from its
/// receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forward<'a> {
    /// The socket to send from. It has been `Opened`.
    pub socket: SocketId,
    /// The source address; `None` leaves the choice to the system.
    pub local: Option<IpAddr>,
    /// The destination; on a stream the peer's address.
    pub remote: SocketAddr,
    /// The rule for a stream whose reader is slow. Ignored for UDP.
    pub when_full: WhenFull,
    /// The bytes after the head.
    pub body: &'a [u8],
    head: [u8; 48],
    head_len: u8,
    padding: u8,
}

impl<'a> Forward<'a> {
    /// The longest head, in bytes.
    pub const HEAD: usize = 48;
    /// The longest padding, in bytes.
    pub const PADDING: usize = 3;

    /// A datagram that is `body` alone.
    #[must_use]
    #[inline]
    pub const fn new(socket: SocketId, remote: SocketAddr, body: &'a [u8]) -> Self {
        Self {
            socket,
            local: None,
            remote,
            when_full: WhenFull::Close,
            body,
            head: [0; Self::HEAD],
            head_len: 0,
            padding: 0,
        }
    }

    /// Returns the same datagram with these bytes before the body; `None` when they are longer than [`Self::HEAD`].
    #[must_use]
    #[inline]
    pub fn with_head(mut self, head: &[u8]) -> Option<Self> {
        self.head.get_mut(..head.len())?.copy_from_slice(head);
        self.head_len = u8::try_from(head.len()).ok()?;
        Some(self)
    }

    /// Returns the same datagram with this source address.
    #[must_use]
    #[inline]
    pub const fn with_local(mut self, local: IpAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// Returns the same datagram with this rule for a stream whose reader is slow.
    #[must_use]
    #[inline]
    pub const fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Returns the same datagram with zero bytes after the body, up to a multiple of four bytes of the body (RFC 8656
    /// §12.5).
    #[must_use]
    #[inline]
    pub const fn padded(mut self) -> Self {
        self.padding = (self.body.len().wrapping_neg() % 4) as u8;
        self
    }

    /// The bytes before the body.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.head.get(..usize::from(self.head_len)).unwrap_or_default()
    }

    /// The zero bytes after the body.
    #[must_use]
    pub fn padding(&self) -> &'static [u8] {
        const ZEROS: [u8; Forward::PADDING] = [0; Forward::PADDING];
        ZEROS.get(..usize::from(self.padding)).unwrap_or_default()
    }

    /// The length in bytes: head, body and padding.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.head_len as usize + self.body.len() + self.padding as usize
    }

    /// Whether the datagram is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends head, body and padding to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head());
        out.extend_from_slice(self.body);
        out.extend_from_slice(self.padding());
    }

    /// Returns the transmit that [`handle`](crate::Machine::handle) would have queued instead. Allocates.
    #[must_use]
    pub fn to_transmit(&self) -> Transmit {
        let mut payload = Vec::with_capacity(self.len());
        self.write_to(&mut payload);
        let (local, when_full) = (self.local, self.when_full);
        Transmit { local, when_full, ..Transmit::new(self.socket, self.remote, payload.into()) }
    }
}
