//! Bytes as hexadecimal digits, in the text form of commands.

use alloc::vec::Vec;
use core::fmt::{self, Write};
use portolan_machine::ScriptError;

pub(crate) fn write_hex(out: &mut dyn Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

pub(crate) fn read_hex(hex: &str) -> Result<Vec<u8>, ScriptError> {
    const PAIRS: ScriptError = ScriptError::new("pairs of hexadecimal digits");
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return Err(PAIRS) };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect::<Option<_>>().ok_or(PAIRS)
}

fn digit(ascii: u8) -> Option<u8> {
    char::from(ascii).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
