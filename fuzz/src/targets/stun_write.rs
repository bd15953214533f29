//! Checks `Writer`: the output is a message with the written values, and an attribute is written completely or not at
//! all.
//!
//! The values are those of a message in the input, or else come from the bytes. The buffer is sometimes too short.

use crate::SEEDED;
use crate::byte_reader::ByteReader;
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Class, ErrorCode, IntegrityKey, Message, Method, Text, TransactionId,
    Writer,
};

/// Writes the values of the input and decodes the output. Returns whether anything was written.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let (plan, room) = (reader.byte(), usize::from(reader.word() & 0x1ff));
    let room = if plan & 1 == 0 { 2048 } else { room };
    let id = TransactionId::from([reader.byte(); 12]);
    let mut buffer = vec![0xaa; room];
    let method = Method::new(reader.word() & 0x0fff).expect("12 bits");
    let Ok(mut writer) = Writer::new(&mut buffer, Class::Request, method, id) else {
        assert!(room < 20, "no room for a header in {room} bytes");
        return false;
    };
    let source = reader.rest();
    let mut written = Vec::new();
    let decoded = Message::decode(source);
    if let Ok(message) = decoded {
        message.attributes().flatten().for_each(|attribute| add(&mut writer, &mut written, attribute));
    } else {
        let mut reader = ByteReader::new(source);
        while !reader.is_empty() {
            let attribute = value(&mut reader);
            add(&mut writer, &mut written, attribute);
        }
    }
    let key = IntegrityKey::from_bytes(&source[..source.len().min(100)]);
    let (bytes, signed) = close(writer, plan, &key);
    let Some(mut bytes) = bytes else { return !written.is_empty() };
    plant_fault(&mut bytes);
    check(&bytes, id, &written, signed.then_some(&key));
    decoded.is_ok() || !written.is_empty()
}

/// Adds an attribute. A refused attribute must not change the length of the message.
fn add<'a>(writer: &mut Writer<'_>, written: &mut Vec<Attribute<'a>>, attribute: Attribute<'a>) {
    let before = writer.len();
    match writer.add(&attribute) {
        Ok(()) => written.push(attribute),
        Err(_) => assert_eq!(writer.len(), before, "the refused {attribute:?} changed the message"),
    }
}

/// Adds the closing attributes of the plan; returns `None` if they do not fit.
fn close(writer: Writer<'_>, plan: u8, key: &IntegrityKey) -> (Option<Vec<u8>>, bool) {
    let whole = |bytes: &[u8]| Some(bytes.to_vec());
    match plan >> 1 & 3 {
        0 => (whole(writer.finish()), false),
        1 => (writer.fingerprint().ok().and_then(|writer| whole(writer.finish())), false),
        2 => {
            let signed = writer.message_integrity(key).ok().and_then(|writer| writer.fingerprint().ok());
            (signed.and_then(|writer| whole(writer.finish())), true)
        }
        _ => {
            let signed = writer.message_integrity_sha256(key).ok();
            (signed.and_then(|writer| whole(writer.finish())), true)
        }
    }
}

/// The seeded bug: the last of three bytes of padding is not set to zero, if the padding ends with the third block of
/// 64 bytes.
fn plant_fault(bytes: &mut [u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    let padded = message.fields().filter(|field| field.value.len() % 4 == 1);
    let end = padded.map(|field| field.at + 4 + field.value.len() + 3).find(|end| *end == 3 * 64);
    if let Some(byte) = end.filter(|_| SEEDED).and_then(|end| bytes.get_mut(end - 1)) {
        *byte = 0xaa;
    }
}

fn check(bytes: &[u8], id: TransactionId, written: &[Attribute<'_>], key: Option<&IntegrityKey>) {
    let message = Message::decode(bytes).expect("the output is a message");
    assert_eq!(message.transaction_id(), id);
    let closing = |kind| {
        [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256, AttributeType::FINGERPRINT]
            .contains(&kind)
    };
    let read: Vec<_> = message.attributes().filter(|read| !read.is_ok_and(|read| closing(read.kind()))).collect();
    assert_eq!(read.len(), written.len(), "{message:?}");
    for (read, written) in read.iter().zip(written) {
        // `Debug` of an address shows what the message contains. A raw value may be malformed.
        if let (Ok(read), false) = (read, matches!(written, Attribute::Unknown { .. })) {
            assert_eq!(format!("{read:?}"), format!("{written:?}"));
        }
    }
    for field in message.fields() {
        let end = field.at + 4 + field.value.len();
        let padding = &bytes[end..end.next_multiple_of(4)];
        assert!(padding.iter().all(|byte| *byte == 0), "padding {padding:02x?} after {}", field.kind);
    }
    if message.has_fingerprint() {
        message.check_fingerprint().expect("the FINGERPRINT of the writer is valid");
    }
    if let Some(key) = key {
        message.verify(key).expect("the integrity of the writer is valid");
    }
}

/// Returns an attribute whose value comes from the reader.
fn value<'a>(reader: &mut ByteReader<'a>) -> Attribute<'a> {
    match reader.below(16) {
        0 => Attribute::XorMappedAddress(reader.address()),
        1 => Attribute::MappedAddress(reader.address()),
        2 => Attribute::XorPeerAddress(reader.address()),
        3 => Attribute::Username(text(reader)),
        4 => Attribute::Software(text(reader)),
        5 => Attribute::Realm(text(reader)),
        6 => Attribute::Priority(u32::from(reader.word())),
        7 => Attribute::IceControlling(reader.u64()),
        8 => Attribute::UseCandidate,
        9 => Attribute::ErrorCode(ErrorCode::new(300 + reader.word() % 400, text(reader)).expect("300 to 699")),
        10 => Attribute::ChangeRequest(ChangeRequest { ip: reader.flag(), port: reader.flag() }),
        11 => Attribute::Data(body(reader)),
        12 => Attribute::Lifetime(u32::from(reader.word())),
        13 => Attribute::EvenPort(reader.flag()),
        14 => Attribute::ReservationToken(reader.u64().to_be_bytes()),
        _ => {
            let kind = AttributeType::new(reader.word());
            Attribute::Unknown { kind, value: body(reader) }
        }
    }
}

fn body<'a>(reader: &mut ByteReader<'a>) -> &'a [u8] {
    let length = usize::from(reader.byte());
    reader.bytes(length)
}

fn text<'a>(reader: &mut ByteReader<'a>) -> Text<'a> {
    Text::from_wire(body(reader))
}
