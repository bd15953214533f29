//! Compares the decoder with `stun-types`. Both accept the same messages, with the same attributes, values and
//! integrity, or a rule explains the difference.
//!
//! Each rule is a function for one kind of difference, which checks the bytes. A difference without a rule is a
//! finding in one of the two crates. The rules come from the source of `stun-types`:
//!
//! * `unaligned_length`: it accepts message lengths that are not a multiple of 4 (RFC 8489 §5).
//! * `bytes_after_the_end`: it accepts datagrams that are longer than the length field says (RFC 8489 §6.3).
//! * `unread_tail`: it stops at a misplaced attribute after a closing one. So it accepts a truncated attribute behind
//!   that one (RFC 8489 §14: a message consists of attributes only).
//! * `wrong_fingerprint`: it refuses a wrong FINGERPRINT while decoding. Here a separate function checks the
//!   FINGERPRINT (RFC 8489 §14.7).
//! * `in_place`: it lists no attribute behind a misplaced one. Here only the misplaced one is ignored (RFC 8489
//!   §14.5, §14.6).
//! * `is_text`, `LONGEST_NAME`: it refuses text that is not UTF-8, and a USERNAME of more than 513 bytes. Here a text
//!   is bytes until the caller converts it, and 763 bytes are accepted (RFC 8489 §14.3).

use crate::SEEDED;
use crate::mutate::PASSWORD;
use portolan_stun::{
    Attribute, AttributeType, Class, DecodeError, DecodeErrorKind as Kind, Field, FingerprintPolicy, HEADER_LEN,
    Integrity, IntegrityKey, Message,
};
use std::sync::LazyLock;
use stun_types::attribute::{self as other, Attribute as _, RawAttribute};
use stun_types::message::{
    IntegrityAlgorithm, IntegrityKey as OtherKey, Message as Other, MessageClass, ShortTermCredentials,
};

const INTEGRITY: u16 = AttributeType::MESSAGE_INTEGRITY.number();
const INTEGRITY_SHA256: u16 = AttributeType::MESSAGE_INTEGRITY_SHA256.number();
const FINGERPRINT: u16 = AttributeType::FINGERPRINT.number();

/// The longest USERNAME that `stun-types` accepts, in bytes.
const LONGEST_NAME: usize = 513;

/// Decodes the bytes with both crates. Returns whether `portolan-stun` accepts them.
pub fn run(bytes: &[u8]) -> bool {
    let ours = Message::decode(bytes);
    let theirs = Other::from_bytes(bytes);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => compare(&ours, &theirs),
        (Ok(ours), Err(why)) => {
            assert!(wrong_fingerprint(bytes), "only stun-types refuses it, {why:?}: {ours:?}");
        }
        (Err(why), Ok(theirs)) => assert!(has_rule(why, bytes), "only stun-types accepts it, {why}: {theirs:?}"),
        (Err(_), Err(_)) => {}
    }
    ours.is_ok()
}

/// Whether a rule explains that only `stun-types` accepts the bytes. Each error has at most one rule.
fn has_rule(why: DecodeError, bytes: &[u8]) -> bool {
    match why.kind {
        Kind::LengthUnaligned { found } => unaligned_length(found),
        Kind::LengthMismatch { announced, found } => bytes_after_the_end(announced, found),
        Kind::AttributeTruncated { .. } => unread_tail(bytes, why.at),
        _ => false,
    }
}

const fn unaligned_length(found: u16) -> bool {
    !found.is_multiple_of(4)
}

fn bytes_after_the_end(announced: u16, found: usize) -> bool {
    found > usize::from(announced)
}

/// Whether a misplaced attribute is before the truncated one at `truncated`.
fn unread_tail(bytes: &[u8], truncated: usize) -> bool {
    raw(bytes).take_while(|field| field.at < truncated).count() > read_by_stun_types(bytes)
}

/// Whether `stun-types` checks a FINGERPRINT that has another length than 4 or a wrong value.
fn wrong_fingerprint(bytes: &[u8]) -> bool {
    checked_fingerprint(bytes).is_some_and(|field| !is_right(bytes, &field))
}

/// Returns the FINGERPRINT that `stun-types` checks while decoding.
fn checked_fingerprint(bytes: &[u8]) -> Option<Field<'_>> {
    raw(bytes).take(read_by_stun_types(bytes)).find(|field| field.kind.number() == FINGERPRINT)
}

