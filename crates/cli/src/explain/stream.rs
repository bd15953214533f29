//! Recognizes STUN by its magic cookie, and splits byte streams into frames.

use portolan_stun::{MAGIC_COOKIE, framing};

/// Whether bytes begin like STUN: the first two bits and the magic cookie (RFC 8489 §5).
pub(crate) fn claims_stun(bytes: &[u8]) -> bool {
    matches!(bytes, [0..=0x3f, _, _, _, c0, c1, c2, c3, ..]
        if u32::from_be_bytes([*c0, *c1, *c2, *c3]) == MAGIC_COOKIE)
}

/// Splits bytes into frames if whole frames fill them to the end; otherwise the bytes are one message.
pub(super) fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut rest) = (vec![], bytes);
    while let Ok(Some(frame)) = framing::next(rest) {
        frames.push(frame.bytes);
        rest = rest.get(frame.taken..).unwrap_or_default();
    }
    if rest.is_empty() && frames.len() > 1 { frames } else { vec![bytes] }
}
