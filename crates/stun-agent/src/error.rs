//! What the caller did wrong.
//!
//! ```
//! use portolan_stun_agent::RequestError;
//!
//! let refused = RequestError::Full { limit: 256 };
//! assert_eq!(refused.to_string(), "256 requests are pending already");
//! ```

use core::net::{IpAddr, SocketAddr};
use portolan_stun::{AttributeType, EncodeError, TransactionId};

/// Why a request, or a command about one, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// As many requests are pending as are allowed.
    #[error("{limit} requests are pending already")]
    Full {
        /// How many are allowed.
        limit: usize,
    },
    /// Nothing can be sent to an unspecified address or to port 0.
    #[error("the destination has no address or no port")]
    Destination,
    /// The attributes are not a sequence of whole, padded attributes.
    #[error("byte {at} of the attributes: not a whole attribute, padded to a multiple of 4")]
    Attributes {
        /// Offset in bytes of the attribute that is cut short.
        at: usize,
    },
    /// The message cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A request with a credential has an attribute that the credential writes.
    #[error("{0} is written by the credential")]
    Reserved(AttributeType),
    /// No pending request has this id.
    #[error("no request {0} is pending")]
    NotPending(TransactionId),
}

/// What is wrong with a responder's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponderConfigError {
    /// There is no address to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// There is no listening address left in its family.
    #[error("alternate {alternate} has no listening address of its family to go with")]
    Unpaired {
        /// The alternate.
        alternate: SocketAddr,
    },
    /// The two addresses are one, or are advertised as one.
    #[error("{listen} and its alternate {alternate} need two different addresses")]
    SameAddress {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// The two ports are one.
    #[error("{listen} and its alternate {alternate} need two different ports")]
    SamePort {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// The two addresses of a wildcard cannot be distinguished.
    #[error("with the alternate {alternate} the listening address {listen} must be given, neither can be a wildcard")]
    Wildcard {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// The same port is needed on both addresses, so the system cannot choose it.
    #[error("with the alternate {alternate} the ports must be given, neither can be 0")]
    NoPort {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// Two sockets would have one address and port.
    #[error("{local} is needed twice")]
    Twice {
        /// The address and port.
        local: SocketAddr,
    },
    /// An address is advertised as one of the other family.
    #[error("{local} cannot be advertised as {public}, of another family")]
    AdvertisedFamily {
        /// The socket's address.
        local: IpAddr,
        /// What was to be said.
        public: IpAddr,
    },
    /// No socket has the address.
    #[error("no socket has the address {local} that is to be advertised as another")]
    AdvertisedUnknown {
        /// The address.
        local: IpAddr,
    },
}

/// Why a command to a query was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query was started before.
    #[error("the query was started before")]
    NotIdle,
    /// The query was not started, or has ended.
    #[error("the query is not running")]
    NotRunning,
    /// Nothing can be sent to an unspecified address or to port 0.
    #[error("the server has no address or no port")]
    Destination,
    /// The protocol is a listener's.
    #[error("a query goes over UDP, TCP or TLS, not to a listener")]
    Protocol,
    /// The local address is of another family than the server's.
    #[error("the local address and the server's are of different families")]
    LocalFamily,
}

/// Why a command to a responder was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponderError {
    /// It was started before.
    #[error("the responder was started before")]
    NotIdle,
    /// It does not serve, not yet or no longer.
    #[error("the responder does not serve")]
    NotServing,
    /// The text is no command.
    #[error("a command is `start` or `stop`")]
    UnknownCommand,
}
