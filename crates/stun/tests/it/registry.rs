//! A second copy of the registry and of the figures of the RFCs, written by hand. Round-trip tests do not find a wrong
//! number or a byte at the wrong offset.

use portolan_stun::{
    AddressErrorCode, AddressFamily, Attribute, AttributeType, Class, DecodeError, DecodeErrorKind as Kind,
    EncodeError, ErrorCode, Icmp, Lengths, Message, Method, NetworkCost, PasswordAlgorithm, Writer,
};

use crate::hex;

/// RFC 8489 §18.3, 8445 §20.1, 8656 §18, 6062 §6.2, 5780 §9.1, 8016 §4, 7635 §12, 7982 §7.1 and 3489 §11.2.
const NUMBERS: [(u16, &str); 49] = [
    (0x0001, "MAPPED-ADDRESS"),
    (0x0002, "RESPONSE-ADDRESS"),
    (0x0003, "CHANGE-REQUEST"),
    (0x0004, "SOURCE-ADDRESS"),
    (0x0005, "CHANGED-ADDRESS"),
    (0x0006, "USERNAME"),
    (0x0008, "MESSAGE-INTEGRITY"),
    (0x0009, "ERROR-CODE"),
    (0x000a, "UNKNOWN-ATTRIBUTES"),
    (0x000b, "REFLECTED-FROM"),
    (0x000c, "CHANNEL-NUMBER"),
    (0x000d, "LIFETIME"),
    (0x0012, "XOR-PEER-ADDRESS"),
    (0x0013, "DATA"),
    (0x0014, "REALM"),
    (0x0015, "NONCE"),
    (0x0016, "XOR-RELAYED-ADDRESS"),
    (0x0017, "REQUESTED-ADDRESS-FAMILY"),
    (0x0018, "EVEN-PORT"),
    (0x0019, "REQUESTED-TRANSPORT"),
    (0x001a, "DONT-FRAGMENT"),
    (0x001b, "ACCESS-TOKEN"),
    (0x001c, "MESSAGE-INTEGRITY-SHA256"),
    (0x001d, "PASSWORD-ALGORITHM"),
    (0x001e, "USERHASH"),
    (0x0020, "XOR-MAPPED-ADDRESS"),
    (0x0022, "RESERVATION-TOKEN"),
    (0x0024, "PRIORITY"),
    (0x0025, "USE-CANDIDATE"),
    (0x0026, "PADDING"),
    (0x0027, "RESPONSE-PORT"),
    (0x002a, "CONNECTION-ID"),
    (0x8000, "ADDITIONAL-ADDRESS-FAMILY"),
    (0x8001, "ADDRESS-ERROR-CODE"),
    (0x8002, "PASSWORD-ALGORITHMS"),
    (0x8003, "ALTERNATE-DOMAIN"),
    (0x8004, "ICMP"),
    (0x8020, "XOR-MAPPED-ADDRESS (0x8020)"),
    (0x8022, "SOFTWARE"),
    (0x8023, "ALTERNATE-SERVER"),
    (0x8025, "TRANSACTION_TRANSMIT_COUNTER"),
    (0x8027, "CACHE-TIMEOUT"),
    (0x8028, "FINGERPRINT"),
    (0x8029, "ICE-CONTROLLED"),
    (0x802a, "ICE-CONTROLLING"),
    (0x802b, "RESPONSE-ORIGIN"),
    (0x802c, "OTHER-ADDRESS"),
    (0x802e, "THIRD-PARTY-AUTHORIZATION"),
    (0x8030, "MOBILITY-TICKET"),
];

#[test]
fn the_attribute_numbers_are_those_of_the_registry() {
    let other = [(0xc001, "NOMINATION"), (0xc057, "NETWORK-COST")];
    let expected: Vec<(u16, Option<&str>)> =
        NUMBERS.into_iter().chain(other).map(|(number, name)| (number, Some(name))).collect();
    let known: Vec<_> = AttributeType::KNOWN.iter().map(|kind| (kind.number(), kind.name())).collect();
    assert_eq!(known, expected);
}

#[test]
fn the_method_numbers_are_those_of_the_registry() {
    // RFC 8489 §18.2, 8656 §17, 6062 §6.1.
    let names = [
        (0x001, "Binding"),
        (0x002, "SharedSecret"),
        (0x003, "Allocate"),
        (0x004, "Refresh"),
        (0x006, "Send"),
        (0x007, "Data"),
        (0x008, "CreatePermission"),
        (0x009, "ChannelBind"),
        (0x00a, "Connect"),
        (0x00b, "ConnectionBind"),
        (0x00c, "ConnectionAttempt"),
    ];
    let named: Vec<(u16, &str)> =
        (0..0x1000).filter_map(|number| Some((number, Method::new(number)?.name()?))).collect();
    assert_eq!(named, names);
}

