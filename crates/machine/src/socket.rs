//! Sockets by id: the driver owns them, the machine names them.
//!
//! A machine takes an id from [`Cx::next_socket`](crate::Cx::next_socket) and orders the socket with
//! [`SocketOrder::Open`]. The driver reports [`SocketEvent::Opened`] or [`SocketEvent::Refused`]. A machine sends
//! nothing on a socket before `Opened`. After its own [`SocketOrder::Close`], a machine receives nothing more from
//! that socket.
//!
//! * `local` in socket events and datagrams is never an unspecified address. For a wildcard bind the driver looks up
//!   the route to [`Open::remote`], and sends nothing. A server leaves `remote` out; each datagram then carries the
//!   `local` address that it came to.
//! * A UDP socket is never connected: it receives datagrams from every address. A datagram for a full UDP send buffer
//!   is dropped.
//! * Backpressure on streams, towards the peer: the driver reads no more from a stream until the machine has taken all
//!   bytes. The driver does not read while the machine has paused the stream ([`SocketOrder::Pause`]).
//! * The driver does not read a full stream that a listener accepted ([`SocketEvent::Accepted`]). The driver reads every
//!   other stream also while the stream is full: a stream that the machine opened, and a stream that the owner handed in
//!   by id. Without this difference, two full ends of one stream would wait for each other without end. A stream whose
//!   two ends were accepted by listeners does not exist.
//! * Backpressure on streams, towards the machine: [`SocketEvent::Full`] reports that more than 64 KiB wait to be
//!   sent. [`SocketEvent::Writable`] reports that fewer than 32 KiB wait again. [`WhenFull`](crate::WhenFull) is the
//!   rule for a transmit on a full stream. More than 256 KiB never wait: the stream is then closed with
//!   [`Closure::Overflow`].
//! * A machine that answers the bytes of a stream that it opened bounds its answers: by droppable transmits, or by a
//!   limit of its protocol. Otherwise a peer that does not read causes [`Closure::Overflow`]. A machine can also pause
//!   the stream from [`SocketEvent::Full`] to [`SocketEvent::Writable`]. This is safe only if the peer reads while the
//!   peer's own stream is full.
//! * A relay pauses each of two streams while the other one is full. All bytes move if at least one of the two peers
//!   opened its stream to the relay and does not pause it. If the relay opened both streams, two full peers can wait for
//!   each other without end.
//!
//! ```
//! use core::net::{Ipv4Addr, SocketAddr};
//! use portolan_machine::{Open, Protocol, SocketId, SocketOrder};
//!
//! let server: SocketAddr = "192.0.2.1:3478".parse()?;
//! let any: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
//! let order = SocketOrder::Open(Open::new(SocketId(1), Protocol::Udp, any).towards(server));
//! assert_eq!(order.to_string(), "open s1 udp 0.0.0.0:0 towards 192.0.2.1:3478");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;

/// The name of a socket, unique in its driver for the driver's whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// A counter of [`SocketId`]s. A driver has one, and all machines in the driver share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketIds(u64);

impl SocketIds {
    /// A counter whose first id is `s1`.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Returns the next id. Each id is returned once.
    pub fn next_socket(&mut self) -> SocketId {
        self.0 = self.0.wrapping_add(1);
        SocketId(self.0)
    }
}

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Datagrams; never connected.
    Udp,
    /// A byte stream to `remote`.
    Tcp,
    /// A listener for byte streams. Each stream is announced as [`SocketEvent::Accepted`].
    TcpListen,
    /// TLS over TCP to `remote`. The certificate is verified for [`Open::server_name`].
    Tls,
    /// A listener for TLS over TCP, with the driver's certificate.
    TlsListen,
}

impl Protocol {
    /// Whether bytes arrive by [`Machine::stream`](crate::Machine::stream) and not as datagrams.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether the socket only accepts streams and carries no bytes itself.
    #[must_use]
    pub const fn is_listener(self) -> bool {
        matches!(self, Self::TcpListen | Self::TlsListen)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::TcpListen => "tcp-listen",
            Self::Tls => "tls",
            Self::TlsListen => "tls-listen",
        })
    }
}

