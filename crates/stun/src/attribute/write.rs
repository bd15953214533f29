//! Encodes attributes into a borrowed buffer.
//!
//! Rules of this file: an attribute is written completely or not at all. Padding and reserved bits are zero. Obsolete
//! attributes of RFC 3489 and computed attributes are refused.

use core::net::SocketAddr;

use super::{
    AddressErrorCode, Attribute, AttributeType, ErrorCode, Icmp, NetworkCost, PasswordAlgorithm, Text, read::XorMask,
};
use crate::{EncodeError, HEADER_LEN, message::padded};

/// The longest message that the length field can express, in bytes.
const MESSAGE_LIMIT: usize = HEADER_LEN + 65_532;

/// The limits of a sent text.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    /// Whether the text must also have fewer than 128 characters.
    characters: bool,
}

/// RFC 8489 §14.3.
const USERNAME: Limit = Limit { bytes: 508, characters: false };
/// RFC 8489 §14.8, §14.14.
const PHRASE: Limit = Limit { bytes: 509, characters: true };
/// A value of the server that is sent back unchanged can have 763 bytes (RFC 8489 §14.9, §14.10).
const ECHO: Limit = Limit { bytes: 763, characters: false };
/// RFC 8489 §14.16.
const DOMAIN: Limit = Limit { bytes: 255, characters: false };

