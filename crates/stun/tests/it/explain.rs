//! Tests of the explanation: it covers every byte once and agrees with the decoder.

use portolan_stun::{
    Attribute, AttributeType, Class, IntegrityKey, Message, Method, Writer,
    demux::{ChannelData, ChannelDataError, Protocol},
    explain::{Item, Line, Remark, explain},
};
use proptest::{collection::vec, prelude::*};

use crate::{codec::nearly_valid, hex};

proptest! {
    #[test]
    fn every_byte_is_explained_once_and_errors_agree_with_the_decoder(bytes in packets()) {
        let lines: Vec<Line<'_>> = explain(&bytes).collect();
        let mut at = 0;
        for line in &lines {
            prop_assert_eq!(line.at, at);
            prop_assert_eq!(line.bytes, &bytes[at..at + line.bytes.len()]);
            at += line.bytes.len();
        }
        prop_assert_eq!(at, bytes.len());
        for line in &lines {
            let is_wrong = matches!(line.remark, Some(Remark::Wrong(_) | Remark::WrongChannelData(_)));
            prop_assert_eq!(line.remark.is_some_and(|remark| remark.is_wrong()), is_wrong);
        }
        match explain(&bytes).protocol() {
            Some(Protocol::Stun) => check_stun(&bytes, &lines)?,
            Some(Protocol::TurnChannel) => check_channel_data(&bytes, &lines)?,
            other => {
                prop_assert_eq!(other, Protocol::of(&bytes));
                let item = if bytes.is_empty() { Item::Empty } else { Item::Other(other) };
                prop_assert_eq!(lines, [Line { at: 0, bytes: &bytes[..], item, remark: None }]);
                prop_assert!(Message::decode(&bytes).is_err() && ChannelData::decode(&bytes).is_err());
            }
        }
    }

    /// The text and the JSON contain no control characters, and the JSON is one object.
    #[test]
    fn each_line_has_no_control_characters_and_agrees_with_its_json(bytes in packets()) {
        for line in explain(&bytes) {
            let (text, json) = (line.to_string(), line.json().to_string());
            prop_assert!(!text.chars().chain(json.chars()).any(char::is_control));
            prop_assert!(is_flat_object(&json), "{}", json);
            // The text contains the values of the JSON object in the same order.
            let mut rest = &text[..];
            for key in ["name", "meaning", "rfc", "remark"] {
                let Some((_, value)) = json.split_once(&format!("\"{key}\":\"")) else { continue };
                let value = value.split("\",\"").next().unwrap_or_default().trim_end_matches("\"}");
                let value = value.replace("\\\"", "\"").replace("\\\\", "\\");
                let found = rest.find(&value);
                prop_assert!(found.is_some(), "{} of {} is not in {}", key, json, text);
                rest = &rest[found.unwrap_or_default() + value.len()..];
            }
        }
    }
}

