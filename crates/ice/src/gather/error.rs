//! The errors of a gatherer's configuration and commands.
//!
//! ```
//! use portolan_ice::GatherError;
//!
//! assert_eq!(GatherError::Closed.to_string(), "the gatherer is closed");
//! ```

use crate::ComponentId;
use core::net::SocketAddr;

/// The reason why a configuration or a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// There is no component, or there are too many.
    #[error("{count} components: 1 to {limit} are possible")]
    Components {
        /// The number of components.
        count: usize,
        /// The largest number.
        limit: usize,
    },
    /// A component is named twice, or its number is not 1 to 256.
    #[error("component {0} is named twice, or its number is not 1 to 256")]
    Component(ComponentId),
    /// There are too many servers.
    #[error("{count} servers: at most {limit} are possible")]
    Servers {
        /// The number of servers.
        count: usize,
        /// The largest number.
        limit: usize,
    },
    /// A server is named twice, its address is not that of a single host, or its port is 0.
    #[error("{0} is named twice, or is not the address of a server")]
    Server(SocketAddr),
    /// The range of ports is empty or contains port 0.
    #[error("the ports {first} to {last} are not a range of ports")]
    Ports {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// There are too many addresses in one list.
    #[error("{count} addresses of interfaces: at most {limit} are possible")]
    Interfaces {
        /// The number of addresses.
        count: usize,
        /// The largest number.
        limit: usize,
    },
    /// No list of interfaces was set, so there is nothing to gather again.
    #[error("no interfaces were set")]
    NotStarted,
    /// The gatherer is closed.
    #[error("the gatherer is closed")]
    Closed,
}
