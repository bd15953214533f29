//! What the driver itself has to say, beside its machine: scope `driver 0`.

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain, Refusal, SocketId, TlsFailure};

/// Something that the driver did or could not do. No note changes what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverNote {
    /// The system's send buffer was full: datagrams to `remote` were dropped.
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
    fn rfc(&self) -> Option<Clause> {
        None
    }
}
