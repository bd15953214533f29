//! The notes of the machines of this crate, with a code and the RFC section of each.
//!
//! Rules of this file: no note contains a credential, and none prints text that a peer chose.
//!
//! ```
//! use portolan_machine::Explain;
//! use portolan_turn::{ServerDropped, ServerNote};
//!
//! let note = ServerNote::Dropped { from: "203.0.113.9:5000".parse()?, why: ServerDropped::NoPermission };
//! assert_eq!(note.to_string(), "message from 203.0.113.9:5000 dropped: the allocation has no permission for the peer");
//! assert_eq!((note.code(), note.rfc().unwrap().to_string()), ("dropped-no-permission", "RFC 8656 §9".into()));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod client;

pub use client::{ClientDropped, ClientNote};

use crate::Denial;
use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Explain, Instant, Refusal};
use portolan_stun::{AttributeType, DecodeError, ErrorCode, Method};
use portolan_stun_agent::authenticator::{Rejection, RejectionKind};
use portolan_stun_agent::framing::FramingError;

/// The notes of [`Server`](crate::Server).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerNote {
    /// A success response was sent.
    Answered {
        /// The client.
        client: SocketAddr,
        /// The method of the request.
        method: Method,
    },
    /// A response to a Binding request was sent.
    Bound {
        /// The client.
        client: SocketAddr,
        /// The error code; `None` for a success response.
        code: Option<u16>,
    },
    /// An error response was sent to an authenticated request.
    Refused {
        /// The client.
        client: SocketAddr,
        /// The method of the request.
        method: Method,
        /// The reason.
        why: RequestRefusal,
    },
    /// An error response was sent because of the credentials of the request.
    Rejected {
        /// The client.
        client: SocketAddr,
        /// The reason.
        why: Rejection,
    },
    /// The system refused a relay socket.
    RelayRefused {
        /// The local address of the socket.
        local: SocketAddr,
        /// The reason.
        why: Refusal,
    },
    /// The streams are at their limit, and one was closed.
    StreamsFull {
        /// The client of the closed stream.
        closed: SocketAddr,
        /// The client of the new stream.
        newcomer: SocketAddr,
    },
    /// A stream was closed, because its bytes are no frames.
    StreamBroken {
        /// The client.
        client: SocketAddr,
        /// The reason.
        why: FramingError,
    },
    /// A stream without an allocation was closed, because no whole message arrived for too long.
    StreamIdle {
        /// The client.
        client: SocketAddr,
    },
    /// A stream is paused, because its source is above its rate.
    StreamPaused {
        /// The client.
        client: SocketAddr,
        /// The end of the pause.
        until: Instant,
    },
    /// Bytes of a connection of a TCP allocation were relayed.
    BytesRelayed {
        /// The sender.
        from: SocketAddr,
        /// The receiver.
        to: SocketAddr,
        /// The number of bytes.
        length: usize,
    },
    /// A message was dropped without a reply.
    Dropped {
        /// The sender.
        from: SocketAddr,
        /// The reason.
        why: ServerDropped,
    },
}

