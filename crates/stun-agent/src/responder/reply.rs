//! What a Binding request asks for, and the reply to it.
//!
//! Rules of this file: pure. [`plan`] reads the request and decides (RFC 8489 §6.3.1, RFC 5780 §6.1), [`write_reply`] writes.
//! First what is not understood or cannot be done (420), then what makes no sense (400), then success. A reply says
//! nothing that was not asked for: no SOFTWARE, and to a bare request of a server without alternate address
//! XOR-MAPPED-ADDRESS alone: with a forged sender address each byte of the reply goes to a victim.

use crate::authenticator::Signature;
use alloc::vec;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Checked, EncodeError, ErrorCode, HEADER_LEN, Message, ResponseClass,
    Writer,
};

/// What the socket of the request can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// All four sockets of the group are open.
    pub(super) alternate: bool,
    /// A datagram: it can be answered from elsewhere, and to elsewhere.
    pub(super) datagram: bool,
}

/// What to reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Success { change: ChangeRequest, response_port: Option<u16>, padding: Option<usize>, bare: bool },
    Unknown(Unknown),
    BadRequest,
}

/// The comprehension-required types that a 420 lists: the first 16, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    types: [AttributeType; 16],
    count: usize,
}

impl Unknown {
    const fn new() -> Self {
        Self { types: [AttributeType::new(0); 16], count: 0 }
    }

    fn add(&mut self, kind: AttributeType) {
        if self.types().all(|known| known != kind)
            && let Some(slot) = self.types.get_mut(self.count)
        {
            *slot = kind;
            self.count += 1;
        }
    }

    pub(super) fn types(&self) -> impl Iterator<Item = AttributeType> + Clone {
        self.types.iter().take(self.count).copied()
    }
}

/// Understood, and without meaning in a Binding request without required credentials, or checked already (RFC 8489
/// §6.3).
///
/// Not among them: the attributes of ICE and TURN, which this is no server for, and RESPONSE-ADDRESS of RFC 3489, which
/// would send replies to anybody's address.
const IGNORED: [AttributeType; 11] = [
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::MESSAGE_INTEGRITY,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::MESSAGE_INTEGRITY_SHA256,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::XOR_MAPPED_ADDRESS,
];

/// Decides what a Binding request gets.
pub(super) fn plan<T: Checked>(request: &Message<'_, T>, means: Means) -> Plan {
    let (mut change, mut response_port, mut padding) = (None, None, None);
    let (mut unknown, mut malformed) = (Unknown::new(), false);
    for field in request.fields() {
        match field.kind {
            AttributeType::CHANGE_REQUEST if change.is_none() => {
                change = request.change_request();
                malformed |= change.is_none();
                // RFC 5780 §6.1: without an alternate address 420, whatever the flags say. Over a stream the flags ask
                // for what a stream cannot do.
                let asks = change.is_some_and(|change| change != ChangeRequest::NONE);
                if !means.alternate || asks && !means.datagram {
                    unknown.add(field.kind);
                }
            }
            AttributeType::RESPONSE_PORT if response_port.is_none() => {
                response_port = request.response_port();
                // Port 0 is no port that anything could be sent to.
                malformed |= response_port.is_none_or(|port| port == 0);
                if !means.datagram {
                    unknown.add(field.kind);
                }
            }
            AttributeType::PADDING if padding.is_none() => padding = Some(field.value.len()),
            AttributeType::CHANGE_REQUEST | AttributeType::RESPONSE_PORT | AttributeType::PADDING => {}
            kind if kind.is_comprehension_required() && !IGNORED.contains(&kind) => unknown.add(kind),
            _ => {}
        }
    }
    if unknown.count > 0 {
        return Plan::Unknown(unknown);
    }
    // RFC 5780 §7.5: never both.
    if malformed || response_port.is_some() && padding.is_some() {
        return Plan::BadRequest;
    }
    let bare = change.is_none() && response_port.is_none() && padding.is_none();
    Plan::Success { change: change.unwrap_or(ChangeRequest::NONE), response_port, padding, bare }
}

/// The addresses of a success response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// Where the request came from.
    pub(super) mapped: SocketAddr,
    /// Where the reply leaves from.
    pub(super) origin: SocketAddr,
    /// The other address and port, where there are such.
    pub(super) other: Option<SocketAddr>,
}

/// Room for every reply without PADDING.
const SMALL: usize = 256;
/// RFC 5780 §7.6: the whole IP datagram stays below 64 kB, also with the 48 bytes of the IPv6 and UDP headers, and with
/// the rest of the reply.
const PADDING_LIMIT: usize = 65_535 - 48 - SMALL;

/// Writes the reply, signed where the request was verified. It ends with FINGERPRINT where the request did (RFC 8489 §7).
pub(super) fn write_reply<T: Checked>(
    request: &Message<'_, T>,
    plan: &Plan,
    told: Told,
    signature: Option<&Signature>,
) -> Result<Bytes, EncodeError> {
    // A departure from RFC 5780 §6.1, which would have it as long as the MTU: not longer than what came.
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
        Plan::Unknown(unknown) => Writer::unknown_attribute_response(buffer, request, unknown.types())?,
        Plan::BadRequest => {
            let mut writer = Writer::response(buffer, request, ResponseClass::Error)?;
            if let Some(error) = ErrorCode::recommended(ErrorCode::BAD_REQUEST) {
                writer.add(&Attribute::ErrorCode(error))?;
            }
            writer
        }
        Plan::Success { bare, .. } => {
            let mut writer = Writer::response(buffer, request, ResponseClass::Success)?;
            writer.add(&Attribute::XorMappedAddress(told.mapped))?;
            if !bare || told.other.is_some() {
                writer.add(&Attribute::MappedAddress(told.mapped))?;
                writer.add(&Attribute::ResponseOrigin(told.origin))?;
            }
            if let Some(other) = told.other {
                writer.add(&Attribute::OtherAddress(other))?;
            }
            writer
        }
    };
    if let Some(length) = padding {
        writer.add_padding(length)?;
    }
    let fingerprint = request.has_fingerprint();
    Ok(Bytes::copy_from_slice(match signature {
        Some(signature) => signature.finish(writer, fingerprint)?,
        None if fingerprint => writer.fingerprint()?.finish(),
        None => writer.finish(),
    }))
}
