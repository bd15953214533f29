//! The CRC-32 of FINGERPRINT (RFC 8489 §14.7), defined by ITU-T V.42: polynomial 0x04c11db7, reflected, initial value
//! all ones, inverted.
//!
//! The result is correct for any bytes; the code is optimized for messages. The header is one block, and the share of
//! its constant cookie is computed at compile time. Blocks of 16 bytes follow. Each byte is looked up in the table
//! for its distance from the end of its block. The blocks begin at the front, so the position of a byte in its block
//! does not depend on the message length. A processor can therefore start the CRC while it still scans the
//! attributes. The tables are computed at compile time and take 20 KiB.

use crate::{HEADER_LEN, MAGIC_COOKIE};

/// The CRC of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> u32 {
    let (mut crc, mut rest) = match bytes.split_first_chunk::<HEADER_LEN>() {
        Some((header, rest)) => (of_header(header), rest),
        None => (!0, bytes),
    };
    while let Some((block, after)) = rest.split_first_chunk::<16>() {
        (crc, rest) = (fold::<16, 4>(crc, block), after);
    }
    if let Some((block, after)) = rest.split_first_chunk::<8>() {
        (crc, rest) = (fold::<8, 4>(crc, block), after);
    }
    if let Some((block, after)) = rest.split_first_chunk::<4>() {
        (crc, rest) = (fold::<4, 4>(crc, block), after);
    }
    !rest.iter().fold(crc, |crc, byte| one(crc, *byte))
}

/// Adds one byte to `crc`. Only inputs whose length is not a multiple of 4 need it.
fn one(crc: u32, byte: u8) -> u32 {
    let [lowest, ..] = crc.to_le_bytes();
    #[expect(clippy::indexing_slicing, reason = "a byte is an index into 256 entries")]
    let share = TABLES[0][usize::from(lowest ^ byte)];
    crc >> 8 ^ share
}

/// The CRC of the first 20 bytes. If they have the cookie, its share is a constant.
#[inline]
fn of_header(header: &[u8; HEADER_LEN]) -> u32 {
    let [_, _, _, _, c0, c1, c2, c3, ..] = *header;
    if u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE {
        COOKIE ^ fold::<HEADER_LEN, 8>(!0, header)
    } else {
        fold::<HEADER_LEN, 4>(!0, header)
    }
}

/// Adds the first word of a block and its bytes from `FROM` on to `crc`. Only the lookups of the word depend on the
/// previous block.
#[inline]
fn fold<const N: usize, const FROM: usize>(crc: u32, block: &[u8; N]) -> u32 {
    let (mut sum, mut i) = (0, FROM);
    // Not an iterator: the compiler unrolls this loop, and leaves an iterator as a loop, which takes a third longer.
    #[expect(
        clippy::indexing_slicing,
        reason = "a byte is an index into 256 entries; the others are constants below `N`"
    )]
    while i < N {
        sum ^= TABLES[N - 1 - i][usize::from(block[i])];
        i += 1;
    }
    let first = u32::from_le_bytes(block.first_chunk().copied().unwrap_or_default()) ^ crc;
    let [a, b, c, d] = first.to_le_bytes();
    #[expect(clippy::indexing_slicing, reason = "a byte is an index into 256 entries, and `N` is 4 to 20")]
    {
        sum ^= TABLES[N - 4][usize::from(d)] ^ TABLES[N - 3][usize::from(c)];
        sum ^ TABLES[N - 2][usize::from(b)] ^ TABLES[N - 1][usize::from(a)]
    }
}

/// The share of the cookie in the CRC of a header: the cookie ends 12 bytes before the end of the header.
const COOKIE: u32 = {
    let [c0, c1, c2, c3] = MAGIC_COOKIE.to_be_bytes();
    #[expect(clippy::indexing_slicing, reason = "constant, and proved by the compiler")]
    {
        TABLES[15][c0 as usize] ^ TABLES[14][c1 as usize] ^ TABLES[13][c2 as usize] ^ TABLES[12][c3 as usize]
    }
};

/// `TABLES[n][b]` is the share of a byte `b` in the CRC if `n` bytes follow it in its block.
static TABLES: [[u32; 256]; HEADER_LEN] = tables();

const fn tables() -> [[u32; 256]; HEADER_LEN] {
    let mut tables = [[0; 256]; HEADER_LEN];
    let mut i = 0;
    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time only")]
    while i < 256 {
        let (mut crc, mut n) = (i as u32, 0);
        while n < HEADER_LEN {
            let mut bit = 0;
            while bit < 8 {
                crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
                bit += 1;
            }
            tables[n][i] = crc;
            n += 1;
        }
        i += 1;
    }
    tables
}

/// The polynomial 0x04c11db7, with the highest power in the lowest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

#[cfg(test)]
mod tests {
    use super::of;
    use crate::MAGIC_COOKIE;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn the_standard_check_value_is_correct() {
        assert_eq!(of(b"123456789"), 0xcbf4_3926);
        assert_eq!(of(b""), 0);
    }

    #[test]
    fn every_length_agrees_with_crc32fast() {
        // Knuth's generator gives bytes without a pattern that could hide a wrong table.
        let (mut bytes, mut seed) = ([0; 2048], 1_u64);
        for byte in &mut bytes {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = seed.to_be_bytes()[0];
        }
        for cookie in [[0x5a; 4], MAGIC_COOKIE.to_be_bytes()] {
            bytes[4..8].copy_from_slice(&cookie);
            for length in 0..=bytes.len() {
                assert_eq!(of(&bytes[..length]), crc32fast::hash(&bytes[..length]), "{length} bytes, {cookie:x?}");
            }
        }
    }

    #[test]
    fn every_bit_of_a_message_changes_the_checksum() {
        for bit in 0..1024 {
            let mut bytes = [0; 128];
            bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            let before = of(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(of(&bytes), crc32fast::hash(&bytes), "bit {bit}");
            assert_ne!(of(&bytes), before, "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_agree_with_crc32fast(mut bytes in vec(any::<u8>(), 0..300), cookie: bool) {
            if let (true, Some(place)) = (cookie, bytes.get_mut(4..8)) {
                place.copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            }
            prop_assert_eq!(of(&bytes), crc32fast::hash(&bytes));
        }
    }
}
