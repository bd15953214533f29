//! Tests of single messages: one rule and one expected result each.

use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Class, DecodeError, DecodeErrorKind as Kind, EncodeError, ErrorCode,
    FingerprintPolicy, Lengths, Message, Method, PasswordAlgorithm, RfcSection, Text, Writer, is_stun,
};

use crate::hex;

const ID: [u8; 12] = [1; 12];

fn request(buffer: &mut [u8]) -> Writer<'_> {
    Writer::new(buffer, Class::Request, Method::BINDING, ID.into()).unwrap()
}

/// Returns a request with one attribute that has this value.
fn with_value(kind: AttributeType, value: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 28 + value.len()];
    let mut writer = request(&mut buffer);
    writer.add(&Attribute::Unknown { kind, value }).unwrap();
    writer.finish().to_vec()
}

/// Returns the error of decoding one attribute with this value.
fn read_error(kind: AttributeType, value: &[u8]) -> DecodeError {
    let bytes = with_value(kind, value);
    Message::decode(&bytes).unwrap().attribute(kind).unwrap().unwrap_err()
}

#[test]
fn each_violated_rule_has_its_error_and_offset() {
    let cases = [
        ("", 0, Kind::HeaderTruncated { found: 0 }),
        ("0001", 2, Kind::HeaderTruncated { found: 2 }),
        ("80010000 2112a442 010101010101010101010101", 0, Kind::TopBits { found: 0x80 }),
        ("40010000 2112a442 010101010101010101010101", 0, Kind::TopBits { found: 0x40 }),
        ("00010000 2112a443 010101010101010101010101", 4, Kind::Cookie { found: 0x2112_a443 }),
        ("00010003 2112a442 010101010101010101010101 000000", 2, Kind::LengthUnaligned { found: 3 }),
        ("00010008 2112a442 010101010101010101010101 80220000", 24, Kind::LengthMismatch { announced: 8, found: 4 }),
        ("00010000 2112a442 010101010101010101010101 80220000", 2, Kind::LengthMismatch { announced: 0, found: 4 }),
        (
            "00010008 2112a442 010101010101010101010101 80220005 41414141",
            20,
            Kind::AttributeTruncated { attribute: AttributeType::SOFTWARE, announced: 5, found: 4 },
        ),
    ];
    for (digits, at, kind) in cases {
        let bytes = hex(digits);
        assert_eq!(Message::decode(&bytes).unwrap_err(), (DecodeError { at, kind }), "{digits}");
        assert!(matches!(kind, Kind::AttributeTruncated { .. }) == is_stun(&bytes), "{digits}");
    }
}

#[test]
fn error_texts_have_the_offset_and_the_rfc_section() {
    let error = Message::decode(&hex("00010008 2112a442 010101010101010101010101 80220005 41414141")).unwrap_err();
    assert_eq!(error.to_string(), "byte 20: SOFTWARE announces 5 bytes, the message has 4 left (RFC 8489 §14)");
    let error = read_error(AttributeType::XOR_MAPPED_ADDRESS, &[0, 1, 0, 80, 1, 2, 3]);
    assert_eq!(error.to_string(), "byte 22: XOR-MAPPED-ADDRESS has 8 bytes, found 7 (RFC 8489 §14.2)");
}

