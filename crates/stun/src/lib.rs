//! A STUN codec (RFC 8489): decodes and encodes messages without an allocator, without I/O and without panics.
//!
//! This crate allocates nothing, reads no clock, has no RNG and opens no socket. It retransmits nothing and keeps no
//! transactions and no credentials. It prepares no strings beyond ASCII and does not wipe keys from memory. No input
//! from a peer causes a panic. `portolan-stun-agent` builds transactions and credentials on this crate.
//!
//! [`Message`] validates a datagram once and reads it in place. [`Writer`] fills a buffer of the caller.
//! [`IntegrityKey`] computes and verifies message integrity. [`Attribute`] holds the registry of attributes.
//! [`demux`] returns the protocol of a packet on a shared socket. [`framing`] splits streams into messages, [`uri`]
//! parses server URIs, and [`explain`] describes any packet byte by byte. [`length`] has the sizes of buffers.
//!
//! # Read and write a message
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
//!
//! # A server
//!
//! A public Binding server (RFC 8489 §6.3.1). It drops everything that is no intact request, and refuses attributes that
//! it does not understand. `cargo run -p portolan-stun --example binding_server` runs it with a client.
//!
//! ```no_run
//! use portolan_stun::{Attribute, AttributeType, Class, FingerprintPolicy, Message, Method, ResponseClass, Writer};
//! use std::net::{SocketAddr, UdpSocket};
//!
//! fn respond<'b>(datagram: &[u8], from: SocketAddr, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
//!     // RFC 8489 §7: a FINGERPRINT that is present must be correct.
//!     let request = Message::decode_with(datagram, FingerprintPolicy::IfPresent).ok()?;
//!     if request.class() != Class::Request || request.method() != Method::BINDING {
//!         return None; // never a response to a response
//!     }
//!     let request = request.exempt(); // this server needs no credentials
//!     let mut unknown = request.not_understood(AttributeType::BASE).take(16).peekable();
//!     let writer = if unknown.peek().is_some() {
//!         Writer::unknown_attribute_response(buffer, &request, unknown).ok()? // 420
//!     } else {
//!         let mut writer = Writer::response(buffer, &request, ResponseClass::Success).ok()?;
//!         writer.add(&Attribute::XorMappedAddress(from)).ok()?;
//!         writer
//!     };
//!     // The response has FINGERPRINT if the request has it.
//!     Some(if request.has_fingerprint() { writer.fingerprint().ok()?.finish() } else { writer.finish() })
//! }
//!
//! let socket = UdpSocket::bind("127.0.0.1:3478")?;
//! let (mut input, mut output) = ([0; 1500], [0; portolan_stun::length::unknown_attribute_response(16)]);
//! loop {
//!     let (length, from) = socket.recv_from(&mut input)?;
//!     if let Some(response) = respond(&input[..length], from, &mut output) {
//!         socket.send_to(response, from)?;
//!     }
//! }
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
pub mod length;
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
