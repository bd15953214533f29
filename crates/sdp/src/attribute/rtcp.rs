//! Port, address and feedback of RTCP (RFC 3605, RFC 4585).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{Rtcp, RtcpFb};
//!
//! let rtcp = Rtcp::parse(b"53020 IN IP4 192.0.2.4")?;
//! assert_eq!(rtcp.port, 53020);
//! let feedback = RtcpFb::parse(b"* nack pli")?;
//! assert_eq!((feedback.payload_type, feedback.kind, feedback.parameter), (None, "nack", Some("pli")));
//! assert!(feedback.applies_to(96));
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::error::{Citation, ValueError};
use crate::grammar::{
    Parsed, ascii, but_spaces, bytes, finish, known, number_u16, payload_type, space, token, whole_but_spaces,
};
use crate::line::Lossy;
use crate::value::{Address, AttributeValue, Value};
use core::fmt;

/// `a=rtcp`: the port and address of RTCP, if RTCP does not use the port after the RTP port (RFC 3605 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rtcp<'a> {
    /// The port.
    pub port: u16,
    /// The address; `None`: the address of `c=`.
    pub address: Option<RtcpAddress<'a>>,
}

/// An address with its types, in the form of `c=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtcpAddress<'a> {
    /// The network type, `IN` for the Internet.
    pub network: &'a str,
    /// The address type, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address.
    pub address: Address<'a>,
}

impl<'a> Value<'a> for Rtcp<'a> {
    const CLAUSE: Citation = Citation::new("RFC 3605", "2.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let (rest, port) = number_u16(input, "a port, 0 to 65535")?;
            let [b' ', rest @ ..] = rest else { return Ok((rest, Self { port, address: None })) };
            let (rest, (network, address_type, address)) = Address::with_types(rest)?;
            Ok((rest, Self { port, address: Some(RtcpAddress { network, address_type, address }) }))
        })
    }
}

impl<'a> AttributeValue<'a> for Rtcp<'a> {
    const NAME: &'static str = "rtcp";
}

impl fmt::Display for Rtcp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.port)?;
        self.address.iter().try_for_each(|RtcpAddress { network, address_type, address }| {
            write!(f, " {network} {address_type} {address}")
        })
    }
}

/// `a=rtcp-fb`: RTCP feedback that the endpoint supports (RFC 4585 §4.2, RFC 5104 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtcpFb<'a> {
    /// The payload type, 0 to 127; `None`: all (`*`).
    pub payload_type: Option<u8>,
    /// The kind, such as `nack`, `ccm`, `ack`, `trr-int`, `transport-cc`.
    pub kind: &'a str,
    /// The parameter, such as `pli` of `nack` and `fir` of `ccm`; for `trr-int` the milliseconds.
    pub parameter: Option<&'a str>,
    /// The text after the parameter.
    pub value: Option<&'a [u8]>,
}

impl RtcpFb<'_> {
    /// Returns whether the feedback applies to a payload type.
    #[must_use]
    pub fn applies_to(&self, payload_type: u8) -> bool {
        self.payload_type.is_none_or(|known| known == payload_type)
    }
}

impl<'a> Value<'a> for RtcpFb<'a> {
    const CLAUSE: Citation = Citation::new("RFC 4585", "4.2");

    #[inline(always)]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        finish(value, Self::CLAUSE, Self::read(value))
    }
}

impl<'a> RtcpFb<'a> {
    #[inline(always)]
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, payload_type) = match input {
            [b'*', rest @ ..] => (rest, None),
            _ => {
                let (rest, found) = payload_type(input)?;
                (rest, Some(found))
            }
        };
        let (rest, ()) = space(rest)?;
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let (rest, kind) = match word(rest) {
            Some(found) => found,
            None => ascii(rest, is_id, "a kind of feedback such as nack")?,
        };
        let (rest, parameter) = parameter(kind, rest)?;
        let (rest, value) = match but_spaces(rest) {
            [b' ', rest @ ..] => bytes(rest, "a value").map(|(rest, value)| (rest, Some(value)))?,
            rest => (rest, None),
        };
        Ok((rest, Self { payload_type, kind, parameter, value }))
    }
}

