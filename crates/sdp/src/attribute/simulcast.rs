//! Simulcast: several encodings of one source, their names and restrictions (RFC 8851), and the direction of each (RFC
//! 8853).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{Rid, Simulcast};
//!
//! let high = Rid::parse(b"hi send pt=97,98;max-width=1280;max-fps=30")?;
//! assert_eq!(high.payload_types().collect::<Vec<_>>(), [97, 98]);
//! assert_eq!(high.restriction("max-fps"), Some("30"));
//!
//! let simulcast = Simulcast::parse(b"send hi,~mid;lo")?;
//! let streams = simulcast.send.ok_or("it sends")?;
//! let first: Vec<_> = streams.iter().flat_map(|alternatives| alternatives.iter()).collect();
//! assert_eq!((first[1].rid, first[1].is_paused), ("mid", true));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, ascii, fail, payload_type, refuse, space, taken, whole_but_spaces};
use crate::value::{AttributeValue, Value};
use crate::work::look;
use core::fmt;

/// `a=rid`: the name of an encoding, its direction and its restrictions (RFC 8851 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rid<'a> {
    /// The name: letters, digits, `-` and `_`.
    pub id: &'a str,
    /// The direction.
    pub direction: RidDirection,
    /// The formats and restrictions as text; may be empty.
    text: &'a str,
}

/// The direction of an encoding, from the view of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RidDirection {
    /// It is sent.
    Send,
    /// It is received.
    Recv,
}

impl<'a> Rid<'a> {
    /// Returns the payload types that the encoding may use, in order; none if all are allowed.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        let formats = parts(self.text).next().and_then(|part| part.strip_prefix("pt=")).unwrap_or_default();
        formats
            .split(',')
            .inspect(|format| look(format.len() + 1))
            .filter_map(|format| format.trim_matches(' ').parse().ok())
    }

    /// Returns the restrictions in order, each with its value, if it has one.
    pub fn restrictions(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let skipped = usize::from(self.text.starts_with("pt="));
        parts(self.text).skip(skipped).map(|part| match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        })
    }

    /// Returns the value of the first restriction with a name, such as `max-width`; empty for a restriction without a
    /// value.
    #[must_use]
    pub fn restriction(&self, name: &str) -> Option<&'a str> {
        self.restrictions().find(|(known, _)| *known == name).map(|(_, value)| value.unwrap_or_default())
    }
}

/// Returns the texts between the semicolons, without the leading spaces that some endpoints write.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(';')
        .inspect(|part| look(part.len() + 1))
        .map(|part| part.trim_start_matches(' '))
        .filter(|part| !part.is_empty())
}

impl<'a> Value<'a> for Rid<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8851", "10");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let (rest, id) = rid(input)?;
            let (direction_at, ()) = space(rest)?;
            let (rest, direction) = match ascii(direction_at, |byte| byte.is_ascii_alphabetic(), SEND_OR_RECV)? {
                (rest, "send") => (rest, RidDirection::Send),
                (rest, "recv") => (rest, RidDirection::Recv),
                _ => return fail(direction_at, SEND_OR_RECV),
            };
            if rest.is_empty() {
                return Ok((rest, Self { id, direction, text: "" }));
            }
            let (text_at, ()) = space(rest)?;
            let (rest, text) = restrictions(text_at)?;
            Ok((rest, Self { id, direction, text }))
        })
    }
}

const SEND_OR_RECV: &str = "send or recv";

/// The name of an encoding.
fn rid(input: &[u8]) -> Parsed<'_, &str> {
    let accepts = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    ascii(input, accepts, "the name of an encoding: letters, digits, - and _")
}

/// Optional formats, then restrictions; returns the whole text.
fn restrictions(input: &[u8]) -> Parsed<'_, &str> {
    let (mut rest, ()) = match input.strip_prefix(b"pt=") {
        Some(formats_at) => formats(formats_at)?,
        None => restriction(input)?,
    };
    while let [b';', after @ ..] = rest {
        (rest, ()) = restriction(skip_spaces(after))?;
    }
    taken(input, rest)
}

