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

    /// Bytes, many of which are close to the values that are searched for.
    fn near_borders() -> impl Strategy<Value = alloc::vec::Vec<u8>> {
        let border = prop::sample::select(&b"\0\t\n\r\x0e\x80\x8d\xff"[..]);
        vec(prop_oneof![9 => b'a'..=b'z', 1 => border], 0..40)
    }

    proptest! {
        /// A search byte by byte is the reference.
        #[test]
        fn a_line_break_is_the_first_of_three_bytes(input in near_borders()) {
            prop_assert_eq!(line_break(&input), input.iter().position(|byte| is_break(*byte)));
        }

        /// The end of a long line, found by `memchr`, is the same.
        #[test]
        fn a_line_break_is_found_however_far(before in 0_usize..600, after in near_borders()) {
            let expected = after.iter().position(|byte| is_break(*byte)).map(|at| before + at);
            let input = [alloc::vec![b'x'; before], after].concat();
            prop_assert_eq!(line_break(&input), expected);
        }
    }
}
