//! Every byte is explained, and the explanation says what the decoder says.

use portolan_stun::{
    Attribute, Class, IntegrityKey, Message, Method, Writer,
    explain::{Item, Line, Remark, explain},
};
use proptest::{collection::vec, prelude::*};

use crate::{codec::nearly_valid, hex};

proptest! {
    #[test]
    fn every_byte_once_and_the_decoders_verdict(bytes in prop_oneof![vec(any::<u8>(), 0..120), nearly_valid(), stump()]) {
        let lines: Vec<Line<'_>> = explain(&bytes).collect();
        let mut at = 0;
        for line in &lines {
            prop_assert_eq!(line.at, at);
            prop_assert_eq!(line.bytes, &bytes[at..at + line.bytes.len()]);
            at += line.bytes.len();
        }
        prop_assert_eq!(at, bytes.len());

        let wrong: Vec<_> = lines
            .iter()
            .filter_map(|line| if let Some(Remark::Wrong(error)) = line.remark { Some(error) } else { None })
            .collect();
        for error in &wrong {
            prop_assert!(error.at <= bytes.len(), "{} of {} bytes", error, bytes.len());
        }
        match Message::decode(&bytes) {
            // What begins like another protocol is told so, however short it is.
            Err(_) if bytes.first().is_some_and(|first| first & 0xc0 != 0) => {
                let other = matches!(lines[..], [Line { item: Item::Other(_), .. }]);
                prop_assert!(other);
            }
            Err(error) => prop_assert!(wrong.contains(&error), "{} is not among {:?}", error, wrong),
            Ok(message) => {
                for error in message.attributes().filter_map(Result::err) {
                    prop_assert!(wrong.contains(&error));
                }
                let seen = lines.iter().filter(|line| {
                    matches!(line.item, Item::Attribute { .. })
                        && !matches!(line.remark, Some(Remark::AfterIntegrity | Remark::AfterFingerprint))
                });
                prop_assert!(seen.count() >= message.attributes().count());
                if message.has_fingerprint() && message.check_fingerprint().is_err() {
                    prop_assert!(!wrong.is_empty());
                }
            }
        }
    }

    /// Text is one line, JSON is one balanced object without control characters.
    #[test]
    fn lines_stay_lines(bytes in prop_oneof![vec(any::<u8>(), 0..120), nearly_valid()]) {
        for line in explain(&bytes) {
            let (text, json) = (line.to_string(), line.json().to_string());
            prop_assert!(!text.chars().chain(json.chars()).any(char::is_control));
            prop_assert!(is_flat_object(&json), "{}", json);
        }
    }
}

/// A good header that ends early.
fn stump() -> impl Strategy<Value = Vec<u8>> {
    (nearly_valid(), 0..20_usize).prop_map(|(mut bytes, length)| {
        bytes.truncate(length);
        bytes
    })
}

/// Whether this is one JSON object of numbers and strings, by a reader of its own.
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

/// What stands after one JSON string.
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
fn a_good_message_reads_like_a_page() {
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
fn what_is_wrong_is_said() {
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

#[test]
fn other_protocols_and_stumps_are_named() {
    assert_eq!(
        text(&[0x80, 200, 0, 1]),
        [
            "   0  80c80001                              not STUN: looks like RTCP (RFC 7983 §7)  ! byte 0: the first two bits of a STUN message are 0, the first byte is 0x80 (RFC 8489 §5)"
        ]
    );
    assert_eq!(
        text(&[]),
        [
            "   0                                        cut off: the packet ends here (RFC 8489 §5)  ! byte 0: a STUN header has 20 bytes, here are 0 (RFC 8489 §5)"
        ]
    );
    let lines = text(&hex("0001 0000 2112"));
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[2],
        "   4  2112                                  cut off: the packet ends here (RFC 8489 §5)  ! byte 6: a STUN header has 20 bytes, here are 6 (RFC 8489 §5)"
    );
}

#[test]
fn json_escapes_what_a_peer_wrote() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [1; 12].into()).unwrap();
    writer.add(&Attribute::Software("a\"b\\c\n".into())).unwrap();
    let line = explain(writer.finish()).last().unwrap();
    assert_eq!(
        line.json().to_string(),
        r#"{"at":20,"bytes":"802200066122625c630a0000","name":"SOFTWARE","meaning":"\"a\"b\\c\\n\"","rfc":"RFC 8489 §14.14"}"#
    );
}
