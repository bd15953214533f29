//! The attribute registry: numbers, names and values.
//!
//! Rules of this file: one enum has a variant for every known attribute, and [`Attribute::Unknown`] for all others.
//! The registry below is the only table of numbers, names and RFC sections. `attribute/read.rs` decodes values, and
//! `attribute/write.rs` encodes them, both in the order of this enum.
//!
//! RFC 8489 §14, 8445 §16.1, 8656 §18, 6062 §6.2, 5780 §7, 8016 §3.3, 7635 §6, 7982 §3, 3489 §11.2 (decode only), and
//! three common attributes without an RFC.
//!
//! ```
//! use portolan_stun::{Attribute, AttributeType};
//!
//! let attribute = Attribute::Software("portolan".into());
//! assert_eq!(attribute.kind(), AttributeType::SOFTWARE);
//! assert_eq!(attribute.kind().to_string(), "SOFTWARE");
//! assert!(!attribute.kind().is_comprehension_required());
//! assert_eq!(AttributeType::new(0x7abc).to_string(), "attribute 0x7abc");
//! ```

use core::{fmt, net::SocketAddr};

use crate::RfcSection;

mod meaning;
mod read;
mod value;
mod write;

pub(crate) use read::{XorMask, decode};
pub use value::{
    AddressErrorCode, AddressFamily, ChangeRequest, ErrorCode, Icmp, NetworkCost, PasswordAlgorithm,
    PasswordAlgorithms, Text, UnknownAttributes,
};
pub(crate) use write::{Cursor, algorithm_len};

