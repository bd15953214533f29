//! The parsers that the grammars of values share. They work on bytes.
//!
//! Rules of this file: a failed parser gives its position and the expected text ([`Fault`]). The first failure is
//! final: once an optional part has begun (`cut` after its keyword), no alternative is tried. No bytes are copied.

use crate::error::{Citation, ValueError};
use crate::scan;
use crate::work::look;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str;
use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult};

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Fault<'a>>;

/// The position of a failed parser, and the expected text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) expected: &'static str,
}

impl<'a> ParseError<&'a [u8]> for Fault<'a> {
    fn from_error_kind(rest: &'a [u8], _: ErrorKind) -> Self {
        Self { rest, expected: "something else" }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Fails at `rest`; an alternative may still be tried.
#[cold]
pub(crate) fn fail<'a, T>(rest: &'a [u8], expected: &'static str) -> Parsed<'a, T> {
    Err(Err::Error(Fault { rest, expected }))
}

/// Fails at `rest`; no alternative is tried.
#[cold]
pub(crate) fn refuse<'a, T>(rest: &'a [u8], expected: &'static str) -> Parsed<'a, T> {
    Err(Err::Failure(Fault { rest, expected }))
}

/// Parses a whole value. Inlined together with the parser, so that the value is built at its destination. Otherwise the
/// value is written in small parts and copied in large ones, and the copy waits for the writes (store forwarding).
#[inline(always)]
pub(crate) fn whole<'a, T>(
    value: &'a [u8],
    clause: Citation,
    parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
) -> Result<T, ValueError> {
    finish(value, clause, parser(value))
}

/// Parses a whole value that may be followed by spaces which its grammar does not allow. An error is reported as if the
/// spaces were an error too, so that its offset is valid in the original value.
#[inline]
pub(crate) fn whole_but_spaces<'a, T>(
    value: &'a [u8],
    clause: Citation,
    parser: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> Result<T, ValueError> {
    whole(trimmed(value), clause, &parser).map_err(|error| whole(value, clause, &parser).err().unwrap_or(error))
}

/// Returns the parsed value, if nothing is left of the text. For values that occur by the hundred: a parser passed as a
/// function would be called through a pointer, whereas this takes the result of a direct call.
#[inline(always)]
pub(crate) fn finish<'a, T>(value: &'a [u8], clause: Citation, parsed: Parsed<'a, T>) -> Result<T, ValueError> {
    match parsed {
        Ok(([], found)) => Ok(found),
        Ok((rest, _)) => Err(error(value, Fault { rest, expected: "the end of the value" }, clause)),
        Err(refused) => Err(value_error(value, clause, refused)),
    }
}

/// Converts a failed parse of a part into an error of the whole value.
#[cold]
pub(crate) fn value_error(value: &[u8], clause: Citation, refused: Err<Fault<'_>>) -> ValueError {
    match refused {
        Err::Error(fault) | Err::Failure(fault) => error(value, fault, clause),
        Err::Incomplete(_) => ValueError::new(value, value.len(), "more", clause),
    }
}

#[cold]
fn error(value: &[u8], fault: Fault<'_>, clause: Citation) -> ValueError {
    ValueError::new(value, value.len().saturating_sub(fault.rest.len()), fault.expected, clause)
}

/// Returns whether a byte is allowed in a token (RFC 8866 §9, `token-char`).
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).is_some_and(|is_token| *is_token)
}

/// For each byte whether it is allowed in a token. Almost every byte of a description is checked with this table.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &mut [bool] = &mut table;
    let mut byte = 0_u8;
    while let [first, after @ ..] = rest {
        *first = matches!(
            byte,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~'
        );
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

/// At least one byte that `accepts`; every accepted byte must be ASCII.
#[inline]
pub(crate) fn ascii<'a>(input: &'a [u8], accepts: impl Fn(u8) -> bool, expected: &'static str) -> Parsed<'a, &'a str> {
    let length = input.iter().position(|byte| !accepts(*byte)).unwrap_or(input.len());
    look(length + 1);
    match input.split_at_checked(length) {
        Some((taken @ [_, ..], rest)) => match str::from_utf8(taken) {
            Ok(taken) => Ok((rest, taken)),
            Err(_) => fail(input, expected),
        },
        _ => fail(input, expected),
    }
}

