//! The responses of the server (RFC 8489 §6.3.1, RFC 8656 §7.2, §8.2, §10.2, §12.2).
//!
//! Rules of this file: the functions are pure. A response has the integrity of its request, and FINGERPRINT if the
//! request has one. SOFTWARE is only in responses to authenticated Allocate and Refresh requests. A
//! reply without credentials is as short as possible, because with a forged source address it is sent to a victim.

use bytes::Bytes;
use portolan_stun::{
    Attribute, AttributeType, Checked, Class, EncodeError, ErrorCode, Message, Method, TransactionId, Writer,
};
use portolan_stun_agent::authenticator::Signature;

/// What a response needs of its authenticated request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) id: TransactionId,
    pub(super) fingerprint: bool,
    pub(super) signature: Signature,
}

/// The contents of a response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply<'a> {
    Success(&'a [Attribute<'a>]),
    Error(u16),
    Unknown(&'a Unknown),
}

impl Asked {
    pub(super) fn new<T: Checked>(request: &Message<'_, T>, signature: Signature) -> Self {
        let (method, id, fingerprint) = (request.method(), request.transaction_id(), request.has_fingerprint());
        Self { method, id, fingerprint, signature }
    }

    /// Encodes the response.
    pub(super) fn write(&self, reply: Reply<'_>, software: Option<&str>) -> Result<Bytes, EncodeError> {
        let mut buffer = [0; LONGEST];
        let class = match reply {
            Reply::Success(_) => Class::SuccessResponse,
            Reply::Error(_) | Reply::Unknown(_) => Class::ErrorResponse,
        };
        let mut writer = Writer::new(&mut buffer, class, self.method, self.id)?;
        match reply {
            Reply::Success(attributes) => attributes.iter().try_for_each(|attribute| writer.add(attribute))?,
            Reply::Error(code) => add_code(&mut writer, code)?,
            Reply::Unknown(unknown) => {
                add_code(&mut writer, ErrorCode::UNKNOWN_ATTRIBUTE)?;
                writer.add_unknown_attributes(unknown.types())?;
            }
        }
        if let Some(software) = software.filter(|_| matches!(self.method, Method::ALLOCATE | Method::REFRESH)) {
            writer.add(&Attribute::Software(software.into()))?;
        }
        self.signature.finish(writer, self.fingerprint).map(Bytes::copy_from_slice)
    }
}

fn add_code(writer: &mut Writer<'_>, code: u16) -> Result<(), EncodeError> {
    match ErrorCode::recommended(code) {
        Some(error) => writer.add(&Attribute::ErrorCode(error)),
        None => Ok(()),
    }
}

/// The largest length of a response: header, two relayed addresses, the mapped address, LIFETIME, RESERVATION-TOKEN,
/// ADDRESS-ERROR-CODE, SOFTWARE, integrity and FINGERPRINT.
const LONGEST: usize = 20 + 3 * 24 + 8 + 12 + 40 + 132 + 36 + 8;

/// The comprehension-required types in a 420: the first 16, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    types: [AttributeType; 16],
    count: usize,
}

impl Unknown {
    /// The attributes of a request that the server does not know; `None` if it knows all.
    pub(super) fn of<T: Checked>(request: &Message<'_, T>) -> Option<Self> {
        let mut unknown = Self { types: [AttributeType::new(0); 16], count: 0 };
        for kind in request.not_understood(UNDERSTOOD) {
            if unknown.types().all(|known| known != kind)
                && let Some(slot) = unknown.types.get_mut(unknown.count)
            {
                *slot = kind;
                unknown.count += 1;
            }
        }
        (unknown.count > 0).then_some(unknown)
    }

    fn types(&self) -> impl Iterator<Item = AttributeType> + Clone {
        self.types.iter().take(self.count).copied()
    }
}

/// The comprehension-required types that the server knows: those of RFC 8489, RFC 8656 and RFC 6062.
const UNDERSTOOD: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::DATA,
    AttributeType::XOR_RELAYED_ADDRESS,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::EVEN_PORT,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::DONT_FRAGMENT,
    AttributeType::RESERVATION_TOKEN,
    AttributeType::CONNECTION_ID,
];
