//! Decodes attribute values. Each value is bounded by its own length.
//!
//! Rules of this file: the types of Binding messages and of ICE checks are in one small match, which is inlined into
//! the iterator. All other types and all errors are out of line. Reserved bits are ignored (RFC 8489 §14.1, §14.8).

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::{
    AddressErrorCode, AddressFamily, Attribute, AttributeType, ChangeRequest, ErrorCode, Icmp, NetworkCost,
    PasswordAlgorithm, PasswordAlgorithms, Text, UnknownAttributes, value::split_algorithm,
};
use crate::{DecodeError, DecodeErrorKind as Kind, Lengths, MAGIC_COOKIE, TransactionId, message::Field};

/// The largest number of bytes of a received text (RFC 8489 §14.3, §14.8 to §14.10, §14.14).
const TEXT_LIMIT: u16 = 763;

/// Decodes one attribute.
///
/// Always inlined: a value on the stack is written in narrow stores and read in wide loads, which costs more than the
/// decoding.
#[inline(always)]
pub(crate) fn decode<'a>(field: Field<'a>, mask: XorMask) -> Result<Attribute<'a>, DecodeError> {
    use AttributeType as T;
    Ok(match field.kind {
        T::XOR_MAPPED_ADDRESS => match *field.value {
            [_, 1, p0, p1, a, b, c, d] => {
                let (port, ip) = (u16::from_be_bytes([p0, p1]), u32::from_be_bytes([a, b, c, d]));
                Attribute::XorMappedAddress(v4(mask.port(port), mask.ipv4(ip)))
            }
            // IPv4 alone stays in registers. With IPv6 here both would be written narrow and read back wide.
            _ => return decode_rare(field.at, field.kind, field.value, mask),
        },
        T::USERNAME => Attribute::Username(text(&field)?),
        T::PRIORITY => Attribute::Priority(u32::from_be_bytes(*exactly(&field)?)),
        T::ICE_CONTROLLED => Attribute::IceControlled(u64::from_be_bytes(*exactly(&field)?)),
        T::ICE_CONTROLLING => Attribute::IceControlling(u64::from_be_bytes(*exactly(&field)?)),
        T::MESSAGE_INTEGRITY => Attribute::MessageIntegrity(exactly(&field)?),
        T::FINGERPRINT => Attribute::Fingerprint(u32::from_be_bytes(*exactly(&field)?)),
        T::SOFTWARE => Attribute::Software(text(&field)?),
        T::USE_CANDIDATE => {
            exactly::<0>(&field)?;
            Attribute::UseCandidate
        }
        _ => return decode_rare(field.at, field.kind, field.value, mask),
    })
}

