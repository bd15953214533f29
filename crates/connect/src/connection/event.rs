//! The events, errors and notes of a connection.

use crate::frames::StreamFault;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use portolan_ice::gather::{FailedServer, GatherReport};
use portolan_ice::{AgentError, AgentState, ComponentId, Credentials, GatherError, Role, Selection, SessionFailure};
use portolan_machine::{Clause, Explain, Instant};
use portolan_sdp::candidate::CandidateAttribute;
use portolan_turn::{ClientError, ClientFailure, Step};

/// An event of a [`Connection`](crate::Connection).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectEvent {
    /// A local candidate to signal to the peer.
    LocalCandidate {
        /// The data stream.
        stream: u16,
        /// The candidate.
        candidate: Box<CandidateAttribute>,
    },
    /// All local candidates were signalled (RFC 8838 §13). The report says what was skipped and what failed.
    EndOfCandidates(Box<GatherReport>),
    /// A remote candidate has a name. The owner resolves it and calls [`Connection::resolve`](crate::Connection::resolve).
    Resolve {
        /// The name.
        name: String,
    },
    /// A STUN server gave no candidate.
    ServerFailed(FailedServer),
    /// A TURN server gave no allocation, or an allocation was lost for good.
    RelayFailed(Box<RelayFailure>),
    /// The credential of a TURN server expires soon. The owner should set a new one.
    CredentialExpires {
        /// The number of the server in the configuration.
        server: usize,
        /// The time of the expiry.
        at: Instant,
    },
    /// The state of the agent has changed.
    State(AgentState),
    /// The role was changed by a role conflict.
    Role(Role),
    /// The peer has restarted ICE. The new description ([`Agent::description`](portolan_ice::Agent::description)) and the
    /// candidates that follow must be signalled.
    Restarted(Credentials),
    /// A pair was selected. Data of the component uses its path from now on.
    Selected(Box<Selection>),
    /// Data of the peer.
    Data {
        /// The component.
        component: ComponentId,
        /// The data.
        payload: Bytes,
    },
    /// The session failed.
    Failed(SessionFailure),
    /// The connection is closed. This is the last event.
    Closed,
}

/// A TURN server that gave no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayFailure {
    /// The number of the server in the configuration.
    pub server: usize,
    /// The component.
    pub component: ComponentId,
    /// The reason.
    pub why: ClientFailure,
    /// The attempted steps, oldest first.
    pub steps: Vec<Step>,
}

/// The reason why a command of a connection was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The agent refused the command.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The gatherer refused the command.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// A TURN client refused its configuration or a command.
    #[error(transparent)]
    Turn(#[from] ClientError),
    /// There are too many TURN servers and components.
    #[error("{count} TURN clients would be needed, expected at most {limit}")]
    Relays {
        /// The product of servers and components.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The configuration has no such TURN server.
    #[error("the configuration has no TURN server {0}")]
    Server(usize),
    /// The component has no path at the moment.
    #[error("component {0} has no path at the moment")]
    NoPath(ComponentId),
    /// The session has no such component.
    #[error("the session has no component {0}")]
    Component(ComponentId),
    /// The command of the agent is not about the peer.
    #[error("this command of the agent is not about the peer")]
    NotAboutPeer,
}

/// The notes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectNote {
    /// A datagram was dropped, because the queue of outputs is full.
    QueueFull {
        /// The source.
        from: SocketAddr,
    },
    /// The permission of a peer cannot be requested at a relay.
    NoPermission {
        /// The peer.
        peer: SocketAddr,
        /// The reason.
        why: ClientError,
    },
    /// A stream of a TCP candidate was closed.
    StreamClosed {
        /// The peer.
        peer: SocketAddr,
        /// The reason.
        why: StreamFault,
    },
}

impl Explain for ConnectNote {
    fn code(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "connect-queue-full",
            Self::NoPermission { .. } => "connect-no-permission",
            Self::StreamClosed { .. } => "connect-stream-closed",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::QueueFull { .. } => None,
            Self::NoPermission { .. } => Some(Clause::new(8445, "7.2.1")),
            Self::StreamClosed { .. } => Some(Clause::new(6544, "7.1")),
        }
    }
}

impl fmt::Display for ConnectNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { from } => write!(f, "a datagram from {from} is dropped: the queue of outputs is full"),
            Self::NoPermission { peer, why } => write!(f, "no permission is requested for {peer}: {why}"),
            Self::StreamClosed { peer, why } => write!(f, "the stream of {peer} is closed: {why}"),
        }
    }
}
