//! RTP payload types and header extensions (RFC 8866 §6.6, §6.15; RFC 8285).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{Direction, Extmap, Fmtp, Rtpmap};
//!
//! let opus = Rtpmap::parse(b"111 opus/48000/2")?;
//! assert_eq!((opus.payload_type, opus.encoding, opus.clock_rate, opus.channels), (111, "opus", 48000, Some(2)));
//!
//! let retransmission = Fmtp::parse(b"97 apt=96; rtx-time=3000")?;
//! assert_eq!(retransmission.parameter("apt"), Some(&b"96"[..]));
//! let events = Fmtp::parse(b"101 0-15,66")?;
//! assert_eq!(events.parameters().next().map(|parameter| (parameter.name, parameter.value)), Some((&b"0-15,66"[..], None)));
//!
//! let mid = Extmap::parse(b"3/recvonly urn:ietf:params:rtp-hdrext:sdes:mid")?;
//! assert_eq!((mid.id, mid.direction), (3, Some(Direction::RecvOnly)));
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use super::Direction;
use crate::error::{Citation, ValueError};
use crate::grammar::{
    Parsed, ascii, but_spaces, bytes, fail, finish, known, number_u16, payload_type, payload_type_token, positive,
    refuse, space, tag, token,
};
use crate::line::Lossy;
use crate::value::{AttributeValue, Value};
use crate::work::look;
use core::fmt;
use core::str;

/// `a=rtpmap`: the encoding of a payload type (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rtpmap<'a> {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding, such as `opus` or `VP8`; encoding names are case-insensitive.
    pub encoding: &'a str,
    /// The clock rate in hertz.
    pub clock_rate: u32,
    /// The number of channels of audio; 1 if not given.
    pub channels: Option<u32>,
}

impl<'a> Value<'a> for Rtpmap<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "6.6");

    #[inline(always)]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        finish(value, Self::CLAUSE, Self::read(value))
    }
}

impl<'a> Rtpmap<'a> {
    #[inline(always)]
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, payload_type) = payload_type(input)?;
        let (rest, ()) = space(rest)?;
        let (rest, encoding) = match encoding(rest) {
            Some(found) => found,
            None => token(rest, "an encoding such as opus")?,
        };
        let (rest, ()) = tag(rest, b"/", "/ and a clock rate")?;
        let (rest, clock_rate) = positive(rest, "a clock rate in hertz, more than 0")?;
        let (rest, channels) = match rest {
            [b'/', rest @ ..] => {
                positive(rest, "a number of channels, 1 or more").map(|(rest, count)| (rest, Some(count)))?
            }
            _ => (rest, None),
        };
        // Some cameras write a space at the end.
        Ok((but_spaces(rest), Self { payload_type, encoding, clock_rate, channels }))
    }
}

/// The encodings that browsers write.
#[inline(always)]
fn encoding(input: &[u8]) -> Option<(&[u8], &'static str)> {
    known!(input, b'/',
        b"rtx" => "rtx",
        b"H264" => "H264",
        b"VP8" => "VP8",
        b"VP9" => "VP9",
        b"AV1" => "AV1",
        b"H265" => "H265",
        b"red" => "red",
        b"ulpfec" => "ulpfec",
        b"opus" => "opus",
        b"G722" => "G722",
        b"PCMU" => "PCMU",
        b"PCMA" => "PCMA",
        b"CN" => "CN",
        b"telephone-event" => "telephone-event",
    )
}

impl<'a> AttributeValue<'a> for Rtpmap<'a> {
    const NAME: &'static str = "rtpmap";
}

impl fmt::Display for Rtpmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { payload_type, encoding, clock_rate, channels } = self;
        write!(f, "{payload_type} {encoding}/{clock_rate}")?;
        channels.iter().try_for_each(|channels| write!(f, "/{channels}"))
    }
}

/// `a=fmtp`: parameters of a format (RFC 8866 §6.15). The format defines their meaning and their valid values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fmtp<'a> {
    /// The format; for RTP a payload type.
    pub format: &'a str,
    /// All parameters as text. Empty if there are none, as some cameras write.
    pub text: &'a [u8],
}

/// A parameter of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parameter<'a> {
    /// The text before the first `=`, or the whole text.
    pub name: &'a [u8],
    /// The text after the first `=`.
    pub value: Option<&'a [u8]>,
}

