//! A STUN message that was validated once and is read in place.
//!
//! Rules of this file: [`Message::decode`] reads every byte of the structure exactly once. It records the offsets of
//! the integrity attributes and of FINGERPRINT. The other functions iterate over attributes that are already
//! validated. A value is bounded by its own length. Attributes after MESSAGE-INTEGRITY are hidden, except
//! MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 §14.5).
//!
//! RFC 8489 §5 (structure), §6.3 (receiving), §14 (attributes).
//!
//! ```
//! use portolan_stun::{Class, Message, Method};
//!
//! // A Binding success response with one XOR-MAPPED-ADDRESS.
//! let bytes = [
//!     0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
//!     0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
//! ];
//! let message = Message::decode(&bytes)?;
//! assert_eq!((message.class(), message.method()), (Class::SuccessResponse, Method::BINDING));
//! assert_eq!(message.xor_mapped_address(), Some("192.0.2.1:32853".parse().unwrap()));
//! # Ok::<(), portolan_stun::DecodeError>(())
//! ```

use core::{fmt, marker::PhantomData, net::SocketAddr};

use crate::{
    Attribute, AttributeType, ChangeRequest, Class, DecodeError, DecodeErrorKind as Kind, ErrorCode, HEADER_LEN,
    MAGIC_COOKIE, Method, Text, TransactionId,
    attribute::{self, XorMask},
    fingerprint,
};

/// A message whose structure was validated. Each attribute is decoded when the iterator reaches it.
///
/// `T` is the state of its authentication: [`Unverified`] after [`Message::decode`], [`Authenticated`] after
/// [`Message::verify`], and [`Exempt`] after [`Message::exempt`].
#[derive(Clone, Copy)]
pub struct Message<'a, T = Unverified> {
    bytes: &'a [u8],
    /// The end of the readable attributes. Offsets fit into 32 bits, because a message has at most 65,552 bytes.
    end: u32,
    /// Offsets of the attributes; 0 if absent, because offset 0 is in the header.
    integrity: u32,
    integrity_sha256: u32,
    fingerprint: u32,
    trust: PhantomData<T>,
}

/// The sender is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {}

/// The sender has the key, and the integrity attribute covers every readable attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {}

/// The receiver requires no credentials (a public Binding server).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exempt {}

/// An authenticated message. Only the attributes before the integrity attribute are readable.
pub type Verified<'a> = Message<'a, Authenticated>;

/// The states in which a receiver may act on a message: authenticated, or exempt from authentication. Sealed.
pub trait Checked: sealed::Sealed {}
impl Checked for Authenticated {}
impl Checked for Exempt {}

mod sealed {
    #[expect(unnameable_types, reason = "a trait with an unnameable supertrait is sealed")]
    pub trait Sealed {}
    impl Sealed for super::Authenticated {}
    impl Sealed for super::Exempt {}
}

/// The check of FINGERPRINT while decoding (RFC 8489 §7, §14.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum FingerprintPolicy {
    /// No check.
    #[default]
    Ignore,
    /// A FINGERPRINT that is present must be correct.
    IfPresent,
    /// FINGERPRINT must be present and correct.
    Required,
}