/// The attributes that are less frequent. Its parameters fit into registers: a [`Field`] would be stored for each
/// attribute, even for those that are not read here.
#[inline(never)]
fn decode_rare<'a>(
    at: usize,
    kind: AttributeType,
    value: &'a [u8],
    mask: XorMask,
) -> Result<Attribute<'a>, DecodeError> {
    use AttributeType as T;
    let field = &Field { at, kind, value };
    Ok(match field.kind {
        T::XOR_MAPPED_ADDRESS => Attribute::XorMappedAddress(address(field, mask)?),
        T::MAPPED_ADDRESS => Attribute::MappedAddress(address(field, XorMask::NONE)?),
        T::RESPONSE_ORIGIN => Attribute::ResponseOrigin(address(field, XorMask::NONE)?),
        T::OTHER_ADDRESS => Attribute::OtherAddress(address(field, XorMask::NONE)?),
        T::CHANGE_REQUEST => Attribute::ChangeRequest(ChangeRequest::from_bits(u32::from_be_bytes(*exactly(field)?))),
        T::RESPONSE_PORT => Attribute::ResponsePort(response_port(field)?),
        T::PADDING => Attribute::Padding(field.value),
        T::CACHE_TIMEOUT => Attribute::CacheTimeout(u32::from_be_bytes(*exactly(field)?)),
        T::ERROR_CODE => Attribute::ErrorCode(error_code(field)?),
        T::UNKNOWN_ATTRIBUTES => Attribute::UnknownAttributes(unknown_attributes(field)?),
        T::REALM => Attribute::Realm(text(field)?),
        T::NONCE => Attribute::Nonce(text(field)?),
        T::USERHASH => Attribute::Userhash(exactly(field)?),
        T::MESSAGE_INTEGRITY_SHA256 => Attribute::MessageIntegritySha256(truncated_hmac(field)?),
        T::PASSWORD_ALGORITHM => Attribute::PasswordAlgorithm(password_algorithm(field)?),
        T::PASSWORD_ALGORITHMS => Attribute::PasswordAlgorithms(password_algorithms(field)?),
        T::ALTERNATE_SERVER => Attribute::AlternateServer(address(field, XorMask::NONE)?),
        T::ALTERNATE_DOMAIN => Attribute::AlternateDomain(bounded_text(field, 255)?),
        T::TRANSACTION_TRANSMIT_COUNTER => {
            let &[_, _, req, resp] = exactly(field)?;
            Attribute::TransactionTransmitCounter { req, resp }
        }
        T::RESPONSE_ADDRESS => Attribute::ResponseAddress(address(field, XorMask::NONE)?),
        T::SOURCE_ADDRESS => Attribute::SourceAddress(address(field, XorMask::NONE)?),
        T::CHANGED_ADDRESS => Attribute::ChangedAddress(address(field, XorMask::NONE)?),
        T::REFLECTED_FROM => Attribute::ReflectedFrom(address(field, XorMask::NONE)?),
        T::XOR_MAPPED_ADDRESS_DRAFT => Attribute::XorMappedAddressDraft(address(field, mask)?),
        T::NETWORK_COST => {
            let &[n0, n1, c0, c1] = exactly(field)?;
            let (network, cost) = (u16::from_be_bytes([n0, n1]), u16::from_be_bytes([c0, c1]));
            Attribute::NetworkCost(NetworkCost { network, cost })
        }
        T::NOMINATION => Attribute::Nomination(u32::from_be_bytes(*exactly(field)?)),
        _ => return decode_relay(field, mask),
    })
}

/// The attributes of TURN and its extensions.
fn decode_relay<'a>(field: &Field<'a>, mask: XorMask) -> Result<Attribute<'a>, DecodeError> {
    use AttributeType as T;
    Ok(match field.kind {
        T::CHANNEL_NUMBER => {
            let &[n0, n1, _, _] = exactly(field)?;
            Attribute::ChannelNumber(u16::from_be_bytes([n0, n1]))
        }
        T::LIFETIME => Attribute::Lifetime(u32::from_be_bytes(*exactly(field)?)),
        T::XOR_PEER_ADDRESS => Attribute::XorPeerAddress(address(field, mask)?),
        T::DATA => Attribute::Data(field.value),
        T::XOR_RELAYED_ADDRESS => Attribute::XorRelayedAddress(address(field, mask)?),
        T::REQUESTED_ADDRESS_FAMILY => Attribute::RequestedAddressFamily(only_family(field)?),
        T::EVEN_PORT => {
            let &[bits] = exactly(field)?;
            Attribute::EvenPort(bits & 0x80 != 0)
        }
        T::REQUESTED_TRANSPORT => {
            let &[protocol, ..] = exactly::<4>(field)?;
            Attribute::RequestedTransport(protocol)
        }
        T::DONT_FRAGMENT => {
            exactly::<0>(field)?;
            Attribute::DontFragment
        }
        T::RESERVATION_TOKEN => Attribute::ReservationToken(*exactly(field)?),
        T::ADDITIONAL_ADDRESS_FAMILY => Attribute::AdditionalAddressFamily(only_family(field)?),
        T::ADDRESS_ERROR_CODE => Attribute::AddressErrorCode(address_error_code(field)?),
        T::ICMP => {
            let &[_, _, t, c, d0, d1, d2, d3] = exactly(field)?;
            let (kind, code) = (t >> 1, u16::from(t & 1) << 8 | u16::from(c));
            Attribute::Icmp(Icmp { kind, code, data: u32::from_be_bytes([d0, d1, d2, d3]) })
        }
        T::CONNECTION_ID => Attribute::ConnectionId(u32::from_be_bytes(*exactly(field)?)),
        T::MOBILITY_TICKET => Attribute::MobilityTicket(field.value),
        T::ACCESS_TOKEN => Attribute::AccessToken(field.value),
        T::THIRD_PARTY_AUTHORIZATION => Attribute::ThirdPartyAuthorization(text(field)?),
        kind => Attribute::Unknown { kind, value: field.value },
    })
}

