//! The URI with more information (RFC 8866 §5.5).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, ascii, fail, whole};
use crate::value::Value;
use core::fmt;

/// `u=`: a URI reference (RFC 3986 §4.1) with more information, absolute or relative; only its characters are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uri<'a>(pub &'a str);

impl<'a> Value<'a> for Uri<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.5");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, uri).map(Self)
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The characters that are allowed in a URI (RFC 3986 §2), at least one; a percent sign is followed by two hexadecimal
/// digits.
pub(super) fn uri(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, text) = ascii(input, is_uri, "a URI")?;
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'%', bytes) {
        match bytes.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {}
            _ => return fail(input.get(at + 1..).unwrap_or_default(), "two hexadecimal digits"),
        }
    }
    Ok((rest, text))
}

const fn is_uri(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'/' | b':' | b';' | b'=' | b'?' | b'@' | b'[' | b']' | b'_' | b'~')
        || byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    #[test]
    fn invalid_characters_of_a_uri_are_refused_at_their_offset() {
        for good in ["http://www.example.com/seminars/sdp.pdf", "www.example.com", "urn:x:%E2%82%AC#a", "/a?b=c&d=[e]"]
        {
            assert_eq!(Uri::parse(good.as_bytes()), Ok(Uri(good)));
        }
        refused::<Uri<'_>>(b"", 0, "a URI");
        refused::<Uri<'_>>(b"http://a b", 8, "the end of the value");
        refused::<Uri<'_>>("http://ä".as_bytes(), 7, "the end of the value");
        refused::<Uri<'_>>(b"a%2", 2, "two hexadecimal digits");
        refused::<Uri<'_>>(b"a%20%g0", 5, "two hexadecimal digits");
        refused::<Uri<'_>>(b"a%20 %g0", 4, "the end of the value");
        refused::<Uri<'_>>(b"a%", 2, "two hexadecimal digits");
    }
}
