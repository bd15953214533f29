//! `explain`: any bytes are explained to their end, every byte once and in order; the verdict is that of the decoder of what
//! they claim to be, and of what claims nothing there is none; both forms print.

use crate::SEEDED;
use portolan_stun::Message;
use portolan_stun::demux::{ChannelData, Protocol};
use portolan_stun::explain::{Item, Line, Remark, explain};

/// Explains; says whether it was STUN or ChannelData of which nothing is wrong.
pub fn run(bytes: &[u8]) -> bool {
    let mut at = 0;
    let mut wrong = false;
    let mut before = None;
    for line in explain(bytes) {
        if is_lost(&line, before.replace(line)) {
            continue;
        }
        assert_eq!(line.at, at, "bytes are left out or said twice");
        assert_eq!(line.bytes, &bytes[at..at + line.bytes.len()]);
        // Where a header ends at a field's edge, the line that says so has no bytes of its own.
        let missing = at == bytes.len() && matches!(line.item, Item::Truncated(_) | Item::Empty);
        assert!(missing || !line.bytes.is_empty(), "a line about nothing");
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
            assert!(decoded.is_ok() || wrong, "nothing is wrong, says the explanation: {decoded:?}");
            !wrong && decoded.is_ok()
        }
        Some(Protocol::TurnChannel) => {
            let decoded = ChannelData::decode(bytes);
            assert_eq!(decoded.is_err(), wrong, "another verdict than the decoder's: {decoded:?}");
            !wrong
        }
        other => {
            assert_eq!(other, Protocol::of(bytes), "taken for something else");
            assert!(!wrong, "wrong as what?");
            assert!(Message::decode(bytes).is_err() && ChannelData::decode(bytes).is_err(), "a message is passed over");
            false
        }
    }
}

/// The seeded bug: of two empty attributes behind FINGERPRINT, the second has no line.
fn is_lost(line: &Line<'_>, before: Option<Line<'_>>) -> bool {
    let empty = |line: &Line<'_>| line.remark == Some(Remark::AfterFingerprint) && line.bytes.len() == 4;
    SEEDED && empty(line) && before.is_some_and(|before| empty(&before))
}