/// A value of exactly `N` bytes.
#[inline(always)]
fn exactly<'a, const N: usize>(field: &Field<'a>) -> Result<&'a [u8; N], DecodeError> {
    match field.value.try_into() {
        Ok(value) => Ok(value),
        Err(_) => Err(wrong_length(field, Lengths::Exactly(u16::try_from(N).unwrap_or(u16::MAX)))),
    }
}

#[inline(always)]
fn wrong_length(field: &Field<'_>, expected: Lengths) -> DecodeError {
    length_error(field.at, field.kind, field.value.len(), expected)
}

#[cold]
#[inline(never)]
fn length_error(at: usize, attribute: AttributeType, found: usize, expected: Lengths) -> DecodeError {
    // The length field is two bytes after the type.
    DecodeError::new(at + 2, Kind::ValueLength { attribute, expected, found })
}

/// The XOR mask of an address: the cookie and the transaction ID as one number (RFC 8489 §14.2).
///
/// Ports and IPv4 addresses are XORed with its first bits, IPv6 addresses with all bits. A mask of 0 changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct XorMask(u128);

impl XorMask {
    /// No XOR (RFC 8489 §14.1).
    pub(super) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) const fn new(transaction_id: TransactionId) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *transaction_id.as_bytes();
        let id = u128::from_be_bytes([0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j, k, l]);
        Self((MAGIC_COOKIE as u128) << 96 | id)
    }

    #[inline(always)]
    pub(super) const fn port(self, port: u16) -> u16 {
        port ^ (self.0 >> 112) as u16
    }

    #[inline(always)]
    pub(super) const fn ipv4(self, ip: u32) -> u32 {
        ip ^ (self.0 >> 96) as u32
    }

    #[inline(always)]
    pub(super) const fn ipv6(self, ip: u128) -> u128 {
        ip ^ self.0
    }
}

/// Decodes an address with its XOR mask.
#[inline(always)]
fn address(field: &Field<'_>, mask: XorMask) -> Result<SocketAddr, DecodeError> {
    match *field.value {
        [_, 1, p0, p1, a, b, c, d] => {
            Ok(v4(mask.port(u16::from_be_bytes([p0, p1])), mask.ipv4(u32::from_be_bytes([a, b, c, d]))))
        }
        [_, 2, p0, p1, ref ip @ ..] if ip.len() == 16 => {
            let ip = ip.first_chunk().copied().unwrap_or_default();
            Ok(v6(mask.port(u16::from_be_bytes([p0, p1])), mask.ipv6(u128::from_be_bytes(ip))))
        }
        _ => Err(wrong_address(field)),
    }
}

#[inline(always)]
fn v4(port: u16, ip: u32) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from_bits(ip), port))
}

#[inline(always)]
fn v6(port: u16, ip: u128) -> SocketAddr {
    SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from_bits(ip), port, 0, 0))
}

/// The error of an invalid address: its family, or its length for that family.
#[cold]
#[inline(never)]
fn wrong_address(field: &Field<'_>) -> DecodeError {
    match *field.value {
        [_, 1, _, _, ..] => wrong_length(field, Lengths::Exactly(8)),
        [_, 2, _, _, ..] => wrong_length(field, Lengths::Exactly(20)),
        [_, found, _, _, ..] => wrong_family(field, found, 5),
        _ => wrong_length(field, Lengths::Either(8, 20)),
    }
}

#[cold]
#[inline(never)]
fn wrong_family(field: &Field<'_>, found: u8, offset: usize) -> DecodeError {
    DecodeError::new(field.at + offset, Kind::AddressFamily { attribute: field.kind, found })
}

#[inline(always)]
fn text<'a>(field: &Field<'a>) -> Result<Text<'a>, DecodeError> {
    bounded_text(field, TEXT_LIMIT)
}

#[inline(always)]
fn bounded_text<'a>(field: &Field<'a>, limit: u16) -> Result<Text<'a>, DecodeError> {
    if field.value.len() > usize::from(limit) {
        return Err(wrong_length(field, Lengths::AtMost(limit)));
    }
    Ok(Text::from_wire(field.value))
}