/// A buffer that is filled from the front.
#[derive(Debug)]
pub(crate) struct Cursor<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Cursor<'b> {
    /// A cursor after the first `len` bytes. The buffer is cut to the longest message, so that one comparison checks
    /// both limits.
    #[inline]
    pub(crate) fn new(buffer: &'b mut [u8], len: usize) -> Self {
        let most = buffer.len().min(MESSAGE_LIMIT);
        Self { buffer: buffer.get_mut(..most).unwrap_or_default(), len }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn written_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn into_written(self) -> &'b mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or_default()
    }

    /// Writes the header of an attribute and its padding. Returns the space for the value of `length` bytes.
    #[inline]
    pub(crate) fn reserve(&mut self, kind: AttributeType, length: usize) -> Result<&mut [u8], EncodeError> {
        let Ok(short) = u16::try_from(length) else {
            return Err(EncodeError::MessageTooLong { needed: length.saturating_add(self.len + 4) });
        };
        let needed = self.len + 4 + padded(short);
        let available = self.buffer.len();
        let Some(space) = self.buffer.get_mut(self.len..needed) else {
            return Err(no_space(needed, available));
        };
        // The padding is in the last four bytes. They are zeroed before the header is written, because the last four
        // bytes of an empty attribute are its header.
        if let Some(last) = space.last_chunk_mut() {
            *last = [0; 4];
        }
        if let Some(head) = space.first_chunk_mut() {
            let ([k0, k1], [l0, l1]) = (kind.number().to_be_bytes(), short.to_be_bytes());
            *head = [k0, k1, l0, l1];
        }
        self.len = needed;
        Ok(space.get_mut(4..4 + length).unwrap_or_default())
    }

    #[inline]
    pub(crate) fn bytes(&mut self, kind: AttributeType, value: &[u8]) -> Result<(), EncodeError> {
        copy(self.reserve(kind, value.len())?, value);
        Ok(())
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, kind: AttributeType, value: [u8; N]) -> Result<(), EncodeError> {
        if let Some(space) = self.reserve(kind, N)?.first_chunk_mut() {
            *space = value;
        }
        Ok(())
    }

    #[inline]
    fn text(&mut self, kind: AttributeType, text: Text<'_>, limit: Limit) -> Result<(), EncodeError> {
        check_text(kind, text, limit)?;
        self.bytes(kind, text.as_bytes())
    }

    #[inline]
    fn address(&mut self, kind: AttributeType, address: SocketAddr, mask: XorMask) -> Result<(), EncodeError> {
        let [p0, p1] = mask.port(address.port()).to_be_bytes();
        match address {
            SocketAddr::V4(address) => {
                let [a, b, c, d] = mask.ipv4(address.ip().to_bits()).to_be_bytes();
                self.fixed(kind, [0, 1, p0, p1, a, b, c, d])
            }
            SocketAddr::V6(address) => {
                let space = self.reserve(kind, 20)?;
                if let Some((head, ip)) = space.split_first_chunk_mut() {
                    *head = [0, 2, p0, p1];
                    ip.copy_from_slice(&mask.ipv6(address.ip().to_bits()).to_be_bytes());
                }
                Ok(())
            }
        }
    }

    fn error(&mut self, kind: AttributeType, first: u8, error: ErrorCode<'_>) -> Result<(), EncodeError> {
        check_text(kind, error.reason(), PHRASE)?;
        let space = self.reserve(kind, 4 + error.reason().len())?;
        if let Some((head, reason)) = space.split_first_chunk_mut() {
            let [class, number] = error.class_and_number();
            *head = [first, 0, class, number];
            reason.copy_from_slice(error.reason().as_bytes());
        }
        Ok(())
    }

    fn algorithm(&mut self, kind: AttributeType, algorithm: PasswordAlgorithm<'_>) -> Result<(), EncodeError> {
        let space = self.reserve(kind, algorithm_len(algorithm))?;
        write_algorithm(space, algorithm);
        Ok(())
    }

    /// PASSWORD-ALGORITHMS (RFC 8489 §14.11).
    pub(crate) fn algorithms(&mut self, list: &[PasswordAlgorithm<'_>]) -> Result<(), EncodeError> {
        let length = list.iter().map(|&algorithm| algorithm_len(algorithm)).sum();
        let mut space = self.reserve(AttributeType::PASSWORD_ALGORITHMS, length)?;
        for &algorithm in list {
            space = write_algorithm(space, algorithm);
        }
        Ok(())
    }

    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    pub(crate) fn types(&mut self, types: impl Iterator<Item = AttributeType> + Clone) -> Result<(), EncodeError> {
        let space = self.reserve(AttributeType::UNKNOWN_ATTRIBUTES, types.clone().count() * 2)?;
        space.fill(0);
        for (entry, kind) in space.as_chunks_mut().0.iter_mut().zip(types) {
            *entry = kind.number().to_be_bytes();
        }
        Ok(())
    }

    /// Writes one attribute. Always inlined: most callers pass a constant variant, and the compiler removes the
    /// match.
    #[inline(always)]
    #[expect(clippy::wildcard_enum_match_arm, reason = "`rare` names every other variant")]
    pub(crate) fn attribute(&mut self, attribute: &Attribute<'_>, mask: XorMask) -> Result<(), EncodeError> {
        use Attribute as A;
        let kind = attribute.kind();
        match *attribute {
            A::XorMappedAddress(a) => self.address(kind, a, mask),
            A::MappedAddress(a) | A::ResponseOrigin(a) | A::OtherAddress(a) => self.address(kind, a, XorMask::NONE),
            A::Username(text) => self.text(kind, text, USERNAME),
            A::Software(text) => self.text(kind, text, PHRASE),
            A::Priority(n) => self.fixed(kind, n.to_be_bytes()),
            A::IceControlled(n) | A::IceControlling(n) => self.fixed(kind, n.to_be_bytes()),
            A::UseCandidate => self.fixed(kind, []),
            _ => self.rare(kind, attribute, mask),
        }
    }

    /// Writes the less frequent attributes.
    #[inline(never)]
    fn rare(&mut self, kind: AttributeType, attribute: &Attribute<'_>, mask: XorMask) -> Result<(), EncodeError> {
        use Attribute as A;
        match *attribute {
            A::XorPeerAddress(a) | A::XorRelayedAddress(a) | A::XorMappedAddressDraft(a) => self.address(kind, a, mask),
            A::AlternateServer(a) => self.address(kind, a, XorMask::NONE),
            A::Realm(text) | A::Nonce(text) => self.text(kind, text, ECHO),
            A::AlternateDomain(text) => self.text(kind, text, DOMAIN),
            A::ThirdPartyAuthorization(text) => self.text(kind, text, ECHO),
            A::Userhash(hash) => self.fixed(kind, *hash),
            A::ErrorCode(error) => self.error(kind, 0, error),
            A::AddressErrorCode(AddressErrorCode { family, error }) => self.error(kind, family.number(), error),
            A::UnknownAttributes(list) => self.types(list.iter()),
            A::PasswordAlgorithm(algorithm) => self.algorithm(kind, algorithm),
            A::PasswordAlgorithms(list) => self.bytes(kind, list.as_bytes()),
            A::ChangeRequest(change) => self.fixed(kind, change.bits().to_be_bytes()),
            A::ResponsePort(port) | A::ChannelNumber(port) => self.fixed(kind, (u32::from(port) << 16).to_be_bytes()),
            A::Padding(bytes) | A::Data(bytes) | A::MobilityTicket(bytes) | A::AccessToken(bytes) => {
                self.bytes(kind, bytes)
            }
            A::CacheTimeout(n) | A::Lifetime(n) | A::ConnectionId(n) | A::Nomination(n) => {
                self.fixed(kind, n.to_be_bytes())
            }
            A::RequestedAddressFamily(family) | A::AdditionalAddressFamily(family) => {
                self.fixed(kind, [family.number(), 0, 0, 0])
            }
            A::EvenPort(reserve) => self.fixed(kind, [u8::from(reserve) << 7]),
            A::RequestedTransport(protocol) => self.fixed(kind, [protocol, 0, 0, 0]),
            A::DontFragment => self.fixed(kind, []),
            A::ReservationToken(token) => self.fixed(kind, token),
            A::Icmp(icmp) => self.icmp(kind, icmp),
            A::TransactionTransmitCounter { req, resp } => self.fixed(kind, [0, 0, req, resp]),
            A::NetworkCost(NetworkCost { network, cost }) => {
                self.fixed(kind, (u32::from(network) << 16 | u32::from(cost)).to_be_bytes())
            }
            A::MessageIntegrity(_) | A::MessageIntegritySha256(_) | A::Fingerprint(_) => {
                Err(EncodeError::Computed { attribute: kind })
            }
            A::ResponseAddress(_) | A::SourceAddress(_) | A::ChangedAddress(_) | A::ReflectedFrom(_) => {
                Err(EncodeError::ReadOnly { attribute: kind })
            }
            A::Unknown { value, .. } => self.unknown(kind, value),
            // `attribute` writes these variants.
            A::XorMappedAddress(_)
            | A::MappedAddress(_)
            | A::ResponseOrigin(_)
            | A::OtherAddress(_)
            | A::Username(_)
            | A::Software(_)
            | A::Priority(_)
            | A::IceControlled(_)
            | A::IceControlling(_)
            | A::UseCandidate => Ok(()),
        }
    }

    /// Writes the type in 7 bits and the code in 9 bits (RFC 8656 §18.13).
    fn icmp(&mut self, kind: AttributeType, icmp: Icmp) -> Result<(), EncodeError> {
        if icmp.kind > 0x7f || icmp.code > 0x1ff {
            return Err(EncodeError::OutOfRange { attribute: kind });
        }
        let [t, c] = (u16::from(icmp.kind) << 9 | icmp.code).to_be_bytes();
        let [d0, d1, d2, d3] = icmp.data.to_be_bytes();
        self.fixed(kind, [0, 0, t, c, d0, d1, d2, d3])
    }

    /// Writes any attribute except the integrity attributes and FINGERPRINT.
    fn unknown(&mut self, kind: AttributeType, value: &[u8]) -> Result<(), EncodeError> {
        match kind {
            AttributeType::MESSAGE_INTEGRITY | AttributeType::MESSAGE_INTEGRITY_SHA256 | AttributeType::FINGERPRINT => {
                Err(EncodeError::Computed { attribute: kind })
            }
            _ => self.bytes(kind, value),
        }
    }
}

