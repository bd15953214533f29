//! Category, keywords and tool of a session (RFC 8866 §6.1 to §6.3).

use crate::error::{Citation, ValueError};
use crate::grammar::{visible, whole};
use crate::line::Lossy;
use crate::value::text::texts;
use crate::value::{AttributeValue, Value};
use core::fmt;

texts! {
    /// `a=keywds`: search words for the session (obsolete).
    Keywds, "6.2";
    /// `a=tool`: the name and the version of the program that wrote the description.
    Tool, "6.3";
}

impl<'a> AttributeValue<'a> for Keywds<'a> {
    const NAME: &'static str = "keywds";
}

impl<'a> AttributeValue<'a> for Tool<'a> {
    const NAME: &'static str = "tool";
}

/// `a=cat`: the category of the session, from the widest to the narrowest, separated by dots (obsolete).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cat<'a>(pub &'a [u8]);

impl<'a> Value<'a> for Cat<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "6.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| visible(input, "a category such as event.local")).map(Self)
    }
}

impl<'a> AttributeValue<'a> for Cat<'a> {
    const NAME: &'static str = "cat";
}

impl fmt::Display for Cat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Lossy(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    #[test]
    fn a_category_is_one_word_and_a_tool_is_a_text() {
        assert_eq!(Cat::parse(b"foo.bar"), Ok(Cat(b"foo.bar")));
        assert_eq!(Tool::parse(b"foobar V3.2").unwrap().to_str(), Ok("foobar V3.2"));
        assert_eq!(Keywds::parse(b"SDP session").unwrap().as_bytes(), b"SDP session");
        refused::<Cat<'_>>(b"foo bar", 3, "the end of the value");
        refused::<Cat<'_>>(b"", 0, "a category such as event.local");
        refused::<Tool<'_>>(b"", 0, "a text without NUL, CR and LF");
        refused::<Keywds<'_>>(b"a\rb", 1, "the end of the value");
    }
}
