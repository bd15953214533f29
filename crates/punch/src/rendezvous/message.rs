//! The messages of the rendezvous.
//!
//! Rules of this file: the functions are pure. They read only attributes that the integrity covers, and of each type
//! the first, except candidates. The numbers are private, in the ranges of expert review (RFC 8489 §18.2, §18.3). The
//! attributes are comprehension-optional.

use super::note::RequestRefusal;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;
use portolan_stun::{
    Attribute, AttributeType, Class, EncodeError, HEADER_LEN, Integrity, IntegrityKey, Message, Method, TransactionId,
    Verified, Writer, is_stun, length,
};
use portolan_stun_agent::Request;
use portolan_stun_agent::authenticator::Signature;
use portolan_stun_agent::source::can_receive_reply;

/// The method of all messages of the rendezvous, 0x0f0.
pub const METHOD: Method = match Method::new(0x0f0) {
    Some(method) => method,
    None => Method::BINDING,
};

/// The message types of [`METHOD`] (RFC 8489 §5, figure 3).
const REQUEST_TYPE: [u8; 2] = [0x02, 0xe0];
const INDICATION_TYPE: [u8; 2] = [0x02, 0xf0];
const RESPONSE_TYPES: [[u8; 2]; 2] = [[0x03, 0xe0], [0x03, 0xf0]];

/// The longest NAT card in bytes.
pub const CARD_LEN: usize = 512;
/// The largest number of host candidates of a peer.
pub const CANDIDATES: usize = 16;
/// The longest name of a room in bytes.
pub const ROOM_LEN: usize = 64;

/// The NAT card: text without control characters.
const CARD: AttributeType = AttributeType::new(0xc0f0);
/// The id of a peer: 16 bytes.
const PEER_ID: AttributeType = AttributeType::new(0xc0f1);
/// The introduction: the time that is left in microseconds (4 bytes), whether the receiver is the first peer (1 byte), 3
/// zero bytes, and the id of the other peer.
const INTRODUCTION: AttributeType = AttributeType::new(0xc0f2);

/// The length of an attribute with the value of an introduction.
const INTRODUCTION_LEN: usize = 4 + 24;
const LIFETIME_LEN: usize = 8;

/// The largest length of a response: header, reflexive address, LIFETIME, introduction, addresses and card of the peer,
/// integrity and FINGERPRINT.
pub(super) const RESPONSE_MAX: usize = HEADER_LEN
    + (2 + CANDIDATES) * length::ADDRESS_MAX
    + LIFETIME_LEN
    + INTRODUCTION_LEN
    + 4
    + CARD_LEN
    + length::MESSAGE_INTEGRITY_SHA256_MAX
    + length::FINGERPRINT;

/// The least length of a request without credentials. The credentials of the shortest name have 124 bytes, so that no
/// response is longer than its signed request, and no challenge is longer than its request.
pub(super) const UNSIGNED_LEAST: usize = RESPONSE_MAX - 124;

/// The random name of a peer, fresh for each start of a client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PeerId(pub(super) [u8; 16]);

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The comprehension-required types that a request may have.
pub(super) const UNDERSTOOD: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::PADDING,
];

/// Whether the bytes have the header of a request of the rendezvous.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    bytes.starts_with(&REQUEST_TYPE) && is_stun(bytes)
}

/// Whether the bytes have the header of a wake.
pub(super) fn is_wake(bytes: &[u8]) -> bool {
    bytes.starts_with(&INDICATION_TYPE) && is_stun(bytes)
}

/// Whether the bytes have the header of a response of the rendezvous.
pub(super) fn is_response(bytes: &[u8]) -> bool {
    RESPONSE_TYPES.iter().any(|kind| bytes.starts_with(kind)) && is_stun(bytes)
}

/// Whether a text can be a card.
pub(super) fn is_card(text: &str) -> bool {
    text.len() <= CARD_LEN && !text.chars().any(char::is_control)
}

/// The content of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) id: PeerId,
    pub(super) card: Option<Box<str>>,
    pub(super) candidates: Box<[SocketAddr]>,
    /// Whether the request ends the registration.
    pub(super) leaves: bool,
}

impl Registration {
    /// Reads a request.
    pub(super) fn read(request: &Verified<'_>) -> Result<Self, RequestRefusal> {
        let id = value(request, PEER_ID).and_then(|value| value.try_into().ok()).ok_or(RequestRefusal::NoId)?;
        let card = read_card(request).map_err(|()| RequestRefusal::Card)?;
        let addresses = read_addresses(request).ok_or(RequestRefusal::Candidates)?;
        if addresses.len() > CANDIDATES || !addresses.iter().all(|address| can_receive_reply(*address)) {
            return Err(RequestRefusal::Candidates);
        }
        let leaves = request.attributes().flatten().any(|attribute| attribute == Attribute::Lifetime(0));
        Ok(Self { id: PeerId(id), card, candidates: addresses.into(), leaves })
    }

    /// Adds the content to a request, and pads the request.
    pub(super) fn add_to<T>(&self, request: Request<T>) -> Result<Request<T>, EncodeError> {
        let mut request = request.attribute(&Attribute::Unknown { kind: PEER_ID, value: &self.id.0 })?;
        if self.leaves {
            request = request.attribute(&Attribute::Lifetime(0))?;
        }
        if let Some(card) = &self.card {
            request = request.attribute(&Attribute::Unknown { kind: CARD, value: card.as_bytes() })?;
        }
        for candidate in &self.candidates {
            request = request.attribute(&Attribute::XorPeerAddress(*candidate))?;
        }
        let missing = UNSIGNED_LEAST.saturating_sub(HEADER_LEN + request.attributes.len() + 4);
        Ok(match u16::try_from(missing) {
            Ok(missing) if missing > 0 => request.padding(missing),
            Ok(_) | Err(_) => request,
        })
    }
}