/// Whether `portolan-stun` accepts the FINGERPRINT in a message that ends with it.
fn is_right(bytes: &[u8], field: &Field<'_>) -> bool {
    let mut front = bytes[..field.at + 4 + field.value.len().next_multiple_of(4)].to_vec();
    let length = u16::try_from(front.len() - HEADER_LEN).expect("as long as the message at most");
    front[2..4].copy_from_slice(&length.to_be_bytes());
    Message::decode_with(&front, FingerprintPolicy::Required).is_ok()
}

/// Returns all complete attributes, also those that a receiver must ignore.
fn raw(bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut at = HEADER_LEN;
    std::iter::from_fn(move || {
        let &[k0, k1, l0, l1] = bytes.get(at..)?.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        bytes.get(at..at + 4 + length.next_multiple_of(4))?;
        let value = &bytes[at + 4..at + 4 + length];
        let field = Field { at, kind: AttributeType::new(u16::from_be_bytes([k0, k1])), value };
        at += 4 + length.next_multiple_of(4);
        Some(field)
    })
}

/// Returns how many attributes `stun-types` reads while decoding. It stops after a closing attribute at another
/// attribute, and at a repeated closing attribute.
fn read_by_stun_types(bytes: &[u8]) -> usize {
    let mut seen = Vec::new();
    let is_read = |field: &Field<'_>| {
        let kind = field.kind.number();
        let is_in_place = if is_closing(kind) { !seen.contains(&kind) } else { seen.is_empty() };
        seen.extend(Some(kind).filter(|kind| is_closing(*kind)));
        is_in_place
    };
    raw(bytes).take_while(is_read).count()
}

const fn is_closing(kind: u16) -> bool {
    matches!(kind, INTEGRITY | INTEGRITY_SHA256 | FINGERPRINT)
}

/// Returns how many attributes are in the order of RFC 8489 §14.5 to §14.7: other attributes, then each closing one
/// at most once and in order.
fn in_place(bytes: &[u8]) -> usize {
    let mut last = 0;
    let is_listed = |field: &Field<'_>| {
        let rank = match field.kind.number() {
            INTEGRITY => 1,
            INTEGRITY_SHA256 => 2,
            FINGERPRINT => 3,
            _ => 0,
        };
        let is_in_order = last == 0 || rank > last;
        last = rank;
        is_in_order
    };
    raw(bytes).take_while(is_listed).count()
}

fn compare(ours: &Message<'_>, theirs: &Other<'_>) {
    let mut id = [0; 16];
    id[4..].copy_from_slice(ours.transaction_id().as_bytes());
    assert_eq!(u128::from_be_bytes(id), u128::from(theirs.transaction_id()));
    assert_eq!(ours.method().number(), theirs.method().value());
    let class = match theirs.class() {
        MessageClass::Request => Class::Request,
        MessageClass::Indication => Class::Indication,
        MessageClass::Success => Class::SuccessResponse,
        MessageClass::Error => Class::ErrorResponse,
    };
    assert_eq!(ours.class(), class);
    let bytes = ours.as_bytes();
    let checked = checked_fingerprint(bytes);
    assert!(checked.is_none_or(|field| is_right(bytes, &field)), "stun-types accepts a wrong FINGERPRINT");

    let own: Vec<_> = ours.fields().filter(|field| !is_lost(bytes, field)).collect();
    let list: Vec<_> = theirs.iter_attributes().collect();
    let (known, all) = (in_place(bytes), raw(bytes).count());
    assert_eq!(list.len(), known, "stun-types lists other attributes than those in order");
    for (own, (at, raw)) in own.iter().zip(&list) {
        let other = (*at, raw.get_type().value(), &raw.value[..]);
        assert_eq!((own.at, own.kind.number(), own.value), other);
        compare_value(ours, own, raw, theirs);
    }
    let more = own.get(list.len()..).unwrap_or_default();
    assert!(own.len() >= list.len() && (more.is_empty() || known < all), "only portolan-stun lists them: {more:?}");
    assert!(more.iter().all(|field| is_closing(field.kind.number())), "not ignored: {more:?}");
    if known == all {
        compare_integrity(ours, theirs);
    }
}

/// The seeded bug: MESSAGE-INTEGRITY-SHA256 is ignored directly behind MESSAGE-INTEGRITY.
fn is_lost(bytes: &[u8], field: &Field<'_>) -> bool {
    let before = raw(bytes).take_while(|before| before.at < field.at).last();
    SEEDED && field.kind.number() == INTEGRITY_SHA256 && before.is_some_and(|before| before.kind.number() == INTEGRITY)
}

