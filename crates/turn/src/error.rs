//! The errors of configurations and commands.
//!
//! ```
//! use portolan_turn::ServerError;
//!
//! assert_eq!(ServerError::NotServing.to_string(), "the server is not running");
//! ```

mod client;

pub use client::ClientError;

use core::net::{IpAddr, SocketAddr};
use portolan_machine::Protocol;

/// The reason why a server cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerConfigError {
    /// There is no address to listen on, or no socket was handed in.
    #[error("the server has no address to listen on")]
    NoListener,
    /// A server does not listen with this protocol.
    #[error("a server listens with UDP, TCP or TLS listeners, not with {protocol}")]
    Protocol {
        /// The protocol.
        protocol: Protocol,
    },
    /// Two sockets would have the same protocol, address and port.
    #[error("{local} is needed twice")]
    Twice {
        /// The address and port.
        local: SocketAddr,
    },
    /// There is no relay address.
    #[error("the server has no relay address; give an address of this host that peers can reach")]
    NoRelay,
    /// A family has two relay addresses.
    #[error("{ip} is the second relay address of its family; a server has one of each family")]
    RelayTwice {
        /// The second address.
        ip: IpAddr,
    },
    /// The address cannot be told to clients.
    #[error("{ip} cannot be a relayed address: it is not the address of one host")]
    RelayInvalid {
        /// The address.
        ip: IpAddr,
    },
    /// A relay address is advertised as one of the other family.
    #[error("the relay address {local} cannot be advertised as {public}, of another family")]
    RelayFamily {
        /// The address of this host.
        local: IpAddr,
        /// The advertised address.
        public: IpAddr,
    },
    /// The range of relay ports is empty, or begins with port 0.
    #[error("the relay ports {first} to {last} are no range of ports")]
    Ports {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// The authenticator is for the short-term mechanism. TURN requires the long-term mechanism (RFC 8656 §5).
    #[error("TURN requires long-term credentials (RFC 8656 §5)")]
    Mechanism,
    /// The default lifetime is zero, or above the largest lifetime.
    #[error("the default lifetime of allocations is at least 1 s, and at most the largest lifetime")]
    Lifetime,
    /// The text of SOFTWARE is longer than 127 bytes.
    #[error("the software text has at most 127 bytes, not {length}")]
    Software {
        /// Its length in bytes.
        length: usize,
    },
}

/// The reason why a command to a server was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The server was started before.
    #[error("the server was started before")]
    NotIdle,
    /// The server is not running.
    #[error("the server is not running")]
    NotServing,
    /// The text is not a command.
    #[error("a command is `start`, `drain` or `stop`")]
    UnknownCommand,
}
