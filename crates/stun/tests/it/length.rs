//! The announced lengths are the lengths that the writer writes.

use crate::sample::sample;
use portolan_stun::{
    Attribute, AttributeType, Class, ErrorCode, HEADER_LEN, IntegrityKey, Message, Method, ResponseClass, RfcSection,
    Writer, length,
};
use proptest::prelude::*;

fn begin(buffer: &mut [u8]) -> Writer<'_> {
    Writer::new(buffer, Class::SuccessResponse, Method::BINDING, [7; 12].into()).unwrap()
}

proptest! {
    #[test]
    fn every_attribute_has_its_encoded_length(sample in sample()) {
        let mut buffer = [0; 2048];
        let mut writer = begin(&mut buffer);
        writer.add(&sample.attribute()).unwrap();
        prop_assert_eq!(writer.len(), HEADER_LEN + sample.attribute().encoded_len());
        // A decoded attribute has the same length.
        let message = Message::decode(writer.finish()).unwrap();
        let decoded = message.attributes().next().unwrap().unwrap();
        prop_assert_eq!(decoded.encoded_len(), sample.attribute().encoded_len());
    }

    #[test]
    fn a_list_has_its_encoded_length(numbers in proptest::collection::vec(any::<u16>(), 0..40)) {
        let mut buffer = [0; 2048];
        let mut writer = begin(&mut buffer);
        writer.add_unknown_attributes(numbers.iter().map(|number| AttributeType::new(*number))).unwrap();
        let message = Message::decode(writer.finish()).unwrap();
        let list = message.attributes().next().unwrap().unwrap();
        prop_assert_eq!(list.encoded_len(), message.as_bytes().len() - HEADER_LEN);

        let algorithms: Vec<_> = numbers
            .iter()
            .map(|number| portolan_stun::PasswordAlgorithm { number: *number, parameters: &[1, 2, 3, 4, 5][..usize::from(number % 6)] })
            .collect();
        let mut writer = begin(&mut buffer);
        writer.add_password_algorithms(&algorithms).unwrap();
        let message = Message::decode(writer.finish()).unwrap();
        let list = message.attributes().next().unwrap().unwrap();
        prop_assert_eq!(list.encoded_len(), message.as_bytes().len() - HEADER_LEN);
    }

    #[test]
    fn a_response_with_unknown_types_or_an_error_has_its_announced_length(
        numbers in proptest::collection::vec(any::<u16>(), 0..40),
        reason in "\\PC{0,60}",
    ) {
        let request = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let request = Message::decode(&request).unwrap().exempt();
        let mut buffer = [0; 2048];
        let unknown = numbers.iter().map(|number| AttributeType::new(*number));
        let response = Writer::unknown_attribute_response(&mut buffer, &request, unknown).unwrap();
        let written = response.fingerprint().unwrap().finish().len();
        prop_assert_eq!(written, length::unknown_attribute_response(numbers.len()));

        let mut response = Writer::response(&mut buffer, &request, ResponseClass::Error).unwrap();
        response.add(&Attribute::ErrorCode(ErrorCode::new(400, reason.as_str().into()).unwrap())).unwrap();
        prop_assert_eq!(response.fingerprint().unwrap().finish().len(), length::error_response(reason.len()));
    }
}

#[test]
fn the_largest_responses_fit_exactly_into_their_announced_lengths() {
    let address = "[2001:db8::1]:3478".parse().unwrap();
    let mut buffer = [0; length::BEHAVIOR_RESPONSE_MAX];
    let mut writer = begin(&mut buffer);
    for attribute in [
        Attribute::XorMappedAddress(address),
        Attribute::MappedAddress(address),
        Attribute::ResponseOrigin(address),
        Attribute::OtherAddress(address),
    ] {
        writer.add(&attribute).unwrap();
    }
    assert_eq!(writer.fingerprint().unwrap().finish().len(), length::BEHAVIOR_RESPONSE_MAX);

    let key = IntegrityKey::short_term("secret");
    let mut buffer = [0; 256];
    let signed = begin(&mut buffer).message_integrity(&key).unwrap();
    assert_eq!(signed.len(), HEADER_LEN + length::MESSAGE_INTEGRITY);
    let signed = signed.message_integrity_sha256(&key).unwrap();
    assert_eq!(signed.len(), HEADER_LEN + length::MESSAGE_INTEGRITY + length::MESSAGE_INTEGRITY_SHA256_MAX);
    // The computed attributes of a decoded message have the same lengths.
    let message = Message::decode(signed.fingerprint().unwrap().finish()).unwrap();
    let lengths: Vec<_> = message.attributes().map(|attribute| attribute.unwrap().encoded_len()).collect();
    assert_eq!(lengths, [length::MESSAGE_INTEGRITY, length::MESSAGE_INTEGRITY_SHA256_MAX, length::FINGERPRINT]);
}

#[test]
fn the_base_types_are_the_comprehension_required_types_of_rfc_8489() {
    let of_rfc_8489 = |kind: &&AttributeType| {
        kind.is_comprehension_required() && matches!(kind.clause(), Some(RfcSection { rfc: 8489, .. }))
    };
    let expected: Vec<_> = AttributeType::KNOWN.iter().filter(of_rfc_8489).collect();
    assert_eq!(AttributeType::BASE.iter().collect::<Vec<_>>().len(), expected.len());
    assert!(expected.into_iter().all(|kind| AttributeType::BASE.contains(kind)));
}