/// The order for a new socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Open {
    /// The name of the socket from now on.
    pub id: SocketId,
    /// The kind of the socket.
    pub protocol: Protocol,
    /// The address to bind. An unspecified address and port 0 leave the choice to the system.
    pub local: SocketAddr,
    /// The peer of a stream. For UDP: the destination whose route decides the local address.
    pub remote: Option<SocketAddr>,
    /// The name that the certificate of a TLS peer must hold. Without a name it must hold the address of `remote`.
    pub server_name: Option<Arc<str>>,
    /// Whether a TCP listener and TCP streams of this driver can have the same local address and port.
    pub shares_port: bool,
}

impl Open {
    /// An order that binds `local`, without a remote address.
    #[must_use]
    pub const fn new(id: SocketId, protocol: Protocol, local: SocketAddr) -> Self {
        Self { id, protocol, local, remote: None, server_name: None, shares_port: false }
    }

    /// Returns the same order with this remote address.
    #[must_use]
    pub fn towards(mut self, remote: SocketAddr) -> Self {
        self.remote = Some(remote);
        self
    }

    /// Returns the same order for a TCP listener whose port TCP streams use too, or for such a stream (`SO_REUSEPORT`).
    ///
    /// A TURN server needs it to connect from a relayed address on which it listens (RFC 6062 §5.2). Other programs of
    /// the same user can then bind the port too, so a fixed port of a server should not have it.
    #[must_use]
    pub const fn sharing_port(mut self) -> Self {
        self.shares_port = true;
        self
    }

    /// Returns the same order with the name that the certificate of a TLS peer must hold.
    #[must_use]
    pub fn named(mut self, server_name: Arc<str>) -> Self {
        self.server_name = Some(server_name);
        self
    }
}

/// An order of a machine to the driver, about one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOrder {
    /// Open this socket. The driver reports `Opened` or `Refused` once. For an id that is already in use, the driver
    /// counts the order, makes a note and reports no event.
    Open(Open),
    /// Hand in no more bytes of this stream until [`Resume`](Self::Resume), bytes that were read already included.
    /// The end of the stream is reported after its last bytes. Ignored with a note for other sockets.
    Pause(SocketId),
    /// Hand in bytes of this stream again. Ignored with a note for other sockets.
    Resume(SocketId),
    /// Close the socket, after the bytes that were queued on a stream before. The driver reports no event for this
    /// order, and nothing more arrives from the socket.
    Close(SocketId),
}

impl fmt::Display for SocketOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(open) => {
                write!(f, "open {} {} {}", open.id, open.protocol, open.local)?;
                if let Some(remote) = open.remote {
                    write!(f, " towards {remote}")?;
                }
                if let Some(name) = &open.server_name {
                    write!(f, " as {name}")?;
                }
                Ok(())
            }
            Self::Pause(id) => write!(f, "pause {id}"),
            Self::Resume(id) => write!(f, "resume {id}"),
            Self::Close(id) => write!(f, "close {id}"),
        }
    }
}

/// An event of a socket, from the driver to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEvent {
    /// The socket is open. A stream is connected, and a TLS peer is verified. `local` is unspecified only if the socket
    /// was ordered without a `remote` on a wildcard address.
    Opened {
        /// The address that datagrams to the order's `remote` leave from.
        local: SocketAddr,
    },
    /// A listener accepted a stream. The stream is open.
    Accepted {
        /// The id of the new stream.
        socket: SocketId,
        /// The address that the stream came to.
        local: SocketAddr,
        /// The peer.
        remote: SocketAddr,
    },
    /// The socket could not be opened. Its id is no longer valid.
    Refused(Refusal),
    /// A datagram to `remote` could not be sent, or ICMP reported that it did not arrive. The socket stays open.
    Unreachable {
        /// The destination of the datagram.
        remote: SocketAddr,
        /// Why it did not arrive.
        why: Unreachability,
    },
    /// More than 64 KiB wait to be sent on this stream. Reported once, before the machine gets its next bytes. An
    /// accepted stream is not read until [`Writable`](Self::Writable); other streams are read as before.
    Full,
    /// Fewer than 32 KiB wait to be sent on this stream again. Reported once after [`Full`](Self::Full).
    Writable,
    /// A stream or a listener ended, and the machine had not ordered it. Its id is no longer valid.
    Closed(Closure),
}

impl fmt::Display for SocketEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { local } => write!(f, "opened on {local}"),
            Self::Accepted { socket, local, remote } => write!(f, "accepted {socket} on {local} from {remote}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Unreachable { remote, why } => write!(f, "{remote} unreachable: {why}"),
            Self::Full => f.write_str("full: the peer reads slowly"),
            Self::Writable => f.write_str("writable again"),
            Self::Closed(why) => write!(f, "closed: {why}"),
        }
    }
}

