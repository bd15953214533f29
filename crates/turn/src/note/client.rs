//! The notes of the client.

use crate::event::{LossReason, Outcome, Step};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Clause, Explain, SocketId};
use portolan_stun::Method;

/// The notes of [`Client`](crate::Client).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientNote {
    /// A socket for an allocation was ordered.
    Opening {
        /// The server.
        server: SocketAddr,
        /// The socket.
        socket: SocketId,
    },
    /// An allocation exists.
    Allocated {
        /// The server.
        server: SocketAddr,
        /// The first relayed address.
        relayed: SocketAddr,
    },
    /// An attempt to make an allocation failed.
    AttemptFailed {
        /// The step that failed.
        step: Step,
        /// The reaction of the client.
        reaction: &'static str,
    },
    /// A request for the peer failed.
    PeerFailed {
        /// The peer.
        peer: IpAddr,
        /// The method.
        method: Method,
        /// The outcome.
        outcome: Outcome,
    },
    /// A request timed out, and the client sends it again, because the server answers other requests.
    Repeated {
        /// The method.
        method: Method,
        /// The server.
        server: SocketAddr,
    },
    /// The allocation was refreshed.
    Refreshed {
        /// The server.
        server: SocketAddr,
        /// The lifetime in seconds.
        seconds: u64,
    },
    /// The Refresh request failed.
    RefreshFailed {
        /// The step that failed.
        step: Step,
    },
    /// The mapped address has changed, and the allocation is refreshed at once.
    MappedChanged {
        /// The previous address.
        old: SocketAddr,
        /// The new address.
        new: SocketAddr,
    },
    /// The allocation does not exist any more.
    Lost {
        /// The server.
        server: SocketAddr,
        /// The reason.
        why: LossReason,
    },
    /// The mapped address is that of an earlier allocation, which still exists, and the client uses it again.
    Reclaimed {
        /// The relayed address.
        relayed: SocketAddr,
    },
    /// The server redirected the client to another server.
    Redirected {
        /// The new server.
        to: SocketAddr,
    },
    /// The allocation is released by a Refresh request with lifetime 0.
    Releasing {
        /// The server.
        server: SocketAddr,
    },
    /// The server did not confirm the release in time.
    NotReleased {
        /// The server.
        server: SocketAddr,
    },
    /// A message was dropped.
    Dropped {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: ClientDropped,
    },
}

/// The reason why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientDropped {
    /// The message came from another address than the server's.
    NotServer,
    /// No peer has this channel number.
    Channel(u16),
    /// The client has no permission for the peer of a Data indication.
    Peer(SocketAddr),
    /// The bytes are neither ChannelData, nor a Data indication, nor an expected response.
    Unexpected,
    /// The queue of outputs is full.
    QueueFull,
}

impl Explain for ClientNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Opening { .. } => "client-socket-ordered",
            Self::Allocated { .. } => "client-allocated",
            Self::AttemptFailed { .. } => "client-allocate-failed",
            Self::PeerFailed { .. } => "client-peer-failed",
            Self::Repeated { .. } => "client-request-repeated",
            Self::Refreshed { .. } => "client-refreshed",
            Self::RefreshFailed { .. } => "client-refresh-failed",
            Self::MappedChanged { .. } => "client-mapped-changed",
            Self::Lost { .. } => "client-allocation-lost",
            Self::Reclaimed { .. } => "client-allocation-reclaimed",
            Self::Redirected { .. } => "client-redirected",
            Self::Releasing { .. } => "client-releasing",
            Self::NotReleased { .. } => "client-not-released",
            Self::Dropped { why, .. } => match why {
                ClientDropped::NotServer => "client-dropped-not-server",
                ClientDropped::Channel(_) => "client-dropped-unknown-channel",
                ClientDropped::Peer(_) => "client-dropped-no-permission",
                ClientDropped::Unexpected => "client-dropped-unexpected",
                ClientDropped::QueueFull => "client-dropped-queue-full",
            },
        }
    }

    fn rfc(&self) -> Option<Clause> {
        let (rfc, section) = match self {
            Self::Opening { .. } => (8656, "7.1"),
            Self::Allocated { .. } => (8656, "7.3"),
            Self::AttemptFailed { .. } => (8656, "7.4"),
            Self::PeerFailed { method: Method::CHANNEL_BIND, .. } => (8656, "12.3"),
            Self::PeerFailed { .. } => (8656, "10.3"),
            Self::Repeated { .. } => (8489, "6.2.1"),
            Self::Refreshed { .. } | Self::RefreshFailed { .. } => (8656, "8.3"),
            Self::MappedChanged { .. } | Self::Lost { .. } | Self::Reclaimed { .. } => (8656, "5"),
            Self::Redirected { .. } => (8489, "10"),
            Self::Releasing { .. } | Self::NotReleased { .. } => (8656, "8.1"),
            Self::Dropped { why, .. } => match why {
                ClientDropped::NotServer => (8656, "11.4"),
                ClientDropped::Channel(_) => (8656, "12.6"),
                ClientDropped::Peer(_) => (8656, "11.4"),
                ClientDropped::Unexpected | ClientDropped::QueueFull => return None,
            },
        };
        Some(Clause::new(rfc, section))
    }
}

