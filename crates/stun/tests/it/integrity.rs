//! Integrity attributes: verification, coverage and truncation.

use std::{sync::Barrier, thread};

use hmac::{Hmac, KeyInit, Mac};
use portolan_stun::{
    Attribute, Class, EncodeError, ErrorCode, Integrity, IntegrityError, IntegrityKey, Message, Method, ResponseClass,
    Writer,
};
use proptest::{collection::vec, prelude::*};
use sha1::Sha1;
use sha2::Sha256;

const ID: [u8; 12] = [1; 12];

fn writer(buffer: &mut [u8]) -> Writer<'_> {
    Writer::new(buffer, Class::Request, Method::BINDING, ID.into()).unwrap()
}

/// Sets the length field to the length of the bytes.
fn fix_length(bytes: &mut [u8]) {
    let length = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Computes the HMAC of `text` with the crate `hmac`.
fn reference_hmac<M: KeyInit + Mac>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

proptest! {
    /// The lengths of keys and messages include every block boundary.
    #[test]
    fn the_prepared_key_agrees_with_the_hmac_crate(key in vec(any::<u8>(), 0..150), length in 0..400_usize) {
        let mut buffer = [0; 600];
        let mut writer = writer(&mut buffer);
        writer.add(&Attribute::Data(&vec![0x5a; length])).unwrap();
        let prepared = IntegrityKey::from_bytes(&key);
        let bytes = writer.message_integrity(&prepared).unwrap().message_integrity_sha256(&prepared).unwrap().finish();

        let (end_sha1, end) = (bytes.len() - 36, bytes.len());
        let mut covered = bytes[..end_sha1 - 24].to_vec();
        covered[2..4].copy_from_slice(&u16::try_from(end_sha1 - 20).unwrap().to_be_bytes());
        let sha1 = reference_hmac::<Hmac<Sha1>>(&key, &covered);
        prop_assert_eq!(&bytes[end_sha1 - 20..end_sha1], &sha1[..]);
        let sha256 = reference_hmac::<Hmac<Sha256>>(&key, &bytes[..end_sha1]);
        prop_assert_eq!(&bytes[end - 32..], &sha256[..]);
        // The second use of a key, and a clone, read the stored pads of SHA-256.
        for key in [&prepared, &prepared.clone()] {
            prop_assert!(Message::decode(bytes).unwrap().verify_with(key, Integrity::SHA256).is_ok());
        }
    }

    #[test]
    fn the_hmac_of_bytes_that_are_no_message_agrees_with_the_hmac_crate(
        key in vec(any::<u8>(), 0..150),
        bytes in vec(any::<u8>(), 0..200),
    ) {
        let sha1 = reference_hmac::<Hmac<Sha1>>(&key, &bytes);
        prop_assert_eq!(&IntegrityKey::from_bytes(&key).hmac_sha1(&bytes)[..], &sha1[..]);
    }

    /// The bit is in the covered bytes or in the HMAC.
    #[test]
    fn one_changed_bit_fails_the_verification(at in 0..60_usize, bit in 0..8_u8) {
        let key = IntegrityKey::short_term("secret");
        let mut buffer = [0; 60];
        let mut writer = writer(&mut buffer);
        writer.add(&Attribute::Data(&[7; 12])).unwrap();
        let mut bytes = writer.message_integrity(&key).unwrap().finish().to_vec();
        prop_assert_eq!(bytes.len(), 60);
        prop_assert!(Message::decode(&bytes).unwrap().verify(&key).is_ok());
        bytes[at] ^= 1 << bit;
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert!(message.verify(&key).is_err());
        }
    }
}

#[test]
fn attributes_after_the_integrity_are_ignored() {
    let key = IntegrityKey::short_term("secret");
    let mut buffer = [0; 128];
    let mut writer = writer(&mut buffer);
    writer.add(&Attribute::Username("alice".into())).unwrap();
    let mut bytes = writer.message_integrity(&key).unwrap().finish().to_vec();
    // An attacker on the path appends a PRIORITY and an unknown attribute.
    bytes.extend([0, 0x24, 0, 4, 0, 0, 0, 9, 0x7f, 0xff, 0, 0]);
    fix_length(&mut bytes);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.priority(), None, "attributes after the integrity are ignored, verified or not");
    assert_eq!(message.unknown_comprehension_required().count(), 0);
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.attributes().count(), 1);
    assert_eq!(verified.username().unwrap(), "alice");
    assert_eq!(verified.as_bytes(), bytes);
}

#[test]
fn both_integrities_are_verified_separately() {
    let key = IntegrityKey::long_term_sha256("user", "example.org", "TheMatrIX");
    let mut buffer = [0; 128];
    let mut writer = writer(&mut buffer);
    writer.add(&Attribute::Realm("example.org".into())).unwrap();
    let both = writer.message_integrity(&key).unwrap().message_integrity_sha256(&key).unwrap();
    let mut bytes = both.fingerprint().unwrap().finish().to_vec();
    let message = Message::decode(&bytes).unwrap();
    for kind in [Integrity::Sha1, Integrity::SHA256] {
        assert_eq!(message.verify_with(&key, kind).unwrap().attributes().count(), 1);
    }
    assert_eq!(message.attributes().count(), 4);
    // A correct SHA-1 does not compensate for a wrong SHA-256.
    let at = bytes.len() - 9;
    bytes[at] ^= 1;
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.verify(&key).map(|_| ()), Err(IntegrityError::Mismatch { at: 60 }));
    assert!(message.verify_with(&key, Integrity::Sha1).is_ok());
}

