//! STUN attributes that own their values.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_stun::{
    AddressFamily, Attribute, AttributeType, ChangeRequest, EncodeError, ErrorCode, Icmp, NetworkCost,
    PasswordAlgorithm, Text, Writer,
};
use proptest::prelude::*;
use proptest::sample::select;

/// An attribute that owns its value. It covers the attributes that this crate generates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnedAttribute {
    /// An attribute whose value borrows nothing.
    Plain(Attribute<'static>),
    /// A text: USERNAME, REALM, NONCE, SOFTWARE, ALTERNATE-DOMAIN, THIRD-PARTY-AUTHORIZATION.
    Text(AttributeType, String),
    /// Bytes: DATA, PADDING, MOBILITY-TICKET, ACCESS-TOKEN, or an unknown type.
    Bytes(AttributeType, Vec<u8>),
    /// USERHASH.
    Userhash([u8; 32]),
    /// ERROR-CODE.
    Error(u16, String),
    /// UNKNOWN-ATTRIBUTES.
    UnknownAttributes(Vec<AttributeType>),
    /// PASSWORD-ALGORITHMS, by their numbers.
    PasswordAlgorithms(Vec<u16>),
}

impl OwnedAttribute {
    /// Appends the attribute to a message.
    ///
    /// # Errors
    /// The [`EncodeError`] of the writer, for example for a text that is too long.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Plain(attribute) => writer.add(attribute),
            Self::Text(kind, text) => writer.add(&text_attribute(*kind, Text::new(text))),
            Self::Bytes(kind, value) => writer.add(&bytes_attribute(*kind, value)),
            Self::Userhash(hash) => writer.add(&Attribute::Userhash(hash)),
            Self::Error(code, reason) => match ErrorCode::new(*code, Text::new(reason)) {
                Some(error) => writer.add(&Attribute::ErrorCode(error)),
                None => Ok(()),
            },
            Self::UnknownAttributes(types) => writer.add_unknown_attributes(types.iter().copied()),
            Self::PasswordAlgorithms(numbers) => {
                let algorithm = |number: &u16| PasswordAlgorithm { number: *number, parameters: &[] };
                let algorithms: Vec<_> = numbers.iter().map(algorithm).collect();
                writer.add_password_algorithms(&algorithms)
            }
        }
    }

    /// An upper bound on the size of the attribute in a message, in bytes, with header and padding.
    #[must_use]
    pub const fn max_size(&self) -> usize {
        let value = match self {
            Self::Plain(_) | Self::Userhash(_) => 48,
            Self::Text(_, text) | Self::Error(_, text) => text.len() + 4,
            Self::Bytes(_, bytes) => bytes.len(),
            Self::UnknownAttributes(types) => 2 * types.len(),
            Self::PasswordAlgorithms(numbers) => 4 * numbers.len(),
        };
        value + 8
    }
}

fn text_attribute(kind: AttributeType, text: Text<'_>) -> Attribute<'_> {
    match kind {
        AttributeType::USERNAME => Attribute::Username(text),
        AttributeType::REALM => Attribute::Realm(text),
        AttributeType::NONCE => Attribute::Nonce(text),
        AttributeType::ALTERNATE_DOMAIN => Attribute::AlternateDomain(text),
        AttributeType::THIRD_PARTY_AUTHORIZATION => Attribute::ThirdPartyAuthorization(text),
        _ => Attribute::Software(text),
    }
}

const fn bytes_attribute(kind: AttributeType, value: &[u8]) -> Attribute<'_> {
    match kind {
        AttributeType::DATA => Attribute::Data(value),
        AttributeType::PADDING => Attribute::Padding(value),
        AttributeType::MOBILITY_TICKET => Attribute::MobilityTicket(value),
        AttributeType::ACCESS_TOKEN => Attribute::AccessToken(value),
        kind => Attribute::Unknown { kind, value },
    }
}

/// An attribute of any kind that the writer can write.
pub fn attribute() -> BoxedStrategy<OwnedAttribute> {
    prop_oneof![3 => addresses(), 2 => behavior_attribute(), 2 => plain(), 2 => texts(), 2 => bytes(), 1 => lists()]
        .boxed()
}

/// An attribute that belongs in Binding messages of RFC 8489 and RFC 5780.
pub fn behavior_attribute() -> BoxedStrategy<OwnedAttribute> {
    let change = (any::<bool>(), any::<bool>()).prop_map(|(ip, port)| ChangeRequest { ip, port });
    let software = "[ -~]{0,40}".prop_map(|text| OwnedAttribute::Text(AttributeType::SOFTWARE, text));
    let padding = prop::collection::vec(Just(0_u8), 0..600);
    prop_oneof![
        4 => addresses(),
        3 => change.prop_map(|change| OwnedAttribute::Plain(Attribute::ChangeRequest(change))),
        1 => any::<u16>().prop_map(|port| OwnedAttribute::Plain(Attribute::ResponsePort(port))),
        1 => padding.prop_map(|bytes| OwnedAttribute::Bytes(AttributeType::PADDING, bytes)),
        1 => software,
        1 => error(),
        1 => unknown(),
    ]
    .boxed()
}

