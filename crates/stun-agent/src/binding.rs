//! The response to a Binding request (RFC 8489 §6.3.1).
//!
//! Rules of this file: the functions are pure and allocate nothing. A response is as short as possible, because with a
//! forged source address it is sent to a victim: it has no SOFTWARE. An unknown comprehension-required attribute causes
//! a 420.
//!
//! ```
//! use portolan_stun::{Class, Message, Method, Writer};
//! use portolan_stun_agent::binding::{self, RESPONSE_LEN};
//!
//! let mut buffer = [0; 20];
//! let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into())?.finish();
//! let request = Message::decode(request)?.exempt();
//! let source = "198.51.100.7:40000".parse()?;
//!
//! let mut buffer = [0; RESPONSE_LEN];
//! let response = binding::response(&mut buffer, &request, source, None)?;
//! assert_eq!((response.code, response.bytes.len()), (None, 32));
//! assert_eq!(Message::decode(response.bytes)?.xor_mapped_address(), Some(source));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::authenticator::Signature;
use core::net::SocketAddr;
use portolan_stun::{
    Attribute, AttributeType, Checked, EncodeError, ErrorCode, Message, ResponseClass, Writer, length,
};

/// An encoded response to a Binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'b> {
    /// The message.
    pub bytes: &'b [u8],
    /// The error code: 420 or, for a success response, `None`.
    pub code: Option<u16>,
}

/// The largest length of a response of [`response`] in bytes.
pub const RESPONSE_LEN: usize =
    length::unknown_attribute_response(Unknown::LIMIT) + length::MESSAGE_INTEGRITY_SHA256_MAX;

/// Encodes the response to a Binding request, without the attributes of RFC 5780.
///
/// A success response has only XOR-MAPPED-ADDRESS. A request with comprehension-required attributes that are not
/// those of RFC 8489 gets a 420, with the first 16 of their types. The response has the integrity of `signature`, and
/// FINGERPRINT if the request has it (§7).
///
/// The caller checks before that the message is a Binding request with a correct FINGERPRINT, and limits the rate of
/// responses.
///
/// # Errors
/// * [`EncodeError::NotARequest`] when `request` is not a request.
/// * [`EncodeError::BufferTooShort`] when the response does not fit into the buffer. Every response fits into
///   [`RESPONSE_LEN`] bytes.
pub fn response<'b, T: Checked>(
    buffer: &'b mut [u8],
    request: &Message<'_, T>,
    mapped: SocketAddr,
    signature: Option<&Signature>,
) -> Result<Response<'b>, EncodeError> {
    let mut unknown = Unknown::new();
    request.not_understood(AttributeType::BASE).for_each(|kind| unknown.add(kind));
    let (writer, code) = if unknown.is_empty() {
        (success(buffer, request, mapped)?, None)
    } else {
        (unknown.response(buffer, request)?, Some(ErrorCode::UNKNOWN_ATTRIBUTE))
    };
    Ok(Response { bytes: finish(writer, request, signature)?, code })
}

/// Begins a success response with XOR-MAPPED-ADDRESS.
#[inline]
pub(crate) fn success<'b, T: Checked>(
    buffer: &'b mut [u8],
    request: &Message<'_, T>,
    mapped: SocketAddr,
) -> Result<Writer<'b>, EncodeError> {
    let mut writer = Writer::response(buffer, request, ResponseClass::Success)?;
    writer.add(&Attribute::XorMappedAddress(mapped))?;
    Ok(writer)
}

/// Ends a response with integrity if the request was verified, and with FINGERPRINT if the request has it (RFC 8489
/// §7).
#[inline]
pub(crate) fn finish<'b, T: Checked>(
    writer: Writer<'b>,
    request: &Message<'_, T>,
    signature: Option<&Signature>,
) -> Result<&'b [u8], EncodeError> {
    let fingerprint = request.has_fingerprint();
    match signature {
        Some(signature) => signature.finish(writer, fingerprint),
        None if fingerprint => Ok(writer.fingerprint()?.finish()),
        None => Ok(writer.finish()),
    }
}

/// The comprehension-required types in a 420: the first 16, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    types: [AttributeType; Self::LIMIT],
    count: usize,
}

impl Unknown {
    const LIMIT: usize = 16;

    pub(crate) const fn new() -> Self {
        Self { types: [AttributeType::new(0); Self::LIMIT], count: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn add(&mut self, kind: AttributeType) {
        if self.types().all(|known| known != kind)
            && let Some(slot) = self.types.get_mut(self.count)
        {
            *slot = kind;
            self.count += 1;
        }
    }

    /// Begins the 420 with these types.
    pub(crate) fn response<'b, T: Checked>(
        &self,
        buffer: &'b mut [u8],
        request: &Message<'_, T>,
    ) -> Result<Writer<'b>, EncodeError> {
        Writer::unknown_attribute_response(buffer, request, self.types())
    }

    fn types(&self) -> impl Iterator<Item = AttributeType> + Clone {
        self.types.iter().take(self.count).copied()
    }
}
