//! The test vectors of RFC 5769 §2 and RFC 8489 B.1: decoded, verified and encoded again.

use portolan_stun::{
    Attribute, Class, DecodeErrorKind, Integrity, IntegrityError, IntegrityKey, Message, Method, PasswordAlgorithm,
    Writer, userhash,
};

use crate::hex;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const REALM: &str = "example.org";
/// "Matrix" in katakana.
const USER: &str = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
const PREPARED: &str = "TheMatrIX";

/// RFC 5769 §2.1.
const REQUEST: &str = "
    00010058 2112a442 b7e7a701bc34d686fa87dfae
    80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff
    80290008 932ff9b1 51263b36
    00060009 6576746a 3a683676 59202020
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
    80280004 e57a3bcf";

/// RFC 5769 §2.2.
const IPV4_RESPONSE: &str = "
    0101003c 2112a442 b7e7a701bc34d686fa87dfae
    8022000b 74657374 20766563 746f7220
    00200008 0001a147 e112a643
    00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
    80280004 c07d4c96";

/// RFC 5769 §2.3.
const IPV6_RESPONSE: &str = "
    01010048 2112a442 b7e7a701bc34d686fa87dfae
    8022000b 74657374 20766563 746f7220
    00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
    80280004 c8fb0b4c";

/// RFC 5769 §2.4.
const LONG_TERM_REQUEST: &str = "
    00010060 2112a442 78ad3433c6ad72c029da412e
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
    0014000b 6578616d 706c652e 6f726700
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

/// RFC 8489 B.1 up to its integrity attribute. The printed length field is wrong because it includes the header.
const SHA256_FRONT: &str = "
    0001009c 2112a442 78ad3433c6ad72c029da412e
    001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704
    00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476 79363473 41000000
    0014000b 6578616d 706c652e 6f726700";

/// The integrity attribute that RFC 8489 B.1 prints.
const SHA256_PRINTED: &str = "001c0020 e4686c8f 0edeb590 13e07090 010a93ef ccbccc54 4c0a45d9 f830aa6d 6f735a01";

/// The integrity attribute of B.1 with a correct length field and the MD5 key of a request without PASSWORD-ALGORITHM.
const SHA256_MD5_KEY: &str = "001c0020 fd8c2738 60d2e18e bca4c89b 6973befa 7ee8ecc6 9e9642db 326fab65 a0b955ba";

/// The end of B.1 with PASSWORD-ALGORITHM, whose key is SHA-256.
const SHA256_SHA256_KEY: &str =
    "001d0004 00020000 001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65";

/// Returns B.1 with this end and a correct length field.
fn sample_b1(end: &str) -> Vec<u8> {
    let mut bytes = hex(&format!("{SHA256_FRONT}{end}"));
    let length = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Returns all vectors with a correct length field, as seeds for other tests.
pub(crate) fn all() -> Vec<Vec<u8>> {
    let mut all = [REQUEST, IPV4_RESPONSE, IPV6_RESPONSE, LONG_TERM_REQUEST].map(hex).to_vec();
    all.extend([SHA256_MD5_KEY, SHA256_SHA256_KEY].map(sample_b1));
    all
}

/// Encodes the attributes of a message again, with the same closing attributes.
#[expect(clippy::wildcard_enum_match_arm, reason = "every attribute that is not computed is added")]
fn rewrite(original: &Message<'_>, key: &IntegrityKey) -> Vec<u8> {
    let mut buffer = [0xff; 256];
    let id = original.transaction_id();
    let mut writer = Writer::new(&mut buffer, original.class(), original.method(), id).unwrap();
    let (mut sha1, mut sha256, mut fingerprint) = (false, false, false);
    for attribute in original.attributes() {
        match attribute.unwrap() {
            Attribute::MessageIntegrity(_) => sha1 = true,
            Attribute::MessageIntegritySha256(_) => sha256 = true,
            Attribute::Fingerprint(_) => fingerprint = true,
            attribute => writer.add(&attribute).unwrap(),
        }
    }
    match (sha1, sha256, fingerprint) {
        (true, false, true) => writer.message_integrity(key).unwrap().fingerprint().unwrap().finish(),
        (true, false, false) => writer.message_integrity(key).unwrap().finish(),
        (false, true, false) => writer.message_integrity_sha256(key).unwrap().finish(),
        other => panic!("no vector ends like {other:?}"),
    }
    .to_vec()
}

/// Checks that a message that is encoded again verifies and has the same length and attributes. Only padding, HMAC and
/// CRC can differ.
fn check_rewritten(bytes: &[u8], key: &IntegrityKey) {
    let original = Message::decode(bytes).unwrap();
    let again = rewrite(&original, key);
    let copy = Message::decode(&again).unwrap();
    assert_eq!(again.len(), bytes.len());
    assert_eq!(copy.verify(key).map(|_| ()), Ok(()));
    if copy.has_fingerprint() {
        assert_eq!(copy.check_fingerprint(), Ok(()));
    }
    let covered = |message: &Message<'_>| -> Vec<String> {
        message.verify(key).unwrap().attributes().map(|attribute| format!("{:?}", attribute.unwrap())).collect()
    };
    assert_eq!(covered(&copy), covered(&original));

    // Every byte that is neither padding nor computed is the same.
    assert_eq!(again[..20], bytes[..20]);
    for (actual, expected) in copy.fields().zip(original.fields()) {
        assert_eq!((actual.at, actual.kind), (expected.at, expected.kind));
        if !matches!(actual.kind.number(), 0x0008 | 0x001c | 0x8028) {
            assert_eq!(actual.value, expected.value);
            let (end, next) =
                (actual.at + 4 + actual.value.len(), actual.at + 4 + actual.value.len().next_multiple_of(4));
            assert!(again[end..next].iter().all(|&byte| byte == 0), "padding of {} is zero", actual.kind);
        }
    }
}

