//! The name of a media section (RFC 5888 §4).

use crate::error::{Citation, ValueError};
use crate::grammar::{token, whole};
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=mid`: the name of a media section, a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mid<'a>(pub &'a str);

impl<'a> Value<'a> for Mid<'a> {
    const CLAUSE: Citation = Citation::new("RFC 5888", "4");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| token(input, "the name of a media section, a token")).map(Self)
    }
}

impl<'a> AttributeValue<'a> for Mid<'a> {
    const NAME: &'static str = "mid";
}

impl fmt::Display for Mid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