/// The reason why an authenticated request gets an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestRefusal {
    /// The method is not one of the server (400).
    UnknownMethod,
    /// The server does not know comprehension-required attributes (420).
    UnknownAttributes,
    /// The attribute is malformed (400).
    Malformed(AttributeType),
    /// The client has no allocation (437).
    NoAllocation,
    /// The client has an allocation already (437).
    AllocationExists,
    /// Another user created the allocation (441).
    OtherUser,
    /// There is no REQUESTED-TRANSPORT (400).
    NoTransport,
    /// The server does not relay with this protocol (442).
    TransportUnsupported(u8),
    /// RESERVATION-TOKEN stands beside EVEN-PORT or a family (400).
    TokenWithOthers,
    /// No port is reserved under the token for this user (508).
    TokenInvalid,
    /// REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY are both present (400).
    TwoFamilies,
    /// The server has no relay address of the family (440).
    FamilyUnsupported,
    /// A reservation and a dual allocation are both requested (400).
    ReserveDual,
    /// ADDITIONAL-ADDRESS-FAMILY is IPv4 (400).
    AdditionalIpv4,
    /// The user has too many allocations (486).
    UserQuota,
    /// The source has too many allocations (486).
    SourceQuota,
    /// The server has too many allocations (508).
    Full,
    /// No relay port of this kind is free (508).
    NoPort,
    /// The system refused the relay sockets (508).
    RelayRefused(Refusal),
    /// The server is about to stop (508).
    Draining,
    /// There is no XOR-PEER-ADDRESS (400).
    NoPeer,
    /// The allocation has no relayed address of this family (443).
    OtherFamily,
    /// The policy denies the peer (403).
    Forbidden(Denial),
    /// No datagram can be sent to port 0 (403).
    PeerPort,
    /// The allocation has too many permissions (508).
    PermissionsFull,
    /// There is no CHANNEL-NUMBER (400).
    NoChannelNumber,
    /// The number is not that of a channel (400).
    ChannelNumber(u16),
    /// The channel is bound to another peer (400).
    ChannelTaken,
    /// The peer is bound to another channel (400).
    PeerBound,
    /// The allocation has too many channels (508).
    ChannelsFull,
    /// The client is not on a stream (400).
    NotStream,
    /// An attribute is only for UDP (400).
    TcpWithOthers,
    /// The allocation is not for TCP (400).
    NotTcp,
    /// The allocation is not for UDP (400).
    NotUdp,
    /// The allocation has a connection with the peer already (446).
    ConnectionExists,
    /// The connection to the peer failed (447).
    ConnectFailed(Refusal),
    /// The allocation has too many connections (508).
    ConnectionsFull,
    /// No connection with its id waits for a data stream (400).
    NoConnection,
    /// The stream has an allocation, so it cannot be a data stream (400).
    ControlStream,
}

/// The reason why a server dropped a message without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerDropped {
    /// The STUN message cannot be decoded.
    Undecodable(DecodeError),
    /// The FINGERPRINT is invalid.
    Fingerprint(DecodeError),
    /// It is neither STUN nor ChannelData.
    Unknown,
    /// The STUN message is neither a request nor a Send indication.
    NotARequest,
    /// The source address is not the address and port of a single host.
    Unaddressable,
    /// The source has no valid credentials and is above its rate.
    RateLimited,
    /// The output queue has no space.
    QueueFull,
    /// The response could not be encoded.
    Unwritable,
    /// The relay sockets of the allocation are not open yet.
    Pending,
    /// The client has no allocation.
    NoAllocation,
    /// The Send indication has no peer, no data, or unknown attributes.
    SendInvalid,
    /// The allocation has no relayed address of the family of the peer.
    OtherFamily,
    /// The allocation has no permission for the peer.
    NoPermission,
    /// The ChannelData is shorter than its length field.
    ChannelDataInvalid,
    /// The channel is not bound.
    NoChannel,
    /// The policy denies the peer, or its port is 0.
    Forbidden,
    /// The allocation is above its bandwidth.
    Bandwidth,
    /// The datagram of a peer is too long for a message to the client.
    TooLong,
    /// The ICMP error has no type in RFC 8656, or its peer has no permission.
    Icmp,
    /// Data on the control stream of a TCP allocation.
    TcpAllocation,
    /// The stream of a peer, because the allocation has too many connections.
    ConnectionsFull,
}

