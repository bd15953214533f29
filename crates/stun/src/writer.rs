//! Encodes a message into a borrowed buffer, from front to back.
//!
//! Rules of this file: attributes are only appended. An attribute is written completely or not at all. The types
//! enforce the order of RFC 8489 §14.5 to §14.7: nothing follows FINGERPRINT, and only FINGERPRINT and
//! MESSAGE-INTEGRITY-SHA256 follow MESSAGE-INTEGRITY. A refused `add` leaves the message unchanged.
//!
//! ```
//! use portolan_stun::{Attribute, Class, IntegrityKey, Message, Method, Writer};
//!
//! let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
//! let mut buffer = [0; 128];
//! let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into())?;
//! writer.add(&Attribute::Username("evtj:h6vY".into()))?;
//! let bytes = writer.message_integrity(&key)?.fingerprint()?.finish();
//!
//! let message = Message::decode(bytes)?;
//! message.check_fingerprint()?;
//! assert_eq!(message.verify(&key)?.username().unwrap(), "evtj:h6vY");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No attribute can be added after FINGERPRINT. This does not compile:
//!
//! ```compile_fail,E0599
//! use portolan_stun::{Attribute, Class, Method, Writer};
//!
//! let mut buffer = [0; 128];
//! let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).unwrap();
//! let mut closed = writer.fingerprint().unwrap();
//! closed.add(&Attribute::UseCandidate).unwrap();
//! ```
//!
//! A second MESSAGE-INTEGRITY does not compile either:
//!
//! ```compile_fail,E0599
//! use portolan_stun::{Class, IntegrityKey, Method, Writer};
//!
//! let key = IntegrityKey::short_term("secret");
//! let mut buffer = [0; 128];
//! let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into()).unwrap();
//! let signed = writer.message_integrity(&key).unwrap().message_integrity(&key);
//! ```
//!
//! A response to a request without [`Message::verify`] or [`Message::exempt`] does not compile:
//!
//! ```compile_fail,E0277
//! use portolan_stun::{Message, ResponseClass, Writer};
//!
//! let request = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
//! let request = Message::decode(&request).unwrap();
//! let mut buffer = [0; 128];
//! let response = Writer::response(&mut buffer, &request, ResponseClass::Success);
//! ```

use core::marker::PhantomData;

use crate::{
    Attribute, AttributeType, Checked, Class, EncodeError, ErrorCode, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, Message,
    Method, PasswordAlgorithm, TransactionId,
    attribute::{Cursor, XorMask},
    fingerprint,
};

/// Writes a message. `S` is the stage, which determines the attributes that may follow.
#[derive(Debug)]
pub struct Writer<'b, S = Open> {
    cursor: Cursor<'b>,
    mask: XorMask,
    stage: PhantomData<S>,
}

/// Any attribute may follow.
#[derive(Clone, Copy, Debug)]
pub enum Open {}

/// MESSAGE-INTEGRITY is written: MESSAGE-INTEGRITY-SHA256 and FINGERPRINT may follow.
#[derive(Clone, Copy, Debug)]
pub enum Signed {}

/// MESSAGE-INTEGRITY-SHA256 is written: FINGERPRINT may follow.
#[derive(Clone, Copy, Debug)]
pub enum SignedSha256 {}

/// FINGERPRINT is written: no attribute may follow.
#[derive(Clone, Copy, Debug)]
pub enum Closed {}

/// Stages that MESSAGE-INTEGRITY-SHA256 may follow. Sealed.
pub trait BeforeSha256: BeforeFingerprint {}
impl BeforeSha256 for Open {}
impl BeforeSha256 for Signed {}

/// Stages that FINGERPRINT may follow. Sealed.
pub trait BeforeFingerprint: sealed::Sealed {}
impl BeforeFingerprint for Open {}
impl BeforeFingerprint for Signed {}
impl BeforeFingerprint for SignedSha256 {}

mod sealed {
    #[expect(unnameable_types, reason = "a trait with an unnameable supertrait is sealed")]
    pub trait Sealed {}
    impl Sealed for super::Open {}
    impl Sealed for super::Signed {}
    impl Sealed for super::SignedSha256 {}
}