fn check_stun(bytes: &[u8], lines: &[Line<'_>]) -> Result<(), TestCaseError> {
    let wrong: Vec<_> = lines
        .iter()
        .filter_map(|line| if let Some(Remark::Wrong(error)) = line.remark { Some(error) } else { None })
        .collect();
    for error in &wrong {
        prop_assert!(error.at <= bytes.len(), "{} of {} bytes", error, bytes.len());
    }
    match Message::decode(bytes) {
        Err(error) => prop_assert!(wrong.contains(&error), "{} is not among {:?}", error, wrong),
        Ok(message) => {
            let values: Vec<_> = message.attributes().filter_map(Result::err).collect();
            for error in &values {
                prop_assert!(wrong.contains(error));
            }
            let seen = lines.iter().filter(|line| {
                matches!(line.item, Item::Attribute { .. })
                    && !matches!(line.remark, Some(Remark::AfterIntegrity | Remark::AfterFingerprint))
            });
            prop_assert!(seen.count() >= message.attributes().count());
            let fingerprint = message.has_fingerprint().then(|| message.check_fingerprint().err()).flatten();
            prop_assert!(fingerprint.is_none() || !wrong.is_empty());
            // The decoder ignores attributes after an integrity attribute. Without one, both report the same errors.
            let integrity = [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256];
            let is_integrity =
                |line: &Line<'_>| matches!(line.item, Item::Attribute { kind, .. } if integrity.contains(&kind));
            if !message.has_fingerprint() && !lines.iter().any(is_integrity) {
                prop_assert_eq!(wrong, values);
            }
        }
    }
    Ok(())
}

fn check_channel_data(bytes: &[u8], lines: &[Line<'_>]) -> Result<(), TestCaseError> {
    let wrong: Vec<_> = lines.iter().filter_map(|line| line.remark).filter(Remark::is_wrong).collect();
    let data =
        lines.iter().find_map(|line| if let Item::ApplicationData(data) = line.item { Some(data) } else { None });
    match ChannelData::decode(bytes) {
        Err(error) => prop_assert_eq!(wrong, [Remark::WrongChannelData(error)]),
        Ok(channel) => {
            prop_assert!(wrong.is_empty());
            prop_assert_eq!(lines[0].item, Item::ChannelNumber(channel.number));
            prop_assert_eq!(data.unwrap_or_default(), channel.data);
            let end = (4 + channel.data.len()).next_multiple_of(4);
            let behind = lines.iter().find(|line| line.remark == Some(Remark::AfterData));
            prop_assert_eq!(behind.map(|line| line.at), (bytes.len() > end).then_some(end));
        }
    }
    Ok(())
}

/// Generates packets. Most of them begin like a STUN message or like ChannelData.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..120), nearly_valid(), truncated_header(), channel_data()]
}

/// Generates ChannelData with a length field that can be wrong.
fn channel_data() -> impl Strategy<Value = Vec<u8>> {
    let inside = prop_oneof![vec(any::<u8>(), 0..12), nearly_valid()];
    let whole = (0x40..0x50_u8, any::<u8>(), inside, -3..12_i32, vec(any::<u8>(), 0..9));
    whole.prop_map(|(high, low, data, more, behind)| {
        let length = i32::try_from(data.len()).unwrap_or_default() + more;
        let length = u16::try_from(length).unwrap_or_default().to_be_bytes();
        [&[high, low], &length[..], &data, &behind].concat()
    })
}

/// Generates a truncated STUN header.
fn truncated_header() -> impl Strategy<Value = Vec<u8>> {
    (nearly_valid(), 0..20_usize).prop_map(|(mut bytes, length)| {
        bytes.truncate(length);
        bytes
    })
}

/// Returns whether the text is one JSON object with numbers and strings only.
fn is_flat_object(text: &str) -> bool {
    let Some(mut rest) = text.strip_prefix('{') else { return false };
    loop {
        let Some(after) = string(rest).and_then(|rest| rest.strip_prefix(':')) else { return false };
        let after = match after.strip_prefix(|c: char| c.is_ascii_digit()) {
            Some(digits) => digits.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => match string(after) {
                Some(after) => after,
                None => return false,
            },
        };
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return after == "}",
        }
    }
}

/// Returns the text after one JSON string, or `None` if the string is invalid.
fn string(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('"')?;
    loop {
        let mut chars = rest.chars();
        match chars.next()? {
            '"' => return Some(chars.as_str()),
            '\\' => match chars.next()? {
                '"' | '\\' => rest = chars.as_str(),
                'u' => {
                    let digits = chars.as_str().get(..4)?;
                    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                        return None;
                    }
                    rest = chars.as_str().get(4..)?;
                }
                _ => return None,
            },
            control if control < ' ' => return None,
            _ => rest = chars.as_str(),
        }
    }
}

fn text(bytes: &[u8]) -> Vec<String> {
    explain(bytes).map(|line| line.to_string()).collect()
}