/// Copies a value into a slice of the same length. For a short text a call of `memcpy` costs more than a few moves.
#[inline]
fn copy(space: &mut [u8], value: &[u8]) {
    match value.len() {
        0..4 => space.iter_mut().zip(value).for_each(|(to, from)| *to = *from),
        4..8 => copy_ends::<4>(space, value),
        8..=16 => copy_ends::<8>(space, value),
        17..=32 => copy_ends::<16>(space, value),
        _ => space.copy_from_slice(value),
    }
}

/// Copies `N` to `2 * N` bytes: the first `N` and the last `N`, which may overlap.
#[inline(always)]
fn copy_ends<const N: usize>(space: &mut [u8], value: &[u8]) {
    if let (Some(to), Some(from)) = (space.first_chunk_mut::<N>(), value.first_chunk()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (space.last_chunk_mut::<N>(), value.last_chunk()) {
        *to = *from;
    }
}

#[cold]
const fn no_space(needed: usize, available: usize) -> EncodeError {
    if needed > MESSAGE_LIMIT {
        EncodeError::MessageTooLong { needed }
    } else {
        EncodeError::BufferTooShort { needed, available }
    }
}

#[inline]
fn check_text(kind: AttributeType, text: Text<'_>, limit: Limit) -> Result<(), EncodeError> {
    if text.len() > limit.bytes {
        Err(EncodeError::ValueTooLong { attribute: kind, limit: limit.bytes, found: text.len() })
    } else if limit.characters && text.len() >= 128 && text.as_str().is_none_or(|text| text.chars().count() >= 128) {
        Err(EncodeError::TooManyCharacters { attribute: kind })
    } else {
        Ok(())
    }
}

/// The encoded size of one algorithm, with the padding of its parameters.
pub(crate) const fn algorithm_len(algorithm: PasswordAlgorithm<'_>) -> usize {
    4 + algorithm.parameters.len().next_multiple_of(4)
}

/// Writes one algorithm and returns the rest of the buffer.
fn write_algorithm<'s>(space: &'s mut [u8], algorithm: PasswordAlgorithm<'_>) -> &'s mut [u8] {
    let length = algorithm.parameters.len();
    let (own, rest) = space.split_at_mut_checked(algorithm_len(algorithm)).unwrap_or_default();
    if let Some((head, body)) = own.split_first_chunk_mut() {
        let ([n0, n1], [l0, l1]) =
            (algorithm.number.to_be_bytes(), u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        *head = [n0, n1, l0, l1];
        let (parameters, padding) = body.split_at_mut_checked(length).unwrap_or_default();
        parameters.copy_from_slice(algorithm.parameters);
        padding.fill(0);
    }
    rest
}