#[test]
fn a_truncated_sha256_is_accepted_only_when_allowed() {
    let key = IntegrityKey::short_term("secret");
    for length in [16, 20, 24, 28, 32] {
        let mut buffer = [0; 64];
        let bytes = writer(&mut buffer).message_integrity_sha256_truncated(&key, length).unwrap().finish();
        let message = Message::decode(bytes).unwrap();
        for least in [0, 16, 20, 24, 28, 32] {
            let verdict = message.verify_with(&key, Integrity::Sha256 { least }).map(|_| ());
            let expected = if length >= least { Ok(()) } else { Err(IntegrityError::Length { at: 20, found: length }) };
            assert_eq!(verdict, expected);
        }
    }
    for length in [0, 4, 12, 15, 17, 31, 33, 36, 64] {
        let mut buffer = [0; 128];
        let refused = writer(&mut buffer).message_integrity_sha256_truncated(&key, length).map(|_| ());
        assert_eq!(refused, Err(EncodeError::TruncatedIntegrity { found: length }));
    }
}

#[test]
fn an_integrity_with_a_wrong_length_is_refused() {
    let key = IntegrityKey::short_term("secret");
    for (kind, length, named) in [
        (0x08, 16, Integrity::Sha1),
        (0x08, 0, Integrity::Sha1),
        (0x1c, 12, Integrity::SHA256),
        (0x1c, 36, Integrity::SHA256),
    ] {
        let mut bytes = writer(&mut [0; 20]).finish().to_vec();
        bytes.extend([0, kind, 0, length]);
        bytes.extend(vec![0; usize::from(length)]);
        fix_length(&mut bytes);
        let message = Message::decode(&bytes).unwrap();
        let expected = Err(IntegrityError::Length { at: 20, found: usize::from(length) });
        assert_eq!(message.verify_with(&key, named).map(|_| ()), expected);
        assert!(message.attributes().next().unwrap().is_err());
    }
    let bytes = writer(&mut [0; 20]).finish().to_vec();
    assert_eq!(Message::decode(&bytes).unwrap().verify(&key).map(|_| ()), Err(IntegrityError::Missing));
}

#[test]
fn an_integrity_out_of_order_is_ignored() {
    let key = IntegrityKey::short_term("secret");
    // MESSAGE-INTEGRITY is ignored after MESSAGE-INTEGRITY-SHA256 and after FINGERPRINT.
    let mut bytes = writer(&mut [0; 64]).message_integrity_sha256(&key).unwrap().finish().to_vec();
    bytes.extend([0, 8, 0, 20]);
    bytes.extend([0; 20]);
    fix_length(&mut bytes);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.verify_with(&key, Integrity::Sha1).map(|_| ()), Err(IntegrityError::Missing));
    assert!(message.verify(&key).is_ok());

    let mut bytes = writer(&mut [0; 64]).fingerprint().unwrap().finish().to_vec();
    bytes.extend([0, 8, 0, 20]);
    bytes.extend([0; 20]);
    fix_length(&mut bytes);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.verify(&key).map(|_| ()), Err(IntegrityError::Missing));
    assert_eq!(message.attributes().count(), 1);
    assert!(message.check_fingerprint().is_err());
}

#[test]
fn a_response_is_written_from_a_checked_request() {
    let mut buffer = [0; 64];
    let mut writer = writer(&mut buffer);
    writer.add(&Attribute::Unknown { kind: portolan_stun::AttributeType::new(0x7abc), value: &[1] }).unwrap();
    let request = Message::decode(writer.finish()).unwrap().exempt();
    let mut reply = [0; 128];
    let unknown = request.unknown_comprehension_required();
    let writer = Writer::unknown_attribute_response(&mut reply, &request, unknown).unwrap();
    let reply = Message::decode(writer.finish()).unwrap();
    assert_eq!((reply.class(), reply.transaction_id()), (Class::ErrorResponse, ID.into()));
    assert_eq!(reply.error_code(), ErrorCode::recommended(420));
    let listed: Vec<u16> = reply.unknown_attributes().unwrap().iter().map(|kind| kind.number()).collect();
    assert_eq!(listed, [0x7abc]);

    // There is no response to a response.
    let mut second = [0; 64];
    let refused = Writer::response(&mut second, &reply.exempt(), ResponseClass::Success).map(|_| ());
    assert_eq!(refused, Err(EncodeError::NotARequest));
}

#[test]
fn the_debug_text_of_a_key_hides_the_key() {
    let key = IntegrityKey::short_term("hunter2");
    assert_eq!(format!("{key:?}"), "IntegrityKey(..)");
}

#[test]
fn threads_that_share_an_unused_key_compute_equal_macs() {
    let mut buffer = [0; 64];
    let bytes = writer(&mut buffer).message_integrity_sha256(&IntegrityKey::short_term("secret")).unwrap().finish();
    for _ in 0..50 {
        let (key, barrier) = (IntegrityKey::short_term("secret"), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    for key in [&key.clone(), &key, &key.clone()] {
                        assert!(Message::decode(bytes).unwrap().verify(key).is_ok());
                    }
                });
            }
        });
    }
}
