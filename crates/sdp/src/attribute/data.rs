//! Data channels: SCTP over DTLS (RFC 8841).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{MaxMessageSize, SctpPort, Sctpmap};
//!
//! assert_eq!(SctpPort::parse(b"5000")?.0, 5000);
//! assert_eq!(MaxMessageSize::parse(b"262144")?.limit(), Some(262144));
//! assert_eq!(MaxMessageSize::parse(b"0")?.limit(), None);
//! assert_eq!(Sctpmap::parse(b"5000 webrtc-datachannel 256")?.streams, Some(256));
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, number_u16, number_u64, space, token, whole_but_spaces};
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=sctp-port`: the port of the SCTP association over DTLS, 0 to 65535 (RFC 8841 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SctpPort(pub u16);

impl<'a> Value<'a> for SctpPort {
    const CLAUSE: Citation = Citation::new("RFC 8841", "5");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const EXPECTED: &str = "a port, 0 to 65535";
        whole_but_spaces(value, Self::CLAUSE, |input| no_leading_zero(input, EXPECTED, number_u16(input, EXPECTED)))
            .map(Self)
    }
}

/// `a=max-message-size`: the longest message that the endpoint accepts, in bytes (RFC 8841 §6). Without it the limit is
/// 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxMessageSize(pub u64);

impl MaxMessageSize {
    /// The limit if the attribute is absent.
    pub const DEFAULT: Self = Self(65_536);

    /// Returns the limit; `None` for 0, which means any length.
    #[must_use]
    pub const fn limit(self) -> Option<u64> {
        if self.0 == 0 { None } else { Some(self.0) }
    }
}

impl<'a> Value<'a> for MaxMessageSize {
    const CLAUSE: Citation = Citation::new("RFC 8841", "6");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const EXPECTED: &str = "a number of bytes";
        whole_but_spaces(value, Self::CLAUSE, |input| no_leading_zero(input, EXPECTED, number_u64(input, EXPECTED)))
            .map(Self)
    }
}

/// Leading zeros are forbidden (RFC 8841 §5, §6).
fn no_leading_zero<'a, T>(input: &'a [u8], expected: &'static str, parsed: Parsed<'a, T>) -> Parsed<'a, T> {
    match input {
        [b'0', b'0'..=b'9', ..] => fail(input, expected),
        _ => parsed,
    }
}

/// `a=sctpmap`: port, use and number of streams of an SCTP association. Drafts of RFC 8841 define it, and older
/// endpoints still write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sctpmap<'a> {
    /// The port.
    pub port: u16,
    /// The use: `webrtc-datachannel`.
    pub application: &'a str,
    /// The maximum number of streams, if given.
    pub streams: Option<u16>,
}

impl<'a> Value<'a> for Sctpmap<'a> {
    const CLAUSE: Citation = Citation::new("draft-ietf-mmusic-sctp-sdp-05", "");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let (rest, port) = number_u16(input, "a port, 0 to 65535")?;
            let (rest, ()) = space(rest)?;
            let (rest, application) = token(rest, "a use such as webrtc-datachannel")?;
            let (rest, streams) = match rest {
                [b' ', rest @ ..] => {
                    number_u16(rest, "a number of streams").map(|(rest, count)| (rest, Some(count)))?
                }
                _ => (rest, None),
            };
            Ok((rest, Self { port, application, streams }))
        })
    }
}

impl<'a> AttributeValue<'a> for SctpPort {
    const NAME: &'static str = "sctp-port";
}

impl<'a> AttributeValue<'a> for MaxMessageSize {
    const NAME: &'static str = "max-message-size";
}

impl<'a> AttributeValue<'a> for Sctpmap<'a> {
    const NAME: &'static str = "sctpmap";
}

impl fmt::Display for SctpPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for MaxMessageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Sctpmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.port, self.application)?;
        self.streams.iter().try_for_each(|streams| write!(f, " {streams}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    #[test]
    fn numbers_with_leading_zeros_are_refused() {
        assert_eq!(SctpPort::parse(b"0"), Ok(SctpPort(0)));
        assert_eq!(refusal::<SctpPort>("05000"), (0, "a port, 0 to 65535"));
        assert_eq!(refusal::<SctpPort>("70000"), (0, "a port, 0 to 65535"));
        assert_eq!(refusal::<SctpPort>(""), (0, "a port, 0 to 65535"));
        assert_eq!(MaxMessageSize::parse(b"4294967297 "), Ok(MaxMessageSize(4_294_967_297)));
        assert_eq!(refusal::<MaxMessageSize>("00"), (0, "a number of bytes"));
        assert_eq!(refusal::<MaxMessageSize>("1k"), (1, "the end of the value"));
    }

    #[test]
    fn an_sctpmap_is_parsed_or_refused_at_an_offset() {
        let map = Sctpmap::parse(b"5000 webrtc-datachannel").unwrap();
        assert_eq!((map.port, map.application, map.streams), (5000, "webrtc-datachannel", None));
        assert_eq!(refusal::<Sctpmap<'_>>("5000"), (4, "a space"));
        assert_eq!(refusal::<Sctpmap<'_>>("5000 a 2a"), (8, "the end of the value"));
        assert_eq!(refusal::<Sctpmap<'_>>("5000 a x"), (7, "a number of streams"));
    }
}