impl RequestRefusal {
    /// The error code of the response.
    #[must_use]
    pub const fn error_code(&self) -> u16 {
        match self {
            Self::UnknownMethod
            | Self::Malformed(_)
            | Self::NoTransport
            | Self::TokenWithOthers
            | Self::TwoFamilies
            | Self::ReserveDual
            | Self::AdditionalIpv4
            | Self::NoPeer
            | Self::NoChannelNumber
            | Self::ChannelNumber(_)
            | Self::ChannelTaken
            | Self::PeerBound
            | Self::NotStream
            | Self::TcpWithOthers
            | Self::NotTcp
            | Self::NotUdp
            | Self::NoConnection
            | Self::ControlStream => ErrorCode::BAD_REQUEST,
            Self::ConnectionExists => ErrorCode::CONNECTION_ALREADY_EXISTS,
            Self::ConnectFailed(_) => ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE,
            Self::Forbidden(_) | Self::PeerPort => ErrorCode::FORBIDDEN,
            Self::UnknownAttributes => ErrorCode::UNKNOWN_ATTRIBUTE,
            Self::NoAllocation | Self::AllocationExists => ErrorCode::ALLOCATION_MISMATCH,
            Self::FamilyUnsupported => ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED,
            Self::OtherUser => ErrorCode::WRONG_CREDENTIALS,
            Self::TransportUnsupported(_) => ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL,
            Self::OtherFamily => ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH,
            Self::UserQuota | Self::SourceQuota => ErrorCode::ALLOCATION_QUOTA_REACHED,
            Self::TokenInvalid
            | Self::Full
            | Self::NoPort
            | Self::RelayRefused(_)
            | Self::Draining
            | Self::PermissionsFull
            | Self::ChannelsFull
            | Self::ConnectionsFull => ErrorCode::INSUFFICIENT_CAPACITY,
        }
    }

    /// The code of [`ServerNote::Refused`].
    const fn code(&self) -> &'static str {
        match self {
            Self::UnknownMethod => "refused-unknown-method",
            Self::UnknownAttributes => "refused-unknown-attributes",
            Self::Malformed(_) => "refused-malformed-attribute",
            Self::NoAllocation => "refused-no-allocation",
            Self::AllocationExists => "refused-allocation-exists",
            Self::OtherUser => "refused-other-user",
            Self::NoTransport => "refused-no-transport",
            Self::TransportUnsupported(_) => "refused-transport",
            Self::TokenWithOthers => "refused-token-with-others",
            Self::TokenInvalid => "refused-token-invalid",
            Self::TwoFamilies => "refused-two-families",
            Self::FamilyUnsupported => "refused-family",
            Self::ReserveDual => "refused-dual-reservation",
            Self::AdditionalIpv4 => "refused-additional-ipv4",
            Self::UserQuota => "refused-user-quota",
            Self::SourceQuota => "refused-source-quota",
            Self::Full => "refused-allocations-full",
            Self::NoPort => "refused-no-port",
            Self::RelayRefused(_) => "refused-relay-socket",
            Self::Draining => "refused-draining",
            Self::NoPeer => "refused-no-peer",
            Self::OtherFamily => "refused-peer-family",
            Self::Forbidden(_) => "refused-peer-denied",
            Self::PeerPort => "refused-peer-port",
            Self::PermissionsFull => "refused-permissions-full",
            Self::NoChannelNumber => "refused-no-channel-number",
            Self::ChannelNumber(_) => "refused-channel-number",
            Self::ChannelTaken => "refused-channel-taken",
            Self::PeerBound => "refused-peer-bound",
            Self::ChannelsFull => "refused-channels-full",
            Self::NotStream => "refused-not-a-stream",
            Self::TcpWithOthers => "refused-tcp-with-others",
            Self::NotTcp => "refused-not-tcp",
            Self::NotUdp => "refused-not-udp",
            Self::ConnectionExists => "refused-connection-exists",
            Self::ConnectFailed(_) => "refused-connect-failed",
            Self::ConnectionsFull => "refused-connections-full",
            Self::NoConnection => "refused-no-connection",
            Self::ControlStream => "refused-control-stream",
        }
    }

    const fn rfc(&self) -> Clause {
        match self {
            Self::UnknownMethod => Clause::new(8489, "6.3"),
            Self::UnknownAttributes => Clause::new(8489, "6.3.1"),
            Self::Malformed(_) => Clause::new(8489, "14"),
            Self::NoAllocation | Self::OtherUser => Clause::new(8656, "5"),
            Self::AllocationExists
            | Self::NoTransport
            | Self::TransportUnsupported(_)
            | Self::TokenWithOthers
            | Self::TokenInvalid
            | Self::TwoFamilies
            | Self::FamilyUnsupported
            | Self::ReserveDual
            | Self::AdditionalIpv4
            | Self::UserQuota
            | Self::SourceQuota
            | Self::Full
            | Self::NoPort
            | Self::RelayRefused(_)
            | Self::Draining => Clause::new(8656, "7.2"),
            Self::NoPeer | Self::Forbidden(_) | Self::PermissionsFull => Clause::new(8656, "10.2"),
            Self::OtherFamily => Clause::new(8656, "19"),
            Self::PeerPort
            | Self::NoChannelNumber
            | Self::ChannelNumber(_)
            | Self::ChannelTaken
            | Self::PeerBound
            | Self::ChannelsFull => Clause::new(8656, "12.2"),
            Self::NotStream | Self::TcpWithOthers => Clause::new(6062, "5.1"),
            Self::NotTcp | Self::ConnectionExists | Self::ConnectFailed(_) | Self::ConnectionsFull => {
                Clause::new(6062, "5.2")
            }
            Self::NotUdp => Clause::new(6062, "3"),
            Self::NoConnection | Self::ControlStream => Clause::new(6062, "5.4"),
        }
    }
}