#[test]
fn a_malformed_value_is_reported_and_the_next_attribute_is_decoded() {
    use AttributeType as T;
    let length = |attribute, expected, found| Kind::ValueLength { attribute, expected, found };
    let cases: [(T, &[u8], usize, Kind); 10] = [
        (T::PRIORITY, &[0; 3], 22, length(T::PRIORITY, Lengths::Exactly(4), 3)),
        (T::USE_CANDIDATE, &[0; 4], 22, length(T::USE_CANDIDATE, Lengths::Exactly(0), 4)),
        (T::RESPONSE_PORT, &[0; 3], 22, length(T::RESPONSE_PORT, Lengths::Either(2, 4), 3)),
        (T::ERROR_CODE, &[0, 0, 4], 22, length(T::ERROR_CODE, Lengths::AtLeast(4), 3)),
        (T::ERROR_CODE, &[0, 0, 2, 99], 26, Kind::ErrorCodeRange { attribute: T::ERROR_CODE, class: 2, number: 99 }),
        (T::ERROR_CODE, &[0, 0, 4, 100], 26, Kind::ErrorCodeRange { attribute: T::ERROR_CODE, class: 4, number: 100 }),
        (
            T::MAPPED_ADDRESS,
            &[0, 3, 0, 0, 1, 1, 1, 1],
            25,
            Kind::AddressFamily { attribute: T::MAPPED_ADDRESS, found: 3 },
        ),
        (T::SOFTWARE, &[b'a'; 764], 22, length(T::SOFTWARE, Lengths::AtMost(763), 764)),
        (
            T::PASSWORD_ALGORITHMS,
            &[0, 1, 0, 0, 0, 2, 0, 4],
            28,
            Kind::ListTruncated { attribute: T::PASSWORD_ALGORITHMS, expected: 8, found: 4 },
        ),
        (
            T::UNKNOWN_ATTRIBUTES,
            &[0; 3],
            22,
            length(T::UNKNOWN_ATTRIBUTES, Lengths::Stepped { least: 0, most: 65_534, step: 2 }, 3),
        ),
    ];
    for (kind, value, at, expected) in cases {
        assert_eq!(read_error(kind, value), DecodeError { at, kind: expected });
        // The next attribute is still decoded.
        let mut buffer = [0; 1024];
        let mut writer = request(&mut buffer);
        writer.add(&Attribute::Unknown { kind, value }).unwrap();
        writer.add(&Attribute::Nomination(7)).unwrap();
        let message = Message::decode(writer.finish()).unwrap();
        let read: Vec<_> = message.attributes().collect();
        assert!(read[0].is_err());
        assert_eq!(read[1], Ok(Attribute::Nomination(7)));
    }
}

#[test]
fn reserved_bits_are_ignored() {
    let bytes = with_value(AttributeType::MAPPED_ADDRESS, &[0xff, 1, 0, 80, 192, 0, 2, 1]);
    assert_eq!(Message::decode(&bytes).unwrap().mapped_address(), Some("192.0.2.1:80".parse().unwrap()));
    let bytes = with_value(AttributeType::ERROR_CODE, &[0xff, 0xff, 0xfc, 20]);
    assert_eq!(Message::decode(&bytes).unwrap().error_code().unwrap().code(), 420);
    let bytes = with_value(AttributeType::CHANGE_REQUEST, &[0xff, 0xff, 0xff, 0xfd]);
    assert_eq!(Message::decode(&bytes).unwrap().change_request(), Some(ChangeRequest::IP));
}

#[test]
fn padding_bytes_are_ignored() {
    let mut bytes = with_value(AttributeType::SOFTWARE, b"hello");
    for last in 1..4 {
        let at = bytes.len() - last;
        bytes[at] = 0xff;
    }
    assert_eq!(Message::decode(&bytes).unwrap().software().unwrap(), "hello");
}

#[test]
fn response_port_is_read_in_both_lengths_and_written_in_four_bytes() {
    for value in [&[0x1f, 0x90][..], &[0x1f, 0x90, 0, 0], &[0x1f, 0x90, 0xff, 0xff]] {
        let bytes = with_value(AttributeType::RESPONSE_PORT, value);
        assert_eq!(Message::decode(&bytes).unwrap().response_port(), Some(8080));
    }
    let mut buffer = [0; 28];
    let mut writer = request(&mut buffer);
    writer.add(&Attribute::ResponsePort(8080)).unwrap();
    assert_eq!(writer.finish()[20..], hex("00270004 1f900000"));
}

#[test]
fn change_request_has_the_bits_of_rfc_5780() {
    for (change, byte) in
        [(ChangeRequest::NONE, 0), (ChangeRequest::PORT, 2), (ChangeRequest::IP, 4), (ChangeRequest::IP_AND_PORT, 6)]
    {
        let mut buffer = [0; 28];
        let mut writer = request(&mut buffer);
        writer.add(&Attribute::ChangeRequest(change)).unwrap();
        assert_eq!(writer.finish()[24..], [0, 0, 0, byte]);
    }
}

#[test]
fn padding_is_written_with_the_requested_length() {
    let mut buffer = [0xff; 2048];
    let mut writer = request(&mut buffer);
    writer.add_padding(1500).unwrap();
    let message = Message::decode(writer.finish()).unwrap();
    assert_eq!(message.padding_len(), Some(1500));
    assert!(message.padding().unwrap().iter().all(|&byte| byte == 0));
}