impl<'a> Message<'a> {
    /// Validates the structure of one whole message.
    ///
    /// The two top bits are zero, and the magic cookie is present. The length is a multiple of 4 and ends exactly at
    /// the end of `bytes`. Every attribute is inside the message (RFC 8489 §5, §14). Values are not validated, and
    /// FINGERPRINT is not computed.
    ///
    /// # Errors
    /// A [`DecodeError`] with the offset of the first violation and one of these kinds:
    ///
    /// * [`HeaderTruncated`](Kind::HeaderTruncated): `bytes` has fewer than 20 bytes.
    /// * [`TopBits`](Kind::TopBits): the two most significant bits are not zero.
    /// * [`Cookie`](Kind::Cookie): the magic cookie is missing.
    /// * [`LengthUnaligned`](Kind::LengthUnaligned): the length field is not a multiple of 4.
    /// * [`LengthMismatch`](Kind::LengthMismatch): the message does not end at the end of `bytes`.
    /// * [`AttributeTruncated`](Kind::AttributeTruncated): an attribute ends after the end of the message.
    #[inline(always)]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(DecodeError::new(bytes.len(), Kind::HeaderTruncated { found: bytes.len() }));
        };
        let [t0, _, l0, l1, c0, c1, c2, c3, ..] = *header;
        if t0 & 0xc0 != 0 {
            return Err(DecodeError::new(0, Kind::TopBits { found: t0 }));
        }
        let cookie = u32::from_be_bytes([c0, c1, c2, c3]);
        if cookie != MAGIC_COOKIE {
            return Err(DecodeError::new(4, Kind::Cookie { found: cookie }));
        }
        let length = u16::from_be_bytes([l0, l1]);
        if length & 3 != 0 {
            return Err(DecodeError::new(2, Kind::LengthUnaligned { found: length }));
        }
        let found = bytes.len() - HEADER_LEN;
        if usize::from(length) != found {
            return Err(length_mismatch(length, found));
        }
        Self::scan_attributes(bytes)
    }

    /// Scans the attributes once, checks that each is inside the message, and records the offsets of the three
    /// attributes that are verified later.
    #[inline(always)]
    fn scan_attributes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        // Loop invariant: each variable is the number of bytes left at its attribute, 0 if the attribute is absent.
        // The next load depends on this iteration, so the offsets are computed after the loop. The two bytes of a
        // length are added separately, because a byte swap would be on the critical path. 256 is a multiple of 4, so
        // the padding of the high byte is 0. 7 is 4 for the head and 3 for the padding.
        let (mut integrity, mut integrity_sha256, mut fingerprint) = (0, 0, 0);
        let mut rest = bytes.get(HEADER_LEN..).unwrap_or_default();
        while let Some(head) = rest.first_chunk::<4>() {
            let [k0, k1, l0, l1] = *head;
            let Some(next) = rest.get((usize::from(l0) << 8) + ((usize::from(l1) + 7) & !3)..) else {
                let (at, found) = (bytes.len() - rest.len(), rest.len() - head.len());
                return Err(attribute_truncated(at, u32::from_be_bytes(*head), found));
            };
            let left = rest.len();
            // An integrity attribute after MESSAGE-INTEGRITY-SHA256 or after FINGERPRINT is ignored.
            match AttributeType::new(u16::from_be_bytes([k0, k1])) {
                AttributeType::MESSAGE_INTEGRITY if integrity | integrity_sha256 | fingerprint == 0 => integrity = left,
                AttributeType::MESSAGE_INTEGRITY_SHA256 if integrity_sha256 | fingerprint == 0 => {
                    integrity_sha256 = left;
                }
                AttributeType::FINGERPRINT if fingerprint == 0 => fingerprint = left,
                _ => {}
            }
            rest = next;
        }
        // No bytes are left: the message length and the size of every attribute are multiples of 4.
        let end = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let at = |left| if left == 0 { 0 } else { u32::try_from(bytes.len() - left).unwrap_or(u32::MAX) };
        let (integrity, integrity_sha256, fingerprint) = (at(integrity), at(integrity_sha256), at(fingerprint));
        Ok(Self { bytes, end, integrity, integrity_sha256, fingerprint, trust: PhantomData })
    }

    /// Validates the structure, and then FINGERPRINT by `policy`.
    ///
    /// # Errors
    /// A [`DecodeError`] with one of the kinds of [`Message::decode`] or [`Message::check_fingerprint`]. With
    /// [`Ignore`](FingerprintPolicy::Ignore) there are only the kinds of [`Message::decode`].
    /// [`FingerprintMissing`](Kind::FingerprintMissing) is returned only with
    /// [`Required`](FingerprintPolicy::Required).
    pub fn decode_with(bytes: &'a [u8], policy: FingerprintPolicy) -> Result<Self, DecodeError> {
        let message = Self::decode(bytes)?;
        match policy {
            FingerprintPolicy::Ignore => {}
            FingerprintPolicy::IfPresent if message.fingerprint == 0 => {}
            FingerprintPolicy::IfPresent | FingerprintPolicy::Required => message.check_fingerprint()?,
        }
        Ok(message)
    }

    /// Returns the same message, marked as exempt from authentication.
    ///
    /// Only for usages without authentication, such as a public Binding server (RFC 8489 §6.3.1, RFC 5780 §6.1).
    #[must_use]
    pub const fn exempt(self) -> Message<'a, Exempt> {
        self.with_trust(self.end)
    }

    pub(crate) const fn authenticated(self, end: u32) -> Verified<'a> {
        self.with_trust(end)
    }

    const fn with_trust<T>(self, end: u32) -> Message<'a, T> {
        let Self { bytes, integrity, integrity_sha256, fingerprint, .. } = self;
        Message { bytes, end, integrity, integrity_sha256, fingerprint, trust: PhantomData }
    }
}

