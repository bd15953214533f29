//! The decoder beside `stun-types`: both take a message and see the same attributes, or a rule is named that explains it.
//!
//! The rules, all of which were looked up; a difference without one of them is a finding in one of the two:
//!
//! * It takes lengths that are no multiple of 4 and datagrams that go on after the announced length (RFC 8489 §5, §6.3).
//! * It refuses a wrong FINGERPRINT while decoding, wherever it stands; here that is a question of its own (§14.7).
//! * It stops looking at the first attribute out of place after an integrity attribute; here it is ignored and what may
//!   stand there is still seen, and all that lies behind must lie inside (§14.5).
//! * MESSAGE-INTEGRITY-SHA256 before MESSAGE-INTEGRITY, or two of a kind, it reads otherwise.

use crate::SEEDED;
use portolan_stun::{AttributeType, Message};
use stun_types::attribute::Attribute as _;
use stun_types::message::Message as Other;

const CLOSING: [AttributeType; 3] =
    [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256, AttributeType::FINGERPRINT];

/// Decodes with both; says whether this one took it.
pub fn run(bytes: &[u8]) -> bool {
    let ours = Message::decode(bytes);
    let theirs = Other::from_bytes(bytes);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => compare(&ours, &theirs),
        (Ok(ours), Err(why)) => {
            let known = has_wrong_fingerprint(&ours);
            assert!(known, "only the peer refuses, {why:?}: {ours:?}");
        }
        (Err(why), Ok(theirs)) => {
            assert!(is_laxer(bytes), "only the peer takes it, {why}: {theirs:?}");
        }
        (Err(_), Err(_)) => {}
    }
    ours.is_ok()
}

fn compare(ours: &Message<'_>, theirs: &Other<'_>) {
    let mut id = [0; 16];
    id[4..].copy_from_slice(ours.transaction_id().as_bytes());
    assert_eq!(u128::from_be_bytes(id), u128::from(theirs.transaction_id()));
    assert_eq!(ours.method().number(), theirs.method().value());
    let open = |kind: &AttributeType| !CLOSING.contains(kind);
    // Up to the first closing attribute there is nothing to read in two ways.
    let own = ours.fields().take_while(|field| open(&field.kind));
    let own: Vec<_> = own.map(|field| (field.kind.number(), field.value.to_vec())).collect();
    let other = theirs.iter_attributes().map(|(_, raw)| (raw.get_type().value(), raw.value.to_vec()));
    let other: Vec<_> = other.take_while(|(kind, _)| open(&AttributeType::new(*kind))).collect();
    assert_eq!(own, other);
}

/// A FINGERPRINT anywhere, also where it is to be ignored, that is not last, not right, or not four bytes long.
fn has_wrong_fingerprint(message: &Message<'_>) -> bool {
    let mut rest = &message.as_bytes()[20..];
    let mut found = false;
    while let [k0, k1, l0, l1, after @ ..] = rest {
        found |= [*k0, *k1] == [0x80, 0x28];
        let length = usize::from(u16::from_be_bytes([*l0, *l1])).next_multiple_of(4);
        rest = after.get(length..).unwrap_or_default();
    }
    found && (message.check_fingerprint().is_err() || message.fields().count() > 1)
}

/// What the peer does not ask for; in a seeded build the length of the datagram is left out of the list.
fn is_laxer(bytes: &[u8]) -> bool {
    let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    let closing = |word: &[u8]| matches!(word, [0, 8] | [0, 0x1c] | [0x80, 0x28]);
    let unaligned = length % 4 != 0;
    let longer = bytes.len() != 20 + length && !SEEDED;
    unaligned || longer || bytes[20..].as_chunks::<2>().0.iter().any(|word| closing(word))
}