impl<'a> Fmtp<'a> {
    /// Returns the payload type, 0 to 127; `None` if the format is no payload type.
    #[must_use]
    pub fn payload_type(&self) -> Option<u8> {
        payload_type(self.format.as_bytes()).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, found)| found)
    }

    /// Returns the parameters: the texts between the semicolons, without surrounding spaces. Empty texts are skipped. A
    /// format without names and values (`0-15,66` for telephone events) gives one parameter without a value.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        let parts = self.text.split(|byte| *byte == b';').inspect(|part| look(part.len() + 1));
        parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).map(|part| {
            match memchr::memchr(b'=', part).and_then(|at| part.split_at_checked(at)) {
                Some((name, value)) => {
                    Parameter { name: name.trim_ascii_end(), value: value.get(1..).map(<[u8]>::trim_ascii_start) }
                }
                None => Parameter { name: part, value: None },
            }
        })
    }

    /// Returns the value of the first parameter with a name; empty for a parameter without a value. Names are
    /// case-insensitive (RFC 6838 §4.3).
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        let mut parameters = self.parameters();
        let found = parameters.find(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(found.value.unwrap_or_default())
    }
}

impl<'a> Value<'a> for Fmtp<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "6.15");

    #[inline(always)]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        finish(value, Self::CLAUSE, Self::read(value))
    }
}

impl<'a> Fmtp<'a> {
    #[inline(always)]
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, format) = match payload_type_token(input) {
            Some(found) => found,
            None => token(input, "a format, such as a payload type")?,
        };
        if but_spaces(rest).is_empty() {
            return Ok((&[], Self { format, text: &[] }));
        }
        let (rest, ()) = space(rest)?;
        let (rest, text) = bytes(rest, "parameters")?;
        Ok((rest, Self { format, text }))
    }
}

impl<'a> AttributeValue<'a> for Fmtp<'a> {
    const NAME: &'static str = "fmtp";
}

/// Bytes that are not UTF-8 are replaced by U+FFFD.
impl fmt::Display for Fmtp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", Lossy(self.text)) }
    }
}

/// `a=extmap`: the meaning of an RTP header extension (RFC 8285 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extmap<'a> {
    /// The identifier: 1 to 14 in one-byte headers, up to 255 in two-byte headers, 256 for the application bits of
    /// two-byte headers, 4096 to 4351 if the answer must choose.
    pub id: u16,
    /// The direction; `None`: both directions.
    pub direction: Option<Direction>,
    /// The URI of the extension; its syntax is not checked further.
    pub uri: &'a str,
    /// The attributes of the extension, such as the URI that `urn:ietf:params:rtp-hdrext:encrypt` encrypts.
    pub attributes: Option<&'a [u8]>,
}

impl<'a> Value<'a> for Extmap<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8285", "8");

    #[inline(always)]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        finish(value, Self::CLAUSE, Self::read(value))
    }
}

impl<'a> Extmap<'a> {
    #[inline(always)]
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, id) = match number_u16(input, EXTMAP_ID)? {
            (rest, id) if id == 0 || input.len() - rest.len() > 5 => return fail(input, EXTMAP_ID),
            found => found,
        };
        let (rest, direction) = match rest {
            [b'/', rest @ ..] => direction(rest)?,
            _ => (rest, None),
        };
        let (rest, ()) = space(rest)?;
        let (rest, uri) = uri(rest)?;
        if but_spaces(rest).is_empty() {
            return Ok((&[], Self { id, direction, uri, attributes: None }));
        }
        let (rest, ()) = space(rest)?;
        let (rest, attributes) = bytes(rest, "attributes of the extension")?;
        Ok((rest, Self { id, direction, uri, attributes: Some(attributes) }))
    }
}

/// The text up to the next space. URIs are long: the text is checked as a whole, and byte by byte only to locate an
/// error.
fn uri(input: &[u8]) -> Parsed<'_, &str> {
    let length = memchr::memchr(b' ', input).unwrap_or(input.len());
    look(length + 1);
    match input.split_at_checked(length).map(|(taken, rest)| (rest, taken, str::from_utf8(taken))) {
        Some((rest, taken @ [_, ..], Ok(uri)))
            if taken.iter().fold(true, |good, byte| good & byte.is_ascii_graphic()) =>
        {
            Ok((rest, uri))
        }
        _ => ascii(input, |byte| byte.is_ascii_graphic(), "the URI of an extension"),
    }
}