/// The kinds that browsers write.
#[inline(always)]
fn word(input: &[u8]) -> Option<(&[u8], &'static str)> {
    known!(input, b' ',
        b"nack" => "nack",
        b"pli" => "pli",
        b"ccm" => "ccm",
        b"fir" => "fir",
        b"goog-remb" => "goog-remb",
        b"transport-cc" => "transport-cc",
    )
}

/// The parameter after the kind. Two kinds require one.
#[inline(always)]
fn parameter<'a>(kind: &str, input: &'a [u8]) -> Parsed<'a, Option<&'a str>> {
    let (rest, found) = match (kind, input) {
        ("trr-int", _) => ascii(space(input)?.0, |byte| byte.is_ascii_digit(), "milliseconds")?,
        // An acknowledgement names its kind (RFC 4585 §4.2).
        ("ack", _) => token(space(input)?.0, "rpsi, app or another acknowledgement")?,
        (_, rest) if but_spaces(rest).is_empty() => return Ok((&[], None)),
        (_, [b' ', rest @ ..]) => match word(rest) {
            Some(found) => found,
            None => token(rest, "a parameter such as pli")?,
        },
        _ => return Ok((input, None)),
    };
    Ok((rest, Some(found)))
}

impl<'a> AttributeValue<'a> for RtcpFb<'a> {
    const NAME: &'static str = "rtcp-fb";
}

/// Bytes that are not UTF-8 are replaced by U+FFFD.
impl fmt::Display for RtcpFb<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type} {}", self.kind)?,
            None => write!(f, "* {}", self.kind)?,
        }
        self.parameter.iter().try_for_each(|parameter| write!(f, " {parameter}"))?;
        self.value.iter().try_for_each(|value| write!(f, " {}", Lossy(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    #[test]
    fn an_rtcp_attribute_has_an_optional_address() {
        assert_eq!(Rtcp::parse(b"9"), Ok(Rtcp { port: 9, address: None }));
        let address = Rtcp::parse(b"9 IN IP6 2001:db8::1").unwrap().address.unwrap();
        assert_eq!((address.network, address.address_type), ("IN", "IP6"));
        for (value, at, expected) in [
            ("", 0, "a port, 0 to 65535"),
            ("70000", 0, "a port, 0 to 65535"),
            ("9 IN", 4, "a space"),
            ("9 IN IP4", 8, "a space"),
            ("9 IN IP4 ::1", 9, "an IPv4 address or a domain name"),
            ("9 IN IP4 192.0.2.1/24", 18, "the end of the value"),
        ] {
            assert_eq!(refusal::<Rtcp<'_>>(value), (at, expected), "{value}");
        }
    }

    #[test]
    fn a_feedback_attribute_is_parsed_or_refused_at_an_offset() {
        let feedback = RtcpFb::parse(b"96 ccm tmmbr smaxpr=120").unwrap();
        assert_eq!((feedback.payload_type, feedback.kind), (Some(96), "ccm"));
        assert_eq!((feedback.parameter, feedback.value), (Some("tmmbr"), Some(&b"smaxpr=120"[..])));
        assert!(feedback.applies_to(96) && !feedback.applies_to(97));
        assert_eq!(RtcpFb::parse(b"96 nack ").map(|feedback| feedback.parameter), Ok(None));
        for (value, at, expected) in [
            ("", 0, "a payload type, 0 to 127"),
            ("128 nack", 0, "a payload type, 0 to 127"),
            ("*nack", 1, "a space"),
            ("96 ", 3, "a kind of feedback such as nack"),
            ("96 (nack", 3, "a kind of feedback such as nack"),
            ("96 ack", 6, "a space"),
            ("96 trr-int", 10, "a space"),
            ("96 trr-int a", 11, "milliseconds"),
            ("96 nack (pli", 8, "a parameter such as pli"),
            ("96 nack pli(", 11, "the end of the value"),
        ] {
            assert_eq!(refusal::<RtcpFb<'_>>(value), (at, expected), "{value}");
        }
    }
}
