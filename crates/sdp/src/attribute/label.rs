//! The label of a stream, by which other documents refer to it (RFC 4574), and its content (RFC 4796).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, items_of, separated, token, whole};
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=label`: a name by which other documents refer to the stream, a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label<'a>(pub &'a str);

impl<'a> Value<'a> for Label<'a> {
    const CLAUSE: Citation = Citation::new("RFC 4574", "4");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| token(input, "a label, a token")).map(Self)
    }
}

impl<'a> AttributeValue<'a> for Label<'a> {
    const NAME: &'static str = "label";
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// `a=content`: the content of a stream, as one or more words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content<'a>(&'a str);

/// The content of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentKind<'a> {
    /// `slides`: a presentation.
    Slides,
    /// `speaker`: the person who is speaking.
    Speaker,
    /// `sl`: sign language.
    SignLanguage,
    /// `main`: the main source.
    Main,
    /// `alt`: another source than the main one.
    Alternative,
    /// Another, by its name.
    Other(&'a str),
}

impl<'a> ContentKind<'a> {
    /// Returns the content with this name.
    #[must_use]
    pub fn from_name(name: &'a str) -> Self {
        match name {
            "slides" => Self::Slides,
            "speaker" => Self::Speaker,
            "sl" => Self::SignLanguage,
            "main" => Self::Main,
            "alt" => Self::Alternative,
            other => Self::Other(other),
        }
    }
}

impl<'a> Content<'a> {
    /// Returns the words, in the written order; at least one.
    pub fn kinds(&self) -> impl Iterator<Item = ContentKind<'a>> + use<'a> {
        items_of(self.0, b',', kind).map(ContentKind::from_name)
    }
}

fn kind(input: &[u8]) -> Parsed<'_, &str> {
    token(input, "what the stream shows, such as slides")
}

impl<'a> Value<'a> for Content<'a> {
    const CLAUSE: Citation = Citation::new("RFC 4796", "5");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| separated(input, b',', kind)).map(Self)
    }
}

impl<'a> AttributeValue<'a> for Content<'a> {
    const NAME: &'static str = "content";
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;
    use alloc::vec::Vec;

    #[test]
    fn a_content_attribute_has_several_kinds() {
        let content = Content::parse(b"slides,x-notes").unwrap();
        assert_eq!(content.kinds().collect::<Vec<_>>(), [ContentKind::Slides, ContentKind::Other("x-notes")]);
        refused::<Content<'_>>(b"", 0, "what the stream shows, such as slides");
        refused::<Content<'_>>(b"slides,", 7, "what the stream shows, such as slides");
        refused::<Content<'_>>(b"slides, main", 7, "what the stream shows, such as slides");
    }

    #[test]
    fn a_label_is_a_token() {
        assert_eq!(Label::parse(b"foobar"), Ok(Label("foobar")));
        refused::<Label<'_>>(b"", 0, "a label, a token");
        refused::<Label<'_>>(b"foobar barfoo", 6, "the end of the value");
    }
}
