//! Finds the ends of lines.
//!
//! Rules of this file: a line has about 40 bytes. Setting up a search for long texts takes longer than finding an end
//! that is so near. Counting bits to find the end makes the following code wait for the result. A loop over a few bytes
//! is predicted by the processor, so that the following code starts earlier.

/// Returns the offset of the first byte that ends a line or is forbidden in a line: CR, LF or NUL.
#[inline(always)]
pub(crate) fn line_break(input: &[u8]) -> Option<usize> {
    let near = input.get(..LONG).unwrap_or(input);
    let mut rest = near;
    while !rest.is_empty() {
        let at = near.len() - rest.len();
        let Some((block, after)) = rest.split_first_chunk::<BLOCK>() else {
            if let Some(found) = rest.iter().position(|byte| is_break(*byte)) {
                return Some(at + found);
            }
            break;
        };
        // One test for the whole block, without a branch per byte: control characters are rare in a line.
        if block.iter().fold(false, |any, byte| any | (*byte <= b'\r'))
            && let Some(found) = block.iter().position(|byte| is_break(*byte))
        {
            return Some(at + found);
        }
        rest = after;
    }
    // Few lines are this long, and some of those are very long.
    let far = input.get(near.len()..).filter(|far| !far.is_empty())?;
    memchr::memchr3(b'\r', b'\n', 0, far).map(|at| near.len() + at)
}

#[inline(always)]
const fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// The number of bytes that common processors compare at once.
const BLOCK: usize = 16;
/// A longer line is searched with `memchr`.
const LONG: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Generates bytes. Many of them are close to the values that the function finds.
    fn near_values() -> impl Strategy<Value = alloc::vec::Vec<u8>> {
        let value = prop::sample::select(&b"\0\t\n\r\x0e\x80\x8d\xff"[..]);
        vec(prop_oneof![9 => b'a'..=b'z', 1 => value], 0..40)
    }

    proptest! {
        /// The reference examines each byte.
        #[test]
        fn the_first_line_break_is_found(input in near_values()) {
            prop_assert_eq!(line_break(&input), input.iter().position(|byte| is_break(*byte)));
        }

        /// The function finds the end of a long line with `memchr`.
        #[test]
        fn a_line_break_is_found_at_any_distance(before in 0_usize..600, after in near_values()) {
            let expected = after.iter().position(|byte| is_break(*byte)).map(|at| before + at);
            let input = [alloc::vec![b'x'; before], after].concat();
            prop_assert_eq!(line_break(&input), expected);
        }
    }
}
