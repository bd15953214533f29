//! The lengths of encoded attributes and of common responses, for the size of a buffer.
//!
//! All lengths are in bytes, with the header of the attribute and its padding. A response has at most the sum of
//! [`HEADER_LEN`], [`Attribute::encoded_len`] of its attributes, and the constants of this module.
//!
//! ```
//! use portolan_stun::{Attribute, Class, HEADER_LEN, Method, Writer, length};
//!
//! let address = Attribute::XorMappedAddress("[2001:db8::1]:32853".parse()?);
//! let mut buffer = [0; length::BINDING_RESPONSE_MAX];
//! let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, [7; 12].into())?;
//! writer.add(&address)?;
//! let response = writer.fingerprint()?.finish();
//! assert_eq!(response.len(), HEADER_LEN + address.encoded_len() + length::FINGERPRINT);
//! assert_eq!(response.len(), length::BINDING_RESPONSE_MAX);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::attribute::algorithm_len;
use crate::{Attribute, ErrorCode, HEADER_LEN};

/// The length of the header of an attribute: type and length (RFC 8489 §14).
const HEAD: usize = 4;

/// The length of an address attribute with an IPv6 address (RFC 8489 §14.1, §14.2).
pub const ADDRESS_MAX: usize = HEAD + 20;

/// The length of MESSAGE-INTEGRITY (RFC 8489 §14.5).
pub const MESSAGE_INTEGRITY: usize = HEAD + 20;

/// The length of MESSAGE-INTEGRITY-SHA256 without truncation (RFC 8489 §14.6).
pub const MESSAGE_INTEGRITY_SHA256_MAX: usize = HEAD + 32;

/// The length of FINGERPRINT (RFC 8489 §14.7).
pub const FINGERPRINT: usize = HEAD + 4;

/// The largest length of a Binding success response with XOR-MAPPED-ADDRESS and FINGERPRINT (RFC 8489 §6.3.1.1).
pub const BINDING_RESPONSE_MAX: usize = HEADER_LEN + ADDRESS_MAX + FINGERPRINT;

/// The largest length of a Binding success response of RFC 5780 §6.1: XOR-MAPPED-ADDRESS, MAPPED-ADDRESS,
/// RESPONSE-ORIGIN, OTHER-ADDRESS and FINGERPRINT, without PADDING.
pub const BEHAVIOR_RESPONSE_MAX: usize = HEADER_LEN + 4 * ADDRESS_MAX + FINGERPRINT;

/// The length of an error response with ERROR-CODE and FINGERPRINT, for a reason phrase of `reason` bytes (RFC 8489
/// §14.8).
#[must_use]
pub const fn error_response(reason: usize) -> usize {
    HEADER_LEN + with_head(4 + reason) + FINGERPRINT
}

/// The length of the response of [`Writer::unknown_attribute_response`](crate::Writer::unknown_attribute_response)
/// with FINGERPRINT, for a number of unknown types (RFC 8489 §14.13).
#[must_use]
pub const fn unknown_attribute_response(types: usize) -> usize {
    let reason = match ErrorCode::recommended(ErrorCode::UNKNOWN_ATTRIBUTE) {
        Some(error) => error.reason().len(),
        None => 0,
    };
    error_response(reason) + with_head(2 * types)
}

/// The length of an attribute whose value has this length.
const fn with_head(value: usize) -> usize {
    HEAD + value.next_multiple_of(4)
}

impl Attribute<'_> {
    /// The length that [`Writer::add`](crate::Writer::add) appends in bytes: header, value and padding.
    ///
    /// For an attribute that the writer refuses, the length that it has on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        with_head(match self {
            Self::MappedAddress(address)
            | Self::XorMappedAddress(address)
            | Self::XorMappedAddressDraft(address)
            | Self::AlternateServer(address)
            | Self::XorPeerAddress(address)
            | Self::XorRelayedAddress(address)
            | Self::ResponseOrigin(address)
            | Self::OtherAddress(address)
            | Self::ResponseAddress(address)
            | Self::SourceAddress(address)
            | Self::ChangedAddress(address)
            | Self::ReflectedFrom(address) => {
                if address.is_ipv4() {
                    8
                } else {
                    20
                }
            }
            Self::Username(text)
            | Self::Realm(text)
            | Self::Nonce(text)
            | Self::Software(text)
            | Self::AlternateDomain(text)
            | Self::ThirdPartyAuthorization(text) => text.len(),
            Self::ErrorCode(error) => 4 + error.reason().len(),
            Self::AddressErrorCode(refused) => 4 + refused.error.reason().len(),
            Self::UnknownAttributes(list) => 2 * list.iter().count(),
            Self::PasswordAlgorithms(list) => list.as_bytes().len(),
            Self::PasswordAlgorithm(algorithm) => algorithm_len(*algorithm),
            Self::Userhash(hash) => hash.len(),
            Self::MessageIntegrity(hmac) => hmac.len(),
            Self::MessageIntegritySha256(hmac) => hmac.len(),
            Self::Data(value)
            | Self::Padding(value)
            | Self::MobilityTicket(value)
            | Self::AccessToken(value)
            | Self::Unknown { value, .. } => value.len(),
            Self::UseCandidate | Self::DontFragment => 0,
            Self::EvenPort(_) => 1,
            Self::IceControlled(_) | Self::IceControlling(_) | Self::ReservationToken(_) | Self::Icmp(_) => 8,
            Self::Fingerprint(_)
            | Self::Priority(_)
            | Self::ChannelNumber(_)
            | Self::Lifetime(_)
            | Self::RequestedAddressFamily(_)
            | Self::RequestedTransport(_)
            | Self::AdditionalAddressFamily(_)
            | Self::ConnectionId(_)
            | Self::ChangeRequest(_)
            | Self::ResponsePort(_)
            | Self::CacheTimeout(_)
            | Self::TransactionTransmitCounter { .. }
            | Self::NetworkCost(_)
            | Self::Nomination(_) => 4,
        })
    }
}
