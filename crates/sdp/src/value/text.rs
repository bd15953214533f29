//! Texts for users: the name and the description of the session (RFC 8866 §5.3, §5.4).
//!
//! A text is in the character set of its session, which is UTF-8 by default (RFC 8866 §6.10).

use crate::attribute::Charset;
use core::fmt;
use core::str;

/// Generates the text types: at least one byte, without NUL, CR and LF.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $section:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name<'a>(&'a [u8]);

        impl<'a> $name<'a> {
            /// Returns the bytes, unchanged.
            #[must_use]
            pub const fn as_bytes(&self) -> &'a [u8] {
                self.0
            }

            /// Returns the text, if the session uses the default character set.
            ///
            /// # Errors
            /// [`Utf8Error`](core::str::Utf8Error): the bytes are not UTF-8.
            pub fn to_str(&self) -> Result<&'a str, core::str::Utf8Error> {
                core::str::from_utf8(self.0)
            }

            /// Returns the text in the character set of its session; `None` if the character set is not supported, or
            /// if the bytes are invalid in it.
            #[must_use]
            pub fn decode(&self, charset: Option<crate::attribute::Charset<'_>>) -> Option<crate::value::Decoded<'a>> {
                crate::value::Decoded::new(self.0, charset)
            }
        }

        impl<'a> crate::value::Value<'a> for $name<'a> {
            const CLAUSE: crate::error::Citation = crate::error::Citation::new("RFC 8866", $section);

            fn parse(value: &'a [u8]) -> Result<Self, crate::error::ValueError> {
                crate::grammar::whole(value, Self::CLAUSE, |input| {
                    crate::grammar::bytes(input, "a text without NUL, CR and LF")
                })
                .map(Self)
            }
        }

        /// Writes the text; bytes that are not UTF-8 are replaced by U+FFFD.
        impl core::fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}", crate::line::Lossy(self.0))
            }
        }

        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "(\"{}\")"), self.0.escape_ascii())
            }
        }
    )*};
}
pub(crate) use texts;

texts! {
    /// `s=`: the session's name; `-` where it has none.
    SessionName, "5.3";
    /// `i=`: information about the session or the media.
    Information, "5.4";
}

/// A text in a supported character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decoded<'a> {
    /// UTF-8, or ASCII.
    Utf8(&'a str),
    /// ISO 8859-1, where each byte is a character.
    Latin1(&'a [u8]),
}

impl<'a> Decoded<'a> {
    pub(crate) fn new(bytes: &'a [u8], charset: Option<Charset<'_>>) -> Option<Self> {
        let utf8 = || str::from_utf8(bytes).ok().map(Self::Utf8);
        let Some(Charset(name)) = charset else { return utf8() };
        if name.eq_ignore_ascii_case("UTF-8") {
            utf8()
        } else if name.eq_ignore_ascii_case("US-ASCII") {
            utf8().filter(|_| bytes.is_ascii())
        } else if ["ISO-8859-1", "ISO_8859-1:1987"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            Some(Self::Latin1(bytes))
        } else {
            None
        }
    }
}

impl fmt::Display for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8(text) => f.write_str(text),
            Self::Latin1(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use crate::value::tests::refused;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_text_is_decoded_with_the_character_set_of_its_session() {
        let name = SessionName::parse(b"Caf\xe9").unwrap();
        assert!(name.to_str().is_err());
        assert_eq!(name.decode(None), None);
        assert_eq!(name.decode(Some(Charset("US-ASCII"))), None);
        assert_eq!(name.decode(Some(Charset("KOI8-R"))), None);
        assert_eq!(name.decode(Some(Charset("iso-8859-1"))).unwrap().to_string(), "Café");
        assert_eq!(format!("{name:?} {name}"), "SessionName(\"Caf\\xe9\") Caf\u{fffd}");
        let name = SessionName::parse("Café".as_bytes()).unwrap();
        assert_eq!((name.to_str(), name.decode(Some(Charset("utf-8")))), (Ok("Café"), Some(Decoded::Utf8("Café"))));
        assert_eq!(name.decode(Some(Charset("US-ASCII"))), None);
    }

    #[test]
    fn an_empty_text_and_a_text_with_a_line_break_are_refused() {
        refused::<SessionName<'_>>(b"", 0, "a text without NUL, CR and LF");
        refused::<Information<'_>>(b"a\nb", 1, "the end of the value");
        refused::<Information<'_>>(b"a\0b", 1, "the end of the value");
    }
}