impl fmt::Display for RequestRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownMethod => "its method is unknown",
            Self::UnknownAttributes => "it has unknown comprehension-required attributes",
            Self::Malformed(kind) => return write!(f, "{kind} is malformed"),
            Self::NoAllocation => "the client has no allocation",
            Self::AllocationExists => "the client has an allocation already",
            Self::OtherUser => "another user created the allocation",
            Self::NoTransport => "it has no REQUESTED-TRANSPORT",
            Self::TransportUnsupported(protocol) => return write!(f, "IP protocol {protocol} is not relayed"),
            Self::TokenWithOthers => "RESERVATION-TOKEN excludes EVEN-PORT and address families",
            Self::TokenInvalid => "no port is reserved under its token",
            Self::TwoFamilies => "REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY exclude each other",
            Self::FamilyUnsupported => "the server has no relay address of the family",
            Self::ReserveDual => "a reservation and a second family exclude each other",
            Self::AdditionalIpv4 => "the additional family is IPv4",
            Self::UserQuota => "the user has too many allocations",
            Self::SourceQuota => "the source has too many allocations",
            Self::Full => "the server has too many allocations",
            Self::NoPort => "no such relay port is free",
            Self::RelayRefused(why) => return write!(f, "the relay socket was refused: {why}"),
            Self::Draining => "the server is about to stop",
            Self::NoPeer => "it has no XOR-PEER-ADDRESS",
            Self::OtherFamily => "the allocation has no relayed address of the family",
            Self::Forbidden(denial) => return write!(f, "the peer is denied: {denial}"),
            Self::PeerPort => "the port of the peer is 0",
            Self::PermissionsFull => "the allocation has too many permissions",
            Self::NoChannelNumber => "it has no CHANNEL-NUMBER",
            Self::ChannelNumber(number) => return write!(f, "{number:#06x} is not the number of a channel"),
            Self::ChannelTaken => "the channel is bound to another peer",
            Self::PeerBound => "the peer is bound to another channel",
            Self::ChannelsFull => "the allocation has too many channels",
            Self::NotStream => "the client is not on TCP or TLS",
            Self::TcpWithOthers => "TCP excludes DONT-FRAGMENT, EVEN-PORT and RESERVATION-TOKEN",
            Self::NotTcp => "the allocation is not for TCP",
            Self::NotUdp => "the allocation is not for UDP",
            Self::ConnectionExists => "the allocation has a connection with the peer already",
            Self::ConnectFailed(why) => return write!(f, "the connection to the peer failed: {why}"),
            Self::ConnectionsFull => "the allocation has too many connections",
            Self::NoConnection => "no connection with its id waits",
            Self::ControlStream => "the stream has an allocation",
        })
    }
}

