//! Sockets by name: the driver owns them, the machine only names them.
//!
//! A machine takes an id from [`Cx::next_socket`](crate::Cx::next_socket), orders the socket with
//! [`SocketOrder::Open`], and hears [`SocketNews::Opened`] or [`SocketNews::Refused`]. Nothing may be sent on a socket
//! before `Opened`. After its own [`SocketOrder::Close`] a machine hears nothing more of that socket.
//!
//! * `local` in news and datagrams is never an unspecified address. For a wildcard bind the driver asks the routing
//!   table for the way to [`Open::remote`], without sending anything; a socket that merely serves leaves `remote` out,
//!   and each datagram then brings the `local` it came to.
//! * A UDP socket is never connected: it hears everybody.
//! * A stream's unsent bytes are bounded in the driver (256 KiB); past that it is closed with [`Closure::Overflow`].
//!   A full UDP socket drops.
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
use bytes::Bytes;
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

/// Hands out [`SocketId`]s in order; a driver has one, and every machine in it draws from the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketIds(u64);

impl SocketIds {
    /// Begins at `s1`.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// The next id; each is given once.
    pub fn next_socket(&mut self) -> SocketId {
        self.0 = self.0.wrapping_add(1);
        SocketId(self.0)
    }
}

/// What kind of socket is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Datagrams; never connected.
    Udp,
    /// A byte stream to `remote`.
    Tcp,
    /// Byte streams from whoever comes; each is announced as [`SocketNews::Accepted`].
    TcpListen,
    /// TLS over TCP to `remote`, verified for [`Open::server_name`].
    Tls,
    /// TLS over TCP from whoever comes, with the driver's certificate.
    TlsListen,
}

impl Protocol {
    /// Whether bytes arrive as [`Input::Stream`](crate::Input::Stream) rather than as datagrams.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether the socket only accepts others and carries no bytes itself.
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
    /// Its name from now on.
    pub id: SocketId,
    /// Its kind.
    pub protocol: Protocol,
    /// Where to bind; an unspecified address and port 0 leave the choice to the system.
    pub local: SocketAddr,
    /// Whom the socket is meant for: the peer of a stream, for UDP the destination whose route tells the local address.
    pub remote: Option<SocketAddr>,
    /// The name a TLS peer must prove; without one the certificate must hold `remote`'s address.
    pub server_name: Option<Arc<str>>,
}

impl Open {
    /// An order that binds `local`, for nobody in particular.
    #[must_use]
    pub const fn new(id: SocketId, protocol: Protocol, local: SocketAddr) -> Self {
        Self { id, protocol, local, remote: None, server_name: None }
    }

    /// The same, meant for `remote`.
    #[must_use]
    pub fn towards(mut self, remote: SocketAddr) -> Self {
        self.remote = Some(remote);
        self
    }

    /// The same, with the name that a TLS peer must prove.
    #[must_use]
    pub fn named(mut self, server_name: Arc<str>) -> Self {
        self.server_name = Some(server_name);
        self
    }
}

/// What a machine asks of the driver's sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOrder {
    /// Make this socket; answered by `Opened` or `Refused`, once.
    Open(Open),
    /// Let it go, after what was queued on a stream before; not answered, and nothing more is heard of it.
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
            Self::Close(id) => write!(f, "close {id}"),
        }
    }
}

/// What the driver tells of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketNews {
    /// It is there (a stream: connected, TLS: verified), bound to `local`, which is never unspecified unless the
    /// socket was ordered without a `remote` on a wildcard address.
    Opened {
        /// The address datagrams to the order's `remote` leave from.
        local: SocketAddr,
    },
    /// A listener brought a new stream, already open under a new id.
    Accepted {
        /// The new stream's name.
        socket: SocketId,
        /// The address it came to.
        local: SocketAddr,
        /// The peer.
        remote: SocketAddr,
    },
    /// It could not be made. The id is dead.
    Refused(Refusal),
    /// A datagram to `remote` could not be sent, or ICMP said that it did not arrive. The socket lives on.
    Unreachable {
        /// Where it was meant to go.
        remote: SocketAddr,
        /// Why it did not.
        why: Unreachability,
    },
    /// A stream or listener ended without having been told to. The id is dead.
    Closed(Closure),
}

