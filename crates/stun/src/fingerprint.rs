//! FINGERPRINT: a CRC-32 that distinguishes STUN from packets of other protocols (RFC 8489 §7, §14.7).

use crate::{AttributeType, DecodeError, DecodeErrorKind as Kind, Lengths, crc32};

/// The XOR mask of the CRC. With it the CRC-32 of another protocol does not match (RFC 8489 §14.7).
const MASK: u32 = 0x5354_554e;

/// The value of FINGERPRINT. `covered` are the bytes before the attribute, with the final message length.
#[inline]
pub(crate) fn value(covered: &[u8]) -> u32 {
    crc32::of(covered) ^ MASK
}

/// Checks the FINGERPRINT at offset `at`; 0 if there is none.
pub(crate) fn check(bytes: &[u8], at: usize) -> Result<(), DecodeError> {
    if at == 0 {
        return Err(DecodeError::new(bytes.len(), Kind::FingerprintMissing));
    }
    let (covered, own) = bytes.split_at_checked(at).unwrap_or_default();
    match *own {
        [_, _, 0, 4, a, b, c, d] => {
            let (expected, found) = (value(covered), u32::from_be_bytes([a, b, c, d]));
            if expected == found {
                Ok(())
            } else {
                Err(DecodeError::new(at + 4, Kind::FingerprintMismatch { expected, found }))
            }
        }
        [_, _, 0, 4, _, _, _, _, ref after @ ..] => {
            Err(DecodeError::new(at + 8, Kind::FingerprintNotLast { found: after.len() }))
        }
        _ => {
            let found = own.get(2..4).and_then(|l| l.first_chunk()).map_or(0, |l| usize::from(u16::from_be_bytes(*l)));
            let (attribute, expected) = (AttributeType::FINGERPRINT, Lengths::Exactly(4));
            Err(DecodeError::new(at + 2, Kind::ValueLength { attribute, expected, found }))
        }
    }
}
