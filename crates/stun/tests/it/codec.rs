//! Properties of the codec: messages round-trip, truncated messages are refused at their end, and no bytes panic.

use core::fmt::Write as _;

use portolan_stun::{
    Attribute, AttributeType, Class, DecodeErrorKind, EncodeError, FingerprintPolicy, IntegrityKey, Message, Method,
    PasswordAlgorithm, Writer, is_stun,
};
use proptest::{collection::vec, prelude::*};

use crate::sample::{Sample, sample};

fn class() -> impl Strategy<Value = Class> {
    proptest::sample::select(vec![Class::Request, Class::Indication, Class::SuccessResponse, Class::ErrorResponse])
}

fn method() -> impl Strategy<Value = Method> {
    (0..0x1000_u16).prop_map(|number| Method::new(number).unwrap())
}

/// The closing attributes of a message.
#[derive(Debug, Clone, Copy)]
struct Ending {
    sha1: bool,
    sha256: Option<usize>,
    fingerprint: bool,
}

fn ending() -> impl Strategy<Value = Ending> {
    let sha256 = proptest::option::of(proptest::sample::select(vec![16, 20, 24, 28, 32]));
    (any::<bool>(), sha256, any::<bool>()).prop_map(|(sha1, sha256, fingerprint)| Ending { sha1, sha256, fingerprint })
}

/// Writes a message into `buffer` and returns its length, or `None` if the message does not fit.
fn written(buffer: &mut [u8], head: Head, samples: &[Sample], ending: Ending) -> Option<usize> {
    let key = IntegrityKey::short_term("secret");
    let (class, method, id) = head;
    let mut writer = Writer::new(buffer, class, method, id.into()).ok()?;
    for sample in samples {
        writer.add(&sample.attribute()).ok()?;
    }
    let length = match (ending.sha1, ending.sha256, ending.fingerprint) {
        (false, None, false) => writer.finish(),
        (false, None, true) => writer.fingerprint().ok()?.finish(),
        (true, None, false) => writer.message_integrity(&key).ok()?.finish(),
        (true, None, true) => writer.message_integrity(&key).ok()?.fingerprint().ok()?.finish(),
        (false, Some(cut), false) => writer.message_integrity_sha256_truncated(&key, cut).ok()?.finish(),
        (false, Some(cut), true) => {
            writer.message_integrity_sha256_truncated(&key, cut).ok()?.fingerprint().ok()?.finish()
        }
        (true, Some(cut), fingerprint) => {
            let signed = writer.message_integrity(&key).ok()?.message_integrity_sha256_truncated(&key, cut).ok()?;
            if fingerprint { signed.fingerprint().ok()?.finish() } else { signed.finish() }
        }
    };
    Some(length.len())
}

/// The content of a message and its encoding.
type Written = (Head, Vec<Sample>, Ending, Vec<u8>);

/// Class, method, transaction ID.
type Head = (Class, Method, [u8; 12]);

fn message() -> impl Strategy<Value = Written> {
    ((class(), method(), any::<[u8; 12]>()), vec(sample(), 0..8), ending()).prop_map(|(head, samples, ending)| {
        let mut buffer = vec![0xff; 2048];
        let length = written(&mut buffer, head, &samples, ending).unwrap();
        buffer.truncate(length);
        (head, samples, ending, buffer)
    })
}