/// The other peer, as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtherPeer {
    pub(super) id: PeerId,
    /// The time to the start, when the server sent the response.
    pub(super) left: Duration,
    /// Whether the receiver is the first peer.
    pub(super) first: bool,
    pub(super) reflexive: SocketAddr,
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) card: Option<Box<str>>,
}

/// The content of a success response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) reflexive: SocketAddr,
    pub(super) lifetime: Duration,
    pub(super) peer: Option<OtherPeer>,
}

impl Registered {
    /// Reads a response that is verified. `None`: it is not complete, or a value is invalid.
    pub(super) fn read(response: &Message<'_>) -> Option<Self> {
        let reflexive = response.xor_mapped_address()?;
        let lifetime = match response.attribute(AttributeType::LIFETIME)? {
            Ok(Attribute::Lifetime(seconds)) => Duration::from_secs(seconds.into()),
            Ok(_) | Err(_) => return None,
        };
        let Some(introduction) = value(response, INTRODUCTION) else {
            return Some(Self { reflexive, lifetime, peer: None });
        };
        let (left, rest) = introduction.split_first_chunk::<4>()?;
        let (&[first, _, _, _], id) = rest.split_first_chunk::<4>()?;
        let mut addresses = read_addresses(response)?.into_iter();
        let peer_reflexive = addresses.next()?;
        // A response can have addresses to which nothing can be sent. The others are usable.
        let candidates: Vec<_> = addresses.filter(|address| can_receive_reply(*address)).collect();
        let peer = OtherPeer {
            id: PeerId(id.try_into().ok()?),
            left: Duration::from_micros(u32::from_be_bytes(*left).into()),
            first: first != 0,
            reflexive: peer_reflexive,
            candidates,
            card: read_card(response).ok()?,
        };
        let is_valid = can_receive_reply(peer.reflexive) && peer.candidates.len() <= CANDIDATES;
        is_valid.then_some(Self { reflexive, lifetime, peer: Some(peer) })
    }

    /// Adds the content to a response.
    pub(super) fn add_to(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.add(&Attribute::XorMappedAddress(self.reflexive))?;
        let seconds = u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX);
        writer.add(&Attribute::Lifetime(seconds))?;
        let Some(peer) = &self.peer else { return Ok(()) };
        let left = u32::try_from(peer.left.as_micros()).unwrap_or(u32::MAX).to_be_bytes();
        let value = [&left[..], &[u8::from(peer.first), 0, 0, 0], &peer.id.0].concat();
        writer.add(&Attribute::Unknown { kind: INTRODUCTION, value: &value })?;
        writer.add(&Attribute::XorPeerAddress(peer.reflexive))?;
        peer.candidates.iter().try_for_each(|candidate| writer.add(&Attribute::XorPeerAddress(*candidate)))?;
        match &peer.card {
            Some(card) => writer.add(&Attribute::Unknown { kind: CARD, value: card.as_bytes() }),
            None => Ok(()),
        }
    }
}

/// Encodes a wake. `other` is the peer that has arrived.
pub(super) fn encode_wake(id: TransactionId, other: PeerId, signature: &Signature) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = [0; HEADER_LEN + 20 + length::MESSAGE_INTEGRITY_SHA256_MAX];
    let mut writer = Writer::new(&mut buffer, Class::Indication, METHOD, id)?;
    writer.add(&Attribute::Unknown { kind: PEER_ID, value: &other.0 })?;
    signature.finish(writer, false).map(<[u8]>::to_vec)
}

/// Returns the peer of a wake; `None` if the wake is not verified or not complete.
pub(super) fn read_wake(bytes: &[u8], key: &IntegrityKey) -> Option<PeerId> {
    let wake = Message::decode(bytes).ok()?.verify_with(key, Integrity::SHA256).ok()?;
    Some(PeerId(value(&wake, PEER_ID)?.try_into().ok()?))
}

/// The addresses and the socket of a client, as the server sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) socket: SocketId,
    /// The address of the server that the client uses.
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

fn value<'a, T>(message: &Message<'a, T>, kind: AttributeType) -> Option<&'a [u8]> {
    message.fields().find(|field| field.kind == kind).map(|field| field.value)
}

fn read_card<T>(message: &Message<'_, T>) -> Result<Option<Box<str>>, ()> {
    let Some(value) = value(message, CARD) else { return Ok(None) };
    let text = core::str::from_utf8(value).map_err(|_| ())?;
    if is_card(text) { Ok(Some(text.into())) } else { Err(()) }
}

/// All addresses of XOR-PEER-ADDRESS; `None` if one of them is malformed.
fn read_addresses<T>(message: &Message<'_, T>) -> Option<Vec<SocketAddr>> {
    let addresses = message.attributes().flatten().filter_map(|attribute| {
        let Attribute::XorPeerAddress(address) = attribute else { return None };
        Some(address)
    });
    let addresses: Vec<_> = addresses.collect();
    let present = message.fields().filter(|field| field.kind == AttributeType::XOR_PEER_ADDRESS).count();
    (present == addresses.len()).then_some(addresses)
}
