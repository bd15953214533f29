//! The character set and the language of the description, and the language of the media (RFC 8866 §6.10 to §6.12).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, ascii, fail, whole};
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=charset`: the IANA name of the character set of `s=` and `i=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Charset<'a>(pub &'a str);

impl<'a> Value<'a> for Charset<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "6.10");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            ascii(input, |byte| byte.is_ascii_graphic(), "a character set such as ISO-8859-1")
        })
        .map(Self)
    }
}

/// `a=sdplang`: the language of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SdpLang<'a>(pub &'a str);

impl<'a> Value<'a> for SdpLang<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "6.11");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, language).map(Self)
    }
}

/// `a=lang`: a language of the media; the first of several is the preferred one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lang<'a>(pub &'a str);

impl<'a> Value<'a> for Lang<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "6.12");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, language).map(Self)
    }
}

/// The syntax of a language tag (RFC 5646 §2.1): subtags of one to eight letters and digits, the first without digits.
/// The registry of tags is not consulted.
fn language(input: &[u8]) -> Parsed<'_, &str> {
    const EXPECTED: &str = "a language tag such as de-CH";
    let (rest, tag) = ascii(input, |byte| byte.is_ascii_alphanumeric() || byte == b'-', EXPECTED)?;
    let is_tag = tag.split('-').all(|part| matches!(part.len(), 1..=8))
        && tag.bytes().take_while(|byte| *byte != b'-').all(|byte| byte.is_ascii_alphabetic());
    if is_tag { Ok((rest, tag)) } else { fail(input, EXPECTED) }
}

macro_rules! plain {
    ($($name:ident, $attribute:literal;)*) => {$(
        impl<'a> AttributeValue<'a> for $name<'a> {
            const NAME: &'static str = $attribute;
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
    )*};
}

plain! {
    Charset, "charset";
    SdpLang, "sdplang";
    Lang, "lang";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    #[test]
    fn a_language_tag_with_a_wrong_form_is_refused() {
        for good in ["de", "de-CH-1901", "zh-Hant", "x-klingon", "i-default"] {
            assert_eq!(Lang::parse(good.as_bytes()), Ok(Lang(good)));
            assert_eq!(SdpLang::parse(good.as_bytes()), Ok(SdpLang(good)));
        }
        for bad in [&b""[..], b"d3", b"de-", b"-de", b"de--ch", b"abcdefghi"] {
            refused::<Lang<'_>>(bad, 0, "a language tag such as de-CH");
        }
        refused::<SdpLang<'_>>(b"de fr", 2, "the end of the value");
        refused::<Charset<'_>>(b"", 0, "a character set such as ISO-8859-1");
        refused::<Charset<'_>>(b"ISO 8859", 3, "the end of the value");
    }
}
