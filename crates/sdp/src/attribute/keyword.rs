//! Attributes whose value is one of a fixed list of words. They are the type of a conference, the orientation of a
//! workspace (RFC 8866 §6.8, §6.9), and the state of a connection (RFC 4145 §5).

use crate::error::{Citation, ValueError};
use crate::value::{AttributeValue, Value};
use core::fmt;

/// Generates an enum of words. They are case-sensitive.
macro_rules! words {
    ($(
        $(#[$doc:meta])*
        $name:ident, $attribute:literal, $document:literal $section:literal, $expected:literal {
            $($(#[$word_doc:meta])* $word:literal => $variant:ident,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
        }

        impl $name {
            /// Returns the word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl<'a> Value<'a> for $name {
            const CLAUSE: Citation = Citation::new($document, $section);

            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                $(if value == $word.as_bytes() {
                    return Ok(Self::$variant);
                })*
                Err(ValueError::new(value, 0, $expected, Self::CLAUSE))
            }
        }

        impl<'a> AttributeValue<'a> for $name {
            const NAME: &'static str = $attribute;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    /// `a=type`: the kind of conference.
    ConferenceType, "type", "RFC 8866" "6.9", "broadcast, meeting, moderated, test or H332" {
        /// `broadcast`: participants only receive.
        "broadcast" => Broadcast,
        /// `meeting`: all participants send and receive.
        "meeting" => Meeting,
        /// `moderated`: a participant sends only when the moderator allows it.
        "moderated" => Moderated,
        /// `test`: shown only to users that request it.
        "test" => Test,
        /// `H332`: the loosely coupled part of an H.332 session.
        "H332" => H332,
    }

    /// `a=orient`: the orientation of a workspace on the screen.
    Orientation, "orient", "RFC 8866" "6.8", "portrait, landscape or seascape" {
        /// `portrait`: higher than wide.
        "portrait" => Portrait,
        /// `landscape`: wider than high.
        "landscape" => Landscape,
        /// `seascape`: landscape, upside down.
        "seascape" => Seascape,
    }

    /// `a=connection`: whether a new TCP connection is opened.
    ConnectionUse, "connection", "RFC 4145" "5", "new or existing" {
        /// `new`: a new connection.
        "new" => New,
        /// `existing`: the existing connection, if there is one.
        "existing" => Existing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    #[test]
    fn keywords_are_case_sensitive_and_complete() {
        assert_eq!(ConferenceType::parse(b"H332"), Ok(ConferenceType::H332));
        assert_eq!(Orientation::parse(b"seascape"), Ok(Orientation::Seascape));
        assert_eq!(ConnectionUse::parse(b"existing"), Ok(ConnectionUse::Existing));
        refused::<ConferenceType>(b"Meeting", 0, "broadcast, meeting, moderated, test or H332");
        refused::<Orientation>(b"portrait ", 0, "portrait, landscape or seascape");
        refused::<ConnectionUse>(b"", 0, "new or existing");
    }
}