/// A token (RFC 8866 §9).
#[inline]
pub(crate) fn token<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, &'a str> {
    ascii(input, is_token, expected)
}

/// At least one byte that is neither a space nor a control character (RFC 8866 §9, `non-ws-string`).
#[inline]
pub(crate) fn visible<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, &'a [u8]> {
    let length = input.iter().position(|byte| *byte <= b' ' || *byte == 0x7f).unwrap_or(input.len());
    look(length + 1);
    match input.split_at_checked(length) {
        Some((taken @ [_, ..], rest)) => Ok((rest, taken)),
        _ => fail(input, expected),
    }
}

/// Exactly these bytes.
#[inline]
pub(crate) fn tag<'a>(input: &'a [u8], tag: &[u8], expected: &'static str) -> Parsed<'a, ()> {
    look(tag.len());
    input.strip_prefix(tag).map_or_else(|| fail(input, expected), |rest| Ok((rest, ())))
}

/// Returns the offset of the first colon. Compares eight bytes at a time, because names are short.
#[inline]
pub(crate) fn colon(value: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let mut rest = value;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        // A byte of the word is zero at a colon. The lowest set bit is exact; higher bits may be wrong.
        let word = u64::from_le_bytes(*chunk) ^ (ONES * b':' as u64);
        let zeros = word.wrapping_sub(ONES) & !word & HIGH;
        if zeros != 0 {
            return Some(value.len() - rest.len() + zeros.trailing_zeros() as usize / 8);
        }
        rest = after;
    }
    let at = rest.iter().position(|byte| *byte == b':')?;
    Some(value.len() - rest.len() + at)
}

/// One space.
#[inline]
pub(crate) fn space(input: &[u8]) -> Parsed<'_, ()> {
    tag(input, b" ", "a space")
}

/// At least one space or tab (`1*WSP`).
#[inline]
pub(crate) fn blanks(input: &[u8]) -> Parsed<'_, ()> {
    let length = input.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(input.len());
    look(length + 1);
    if length == 0 { fail(input, "a space") } else { Ok((input.get(length..).unwrap_or_default(), ())) }
}

/// Base 64 with its padding (RFC 8866 §9); an empty text is rejected.
pub(crate) fn base64<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, &'a str> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let (rest, text) = ascii(input, |byte| is_digit(byte) || byte == b'=', expected)?;
    let digits = text.trim_end_matches('=');
    let is_whole = text.len() % 4 == 0 && text.len() - digits.len() <= 2 && !digits.contains('=');
    if is_whole { Ok((rest, text)) } else { fail(input, expected) }
}

/// At least one item, with a separator between items; every byte of an item must be ASCII. See [`items_of`].
#[inline]
pub(crate) fn separated<'a, T>(
    input: &'a [u8],
    separator: u8,
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> Parsed<'a, &'a str> {
    let (mut rest, _) = item(input)?;
    while let Some(after) = rest.strip_prefix(&[separator]) {
        (rest, _) = item(after)?;
    }
    taken(input, rest)
}

/// Returns the text before `rest`, which must be ASCII.
#[inline]
pub(crate) fn taken<'a>(input: &'a [u8], rest: &'a [u8]) -> Parsed<'a, &'a str> {
    look(input.len().saturating_sub(rest.len()));
    match input.get(..input.len().saturating_sub(rest.len())).map(str::from_utf8) {
        Some(Ok(text)) => Ok((rest, text)),
        _ => fail(input, "ASCII"),
    }
}