#[test]
fn every_recommended_phrase_is_that_of_the_registry() {
    // RFC 8489 §14.8, 8656 §19, 8445 §16.2, 8016 §3.4, 6062 §6.3.
    let phrases = [
        (ErrorCode::TRY_ALTERNATE, 300, "Try Alternate"),
        (ErrorCode::BAD_REQUEST, 400, "Bad Request"),
        (ErrorCode::UNAUTHENTICATED, 401, "Unauthenticated"),
        (ErrorCode::FORBIDDEN, 403, "Forbidden"),
        (ErrorCode::MOBILITY_FORBIDDEN, 405, "Mobility Forbidden"),
        (ErrorCode::UNKNOWN_ATTRIBUTE, 420, "Unknown Attribute"),
        (ErrorCode::ALLOCATION_MISMATCH, 437, "Allocation Mismatch"),
        (ErrorCode::STALE_NONCE, 438, "Stale Nonce"),
        (ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED, 440, "Address Family not Supported"),
        (ErrorCode::WRONG_CREDENTIALS, 441, "Wrong Credentials"),
        (ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL, 442, "Unsupported Transport Protocol"),
        (ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH, 443, "Peer Address Family Mismatch"),
        (ErrorCode::CONNECTION_ALREADY_EXISTS, 446, "Connection Already Exists"),
        (ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE, 447, "Connection Timeout or Failure"),
        (ErrorCode::ALLOCATION_QUOTA_REACHED, 486, "Allocation Quota Reached"),
        (ErrorCode::ROLE_CONFLICT, 487, "Role Conflict"),
        (ErrorCode::SERVER_ERROR, 500, "Server Error"),
        (ErrorCode::INSUFFICIENT_CAPACITY, 508, "Insufficient Capacity"),
    ];
    for code in 300..700 {
        let expected = phrases.iter().find(|phrase| phrase.1 == code).map_or("", |phrase| phrase.2);
        assert_eq!(ErrorCode::recommended(code).unwrap().reason(), expected, "{code}");
    }
    assert!(phrases.iter().all(|&(named, number, _)| named == number));
}

/// The transaction ID is 01 01 … 01.
#[test]
fn every_attribute_is_encoded_as_its_figure_says() {
    let (v4, v6) = ("192.0.2.1:32853".parse().unwrap(), "[2001:db8::1]:32853".parse().unwrap());
    let no_room = ErrorCode::new(508, "full".into()).unwrap();
    let hash = core::array::from_fn(|index| u8::try_from(index).unwrap());
    let cases = [
        (Attribute::Username("ab".into()), "00060002 61620000"),
        (Attribute::Realm("ab".into()), "00140002 61620000"),
        (Attribute::Nonce("abc".into()), "00150003 61626300"),
        (Attribute::Software("abcd".into()), "80220004 61626364"),
        (Attribute::AlternateDomain("a.b".into()), "80030003 612e6200"),
        (Attribute::ThirdPartyAuthorization("a".into()), "802e0001 61000000"),
        (
            Attribute::Userhash(&hash),
            "001e0020 00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f",
        ),
        (Attribute::PasswordAlgorithm(PasswordAlgorithm::SHA256), "001d0004 00020000"),
        (Attribute::PasswordAlgorithm(PasswordAlgorithm::MD5), "001d0004 00010000"),
        (Attribute::AlternateServer(v4), "80230008 00018055 c0000201"),
        (Attribute::ResponseOrigin(v4), "802b0008 00018055 c0000201"),
        (Attribute::XorMappedAddressDraft(v4), "80200008 0001a147 e112a643"),
        (Attribute::XorPeerAddress(v4), "00120008 0001a147 e112a643"),
        (Attribute::XorRelayedAddress(v6), "00160014 0002a147 0113a9fa 01010101 01010101 01010100"),
        (Attribute::Priority(0x6e00_01ff), "00240004 6e0001ff"),
        (Attribute::UseCandidate, "00250000"),
        (Attribute::IceControlled(0x0102_0304_0506_0708), "80290008 01020304 05060708"),
        (Attribute::IceControlling(0x0102_0304_0506_0708), "802a0008 01020304 05060708"),
        (Attribute::Lifetime(600), "000d0004 00000258"),
        (Attribute::Data(&[1, 2, 3, 4, 5]), "00130005 01020304 05000000"),
        (Attribute::RequestedAddressFamily(AddressFamily::Ipv4), "00170004 01000000"),
        (Attribute::AdditionalAddressFamily(AddressFamily::Ipv6), "80000004 02000000"),
        (Attribute::EvenPort(false), "00180001 00000000"),
        (Attribute::DontFragment, "001a0000"),
        (Attribute::ReservationToken([1, 2, 3, 4, 5, 6, 7, 8]), "00220008 01020304 05060708"),
        (
            Attribute::AddressErrorCode(AddressErrorCode { family: AddressFamily::Ipv6, error: no_room }),
            "80010008 02000508 66756c6c",
        ),
        // Type in seven bits, code in nine.
        (Attribute::Icmp(Icmp { kind: 3, code: 4, data: 1280 }), "80040008 00000604 00000500"),
        (Attribute::Icmp(Icmp { kind: 0x7f, code: 0x101, data: 0 }), "80040008 0000ff01 00000000"),
        (Attribute::ConnectionId(0x0102_0304), "002a0004 01020304"),
        (Attribute::CacheTimeout(0x0102_0304), "80270004 01020304"),
        (Attribute::MobilityTicket(&[9]), "80300001 09000000"),
        (Attribute::AccessToken(&[]), "001b0000"),
        (Attribute::TransactionTransmitCounter { req: 2, resp: 1 }, "80250004 00000201"),
        (Attribute::NetworkCost(NetworkCost { network: 0x0102, cost: 999 }), "c0570004 010203e7"),
        (Attribute::Nomination(7), "c0010004 00000007"),
    ];
    for (attribute, digits) in cases {
        let mut buffer = [0xff; 64];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [1; 12].into()).unwrap();
        writer.add(&attribute).unwrap();
        let bytes = writer.finish();
        assert_eq!(bytes[20..], hex(digits), "{attribute:?}");
        assert_eq!(Message::decode(bytes).unwrap().attributes().next(), Some(Ok(attribute)));
    }
}