/// Payload types, separated by commas.
fn formats(input: &[u8]) -> Parsed<'_, ()> {
    let (mut rest, _) = payload_type(input)?;
    while let [b',', after @ ..] = rest {
        (rest, _) = payload_type(skip_spaces(after))?;
    }
    Ok((rest, ()))
}

/// A name, usually with a value.
fn restriction(input: &[u8]) -> Parsed<'_, ()> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let (rest, name) = ascii(input, is_name, "a restriction such as max-width")?;
    let [b'=', value_at @ ..] = rest else { return Ok((rest, ())) };
    let is_value = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b';';
    let length = value_at.iter().position(|byte| !is_value(byte)).unwrap_or(value_at.len());
    look(length + 1);
    let (value, rest) = value_at.split_at_checked(length).unwrap_or_default();
    let bad = match name {
        "max-width" | "max-height" | "max-fps" | "max-fs" | "max-br" | "max-pps" => {
            first_not(value, |byte| byte.is_ascii_digit())
        }
        "max-bpp" => first_not(value, |byte| byte.is_ascii_digit() || byte == b'.'),
        _ => None,
    };
    match bad {
        Some(at) => refuse(value_at.get(at..).unwrap_or_default(), "a number"),
        None => Ok((rest, ())),
    }
}

/// Locates the error in a number; an empty number fails at its start.
fn first_not(value: &[u8], accepts: impl Fn(u8) -> bool) -> Option<usize> {
    if value.is_empty() { Some(0) } else { value.iter().position(|byte| !accepts(*byte)) }
}

/// The grammars of this file have no space here, but some endpoints write one.
fn skip_spaces(mut input: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = input {
        look(1);
        input = rest;
    }
    input
}

impl<'a> AttributeValue<'a> for Rid<'a> {
    const NAME: &'static str = "rid";
}

impl fmt::Display for RidDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::Recv => "recv",
        })
    }
}

impl fmt::Display for Rid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.direction)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

/// `a=simulcast`: the encodings that an endpoint sends and receives (RFC 8853 §5.1); at least one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Simulcast<'a> {
    /// The streams that the writer sends.
    pub send: Option<Streams<'a>>,
    /// The streams that the writer is ready to receive.
    pub recv: Option<Streams<'a>>,
}

/// The streams of one direction, at least one, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Streams<'a> {
    text: &'a str,
}

/// The alternative encodings of a stream, one of which is used at a time, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alternatives<'a> {
    text: &'a str,
}

/// One encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SimulcastId<'a> {
    /// The name of a [`Rid`].
    pub rid: &'a str,
    /// Whether the encoding is paused (`~`).
    pub is_paused: bool,
}

impl<'a> Streams<'a> {
    /// Returns the streams in order.
    pub fn iter(&self) -> impl Iterator<Item = Alternatives<'a>> + use<'a> {
        self.text.split(';').inspect(|text| look(text.len() + 1)).map(|text| Alternatives { text })
    }
}

impl<'a> Alternatives<'a> {
    /// Returns the encodings in order.
    pub fn iter(&self) -> impl Iterator<Item = SimulcastId<'a>> + use<'a> {
        self.text.split(',').inspect(|text| look(text.len() + 1)).map(|text| match text.strip_prefix('~') {
            Some(rid) => SimulcastId { rid, is_paused: true },
            None => SimulcastId { rid: text, is_paused: false },
        })
    }
}

impl<'a> Value<'a> for Simulcast<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8853", "5.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let (mut send, mut recv) = (None, None);
            let mut rest = skip_spaces(input);
            loop {
                let (slot, streams_at) = match rest {
                    [b's', b'e', b'n', b'd', b' ', after @ ..] if send.is_none() => (&mut send, after),
                    [b'r', b'e', b'c', b'v', b' ', after @ ..] if recv.is_none() => (&mut recv, after),
                    _ => return fail(rest, "send or recv, each once, and a stream"),
                };
                let (after, streams) = streams(streams_at)?;
                *slot = Some(streams);
                match after {
                    [b' ', more @ ..] => rest = more,
                    _ => return Ok((after, Self { send, recv })),
                }
            }
        })
    }
}

