//! What kind of media, on which port, over what, in which formats (RFC 8866 §5.14).

use crate::error::{Clause, ValueError};
use crate::grammar::{Parsed, ascii, fail, is_token, number_u16, number_u32, refuse, space, token, whole};
use crate::value::Value;
use core::fmt;

/// `m=`: what kind of media, on which port, over what, in which formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaLine<'a> {
    /// `audio`, `video`, `text`, `application`, `message`, `image`, or another.
    pub media: &'a str,
    /// The port; 0 refuses the media in an answer (RFC 3264 §6), 9 stands for none yet with ICE.
    pub port: u16,
    /// How many ports, where that is said; at least 1.
    pub ports: Option<u32>,
    /// Such as `UDP/TLS/RTP/SAVPF`.
    pub protocol: &'a str,
    /// The formats as they stand, separated by single spaces; see [`MediaLine::formats`].
    pub format_list: &'a str,
}

impl<'a> MediaLine<'a> {
    /// The formats in order of preference: payload types for RTP.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.format_list.split(' ')
    }
}

impl<'a> Value<'a> for MediaLine<'a> {
    const CLAUSE: Clause = Clause::new("RFC 8866", "5.14");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, media) = token(input, "a kind of media such as audio")?;
            let (rest, ()) = space(rest)?;
            let (rest, port) = number_u16(rest, "a port, 0 to 65535")?;
            let (rest, ports) = match rest.strip_prefix(b"/") {
                Some(rest) => match number_u32(rest, "a number of ports, 1 or more")? {
                    (_, 0) => return refuse(rest, "a number of ports, 1 or more"),
                    (rest, ports) => (rest, Some(ports)),
                },
                None => (rest, None),
            };
            let (rest, ()) = space(rest)?;
            let (rest, protocol) = protocol(rest)?;
            let (rest, ()) = space(rest)?;
            let (rest, format_list) = formats(rest)?;
            Ok((rest, Self { media, port, ports, protocol, format_list }))
        })
    }
}

/// Tokens separated by single slashes.
fn protocol(input: &[u8]) -> Parsed<'_, &str> {
    const EXPECTED: &str = "a protocol such as RTP/AVP";
    let (rest, text) = ascii(input, |byte| is_token(byte) || byte == b'/', EXPECTED)?;
    if text.split('/').any(str::is_empty) { fail(input, EXPECTED) } else { Ok((rest, text)) }
}

/// Tokens separated by single spaces.
fn formats(input: &[u8]) -> Parsed<'_, &str> {
    let mut before = b' ';
    let mut length = 0;
    for byte in input {
        match (*byte, before) {
            (b' ', b' ') => break,
            (b' ', _) => {}
            (byte, _) if is_token(byte) => {}
            _ => break,
        }
        before = *byte;
        length += 1;
    }
    match input.split_at_checked(length) {
        Some((list @ [_, ..], rest)) if before != b' ' => match core::str::from_utf8(list) {
            Ok(list) => Ok((rest, list)),
            Err(_) => fail(input, "formats"),
        },
        Some((_, rest)) => fail(rest, "a format, such as a payload type"),
        None => fail(input, "a format, such as a payload type"),
    }
}

impl fmt::Display for MediaLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { media, port, ports, protocol, format_list } = self;
        write!(f, "{media} {port}")?;
        ports.iter().try_for_each(|ports| write!(f, "/{ports}"))?;
        write!(f, " {protocol} {format_list}")
    }
}