impl<'a, T> Message<'a, T> {
    /// The bytes of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The class: request, indication, success or error response.
    #[must_use]
    #[inline]
    pub fn class(&self) -> Class {
        Class::from_message_type(self.message_type())
    }

    /// The method, 12 bits.
    #[must_use]
    #[inline]
    pub fn method(&self) -> Method {
        Method::from_message_type(self.message_type())
    }

    /// The transaction ID, the same in a request and its responses.
    #[must_use]
    #[inline]
    pub fn transaction_id(&self) -> TransactionId {
        self.bytes.get(8..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default().into()
    }

    #[inline]
    fn message_type(&self) -> u16 {
        u16::from_be_bytes(self.bytes.first_chunk().copied().unwrap_or_default())
    }

    /// The decoded attributes in message order. A malformed value is an `Err`, and the iterator continues after it.
    ///
    /// An unverified message returns all attributes up to MESSAGE-INTEGRITY, and after it only
    /// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 §14.5). An [`Authenticated`] message returns only the
    /// attributes that its integrity covers.
    #[must_use]
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { fields: self.fields(), mask: XorMask::new(self.transaction_id()) }
    }

    /// The same attributes as [`Message::attributes`], with offset and bytes, not decoded.
    #[must_use]
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        let end = usize::try_from(self.end).unwrap_or(usize::MAX);
        Fields { rest: self.bytes.get(HEADER_LEN..end).unwrap_or_default(), end, visible: Visible::All }
    }

    /// The first attribute of a type, decoded; `None` if there is none. Later ones of the type are ignored (RFC 8489
    /// §14).
    ///
    /// # Errors
    /// A [`DecodeError`] with one of these kinds:
    ///
    /// * [`ValueLength`](Kind::ValueLength): the length of the value is impossible for the type.
    /// * [`AddressFamily`](Kind::AddressFamily): an address family is neither IPv4 nor IPv6.
    /// * [`ErrorCodeRange`](Kind::ErrorCodeRange): an error code is not between 300 and 699, or its number is above
    ///   99.
    /// * [`ListTruncated`](Kind::ListTruncated): a password algorithm ends after the end of the value.
    #[must_use]
    pub fn attribute(&self, kind: AttributeType) -> Option<Result<Attribute<'a>, DecodeError>> {
        let field = self.fields().find(|field| field.kind == kind)?;
        Some(attribute::decode(field, XorMask::new(self.transaction_id())))
    }

    /// Whether an attribute of this type is present, well-formed or not.
    #[must_use]
    pub fn has(&self, kind: AttributeType) -> bool {
        self.fields().any(|field| field.kind == kind)
    }

    /// The comprehension-required types that this crate does not know, in message order (RFC 8489 §6.3.1).
    ///
    /// A receiver that supports only a part of the registry calls [`Message::not_understood`].
    pub fn unknown_comprehension_required(&self) -> impl Iterator<Item = AttributeType> + Clone + use<'a, T> {
        self.fields().map(|field| field.kind).filter(|kind| kind.is_comprehension_required() && !kind.is_known())
    }

    /// The comprehension-required types that are not in `understood`, in message order.
    ///
    /// `understood` need not contain the integrity attributes, because the codec processes them. It should contain
    /// the known attributes that the STUN method ignores, because such attributes are not refused (RFC 8489 §6.3).
    pub fn not_understood<'s>(
        &self,
        understood: &'s [AttributeType],
    ) -> impl Iterator<Item = AttributeType> + Clone + use<'a, 's, T> {
        const CODEC: [AttributeType; 2] = [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256];
        self.fields()
            .map(|field| field.kind)
            .filter(move |kind| kind.is_comprehension_required() && !understood.contains(kind) && !CODEC.contains(kind))
    }

    /// Whether FINGERPRINT is present, correct or not.
    #[must_use]
    pub const fn has_fingerprint(&self) -> bool {
        self.fingerprint != 0
    }

    /// Checks that FINGERPRINT is present, is the last attribute, and matches the bytes (RFC 8489 §14.7).
    ///
    /// # Errors
    /// A [`DecodeError`] with one of these kinds:
    ///
    /// * [`FingerprintMissing`](Kind::FingerprintMissing): the message has no FINGERPRINT.
    /// * [`ValueLength`](Kind::ValueLength): its value does not have 4 bytes.
    /// * [`FingerprintNotLast`](Kind::FingerprintNotLast): bytes follow it.
    /// * [`FingerprintMismatch`](Kind::FingerprintMismatch): its value is wrong for these bytes.
    pub fn check_fingerprint(&self) -> Result<(), DecodeError> {
        let at = usize::try_from(self.fingerprint).unwrap_or_default();
        fingerprint::check(self.bytes, at)
    }

    /// The offset of the MESSAGE-INTEGRITY to verify; 0 if there is none.
    pub(crate) const fn integrity_at(&self) -> u32 {
        self.integrity
    }

    /// The offset of the MESSAGE-INTEGRITY-SHA256 to verify; 0 if there is none.
    pub(crate) const fn integrity_sha256_at(&self) -> u32 {
        self.integrity_sha256
    }
}

