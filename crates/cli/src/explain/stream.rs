//! Splits byte streams into frames.

use portolan_stun::framing;

/// Splits bytes into frames if whole frames fill them to the end; otherwise the bytes are one message.
pub(super) fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut rest) = (vec![], bytes);
    while let Ok(Some(frame)) = framing::next(rest) {
        frames.push(frame.bytes);
        rest = rest.get(frame.taken..).unwrap_or_default();
    }
    if rest.is_empty() && frames.len() > 1 { frames } else { vec![bytes] }
}
