//! The probe: the message of the puncher.
//!
//! A probe is a STUN request of a private method, and its answer is a success response with the same transaction ID (RFC
//! 8489 §6). Both have MESSAGE-INTEGRITY with the key of the session, and one private attribute:
//!
//! ```text
//!  0                   1                   2                   3
//! +---------------+---------------+-------------------------------+
//! | 1: first side |     flags     |             round             |
//! +---------------+---------------+-------------------------------+
//! ```
//!
//! * The first byte names the side of the sender. A side drops messages of its own side, so a reflected probe is no
//!   probe of the peer.
//! * Flag 1, *selected*: the sender has chosen the path. Only the first side chooses.
//! * Flag 2, *heard*: an authentic packet of the peer came to the sender on this path.
//! * The *round* counts the losses of the path. A higher round says that the sender punches again.
//!
//! A response shows that the path of its request works in one direction: only the peer has the key, and the transaction
//! ID is random. So the source of a response is of no importance. A request and a response have the same size, so
//! nothing is amplified.

use super::config::SessionKey;
use bytes::Bytes;
use portolan_stun::{Attribute, AttributeType, Class, Integrity, Message, Method, TransactionId, Writer, length};

/// The method, which is not registered.
const METHOD: Option<Method> = Method::new(0x0f1);
/// The attribute, which is not registered. A receiver must understand it.
const PUNCH: AttributeType = AttributeType::new(0x7f10);
/// The length of a probe.
const LENGTH: usize = portolan_stun::HEADER_LEN + 8 + length::MESSAGE_INTEGRITY;

/// A probe or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) id: TransactionId,
    pub(super) is_response: bool,
    /// Whether the sender is the first side.
    pub(super) is_first: bool,
    pub(super) is_selected: bool,
    pub(super) is_heard: bool,
    pub(super) round: u16,
}

/// The result of decoding a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// An authentic probe.
    Probe(Probe),
    /// A probe that is malformed, or that does not have the key of the session.
    Invalid,
    /// STUN of another method. It belongs to another machine.
    OtherStun,
    /// No STUN.
    Data,
}

impl Probe {
    /// The bytes of the probe; `None` never happens, because the buffer fits.
    pub(super) fn encode(&self, key: &SessionKey) -> Option<Bytes> {
        let mut buffer = [0; LENGTH];
        let class = if self.is_response { Class::SuccessResponse } else { Class::Request };
        let mut writer = Writer::new(&mut buffer, class, METHOD?, self.id).ok()?;
        let [high, low] = self.round.to_be_bytes();
        let value = [u8::from(self.is_first), u8::from(self.is_selected) | u8::from(self.is_heard) << 1, high, low];
        writer.add(&Attribute::Unknown { kind: PUNCH, value: &value }).ok()?;
        Some(Bytes::copy_from_slice(writer.message_integrity(key.integrity()).ok()?.finish()))
    }

    /// Decodes and authenticates a datagram.
    pub(super) fn decode(payload: &[u8], key: &SessionKey) -> Decoded {
        if !portolan_stun::is_stun(payload) {
            return Decoded::Data;
        }
        let Ok(message) = Message::decode(payload) else { return Decoded::OtherStun };
        if Some(message.method()) != METHOD {
            return Decoded::OtherStun;
        }
        let Ok(verified) = message.verify_with(key.integrity(), Integrity::Sha1) else { return Decoded::Invalid };
        let is_response = match verified.class() {
            Class::Request => false,
            Class::SuccessResponse => true,
            Class::Indication | Class::ErrorResponse => return Decoded::Invalid,
        };
        let Some(Ok(Attribute::Unknown { value: &[first, flags, high, low], .. })) = verified.attribute(PUNCH) else {
            return Decoded::Invalid;
        };
        Decoded::Probe(Self {
            id: verified.transaction_id(),
            is_response,
            is_first: first & 1 == 1,
            is_selected: flags & 1 == 1,
            is_heard: flags & 2 == 2,
            round: u16::from_be_bytes([high, low]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_stun::demux::Protocol;

    fn probe() -> Probe {
        Probe { id: [7; 12].into(), is_response: false, is_first: true, is_selected: true, is_heard: false, round: 258 }
    }

    #[test]
    fn a_probe_round_trips_and_begins_like_stun() {
        let key = SessionKey::new(b"secret", &[1; 16]);
        for (is_response, is_selected) in [(false, true), (true, false)] {
            let sent = Probe { is_response, is_selected, is_heard: is_response, ..probe() };
            let bytes = sent.encode(&key).unwrap();
            assert_eq!((bytes.len(), Protocol::of(&bytes)), (LENGTH, Some(Protocol::Stun)));
            assert_eq!(Probe::decode(&bytes, &key), Decoded::Probe(sent));
        }
    }

    #[test]
    fn another_secret_another_session_or_a_changed_byte_is_invalid() {
        let key = SessionKey::new(b"secret", &[1; 16]);
        let bytes = probe().encode(&key).unwrap();
        for other in [SessionKey::new(b"secret", &[2; 16]), SessionKey::new(b"other", &[1; 16])] {
            assert_eq!(Probe::decode(&bytes, &other), Decoded::Invalid);
        }
        for at in 8..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert!(!matches!(Probe::decode(&changed, &key), Decoded::Probe(_)), "byte {at}");
        }
        assert_eq!(Probe::decode(b"hello", &key), Decoded::Data);
        assert_eq!(Probe::decode(b"", &key), Decoded::Data);
    }
}
