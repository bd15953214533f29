//! Where an error lies: inside of the value, or right behind it, with the byte that stands there.

use portolan_sdp::ValueError;

/// An error lies inside of the value, or right behind it, and names the byte that stands there.
pub(super) fn place(value: &[u8], error: ValueError) {
    assert!(error.at <= value.len(), "{error} lies outside of {:?}", value.escape_ascii().to_string());
    stands(value, error.at, error.found);
    assert!(!error.expected.is_empty() && !error.clause.document.is_empty());
}

/// The byte is what was found; where the end was found, spaces may follow, which some values have at their end.
pub(super) fn stands(text: &[u8], at: usize, found: Option<u8>) {
    let rest = text.get(at..).unwrap_or_default();
    let is_end = || rest.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let is_so = found == rest.first().copied() || (found.is_none() && is_end());
    assert!(is_so, "not {found:?} stands at {at} of {}", text.escape_ascii());
}