impl<'b> Writer<'b> {
    /// Begins a message: writes its header.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooShort`] when the buffer has fewer than 20 bytes.
    #[inline]
    pub fn new(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        transaction_id: TransactionId,
    ) -> Result<Self, EncodeError> {
        let available = buffer.len();
        let Some(header) = buffer.first_chunk_mut::<HEADER_LEN>() else {
            return Err(EncodeError::BufferTooShort { needed: HEADER_LEN, available });
        };
        // The header is written in words, because single bytes would delay the wide loads of the HMAC and the CRC.
        let head = u64::from(method.message_type(class)) << 48 | u64::from(MAGIC_COOKIE);
        if let Some((front, id)) = header.split_first_chunk_mut::<8>() {
            *front = head.to_be_bytes();
            id.copy_from_slice(transaction_id.as_bytes());
        }
        Ok(Self { cursor: Cursor::new(buffer, HEADER_LEN), mask: XorMask::new(transaction_id), stage: PhantomData })
    }

    /// Begins the response to a request, with its method and transaction ID (RFC 8489 §6.3.1.1).
    ///
    /// The request is verified or exempt from authentication.
    ///
    /// # Errors
    /// * [`EncodeError::NotARequest`] when `request` is not a request.
    /// * [`EncodeError::BufferTooShort`] when the buffer has fewer than 20 bytes.
    pub fn response<T: Checked>(
        buffer: &'b mut [u8],
        request: &Message<'_, T>,
        outcome: ResponseClass,
    ) -> Result<Self, EncodeError> {
        if request.class() != Class::Request {
            return Err(EncodeError::NotARequest);
        }
        let class = match outcome {
            ResponseClass::Success => Class::SuccessResponse,
            ResponseClass::Error => Class::ErrorResponse,
        };
        Self::new(buffer, class, request.method(), request.transaction_id())
    }

    /// Begins the 420 response to a request, with ERROR-CODE and UNKNOWN-ATTRIBUTES (RFC 8489 §6.3.1).
    ///
    /// `unknown` is the result of [`Message::not_understood`] or [`Message::unknown_comprehension_required`].
    /// Attributes, integrity and FINGERPRINT may follow.
    ///
    /// # Errors
    /// * [`EncodeError::NotARequest`] when `request` is not a request.
    /// * [`EncodeError::BufferTooShort`] when the response does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when `unknown` has so many types that the response would have more than
    ///   65,532 bytes after its header.
    pub fn unknown_attribute_response<T: Checked>(
        buffer: &'b mut [u8],
        request: &Message<'_, T>,
        unknown: impl Iterator<Item = AttributeType> + Clone,
    ) -> Result<Self, EncodeError> {
        let mut writer = Self::response(buffer, request, ResponseClass::Error)?;
        if let Some(error) = ErrorCode::recommended(ErrorCode::UNKNOWN_ATTRIBUTE) {
            writer.add(&Attribute::ErrorCode(error))?;
        }
        writer.add_unknown_attributes(unknown)?;
        Ok(writer)
    }

    /// Appends an attribute with zero padding.
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    /// * [`EncodeError::ValueTooLong`] when a text has more bytes than its attribute allows.
    /// * [`EncodeError::TooManyCharacters`] when SOFTWARE or the reason phrase of an error has 128 characters or
    ///   more, or 128 bytes or more that are not UTF-8.
    /// * [`EncodeError::OutOfRange`] when the type or the code of ICMP is larger than its field.
    /// * [`EncodeError::Computed`] for MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.
    /// * [`EncodeError::ReadOnly`] for the attributes of RFC 3489 alone.
    #[inline(always)]
    pub fn add(&mut self, attribute: &Attribute<'_>) -> Result<(), EncodeError> {
        self.cursor.attribute(attribute, self.mask)
    }

    /// Appends PADDING of `length` zero bytes (RFC 5780 §7.6).
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    pub fn add_padding(&mut self, length: usize) -> Result<(), EncodeError> {
        self.cursor.reserve(AttributeType::PADDING, length)?.fill(0);
        Ok(())
    }

