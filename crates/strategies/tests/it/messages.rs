//! The properties of generated messages.

use portolan_strategies::messages::{self, Damage, PASSWORD};
use portolan_stun::{Attribute, AttributeType, Class, IntegrityKey, Message, Method, Writer};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

fn samples(strategy: &impl Strategy<Value = Vec<u8>>, count: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a message").current()).collect()
}

proptest! {
    #[test]
    fn all_attributes_of_valid_messages_decode(bytes in messages::message()) {
        let message = Message::decode(&bytes).expect("valid");
        for attribute in message.attributes() {
            prop_assert!(attribute.is_ok(), "{attribute:?}");
        }
        if message.has(AttributeType::FINGERPRINT) {
            prop_assert_eq!(message.check_fingerprint(), Ok(()));
        }
        if message.has(AttributeType::MESSAGE_INTEGRITY) || message.has(AttributeType::MESSAGE_INTEGRITY_SHA256) {
            prop_assert!(message.verify(&IntegrityKey::short_term(PASSWORD)).is_ok());
        }
    }

    #[test]
    fn no_nearly_valid_message_causes_a_panic(bytes in messages::nearly_valid(messages::message())) {
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert!(message.attributes().count() <= bytes.len() / 4);
        }
    }
}

#[test]
fn every_class_and_most_attributes_occur() {
    let all = samples(&messages::message(), 2000);
    let mut kinds = BTreeSet::new();
    let mut classes = BTreeSet::new();
    for bytes in &all {
        let message = Message::decode(bytes).expect("valid");
        classes.insert(message.class().to_string());
        kinds.extend(message.attributes().flatten().map(|attribute| attribute.kind().number()));
    }
    assert_eq!(classes.len(), 4);
    let known = kinds.iter().filter(|kind| AttributeType::new(**kind).is_known()).count();
    assert!(known >= 30, "{known} known attributes occur");
    assert!(kinds.len() > known, "some unknown attributes occur");
}

#[test]
fn nearly_valid_messages_are_partly_valid_and_partly_invalid() {
    let all = samples(&messages::nearly_valid(messages::binding()), 1000);
    let refused = all.iter().filter(|bytes| Message::decode(bytes).is_err()).count();
    assert!((300..950).contains(&refused), "{refused} of 1000 are refused");
}

/// A request with SOFTWARE, then PRIORITY: 20 + 8 + 8 bytes.
fn two_attributes() -> Vec<u8> {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [9; 12].into()).expect("room");
    writer.add(&Attribute::Software(portolan_stun::Text::new("abc"))).expect("room");
    writer.add(&Attribute::Priority(1)).expect("room");
    writer.finish().to_vec()
}

fn damaged(damage: &Damage) -> Vec<u8> {
    let mut bytes = two_attributes();
    damage.apply(&mut bytes);
    bytes
}

fn kinds(bytes: &[u8]) -> Vec<AttributeType> {
    let message = Message::decode(bytes).expect("still well formed");
    message.attributes().map(|attribute| attribute.expect("well formed").kind()).collect()
}

#[test]
fn each_damage_changes_the_right_bytes() {
    use AttributeType as T;
    // `Index::index` maps proportionally: 0 is the first position, the largest value the last.
    let (first, last) = (index(0), index(usize::MAX));
    assert_eq!(kinds(&two_attributes()), [T::SOFTWARE, T::PRIORITY]);
    assert_eq!(kinds(&damaged(&Damage::Duplicate(first))), [T::SOFTWARE, T::PRIORITY, T::SOFTWARE]);
    assert_eq!(kinds(&damaged(&Damage::Swap(first, last))), [T::PRIORITY, T::SOFTWARE]);
    assert_eq!(kinds(&damaged(&Damage::Remove(first))), [T::PRIORITY]);
    assert_eq!(damaged(&Damage::Truncate(first)), [0_u8; 0]);
    assert_eq!(damaged(&Damage::Extend(vec![1, 2])).len(), 38);
    assert_eq!(damaged(&Damage::Length(7))[2..4], [0, 7]);
    assert_eq!(damaged(&Damage::LengthOff(-4))[2..4], [0, 12]);
    assert_eq!(damaged(&Damage::AttributeLength(first, 9))[22..24], [0, 9]);
    assert_eq!(damaged(&Damage::AttributeType(last, 0x7777))[28..30], [0x77, 0x77]);
    assert_eq!(damaged(&Damage::Cookie(1))[4..8], [0, 0, 0, 1]);
    assert_eq!(damaged(&Damage::Padding(first, 0xaa))[27], 0xaa);
    assert_eq!(damaged(&Damage::FlipBit(first, 7))[0], 0x80);
    assert_eq!(damaged(&Damage::Byte(first, 0x42))[0], 0x42);
}

#[test]
fn damage_does_not_change_a_message_that_is_too_short() {
    for damage in [Damage::Swap(index(0), index(1)), Damage::Cookie(5), Damage::FlipBit(index(0), 1)] {
        let mut empty = Vec::new();
        damage.apply(&mut empty);
        assert_eq!(empty, [0_u8; 0]);
    }
}

/// An index that maps to the first position (for 0), or to the last position (for any other number).
fn index(near: usize) -> Index {
    let mut runner = TestRunner::deterministic();
    let wanted = |index: &Index| (near == 0) == (index.index(1000) == 0) && (near == 0 || index.index(1000) == 999);
    (0..1_000_000)
        .map(|_| any::<Index>().new_tree(&mut runner).expect("an index").current())
        .find(wanted)
        .expect("both ends occur")
}