#[test]
fn a_valid_message_is_explained_line_by_line() {
    let request = hex("
        00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e 20746573 7420636c 69656e74
        00240004 6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020
        00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf");
    assert_eq!(
        text(&request),
        [
            "   0  0001                                  message type: Binding request (RFC 8489 §5)",
            "   2  0058                                  message length: 88 bytes after the header (RFC 8489 §5)",
            "   4  2112a442                              magic cookie: this is STUN (RFC 8489 §5)",
            "   8  b7e7a701 bc34d686 fa87dfae            transaction ID: b7e7a701bc34d686fa87dfae (RFC 8489 §5)",
            "  20  80220010 5354554e 20746573 7420636c…  SOFTWARE: \"STUN test client\" (RFC 8489 §14.14)",
            "  40  00240004 6e0001ff                     PRIORITY: 1845494271 (RFC 8445 §16.1)",
            "  48  80290008 932ff9b1 51263b36            ICE-CONTROLLED: controlled, tie-breaker 0x932ff9b151263b36 (RFC 8445 §16.1)",
            "  60  00060009 6576746a 3a683676 59202020   USERNAME: \"evtj:h6vY\" (RFC 8489 §14.3)  ! padding is not zero: ignored (RFC 8489 §14)",
            "  76  00080014 9aeaa70c bfd8cb56 781ef2b5…  MESSAGE-INTEGRITY: HMAC-SHA1 9aeaa70cbfd8cb56781ef2b5b2d3f249… (RFC 8489 §14.5)",
            " 100  80280004 e57a3bcf                     FINGERPRINT: CRC-32 0xe57a3bcf (RFC 8489 §14.7)",
        ]
    );
}

#[test]
fn each_fault_has_a_remark() {
    let key = IntegrityKey::short_term("secret");
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [1; 12].into()).unwrap();
    let unknown = portolan_stun::AttributeType::new(0x7abc);
    writer.add(&Attribute::Unknown { kind: unknown, value: &[1, 2] }).unwrap();
    writer.add(&Attribute::Priority(1)).unwrap();
    writer.add(&Attribute::Priority(2)).unwrap();
    let mut bytes = writer.message_integrity(&key).unwrap().finish().to_vec();
    bytes.extend(hex("00240004 00000003 80280004 00000000 80220000"));
    bytes[3] = u8::try_from(bytes.len() - 20).unwrap();
    let remarks: Vec<Option<Remark>> = explain(&bytes).skip(4).map(|line| line.remark).collect();
    assert!(
        matches!(
            remarks[..],
            [
                Some(Remark::MustBeUnderstood),
                None,
                Some(Remark::Repeated),
                None,
                Some(Remark::AfterIntegrity),
                Some(Remark::Wrong(_)),
                Some(Remark::AfterFingerprint)
            ]
        ),
        "{remarks:?}"
    );
}

/// Each protocol of RFC 7983 §7 has one line without a remark.
#[test]
fn other_protocols_are_named_and_not_decoded() {
    for (bytes, expected) in [
        (
            &[22, 254, 253, 0][..],
            "   0  16fefd00                              DTLS: identified by its first bytes, not decoded (RFC 7983 §7)",
        ),
        (
            &[0x80, 200, 0, 1],
            "   0  80c80001                              RTCP: identified by its first bytes, not decoded (RFC 7983 §7)",
        ),
        (
            &[0x80, 0, 0, 1],
            "   0  80000001                              RTP: identified by its first bytes, not decoded (RFC 7983 §7)",
        ),
        (
            &[0x10, 0, 0, 1],
            "   0  10000001                              ZRTP: identified by its first bytes, not decoded (RFC 7983 §7)",
        ),
        (
            &[0x50, 0, 0, 1],
            "   0  50000001                              unknown: no protocol has this first byte (RFC 7983 §7)",
        ),
        (&[4], "   0  04                                    unknown: no protocol has this first byte (RFC 7983 §7)"),
        (&[], "   0                                        empty: the packet has no bytes"),
    ] {
        assert_eq!(text(bytes), [expected]);
    }
}

/// With a method above 0xff, the first byte is in the range of another protocol. The magic cookie decides.
#[test]
fn a_message_with_a_high_method_is_stun() {
    let mut buffer = [0; 20];
    let method = Method::new(0xead).unwrap();
    let bytes = Writer::new(&mut buffer, Class::Request, method, [1; 12].into()).unwrap().finish();
    assert_eq!(Protocol::of(bytes), Some(Protocol::Dtls));
    assert_eq!(explain(bytes).protocol(), Some(Protocol::Stun));
    assert_eq!(explain(bytes).next().unwrap().item, Item::MessageType { class: Class::Request, method });
}

#[test]
fn a_truncated_packet_is_explained_with_its_missing_bytes() {
    let lines = text(&hex("0001 0000 2112"));
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[2],
        "   4  2112                                  truncated: the packet ends here (RFC 8489 §5)  ! byte 6: a STUN header has 20 bytes, found 6 (RFC 8489 §5)"
    );
    assert_eq!(
        text(&hex("4001 00")),
        [
            "   0  4001                                  channel number: 0x4001 (RFC 8656 §12)",
            "   2  00                                    truncated: the packet ends here (RFC 8656 §12.4)  ! channel data of 4 bytes, found 3 (RFC 8656 §12.4)",
        ]
    );
}

