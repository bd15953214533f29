//! Damaged messages.

use core::ops::Range;
use proptest::prelude::*;
use proptest::sample::Index;

/// One change to the bytes of a message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Damage {
    /// Flips a bit.
    FlipBit(Index, u8),
    /// Replaces a byte.
    Byte(Index, u8),
    /// Removes the end.
    Truncate(Index),
    /// Appends bytes.
    Extend(Vec<u8>),
    /// Replaces the length in the header.
    Length(u16),
    /// Adds a small number to the length in the header.
    LengthOff(i8),
    /// Replaces the length of an attribute.
    AttributeLength(Index, u16),
    /// Replaces the type of an attribute.
    AttributeType(Index, u16),
    /// Appends a copy of an attribute as the last attribute.
    Duplicate(Index),
    /// Swaps two attributes.
    Swap(Index, Index),
    /// Removes an attribute.
    Remove(Index),
    /// Replaces the magic cookie.
    Cookie(u32),
    /// Replaces the last byte of an attribute: its padding, or the end of its value if there is no padding.
    Padding(Index, u8),
}

impl Damage {
    /// Applies the damage. A message that is too short for the damage is not changed.
    pub fn apply(&self, message: &mut Vec<u8>) {
        let attributes = attributes(message);
        match self {
            Self::FlipBit(at, bit) => change(message, at, |byte| byte ^ (1 << (bit % 8))),
            Self::Byte(at, value) => change(message, at, |_| *value),
            Self::Truncate(at) => message.truncate(at.index(message.len() + 1)),
            Self::Extend(bytes) => message.extend_from_slice(bytes),
            Self::Length(length) => put(message, 2, &length.to_be_bytes()),
            Self::LengthOff(off) => {
                let length = u16::from_be_bytes(read(message, 2)).wrapping_add_signed(i16::from(*off));
                put(message, 2, &length.to_be_bytes());
            }
            Self::AttributeLength(which, length) => {
                if let Some(range) = pick(&attributes, which) {
                    put(message, range.start + 2, &length.to_be_bytes());
                }
            }
            Self::AttributeType(which, kind) => {
                if let Some(range) = pick(&attributes, which) {
                    put(message, range.start, &kind.to_be_bytes());
                }
            }
            Self::Duplicate(which) => reorder(message, &attributes, |order| {
                let again = order.get(which.index(order.len())).copied();
                order.extend(again);
            }),
            Self::Swap(one, other) => reorder(message, &attributes, |order| {
                let (one, other) = (one.index(order.len()), other.index(order.len()));
                order.swap(one, other);
            }),
            Self::Remove(which) => reorder(message, &attributes, |order| {
                order.remove(which.index(order.len()));
            }),
            Self::Cookie(cookie) => put(message, 4, &cookie.to_be_bytes()),
            Self::Padding(which, value) => {
                if let Some(range) = pick(&attributes, which).filter(|range| range.len() > 4) {
                    put(message, range.end - 1, &[*value]);
                }
            }
        }
    }
}

/// Messages with one to three damages.
pub fn nearly_valid(messages: impl Strategy<Value = Vec<u8>> + 'static) -> BoxedStrategy<Vec<u8>> {
    (messages, prop::collection::vec(damage(), 1..=3))
        .prop_map(|(mut message, damages)| {
            damages.iter().for_each(|damage| damage.apply(&mut message));
            message
        })
        .boxed()
}

/// Any single damage.
pub fn damage() -> BoxedStrategy<Damage> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::FlipBit(at, bit)),
        1 => (at(), any::<u8>()).prop_map(|(at, value)| Damage::Byte(at, value)),
        2 => at().prop_map(Damage::Truncate),
        1 => prop::collection::vec(any::<u8>(), 1..9).prop_map(Damage::Extend),
        1 => any::<u16>().prop_map(Damage::Length),
        1 => any::<i8>().prop_map(Damage::LengthOff),
        2 => (at(), prop_oneof![any::<u16>(), 0..40_u16]).prop_map(|(at, length)| Damage::AttributeLength(at, length)),
        1 => (at(), any::<u16>()).prop_map(|(at, kind)| Damage::AttributeType(at, kind)),
        2 => at().prop_map(Damage::Duplicate),
        2 => (at(), at()).prop_map(|(one, other)| Damage::Swap(one, other)),
        1 => at().prop_map(Damage::Remove),
        1 => any::<u32>().prop_map(Damage::Cookie),
        1 => (at(), any::<u8>()).prop_map(|(at, value)| Damage::Padding(at, value)),
    ]
    .boxed()
}

const HEADER: usize = 20;

/// Returns the positions of the attributes, with header and padding. Stops at the first attribute with a wrong length.
fn attributes(message: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = HEADER;
    while at + 4 <= message.len() {
        let length = usize::from(u16::from_be_bytes(read(message, at + 2)));
        let end = at + 4 + length.next_multiple_of(4);
        if end > message.len() {
            break;
        }
        found.push(at..end);
        at = end;
    }
    found
}

fn pick(attributes: &[Range<usize>], which: &Index) -> Option<Range<usize>> {
    if attributes.is_empty() { None } else { attributes.get(which.index(attributes.len())).cloned() }
}

/// Changes the order of the attributes and corrects the length in the header. Bytes after the attributes stay there.
fn reorder(message: &mut Vec<u8>, attributes: &[Range<usize>], change: impl FnOnce(&mut Vec<usize>)) {
    let Some(last) = attributes.last() else { return };
    let mut order: Vec<usize> = (0..attributes.len()).collect();
    change(&mut order);
    let mut changed = message.get(..HEADER).unwrap_or_default().to_vec();
    for range in order.iter().filter_map(|index| attributes.get(*index)) {
        changed.extend_from_slice(message.get(range.clone()).unwrap_or_default());
    }
    let length = u16::try_from(changed.len() - HEADER).unwrap_or(u16::MAX);
    changed.extend_from_slice(message.get(last.end..).unwrap_or_default());
    put(&mut changed, 2, &length.to_be_bytes());
    *message = changed;
}

fn change(message: &mut [u8], at: &Index, change: impl FnOnce(u8) -> u8) {
    if !message.is_empty() {
        let index = at.index(message.len());
        if let Some(byte) = message.get_mut(index) {
            *byte = change(*byte);
        }
    }
}

fn put(message: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(room) = message.get_mut(at..at + bytes.len()) {
        room.copy_from_slice(bytes);
    }
}

fn read(message: &[u8], at: usize) -> [u8; 2] {
    message.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}
