//! Bytes as hexadecimal digits, for the text of commands and recordings.
//!
//! ```
//! use portolan_machine::hex::{read_hex, write_hex};
//!
//! let mut text = String::new();
//! write_hex(&mut text, &[0x21, 0x12])?;
//! assert_eq!((text.as_str(), read_hex(&text).as_deref()), ("2112", Ok(&[0x21, 0x12][..])));
//! assert_eq!(read_hex("211").unwrap_err().to_string(), "expected pairs of hexadecimal digits");
//! # Ok::<(), core::fmt::Error>(())
//! ```

use crate::ScriptError;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Writes each byte as two lower-case digits.
///
/// # Errors
/// [`fmt::Error`], when `out` returns it.
pub fn write_hex(out: &mut dyn Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// Reads pairs of digits, lower-case or upper-case. An empty text has no bytes.
///
/// # Errors
/// [`ScriptError`], when the text is not pairs of hexadecimal digits.
pub fn read_hex(hex: &str) -> Result<Vec<u8>, ScriptError> {
    const PAIRS: ScriptError = ScriptError::new("pairs of hexadecimal digits");
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return Err(PAIRS) };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect::<Option<_>>().ok_or(PAIRS)
}

fn digit(ascii: u8) -> Option<u8> {
    char::from(ascii).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
