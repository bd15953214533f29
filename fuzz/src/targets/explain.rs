//! Checks `explain` with any bytes: it explains every byte once and in order, and both output formats have valid
//! lines. The result agrees with the decoder of the protocol.

use crate::SEEDED;
use portolan_stun::Message;
use portolan_stun::demux::{ChannelData, Protocol};
use portolan_stun::explain::{Item, Line, Remark, explain};

/// Explains the bytes. Returns whether they are valid STUN or ChannelData.
pub fn run(bytes: &[u8]) -> bool {
    let mut at = 0;
    let mut wrong = false;
    let mut before = None;
    for line in explain(bytes) {
        if is_lost(&line, before.replace(line)) {
            continue;
        }
        assert_eq!(line.at, at, "bytes are left out or explained twice");
        assert_eq!(line.bytes, &bytes[at..at + line.bytes.len()]);
        // A line about a header that ends between two fields has no bytes.
        let missing = at == bytes.len() && matches!(line.item, Item::Truncated(_) | Item::Empty);
        assert!(missing || !line.bytes.is_empty(), "a line without bytes");
        at += line.bytes.len();
        wrong |= line.remark.is_some_and(|remark| remark.is_wrong());
        let text = line.to_string();
        assert!(!text.is_empty() && text.trim_end().lines().all(|line| !line.contains(char::is_control)), "{text:?}");
        let json = line.json().to_string();
        assert!(json.starts_with('{') && json.ends_with('}') && !json.contains(char::is_control), "{json}");
    }
    assert_eq!(at, bytes.len(), "not explained to the end");
    match explain(bytes).protocol() {
        Some(Protocol::Stun) => {
            let decoded = Message::decode(bytes);
            assert!(decoded.is_ok() || wrong, "the explanation has no error: {decoded:?}");
            !wrong && decoded.is_ok()
        }
        Some(Protocol::TurnChannel) => {
            let decoded = ChannelData::decode(bytes);
            assert_eq!(decoded.is_err(), wrong, "the explanation differs from the decoder: {decoded:?}");
            !wrong
        }
        other => {
            assert_eq!(other, Protocol::of(bytes), "another protocol");
            assert!(!wrong, "an error without a known protocol");
            assert!(
                Message::decode(bytes).is_err() && ChannelData::decode(bytes).is_err(),
                "a message is not explained"
            );
            false
        }
    }
}

/// The seeded bug: of two empty attributes behind FINGERPRINT, the second has no line.
fn is_lost(line: &Line<'_>, before: Option<Line<'_>>) -> bool {
    let empty = |line: &Line<'_>| line.remark == Some(Remark::AfterFingerprint) && line.bytes.len() == 4;
    SEEDED && empty(line) && before.is_some_and(|before| empty(&before))
}