proptest! {
    /// The closing attributes verify after a round trip.
    #[test]
    fn a_written_message_decodes_to_the_same_content((head, samples, ending, bytes) in message()) {
        prop_assert!(is_stun(&bytes));
        let message = Message::decode(&bytes).unwrap();
        prop_assert_eq!((message.class(), message.method(), message.transaction_id().into()), head);
        let closing = usize::from(ending.sha1) + usize::from(ending.sha256.is_some()) + usize::from(ending.fingerprint);
        prop_assert_eq!(message.attributes().count(), samples.len() + closing);
        for (read, sample) in message.attributes().zip(&samples) {
            prop_assert_eq!(read, Ok(sample.attribute()));
        }
        prop_assert_eq!(message.check_fingerprint().is_ok(), ending.fingerprint);
        let policy = if ending.fingerprint { FingerprintPolicy::Required } else { FingerprintPolicy::IfPresent };
        prop_assert!(Message::decode_with(&bytes, policy).is_ok());
        let key = IntegrityKey::short_term("secret");
        let full = match ending.sha256 {
            Some(cut) => cut == 32,
            None => ending.sha1,
        };
        prop_assert_eq!(message.verify(&key).is_ok(), full);
    }

    /// The buffer is filled with ones before the message is written.
    #[test]
    fn padding_is_zero((_, _, _, bytes) in message()) {
        let message = Message::decode(&bytes).unwrap();
        for field in message.fields() {
            let end = field.at + 4 + field.value.len();
            let next = field.at + 4 + field.value.len().next_multiple_of(4);
            prop_assert!(bytes[end..next].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn the_first_attribute_of_a_type_is_returned((_, samples, _, bytes) in message()) {
        let message = Message::decode(&bytes).unwrap();
        for sample in &samples {
            let kind = sample.attribute().kind();
            let first = samples.iter().find(|sample| sample.attribute().kind() == kind).unwrap();
            prop_assert_eq!(message.attribute(kind), Some(Ok(first.attribute())));
        }
    }

    #[test]
    fn every_prefix_is_refused_at_its_end((_, _, _, bytes) in message()) {
        for length in 0..bytes.len() {
            let error = Message::decode(&bytes[..length]).unwrap_err();
            prop_assert_eq!(error.at, length);
            prop_assert!(!is_stun(&bytes[..length]));
        }
        let mut longer = bytes;
        longer.extend([0; 4]);
        prop_assert_eq!(Message::decode(&longer).unwrap_err().at, 2);
    }

    /// The attributes that were written before the error stay valid.
    #[test]
    fn a_buffer_that_is_too_short_is_an_error((head, samples, _, bytes) in message(), cut in any::<proptest::sample::Index>()) {
        let length = cut.index(bytes.len());
        let mut buffer = vec![0xff; length];
        let (class, method, id) = head;
        let Ok(mut writer) = Writer::new(&mut buffer, class, method, id.into()) else {
            prop_assert!(length < 20);
            return Ok(());
        };
        let mut written = 0;
        for sample in &samples {
            let before = writer.len();
            match writer.add(&sample.attribute()) {
                Ok(()) => written += 1,
                Err(EncodeError::BufferTooShort { needed, available }) => {
                    prop_assert!(needed > available && available == length);
                    prop_assert_eq!(writer.len(), before);
                    break;
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
        let message = Message::decode(writer.finish()).unwrap();
        prop_assert_eq!(message.attributes().count(), written);
    }

    /// The input is decoded, encoded and decoded again. All attributes that can be written survive.
    #[test]
    fn decoded_attributes_can_be_written_again(bytes in nearly_valid()) {
        let Ok(message) = Message::decode(&bytes) else { return Ok(()) };
        let mut buffer = vec![0; bytes.len() + 64];
        let id = message.transaction_id();
        let mut writer = Writer::new(&mut buffer, message.class(), message.method(), id).unwrap();
        let mut kept = Vec::new();
        for attribute in message.attributes().flatten() {
            if writer.add(&attribute).is_ok() {
                kept.push(attribute);
            }
        }
        let again = Message::decode(writer.finish()).unwrap();
        let read: Vec<Attribute<'_>> = again.attributes().map(Result::unwrap).collect();
        prop_assert_eq!(read, kept);
    }

    #[test]
    fn no_bytes_panic(bytes in prop_oneof![vec(any::<u8>(), 0..200), nearly_valid()]) {
        exercise(&bytes);
    }

    #[test]
    fn lists_round_trip_in_order(numbers in vec(any::<u16>(), 0..20), parameters in vec(vec(any::<u8>(), 0..9), 0..5)) {
        let mut buffer = [0xff; 512];
        let id = [3; 12].into();
        let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, Method::BINDING, id).unwrap();
        writer.add_unknown_attributes(numbers.iter().copied().map(AttributeType::new)).unwrap();
        let algorithms: Vec<PasswordAlgorithm<'_>> =
            parameters.iter().zip(0..).map(|(parameters, number)| PasswordAlgorithm { number, parameters }).collect();
        writer.add_password_algorithms(&algorithms).unwrap();
        let message = Message::decode(writer.finish()).unwrap();
        let read: Vec<u16> = message.unknown_attributes().unwrap().iter().map(AttributeType::number).collect();
        prop_assert_eq!(read, numbers);
        let read: Vec<PasswordAlgorithm<'_>> = message.password_algorithms().unwrap().iter().collect();
        prop_assert_eq!(read, algorithms);
    }
}

/// Generates a valid message with up to three changed bytes, sometimes truncated with a correct length field.
pub(crate) fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4);
    (message(), changes, any::<proptest::sample::Index>(), any::<bool>()).prop_map(
        |((_, _, _, mut bytes), changes, cut, fix_length)| {
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if fix_length {
                // The cut is at a multiple of four. The length field is then valid although an attribute is truncated.
                let length = (20 + cut.index(bytes.len() - 19)) & !3;
                bytes.truncate(length);
                bytes[0] &= 0x3f;
                let length = u16::try_from(bytes.len() - 20).unwrap();
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
            }
            bytes
        },
    )
}

/// Calls every reading method on the bytes.
fn exercise(bytes: &[u8]) {
    let message = match Message::decode(bytes) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.at <= bytes.len() && !error.to_string().is_empty());
            return;
        }
    };
    assert!(is_stun(bytes));
    let mut text = String::new();
    write!(text, "{message:?} {:?}", message.exempt()).unwrap();
    for attribute in message.attributes() {
        if let Err(error) = attribute {
            assert!(error.at < bytes.len(), "{error}");
            assert!(matches!(
                error.kind,
                DecodeErrorKind::ValueLength { .. }
                    | DecodeErrorKind::AddressFamily { .. }
                    | DecodeErrorKind::ErrorCodeRange { .. }
                    | DecodeErrorKind::ListTruncated { .. }
            ));
        }
    }
    for &kind in AttributeType::KNOWN {
        assert_eq!(message.attribute(kind).is_some(), message.has(kind));
    }
    let unknown = message.unknown_comprehension_required().count();
    assert!(unknown <= message.not_understood(&[]).count());
    let _ = (message.check_fingerprint(), message.verify(&IntegrityKey::short_term("secret")));
}

/// The writer copies short values in pieces that depend on the length, and long values as a whole.
#[test]
fn values_of_every_length_are_written_with_zero_padding() {
    let value: Vec<u8> = (1..=100).collect();
    for length in 0..=value.len() {
        let mut buffer = [0xff; 128];
        let given = value.get(..length).unwrap();
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::DATA, [7; 12].into()).unwrap();
        writer.add(&Attribute::Data(given)).unwrap();
        let bytes = writer.finish();
        assert_eq!(bytes.len(), 24 + length.next_multiple_of(4));
        let (value_bytes, padding) = bytes.get(24..).unwrap().split_at(length);
        assert_eq!(value_bytes, given, "{length}");
        assert!(padding.iter().all(|byte| *byte == 0), "{length}: {padding:?}");
        let end = bytes.len();
        assert!(buffer.get(end..).unwrap().iter().all(|byte| *byte == 0xff), "{length}: written past its end");
    }
}
