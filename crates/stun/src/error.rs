//! The errors of decoding, of encoding and of message integrity.
//!
//! Every error is `Copy` and has no heap data. A [`DecodeError`] has a byte offset from the start of the message, the
//! expected and the found value, and the RFC section ([`DecodeError::clause`]).
//!
//! ```
//! use portolan_stun::{DecodeErrorKind, Message};
//!
//! // A DNS query is not STUN: the magic cookie is missing.
//! let error = Message::decode(&[0, 1, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err();
//! assert_eq!((error.at, error.kind), (4, DecodeErrorKind::Cookie { found: 0x0102_0304 }));
//! assert_eq!(error.clause().to_string(), "RFC 8489 §5");
//! ```

use core::fmt;

use crate::AttributeType;

/// The reason why bytes are not a STUN message, or why a value is invalid for its attribute.
///
/// `at` counts bytes from the start of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("byte {at}: {kind} ({})", self.clause())]
pub struct DecodeError {
    /// The offset of the error in bytes, from the start of the message.
    pub at: usize,
    /// The error.
    pub kind: DecodeErrorKind,
}

impl DecodeError {
    #[cold]
    pub(crate) const fn new(at: usize, kind: DecodeErrorKind) -> Self {
        Self { at, kind }
    }

    /// The RFC section that the bytes violate.
    #[must_use]
    pub const fn clause(&self) -> RfcSection {
        use DecodeErrorKind as K;
        match self.kind {
            K::HeaderTruncated { .. }
            | K::TopBits { .. }
            | K::Cookie { .. }
            | K::LengthUnaligned { .. }
            | K::LengthMismatch { .. } => RfcSection::new(8489, "5"),
            K::AttributeTruncated { .. } => RfcSection::new(8489, "14"),
            K::FingerprintMissing | K::FingerprintNotLast { .. } | K::FingerprintMismatch { .. } => {
                RfcSection::new(8489, "14.7")
            }
            K::ValueLength { attribute, .. }
            | K::AddressFamily { attribute, .. }
            | K::ErrorCodeRange { attribute, .. }
            | K::ListTruncated { attribute, .. } => match attribute.clause() {
                Some(clause) => clause,
                None => RfcSection::new(8489, "14"),
            },
        }
    }
}

/// The error at [`DecodeError::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// There are fewer bytes than a header has.
    #[error("a STUN header has 20 bytes, found {found}")]
    HeaderTruncated {
        /// The number of bytes.
        found: usize,
    },
    /// The two most significant bits are not zero: another protocol (RFC 7983).
    #[error("the first two bits of a STUN message are 0, the first byte is {found:#04x}")]
    TopBits {
        /// The first byte.
        found: u8,
    },
    /// The magic cookie is missing: another protocol, or an RFC 3489 message.
    #[error("the magic cookie is 0x2112a442, found {found:#010x}")]
    Cookie {
        /// The four bytes at the position of the cookie.
        found: u32,
    },
    /// The message length is not a multiple of 4.
    #[error("the message length is a multiple of 4, found {found}")]
    LengthUnaligned {
        /// The length field, bytes after the header.
        found: u16,
    },
    /// The message length does not end exactly at the end of the bytes.
    #[error("the header announces {announced} bytes after it, found {found}")]
    LengthMismatch {
        /// The length field, bytes after the header.
        announced: u16,
        /// The number of bytes after the header.
        found: usize,
    },
    /// The value of an attribute ends after the end of the message.
    #[error("{attribute} announces {announced} bytes, the message has {found} left")]
    AttributeTruncated {
        /// The attribute's type.
        attribute: AttributeType,
        /// The length field.
        announced: u16,
        /// The bytes left in the message.
        found: usize,
    },
    /// The length of a value is invalid for its attribute.
    #[error("{attribute} has {expected}, found {found}")]
    ValueLength {
        /// The attribute's type.
        attribute: AttributeType,
        /// The valid lengths.
        expected: Lengths,
        /// The length field.
        found: usize,
    },
    /// The address family is neither IPv4 (1) nor IPv6 (2).
    #[error("{attribute}: address family is 1 (IPv4) or 2 (IPv6), found {found}")]
    AddressFamily {
        /// The attribute's type.
        attribute: AttributeType,
        /// The family byte.
        found: u8,
    },
    /// The error code is outside of 300 to 699, or its number is above 99.
    #[error("{attribute}: class is 3 to 6 and number 0 to 99, found {class} and {number}")]
    ErrorCodeRange {
        /// The attribute's type.
        attribute: AttributeType,
        /// The hundreds digit.
        class: u8,
        /// The two digits after it.
        number: u8,
    },
    /// An entry of a list ends after the end of the value.
    #[error("{attribute}: an entry needs {expected} bytes, the value has {found} left")]
    ListTruncated {
        /// The attribute's type.
        attribute: AttributeType,
        /// The bytes that the entry needs.
        expected: usize,
        /// The bytes left in the value.
        found: usize,
    },
    /// FINGERPRINT is required and missing.
    #[error("FINGERPRINT is required and missing")]
    FingerprintMissing,
    /// Bytes follow FINGERPRINT.
    #[error("FINGERPRINT is the last attribute, {found} bytes follow it")]
    FingerprintNotLast {
        /// The number of bytes that follow.
        found: usize,
    },
    /// The value of FINGERPRINT does not match the bytes.
    #[error("FINGERPRINT of these bytes is {expected:#010x}, found {found:#010x}")]
    FingerprintMismatch {
        /// The computed value.
        expected: u32,
        /// The value of the attribute.
        found: u32,
    },
}

