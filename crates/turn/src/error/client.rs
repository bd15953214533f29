//! The errors of the client's commands.

use core::net::{IpAddr, SocketAddr};

/// The reason why a command of a [`Client`](crate::Client) was refused. Nothing was sent, and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client was started before.
    #[error("the client was started before")]
    NotIdle,
    /// The client was not started, is closing, or has ended.
    #[error("the client is not running")]
    NotRunning,
    /// There is no server, or more than [`ClientConfig::SERVERS`](crate::ClientConfig::SERVERS).
    #[error("the number of servers is not 1 to {limit}")]
    Servers {
        /// The limit.
        limit: usize,
    },
    /// A server has an unspecified address or port 0.
    #[error("the server {0} has no address or no port")]
    Destination(SocketAddr),
    /// The protocol is that of a listener.
    #[error("the protocol is that of a listener")]
    Protocol,
    /// The local address is of another family than a server.
    #[error("the local address and the server {0} are of different families")]
    LocalFamily(SocketAddr),
    /// The options of the allocation exclude each other (RFC 8656 §7.1).
    #[error("a reservation token excludes EVEN-PORT and address families, and a dual allocation excludes EVEN-PORT")]
    Options,
    /// The credential is not a long-term credential (RFC 8656 §5).
    #[error("TURN requires a long-term credential")]
    Mechanism,
    /// The peer has an unspecified, multicast or broadcast address, or port 0.
    #[error("{0} is not the address of a single peer")]
    Peer(IpAddr),
    /// The number of peers is at its limit.
    #[error("{limit} permissions and channels exist already")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// No permission and no channel of this peer was added.
    #[error("the peer {0} was not added")]
    UnknownPeer(IpAddr),
    /// There is no allocation at the moment.
    #[error("there is no allocation at the moment")]
    NotAllocated,
    /// The server has not confirmed a permission for this peer (RFC 8656 §9).
    #[error("there is no permission for the peer {0}")]
    NoPermission(SocketAddr),
    /// The data does not fit into one message.
    #[error("{length} bytes do not fit into one message")]
    TooLong {
        /// The length of the data in bytes.
        length: usize,
    },
}