#[test]
fn the_request_of_rfc_5769_verifies() {
    let bytes = hex(REQUEST);
    let key = IntegrityKey::short_term(PASSWORD);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction_id().to_string(), "b7e7a701bc34d686fa87dfae");
    assert_eq!(message.check_fingerprint(), Ok(()));
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.software().unwrap(), "STUN test client");
    assert_eq!(verified.username().unwrap(), "evtj:h6vY");
    assert_eq!(verified.priority(), Some(0x6e00_01ff));
    assert_eq!(verified.ice_controlled(), Some(0x932f_f9b1_5126_3b36));
    assert_eq!(verified.attributes().count(), 4);
    check_rewritten(&bytes, &key);
}

#[test]
fn the_ipv4_response_of_rfc_5769_verifies() {
    let bytes = hex(IPV4_RESPONSE);
    let key = IntegrityKey::short_term(PASSWORD);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.class(), Class::SuccessResponse);
    assert_eq!(message.check_fingerprint(), Ok(()));
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.software().unwrap(), "test vector");
    assert_eq!(verified.xor_mapped_address(), Some("192.0.2.1:32853".parse().unwrap()));
    check_rewritten(&bytes, &key);
}

#[test]
fn the_ipv6_response_of_rfc_5769_verifies() {
    let bytes = hex(IPV6_RESPONSE);
    let key = IntegrityKey::short_term(PASSWORD);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.check_fingerprint(), Ok(()));
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.xor_mapped_address(), Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()));
    check_rewritten(&bytes, &key);
}

#[test]
fn the_long_term_request_of_rfc_5769_verifies() {
    let bytes = hex(LONG_TERM_REQUEST);
    let key = IntegrityKey::long_term_md5(USER, REALM, PREPARED);
    let message = Message::decode(&bytes).unwrap();
    assert!(!message.has_fingerprint());
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.username().unwrap(), USER);
    assert_eq!(verified.nonce().unwrap(), "f//499k954d6OL34oL9FSTvy64sA");
    assert_eq!(verified.realm().unwrap(), REALM);
    check_rewritten(&bytes, &key);
    // The padding of this vector is zero. The encoding is therefore identical.
    assert_eq!(rewrite(&message, &key), bytes);
}

#[test]
fn the_sha256_request_printed_in_rfc_8489_has_a_wrong_length() {
    let printed = hex(&format!("{SHA256_FRONT}{SHA256_PRINTED}"));
    let error = Message::decode(&printed).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::LengthMismatch { announced: 156, found: 136 });
    // The printed HMAC covers the wrong length. It does not verify after the length is corrected.
    let corrected = sample_b1(SHA256_PRINTED);
    let key = IntegrityKey::long_term_sha256(USER, REALM, PREPARED);
    let verdict = Message::decode(&corrected).unwrap().verify(&key).map(|_| ());
    assert_eq!(verdict, Err(IntegrityError::Mismatch { at: 120 }));
}

#[test]
fn the_sha256_request_of_rfc_8489_without_password_algorithm_verifies() {
    let bytes = sample_b1(SHA256_MD5_KEY);
    let key = IntegrityKey::long_term_md5(USER, REALM, PREPARED);
    let message = Message::decode(&bytes).unwrap();
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.userhash(), Some(&userhash(USER, REALM)));
    assert_eq!(verified.nonce().unwrap(), "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    assert_eq!(verified.password_algorithm(), None);
    assert_eq!(message.verify_with(&key, Integrity::Sha1).map(|_| ()), Err(IntegrityError::Missing));
    check_rewritten(&bytes, &key);
    assert_eq!(rewrite(&message, &key), bytes);
}

#[test]
fn the_sha256_request_of_rfc_8489_with_password_algorithm_verifies() {
    let bytes = sample_b1(SHA256_SHA256_KEY);
    let key = IntegrityKey::long_term_sha256(USER, REALM, PREPARED);
    let message = Message::decode(&bytes).unwrap();
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.password_algorithm(), Some(PasswordAlgorithm::SHA256));
    check_rewritten(&bytes, &key);
    assert_eq!(rewrite(&message, &key), bytes);
}