/// The valid lengths of a value in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lengths {
    /// Exactly this number of bytes.
    Exactly(u16),
    /// One of these two numbers of bytes.
    Either(u16, u16),
    /// At least this number of bytes.
    AtLeast(u16),
    /// At most this number of bytes.
    AtMost(u16),
    /// A multiple of `step` between `least` and `most`.
    Stepped {
        /// The smallest length.
        least: u16,
        /// The largest length.
        most: u16,
        /// The step between two lengths.
        step: u16,
    },
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exactly(n) => write!(f, "{n} bytes"),
            Self::Either(a, b) => write!(f, "{a} or {b} bytes"),
            Self::AtLeast(n) => write!(f, "at least {n} bytes"),
            Self::AtMost(n) => write!(f, "at most {n} bytes"),
            Self::Stepped { least, most, step } => write!(f, "{least} to {most} bytes in steps of {step}"),
        }
    }
}

/// A section of an RFC. `Display` prints it as `RFC 8489 §14.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RfcSection {
    /// The number of the RFC.
    pub rfc: u16,
    /// The section, without the § sign.
    pub section: &'static str,
}

impl RfcSection {
    pub(crate) const fn new(rfc: u16, section: &'static str) -> Self {
        Self { rfc, section }
    }
}

impl fmt::Display for RfcSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC {} §{}", self.rfc, self.section)
    }
}

/// The reason why a writer refused. The message is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is too short.
    #[error("the message needs {needed} bytes, the buffer has {available}")]
    BufferTooShort {
        /// The smallest sufficient length of the buffer, in bytes.
        needed: usize,
        /// The length of the buffer, in bytes.
        available: usize,
    },
    /// The message would be longer than its length field can express (65,532 bytes after the header).
    #[error("a message of {needed} bytes is longer than its length field can express")]
    MessageTooLong {
        /// The length of the message in bytes, with the header.
        needed: usize,
    },
    /// The value is longer, or has more characters, than its attribute allows.
    #[error("{attribute} is at most {limit} bytes long, got {found}")]
    ValueTooLong {
        /// The attribute's type.
        attribute: AttributeType,
        /// The limit in bytes.
        limit: usize,
        /// The length of the value in bytes.
        found: usize,
    },
    /// The text has 128 characters or more (RFC 8489 §14.8 to §14.14).
    #[error("{attribute} has fewer than 128 characters")]
    TooManyCharacters {
        /// The attribute's type.
        attribute: AttributeType,
    },
    /// A number is larger than its field: an ICMP type above 127 or an ICMP code above 511 (RFC 8656 §18.13).
    #[error("{attribute} has a number that is larger than its field")]
    OutOfRange {
        /// The attribute's type.
        attribute: AttributeType,
    },
    /// The writer computes MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT: use its methods for them.
    #[error("{attribute} is computed by the writer, not added")]
    Computed {
        /// The attribute's type.
        attribute: AttributeType,
    },
    /// The attribute is obsolete (RFC 3489): it is decoded, but never encoded.
    #[error("{attribute} is obsolete: it is decoded, not encoded")]
    ReadOnly {
        /// The attribute's type.
        attribute: AttributeType,
    },
    /// A truncated MESSAGE-INTEGRITY-SHA256 has 16 to 32 bytes, in steps of 4 (RFC 8489 §14.6).
    #[error("a truncated MESSAGE-INTEGRITY-SHA256 has 16 to 32 bytes in steps of 4, not {found}")]
    TruncatedIntegrity {
        /// The requested length in bytes.
        found: usize,
    },
    /// The message is not a request, and only a request has a response.
    #[error("the message is not a request, so it has no response")]
    NotARequest,
}

/// The reason why the integrity of a message is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The attribute to verify is missing.
    #[error("the message has no integrity attribute of the requested kind")]
    Missing,
    /// The length of the attribute is invalid, or shorter than the caller accepts.
    #[error("byte {at}: message integrity with an invalid length of {found} bytes")]
    Length {
        /// Offset of the attribute from the start of the message, in bytes.
        at: usize,
        /// The length field.
        found: usize,
    },
    /// The key or the message is different.
    #[error("byte {at}: the message integrity does not match the key and the bytes")]
    Mismatch {
        /// Offset of the attribute from the start of the message, in bytes.
        at: usize,
    },
}
