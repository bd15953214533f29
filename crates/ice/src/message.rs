//! The messages of connectivity checks (RFC 8445 §7.1, §7.3, §11).
//!
//! Rules of this file: the functions are pure. Every message has FINGERPRINT (§7.2.4). A response to a request that is not
//! authenticated has no integrity (RFC 8489 §9.1.3).

use crate::role::Role;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_stun::attribute::Text;
use portolan_stun::{
    Attribute, AttributeType, Checked, Class, EncodeError, ErrorCode, IntegrityKey, Message, Method, ResponseClass,
    TransactionId, Writer,
};

/// The content of a check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckMessage<'a> {
    pub(crate) id: TransactionId,
    /// The remote username fragment, a colon, and the local one (§7.2.2).
    pub(crate) username: &'a str,
    pub(crate) key: &'a IntegrityKey,
    pub(crate) priority: u32,
    pub(crate) role: Role,
    pub(crate) use_candidate: bool,
    pub(crate) nomination: Option<u32>,
}

/// Encodes a check.
///
/// # Errors
/// [`EncodeError`] when the username does not fit into [`CHECK_LEN`].
pub(crate) fn check(message: &CheckMessage<'_>) -> Result<Bytes, EncodeError> {
    let mut buffer = [0; CHECK_LEN];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, message.id)?;
    writer.add(&Attribute::Username(Text::new(message.username)))?;
    writer.add(&Attribute::Priority(message.priority))?;
    writer.add(&match message.role {
        Role::Controlling { tie_breaker } => Attribute::IceControlling(tie_breaker),
        Role::Controlled { tie_breaker } => Attribute::IceControlled(tie_breaker),
    })?;
    if message.use_candidate {
        writer.add(&Attribute::UseCandidate)?;
    }
    if let Some(nomination) = message.nomination {
        writer.add(&Attribute::Nomination(nomination))?;
    }
    let bytes = writer.message_integrity(message.key)?.fingerprint()?.finish();
    Ok(Bytes::copy_from_slice(bytes))
}

/// Encodes the success response to a check, with the source address of the request (§7.3.1.2).
///
/// # Errors
/// [`EncodeError::NotARequest`] when `request` is not a request.
pub(crate) fn success<T: Checked>(
    request: &Message<'_, T>,
    mapped: SocketAddr,
    key: &IntegrityKey,
) -> Result<Bytes, EncodeError> {
    let mut buffer = [0; SUCCESS_LEN];
    let mut writer = Writer::response(&mut buffer, request, ResponseClass::Success)?;
    writer.add(&Attribute::XorMappedAddress(mapped))?;
    Ok(Bytes::copy_from_slice(writer.message_integrity(key)?.fingerprint()?.finish()))
}

/// Encodes an error response, with integrity if the request was authenticated.
///
/// # Errors
/// [`EncodeError::NotARequest`] when `request` is not a request.
pub(crate) fn error<T: Checked>(
    request: &Message<'_, T>,
    code: u16,
    key: Option<&IntegrityKey>,
) -> Result<Bytes, EncodeError> {
    let mut buffer = [0; ERROR_LEN];
    let mut writer = Writer::response(&mut buffer, request, ResponseClass::Error)?;
    if let Some(error) = ErrorCode::recommended(code).or_else(|| ErrorCode::new(code, Text::new(""))) {
        writer.add(&Attribute::ErrorCode(error))?;
    }
    if code == ErrorCode::UNKNOWN_ATTRIBUTE {
        writer.add_unknown_attributes(request.not_understood(KNOWN).take(UNKNOWN_LIMIT))?;
    }
    let bytes = match key {
        Some(key) => writer.message_integrity(key)?.fingerprint()?.finish(),
        None => writer.fingerprint()?.finish(),
    };
    Ok(Bytes::copy_from_slice(bytes))
}

/// Encodes a keepalive: a Binding indication without authentication (§11).
///
/// # Errors
/// None: the buffer is long enough.
pub(crate) fn keepalive(id: TransactionId) -> Result<Bytes, EncodeError> {
    let mut buffer = [0; KEEPALIVE_LEN];
    let writer = Writer::new(&mut buffer, Class::Indication, Method::BINDING, id)?;
    Ok(Bytes::copy_from_slice(writer.fingerprint()?.finish()))
}

/// The comprehension-required attributes that an agent understands, or ignores as RFC 8489 §6.3 allows.
pub(crate) const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
];

/// A username has at most 513 bytes.
const CHECK_LEN: usize = 20 + (4 + 516) + 8 + 12 + 4 + 8 + 24 + 8;
const SUCCESS_LEN: usize = 20 + 24 + 24 + 8;
const UNKNOWN_LIMIT: usize = 16;
const ERROR_LEN: usize = 20 + (8 + 32) + (4 + 2 * UNKNOWN_LIMIT) + 24 + 8;
const KEEPALIVE_LEN: usize = 28;