/// The reason why a socket could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Another socket uses the address and port.
    AddressInUse,
    /// The address is not one of this host's.
    AddressNotAvailable,
    /// The system forbids it (a low port, a sandbox).
    PermissionDenied,
    /// There is no route to the remote address, or its host or network is reported unreachable.
    NoRoute,
    /// The peer refused the connection (TCP RST).
    ConnectionRefused,
    /// The connection was not made within the driver's timeout.
    TimedOut,
    /// The system has no such address family.
    FamilyNotSupported,
    /// The system has no descriptors, ports or memory left.
    TooManySockets,
    /// The TLS handshake failed.
    TlsHandshake(TlsFailure),
    /// This driver does not support the protocol.
    Unsupported,
    /// The system gave another reason.
    Unspecified,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressInUse => "address in use",
            Self::AddressNotAvailable => "address is not of this host",
            Self::PermissionDenied => "permission denied",
            Self::NoRoute => "no route",
            Self::ConnectionRefused => "connection refused",
            Self::TimedOut => "timed out",
            Self::FamilyNotSupported => "address family not supported",
            Self::TooManySockets => "too many sockets",
            Self::TlsHandshake(why) => return write!(f, "TLS handshake failed: {why}"),
            Self::Unsupported => "not supported by this driver",
            Self::Unspecified => "the system gave another reason",
        })
    }
}

/// The reason why a TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The peer's certificate is invalid: unknown issuer, expired, revoked, or not for this use.
    Certificate,
    /// The peer's certificate is for another name or address.
    Name,
    /// The peers have no protocol version or cipher in common, or the peer does not implement TLS.
    Protocol,
    /// The peer sent a fatal alert.
    Alert,
    /// The peer closed the connection during the handshake.
    Closed,
    /// The TLS library gave another reason.
    Unspecified,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "the certificate is invalid",
            Self::Name => "the certificate is for another name",
            Self::Protocol => "no common TLS version or cipher",
            Self::Alert => "the peer sent a fatal alert",
            Self::Closed => "the peer closed the connection",
            Self::Unspecified => "another reason",
        })
    }
}

/// The reason why a datagram could not be sent, or did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreachability {
    /// No route to the network (ENETUNREACH, or ICMP network unreachable).
    Network,
    /// The host is unreachable on its link (EHOSTUNREACH, or ICMP host unreachable).
    Host,
    /// No socket listens on the port (ICMP port unreachable).
    Port,
    /// The datagram is larger than the path MTU (EMSGSIZE, or ICMP packet too big).
    TooLarge,
    /// A filter forbids it (EPERM, EACCES, or ICMP administratively prohibited).
    Prohibited,
    /// The hop limit was exceeded in transit (ICMP time exceeded).
    HopLimit,
    /// [`Transmit::local`](crate::Transmit::local) is not an address of this host.
    SourceAddress,
    /// The system gave another reason.
    Unspecified,
}

impl fmt::Display for Unreachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "no route to the network",
            Self::Host => "host unreachable",
            Self::Port => "no socket listens on the port",
            Self::TooLarge => "datagram too large for the path",
            Self::Prohibited => "forbidden by a filter",
            Self::HopLimit => "hop limit ran out on the way",
            Self::SourceAddress => "the source address is not of this host",
            Self::Unspecified => "the system gave another reason",
        })
    }
}

/// The reason why a stream or a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Closure {
    /// The peer closed the stream (TCP FIN).
    ByPeer,
    /// The peer reset the stream (TCP RST).
    Reset,
    /// More than 256 KiB waited to be sent.
    Overflow,
    /// The machine took no byte of it twice in a row, although the stream was not paused. While an accepted stream is
    /// full, its bytes are not handed in.
    NotRead,
    /// No packet arrived from the peer for too long.
    TimedOut,
    /// TLS detected a truncated or forged stream.
    Tls,
    /// The driver ended.
    DriverEnded,
    /// The system gave another reason.
    Unspecified,
}

impl fmt::Display for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByPeer => "closed by the peer",
            Self::Reset => "reset by the peer",
            Self::Overflow => "too many unsent bytes",
            Self::NotRead => "its bytes are not read",
            Self::TimedOut => "timed out",
            Self::Tls => "TLS failure",
            Self::DriverEnded => "the driver ended",
            Self::Unspecified => "the system gave another reason",
        })
    }
}