#[test]
fn channel_data_is_explained_with_padding_and_trailing_bytes() {
    assert_eq!(
        text(&hex("4001 0006 68656c6c6f21 0000 ffff")),
        [
            "   0  4001                                  channel number: 0x4001 (RFC 8656 §12)",
            "   2  0006                                  data length: 6 bytes after the head (RFC 8656 §12.4)",
            "   4  68656c6c 6f21                         application data: 6 bytes (RFC 8656 §12.4)",
            "  10  0000                                  padding: up to a multiple of four bytes (RFC 8656 §12.5)",
            "  12  ffff                                  after the data: more bytes than the length field states (RFC 8656 §12.5)  ! longer than padding: ignored (RFC 8656 §12.5)",
        ]
    );
    // The application data of a channel can be STUN.
    let lines = text(&[&hex("4fff 0014")[..], &hex("00010000 2112a442 010101010101010101010101")].concat());
    assert_eq!(lines.len(), 3);
    assert!(lines[2].contains("application data: 20 bytes, a STUN message (RFC 8656 §12.4)"), "{}", lines[2]);
    assert_eq!(text(&hex("4001 0000")).len(), 2);
    let short = hex("4001 0008 0102");
    let remark = explain(&short).nth(1).unwrap().remark;
    assert_eq!(remark, Some(Remark::WrongChannelData(ChannelDataError::Truncated { expected: 12, found: 6 })));
}

#[test]
fn json_escapes_text_from_a_peer() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [1; 12].into()).unwrap();
    writer.add(&Attribute::Software("a\"b\\c\n".into())).unwrap();
    let line = explain(writer.finish()).last().unwrap();
    assert_eq!(
        line.json().to_string(),
        r#"{"at":20,"bytes":"802200066122625c630a0000","name":"SOFTWARE","meaning":"\"a\"b\\c\\n\"","rfc":"RFC 8489 §14.14"}"#
    );
}

/// The parts of each line of these bytes, as `name: meaning`.
fn parts(bytes: &[u8]) -> Vec<Vec<String>> {
    let of_line = |line: portolan_stun::explain::Line<'_>| {
        line.parts().map(|part| format!("{}: {}", part.name, part.meaning())).collect()
    };
    explain(bytes).map(of_line).collect()
}

/// Returns the parts of the value of one attribute with this type and value.
fn parts_of_value(kind: u16, value: &[u8]) -> Vec<String> {
    let length = u16::try_from(value.len()).unwrap();
    let whole = value.len().next_multiple_of(4) + 4;
    let mut bytes = hex("0001 0000 2112a442 00000000 00000000 00000001");
    bytes[3] = u8::try_from(whole).unwrap();
    bytes.extend([kind.to_be_bytes(), length.to_be_bytes()].concat());
    bytes.extend(value);
    bytes.resize(20 + whole, 0);
    let parts = parts(&bytes).pop().unwrap();
    assert!(parts[0].starts_with("type: ") && parts[1] == format!("length: {length} bytes"), "{parts:?}");
    parts[2..].to_vec()
}

