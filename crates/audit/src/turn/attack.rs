//! The attacks of an audit, and their possible outcomes.
//!
//! Rules of this file: enums and their texts only.
//!
//! ```
//! use portolan_audit::turn::{Basis, TurnAttack};
//!
//! assert_eq!(TurnAttack::ChannelRange.name(), "channel-range");
//! assert_eq!(TurnAttack::ChannelRange.basis().to_string(), "RFC 8656 §12.2");
//! assert_eq!(TurnAttack::LoopbackPeer.basis(), Basis::Weakness("access to internal addresses"));
//! ```

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::Clause;
use portolan_stun::Method;

/// The reason why an attack is one: a rule of an RFC, or a kind of weakness that no RFC excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The rule that the server violates if it does not hold.
    Rfc(Clause),
    /// The kind of weakness.
    Weakness(&'static str),
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rfc(clause) => clause.fmt(f),
            Self::Weakness(kind) => f.write_str(kind),
        }
    }
}

/// Declares the attacks with their names, bases and texts.
macro_rules! attacks {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, $basis:expr, $meaning:literal;)*) => {
        /// One attack on a TURN server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum TurnAttack {
            $($(#[$doc])* $variant,)*
        }

        impl TurnAttack {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in reports, lower case with hyphens.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The rule or the kind of weakness behind the attack.
            #[must_use]
            pub const fn basis(self) -> Basis {
                match self { $(Self::$variant => $basis,)* }
            }

            /// The behaviour of a server that holds, as text.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

const fn rfc(number: u16, section: &'static str) -> Basis {
    Basis::Rfc(Clause::new(number, section))
}

const INTERNAL: Basis = Basis::Weakness("access to internal addresses");
const REFLECTION: Basis = Basis::Weakness("reflection and amplification");
const EXHAUSTION: Basis = Basis::Weakness("exhaustion of resources");

attacks! {
    /// A request without credentials.
    NoCredentials: "no-credentials", rfc(8656, "7.2"), "an Allocate request without credentials is refused";
    /// A request with a wrong password.
    WrongPassword: "wrong-password", rfc(8489, "9.2.4"), "a wrong password is refused";
    /// State that is made before the authentication.
    UnauthenticatedState: "unauthenticated-state", EXHAUSTION, "a request without credentials leaves no allocation";
    /// A challenge of many times the length of the request.
    ChallengeAmplification: "challenge-amplification", REFLECTION, "the 401 is one short response";
    /// A Binding response of many times the length of the request.
    BindingAmplification: "binding-amplification", REFLECTION, "the Binding response is one short response";
    /// The nonce of another client.
    ForeignNonce: "foreign-nonce", rfc(8489, "9.2.4"), "the nonce of another client is refused";
    /// A changed challenge, which hides the algorithms of the server.
    BidDown: "bid-down", rfc(8489, "9.2.4"), "a changed list of password algorithms or security features is refused";
    /// Requests of another user for an allocation.
    OtherUser: "other-user", rfc(8656, "5"), "another user cannot use or end the allocation";
    /// Attributes after the integrity.
    AfterIntegrity: "after-integrity", rfc(8489, "14.5"), "an attribute after MESSAGE-INTEGRITY has no effect";
    /// An attribute that is present twice.
    DuplicateAttribute: "duplicate-attribute", rfc(8489, "14"), "the first of two equal attributes decides";
    /// Data to a peer without a permission.
    SendWithoutPermission: "send-without-permission", rfc(8656, "11.2"),
        "a Send indication without a permission is dropped";
    /// Data of a peer without a permission.
    DataWithoutPermission: "data-without-permission", rfc(8656, "11.3"),
        "data of a peer without a permission is dropped";
    /// A listener of the server as the peer.
    OwnListener: "own-listener", INTERNAL, "the server does not relay to its own listener";
    /// Channel numbers outside of the range.
    ChannelRange: "channel-range", rfc(8656, "12.2"), "a channel number outside of 0x4000-0x4fff is refused";
    /// A channel number or a peer that is bound already.
    ChannelRebinding: "channel-rebinding", rfc(8656, "12.2"), "a bound channel number or peer is not bound otherwise";
    /// ChannelData whose length is greater than the datagram.
    ChannelDataLength: "channel-data-length", rfc(8656, "12.6"), "ChannelData longer than its datagram is dropped";
    /// Loopback addresses as peers.
    LoopbackPeer: "loopback-peer", INTERNAL, "loopback addresses are denied";
    /// Unspecified addresses as peers.
    UnspecifiedPeer: "unspecified-peer", INTERNAL, "unspecified addresses are denied";
    /// Private addresses as peers.
    PrivatePeer: "private-peer", INTERNAL, "private and unique local addresses are denied";
    /// Addresses of carrier-grade NATs as peers.
    SharedPeer: "shared-peer", INTERNAL, "addresses of carrier-grade NATs are denied";
    /// Link-local addresses as peers.
    LinkLocalPeer: "link-local-peer", INTERNAL, "link-local addresses are denied";
    /// The metadata service of clouds as the peer.
    MetadataPeer: "metadata-peer", INTERNAL, "the address of cloud metadata services is denied";
    /// Multicast addresses as peers.
    MulticastPeer: "multicast-peer", REFLECTION, "multicast addresses are denied";
    /// The broadcast address as the peer.
    BroadcastPeer: "broadcast-peer", REFLECTION, "the broadcast address is denied";
    /// IPv4-mapped IPv6 addresses as peers.
    MappedPeer: "mapped-peer", INTERNAL, "denied addresses are denied as IPv4-mapped addresses";
    /// IPv4-compatible IPv6 addresses as peers.
    CompatiblePeer: "compatible-peer", INTERNAL, "denied addresses are denied as IPv4-compatible addresses";
    /// 6to4 addresses as peers.
    SixToFourPeer: "6to4-peer", INTERNAL, "denied addresses are denied inside 6to4 addresses";
    /// NAT64 addresses as peers.
    Nat64Peer: "nat64-peer", INTERNAL, "denied addresses are denied inside NAT64 addresses";
    /// Teredo addresses as peers.
    TeredoPeer: "teredo-peer", INTERNAL, "denied addresses are denied inside Teredo addresses";
    /// ISATAP addresses as peers.
    IsatapPeer: "isatap-peer", INTERNAL, "denied addresses are denied inside ISATAP addresses";
    /// A Send indication to a loopback address.
    LoopbackSend: "loopback-send", INTERNAL, "a Send indication to a loopback address is dropped";
    /// A Connect request to a denied peer.
    ConnectPeer: "connect-peer", INTERNAL, "a Connect request to a denied address is refused";
    /// Responses and indications that the server gets.
    ResponseReflection: "response-reflection", REFLECTION, "responses and indications are not answered";
    /// Padding bytes with contents.
    Padding: "padding", Basis::Weakness("disclosure of memory"), "the padding of each response is zero";
    /// A permission that is used after its lifetime.
    PermissionExpiry: "permission-expiry", rfc(8656, "9"), "an expired permission relays nothing";
    /// A channel that is used after its lifetime.
    ChannelExpiry: "channel-expiry", rfc(8656, "12"), "an expired channel relays nothing";
    /// More replies than one source needs.
    UnlimitedReplies: "unlimited-replies", REFLECTION, "replies without credentials are limited for each source";
    /// More permissions than one allocation needs.
    PermissionFlood: "permission-flood", EXHAUSTION, "the permissions of an allocation are limited";
}

impl TurnAttack {
    /// All attacks, in the order of reports.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied()
    }
}

impl fmt::Display for TurnAttack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The outcome of one attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnOutcome {
    /// The server holds.
    Held,
    /// The attack is successful.
    NotHeld(Breach),
    /// The attack was not tested.
    NotTestable(Obstacle),
}

impl TurnOutcome {
    /// The name in reports, lower case with hyphens.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotHeld(_) => "not-held",
            Self::NotTestable(_) => "not-testable",
        }
    }
}

