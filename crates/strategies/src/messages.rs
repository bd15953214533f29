//! STUN messages: valid messages, and damaged messages.
//!
//! [`message`] generates valid messages of every class. [`binding`] generates the messages of the Binding method and of
//! NAT behaviour discovery. [`nearly_valid`] applies one to three damages: flipped bits, truncated or added bytes,
//! wrong lengths, duplicated or reordered attributes. A damaged message may still be valid.
//!
//! ```
//! use portolan_strategies::messages;
//! use portolan_stun::Message;
//! use proptest::prelude::*;
//!
//! proptest!(|(bytes in messages::message())| {
//!     prop_assert!(Message::decode(&bytes).is_ok());
//! });
//! proptest!(|(bytes in messages::nearly_valid(messages::binding()))| {
//!     let _decoded = Message::decode(&bytes); // valid or not, but never a panic
//! });
//! ```

mod damage;
mod value;

pub use damage::{Damage, damage, nearly_valid};
pub use value::{OwnedAttribute, address, attribute, behavior_attribute};

use portolan_stun::{Class, IntegrityKey, Method, TransactionId, Writer};
use proptest::prelude::*;
use proptest::sample::select;

/// The password of the integrity attributes.
pub const PASSWORD: &str = "a password known to both";

/// The attributes at the end of a message: integrity and fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// MESSAGE-INTEGRITY, keyed by [`PASSWORD`] as a short-term credential.
    pub integrity: bool,
    /// MESSAGE-INTEGRITY-SHA256, with the same key.
    pub integrity_sha256: bool,
    /// FINGERPRINT.
    pub fingerprint: bool,
}

/// Any valid message: every class, any method, and up to eight attributes of every kind.
pub fn message() -> BoxedStrategy<Vec<u8>> {
    let method = prop_oneof![3 => Just(Method::BINDING), 1 => (0..=0xfff_u16).prop_filter_map("12 bits", Method::new)];
    let attributes = prop::collection::vec(attribute(), 0..=8);
    message_of(class().boxed(), method.boxed(), attributes.boxed())
}

/// Valid Binding messages with the attributes of RFC 8489 and RFC 5780 that belong in them.
pub fn binding() -> BoxedStrategy<Vec<u8>> {
    let attributes = prop::collection::vec(behavior_attribute(), 0..=5);
    message_of(class().boxed(), Just(Method::BINDING).boxed(), attributes.boxed())
}

/// Valid messages of these classes, methods and attributes, with random transaction ids and endings.
pub fn message_of(
    class: BoxedStrategy<Class>,
    method: BoxedStrategy<Method>,
    attributes: BoxedStrategy<Vec<OwnedAttribute>>,
) -> BoxedStrategy<Vec<u8>> {
    (class, method, transaction_id(), attributes, ending())
        .prop_map(|(class, method, id, attributes, ending)| write(class, method, id, &attributes, ending))
        .boxed()
}

/// Every class.
pub fn class() -> impl Strategy<Value = Class> {
    select(vec![Class::Request, Class::Indication, Class::SuccessResponse, Class::ErrorResponse])
}

/// Random transaction ids. They shrink to small numbers.
pub fn transaction_id() -> impl Strategy<Value = TransactionId> {
    any::<[u8; 12]>().prop_map(TransactionId::from)
}

/// Every combination of integrity and FINGERPRINT.
pub fn ending() -> impl Strategy<Value = Ending> {
    let parts = (prop::bool::weighted(0.25), prop::bool::weighted(0.15), any::<bool>());
    parts.prop_map(|(integrity, integrity_sha256, fingerprint)| Ending { integrity, integrity_sha256, fingerprint })
}

/// Writes a message. Leaves out an attribute that does not fit into 64 KiB, or that the writer refuses.
#[must_use]
pub fn write(
    class: Class,
    method: Method,
    id: TransactionId,
    attributes: &[OwnedAttribute],
    ending: Ending,
) -> Vec<u8> {
    let mut buffer = vec![0; 65_556];
    let length = fill(&mut buffer, (class, method, id), attributes, ending);
    buffer.truncate(length);
    buffer
}

fn fill(
    buffer: &mut [u8],
    (class, method, id): (Class, Method, TransactionId),
    attributes: &[OwnedAttribute],
    ending: Ending,
) -> usize {
    // The last bytes are reserved for both integrity attributes and FINGERPRINT, so that the ending always fits.
    const RESERVED: usize = 24 + 36 + 8;
    let key = IntegrityKey::short_term(PASSWORD);
    let usable = buffer.len() - RESERVED;
    let Ok(mut writer) = Writer::new(buffer, class, method, id) else { return 0 };
    for attribute in attributes {
        if writer.len() + attribute.max_size() <= usable {
            let _left_out = attribute.write(&mut writer);
        }
    }
    match (ending.integrity, ending.integrity_sha256) {
        (false, false) => finish(writer, ending.fingerprint),
        (true, false) => writer.message_integrity(&key).map_or(0, |writer| finish(writer, ending.fingerprint)),
        (false, true) => writer.message_integrity_sha256(&key).map_or(0, |writer| finish(writer, ending.fingerprint)),
        (true, true) => writer
            .message_integrity(&key)
            .and_then(|writer| writer.message_integrity_sha256(&key))
            .map_or(0, |writer| finish(writer, ending.fingerprint)),
    }
}

fn finish<S: portolan_stun::writer::BeforeFingerprint>(writer: Writer<'_, S>, fingerprint: bool) -> usize {
    if fingerprint { writer.fingerprint().map_or(0, |writer| writer.finish().len()) } else { writer.finish().len() }
}
