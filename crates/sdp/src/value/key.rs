//! Keys in the description (RFC 8866 §5.12). Obsolete: `k=` must not be sent, and a receiver must discard it.
//!
//! Rules of this file: no key is written by `Debug`.

use super::uri::uri;
use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, base64, bytes, fail, whole};
use crate::line::Lossy;
use crate::value::Value;
use core::fmt;

/// `k=`: a key, or the method to get one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    /// `prompt`: ask the user.
    Prompt,
    /// `clear:` and the key as text.
    Clear(&'a [u8]),
    /// `base64:` and the key in base 64.
    Base64(&'a str),
    /// `uri:` and the URI of the key.
    Uri(&'a str),
}

impl<'a> Value<'a> for Key<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.12");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, Self::read)
    }
}

impl<'a> Key<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        if let Some(rest) = input.strip_prefix(b"prompt") {
            Ok((rest, Self::Prompt))
        } else if let Some(rest) = input.strip_prefix(b"clear:") {
            bytes(rest, "a key").map(|(rest, key)| (rest, Self::Clear(key)))
        } else if let Some(rest) = input.strip_prefix(b"base64:") {
            base64(rest, "a key in base 64").map(|(rest, key)| (rest, Self::Base64(key)))
        } else if let Some(rest) = input.strip_prefix(b"uri:") {
            uri(rest).map(|(rest, uri)| (rest, Self::Uri(uri)))
        } else {
            fail(input, "prompt, clear:, base64: or uri:")
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => f.write_str("prompt"),
            Self::Clear(key) => write!(f, "clear:{}", Lossy(key)),
            Self::Base64(key) => write!(f, "base64:{key}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
        }
    }
}

/// Omits the key.
impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prompt => "Prompt",
            Self::Clear(_) => "Clear(..)",
            Self::Base64(_) => "Base64(..)",
            Self::Uri(_) => "Uri(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;
    use alloc::format;

    #[test]
    fn a_key_is_parsed_and_its_debug_text_hides_it() {
        assert_eq!(Key::parse(b"prompt"), Ok(Key::Prompt));
        assert_eq!(Key::parse(b"clear:1234"), Ok(Key::Clear(b"1234")));
        assert_eq!(Key::parse(b"base64:MTIzNA=="), Ok(Key::Base64("MTIzNA==")));
        assert_eq!(Key::parse(b"uri:https://example.org/key"), Ok(Key::Uri("https://example.org/key")));
        let shown = format!("{:?} {:?}", Key::Clear(b"secret"), Key::parse(b"uri:https://secret.example/"));
        assert_eq!(shown, "Clear(..) Ok(Uri(..))");
    }

    #[test]
    fn an_invalid_key_is_refused_at_its_offset() {
        refused::<Key<'_>>(b"", 0, "prompt, clear:, base64: or uri:");
        refused::<Key<'_>>(b"prompt:", 6, "the end of the value");
        refused::<Key<'_>>(b"clear:", 6, "a key");
        refused::<Key<'_>>(b"base64:MTIzN", 7, "a key in base 64");
        refused::<Key<'_>>(b"Clear:1234", 0, "prompt, clear:, base64: or uri:");
    }
}