#[test]
fn message_types_are_encoded_as_figure_3_says() {
    for number in 0..0x1000 {
        let method = Method::new(number).unwrap();
        for class in [Class::Request, Class::Indication, Class::SuccessResponse, Class::ErrorResponse] {
            let mut buffer = [0; 20];
            let bytes = Writer::new(&mut buffer, class, method, ID.into()).unwrap().finish();
            assert_eq!(bytes[0] & 0xc0, 0);
            let message = Message::decode(bytes).unwrap();
            assert_eq!((message.class(), message.method()), (class, method));
        }
    }
    assert_eq!(Method::new(0x1000), None);
    // The types in the RFC: Binding request, indication, success response and error response.
    for (class, word) in [
        (Class::Request, [0x00, 0x01]),
        (Class::Indication, [0x00, 0x11]),
        (Class::SuccessResponse, [0x01, 0x01]),
        (Class::ErrorResponse, [0x01, 0x11]),
    ] {
        assert_eq!(Writer::new(&mut [0; 20], class, Method::BINDING, ID.into()).unwrap().finish()[..2], word);
    }
}

#[test]
fn each_fingerprint_policy_is_applied() {
    use FingerprintPolicy as P;
    let bare = request(&mut [0; 20]).finish().to_vec();
    let good = request(&mut [0; 28]).fingerprint().unwrap().finish().to_vec();
    let mut bad = good.clone();
    bad[27] ^= 1;
    let ok =
        |bytes: &[u8], policy| Message::decode_with(bytes, policy).map(|_| ()).map_err(|error| (error.at, error.kind));
    for (policy, without, with, wrong) in
        [(P::Ignore, true, true, true), (P::IfPresent, true, true, false), (P::Required, false, true, false)]
    {
        assert_eq!(ok(&bare, policy).is_ok(), without);
        assert_eq!(ok(&good, policy).is_ok(), with);
        assert_eq!(ok(&bad, policy).is_ok(), wrong);
    }
    assert_eq!(ok(&bare, P::Required), Err((20, Kind::FingerprintMissing)));
    let found = u32::from_be_bytes(bad[24..].try_into().unwrap());
    assert_eq!(ok(&bad, P::Required), Err((24, Kind::FingerprintMismatch { expected: found ^ 1, found })));

    let mut followed = good;
    followed.extend([0x80, 0x22, 0, 0]);
    followed[3] += 4;
    assert_eq!(ok(&followed, P::IfPresent), Err((28, Kind::FingerprintNotLast { found: 4 })));
}

#[test]
fn the_writer_refuses_invalid_attributes() {
    let mut buffer = [0; 2048];
    let mut writer = request(&mut buffer);
    for kind in [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256, AttributeType::FINGERPRINT]
    {
        let refused = writer.add(&Attribute::Unknown { kind, value: &[0; 20] });
        assert_eq!(refused, Err(EncodeError::Computed { attribute: kind }));
    }
    let address = "192.0.2.1:1".parse().unwrap();
    assert_eq!(
        writer.add(&Attribute::ChangedAddress(address)),
        Err(EncodeError::ReadOnly { attribute: AttributeType::CHANGED_ADDRESS })
    );
    let long = "a".repeat(1000);
    for (attribute, limit) in [
        (Attribute::Username(Text::new(&long[..509])), 508),
        (Attribute::Realm(Text::new(&long[..764])), 763),
        (Attribute::Nonce(Text::new(&long[..764])), 763),
        (Attribute::Software(Text::new(&long[..510])), 509),
        (Attribute::AlternateDomain(Text::new(&long[..256])), 255),
        (Attribute::ErrorCode(ErrorCode::new(400, Text::new(&long[..510])).unwrap()), 509),
    ] {
        let found = limit + 1;
        let attribute_type = attribute.kind();
        assert_eq!(writer.add(&attribute), Err(EncodeError::ValueTooLong { attribute: attribute_type, limit, found }));
    }
    for attribute in [
        Attribute::Software(Text::new(&long[..128])),
        Attribute::ErrorCode(ErrorCode::new(400, Text::new(&long[..128])).unwrap()),
    ] {
        let attribute_type = attribute.kind();
        assert_eq!(writer.add(&attribute), Err(EncodeError::TooManyCharacters { attribute: attribute_type }));
    }
    // The limit counts characters: 127 characters of four bytes are allowed.
    let wide = "\u{1f9ed}".repeat(127);
    assert_eq!(writer.add(&Attribute::Software(Text::new(&wide))), Ok(()));
    assert_eq!(Message::decode(writer.finish()).unwrap().attributes().count(), 1);
}