/// Typed getters: the first attribute of the type; `None` if it is absent or malformed.
macro_rules! getters {
    ($($(#[doc = $doc:literal])+ $name:ident: $variant:ident($kind:ident) -> $value:ty;)+) => {
        impl<'a, T> Message<'a, T> {
            $(
                $(#[doc = $doc])+
                ///
                /// `None` if the first one is absent or malformed; [`Message::attribute`] distinguishes the two
                /// cases.
                #[must_use]
                pub fn $name(&self) -> Option<$value> {
                    match self.attribute(AttributeType::$kind)? {
                        Ok(Attribute::$variant(value)) => Some(value),
                        _ => None,
                    }
                }
            )+
        }
    };
}

getters! {
    /// MAPPED-ADDRESS: the reflexive address without XOR (RFC 8489 §14.1).
    mapped_address: MappedAddress(MAPPED_ADDRESS) -> SocketAddr;
    /// XOR-MAPPED-ADDRESS: the reflexive address (RFC 8489 §14.2).
    xor_mapped_address: XorMappedAddress(XOR_MAPPED_ADDRESS) -> SocketAddr;
    /// ALTERNATE-SERVER: the server to use instead (RFC 8489 §14.15).
    alternate_server: AlternateServer(ALTERNATE_SERVER) -> SocketAddr;
    /// OTHER-ADDRESS: the server's other address and port (RFC 5780 §7.4).
    other_address: OtherAddress(OTHER_ADDRESS) -> SocketAddr;
    /// RESPONSE-ORIGIN: the source address of the response, as the server reports it (RFC 5780 §7.3).
    response_origin: ResponseOrigin(RESPONSE_ORIGIN) -> SocketAddr;
    /// CHANGED-ADDRESS: the name of OTHER-ADDRESS in RFC 3489 (§11.2.3), with a number of its own.
    changed_address: ChangedAddress(CHANGED_ADDRESS) -> SocketAddr;
    /// SOURCE-ADDRESS: the name of RESPONSE-ORIGIN in RFC 3489 (§11.2.5), with a number of its own.
    source_address: SourceAddress(SOURCE_ADDRESS) -> SocketAddr;
    /// CHANGE-REQUEST: the requested source address and port of the response (RFC 5780 §7.2).
    change_request: ChangeRequest(CHANGE_REQUEST) -> ChangeRequest;
    /// RESPONSE-PORT: the requested destination port of the response (RFC 5780 §7.5).
    response_port: ResponsePort(RESPONSE_PORT) -> u16;
    /// PADDING: bytes without meaning (RFC 5780 §7.6).
    padding: Padding(PADDING) -> &'a [u8];
    /// ERROR-CODE: the reason why a request failed (RFC 8489 §14.8).
    error_code: ErrorCode(ERROR_CODE) -> ErrorCode<'a>;
    /// UNKNOWN-ATTRIBUTES: the types that the server did not understand (RFC 8489 §14.13).
    unknown_attributes: UnknownAttributes(UNKNOWN_ATTRIBUTES) -> crate::UnknownAttributes<'a>;
    /// USERNAME (RFC 8489 §14.3).
    username: Username(USERNAME) -> Text<'a>;
    /// USERHASH: SHA-256 of user name and realm (RFC 8489 §14.4).
    userhash: Userhash(USERHASH) -> &'a [u8; 32];
    /// REALM (RFC 8489 §14.9).
    realm: Realm(REALM) -> Text<'a>;
    /// NONCE (RFC 8489 §14.10).
    nonce: Nonce(NONCE) -> Text<'a>;
    /// PASSWORD-ALGORITHM: the algorithm that the client selected (RFC 8489 §14.12).
    password_algorithm: PasswordAlgorithm(PASSWORD_ALGORITHM) -> crate::PasswordAlgorithm<'a>;
    /// PASSWORD-ALGORITHMS: the algorithms that the server offers (RFC 8489 §14.11).
    password_algorithms: PasswordAlgorithms(PASSWORD_ALGORITHMS) -> crate::PasswordAlgorithms<'a>;
    /// SOFTWARE: name and version of the sender's software (RFC 8489 §14.14).
    software: Software(SOFTWARE) -> Text<'a>;
    /// ALTERNATE-DOMAIN: the name in the certificate of the alternate server (RFC 8489 §14.16).
    alternate_domain: AlternateDomain(ALTERNATE_DOMAIN) -> Text<'a>;
    /// PRIORITY: the priority of a candidate that this check discovers (RFC 8445 §16.1).
    priority: Priority(PRIORITY) -> u32;
    /// ICE-CONTROLLED: the tie-breaker of a controlled agent (RFC 8445 §16.1).
    ice_controlled: IceControlled(ICE_CONTROLLED) -> u64;
    /// ICE-CONTROLLING: the tie-breaker of a controlling agent (RFC 8445 §16.1).
    ice_controlling: IceControlling(ICE_CONTROLLING) -> u64;
    /// XOR-RELAYED-ADDRESS: the relayed transport address (RFC 8656 §18.5).
    xor_relayed_address: XorRelayedAddress(XOR_RELAYED_ADDRESS) -> SocketAddr;
    /// XOR-PEER-ADDRESS: the first peer (RFC 8656 §18.3); there may be several, see [`Message::attributes`].
    xor_peer_address: XorPeerAddress(XOR_PEER_ADDRESS) -> SocketAddr;
    /// CHANNEL-NUMBER (RFC 8656 §18.1).
    channel_number: ChannelNumber(CHANNEL_NUMBER) -> u16;
    /// LIFETIME in seconds (RFC 8656 §18.2).
    lifetime: Lifetime(LIFETIME) -> u32;
    /// DATA: the application data to relay, or the relayed data (RFC 8656 §18.4).
    data: Data(DATA) -> &'a [u8];
    /// CONNECTION-ID: the id of a peer's TCP connection at the relay (RFC 6062 §6.2.1).
    connection_id: ConnectionId(CONNECTION_ID) -> u32;
}

impl<T> Message<'_, T> {
    /// The length of PADDING in bytes (RFC 5780 §7.6).
    #[must_use]
    pub fn padding_len(&self) -> Option<usize> {
        self.padding().map(<[u8]>::len)
    }
}

impl<T> fmt::Debug for Message<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.method(), self.class(), self.transaction_id())?;
        f.debug_list().entries(self.attributes()).finish()
    }
}

