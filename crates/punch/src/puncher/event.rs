//! The events of a puncher.

use super::table::Path;
use crate::forecast::{Budget, Cost, Forecast, Reason, Strategy};
use alloc::boxed::Box;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;

/// The events of a puncher. After [`Released`](Self::Released), [`Failed`](Self::Failed) and [`Closed`](Self::Closed) the
/// puncher does nothing more.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PunchEvent {
    /// The plan, before the first packet.
    Planned(Box<Plan>),
    /// A strategy begins.
    Trying(Strategy),
    /// Both sides have packets of each other.
    Connected {
        /// The socket, and the address to send to.
        path: Path,
        /// The time from the first probe, or from the loss of the path.
        elapsed: Duration,
    },
    /// A datagram of the application came, before the socket was released.
    Data {
        /// The socket.
        socket: SocketId,
        /// The source, from which an authentic probe came before.
        remote: SocketAddr,
        /// The bytes.
        payload: Bytes,
    },
    /// The path is lost. The puncher punches again.
    Lost,
    /// The owner has taken the socket of the path.
    Released,
    /// The attempt ended without a path.
    Failed {
        /// The reason.
        why: Failure,
        /// The reason of the forecast, which often explains the failure.
        forecast: Reason,
    },
    /// The owner ended the attempt.
    Closed,
}

/// The plan of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The forecast.
    pub forecast: Forecast,
    /// The largest number of mappings and sessions that this side makes, and of probes without loss.
    pub limit: Cost,
    /// The time from the first probe after which the attempt has ended.
    pub lasts: Duration,
    /// The budget.
    pub budget: Budget,
    /// Whether ports may be guessed.
    pub may_guess: bool,
}

/// What a puncher has used. A guess that failed counts too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The packets that were sent: probes and responses.
    pub packets: u64,
    /// The largest number of NAT mappings at a time, as the [`Budget`] counts them.
    pub mappings: u16,
    /// The largest number of sessions at a time, as the [`Budget`] counts them.
    pub sessions: u16,
}

/// The reason why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing authentic came from the peer.
    NoAnswer,
    /// Packets of the peer came, but no packet of this side was answered, or the peer chose no path.
    OneWay,
    /// No address of the peer is usable with the open sockets.
    NoAddress,
    /// The path was lost and not found again.
    PathLost,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "no packet of the peer came",
            Self::OneWay => "packets flow in one direction only",
            Self::NoAddress => "the peer has no address that this host can send to",
            Self::PathLost => "the path was lost and not found again",
        })
    }
}
