//! Tests of the codec through the public API: test vectors, messages of other implementations, and properties.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot continue panics")]

mod codec;
mod corpus;
mod explain;
mod framing;
mod integrity;
mod length;
mod messages;
mod model;
mod registry;
mod sample;
mod uri;
mod vectors;

/// Decodes hexadecimal digits. Whitespace is ignored.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (pairs, []) = digits.as_chunks::<2>() else { panic!("odd number of digits") };
    pairs.iter().map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