#[test]
fn the_length_field_limits_the_message_length() {
    let mut buffer = vec![0; 70_000];
    let mut writer = request(&mut buffer);
    writer.add_padding(65_528).unwrap();
    assert_eq!(writer.add(&Attribute::UseCandidate), Err(EncodeError::MessageTooLong { needed: 65_556 }));
    let bytes = writer.finish();
    assert_eq!(bytes.len(), 65_552);
    assert_eq!(Message::decode(bytes).unwrap().padding_len(), Some(65_528));
    assert!(matches!(request(&mut buffer).add_padding(65_536), Err(EncodeError::MessageTooLong { .. })));
    assert!(matches!(request(&mut buffer).add_padding(usize::MAX), Err(EncodeError::MessageTooLong { .. })));
    assert!(matches!(request(&mut buffer).add_padding(65_533), Err(EncodeError::MessageTooLong { .. })));
}

#[test]
fn unknown_attributes_are_listed() {
    let mut buffer = [0; 128];
    let mut writer = request(&mut buffer);
    for number in [0x7abc, 0xfabc, 0x0010, 0x7abc] {
        writer.add(&Attribute::Unknown { kind: AttributeType::new(number), value: &[1] }).unwrap();
    }
    // The crate knows LIFETIME, although a Binding request does not use it.
    writer.add(&Attribute::Lifetime(600)).unwrap();
    writer.add(&Attribute::Priority(7)).unwrap();
    let message = Message::decode(writer.finish()).unwrap();
    let numbers = |types: &mut dyn Iterator<Item = AttributeType>| types.map(AttributeType::number).collect::<Vec<_>>();
    assert_eq!(numbers(&mut message.unknown_comprehension_required()), [0x7abc, 0x0010, 0x7abc]);
    let less = [AttributeType::PRIORITY, AttributeType::new(0x7abc)];
    assert_eq!(numbers(&mut message.not_understood(&less)), [0x0010, 0x000d]);
    // The other attributes are still decoded.
    assert_eq!((message.lifetime(), message.priority()), (Some(600), Some(7)));
}

#[test]
fn reason_phrases_are_the_recommended_ones() {
    for (code, phrase) in [
        (300, "Try Alternate"),
        (400, "Bad Request"),
        (401, "Unauthenticated"),
        (420, "Unknown Attribute"),
        (438, "Stale Nonce"),
        (500, "Server Error"),
    ] {
        assert_eq!(ErrorCode::recommended(code).unwrap().reason(), phrase);
    }
    assert_eq!(ErrorCode::recommended(699).unwrap().reason(), "");
    for code in [0, 299, 700, u16::MAX] {
        assert_eq!(ErrorCode::recommended(code), None);
    }
}

#[test]
fn texts_up_to_the_limit_of_bytes_are_decoded() {
    use AttributeType as T;
    let text = [b'a'; 763];
    for kind in [T::USERNAME, T::REALM, T::NONCE, T::SOFTWARE, T::ERROR_CODE] {
        let mut value = if kind == T::ERROR_CODE { vec![0, 0, 4, 0] } else { Vec::new() };
        value.extend(text);
        let bytes = with_value(kind, &value);
        assert!(Message::decode(&bytes).unwrap().attribute(kind).unwrap().is_ok());
        value.push(b'a');
        assert!(matches!(read_error(kind, &value).kind, Kind::ValueLength { .. }));
    }
}