/// Values by their type, and the parts of each.
const VALUES: &[(u16, &str, &[&str])] = &[
    (0x0001, "0001 8055 c0000201", &["reserved: ignored", "family: IPv4", "port: 32853", "address: 192.0.2.1"]),
    (
        0x0020,
        "0001 a147 e112a643",
        &[
            "reserved: ignored",
            "family: IPv4",
            "X-Port: 0xa147 XOR 0x2112 = 32853",
            "X-Address: 0xe112a643 XOR 0x2112a442 = 192.0.2.1",
        ],
    ),
    (
        0x0012,
        "0002 a147 0113a9fa 00000000 00000000 00000000",
        &[
            "reserved: ignored",
            "family: IPv6",
            "X-Port: 0xa147 XOR 0x2112 = 32853",
            "X-Address: XOR of the cookie and the transaction ID = 2001:db8::1",
        ],
    ),
    (
        0x0001,
        "0003 8055 c00002",
        &[
            "reserved: ignored",
            "family: unknown",
            "port: 32853",
            "address: 3 bytes, which no family has",
            "padding: up to a multiple of four bytes",
        ],
    ),
    (
        0x0009,
        "00000401 4e6f",
        &[
            "reserved: ignored",
            "class: 4, the hundreds of the code",
            "number: 1, the code modulo 100",
            "reason phrase: \"No\"",
            "padding: up to a multiple of four bytes",
        ],
    ),
    (
        0x8001,
        "02000428",
        &["family: IPv6", "reserved: ignored", "class: 4, the hundreds of the code", "number: 40, the code modulo 100"],
    ),
    (0x0003, "00000006", &["reserved: ignored", "flags: A (change IP) 1, B (change port) 1"]),
    (
        0x000a,
        "0024 7abc",
        &["type: PRIORITY, comprehension-required", "type: attribute 0x7abc, comprehension-required"],
    ),
    (
        0x8002,
        "0002 0000 0001 0003 aabbcc00",
        &[
            "algorithm: SHA-256",
            "parameters length: 0 bytes",
            "algorithm: MD5",
            "parameters length: 3 bytes",
            "parameters: 0xaabbcc00",
        ],
    ),
    (0x000c, "4001 0000", &["channel number: 0x4001", "reserved: ignored"]),
    (0x0017, "02000000", &["family: IPv6", "reserved: ignored"]),
    (0x0019, "11000000", &["protocol: UDP", "reserved: ignored"]),
    (0x0018, "80", &["R bit: 1, reserve the next port", "padding: up to a multiple of four bytes"]),
    (0x0027, "0d96 0000", &["port: 3478", "reserved: ignored"]),
    (0x8004, "0000 0604 000005dc", &["reserved: ignored", "type and code: type 3, code 4", "data: 1500"]),
    (0x8025, "0000 02 01", &["reserved: ignored", "Req: 2", "Resp: 1"]),
    (0xc057, "0001 0032", &["network: 1", "cost: 50"]),
    (0x000d, "00000258", &["seconds: 600 s"]),
    (0x0024, "6e0001ff", &["type preference: 110", "local preference: 1", "component: 256 - 255 = 1"]),
    (0x8029, "932ff9b151263b36", &["tie-breaker: 0x932ff9b151263b36"]),
    (0x8028, "e57a3bcf", &["CRC-32: 0xe57a3bcf XOR 0x5354554e = 0xb62e6e81"]),
    (0x0014, "61 0a 62", &["text: \"a\\nb\"", "padding: up to a multiple of four bytes"]),
    (
        0x0015,
        "6f624d61744a6f7332 7741414178",
        &[
            "nonce cookie: \"obMatJos2\"",
            "security features: 0xc00000: password algorithms 1, username anonymity 1",
            "text: \"x\"",
            "padding: up to a multiple of four bytes",
        ],
    ),
    (0x0015, "6162", &["text: \"ab\"", "padding: up to a multiple of four bytes"]),
    (0x7abc, "0102", &["value: 0x0102", "padding: up to a multiple of four bytes"]),
    (0x0008, "0102030405060708090a", &["value: 10 bytes", "padding: up to a multiple of four bytes"]),
    (0x0025, "", &[]),
    (0x000d, "00000258 01", &["seconds: 600 s", "value: 0x01", "padding: up to a multiple of four bytes"]),
    (0x000d, "0002", &["seconds: 2 s", "padding: up to a multiple of four bytes"]),
];

#[test]
fn the_fields_inside_each_attribute_are_explained() {
    for (kind, value, expected) in VALUES {
        assert_eq!(parts_of_value(*kind, &hex(value)), *expected, "{kind:#06x} {value}");
    }
    assert_eq!(
        parts(&hex("0111 0000 2112a442 000000000000000000000001"))[0],
        ["class: bits 0x0110, error response", "method: bits 0x0001, Binding"]
    );
    let message = hex("0001 0008 2112a442 000000000000000000000001 000d 0004 00000258");
    let line = explain(&message).last().unwrap();
    assert_eq!(
        line.parts().last().unwrap().to_string(),
        "  24  00000258                                seconds: 600 s"
    );
}

/// Each type with each length of random bytes: the parts of an attribute are its bytes, in order.
#[test]
fn the_parts_of_an_attribute_contain_each_byte_once() {
    for kind in portolan_stun::AttributeType::KNOWN.iter().map(|kind| kind.number()).chain([0x7abc, 0xfabc]) {
        for length in 0..40_u8 {
            let mut bytes = hex("0001 0000 2112a442 000000000000000000000001");
            bytes.extend([kind.to_be_bytes(), [0, length]].concat());
            bytes.extend((0..length).map(|at| at.wrapping_mul(37) & 0x1f));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes[3] = u8::try_from(bytes.len() - 20).unwrap();
            for cut in [bytes.len(), bytes.len() - 1, 23] {
                for line in explain(&bytes[..cut]).skip(4) {
                    let mut at = line.at;
                    for part in line.parts() {
                        assert_eq!(part.at, at, "{kind:#06x}, {length}");
                        assert!(!part.bytes.is_empty() && !part.to_string().contains('\n'));
                        at += part.bytes.len();
                    }
                    assert!(at == line.at + line.bytes.len() || line.parts().next().is_none(), "{kind:#06x}, {length}");
                }
            }
        }
    }
}