/// Returns the items of a list that was checked before.
#[inline]
pub(crate) fn items_of<'a, T, F>(list: &'a str, separator: u8, item: F) -> impl Iterator<Item = T> + use<'a, T, F>
where
    F: Fn(&'a [u8]) -> Parsed<'a, T>,
{
    let mut rest = list.as_bytes();
    core::iter::from_fn(move || {
        let (after, found) = item(rest).ok()?;
        rest = after.strip_prefix(&[separator]).unwrap_or_default();
        Some(found)
    })
}

/// A decimal number up to `most`; leading zeros are allowed.
#[inline(always)]
pub(crate) fn number<'a>(input: &'a [u8], most: u64, expected: &'static str) -> Parsed<'a, u64> {
    let (mut value, mut length) = (0_u64, 0);
    for byte in input {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        length += 1;
    }
    look(length + 1);
    match input.get(length..) {
        // This number of digits always fits 64 bits.
        Some(rest) if length <= 19 && length > 0 && value <= most => Ok((rest, value)),
        Some(rest) if length > 19 => long_number(input, rest, most, expected),
        _ => fail(input, expected),
    }
}

/// A number with many digits before `rest`, for example leading zeros.
#[cold]
fn long_number<'a>(input: &'a [u8], rest: &'a [u8], most: u64, expected: &'static str) -> Parsed<'a, u64> {
    match taken(input, rest)?.1.parse() {
        Ok(value) if value <= most => Ok((rest, value)),
        _ => fail(input, expected),
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, $type> {
            let (rest, value) = number(input, u64::from(<$type>::MAX), expected)?;
            <$type>::try_from(value).map_or_else(|_| fail(input, expected), |value| Ok((rest, value)))
        }
    )*};
}

numbers! {
    /// A decimal number up to 255.
    number_u8: u8;
    /// A decimal number up to 65,535.
    number_u16: u16;
    /// A decimal number up to 4,294,967,295.
    number_u32: u32;
    /// A decimal number up to 2⁶⁴ − 1.
    number_u64: u64;
}

/// A number from 1 up to 4,294,967,295 that does not begin with 0 (RFC 8866 §9, `integer`).
#[inline]
pub(crate) fn positive<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, u32> {
    if input.first() == Some(&b'0') { fail(input, expected) } else { number_u32(input, expected) }
}

/// A number up to 4,294,967,295 without leading zeros (RFC 8866 §9, `zero-based-integer`).
#[inline]
pub(crate) fn zero_or_positive<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, u32> {
    match input {
        [b'0', b'0'..=b'9', ..] => fail(input, expected),
        _ => number_u32(input, expected),
    }
}

/// An IPv4 address in dotted decimals, each without leading zeros (RFC 8866 §9).
#[inline]
pub(crate) fn ipv4<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, Ipv4Addr> {
    ipv4_octets(input).map_or_else(|| fail(input, expected), |(rest, octets)| Ok((rest, octets.into())))
}

#[inline]
fn ipv4_octets(input: &[u8]) -> Option<(&[u8], [u8; 4])> {
    let (rest, a) = octet(input)?;
    let (rest, b) = octet(rest.strip_prefix(b".")?)?;
    let (rest, c) = octet(rest.strip_prefix(b".")?)?;
    let (rest, d) = octet(rest.strip_prefix(b".")?)?;
    Some((rest, [a, b, c, d]))
}

