//! Attributes with a grammar of their own (`a=`), each a type; [`Attribute`] is all of them, and `Other` keeps the rest.
//!
//! Each type is read from what follows `a=NAME:` and written by `Display`; an attribute without a value is read from no
//! bytes. Lists inside of a value are checked once and then iterated, without allocation.
//!
//! ```
//! use portolan_sdp::Session;
//! use portolan_sdp::attribute::{Attribute, Direction};
//!
//! let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=sendonly\r\na=x-mine:1\r\n")?;
//! let attributes: Vec<_> = session.top().attributes().collect::<Result<_, _>>()?;
//! assert_eq!(attributes[0], Attribute::Direction(Direction::SendOnly));
//! assert_eq!(attributes[1], Attribute::Other { name: b"x-mine", value: Some(b"1") });
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod direction;
mod mid;

pub use direction::Direction;
pub use mid::Mid;

use crate::error::{Clause, ValueError};
use crate::line::{Line, Lossy};
use crate::value::Value;
use core::fmt;

/// Writes the enum, its reader and its writer from one list: the name, the variant and its type; for an attribute without a
/// value the name, the variant and its section.
macro_rules! attributes {
    (
        values { $($(#[$doc:meta])* $name:literal => $variant:ident($type:ty),)* }
        flags { $($(#[$flag_doc:meta])* $flag_name:literal => $flag:ident, $document:literal $section:literal;)* }
    ) => {
        /// An attribute, by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Attribute<'a> {
            /// `a=sendrecv`, `sendonly`, `recvonly`, `inactive`: which way the media goes (RFC 8866 §6.7).
            Direction(Direction),
            $($(#[$doc])* $variant($type),)*
            $($(#[$flag_doc])* $flag,)*
            /// An attribute without a type of its own, as its bytes.
            Other {
                /// What stands before the colon.
                name: &'a [u8],
                /// What stands after it, if there is one.
                value: Option<&'a [u8]>,
            },
        }

        impl<'a> Attribute<'a> {
            /// Reads an attribute by its name.
            ///
            /// # Errors
            /// A value that is none of its name's, or one where there must be none; its place counts from the start of the
            /// value.
            pub fn parse(name: &'a [u8], value: Option<&'a [u8]>) -> Result<Self, ValueError> {
                let bytes = value.unwrap_or_default();
                match name {
                    $($name => <$type>::parse(bytes).map(Self::$variant),)*
                    $($flag_name => no_value(bytes, Clause::new($document, $section)).map(|()| Self::$flag),)*
                    _ => match Direction::named(name) {
                        Some(direction) => no_value(bytes, Direction::CLAUSE).map(|()| Self::Direction(direction)),
                        None => Ok(Self::Other { name, value }),
                    },
                }
            }

            /// The section that describes the attribute; none for [`Attribute::Other`].
            #[must_use]
            pub const fn clause(&self) -> Option<Clause> {
                match self {
                    Self::Direction(_) => Some(Direction::CLAUSE),
                    $(Self::$variant(_) => Some(<$type>::CLAUSE),)*
                    $(Self::$flag => Some(Clause::new($document, $section)),)*
                    Self::Other { .. } => None,
                }
            }
        }

        $(impl<'a> From<$type> for Attribute<'a> {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*

        /// What follows `a=`.
        impl fmt::Display for Attribute<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Direction(direction) => write!(f, "{direction}"),
                    $(Self::$variant(value) => write!(f, "{}:{value}", Lossy($name)),)*
                    $(Self::$flag => write!(f, "{}", Lossy($flag_name)),)*
                    Self::Other { name, value: None } => write!(f, "{}", Lossy(name)),
                    Self::Other { name, value: Some(value) } => write!(f, "{}:{}", Lossy(name), Lossy(value)),
                }
            }
        }
    };
}

attributes! {
    values {
        // Sections and bundles.
        /// `a=mid`: the name of a media section.
        b"mid" => Mid(Mid<'a>),
    }
    flags {
        /// `a=rtcp-mux`: RTP and RTCP on one port.
        b"rtcp-mux" => RtcpMux, "RFC 5761" "5.1.3";
    }
}

impl From<Direction> for Attribute<'_> {
    fn from(direction: Direction) -> Self {
        Self::Direction(direction)
    }
}

/// An attribute that has no value must have none.
fn no_value(value: &[u8], clause: Clause) -> Result<(), ValueError> {
    if value.is_empty() { Ok(()) } else { Err(ValueError::new(value, 0, "no value", clause)) }
}

impl<'s> Line<'s> {
    /// Reads the line as an attribute; none where it is none.
    ///
    /// # Errors
    /// What is wrong with its value, and where it stands.
    pub fn typed(&self) -> Option<Result<Attribute<'s>, crate::TypedError>> {
        let (name, value) = self.attribute()?;
        Some(Attribute::parse(name, value).map_err(|error| self.locate(value.unwrap_or_default(), error)))
    }
}

impl<'s> crate::Section<'s> {
    /// Reads all attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = Result<Attribute<'s>, crate::TypedError>> + use<'s> {
        self.lines().filter_map(|line| line.typed())
    }
}
