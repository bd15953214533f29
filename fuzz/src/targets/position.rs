//! Checks the position of a value error.

use portolan_sdp::ValueError;

/// Checks that the error is inside the value or at its end, and that it names the byte at its position.
pub(super) fn check(value: &[u8], error: ValueError) {
    assert!(error.at <= value.len(), "{error} is outside of {:?}", value.escape_ascii().to_string());
    check_found(value, error.at, error.found);
    assert!(!error.expected.is_empty() && !error.clause.document.is_empty());
}

/// Checks that `found` is the byte at the position. If `found` is the end, spaces may follow: some values allow them.
pub(super) fn check_found(text: &[u8], at: usize, found: Option<u8>) {
    let rest = text.get(at..).unwrap_or_default();
    let is_end = || rest.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let is_correct = found == rest.first().copied() || (found.is_none() && is_end());
    assert!(is_correct, "{found:?} is not the byte at {at} of {}", text.escape_ascii());
}
