//! Compares the decoder with a simple, slow model of RFC 8489 §5 and §14.

use portolan_stun::{Integrity, IntegrityError, IntegrityKey, Message, is_stun};
use proptest::{collection::vec, prelude::*};

use crate::corpus;

const INTEGRITY: u16 = 0x0008;
const INTEGRITY_SHA256: u16 = 0x001c;
const FINGERPRINT: u16 = 0x8028;

/// Returns the attributes of a well-formed message in order, or `None` if the message is malformed.
fn read(bytes: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let length = usize::from(word(2)?);
    if word(0)? >= 0x4000
        || bytes.get(4..8)? != [0x21, 0x12, 0xa4, 0x42]
        || bytes.len() != 20 + length
        || length % 4 != 0
    {
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

/// Removes the attributes that RFC 8489 §14.5 to §14.7 ignores.
fn visible(mut list: Vec<(u16, Vec<u8>)>) -> Vec<(u16, Vec<u8>)> {
    let find = |list: &[(u16, Vec<u8>)], kind| list.iter().position(|entry| entry.0 == kind);
    if let Some(end) = find(&list, FINGERPRINT) {
        list.truncate(end + 1);
    }
    if let Some(sha256) = find(&list, INTEGRITY_SHA256) {
        let mut at = 0;
        list.retain(|entry| {
            at += 1;
            at <= sha256 + 1 || entry.0 == FINGERPRINT
        });
    }
    if let Some(sha1) = find(&list, INTEGRITY) {
        let mut at = 0;
        list.retain(|entry| {
            at += 1;
            at <= sha1 + 1 || entry.0 == FINGERPRINT || entry.0 == INTEGRITY_SHA256
        });
    }
    list
}

/// Checks that decoder and model check_agreement. Returns whether the bytes are a message.
fn check_agreement(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let model = read(bytes);
    let decoded = Message::decode(bytes);
    prop_assert_eq!(decoded.is_ok(), model.is_some());
    let (Ok(message), Some(model)) = (decoded, model) else { return Ok(false) };
    prop_assert!(is_stun(bytes));
    let actual: Vec<(u16, Vec<u8>)> =
        message.fields().map(|field| (field.kind.number(), field.value.to_vec())).collect();
    let expected = visible(model);
    let key = IntegrityKey::from_bytes(&[]);
    for (kind, integrity) in [(INTEGRITY, Integrity::Sha1), (INTEGRITY_SHA256, Integrity::SHA256)] {
        let missing = matches!(message.verify_with(&key, integrity), Err(IntegrityError::Missing));
        prop_assert_eq!(missing, !expected.iter().any(|entry| entry.0 == kind));
    }
    prop_assert_eq!(message.has_fingerprint(), expected.iter().any(|entry| entry.0 == FINGERPRINT));
    prop_assert_eq!(actual, expected);
    Ok(true)
}

/// Generates messages with few attribute types in any order. The closing attributes can be at any position.
fn any_order() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        3 => Just(INTEGRITY),
        3 => Just(INTEGRITY_SHA256),
        2 => Just(FINGERPRINT),
        6 => proptest::sample::select(vec![0x0006, 0x0020, 0x0024, 0x7abc, 0x8022]),
    ];
    let length = prop_oneof![Just(20), Just(32), Just(4), 0..36_usize];
    (vec((kind, length, any::<u8>()), 0..9), any::<[u8; 12]>()).prop_map(|(attributes, id)| {
        let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend(id);
        for (kind, length, fill) in attributes {
            bytes.extend(kind.to_be_bytes());
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            bytes.resize(bytes.len() + length.next_multiple_of(4), fill);
        }
        let length = u16::try_from(bytes.len() - 20).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    })
}

proptest! {
    #[test]
    fn messages_with_attributes_in_any_order_agree_with_the_model(bytes in any_order()) {
        prop_assert!(check_agreement(&bytes)?, "the message is well-formed");
    }

    #[test]
    fn messages_with_one_changed_byte_agree_with_the_model(bytes in any_order(), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = bytes;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check_agreement(&bytes)?;
    }
}

/// The seeds are the corpus messages, or the messages of the RFCs. Each mutant has one to four changes.
#[test]
fn a_million_mutated_messages_agree_with_the_model() {
    let seeds = corpus::messages();
    let mut rng = XorShift(0x9e37_79b9_7f4a_7c15);
    let mut messages = 0;
    let mut mutant = Vec::new();
    for round in 0..1_000_000 {
        mutant.clear();
        mutant.extend_from_slice(&seeds[round % seeds.len()]);
        for _ in 0..=rng.below(3) {
            rng.change(&mut mutant);
        }
        if round % 8 == 0 {
            messages += usize::from(check_agreement(&mutant).unwrap());
        } else if let Ok(message) = Message::decode(&mutant) {
            messages += 1;
            let values = message.attributes().flatten().count();
            assert!(values <= mutant.len() / 4);
        }
    }
    assert!(messages > 100_000, "only {messages} of the mutants were messages");
}

/// A deterministic RNG: xorshift64*.
struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(bits).unwrap() % bound.max(1)
    }

    /// Makes one change: a bit, a byte, an attribute length, a truncation or an extension. Corrects the length field in half
    /// of the cases.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        let Some(last) = bytes.len().checked_sub(1) else { return };
        let at = self.below(last + 1);
        match self.below(6) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = u8::try_from(self.below(256)).unwrap(),
            2 if at + 4 < bytes.len() => bytes[(at & !3) + 3] = u8::try_from(self.below(48)).unwrap(),
            3 => bytes.truncate(at & !3),
            4 => bytes.extend([0x80, 0x22, 0, 0]),
            _ => bytes[at] = 0xff,
        }
        if self.below(2) == 0 && bytes.len() >= 20 {
            bytes.truncate(bytes.len() & !3);
            let length = u16::try_from(bytes.len() - 20).unwrap();
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
        }
    }
}