impl fmt::Display for TurnOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("held"),
            Self::NotHeld(breach) => breach.fmt(f),
            Self::NotTestable(obstacle) => write!(f, "not testable: {obstacle}"),
        }
    }
}

/// The evidence of a successful attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breach {
    /// The request was successful.
    Success(Method),
    /// The request for this peer was successful.
    Peer(Method, SocketAddr),
    /// The channel number was accepted.
    Channel(u16),
    /// The server tried to connect to this peer.
    Connected(SocketAddr),
    /// The error response shows that the server processed the request.
    Code(Method, u16),
    /// The allocation was ended.
    Ended,
    /// The data arrived.
    Relayed,
    /// The server answered with a datagram of this length.
    Answered(usize),
    /// The responses to one request, in tenths of its length.
    Amplified(u32),
    /// A padding byte of a response is this value.
    Padding(u8),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success(method) => write!(f, "{method} was successful"),
            Self::Peer(method, peer) => write!(f, "{method} for {peer} was successful"),
            Self::Channel(number) => write!(f, "channel {number:#06x} was bound"),
            Self::Connected(peer) => write!(f, "the server connected, or tried to connect, to {peer}"),
            Self::Code(method, code) => write!(f, "{method} was processed, and answered with error {code}"),
            Self::Ended => f.write_str("the allocation was ended"),
            Self::Relayed => f.write_str("the data was relayed"),
            Self::Answered(length) => write!(f, "the server answered with {length} bytes"),
            Self::Amplified(tenths) => write!(f, "the response has {}.{} times the length", tenths / 10, tenths % 10),
            Self::Padding(byte) => write!(f, "a padding byte is {byte:#04x}"),
        }
    }
}

/// The reason why an attack was not tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// No response arrived.
    Silent,
    /// The request was refused for another reason.
    Code(Method, u16),
    /// The server has no IPv6 relay address.
    NoIpv6,
    /// No second user was given.
    NoOtherUser,
    /// The test would take this number of seconds.
    Seconds(u32),
    /// The test would be a flood.
    Flood,
    /// The data of the control did not arrive either.
    NoControl,
    /// The peer is the server's own relay address, which must be permitted.
    OwnRelay,
    /// The server requires no credentials, or its challenge lacks the feature.
    NotOffered,
    /// The server accepts no connection, or gives no TCP allocation.
    NoTcpAllocation,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("no response arrived"),
            Self::Code(method, code) => write!(f, "{method} was answered with error {code}"),
            Self::NoIpv6 => f.write_str("the server gives no IPv6 relayed address"),
            Self::NoOtherUser => f.write_str("a second user is needed"),
            Self::Seconds(seconds) => write!(f, "the test would take {seconds} s"),
            Self::Flood => f.write_str("the test would be a flood"),
            Self::NoControl => f.write_str("permitted data does not arrive either"),
            Self::OwnRelay => f.write_str("the address is a relay address of the server"),
            Self::NotOffered => f.write_str("the server offers no such feature"),
            Self::NoTcpAllocation => f.write_str("the server gives no TCP allocation"),
        }
    }
}
