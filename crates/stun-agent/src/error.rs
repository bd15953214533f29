//! The errors of commands and configurations.
//!
//! ```
//! use portolan_stun_agent::RequestError;
//!
//! let refused = RequestError::Full { limit: 256 };
//! assert_eq!(refused.to_string(), "256 requests are pending already");
//! ```

use core::net::{IpAddr, SocketAddr};
use portolan_stun::{AttributeType, EncodeError, TransactionId};

/// The reason why a request, or a command about a request, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The number of pending requests is at its limit.
    #[error("{limit} requests are pending already")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The destination has an unspecified address or port 0.
    #[error("the destination has no address or no port")]
    Destination,
    /// The attributes are not a sequence of whole, padded attributes.
    #[error("byte {at} of the attributes: not a whole attribute, padded to a multiple of 4")]
    Attributes {
        /// Offset in bytes of the truncated attribute.
        at: usize,
    },
    /// The message cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A request with a credential has an attribute that the credential writes.
    #[error("{0} is written by the credential")]
    Reserved(AttributeType),
    /// No pending request has this id.
    #[error("no request {0} is pending")]
    NotPending(TransactionId),
}

/// The reason why the addresses of a responder cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponderConfigError {
    /// There is no address to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// An address is a multicast address or the broadcast address, from which no response can be sent.
    #[error("{local} is a multicast or broadcast address; listen on an address of this host")]
    NotUnicast {
        /// The address.
        local: SocketAddr,
    },
    /// A link-local IPv6 address has no zone, so it does not select an interface (RFC 4007 §6).
    #[error(
        "{local} is link-local and has no zone; add the interface, such as [{}%eth0]:{}",
        .local.ip(), .local.port()
    )]
    NoZone {
        /// The address.
        local: SocketAddr,
    },
    /// An alternate address has no free listening address of its family.
    #[error("alternate {alternate} has no free listening address of its family; each needs one of its own")]
    Unpaired {
        /// The alternate address.
        alternate: SocketAddr,
    },
    /// The two addresses are equal, or are advertised as equal.
    #[error("{listen} and its alternate {alternate} need two different addresses")]
    SameAddress {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// The two ports are equal.
    #[error(
        "{listen} and its alternate {alternate} need two different ports; the port of the alternate can be {}",
        .alternate.port() ^ 1
    )]
    SamePort {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// One of the two addresses is a wildcard, so that the two cannot be distinguished.
    #[error(
        "{listen} and its alternate {alternate}: neither can be a wildcard, because clients must get responses from two \
         known addresses; give two addresses of this host"
    )]
    Wildcard {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// One of the two ports is 0. The same port is needed on both addresses, so the system cannot assign it.
    #[error("with the alternate {alternate} the ports must be given, neither can be 0")]
    NoPort {
        /// The listening address.
        listen: SocketAddr,
        /// Its alternate.
        alternate: SocketAddr,
    },
    /// Two sockets would have the same address and port.
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
        /// The advertised address.
        public: IpAddr,
    },
    /// No socket has the address.
    #[error("no socket has the address {local} that is to be advertised as another")]
    AdvertisedUnknown {
        /// The address.
        local: IpAddr,
    },
    /// One of the two addresses is a wildcard, a multicast address or the broadcast address.
    #[error("{local} cannot be advertised as {public}: both must be the address of one host")]
    AdvertisedInvalid {
        /// The socket's address.
        local: IpAddr,
        /// The advertised address.
        public: IpAddr,
    },
    /// One address is advertised as two.
    #[error("{local} is advertised twice; a 1:1 NAT gives it one public address")]
    AdvertisedTwice {
        /// The address.
        local: IpAddr,
    },
    /// One address of a pair is advertised as another, and the second address is not. Clients would get one public
    /// and one private address.
    #[error(
        "{advertised} is advertised and {missing}, the other address of its pair, is not; advertise both, an address that \
         is public already as itself"
    )]
    AdvertisedHalf {
        /// The address that is advertised.
        advertised: IpAddr,
        /// The other address of the pair.
        missing: IpAddr,
    },
}

/// The reason why a command to a query was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query was started before.
    #[error("the query was started before")]
    NotIdle,
    /// The query was not started, or has ended.
    #[error("the query is not running")]
    NotRunning,
    /// The destination has an unspecified address or port 0.
    #[error("the server has no address or no port")]
    Destination,
    /// The protocol is that of a listener.
    #[error("a query uses UDP, TCP or TLS, not a listener")]
    Protocol,
    /// The local address is of another family than the server's.
    #[error("the local address and the server's are of different families")]
    LocalFamily,
}

/// The reason why a command to a responder was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponderError {
    /// The responder was started before.
    #[error("the responder was started before")]
    NotIdle,
    /// The responder is not running.
    #[error("the responder is not running")]
    NotServing,
    /// The text is not a command.
    #[error("a command is `start` or `stop`")]
    UnknownCommand,
}