/// Streams, separated by semicolons; the alternatives of a stream are separated by commas.
fn streams(input: &[u8]) -> Parsed<'_, Streams<'_>> {
    // A draft of the RFC, which browsers have implemented, has `rid=` in front.
    let input = input.strip_prefix(b"rid=").unwrap_or(input);
    let mut rest = input;
    loop {
        (rest, _) = rid(rest.strip_prefix(b"~").unwrap_or(rest))?;
        match rest {
            [b';' | b',', after @ ..] => rest = after,
            _ => return taken(input, rest).map(|(rest, text)| (rest, Streams { text })),
        }
    }
}

impl<'a> AttributeValue<'a> for Simulcast<'a> {
    const NAME: &'static str = "simulcast";
}

impl fmt::Display for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Display for Simulcast<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.send.iter().try_for_each(|streams| write!(f, "send {streams}"))?;
        if let (Some(_), Some(_)) = (self.send, self.recv) {
            f.write_str(" ")?;
        }
        self.recv.iter().try_for_each(|streams| write!(f, "recv {streams}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    #[test]
    fn a_rid_has_payload_types_and_restrictions() {
        let rid = Rid::parse(b"110 send pt=9, 10;max-fs=10;UNKNOWN=100; depend=1, 2;flag").unwrap();
        assert_eq!(rid.payload_types().collect::<alloc::vec::Vec<_>>(), [9, 10]);
        let names: alloc::vec::Vec<_> = rid.restrictions().map(|(name, _)| name).collect();
        assert_eq!(names, ["max-fs", "UNKNOWN", "depend", "flag"]);
        assert_eq!((rid.restriction("depend"), rid.restriction("flag")), (Some("1, 2"), Some("")));
        let plain = Rid::parse(b"lo recv").unwrap();
        assert_eq!((plain.direction, plain.payload_types().count()), (RidDirection::Recv, 0));
        assert_eq!(Rid::parse(b"a send ssrc=5").map(|rid| rid.restriction("ssrc")), Ok(Some("5")));
        for (value, at, expected) in [
            ("", 0, "the name of an encoding: letters, digits, - and _"),
            ("a", 1, "a space"),
            ("a both", 2, SEND_OR_RECV),
            ("a sendrecv", 2, SEND_OR_RECV),
            ("a send pt=", 10, "a payload type, 0 to 127"),
            ("a send pt=9,", 12, "a payload type, 0 to 127"),
            ("a send max-width=", 17, "a number"),
            ("a send max-width=1;max-fps=3x", 28, "a number"),
            ("a send max-width=1;", 19, "a restriction such as max-width"),
        ] {
            assert_eq!(refusal::<Rid<'_>>(value), (at, expected), "{value}");
        }
    }

    #[test]
    fn simulcast_streams_have_alternatives() {
        let simulcast = Simulcast::parse(b"recv c send 1,~4;2").unwrap();
        assert_eq!(alloc::format!("{simulcast}"), "send 1,~4;2 recv c");
        let send: alloc::vec::Vec<alloc::vec::Vec<_>> = simulcast
            .send
            .unwrap()
            .iter()
            .map(|alternatives| alternatives.iter().map(|id| (id.rid, id.is_paused)).collect())
            .collect();
        assert_eq!(send, [alloc::vec![("1", false), ("4", true)], alloc::vec![("2", false)]]);
        assert_eq!(Simulcast::parse(b" send rid=foo;bar"), Simulcast::parse(b"send foo;bar"));
        const DIRECTION: &str = "send or recv, each once, and a stream";
        const RID: &str = "the name of an encoding: letters, digits, - and _";
        for (value, at, expected) in [
            ("", 0, DIRECTION),
            ("send", 0, DIRECTION),
            ("send 1 send 2", 7, DIRECTION),
            ("send 1 recv 2 send 3", 14, DIRECTION),
            ("send 1;", 7, RID),
            ("send ~", 6, RID),
            ("send 1,,2", 7, RID),
            ("send foo=8;10", 8, "the end of the value"),
        ] {
            assert_eq!(refusal::<Simulcast<'_>>(value), (at, expected), "{value}");
        }
    }
}