/// An address and port of either family: documentation addresses, special addresses and random addresses.
pub fn address() -> BoxedStrategy<SocketAddr> {
    let special = vec![
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::BROADCAST),
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()),
    ];
    let ip = prop_oneof![
        4 => (1..=254_u8).prop_map(|host| IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))),
        2 => any::<u16>().prop_map(|host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host))),
        1 => select(special),
        1 => any::<[u8; 4]>().prop_map(IpAddr::from),
        1 => any::<[u8; 16]>().prop_map(IpAddr::from),
    ];
    (ip, any::<u16>()).prop_map(SocketAddr::from).boxed()
}

fn addresses() -> BoxedStrategy<OwnedAttribute> {
    let kinds: Vec<fn(SocketAddr) -> Attribute<'static>> = vec![
        Attribute::XorMappedAddress,
        Attribute::MappedAddress,
        Attribute::OtherAddress,
        Attribute::ResponseOrigin,
        Attribute::AlternateServer,
        Attribute::XorPeerAddress,
        Attribute::XorRelayedAddress,
    ];
    (select(kinds), address()).prop_map(|(kind, address)| OwnedAttribute::Plain(kind(address))).boxed()
}

fn plain() -> BoxedStrategy<OwnedAttribute> {
    let family = select(vec![AddressFamily::Ipv4, AddressFamily::Ipv6]);
    let icmp = (0..0x80_u8, 0..0x200_u16, any::<u32>()).prop_map(|(kind, code, data)| Icmp { kind, code, data });
    let cost = (any::<u16>(), 0..=999_u16).prop_map(|(network, cost)| NetworkCost { network, cost });
    let value = prop_oneof![
        any::<u32>().prop_map(Attribute::Priority),
        Just(Attribute::UseCandidate),
        any::<u64>().prop_map(Attribute::IceControlled),
        any::<u64>().prop_map(Attribute::IceControlling),
        any::<u32>().prop_map(Attribute::Lifetime),
        any::<u16>().prop_map(Attribute::ChannelNumber),
        family.prop_map(Attribute::RequestedAddressFamily),
        any::<bool>().prop_map(Attribute::EvenPort),
        any::<u8>().prop_map(Attribute::RequestedTransport),
        any::<[u8; 8]>().prop_map(Attribute::ReservationToken),
        any::<u32>().prop_map(Attribute::ConnectionId),
        any::<u32>().prop_map(Attribute::CacheTimeout),
        icmp.prop_map(Attribute::Icmp),
        cost.prop_map(Attribute::NetworkCost),
        (any::<u8>(), any::<u8>()).prop_map(|(req, resp)| Attribute::TransactionTransmitCounter { req, resp }),
    ];
    value.prop_map(OwnedAttribute::Plain).boxed()
}

fn texts() -> BoxedStrategy<OwnedAttribute> {
    let kinds = vec![
        AttributeType::USERNAME,
        AttributeType::REALM,
        AttributeType::NONCE,
        AttributeType::SOFTWARE,
        AttributeType::ALTERNATE_DOMAIN,
    ];
    let text = prop_oneof![3 => "[ -~]{0,30}", 1 => ".{0,60}"];
    (select(kinds), text).prop_map(|(kind, text)| OwnedAttribute::Text(kind, text)).boxed()
}

fn bytes() -> BoxedStrategy<OwnedAttribute> {
    let kinds = vec![AttributeType::DATA, AttributeType::MOBILITY_TICKET, AttributeType::ACCESS_TOKEN];
    let known = (select(kinds), prop::collection::vec(any::<u8>(), 0..40));
    prop_oneof![
        known.prop_map(|(kind, value)| OwnedAttribute::Bytes(kind, value)),
        unknown(),
        any::<[u8; 32]>().prop_map(OwnedAttribute::Userhash),
    ]
    .boxed()
}

/// An attribute of an unknown type, comprehension-required or comprehension-optional.
fn unknown() -> BoxedStrategy<OwnedAttribute> {
    let kind = any::<u16>().prop_map(AttributeType::new).prop_filter("without a name", |kind| !kind.is_known());
    (kind, prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(kind, value)| OwnedAttribute::Bytes(kind, value))
        .boxed()
}

fn error() -> BoxedStrategy<OwnedAttribute> {
    (300..700_u16, "[ -~]{0,30}").prop_map(|(code, reason)| OwnedAttribute::Error(code, reason)).boxed()
}

fn lists() -> BoxedStrategy<OwnedAttribute> {
    let types = prop::collection::vec(any::<u16>().prop_map(AttributeType::new), 0..5);
    prop_oneof![
        error(),
        types.prop_map(OwnedAttribute::UnknownAttributes),
        prop::collection::vec(any::<u16>(), 0..4).prop_map(OwnedAttribute::PasswordAlgorithms),
    ]
    .boxed()
}