impl ServerDropped {
    /// The code of [`ServerNote::Dropped`].
    const fn code(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "dropped-undecodable",
            Self::Fingerprint(_) => "dropped-fingerprint",
            Self::Unknown => "dropped-unknown-protocol",
            Self::NotARequest => "dropped-not-a-request",
            Self::Unaddressable => "dropped-source-address",
            Self::RateLimited => "dropped-rate-limit",
            Self::QueueFull => "dropped-queue-full",
            Self::Unwritable => "dropped-unwritable-response",
            Self::Pending => "dropped-pending",
            Self::NoAllocation => "dropped-no-allocation",
            Self::SendInvalid => "dropped-send-invalid",
            Self::OtherFamily => "dropped-peer-family",
            Self::NoPermission => "dropped-no-permission",
            Self::ChannelDataInvalid => "dropped-channel-data-invalid",
            Self::NoChannel => "dropped-no-channel",
            Self::Forbidden => "dropped-peer-denied",
            Self::Bandwidth => "dropped-bandwidth",
            Self::TooLong => "dropped-too-long",
            Self::Icmp => "dropped-icmp",
            Self::TcpAllocation => "dropped-tcp-allocation",
            Self::ConnectionsFull => "dropped-connections-full",
        }
    }

    const fn rfc(&self) -> Option<Clause> {
        Some(match self {
            Self::Undecodable(_) | Self::NotARequest => Clause::new(8489, "6.3"),
            Self::Fingerprint(_) => Clause::new(8489, "7"),
            Self::Unknown => Clause::new(8656, "12"),
            Self::NoAllocation | Self::Bandwidth => Clause::new(8656, "5"),
            Self::SendInvalid | Self::Forbidden => Clause::new(8656, "11.2"),
            Self::NoPermission | Self::OtherFamily => Clause::new(8656, "9"),
            Self::ChannelDataInvalid | Self::NoChannel => Clause::new(8656, "12.6"),
            Self::Icmp => Clause::new(8656, "11.5"),
            Self::TcpAllocation => Clause::new(6062, "3"),
            Self::ConnectionsFull => Clause::new(6062, "5.3"),
            Self::Pending => Clause::new(8656, "7.2"),
            Self::Unaddressable | Self::RateLimited | Self::QueueFull | Self::Unwritable | Self::TooLong => {
                return None;
            }
        })
    }
}

impl fmt::Display for ServerDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undecodable(error) | Self::Fingerprint(error) => return write!(f, "{error}"),
            Self::Unknown => "it is neither STUN nor ChannelData",
            Self::NotARequest => "it is neither a request nor a Send indication",
            Self::Unaddressable => "its source address cannot receive a reply",
            Self::RateLimited => "its source is above its rate",
            Self::QueueFull => "the output queue is full",
            Self::Unwritable => "the response could not be encoded",
            Self::Pending => "the relay sockets of the allocation are not open yet",
            Self::NoAllocation => "the client has no allocation",
            Self::SendInvalid => "the Send indication is invalid",
            Self::OtherFamily => "the allocation has no relayed address of the family of the peer",
            Self::NoPermission => "the allocation has no permission for the peer",
            Self::ChannelDataInvalid => "the ChannelData is invalid",
            Self::NoChannel => "the channel is not bound",
            Self::Forbidden => "the address and port of the peer are denied",
            Self::Bandwidth => "the allocation is above its bandwidth",
            Self::TooLong => "it is too long for a message to the client",
            Self::Icmp => "the ICMP error is not reported to the client",
            Self::TcpAllocation => "the allocation is for TCP, so its data has streams of its own",
            Self::ConnectionsFull => "the allocation has too many connections",
        })
    }
}