const EXTMAP_ID: &str = "the number of an extension, 1 to 65535";

fn direction(input: &[u8]) -> Parsed<'_, Option<Direction>> {
    let length = memchr::memchr(b' ', input).unwrap_or(input.len());
    look(length + 1);
    match input.split_at_checked(length).map(|(name, rest)| (rest, Direction::from_name(name))) {
        Some((rest, Some(direction))) => Ok((rest, Some(direction))),
        _ => refuse(input, "sendrecv, sendonly, recvonly or inactive"),
    }
}

impl<'a> AttributeValue<'a> for Extmap<'a> {
    const NAME: &'static str = "extmap";
}

/// Bytes that are not UTF-8 are replaced by U+FFFD.
impl fmt::Display for Extmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        self.direction.iter().try_for_each(|direction| write!(f, "/{direction}"))?;
        write!(f, " {}", self.uri)?;
        self.attributes.iter().try_for_each(|attributes| write!(f, " {}", Lossy(attributes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    #[test]
    fn an_rtpmap_is_parsed_or_refused_at_an_offset() {
        let camera = Rtpmap::parse(b"96 H264/90000 ").unwrap();
        assert_eq!((camera.encoding, camera.clock_rate, camera.channels), ("H264", 90_000, None));
        for (value, at, expected) in [
            ("", 0, "a payload type, 0 to 127"),
            ("128 opus/48000", 0, "a payload type, 0 to 127"),
            ("109", 3, "a space"),
            ("109  opus/48000", 4, "an encoding such as opus"),
            ("109 opus", 8, "/ and a clock rate"),
            ("109 opus/", 9, "a clock rate in hertz, more than 0"),
            ("109 opus/48000/", 15, "a number of channels, 1 or more"),
            ("109 opus/48000/2/3", 16, "the end of the value"),
            ("109 opus/4294967296", 9, "a clock rate in hertz, more than 0"),
        ] {
            assert_eq!(refusal::<Rtpmap<'_>>(value), (at, expected), "{value}");
        }
    }

    #[test]
    fn parameters_are_found_with_any_spaces() {
        let fmtp = Fmtp::parse(b"96 ;a=1; b = 2 ;;flag; SPROP=x=,y==;").unwrap();
        let parameters: alloc::vec::Vec<_> =
            fmtp.parameters().map(|parameter| (parameter.name, parameter.value)).collect();
        assert_eq!(
            parameters,
            [(&b"a"[..], Some(&b"1"[..])), (b"b", Some(b"2")), (b"flag", None), (b"SPROP", Some(b"x=,y==")),]
        );
        assert_eq!(fmtp.payload_type(), Some(96));
        assert_eq!(fmtp.parameter("sprop"), Some(&b"x=,y=="[..]));
        assert_eq!((fmtp.parameter("flag"), fmtp.parameter("c")), (Some(&b""[..]), None));
        assert_eq!(Fmtp::parse(b"96").map(|fmtp| fmtp.parameters().count()), Ok(0));
        assert_eq!(Fmtp::parse(b"red 0/5").map(|fmtp| fmtp.payload_type()), Ok(None));
        assert_eq!(refusal::<Fmtp<'_>>(""), (0, "a format, such as a payload type"));
        assert_eq!(refusal::<Fmtp<'_>>("96;a=1"), (2, "a space"));
        assert_eq!(refusal::<Fmtp<'_>>("96 a=1\0"), (6, "the end of the value"));
    }

    #[test]
    fn an_extmap_is_parsed_or_refused_at_an_offset() {
        let extmap = Extmap::parse(b"4096/sendonly urn:ietf:params:rtp-hdrext:encrypt urn:x:y 25").unwrap();
        assert_eq!((extmap.id, extmap.direction), (4096, Some(Direction::SendOnly)));
        assert_eq!(extmap.attributes, Some(&b"urn:x:y 25"[..]));
        for (value, at, expected) in [
            ("", 0, EXTMAP_ID),
            ("0 urn:x", 0, EXTMAP_ID),
            ("65536 urn:x", 0, EXTMAP_ID),
            ("1", 1, "a space"),
            ("1/both urn:x", 2, "sendrecv, sendonly, recvonly or inactive"),
            ("1/sendrecv", 10, "a space"),
            ("1  urn:x", 2, "the URI of an extension"),
        ] {
            assert_eq!(refusal::<Extmap<'_>>(value), (at, expected), "{value}");
        }
    }
}