/// An attribute that is not decoded, bounded by its own length, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Offset of its first header byte from the start of the message, in bytes.
    pub at: usize,
    /// Its type.
    pub kind: AttributeType,
    /// Its value.
    pub value: &'a [u8],
}

/// An iterator over the attributes of a message, not decoded; returned by [`Message::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    end: usize,
    visible: Visible,
}

/// The attributes that are still visible. Each integrity attribute hides most of the later attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visible {
    All,
    /// After MESSAGE-INTEGRITY.
    Sha256AndFingerprint,
    /// After MESSAGE-INTEGRITY-SHA256.
    Fingerprint,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let (&[k0, k1, l0, l1], after) = self.rest.split_first_chunk::<4>()?;
            let kind = AttributeType::new(u16::from_be_bytes([k0, k1]));
            let length = u16::from_be_bytes([l0, l1]);
            let at = self.end - self.rest.len();
            let value = after.get(..usize::from(length))?;
            self.rest = after.get(padded(length)..)?;
            match (kind, self.visible) {
                (AttributeType::FINGERPRINT, _) => self.rest = &[],
                (AttributeType::MESSAGE_INTEGRITY, Visible::All) => self.visible = Visible::Sha256AndFingerprint,
                (AttributeType::MESSAGE_INTEGRITY_SHA256, Visible::All | Visible::Sha256AndFingerprint) => {
                    self.visible = Visible::Fingerprint;
                }
                (_, Visible::All) => {}
                (_, Visible::Sha256AndFingerprint | Visible::Fingerprint) => continue,
            }
            return Some(Field { at, kind, value });
        }
    }
}

/// An iterator over the decoded attributes of a message; returned by [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    fields: Fields<'a>,
    mask: XorMask,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, DecodeError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.next()?;
        Some(attribute::decode(field, self.mask))
    }
}

/// The length of a value with its padding: the next multiple of 4 (RFC 8489 §14).
#[inline]
pub(crate) const fn padded(length: u16) -> usize {
    (length as usize + 3) & !3
}

/// `head` is the attribute's type and length as on the wire.
#[cold]
const fn attribute_truncated(at: usize, head: u32, found: usize) -> DecodeError {
    let [k0, k1, l0, l1] = head.to_be_bytes();
    let (attribute, announced) = (AttributeType::new(u16::from_be_bytes([k0, k1])), u16::from_be_bytes([l0, l1]));
    DecodeError::new(at, Kind::AttributeTruncated { attribute, announced, found })
}

/// The error of a wrong message length. Its offset is the end of a datagram that is too short, or the length field of
/// one that is too long.
#[cold]
pub(crate) fn length_mismatch(announced: u16, found: usize) -> DecodeError {
    let at = if found < usize::from(announced) { HEADER_LEN + found } else { 2 };
    DecodeError::new(at, Kind::LengthMismatch { announced, found })
}
