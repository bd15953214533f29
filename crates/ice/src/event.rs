//! The events of an agent.
//!
//! ```
//! use portolan_ice::AgentState;
//!
//! assert_eq!(AgentState::Connected.to_string(), "connected");
//! ```

use crate::candidate::{CandidateKind, ComponentId};
use crate::credentials::Credentials;
use crate::pair::PairState;
use crate::reason::{NominationReason, SessionFailure};
use crate::role::Role;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;
use portolan_sdp::candidate::CandidateAttribute;

/// An event of an [`Agent`](crate::Agent).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// A local candidate to signal to the peer.
    LocalCandidate {
        /// The data stream.
        stream: u16,
        /// The candidate. It is boxed because it is much larger than other events.
        candidate: Box<CandidateAttribute>,
    },
    /// A remote candidate has a name. The owner resolves it and calls [`Agent::resolve`](crate::Agent::resolve).
    Resolve {
        /// The name.
        name: String,
    },
    /// The state has changed.
    State(AgentState),
    /// The role was changed by a role conflict (RFC 8445 §7.3.1.1).
    Role(Role),
    /// The peer has restarted ICE, and this agent too. The new description ([`Agent::description`](crate::Agent::description))
    /// must be signalled, and the candidates that follow.
    Restarted(Credentials),
    /// A pair was selected. Data of the component uses only its path.
    Selected(Box<Selection>),
    /// The session failed. The agent sends nothing before [`Agent::restart`](crate::Agent::restart).
    Failed(SessionFailure),
    /// The agent is closed. This is the last event.
    Closed,
}

/// A selected pair, and why it was selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// The path of the pair.
    pub path: Path,
    /// The reason.
    pub why: NominationReason,
    /// The best of the other pairs, and its state.
    pub next_best: Option<(Path, PairState)>,
}

/// The state of an agent, with the names of the W3C (`RTCIceTransportState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// The agent waits for the remote description.
    #[default]
    New,
    /// Checks are sent, and at least one component has no valid pair.
    Checking,
    /// Each component has a valid pair.
    Connected,
    /// Each component has a selected pair (RFC 8445 §6.1.3).
    Completed,
    /// A selected pair has no fresh consent response at the moment.
    Disconnected,
    /// The session failed.
    Failed,
    /// The agent is closed.
    Closed,
}

impl AgentState {
    /// Returns the name of the W3C.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Checking => "checking",
            Self::Connected => "connected",
            Self::Completed => "completed",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The way of data between the agents: a pair as its owner uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Path {
    /// The component.
    pub component: ComponentId,
    /// The socket to send on.
    pub socket: SocketId,
    /// The source address of datagrams: the base of the local candidate.
    pub base: SocketAddr,
    /// The address of the local candidate as the peer sees it, if it is known.
    pub local: SocketAddr,
    /// The type of the local candidate.
    pub local_kind: CandidateKind,
    /// The destination of datagrams.
    pub remote: SocketAddr,
    /// The type of the remote candidate.
    pub remote_kind: CandidateKind,
    /// The last round trip time of a check.
    pub rtt: Option<Duration>,
}

impl Path {
    /// Whether data is relayed by a TURN server of one of the agents.
    #[must_use]
    pub const fn is_relayed(&self) -> bool {
        matches!(self.local_kind, CandidateKind::Relayed) || matches!(self.remote_kind, CandidateKind::Relayed)
    }
}

impl fmt::Display for Path {
    /// For example `host 10.0.0.7:40000 to srflx 192.0.2.7:61000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} to {} {}", self.local_kind, self.local, self.remote_kind, self.remote)
    }
}
