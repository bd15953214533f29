//! Where lines end.
//!
//! Rules of this file: a line has forty bytes. To set up a search that is made for long texts takes longer than to find what
//! is so near; and whoever counts bits to learn where a line ends must wait for the number, while a loop over a few bytes is
//! guessed right, and what follows it has begun by then.

/// Where the first byte stands that ends a line or must not be in one: CR, LF or NUL.
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
        // One question for the whole block, which takes no branch: few control characters stand in a line.
        if block.iter().fold(false, |any, byte| any | (*byte <= b'\r'))
            && let Some(found) = block.iter().position(|byte| is_break(*byte))
        {
            return Some(at + found);
        }
        rest = after;
    }
    // Few lines are so long, and some of those are very long.
    let far = input.get(near.len()..).filter(|far| !far.is_empty())?;
    memchr::memchr3(b'\r', b'\n', 0, far).map(|at| near.len() + at)
}

#[inline(always)]
const fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// As many bytes as common processors look at at once.
const BLOCK: usize = 16;
/// A line that is longer than this is searched by other means.
const LONG: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Bytes of which many are at the borders of what is searched for.
    fn near_borders() -> impl Strategy<Value = alloc::vec::Vec<u8>> {
        let border = prop::sample::select(&b"\0\t\n\r\x0e\x80\x8d\xff"[..]);
        vec(prop_oneof![9 => b'a'..=b'z', 1 => border], 0..40)
    }

    proptest! {
        /// A search byte by byte is the judge.
        #[test]
        fn a_line_break_is_the_first_of_three_bytes(input in near_borders()) {
            prop_assert_eq!(line_break(&input), input.iter().position(|byte| is_break(*byte)));
        }

        /// The end of a long line is found by other means, and is the same.
        #[test]
        fn a_line_break_is_found_however_far(before in 0_usize..600, after in near_borders()) {
            let expected = after.iter().position(|byte| is_break(*byte)).map(|at| before + at);
            let input = [alloc::vec![b'x'; before], after].concat();
            prop_assert_eq!(line_break(&input), expected);
        }
    }
}