/// A number up to 255 without leading zeros.
#[inline(always)]
fn octet(input: &[u8]) -> Option<(&[u8], u8)> {
    let (first, rest) = input.split_first()?;
    let mut value = u16::from(first.wrapping_sub(b'0'));
    if value > 9 {
        return None;
    }
    let mut after = rest;
    while let [digit @ b'0'..=b'9', rest @ ..] = after {
        // No digit may follow a zero or three digits.
        if value == 0 || value > 25 {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
        after = rest;
    }
    look(input.len() - after.len() + 1);
    u8::try_from(value).ok().map(|value| (after, value))
}

/// An IPv6 address without zone (RFC 8866 §9).
#[inline]
pub(crate) fn ipv6<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, Ipv6Addr> {
    let (rest, text) = ascii(input, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'), expected)?;
    to_ipv6(text).map_or_else(|| fail(input, expected), |address| Ok((rest, address)))
}

/// An IPv6 address without zone.
#[inline]
pub(crate) fn to_ipv6(text: &str) -> Option<Ipv6Addr> {
    // The parser of the standard library tries every form at every position; almost all addresses are plain groups.
    ipv6_groups(text.as_bytes()).or_else(|| text.parse().ok())
}

/// An IPv6 address in groups of hexadecimal digits; `None` for another form.
#[inline]
pub(crate) fn ipv6_groups(text: &[u8]) -> Option<Ipv6Addr> {
    // The groups so far and their number, and the number of groups before `::`.
    let (mut groups, mut count) = (0_u128, 0_u32);
    let mut gap = None;
    let mut rest = text;
    if let [b':', b':', after @ ..] = rest {
        gap = Some((0, 0));
        rest = after;
    }
    while !rest.is_empty() {
        let (after, group) = ipv6_group(rest)?;
        look(rest.len() - after.len() + 1);
        groups = groups << 16 | u128::from(group);
        count += 1;
        rest = match after {
            _ if count > 8 => return None,
            [] => after,
            [b':', b':', after @ ..] if gap.is_none() => {
                gap = Some((groups, count));
                (groups, count) = (0, 0);
                after
            }
            // Another group must follow.
            [b':', after @ ..] if !after.is_empty() => after,
            _ => return None,
        };
    }
    match gap {
        None if count == 8 => Some(Ipv6Addr::from_bits(groups)),
        Some((before, many)) if many + count < 8 => {
            Some(Ipv6Addr::from_bits(before.checked_shl(16 * (8 - many)).unwrap_or_default() | groups))
        }
        _ => None,
    }
}

/// One to four hexadecimal digits.
#[inline]
fn ipv6_group(input: &[u8]) -> Option<(&[u8], u16)> {
    let mut group = 0_u16;
    let mut rest = input;
    for _ in 0..4 {
        let (digit, after) = match rest {
            [digit @ b'0'..=b'9', after @ ..] => (digit - b'0', after),
            [digit @ b'a'..=b'f', after @ ..] => (digit - b'a' + 10, after),
            [digit @ b'A'..=b'F', after @ ..] => (digit - b'A' + 10, after),
            _ => break,
        };
        group = group << 4 | u16::from(digit);
        rest = after;
    }
    if rest.len() == input.len() { None } else { Some((rest, group)) }
}

/// Returns an empty text if only spaces are left: some endpoints write spaces after the last token of a value.
#[inline]
pub(crate) fn but_spaces(rest: &[u8]) -> &[u8] {
    let spaces = rest.iter().position(|byte| *byte != b' ');
    look(spaces.unwrap_or(rest.len()) + 1);
    if spaces.is_none() { &[] } else { rest }
}

/// Removes the spaces at the end. Some endpoints write them, and no list or token can contain them.
fn trimmed(value: &[u8]) -> &[u8] {
    let length = value.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    look(value.len() - length + 1);
    value.get(..length).unwrap_or_default()
}

/// One or more items, separated by single spaces; returns the whole text.
#[inline]
pub(crate) fn list<'a, T>(input: &'a [u8], item: impl Fn(&'a [u8]) -> Parsed<'a, T>) -> Parsed<'a, &'a str> {
    separated(input, b' ', item)
}

/// Returns the items of a list that was checked; an empty text has none.
pub(crate) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(' ').inspect(|item| look(item.len() + 1)).filter(|item| !item.is_empty())
}

/// An RTP payload type, 0 to 127 (RFC 3550 §5.1).
#[inline(always)]
pub(crate) fn payload_type(input: &[u8]) -> Parsed<'_, u8> {
    match usual_payload_type(input) {
        Some(found) => Ok(found),
        None => any_payload_type(input),
    }
}

#[inline(never)]
fn any_payload_type(input: &[u8]) -> Parsed<'_, u8> {
    const EXPECTED: &str = "a payload type, 0 to 127";
    match number_u8(input, EXPECTED)? {
        // No leading zeros (RFC 8866 §9, `zero-based-integer`).
        (rest, payload_type @ 0..=127) if !input.starts_with(b"0") || input.len() - rest.len() == 1 => {
            Ok((rest, payload_type))
        }
        _ => fail(input, EXPECTED),
    }
}

/// A payload type in its usual form. Its text is taken from a table, without a check.
#[inline(always)]
pub(crate) fn payload_type_token(input: &[u8]) -> Option<(&[u8], &'static str)> {
    let (rest, payload_type) = usual_payload_type(input)?;
    let end = 3 * usize::from(payload_type) + 3;
    Some((rest, PAYLOAD_TYPES.get(end - (input.len() - rest.len())..end)?))
}

/// A payload type of two or three digits, before a space or at the end.
#[inline(always)]
fn usual_payload_type(input: &[u8]) -> Option<(&[u8], u8)> {
    let (rest, hundred, tens, ones) = match input {
        [tens @ b'1'..=b'9', ones @ b'0'..=b'9', rest @ ..] if is_end(rest) => (rest, 0, tens, ones),
        [b'1', tens @ b'0'..=b'2', ones @ b'0'..=b'7', rest @ ..] if is_end(rest) => (rest, 100, tens, ones),
        _ => return None,
    };
    Some((rest, hundred + (tens - b'0') * 10 + (ones - b'0')))
}