impl fmt::Display for SocketNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { local } => write!(f, "opened on {local}"),
            Self::Accepted { socket, local, remote } => write!(f, "accepted {socket} on {local} from {remote}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Unreachable { remote, why } => write!(f, "{remote} unreachable: {why}"),
            Self::Closed(why) => write!(f, "closed: {why}"),
        }
    }
}

/// Why a socket could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Another socket holds the address and port.
    AddressInUse,
    /// The address is not one of this host's.
    AddressNotAvailable,
    /// The system forbids it (a low port, a sandbox).
    PermissionDenied,
    /// There is no way to the remote address, or its host or network is reported unreachable.
    NoRoute,
    /// The peer answered, and said no (TCP RST).
    ConnectionRefused,
    /// The peer did not answer in the driver's time.
    TimedOut,
    /// The system has no such address family.
    FamilyNotSupported,
    /// Out of descriptors, ports or memory.
    TooManySockets,
    /// The TLS handshake failed: no common version, a bad certificate, a wrong name.
    TlsHandshake,
    /// This driver has no such protocol.
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
            Self::TlsHandshake => "TLS handshake failed",
            Self::Unsupported => "not supported by this driver",
            Self::Unspecified => "the system gave another reason",
        })
    }
}

/// Why a datagram did not get away, or did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreachability {
    /// No route to the network (ENETUNREACH, or ICMP network unreachable).
    Network,
    /// The host does not answer on its link (EHOSTUNREACH, or ICMP host unreachable).
    Host,
    /// Nobody listens there (ICMP port unreachable).
    Port,
    /// Larger than the path lets through (EMSGSIZE, or ICMP packet too big).
    TooLarge,
    /// A filter on the way forbids it (EPERM, EACCES, or ICMP administratively prohibited).
    Prohibited,
    /// The hop limit ran out on the way (ICMP time exceeded).
    HopLimit,
    /// The system gave another reason.
    Unspecified,
}

impl fmt::Display for Unreachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "no route to the network",
            Self::Host => "host unreachable",
            Self::Port => "nobody listens on the port",
            Self::TooLarge => "datagram too large for the path",
            Self::Prohibited => "forbidden by a filter",
            Self::HopLimit => "hop limit ran out on the way",
            Self::Unspecified => "the system gave another reason",
        })
    }
}

/// Why a stream or listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closure {
    /// The peer ended it in order.
    ByPeer,
    /// The peer broke it off (TCP RST).
    Reset,
    /// More unsent bytes than the driver holds (256 KiB).
    Overflow,
    /// The path went silent.
    TimedOut,
    /// TLS found the stream broken or forged.
    Tls,
    /// The driver itself ended.
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
            Self::TimedOut => "timed out",
            Self::Tls => "TLS failure",
            Self::DriverEnded => "the driver ended",
            Self::Unspecified => "the system gave another reason",
        })
    }
}

/// Bytes that came in: a UDP datagram, or the next chunk of a stream. Borrowed; a machine copies what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The socket they came to.
    pub socket: SocketId,
    /// The address they came to, never unspecified.
    pub local: SocketAddr,
    /// Whom they came from, as the socket saw it.
    pub remote: SocketAddr,
    /// The bytes.
    pub payload: &'a [u8],
}

/// Bytes to go out: a UDP datagram to `remote`, or the next bytes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send from; it has been `Opened`.
    pub socket: SocketId,
    /// Where to; on a stream the peer's address.
    pub remote: SocketAddr,
    /// IPv4 TTL or IPv6 hop limit of this one datagram; `None` leaves the system's.
    pub hop_limit: Option<u8>,
    /// The bytes; cheap to keep for a retransmission.
    pub payload: Bytes,
}

impl Transmit {
    /// A datagram with the system's hop limit.
    #[must_use]
    pub const fn new(socket: SocketId, remote: SocketAddr, payload: Bytes) -> Self {
        Self { socket, remote, hop_limit: None, payload }
    }
}