impl fmt::Display for ServerNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { client, method } => write!(f, "{method} request from {client} answered"),
            Self::Bound { client, code: None } => write!(f, "Binding request from {client} answered"),
            Self::Bound { client, code: Some(code) } => {
                write!(f, "Binding request from {client} answered with error {code}")
            }
            Self::Refused { client, method, why } => {
                write!(f, "{method} request from {client} refused with error {}: {why}", why.error_code())
            }
            Self::Rejected { client, why } => {
                write!(f, "request from {client} rejected with error {}: {why}", why.code())
            }
            Self::RelayRefused { local, why } => write!(f, "relay socket {local} refused: {why}"),
            Self::StreamsFull { closed, newcomer } if closed == newcomer => {
                write!(f, "stream from {newcomer} closed: the streams are at their limit")
            }
            Self::StreamsFull { closed, newcomer } => {
                write!(f, "stream from {closed} closed for one from {newcomer}: the streams are at their limit")
            }
            Self::StreamBroken { client, why } => write!(f, "stream from {client} closed: {why}"),
            Self::StreamIdle { client } => {
                write!(f, "stream from {client} closed: it has no allocation, and no message arrived for too long")
            }
            Self::StreamPaused { client, until } => {
                write!(f, "stream from {client} paused until {until}: its source is above its rate")
            }
            Self::BytesRelayed { from, to, length } => write!(f, "{length} bytes from {from} relayed to {to}"),
            Self::Dropped { from, why } => write!(f, "message from {from} dropped: {why}"),
        }
    }
}

impl Explain for ServerNote {
    fn code(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "request-answered",
            Self::Bound { .. } => "binding-answered",
            Self::Refused { why, .. } => why.code(),
            Self::Rejected { why, .. } => rejected(why.kind),
            Self::RelayRefused { .. } => "relay-socket-refused",
            Self::StreamsFull { .. } => "streams-full",
            Self::StreamBroken { .. } => "stream-broken",
            Self::StreamIdle { .. } => "stream-idle",
            Self::StreamPaused { .. } => "stream-paused",
            Self::BytesRelayed { .. } => "bytes-relayed",
            Self::Dropped { why, .. } => why.code(),
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Answered { method, .. } => Some(match *method {
                Method::ALLOCATE => Clause::new(8656, "7.2"),
                Method::REFRESH => Clause::new(8656, "8.2"),
                Method::CREATE_PERMISSION => Clause::new(8656, "10.2"),
                Method::CHANNEL_BIND => Clause::new(8656, "12.2"),
                _ => Clause::new(8489, "6.3.1.1"),
            }),
            Self::Bound { .. } => Some(Clause::new(8489, "6.3.1")),
            Self::Refused { why, .. } => Some(why.rfc()),
            Self::Rejected { why, .. } => Some(why.clause()),
            Self::RelayRefused { .. } => Some(Clause::new(8656, "7.2")),
            Self::StreamBroken { .. } => Some(Clause::new(8656, "12.5")),
            Self::StreamsFull { .. } | Self::StreamIdle { .. } => Some(Clause::new(8489, "6.2.2")),
            Self::StreamPaused { .. } => None,
            Self::BytesRelayed { .. } => Some(Clause::new(6062, "5.4")),
            Self::Dropped { why, .. } => why.rfc(),
        }
    }

    fn is_routine(&self) -> bool {
        match self {
            Self::Answered { .. } | Self::Bound { .. } | Self::BytesRelayed { .. } => true,
            // The first request of each client has no integrity (RFC 8489 §9.2.3).
            Self::Rejected { why, .. } => matches!(why.kind, RejectionKind::Unsigned),
            Self::Refused { .. } | Self::RelayRefused { .. } | Self::Dropped { .. } => false,
            Self::StreamsFull { .. } | Self::StreamBroken { .. } => false,
            Self::StreamIdle { .. } | Self::StreamPaused { .. } => false,
        }
    }
}

/// The code of [`ServerNote::Rejected`].
const fn rejected(why: RejectionKind) -> &'static str {
    match why {
        RejectionKind::Unsigned => "rejected-unsigned",
        RejectionKind::Nonce(_) => "rejected-nonce",
        RejectionKind::Incomplete => "rejected-incomplete",
        RejectionKind::Algorithms => "rejected-algorithms",
        RejectionKind::UnknownUser => "rejected-unknown-user",
        RejectionKind::Integrity(_) => "rejected-integrity",
        RejectionKind::Expired => "rejected-expired",
        RejectionKind::NotARequest | _ => "rejected",
    }
}

#[cfg(test)]
mod tests;