impl fmt::Display for ClientNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening { server, socket } => write!(f, "socket {socket} is opened for an allocation at {server}"),
            Self::Allocated { server, relayed } => write!(f, "{server} allocated {relayed}"),
            Self::AttemptFailed { step, reaction } => write!(f, "{step}; {reaction}"),
            Self::PeerFailed { peer, method, outcome } => write!(f, "{method} for peer {peer}: {outcome}"),
            Self::Repeated { method, server } => write!(f, "{method} to {server} timed out and is sent again"),
            Self::Refreshed { server, seconds } => write!(f, "{server} refreshed the allocation for {seconds} s"),
            Self::RefreshFailed { step } => step.fmt(f),
            Self::MappedChanged { old, new } => write!(f, "the mapped address was {old} and is {new}"),
            Self::Lost { server, why } => write!(f, "the allocation at {server} does not exist any more: {why}"),
            Self::Reclaimed { relayed } => write!(f, "the earlier allocation {relayed} is used again"),
            Self::Redirected { to } => write!(f, "the server redirected the client to {to}"),
            Self::Releasing { server } => write!(f, "the allocation at {server} is released"),
            Self::NotReleased { server } => write!(f, "{server} did not confirm the release in time"),
            Self::Dropped { from, why } => match why {
                ClientDropped::NotServer => write!(f, "dropped a message from {from}: this is not the server"),
                ClientDropped::Channel(number) => {
                    write!(f, "dropped ChannelData from {from}: no peer has channel {number:#06x}")
                }
                ClientDropped::Peer(peer) => {
                    write!(f, "dropped a Data indication from {from}: no permission for its peer {peer}")
                }
                ClientDropped::Unexpected => write!(f, "dropped a message from {from}: it is not expected"),
                ClientDropped::QueueFull => write!(f, "dropped a message from {from}: the queue of outputs is full"),
            },
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::net::{Ipv4Addr, SocketAddrV4};
    use portolan_machine::Instant;

    const HERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478));

    /// One note of each code and clause, in the order of docs/notes.md.
    pub(in crate::note) fn samples() -> Vec<ClientNote> {
        let (server, outcome, socket) = (HERE, Outcome::TimedOut, SocketId(1));
        let step = Step {
            at: Instant::ORIGIN,
            server,
            method: Method::ALLOCATE,
            sends: 7,
            outcome: outcome.clone(),
            icmp: None,
        };
        let failed = |method| ClientNote::PeerFailed { peer: HERE.ip(), method, outcome: outcome.clone() };
        let dropped = |why| ClientNote::Dropped { from: HERE, why };
        [
            ClientNote::Opening { server, socket },
            ClientNote::Allocated { server, relayed: HERE },
            ClientNote::AttemptFailed { step: step.clone(), reaction: "the client tries the next server" },
            failed(Method::CREATE_PERMISSION),
            failed(Method::CHANNEL_BIND),
            ClientNote::Repeated { method: Method::REFRESH, server },
            ClientNote::Refreshed { server, seconds: 600 },
            ClientNote::RefreshFailed { step },
            ClientNote::MappedChanged { old: HERE, new: HERE },
            ClientNote::Lost { server, why: LossReason::Mismatch },
            ClientNote::Reclaimed { relayed: HERE },
            ClientNote::Redirected { to: HERE },
            ClientNote::Releasing { server },
            ClientNote::NotReleased { server },
            dropped(ClientDropped::NotServer),
            dropped(ClientDropped::Channel(0x4000)),
            dropped(ClientDropped::Peer(HERE)),
            dropped(ClientDropped::Unexpected),
            dropped(ClientDropped::QueueFull),
        ]
        .into()
    }
}
