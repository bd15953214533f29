//! The notes of the driver itself, in the scope `driver 0`.

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain, Refusal, SocketId, TlsFailure};

/// A diagnostic message of the driver about an operation or its failure. A note changes no behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverNote {
    /// The system's send buffer was full, or more than 64 KiB waited on a stream: a datagram to `remote` was dropped.
    Full {
        /// The socket.
        socket: SocketId,
        /// The destination of the datagram.
        remote: SocketAddr,
    },
    /// The machine sent on a socket that is not open: not open yet, closed, or a listener.
    NotOpen {
        /// The id that the machine used.
        socket: SocketId,
    },
    /// The machine ordered a socket, and a socket with this id exists already. The order is ignored.
    KnownId {
        /// The id.
        socket: SocketId,
    },
    /// The machine paused or resumed a socket that is not an open stream. The order is ignored.
    NotAStream {
        /// The id.
        socket: SocketId,
    },
    /// The machine took no byte of a stream twice in a row. The stream is closed.
    NotRead {
        /// The stream.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// A listener could not accept a stream. It tries again after 200 ms.
    AcceptFailed {
        /// The listener.
        socket: SocketId,
        /// The reason that the system returned.
        why: Refusal,
    },
    /// A TLS handshake failed.
    HandshakeFailed {
        /// The listener to which the peer connected, or the stream that the machine ordered.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
        /// The reason for the failure.
        why: TlsFailure,
    },
    /// A peer connected to a TLS listener and did not complete the handshake within the timeout
    /// ([`with_connect_timeout`](crate::DriverConfig::with_connect_timeout)).
    HandshakeTimedOut {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// A source has reached its limit of accepted streams. Its new stream is closed.
    TooManyStreams {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// A source has reached its limit of TLS handshakes. Its new stream is closed.
    TooManyHandshakes {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// A listener accepted a stream, and the machine did not take the stream. The stream is closed.
    Unclaimed {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// The machine's deadline is not later than the last timeout. The driver passes the next timeout 1 ms later.
    Stuck {
        /// The purpose of the deadline, according to the machine.
        why: &'static str,
    },
}

impl fmt::Display for DriverNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { socket, remote } => {
                write!(f, "the send buffer of {socket} is full, a datagram to {remote} is dropped")
            }
            Self::NotOpen { socket } => write!(f, "cannot send on {socket}: the socket is not open"),
            Self::KnownId { socket } => write!(f, "{socket} exists already, the order to open it is ignored"),
            Self::NotAStream { socket } => {
                write!(f, "cannot pause or resume {socket}: it is not an open stream")
            }
            Self::NotRead { socket, remote } => {
                write!(f, "the machine does not take the bytes of {remote} on {socket}, the stream is closed")
            }
            Self::AcceptFailed { socket, why } => {
                write!(f, "{socket} could not accept a stream ({why}), it tries again in 200 ms")
            }
            Self::HandshakeFailed { socket, remote, why } => {
                write!(f, "the TLS handshake with {remote} on {socket} failed: {why}")
            }
            Self::HandshakeTimedOut { socket, remote } => {
                write!(f, "the TLS handshake with {remote} on {socket} timed out")
            }
            Self::TooManyStreams { socket, remote } => {
                write!(
                    f,
                    "the source of {remote} has reached its limit of streams, its new stream to {socket} is closed"
                )
            }
            Self::TooManyHandshakes { socket, remote } => write!(
                f,
                "the source of {remote} has reached its limit of TLS handshakes, its new stream to {socket} is closed"
            ),
            Self::Unclaimed { socket, remote } => {
                write!(f, "the machine does not take the stream of {remote} to {socket}, the stream is closed")
            }
            Self::Stuck { why } => {
                write!(f, "the deadline for {why} is not later than the last timeout, the next timeout is in 1 ms")
            }
        }
    }
}

impl Explain for DriverNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "send-buffer-full",
            Self::NotOpen { .. } => "socket-not-open",
            Self::AcceptFailed { why, .. } => accept_failed(*why),
            Self::KnownId { .. } => "socket-id-known",
            Self::NotAStream { .. } => "not-a-stream",
            Self::NotRead { .. } => "stream-not-read",
            Self::HandshakeFailed { why, .. } => handshake_failed(*why),
            Self::HandshakeTimedOut { .. } => "tls-handshake-timed-out",
            Self::TooManyStreams { .. } => "too-many-streams-of-source",
            Self::TooManyHandshakes { .. } => "too-many-tls-handshakes-of-source",
            Self::Unclaimed { .. } => "stream-unclaimed",
            Self::Stuck { .. } => "deadline-stuck",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        None
    }
}

/// The code of [`DriverNote::AcceptFailed`].
const fn accept_failed(why: Refusal) -> &'static str {
    match why {
        Refusal::AddressInUse => "accept-failed-address-in-use",
        Refusal::AddressNotAvailable => "accept-failed-address-not-available",
        Refusal::PermissionDenied => "accept-failed-permission-denied",
        Refusal::NoRoute => "accept-failed-no-route",
        Refusal::ConnectionRefused => "accept-failed-connection-refused",
        Refusal::TimedOut => "accept-failed-timed-out",
        Refusal::FamilyNotSupported => "accept-failed-family-not-supported",
        Refusal::TooManySockets => "accept-failed-too-many-sockets",
        Refusal::TlsHandshake(_) => "accept-failed-tls-handshake",
        Refusal::Unsupported => "accept-failed-unsupported",
        Refusal::Unspecified | _ => "accept-failed-unspecified",
    }
}

/// The code of [`DriverNote::HandshakeFailed`].
const fn handshake_failed(why: TlsFailure) -> &'static str {
    match why {
        TlsFailure::Certificate => "tls-handshake-failed-certificate",
        TlsFailure::Name => "tls-handshake-failed-name",
        TlsFailure::Protocol => "tls-handshake-failed-protocol",
        TlsFailure::Alert => "tls-handshake-failed-alert",
        TlsFailure::Closed => "tls-handshake-failed-closed",
        TlsFailure::Unspecified | _ => "tls-handshake-failed-unspecified",
    }
}

#[cfg(test)]
mod tests;