/// Compares the value of an attribute, if both crates have a type for it.
fn compare_value(message: &Message<'_>, field: &Field<'_>, raw: &RawAttribute<'_>, theirs: &Other<'_>) {
    let Some(ours) = message.attributes().zip(message.fields()).find(|(_, its)| its.at == field.at) else { return };
    let ours = ours.0.ok();
    let number = |value: Option<u16>| value.map(|value| value.to_string());
    let address = |value: Option<std::net::SocketAddr>| value.map(|value| value.to_string());
    let (own, other) = match (field.kind, ours) {
        (AttributeType::XOR_MAPPED_ADDRESS, ours) => {
            let other = other::XorMappedAddress::try_from(raw).ok().map(|value| value.addr(theirs.transaction_id()));
            (ours.map(|ours| to_text(&ours)), address(other))
        }
        (AttributeType::ALTERNATE_SERVER, ours) => {
            let other = other::AlternateServer::try_from(raw).ok().map(|value| value.server());
            (ours.map(|ours| to_text(&ours)), address(other))
        }
        (AttributeType::ERROR_CODE, ours) => {
            let other = other::ErrorCode::try_from(raw).ok().map(|value| value.code());
            let ours = ours.filter(|_| is_text(field.value.get(4..).unwrap_or_default()));
            (ours.map(|ours| to_text(&ours)), number(other))
        }
        (AttributeType::USERHASH, ours) => {
            let other = other::Userhash::try_from(raw).ok().map(|value| format!("{:?}", value.hash()));
            (ours.map(|ours| to_text(&ours)), other)
        }
        (AttributeType::USERNAME, ours) => {
            let other = other::Username::try_from(raw).ok().map(|value| value.username().to_owned());
            let ours = ours.filter(|_| is_text(field.value) && field.value.len() <= LONGEST_NAME);
            (ours.map(|ours| to_text(&ours)), other)
        }
        (AttributeType::REALM, ours) => {
            let other = other::Realm::try_from(raw).ok().map(|value| value.realm().to_owned());
            (ours.filter(|_| is_text(field.value)).map(|ours| to_text(&ours)), other)
        }
        (AttributeType::NONCE, ours) => {
            let other = other::Nonce::try_from(raw).ok().map(|value| value.nonce().to_owned());
            (ours.filter(|_| is_text(field.value)).map(|ours| to_text(&ours)), other)
        }
        (AttributeType::SOFTWARE, ours) => {
            let other = other::Software::try_from(raw).ok().map(|value| value.software().to_owned());
            (ours.filter(|_| is_text(field.value)).map(|ours| to_text(&ours)), other)
        }
        _ => return,
    };
    assert_eq!(own, other, "{}: {:02x?}", field.kind, field.value);
}

/// Returns a compared value as text.
fn to_text(value: &Attribute<'_>) -> String {
    match value {
        Attribute::XorMappedAddress(address) | Attribute::AlternateServer(address) => address.to_string(),
        Attribute::ErrorCode(error) => error.code().to_string(),
        Attribute::Userhash(hash) => format!("{hash:?}"),
        Attribute::Username(text) | Attribute::Realm(text) | Attribute::Nonce(text) | Attribute::Software(text) => {
            String::from_utf8_lossy(text.as_bytes()).into_owned()
        }
        value => panic!("another variant than that of its type: {value:?}"),
    }
}

fn is_text(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok()
}

/// Verifies the stronger integrity attribute with both crates. All attributes of the message are in order.
fn compare_integrity(ours: &Message<'_>, theirs: &Other<'_>) {
    static KEYS: LazyLock<(IntegrityKey, OtherKey)> = LazyLock::new(|| {
        (IntegrityKey::short_term(PASSWORD), ShortTermCredentials::new(PASSWORD.to_owned()).make_key())
    });
    let strong = ours.has(AttributeType::MESSAGE_INTEGRITY_SHA256);
    let kind = if strong { Integrity::Sha256 { least: 16 } } else { Integrity::Sha1 };
    let own = ours.verify_with(&KEYS.0, kind);
    let other = theirs.validate_integrity_with_key(&KEYS.1);
    let algorithm = if strong { IntegrityAlgorithm::Sha256 } else { IntegrityAlgorithm::Sha1 };
    match (own, other) {
        (Ok(_), Ok(verified)) => assert_eq!(verified, algorithm),
        (Err(_), Err(_)) => {}
        (own, other) => panic!("only one crate verifies it: {own:?}, {other:?}"),
    }
}
