//! The CRC-32 of FINGERPRINT (RFC 8489 §14.7): that of ITU-T V.42, polynomial 0x04c11db7, reflected, from all ones,
//! inverted.
//!
//! Invariant: the result is right for any bytes; the speed is for messages. The header is a block of its own; its
//! cookie is constant and costs nothing. Blocks of 16 bytes follow. Each byte is looked up in the table for its
//! distance from the end of its block. Bytes are taken from the front only, so their place does not depend on the
//! length of the message. A processor can therefore start here while it still walks the attributes. The compiler makes
//! the tables; they take 20 KiB.

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

/// Takes one byte into `crc`. Only bytes that are not a whole message need it.
fn one(crc: u32, byte: u8) -> u32 {
    let [lowest, ..] = crc.to_le_bytes();
    #[expect(clippy::indexing_slicing, reason = "a byte is an index into 256 entries")]
    let share = TABLES[0][usize::from(lowest ^ byte)];
    crc >> 8 ^ share
}

/// The first 20 bytes. If they are a header, the compiler has looked up the part of the cookie.
#[inline]
fn of_header(header: &[u8; HEADER_LEN]) -> u32 {
    let [_, _, _, _, c0, c1, c2, c3, ..] = *header;
    if u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE {
        COOKIE ^ fold::<HEADER_LEN, 8>(!0, header)
    } else {
        fold::<HEADER_LEN, 4>(!0, header)
    }
}

/// Takes the first word of a block and its bytes after `FROM` into `crc`. Only the look-ups of the word wait for the
/// previous block.
#[inline]
fn fold<const N: usize, const FROM: usize>(crc: u32, block: &[u8; N]) -> u32 {
    let (mut sum, mut i) = (0, FROM);
    // Unrolled by hand: the compiler leaves an iterator as a loop, which takes a third longer.
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

/// What the cookie adds to the CRC of a header: it ends 12 bytes before the end.
const COOKIE: u32 = {
    let [c0, c1, c2, c3] = MAGIC_COOKIE.to_be_bytes();
    #[expect(clippy::indexing_slicing, reason = "constant, and proved by the compiler")]
    {
        TABLES[15][c0 as usize] ^ TABLES[14][c1 as usize] ^ TABLES[13][c2 as usize] ^ TABLES[12][c3 as usize]
    }
};

/// `TABLES[n][b]`: what a byte `b` adds to the CRC when `n` bytes follow it in its block.
static TABLES: [[u32; 256]; HEADER_LEN] = tables();

const fn tables() -> [[u32; 256]; HEADER_LEN] {
    let mut tables = [[0; 256]; HEADER_LEN];
    let mut i = 0;
    #[expect(clippy::indexing_slicing, reason = "run by the compiler only")]
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

/// The polynomial 0x04c11db7, the highest power last.
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
