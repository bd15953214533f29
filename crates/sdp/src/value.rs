//! Typed values: the trait [`Value`], and the values of the lines of RFC 8866 other than `a=`.
//!
//! A value borrows from its text, and `Display` writes it as RFC 8866 does. Integers have the width that the RFC
//! requires; a number that the RFC does not bound is kept as its digits.
//!
//! ```
//! use portolan_sdp::value::{Address, Connection, MediaLine};
//! use portolan_sdp::Value;
//!
//! let media = MediaLine::parse(b"video 49170/2 RTP/AVP 31 32")?;
//! assert_eq!((media.media, media.port, media.ports, media.protocol), ("video", 49170, Some(2), "RTP/AVP"));
//! assert_eq!(media.formats().collect::<Vec<_>>(), ["31", "32"]);
//!
//! let connection = Connection::parse(b"IN IP4 233.252.0.1/127/3")?;
//! assert_eq!(connection.address, Address::Ip4([233, 252, 0, 1].into()));
//! assert_eq!((connection.ttl, connection.count), (Some(127), Some(3)));
//! assert_eq!(connection.to_string(), "IN IP4 233.252.0.1/127/3");
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

mod address;
mod bandwidth;
mod connection;
mod contact;
mod decimal;
mod key;
mod media;
mod origin;
pub(crate) mod text;
mod timing;
mod uri;

pub use address::Address;
pub(crate) use address::network;
pub use bandwidth::{Bandwidth, BandwidthKind};
pub use connection::Connection;
pub use contact::{DisplayName, Email, Phone};
pub use decimal::Decimal;
pub use key::Key;
pub use media::MediaLine;
pub use origin::{Origin, Version};
pub use text::{Decoded, Information, SessionName};
pub use timing::{Adjustment, Repeat, TimeUnit, Timing, TypedTime, Zone};
pub use uri::Uri;

pub(crate) use decimal::decimal;

use crate::error::{Citation, ValueError};

/// A value that is parsed from bytes and written by `Display`. Parsing the written text gives the same value.
pub trait Value<'a>: Sized {
    /// The section of the RFC that has the grammar.
    const CLAUSE: Citation;

    /// Parses a whole value.
    ///
    /// # Errors
    /// [`ValueError`]: the offset, what the grammar expected there, and the byte that was found.
    fn parse(value: &'a [u8]) -> Result<Self, ValueError>;
}

/// The value of an attribute with its own type. An attribute without a value is parsed from an empty text.
pub trait AttributeValue<'a>: Value<'a> {
    /// The name, as after `a=`; case-sensitive.
    const NAME: &'static str;
}

#[cfg(test)]
pub(crate) use tests::refusal;

#[cfg(test)]
pub(crate) mod tests {
    use super::Value;
    use core::fmt::Debug;

    /// Returns the offset at which a value is refused, and the expectation there.
    pub(crate) fn refusal<'a, T: Value<'a> + Debug>(value: &'a str) -> (usize, &'static str) {
        match T::parse(value.as_bytes()) {
            Err(error) => (error.at, error.expected),
            Ok(found) => panic!("{value:?} was parsed as {found:?}"),
        }
    }

    /// Asserts that a value is refused, and checks every field of the error.
    #[track_caller]
    pub(crate) fn refused<'a, T: Value<'a> + Debug>(value: &'a [u8], at: usize, expected: &str) {
        let error = T::parse(value).expect_err("the value must be refused");
        assert_eq!((error.at, error.expected, error.found), (at, expected, value.get(at).copied()), "{error}");
        assert_eq!(error.clause, T::CLAUSE);
    }
}