#[test]
fn addresses_are_encoded_as_figures_5_and_6_say() {
    let mut buffer = [0xff; 128];
    let mut writer = request(&mut buffer);
    let (v4, v6) = ("192.0.2.1:32853".parse().unwrap(), "[2001:db8::1]:32853".parse().unwrap());
    writer.add(&Attribute::MappedAddress(v4)).unwrap();
    writer.add(&Attribute::OtherAddress(v6)).unwrap();
    writer.add(&Attribute::XorMappedAddress(v4)).unwrap();
    writer.add(&Attribute::XorMappedAddress(v6)).unwrap();
    let expected = hex("
        00010008 00018055 c0000201
        802c0014 00028055 20010db8 00000000 00000000 00000001
        00200008 0001a147 e112a643
        00200014 0002a147 0113a9fa 01010101 01010101 01010100");
    assert_eq!(writer.finish()[20..], expected);
}

#[test]
fn reserved_bits_are_written_as_zero() {
    let mut buffer = [0xff; 128];
    let mut writer = request(&mut buffer);
    writer.add(&Attribute::ErrorCode(ErrorCode::recommended(420).unwrap())).unwrap();
    writer.add(&Attribute::EvenPort(true)).unwrap();
    writer.add(&Attribute::ChannelNumber(0x4001)).unwrap();
    writer.add(&Attribute::RequestedTransport(17)).unwrap();
    let expected = hex("
        00090015 00000414 556e6b6e 6f776e20 41747472 69627574 65000000
        00180001 80000000
        000c0004 40010000
        00190004 11000000");
    assert_eq!(writer.finish()[20..], expected);
}

#[test]
fn password_algorithms_are_padded() {
    let mut buffer = [0xff; 128];
    let mut writer = request(&mut buffer);
    let odd = PasswordAlgorithm { number: 9, parameters: b"abcde" };
    writer.add_password_algorithms(&[odd, PasswordAlgorithm::MD5]).unwrap();
    writer.add(&Attribute::PasswordAlgorithm(odd)).unwrap();
    let bytes = writer.finish();
    assert_eq!(
        bytes[20..],
        hex("
        80020010 00090005 61626364 65000000 00010000
        001d000c 00090005 61626364 65000000")
    );
    // The decoder ignores the padding bytes, and accepts a last entry without padding.
    for value in ["00090005 61626364 65ffffff", "00090005 61626364 65"] {
        let bytes = with_value(AttributeType::PASSWORD_ALGORITHM, &hex(value));
        assert_eq!(Message::decode(&bytes).unwrap().password_algorithm(), Some(odd));
    }
}

#[test]
fn text_from_a_peer_prints_on_one_line() {
    assert_eq!(Text::from_wire(b"a\nb\x1b[2J\xff").to_string(), "a\\nb\\u{1b}[2J\u{fffd}");
    assert_eq!(Text::new("a\u{202e}b\u{2028}").to_string(), "a\\u{202e}b\\u{2028}");
}

#[test]
fn a_text_is_read_exactly_where_its_bytes_are_utf8() {
    // Every byte, and characters of 2 to 4 bytes, whole and cut, at every place in texts of 0 to 40 bytes.
    let single = (0..=u8::MAX).map(|byte| vec![byte]);
    let multiple = ["\u{e9}", "\u{20ac}", "\u{1d11e}"]
        .into_iter()
        .flat_map(|character| (2..=character.len()).map(|end| character.as_bytes()[..end].to_vec()));
    for part in single.chain(multiple) {
        for (before, after) in (0..40).flat_map(|before| (0..40 - before).map(move |after| (before, after))) {
            let bytes = [vec![b'a'; before], part.clone(), vec![b'z'; after]].concat();
            assert_eq!(Text::from_wire(&bytes).as_str(), core::str::from_utf8(&bytes).ok(), "{bytes:02x?}");
        }
    }
    assert_eq!(Text::from_wire(b"").as_str(), Some(""));
}

#[test]
fn the_registry_is_sorted_and_agrees_with_the_decoder() {
    for (&kind, next) in AttributeType::KNOWN.iter().zip(AttributeType::KNOWN.iter().skip(1)) {
        assert!(kind < *next, "{kind} is out of order");
    }
    for &kind in AttributeType::KNOWN {
        assert!(kind.is_known());
        // A known type is decoded to its own variant or refused with its own RFC section.
        for length in 0..40 {
            match Message::decode(&with_value_raw(kind, length)).unwrap().attribute(kind).unwrap() {
                Ok(attribute) => assert_eq!(attribute.kind(), kind),
                Err(error) => {
                    assert_eq!(error.clause(), kind.clause().unwrap_or(RfcSection { rfc: 8489, section: "14" }))
                }
            }
        }
    }
    assert!(AttributeType::new(0x7fff).is_comprehension_required());
    assert!(!AttributeType::new(0x8000).is_comprehension_required());
}

/// Returns a message with one attribute whose value is zero. The writer refuses some of these types.
fn with_value_raw(kind: AttributeType, length: u8) -> Vec<u8> {
    let padded = length.next_multiple_of(4);
    let mut bytes = hex("00010000 2112a442 010101010101010101010101");
    bytes[3] = padded + 4;
    bytes.extend(kind.number().to_be_bytes());
    bytes.extend([0, length]);
    bytes.extend(vec![0; usize::from(padded)]);
    bytes
}
