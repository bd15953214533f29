//! Compares `Message::decode` with a simple decoder of RFC 8489 §5 and §14 that keeps the attributes in a list. Calls
//! all getters of a message.

use crate::SEEDED;
use portolan_stun::{FingerprintPolicy, Integrity, IntegrityKey, Message, is_stun};

const INTEGRITY: u16 = 0x0008;
const INTEGRITY_SHA256: u16 = 0x001c;
const FINGERPRINT: u16 = 0x8028;

/// An attribute: its type and its value.
type Tlv = (u16, Vec<u8>);

/// Decodes the bytes with both decoders and compares the results. Returns whether the bytes are a message.
pub fn run(bytes: &[u8]) -> bool {
    let decoded = Message::decode(bytes);
    let expected = reference_decode(bytes);
    assert_eq!(decoded.is_ok(), expected.is_some(), "the simple decoder has another result: {decoded:?}");
    let (Ok(message), Some(list)) = (decoded, expected) else {
        if let Err(error) = decoded {
            assert!(error.at <= bytes.len(), "{error} is outside of the message");
        }
        return false;
    };
    assert!(is_stun(bytes), "`is_stun` refuses a message");
    assert_eq!(subject(&message), visible(list), "the visible attributes differ");
    call_getters(&message);
    true
}

/// Returns the attributes of the decoder. The seeded bug: the last value of a message includes the first byte of its
/// padding, if an empty attribute is before it.
fn subject(message: &Message<'_>) -> Vec<Tlv> {
    let mut empty_before = false;
    let value = |field: portolan_stun::Field<'_>| {
        let start = field.at + 4;
        let (end, padded) = (start + field.value.len(), start + field.value.len().next_multiple_of(4));
        let leaks = SEEDED && empty_before && padded == message.as_bytes().len() && end < padded;
        empty_before = field.value.is_empty();
        (field.kind.number(), message.as_bytes()[start..end + usize::from(leaks)].to_vec())
    };
    message.fields().map(value).collect()
}

/// Calls the getters, which must not panic. A verified message must end before the integrity attribute.
fn call_getters(message: &Message<'_>) {
    let values = message.attributes().filter(Result::is_ok).count();
    assert!(values <= message.fields().count());
    let text = format!("{message:?}");
    assert!(text.len() >= 20);
    let strict = Message::decode_with(message.as_bytes(), FingerprintPolicy::Required).is_ok();
    assert_eq!(strict, message.check_fingerprint().is_ok());
    let unknown = message.unknown_comprehension_required().count();
    assert!(unknown <= message.not_understood(&[]).count());
    let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    for kind in [Integrity::Sha1, Integrity::SHA256, Integrity::Sha256 { least: 16 }] {
        if let Ok(verified) = message.verify_with(&key, kind) {
            let closing = [INTEGRITY, INTEGRITY_SHA256, FINGERPRINT];
            assert!(verified.fields().all(|field| !closing[..2].contains(&field.kind.number())));
        }
    }
}

/// Decodes all attributes in order; returns `None` for bytes that are not a well-formed message.
fn reference_decode(bytes: &[u8]) -> Option<Vec<Tlv>> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let length = usize::from(word(2)?);
    let cookie = bytes.get(4..8)? == [0x21, 0x12, 0xa4, 0x42];
    if word(0)? >= 0x4000 || !cookie || length % 4 != 0 || bytes.len() != 20 + length {
        return None;
    }
    let (mut at, mut list) = (20, Vec::new());
    while at < bytes.len() {
        let length = usize::from(word(at + 2)?);
        list.push((word(at)?, bytes.get(at + 4..at + 4 + length)?.to_vec()));
        at += 4 + length.div_ceil(4) * 4;
    }
    (at == bytes.len()).then_some(list)
}

/// Removes the attributes that a receiver must ignore (RFC 8489 §14.5 to §14.7).
fn visible(mut list: Vec<Tlv>) -> Vec<Tlv> {
    let find = |list: &[Tlv], kind| list.iter().position(|entry| entry.0 == kind);
    if let Some(end) = find(&list, FINGERPRINT) {
        list.truncate(end + 1);
    }
    for (kind, kept) in [(INTEGRITY_SHA256, &[FINGERPRINT][..]), (INTEGRITY, &[FINGERPRINT, INTEGRITY_SHA256])] {
        if let Some(end) = find(&list, kind) {
            let after = list.split_off(end + 1);
            list.extend(after.into_iter().filter(|entry| kept.contains(&entry.0)));
        }
    }
    list
}
