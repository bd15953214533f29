//! The reply to a Binding request.
//!
//! Rules of this file: the functions are pure. [`plan`] selects the reply (RFC 8489 §6.3.1, RFC 5780 §6.1), and
//! [`write_reply`] encodes it. Unknown or unsupported attributes (420) are checked first, then invalid requests
//! (400), then the response is a success. A reply is as short as possible, because with a forged source address it is
//! sent to a victim. It has no SOFTWARE. The reply to a bare request has only XOR-MAPPED-ADDRESS, unless the server
//! has an alternate address.

use crate::authenticator::Signature;
use crate::binding::{self, Unknown};
use alloc::vec;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Checked, EncodeError, ErrorCode, HEADER_LEN, Message, ResponseClass,
    Writer,
};

/// The capabilities of the socket of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capabilities {
    /// Whether all four sockets of the group are open.
    pub(super) alternate: bool,
    /// Whether the request is a datagram. Only then the reply can have another source address or another destination
    /// port.
    pub(super) datagram: bool,
}

/// The kind of reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Success { change: ChangeRequest, response_port: Option<u16>, padding: Option<usize>, bare: bool },
    Unknown(Unknown),
    BadRequest,
}

/// Selects the reply to a Binding request.
pub(super) fn plan<T: Checked>(request: &Message<'_, T>, capabilities: Capabilities) -> Plan {
    let (mut change, mut response_port, mut padding) = (None, None, None);
    let (mut unknown, mut malformed) = (Unknown::new(), false);
    for field in request.fields() {
        match field.kind {
            AttributeType::CHANGE_REQUEST if change.is_none() => {
                change = request.change_request();
                malformed |= change.is_none();
                // RFC 5780 §6.1: without an alternate address the reply is 420 for any flags. Over a stream a
                // response cannot be sent from another address or port.
                let is_change = change.is_some_and(|change| change != ChangeRequest::NONE);
                if !capabilities.alternate || is_change && !capabilities.datagram {
                    unknown.add(field.kind);
                }
            }
            AttributeType::RESPONSE_PORT if response_port.is_none() => {
                response_port = request.response_port();
                // A response cannot be sent to port 0.
                malformed |= response_port.is_none_or(|port| port == 0);
                if !capabilities.datagram {
                    unknown.add(field.kind);
                }
            }
            AttributeType::PADDING if padding.is_none() => padding = Some(field.value.len()),
            AttributeType::CHANGE_REQUEST | AttributeType::RESPONSE_PORT | AttributeType::PADDING => {}
            // This server supports no attributes of ICE and TURN, and no RESPONSE-ADDRESS of RFC 3489, by which a client
            // could send replies to any address.
            kind if kind.is_comprehension_required() && !AttributeType::BASE.contains(&kind) => unknown.add(kind),
            _ => {}
        }
    }
    if !unknown.is_empty() {
        return Plan::Unknown(unknown);
    }
    // RFC 5780 §7.5: a request must not have both RESPONSE-PORT and PADDING.
    if malformed || response_port.is_some() && padding.is_some() {
        return Plan::BadRequest;
    }
    let bare = change.is_none() && response_port.is_none() && padding.is_none();
    Plan::Success { change: change.unwrap_or(ChangeRequest::NONE), response_port, padding, bare }
}

/// The addresses that a success response reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportedAddresses {
    /// The source of the request.
    pub(super) mapped: SocketAddr,
    /// The source of the reply, as it is advertised.
    pub(super) origin: SocketAddr,
    /// The other address and port, if the socket has an alternate.
    pub(super) other: Option<SocketAddr>,
}

/// The largest length of a reply without PADDING.
const SMALL: usize = 256;
/// RFC 5780 §7.6: the IP datagram must be below 64 kB, with the 48 bytes of the IPv6 and UDP headers and with the
/// rest of the reply.
const PADDING_LIMIT: usize = 65_535 - 48 - SMALL;

/// Writes the reply, with integrity if the request was verified, and with FINGERPRINT if the request has it (RFC 8489
/// §7).
pub(super) fn write_reply<T: Checked>(
    request: &Message<'_, T>,
    plan: &Plan,
    addresses: ReportedAddresses,
    signature: Option<&Signature>,
) -> Result<Bytes, EncodeError> {
    // A departure from RFC 5780 §6.1, which requires the length of the MTU: the padding is not longer than that of
    // the request.
    let padding = match plan {
        Plan::Success { padding, .. } => padding.map(|length| length.min(PADDING_LIMIT)),
        Plan::Unknown(_) | Plan::BadRequest => None,
    };
    let mut small = [0; SMALL];
    let mut large;
    let buffer = match padding {
        None => small.as_mut_slice(),
        Some(length) => {
            large = vec![0; SMALL + HEADER_LEN + length];
            large.as_mut_slice()
        }
    };
    let mut writer = match plan {
        Plan::Unknown(unknown) => unknown.response(buffer, request)?,
        Plan::BadRequest => {
            let mut writer = Writer::response(buffer, request, ResponseClass::Error)?;
            if let Some(error) = ErrorCode::recommended(ErrorCode::BAD_REQUEST) {
                writer.add(&Attribute::ErrorCode(error))?;
            }
            writer
        }
        Plan::Success { bare, .. } => {
            let mut writer = binding::success(buffer, request, addresses.mapped)?;
            if !bare || addresses.other.is_some() {
                writer.add(&Attribute::MappedAddress(addresses.mapped))?;
                writer.add(&Attribute::ResponseOrigin(addresses.origin))?;
            }
            if let Some(other) = addresses.other {
                writer.add(&Attribute::OtherAddress(other))?;
            }
            writer
        }
    };
    if let Some(length) = padding {
        writer.add_padding(length)?;
    }
    Ok(Bytes::copy_from_slice(binding::finish(writer, request, signature)?))
}