/// A decoded attribute. [`Message`](crate::Message) returns it, and [`Writer::add`](crate::Writer::add) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// The reflexive address without XOR, for RFC 3489 clients (RFC 8489 §14.1).
    MappedAddress(SocketAddr),
    /// The reflexive address (RFC 8489 §14.2).
    XorMappedAddress(SocketAddr),
    /// The user name, at most 508 bytes when sent and 763 when received (RFC 8489 §14.3).
    Username(Text<'a>),
    /// SHA-256 of user name and realm, see [`userhash`](crate::userhash) (RFC 8489 §14.4).
    Userhash(&'a [u8; 32]),
    /// HMAC-SHA1 of the preceding bytes; decode only, [`Writer`](crate::Writer) computes it (RFC 8489 §14.5).
    MessageIntegrity(&'a [u8; 20]),
    /// HMAC-SHA256 of the preceding bytes, 16 to 32 bytes; decode only (RFC 8489 §14.6).
    MessageIntegritySha256(&'a [u8]),
    /// CRC-32 of the preceding bytes, as on the wire; decode only (RFC 8489 §14.7).
    Fingerprint(u32),
    /// The reason why a request failed (RFC 8489 §14.8).
    ErrorCode(ErrorCode<'a>),
    /// The realm of long-term credentials (RFC 8489 §14.9).
    Realm(Text<'a>),
    /// The nonce of the server, which the client returns unchanged (RFC 8489 §14.10).
    Nonce(Text<'a>),
    /// The algorithms that a server offers for long-term keys (RFC 8489 §14.11).
    PasswordAlgorithms(PasswordAlgorithms<'a>),
    /// The algorithm that the client chose (RFC 8489 §14.12).
    PasswordAlgorithm(PasswordAlgorithm<'a>),
    /// The types that a server did not understand (RFC 8489 §14.13).
    UnknownAttributes(UnknownAttributes<'a>),
    /// Name and version of the sender's software (RFC 8489 §14.14).
    Software(Text<'a>),
    /// The server to use instead (RFC 8489 §14.15).
    AlternateServer(SocketAddr),
    /// The name in the certificate of the alternate server, at most 255 bytes (RFC 8489 §14.16).
    AlternateDomain(Text<'a>),
    /// The priority that a candidate discovered by this check would have (RFC 8445 §16.1).
    Priority(u32),
    /// The controlling agent nominates this pair (RFC 8445 §16.1).
    UseCandidate,
    /// The tie-breaker of a controlled agent (RFC 8445 §16.1).
    IceControlled(u64),
    /// The tie-breaker of a controlling agent (RFC 8445 §16.1).
    IceControlling(u64),
    /// The number of a channel, 0x4000 to 0x4fff if valid (RFC 8656 §18.1).
    ChannelNumber(u16),
    /// The lifetime of an allocation in seconds (RFC 8656 §18.2).
    Lifetime(u32),
    /// The address of a peer, as the relay receives it (RFC 8656 §18.3).
    XorPeerAddress(SocketAddr),
    /// Application data that is relayed (RFC 8656 §18.4).
    Data(&'a [u8]),
    /// The address on the relay (RFC 8656 §18.5).
    XorRelayedAddress(SocketAddr),
    /// The requested family of the relayed address (RFC 8656 §18.6).
    RequestedAddressFamily(AddressFamily),
    /// Requests an even port; `true` also requests the reservation of the next port (RFC 8656 §18.7).
    EvenPort(bool),
    /// The protocol between relay and peers, an IP protocol number: 17 is UDP, 6 TCP (RFC 8656 §18.8).
    RequestedTransport(u8),
    /// Requests that packets from the relay have the DF bit (RFC 8656 §18.9).
    DontFragment,
    /// The token of a reserved port (RFC 8656 §18.10).
    ReservationToken([u8; 8]),
    /// Requests a relayed address of a second family (RFC 8656 §18.11).
    AdditionalAddressFamily(AddressFamily),
    /// The reason why there is no relayed address of one family (RFC 8656 §18.12).
    AddressErrorCode(AddressErrorCode<'a>),
    /// An ICMP error on the path between relay and peer (RFC 8656 §18.13).
    Icmp(Icmp),
    /// The id of a peer's TCP connection at the relay (RFC 6062 §6.2.1).
    ConnectionId(u32),
    /// The requested source address and port of the response (RFC 5780 §7.2).
    ChangeRequest(ChangeRequest),
    /// Bytes without meaning, which increase the size of a message (RFC 5780 §7.6).
    Padding(&'a [u8]),
    /// The requested destination port of the response (RFC 5780 §7.5).
    ResponsePort(u16),
    /// The time in seconds for which a server caches responses (RFC 5780 §9.1).
    CacheTimeout(u32),
    /// The source address of the response (RFC 5780 §7.3).
    ResponseOrigin(SocketAddr),
    /// The server's other address and port (RFC 5780 §7.4).
    OtherAddress(SocketAddr),
    /// The ticket by which a client keeps its allocation after an address change (RFC 8016 §3.3).
    MobilityTicket(&'a [u8]),
    /// An OAuth token, which this crate does not decode (RFC 7635 §6.2).
    AccessToken(&'a [u8]),
    /// The name of the server that issues tokens (RFC 7635 §6.1).
    ThirdPartyAuthorization(Text<'a>),
    /// The numbers of transmissions of the request and of the response (RFC 7982 §3.1).
    TransactionTransmitCounter {
        /// The number of transmissions of the request, the first included.
        req: u8,
        /// The number of transmissions of the response.
        resp: u8,
    },
    /// RFC 3489 §11.2.2: the destination address of the response. Decode only.
    ResponseAddress(SocketAddr),
    /// RFC 3489 §11.2.5: the source address of the response. Decode only.
    SourceAddress(SocketAddr),
    /// RFC 3489 §11.2.3: the server's other address. Decode only.
    ChangedAddress(SocketAddr),
    /// RFC 3489 §11.2.11: the source address of the request. Decode only.
    ReflectedFrom(SocketAddr),
    /// XOR-MAPPED-ADDRESS with its number from the drafts, 0x8020.
    XorMappedAddressDraft(SocketAddr),
    /// The network interface of a check and its cost, 0xc057.
    NetworkCost(NetworkCost),
    /// The number of renominations of the pair, 0xc001.
    Nomination(u32),
    /// An attribute that this crate does not know.
    Unknown {
        /// Its number.
        kind: AttributeType,
        /// Its value, without padding.
        value: &'a [u8],
    },
}

/// The type number of an attribute (RFC 8489 §18.3). `Display` prints its name in the registry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(u16);

impl AttributeType {
    /// The comprehension-required types of RFC 8489 §18.3. A Binding server processes or ignores these types. It
    /// refuses every other comprehension-required type that it does not implement; see [`Message::not_understood`].
    ///
    /// [`Message::not_understood`]: crate::Message::not_understood
    pub const BASE: &'static [Self] = &[
        Self::MAPPED_ADDRESS,
        Self::USERNAME,
        Self::MESSAGE_INTEGRITY,
        Self::ERROR_CODE,
        Self::UNKNOWN_ATTRIBUTES,
        Self::REALM,
        Self::NONCE,
        Self::MESSAGE_INTEGRITY_SHA256,
        Self::PASSWORD_ALGORITHM,
        Self::USERHASH,
        Self::XOR_MAPPED_ADDRESS,
    ];

    /// An attribute type by its number. Every number is valid.
    #[must_use]
    #[inline]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number on the wire.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether the type is comprehension-required, that is, below 0x8000. A receiver cannot process a message with
    /// such an attribute if it does not know the type (RFC 8489 §14).
    #[must_use]
    #[inline]
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }

    /// Whether this crate decodes the type to a variant other than [`Attribute::Unknown`].
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.name().is_some()
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "attribute {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributeType({self})")
    }
}

/// The registry: constant, number, variant, name in the RFC, RFC section.
macro_rules! registry {
    ($($constant:ident $number:literal $pattern:pat, $name:literal $(, $rfc:literal $section:literal)?;)+) => {
        impl AttributeType {
            $(
                #[doc = concat!("`", stringify!($number), "` ", $name $(, " (RFC ", stringify!($rfc), " §", $section, ")")?, ".")]
                pub const $constant: Self = Self($number);
            )+

            /// Every known attribute type, in the order of the registry.
            pub const KNOWN: &'static [Self] = &[$(Self::$constant),+];

            /// The name in the registry; `None` for an unknown type.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)+
                    _ => None,
                }
            }

            /// The RFC section that defines the value; `None` if no RFC defines it.
            #[must_use]
            pub const fn clause(self) -> Option<RfcSection> {
                match self.0 {
                    $($($number => Some(RfcSection::new($rfc, $section)),)?)+
                    _ => None,
                }
            }
        }

        impl Attribute<'_> {
            /// The type of this attribute.
            #[must_use]
            pub const fn kind(&self) -> AttributeType {
                match self {
                    $($pattern => AttributeType::$constant,)+
                    Self::Unknown { kind, .. } => *kind,
                }
            }
        }
    };
}

registry! {
    MAPPED_ADDRESS 0x0001 Self::MappedAddress(_), "MAPPED-ADDRESS", 8489 "14.1";
    RESPONSE_ADDRESS 0x0002 Self::ResponseAddress(_), "RESPONSE-ADDRESS", 3489 "11.2.2";
    CHANGE_REQUEST 0x0003 Self::ChangeRequest(_), "CHANGE-REQUEST", 5780 "7.2";
    SOURCE_ADDRESS 0x0004 Self::SourceAddress(_), "SOURCE-ADDRESS", 3489 "11.2.5";
    CHANGED_ADDRESS 0x0005 Self::ChangedAddress(_), "CHANGED-ADDRESS", 3489 "11.2.3";
    USERNAME 0x0006 Self::Username(_), "USERNAME", 8489 "14.3";
    MESSAGE_INTEGRITY 0x0008 Self::MessageIntegrity(_), "MESSAGE-INTEGRITY", 8489 "14.5";
    ERROR_CODE 0x0009 Self::ErrorCode(_), "ERROR-CODE", 8489 "14.8";
    UNKNOWN_ATTRIBUTES 0x000a Self::UnknownAttributes(_), "UNKNOWN-ATTRIBUTES", 8489 "14.13";
    REFLECTED_FROM 0x000b Self::ReflectedFrom(_), "REFLECTED-FROM", 3489 "11.2.11";
    CHANNEL_NUMBER 0x000c Self::ChannelNumber(_), "CHANNEL-NUMBER", 8656 "18.1";
    LIFETIME 0x000d Self::Lifetime(_), "LIFETIME", 8656 "18.2";
    XOR_PEER_ADDRESS 0x0012 Self::XorPeerAddress(_), "XOR-PEER-ADDRESS", 8656 "18.3";
    DATA 0x0013 Self::Data(_), "DATA", 8656 "18.4";
    REALM 0x0014 Self::Realm(_), "REALM", 8489 "14.9";
    NONCE 0x0015 Self::Nonce(_), "NONCE", 8489 "14.10";
    XOR_RELAYED_ADDRESS 0x0016 Self::XorRelayedAddress(_), "XOR-RELAYED-ADDRESS", 8656 "18.5";
    REQUESTED_ADDRESS_FAMILY 0x0017 Self::RequestedAddressFamily(_), "REQUESTED-ADDRESS-FAMILY", 8656 "18.6";
    EVEN_PORT 0x0018 Self::EvenPort(_), "EVEN-PORT", 8656 "18.7";
    REQUESTED_TRANSPORT 0x0019 Self::RequestedTransport(_), "REQUESTED-TRANSPORT", 8656 "18.8";
    DONT_FRAGMENT 0x001a Self::DontFragment, "DONT-FRAGMENT", 8656 "18.9";
    ACCESS_TOKEN 0x001b Self::AccessToken(_), "ACCESS-TOKEN", 7635 "6.2";
    MESSAGE_INTEGRITY_SHA256 0x001c Self::MessageIntegritySha256(_), "MESSAGE-INTEGRITY-SHA256", 8489 "14.6";
    PASSWORD_ALGORITHM 0x001d Self::PasswordAlgorithm(_), "PASSWORD-ALGORITHM", 8489 "14.12";
    USERHASH 0x001e Self::Userhash(_), "USERHASH", 8489 "14.4";
    XOR_MAPPED_ADDRESS 0x0020 Self::XorMappedAddress(_), "XOR-MAPPED-ADDRESS", 8489 "14.2";
    RESERVATION_TOKEN 0x0022 Self::ReservationToken(_), "RESERVATION-TOKEN", 8656 "18.10";
    PRIORITY 0x0024 Self::Priority(_), "PRIORITY", 8445 "16.1";
    USE_CANDIDATE 0x0025 Self::UseCandidate, "USE-CANDIDATE", 8445 "16.1";
    PADDING 0x0026 Self::Padding(_), "PADDING", 5780 "7.6";
    RESPONSE_PORT 0x0027 Self::ResponsePort(_), "RESPONSE-PORT", 5780 "7.5";
    CONNECTION_ID 0x002a Self::ConnectionId(_), "CONNECTION-ID", 6062 "6.2.1";
    ADDITIONAL_ADDRESS_FAMILY 0x8000 Self::AdditionalAddressFamily(_), "ADDITIONAL-ADDRESS-FAMILY", 8656 "18.11";
    ADDRESS_ERROR_CODE 0x8001 Self::AddressErrorCode(_), "ADDRESS-ERROR-CODE", 8656 "18.12";
    PASSWORD_ALGORITHMS 0x8002 Self::PasswordAlgorithms(_), "PASSWORD-ALGORITHMS", 8489 "14.11";
    ALTERNATE_DOMAIN 0x8003 Self::AlternateDomain(_), "ALTERNATE-DOMAIN", 8489 "14.16";
    ICMP 0x8004 Self::Icmp(_), "ICMP", 8656 "18.13";
    XOR_MAPPED_ADDRESS_DRAFT 0x8020 Self::XorMappedAddressDraft(_), "XOR-MAPPED-ADDRESS (0x8020)";
    SOFTWARE 0x8022 Self::Software(_), "SOFTWARE", 8489 "14.14";
    ALTERNATE_SERVER 0x8023 Self::AlternateServer(_), "ALTERNATE-SERVER", 8489 "14.15";
    TRANSACTION_TRANSMIT_COUNTER 0x8025 Self::TransactionTransmitCounter { .. }, "TRANSACTION_TRANSMIT_COUNTER", 7982 "3.1";
    CACHE_TIMEOUT 0x8027 Self::CacheTimeout(_), "CACHE-TIMEOUT", 5780 "9.1";
    FINGERPRINT 0x8028 Self::Fingerprint(_), "FINGERPRINT", 8489 "14.7";
    ICE_CONTROLLED 0x8029 Self::IceControlled(_), "ICE-CONTROLLED", 8445 "16.1";
    ICE_CONTROLLING 0x802a Self::IceControlling(_), "ICE-CONTROLLING", 8445 "16.1";
    RESPONSE_ORIGIN 0x802b Self::ResponseOrigin(_), "RESPONSE-ORIGIN", 5780 "7.3";
    OTHER_ADDRESS 0x802c Self::OtherAddress(_), "OTHER-ADDRESS", 5780 "7.4";
    THIRD_PARTY_AUTHORIZATION 0x802e Self::ThirdPartyAuthorization(_), "THIRD-PARTY-AUTHORIZATION", 7635 "6.1";
    MOBILITY_TICKET 0x8030 Self::MobilityTicket(_), "MOBILITY-TICKET", 8016 "3.3";
    NOMINATION 0xc001 Self::Nomination(_), "NOMINATION";
    NETWORK_COST 0xc057 Self::NetworkCost(_), "NETWORK-COST";
}