/// A port and two bytes of padding. Some senders exclude the padding from the length; RFC 5780 §7.5 allows both.
fn response_port(field: &Field<'_>) -> Result<u16, DecodeError> {
    match *field.value {
        [p0, p1] | [p0, p1, _, _] => Ok(u16::from_be_bytes([p0, p1])),
        _ => Err(wrong_length(field, Lengths::Either(2, 4))),
    }
}

fn error_code<'a>(field: &Field<'a>) -> Result<ErrorCode<'a>, DecodeError> {
    let Some((&[_, _, class, number], reason)) = field.value.split_first_chunk() else {
        return Err(wrong_length(field, Lengths::AtLeast(4)));
    };
    if reason.len() > usize::from(TEXT_LIMIT) {
        return Err(wrong_length(field, Lengths::AtMost(TEXT_LIMIT + 4)));
    }
    let class = class & 7;
    let code = u16::from(class) * 100 + u16::from(number);
    match ErrorCode::new(code, Text::from_wire(reason)) {
        Some(error) if number < 100 => Ok(error),
        _ => Err(DecodeError::new(field.at + 6, Kind::ErrorCodeRange { attribute: field.kind, class, number })),
    }
}

/// An address family and three reserved bytes.
fn only_family(field: &Field<'_>) -> Result<AddressFamily, DecodeError> {
    let &[number, ..] = exactly::<4>(field)?;
    family(field, number)
}

fn family(field: &Field<'_>, number: u8) -> Result<AddressFamily, DecodeError> {
    match number {
        1 => Ok(AddressFamily::Ipv4),
        2 => Ok(AddressFamily::Ipv6),
        found => Err(wrong_family(field, found, 4)),
    }
}

fn address_error_code<'a>(field: &Field<'a>) -> Result<AddressErrorCode<'a>, DecodeError> {
    let error = error_code(field)?;
    let number = field.value.first().copied().unwrap_or_default();
    Ok(AddressErrorCode { family: family(field, number)?, error })
}

fn unknown_attributes<'a>(field: &Field<'a>) -> Result<UnknownAttributes<'a>, DecodeError> {
    match field.value.as_chunks::<2>() {
        (types, []) => Ok(UnknownAttributes(types)),
        _ => Err(wrong_length(field, Lengths::Stepped { least: 0, most: u16::MAX - 1, step: 2 })),
    }
}

/// 16 to 32 bytes in steps of 4 (RFC 8489 §14.6).
fn truncated_hmac<'a>(field: &Field<'a>) -> Result<&'a [u8], DecodeError> {
    match field.value.len() {
        16 | 20 | 24 | 28 | 32 => Ok(field.value),
        _ => Err(wrong_length(field, Lengths::Stepped { least: 16, most: 32, step: 4 })),
    }
}

fn password_algorithm<'a>(field: &Field<'a>) -> Result<PasswordAlgorithm<'a>, DecodeError> {
    match split_algorithm(field.value) {
        Some((algorithm, [])) => Ok(algorithm),
        Some((algorithm, _)) => {
            let length = algorithm.parameters.len().next_multiple_of(4) + 4;
            Err(wrong_length(field, Lengths::Exactly(u16::try_from(length).unwrap_or(u16::MAX))))
        }
        None => Err(list_truncated(field, field.value)),
    }
}

fn password_algorithms<'a>(field: &Field<'a>) -> Result<PasswordAlgorithms<'a>, DecodeError> {
    let mut rest = field.value;
    while !rest.is_empty() {
        let Some((_, next)) = split_algorithm(rest) else { return Err(list_truncated(field, rest)) };
        rest = next;
    }
    Ok(PasswordAlgorithms(field.value))
}

/// The error of a list whose last entry is truncated. `rest` begins with this entry and ends with the value.
#[cold]
#[inline(never)]
fn list_truncated(field: &Field<'_>, rest: &[u8]) -> DecodeError {
    let expected = match *rest {
        [_, _, l0, l1, ..] => usize::from(u16::from_be_bytes([l0, l1])) + 4,
        _ => 4,
    };
    let at = field.at + 4 + field.value.len() - rest.len();
    DecodeError::new(at, Kind::ListTruncated { attribute: field.kind, expected, found: rest.len() })
}
