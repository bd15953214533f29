//! `Writer`: whatever is written is a message, says what was written, and an attribute is there whole or not at all.
//!
//! The values come from a message in the bytes when there is one, and from the bytes themselves otherwise; the buffer is
//! sometimes too short.

use crate::SEEDED;
use crate::feed::Feed;
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Class, ErrorCode, IntegrityKey, Message, Method, Text, TransactionId,
    Writer,
};

/// Writes what the bytes ask for and reads it back; says whether anything was written.
pub fn run(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let (plan, room) = (feed.byte(), usize::from(feed.word() & 0x1ff));
    let room = if plan & 1 == 0 { 2048 } else { room };
    let id = TransactionId::from([feed.byte(); 12]);
    let mut buffer = vec![0xaa; room];
    let method = Method::new(feed.word() & 0x0fff).expect("12 bits");
    let Ok(mut writer) = Writer::new(&mut buffer, Class::Request, method, id) else {
        assert!(room < 20, "no room for a header in {room} bytes");
        return false;
    };
    let source = feed.rest();
    let mut written = Vec::new();
    let decoded = Message::decode(source);
    if let Ok(message) = decoded {
        message.attributes().flatten().for_each(|attribute| add(&mut writer, &mut written, attribute));
    } else {
        let mut feed = Feed::new(source);
        while !feed.is_empty() {
            let attribute = value(&mut feed);
            add(&mut writer, &mut written, attribute);
        }
    }
    let key = IntegrityKey::from_bytes(&source[..source.len().min(100)]);
    let (bytes, signed) = close(writer, plan, &key);
    let Some(mut bytes) = bytes else { return !written.is_empty() };
    spoil(&mut bytes);
    check(&bytes, id, &written, signed.then_some(&key));
    decoded.is_ok() || !written.is_empty()
}

/// Adds an attribute; what is refused must leave no trace.
fn add<'a>(writer: &mut Writer<'_>, written: &mut Vec<Attribute<'a>>, attribute: Attribute<'a>) {
    let before = writer.len();
    match writer.add(&attribute) {
        Ok(()) => written.push(attribute),
        Err(_) => assert_eq!(writer.len(), before, "a refused {attribute:?} left something"),
    }
}

/// Ends the message as the plan says; `None` where the end did not fit.
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

/// The seeded bug: of three bytes of padding that end with the third block of 64 bytes, the last is as it lay in the buffer.
fn spoil(bytes: &mut [u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    let padded = message.fields().filter(|field| field.value.len() % 4 == 1);
    let end = padded.map(|field| field.at + 4 + field.value.len() + 3).find(|end| *end == 3 * 64);
    if let Some(byte) = end.filter(|_| SEEDED).and_then(|end| bytes.get_mut(end - 1)) {
        *byte = 0xaa;
    }
}

fn check(bytes: &[u8], id: TransactionId, written: &[Attribute<'_>], key: Option<&IntegrityKey>) {
    let message = Message::decode(bytes).expect("what was written is a message");
    assert_eq!(message.transaction_id(), id);
    let closing = |kind| {
        [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256, AttributeType::FINGERPRINT]
            .contains(&kind)
    };
    let read: Vec<_> = message.attributes().filter(|read| !read.is_ok_and(|read| closing(read.kind()))).collect();
    assert_eq!(read.len(), written.len(), "{message:?}");
    for (read, written) in read.iter().zip(written) {
        // An address of a scope or flow label has none of them on the wire; a raw value may be malformed.
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
        message.check_fingerprint().expect("its own FINGERPRINT");
    }
    if let Some(key) = key {
        message.verify(key).expect("its own integrity");
    }
}

/// An attribute of what the feed holds.
fn value<'a>(feed: &mut Feed<'a>) -> Attribute<'a> {
    match feed.below(16) {
        0 => Attribute::XorMappedAddress(feed.address()),
        1 => Attribute::MappedAddress(feed.address()),
        2 => Attribute::XorPeerAddress(feed.address()),
        3 => Attribute::Username(text(feed)),
        4 => Attribute::Software(text(feed)),
        5 => Attribute::Realm(text(feed)),
        6 => Attribute::Priority(u32::from(feed.word())),
        7 => Attribute::IceControlling(feed.long()),
        8 => Attribute::UseCandidate,
        9 => Attribute::ErrorCode(ErrorCode::new(300 + feed.word() % 400, text(feed)).expect("300 to 699")),
        10 => Attribute::ChangeRequest(ChangeRequest { ip: feed.flag(), port: feed.flag() }),
        11 => Attribute::Data(body(feed)),
        12 => Attribute::Lifetime(u32::from(feed.word())),
        13 => Attribute::EvenPort(feed.flag()),
        14 => Attribute::ReservationToken(feed.long().to_be_bytes()),
        _ => {
            let kind = AttributeType::new(feed.word());
            Attribute::Unknown { kind, value: body(feed) }
        }
    }
}

fn body<'a>(feed: &mut Feed<'a>) -> &'a [u8] {
    let length = usize::from(feed.byte());
    feed.bytes(length)
}

fn text<'a>(feed: &mut Feed<'a>) -> Text<'a> {
    Text::from_wire(body(feed))
}