#[inline(always)]
const fn is_end(rest: &[u8]) -> bool {
    matches!(rest, [] | [b' ', ..])
}

/// The texts 000 to 127, one after another.
const PAYLOAD_TYPES: &str = {
    const DIGITS: [u8; 3 * 128] = {
        let mut digits = [0; 3 * 128];
        let mut rest: &mut [u8] = &mut digits;
        let mut number = 0;
        while let [hundreds, tens, ones, after @ ..] = rest {
            (*hundreds, *tens, *ones) = (b'0' + number / 100, b'0' + number / 10 % 10, b'0' + number % 10);
            number += 1;
            rest = after;
        }
        digits
    };
    match str::from_utf8(&DIGITS) {
        Ok(digits) => digits,
        Err(_) => "",
    }
};

/// Returns the text before the first `end`, or the whole text, if it is one of these words, and the rest. Words that
/// occur fifty times in an offer then need no check of token characters and UTF-8.
macro_rules! known {
    ($input:expr, $end:literal, $($bytes:literal => $word:literal,)*) => {{
        let input: &[u8] = $input;
        let length = input.iter().position(|byte| *byte == $end).unwrap_or(input.len());
        $crate::work::look(length + 1);
        let (word, rest) = input.split_at_checked(length)?;
        let word = match word {
            $($bytes => $word,)*
            _ => return None,
        };
        Some((rest, word))
    }};
}

pub(crate) use known;

/// The rest, at least one byte, without a byte that ends a line (RFC 8866 §9, `byte-string`).
#[inline]
pub(crate) fn bytes<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, &'a [u8]> {
    let length = scan::line_break(input).unwrap_or(input.len());
    look(length + 1);
    match input.split_at_checked(length) {
        Some((taken @ [_, ..], rest)) => Ok((rest, taken)),
        _ => fail(input, expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The fast parser accepts exactly the addresses that the standard library accepts.
        #[test]
        fn ipv6_addresses_agree_with_the_standard_library(
            address in any::<Ipv6Addr>(),
            mask in any::<u128>(),
            text in "[0-9aF]{0,5}(:{1,2}[0-9aF]{0,5}){0,9}",
        ) {
            prop_assert_eq!(ipv6_groups(text.as_bytes()), text.parse().ok(), "{}", text);
            // The mask makes runs of zero groups, which the library writes as `::`.
            let bits = (0..8).filter(|group| mask >> group & 1 == 1).fold(0_u128, |bits, group| bits | 0xffff << (16 * group));
            for address in [address, Ipv6Addr::from_bits(address.to_bits() & bits)] {
                let text = alloc::format!("{address}");
                prop_assert_eq!(to_ipv6(&text), Some(address), "{}", text);
            }
        }

        /// The standard library is the reference, except that it allows leading zeros.
        #[test]
        fn numbers_and_ipv4_addresses_agree_with_the_standard_library(
            digits in "0{0,22}[0-9]{1,21}|25[0-9]|[0-9]{1,3}",
            dotted in "[0-9]{1,3}(\\.(0|[1-9][0-9]?|25[0-9]|00|[0-9]{3,4})){3}",
        ) {
            let read = |most| number(digits.as_bytes(), most, "a number").map(|(rest, value)| (rest.len(), value)).ok();
            for most in [255, 65_535, u64::from(u32::MAX), u64::MAX] {
                let expected = digits.parse().ok().filter(|value: &u64| *value <= most).map(|value| (0, value));
                prop_assert_eq!(read(most), expected, "{} of {}", digits, most);
            }
            let address = ipv4(dotted.as_bytes(), "an address").map(|(rest, address)| (rest.len(), address)).ok();
            prop_assert_eq!(address, dotted.parse().ok().map(|address| (0, address)), "{}", dotted);
        }

        #[test]
        fn the_table_of_payload_types_agrees_with_the_parser(text in "[0-9]{1,4}[ /a]?[0-9]?") {
            let input = text.as_bytes();
            if let Some(known) = payload_type_token(input) {
                prop_assert_eq!(token(input, "a token"), Ok(known));
            }
            prop_assert_eq!(payload_type(input), any_payload_type(input));
        }
    }
}
