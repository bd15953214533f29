//! What the driver itself has to say, beside its machine: scope `driver 0`.

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain, Refusal, SocketId, TlsFailure};

/// Something that the driver did or could not do. No note changes what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverNote {
    /// The system's send buffer was full, or more than 64 KiB waited on a stream: a datagram to `remote` was dropped.
    Full {
        /// The socket.
        socket: SocketId,
        /// Where they were meant to go.
        remote: SocketAddr,
    },
    /// The machine sent on a socket that is not open (not yet, no more, or a listener).
    NotOpen {
        /// The name it used.
        socket: SocketId,
    },
    /// The machine ordered a socket under an id that is known already. The order is ignored.
    KnownId {
        /// The id.
        socket: SocketId,
    },
    /// The machine paused or resumed a socket that is not an open stream. The order is ignored.
    NotAStream {
        /// The id.
        socket: SocketId,
    },
    /// The machine took no byte of a stream twice in a row, although it could. The stream is closed.
    NotRead {
        /// The stream.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// A listener could not accept, and tries again a little later.
    AcceptFailed {
        /// The listener.
        socket: SocketId,
        /// What the system said.
        why: Refusal,
    },
    /// A TLS handshake failed.
    HandshakeFailed {
        /// The listener that the peer came to, or the stream that the machine ordered.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
        /// Why the handshake failed.
        why: TlsFailure,
    },
    /// A peer came to a TLS listener and did not complete the handshake in the driver's time.
    HandshakeTimedOut {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// A source holds as many accepted streams as one source may. Its new stream is closed.
    TooManyStreams {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// A source holds as many TLS handshakes as one source may. Its new stream is closed.
    TooManyHandshakes {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// The machine did not want the stream that a listener accepted; it was closed.
    Unclaimed {
        /// The listener.
        socket: SocketId,
        /// The peer.
        remote: SocketAddr,
    },
    /// The machine's deadline did not move on after a timeout: it is asked again a millisecond later.
    Stuck {
        /// What the machine says that it waits for.
        why: &'static str,
    },
}

impl fmt::Display for DriverNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { socket, remote } => {
                write!(f, "the send buffer of {socket} is full, what was meant for {remote} is dropped")
            }
            Self::NotOpen { socket } => write!(f, "nothing can be sent on {socket}, it is not open"),
            Self::KnownId { socket } => write!(f, "{socket} is ordered a second time, the order is ignored"),
            Self::NotAStream { socket } => {
                write!(f, "{socket} is not an open stream and can be neither paused nor resumed")
            }
            Self::NotRead { socket, remote } => {
                write!(f, "the bytes of {remote} on {socket} are not read, the stream is closed")
            }
            Self::AcceptFailed { socket, why } => {
                write!(f, "{socket} could not accept a stream ({why}), trying again shortly")
            }
            Self::HandshakeFailed { socket, remote, why } => {
                write!(f, "the TLS handshake with {remote} on {socket} failed: {why}")
            }
            Self::HandshakeTimedOut { socket, remote } => {
                write!(f, "the TLS handshake with {remote} on {socket} timed out")
            }
            Self::TooManyStreams { socket, remote } => {
                write!(f, "the source of {remote} holds all streams that it may, its new stream to {socket} is closed")
            }
            Self::TooManyHandshakes { socket, remote } => write!(
                f,
                "the source of {remote} holds all TLS handshakes that it may, its new stream to {socket} is closed"
            ),
            Self::Unclaimed { socket, remote } => {
                write!(f, "nobody wants the stream of {remote} to {socket}, it is closed")
            }
            Self::Stuck { why } => write!(f, "the deadline for {why} does not move on, asking again in 1 ms"),
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
