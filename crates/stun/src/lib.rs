//! A STUN codec (RFC 8489): decodes and encodes messages without an allocator, without I/O and without panics.
//!
//! This crate allocates nothing, reads no clock, has no RNG and opens no socket. It retransmits nothing and keeps no
//! transactions and no credentials. It prepares no strings beyond ASCII and does not wipe keys from memory. No input
//! from a peer causes a panic. `portolan-stun-agent` builds transactions and credentials on this crate.
//!
//! [`Message`] validates a datagram once and reads it in place. [`Writer`] fills a buffer of the caller.
//! [`IntegrityKey`] computes and verifies message integrity. [`Attribute`] holds the registry of attributes.
//! [`demux`] returns the protocol of a packet on a shared socket. [`framing`] splits streams into messages, [`uri`]
//! parses server URIs, and [`explain`] describes any packet byte by byte.
//!
//! ```
//! use portolan_stun::{Attribute, Class, Message, Method, Writer};
//!
//! let mut buffer = [0; 64];
//! let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, [7; 12].into())?;
//! writer.add(&Attribute::XorMappedAddress("192.0.2.1:32853".parse()?))?;
//! let bytes = writer.fingerprint()?.finish();
//!
//! let message = Message::decode(bytes)?;
//! message.check_fingerprint()?;
//! assert_eq!(message.xor_mapped_address(), Some("192.0.2.1:32853".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod attribute;
mod crc32;
pub mod demux;
pub mod error;
pub mod explain;
mod fingerprint;
pub mod framing;
pub mod header;
pub mod integrity;
pub mod message;
pub mod uri;
pub mod writer;

pub use attribute::{
    AddressErrorCode, AddressFamily, Attribute, AttributeType, ChangeRequest, ErrorCode, Icmp, NetworkCost,
    PasswordAlgorithm, PasswordAlgorithms, Text, UnknownAttributes,
};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, IntegrityError, Lengths, RfcSection};
pub use header::{Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, is_stun};
pub use integrity::{Integrity, IntegrityKey, userhash};
pub use message::{
    Attributes, Authenticated, Checked, Exempt, Field, Fields, FingerprintPolicy, Message, Unverified, Verified,
};
pub use writer::{ResponseClass, Writer};