/// The crate decodes the addresses of RFC 3489 §11.2 and does not write them.
#[test]
fn the_addresses_of_rfc_3489_are_decoded_without_xor() {
    let at = "192.0.2.1:32853".parse().unwrap();
    for (kind, attribute) in [
        ("0002", Attribute::ResponseAddress(at)),
        ("0004", Attribute::SourceAddress(at)),
        ("0005", Attribute::ChangedAddress(at)),
        ("000b", Attribute::ReflectedFrom(at)),
    ] {
        let bytes = hex(&format!("0101000c 2112a442 010101010101010101010101 {kind}0008 00018055 c0000201"));
        assert_eq!(Message::decode(&bytes).unwrap().attributes().next(), Some(Ok(attribute)));
    }
}

#[test]
fn a_value_out_of_the_range_of_its_field_is_refused() {
    let mut buffer = [0; 32];
    let mut writer = Writer::new(&mut buffer, Class::Indication, Method::DATA, [1; 12].into()).unwrap();
    for (kind, code) in [(0x80, 0), (0xff, 0), (0, 0x200), (3, u16::MAX)] {
        let refused = writer.add(&Attribute::Icmp(Icmp { kind, code, data: 0 }));
        assert_eq!(refused, Err(EncodeError::OutOfRange { attribute: AttributeType::ICMP }));
    }
    assert_eq!(writer.finish().len(), 20);
}

#[test]
fn empty_values_are_printed_without_a_trailing_space() {
    let message = hex("01110010 2112a442 010101010101010101010101 000a0000 80020000 00090004 00000414");
    let printed: Vec<String> =
        Message::decode(&message).unwrap().attributes().map(|attribute| attribute.unwrap().to_string()).collect();
    assert_eq!(printed, ["none", "none", "420"]);
}

/// Decodes one attribute with this value.
///
/// # Errors
///
/// Returns the error of the decoder if the value is invalid.
fn read(kind: AttributeType, value: &[u8]) -> Result<(), DecodeError> {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, Method::BINDING, [1; 12].into()).unwrap();
    writer.add(&Attribute::Unknown { kind, value }).unwrap();
    Message::decode(writer.finish()).unwrap().attribute(kind).unwrap().map(|_| ())
}

#[test]
fn an_address_has_the_length_of_its_family() {
    use AttributeType as T;
    let all = [T::MAPPED_ADDRESS, T::XOR_MAPPED_ADDRESS, T::XOR_PEER_ADDRESS, T::ALTERNATE_SERVER, T::CHANGED_ADDRESS];
    for kind in all {
        for (family, right) in [(1, 8), (2, 20)] {
            for length in 4..=24_u16 {
                let mut value = vec![0; usize::from(length)];
                value[1] = family;
                let found = usize::from(length);
                let wrong = Kind::ValueLength { attribute: kind, expected: Lengths::Exactly(right), found };
                let expected = if length == right { Ok(()) } else { Err(DecodeError { at: 22, kind: wrong }) };
                assert_eq!(read(kind, &value), expected);
            }
        }
    }
}

#[test]
fn an_error_code_has_a_class_of_3_to_6_and_a_number_below_100() {
    for (class, number) in (0..8).flat_map(|class| [0, 1, 99, 100, 255].map(|number| (class, number))) {
        let verdict = read(AttributeType::ERROR_CODE, &[0, 0, class, number]);
        let wrong = Kind::ErrorCodeRange { attribute: AttributeType::ERROR_CODE, class, number };
        let is_right = (3..=6).contains(&class) && number < 100;
        assert_eq!(verdict, if is_right { Ok(()) } else { Err(DecodeError { at: 26, kind: wrong }) });
    }
}
