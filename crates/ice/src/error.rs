//! The errors of the commands of an agent.
//!
//! ```
//! use portolan_ice::AgentError;
//!
//! assert_eq!(AgentError::NotRunning.to_string(), "the agent is not running");
//! ```

use crate::candidate::ComponentId;
use alloc::boxed::Box;
use core::net::SocketAddr;

/// The reason why a command of an [`Agent`](crate::Agent) was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The agent was started before.
    #[error("the agent was started before")]
    Started,
    /// The agent was not started, or is closed.
    #[error("the agent is not running")]
    NotRunning,
    /// The configuration has no data stream, or more than 64 components.
    #[error("the configuration has {0} components, expected 1 to 64")]
    Components(usize),
    /// The session has no such data stream.
    #[error("the session has no stream {0}")]
    Stream(u16),
    /// The session has no such component.
    #[error("the session has no component {0}")]
    Component(ComponentId),
    /// The local candidate has an address that no peer can use.
    #[error("no peer can use the address {0}")]
    Address(SocketAddr),
    /// The largest number of local candidates is reached.
    #[error("{limit} local candidates exist already")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The remote description of the stream is not set.
    #[error("the remote description of stream {0} is not set")]
    NoRemoteDescription(u16),
    /// No candidate waits for this name.
    #[error("no remote candidate has the name {0}")]
    Name(Box<str>),
}