    /// Appends UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    pub fn add_unknown_attributes(
        &mut self,
        types: impl Iterator<Item = AttributeType> + Clone,
    ) -> Result<(), EncodeError> {
        self.cursor.types(types)
    }

    /// Appends PASSWORD-ALGORITHMS, in order of preference (RFC 8489 §14.11).
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    pub fn add_password_algorithms(&mut self, algorithms: &[PasswordAlgorithm<'_>]) -> Result<(), EncodeError> {
        self.cursor.algorithms(algorithms)
    }

    /// Appends MESSAGE-INTEGRITY: HMAC-SHA1 of the preceding bytes (RFC 8489 §14.5).
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    pub fn message_integrity(mut self, key: &IntegrityKey) -> Result<Writer<'b, Signed>, EncodeError> {
        let covered = self.cursor.len();
        self.cursor.reserve(AttributeType::MESSAGE_INTEGRITY, 20)?;
        self.write_length();
        let hmac = key.sha1(self.cursor.written().get(..covered).unwrap_or_default(), covered + 24);
        if let Some(value) = self.cursor.written_mut().last_chunk_mut() {
            *value = hmac;
        }
        Ok(self.into_stage())
    }
}

impl<'b, S: BeforeSha256> Writer<'b, S> {
    /// Appends MESSAGE-INTEGRITY-SHA256: 32 bytes of HMAC-SHA256 of the preceding bytes (RFC 8489 §14.6).
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    pub fn message_integrity_sha256(self, key: &IntegrityKey) -> Result<Writer<'b, SignedSha256>, EncodeError> {
        self.message_integrity_sha256_truncated(key, 32)
    }

    /// Appends MESSAGE-INTEGRITY-SHA256 truncated to `length` bytes, for usages that allow it (RFC 8489 §14.6).
    ///
    /// # Errors
    /// * [`EncodeError::TruncatedIntegrity`] when `length` is not 16, 20, 24, 28 or 32.
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    pub fn message_integrity_sha256_truncated(
        mut self,
        key: &IntegrityKey,
        length: usize,
    ) -> Result<Writer<'b, SignedSha256>, EncodeError> {
        if !matches!(length, 16 | 20 | 24 | 28 | 32) {
            return Err(EncodeError::TruncatedIntegrity { found: length });
        }
        let covered = self.cursor.len();
        self.cursor.reserve(AttributeType::MESSAGE_INTEGRITY_SHA256, length)?;
        self.write_length();
        let hmac = key.sha256(self.cursor.written().get(..covered).unwrap_or_default(), covered + 4 + length);
        let value = self.cursor.written_mut().get_mut(covered + 4..).unwrap_or_default();
        value.iter_mut().zip(hmac).for_each(|(to, from)| *to = from);
        Ok(self.into_stage())
    }
}

impl<'b, S: BeforeFingerprint> Writer<'b, S> {
    /// Appends FINGERPRINT, the last attribute (RFC 8489 §14.7).
    ///
    /// # Errors
    /// * [`EncodeError::BufferTooShort`] when the attribute does not fit into the buffer.
    /// * [`EncodeError::MessageTooLong`] when the message would have more than 65,532 bytes after its header.
    pub fn fingerprint(mut self) -> Result<Writer<'b, Closed>, EncodeError> {
        let covered = self.cursor.len();
        self.cursor.reserve(AttributeType::FINGERPRINT, 4)?;
        self.write_length();
        let value = fingerprint::value(self.cursor.written().get(..covered).unwrap_or_default());
        if let Some(bytes) = self.cursor.written_mut().last_chunk_mut() {
            *bytes = value.to_be_bytes();
        }
        Ok(self.into_stage())
    }
}

impl<'b, S> Writer<'b, S> {
    /// The current length of the message in bytes, with the header.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty, it has a header")]
    pub const fn len(&self) -> usize {
        self.cursor.len()
    }

    /// Ends the message and returns its bytes, the first part of the buffer.
    #[must_use]
    #[inline]
    pub fn finish(mut self) -> &'b [u8] {
        self.write_length();
        self.cursor.into_written()
    }

    /// Writes the length field for the current length (RFC 8489 §5, §14.5).
    #[inline]
    fn write_length(&mut self) {
        let length = u16::try_from(self.cursor.len() - HEADER_LEN).unwrap_or(u16::MAX).to_be_bytes();
        if let Some([_, _, l0, l1, ..]) = self.cursor.written_mut().first_chunk_mut::<HEADER_LEN>() {
            [*l0, *l1] = length;
        }
    }

    #[inline]
    fn into_stage<N>(self) -> Writer<'b, N> {
        Writer { cursor: self.cursor, mask: self.mask, stage: PhantomData }
    }
}

/// The class of a response: success or error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseClass {
    /// Success.
    Success,
    /// Error; ERROR-CODE gives the reason.
    Error,
}
