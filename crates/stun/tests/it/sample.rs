//! Generates values of every attribute that the writer accepts.

use core::net::SocketAddr;

use portolan_stun::{
    AddressErrorCode, AddressFamily, Attribute, AttributeType, ChangeRequest, ErrorCode, Icmp, NetworkCost,
    PasswordAlgorithm, Text,
};
use proptest::prelude::*;

/// The values from which any one attribute is built.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    kind: AttributeType,
    address: SocketAddr,
    text: String,
    bytes: Vec<u8>,
    hash: [u8; 32],
    number: u64,
    code: u16,
    flags: (bool, bool),
}

/// Generates a sample of a known type or of an unassigned type.
pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    let kind = prop_oneof![
        8 => proptest::sample::select(writable()),
        1 => any::<u16>().prop_map(AttributeType::new).prop_filter("unknown", |kind| !kind.is_known()),
    ];
    let address = prop_oneof![
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| SocketAddr::from((ip, port))),
        any::<([u8; 16], u16)>().prop_map(|(ip, port)| SocketAddr::from((ip, port))),
    ];
    let bytes = proptest::collection::vec(any::<u8>(), 0..40);
    (kind, address, "\\PC{0,60}", bytes, any::<[u8; 32]>(), any::<u64>(), 300..700_u16, any::<(bool, bool)>()).prop_map(
        |(kind, address, text, bytes, hash, number, code, flags)| Sample {
            kind,
            address,
            text,
            bytes,
            hash,
            number,
            code,
            flags,
        },
    )
}

/// Returns the known types that the writer accepts.
fn writable() -> Vec<AttributeType> {
    use AttributeType as T;
    let lists = [T::UNKNOWN_ATTRIBUTES, T::PASSWORD_ALGORITHMS];
    let obsolete = [T::RESPONSE_ADDRESS, T::SOURCE_ADDRESS, T::CHANGED_ADDRESS, T::REFLECTED_FROM];
    let computed = [T::MESSAGE_INTEGRITY, T::MESSAGE_INTEGRITY_SHA256, T::FINGERPRINT];
    let excluded: Vec<T> = lists.into_iter().chain(obsolete).chain(computed).collect();
    T::KNOWN.iter().copied().filter(|kind| !excluded.contains(kind)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "any part of the number is a valid sample")]
impl Sample {
    /// Returns the attribute of this sample.
    pub(crate) fn attribute(&self) -> Attribute<'_> {
        use AttributeType as T;
        let (text, number) = (Text::new(&self.text), self.number);
        let family = if self.flags.0 { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
        let error = ErrorCode::new(self.code, text).unwrap();
        match self.kind {
            T::MAPPED_ADDRESS => Attribute::MappedAddress(self.address),
            T::XOR_MAPPED_ADDRESS => Attribute::XorMappedAddress(self.address),
            T::XOR_MAPPED_ADDRESS_DRAFT => Attribute::XorMappedAddressDraft(self.address),
            T::XOR_PEER_ADDRESS => Attribute::XorPeerAddress(self.address),
            T::XOR_RELAYED_ADDRESS => Attribute::XorRelayedAddress(self.address),
            T::ALTERNATE_SERVER => Attribute::AlternateServer(self.address),
            T::RESPONSE_ORIGIN => Attribute::ResponseOrigin(self.address),
            T::OTHER_ADDRESS => Attribute::OtherAddress(self.address),
            T::USERNAME => Attribute::Username(text),
            T::REALM => Attribute::Realm(text),
            T::NONCE => Attribute::Nonce(text),
            T::SOFTWARE => Attribute::Software(text),
            T::ALTERNATE_DOMAIN => Attribute::AlternateDomain(text),
            T::THIRD_PARTY_AUTHORIZATION => Attribute::ThirdPartyAuthorization(text),
            T::USERHASH => Attribute::Userhash(&self.hash),
            T::ERROR_CODE => Attribute::ErrorCode(error),
            T::ADDRESS_ERROR_CODE => Attribute::AddressErrorCode(AddressErrorCode { family, error }),
            T::PASSWORD_ALGORITHM => {
                Attribute::PasswordAlgorithm(PasswordAlgorithm { number: number as u16, parameters: &self.bytes })
            }
            T::REQUESTED_ADDRESS_FAMILY => Attribute::RequestedAddressFamily(family),
            T::ADDITIONAL_ADDRESS_FAMILY => Attribute::AdditionalAddressFamily(family),
            T::CHANGE_REQUEST => Attribute::ChangeRequest(ChangeRequest { ip: self.flags.0, port: self.flags.1 }),
            T::USE_CANDIDATE => Attribute::UseCandidate,
            T::DONT_FRAGMENT => Attribute::DontFragment,
            T::EVEN_PORT => Attribute::EvenPort(self.flags.0),
            T::RESERVATION_TOKEN => Attribute::ReservationToken(number.to_be_bytes()),
            T::ICMP => {
                Attribute::Icmp(Icmp { kind: number as u8 & 0x7f, code: self.code & 0x1ff, data: (number >> 8) as u32 })
            }
            T::TRANSACTION_TRANSMIT_COUNTER => {
                Attribute::TransactionTransmitCounter { req: number as u8, resp: (number >> 8) as u8 }
            }
            T::NETWORK_COST => {
                Attribute::NetworkCost(NetworkCost { network: number as u16, cost: (number >> 16) as u16 })
            }
            _ => self.number_or_bytes(),
        }
    }

    fn number_or_bytes(&self) -> Attribute<'_> {
        use AttributeType as T;
        let number = self.number;
        match self.kind {
            T::PRIORITY => Attribute::Priority(number as u32),
            T::ICE_CONTROLLED => Attribute::IceControlled(number),
            T::ICE_CONTROLLING => Attribute::IceControlling(number),
            T::CHANNEL_NUMBER => Attribute::ChannelNumber(number as u16),
            T::LIFETIME => Attribute::Lifetime(number as u32),
            T::REQUESTED_TRANSPORT => Attribute::RequestedTransport(number as u8),
            T::CONNECTION_ID => Attribute::ConnectionId(number as u32),
            T::RESPONSE_PORT => Attribute::ResponsePort(number as u16),
            T::CACHE_TIMEOUT => Attribute::CacheTimeout(number as u32),
            T::NOMINATION => Attribute::Nomination(number as u32),
            T::DATA => Attribute::Data(&self.bytes),
            T::PADDING => Attribute::Padding(&self.bytes),
            T::MOBILITY_TICKET => Attribute::MobilityTicket(&self.bytes),
            T::ACCESS_TOKEN => Attribute::AccessToken(&self.bytes),
            kind => {
                assert!(!kind.is_known(), "{kind} has no sample");
                Attribute::Unknown { kind, value: &self.bytes }
            }
        }
    }
}
