//! The `m=` line: kind of media, port, protocol and formats (RFC 8866 §5.14).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, ascii, fail, is_token, known, number_u16, positive, space, token, whole};
use crate::value::Value;
use crate::work::look;
use core::fmt;

/// `m=`: kind of media, port, protocol and formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaLine<'a> {
    /// The kind of media: `audio`, `video`, `text`, `application`, `message`, `image`, or another.
    pub media: &'a str,
    /// The port. In an answer 0 refuses the media (RFC 3264 §6). With ICE 9 means that the port is not known yet.
    pub port: u16,
    /// The number of ports, if given; at least 1.
    pub ports: Option<u32>,
    /// The protocol, such as `UDP/TLS/RTP/SAVPF`.
    pub protocol: &'a str,
    /// The formats as text, separated by single spaces; see [`MediaLine::formats`].
    pub format_list: &'a str,
}

impl<'a> MediaLine<'a> {
    /// Returns the formats in order of preference: payload types for RTP.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.format_list.split(' ').inspect(|format| look(format.len() + 1))
    }
}

impl<'a> Value<'a> for MediaLine<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.14");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, media) = match media(input) {
                Some(found) => found,
                None => token(input, "a kind of media such as audio")?,
            };
            let (rest, ()) = space(rest)?;
            let (rest, port) = number_u16(rest, "a port, 0 to 65535")?;
            let (rest, ports) = match rest.strip_prefix(b"/") {
                Some(rest) => {
                    positive(rest, "a number of ports, 1 or more").map(|(rest, ports)| (rest, Some(ports)))?
                }
                None => (rest, None),
            };
            let (rest, ()) = space(rest)?;
            let (rest, protocol) = match known_protocol(rest) {
                Some(found) => found,
                None => protocol(rest)?,
            };
            let (rest, ()) = space(rest)?;
            let (rest, format_list) = formats(rest)?;
            Ok((rest, Self { media, port, ports, protocol, format_list }))
        })
    }
}

#[inline]
fn media(input: &[u8]) -> Option<(&[u8], &'static str)> {
    known!(input, b' ',
        b"audio" => "audio",
        b"video" => "video",
        b"application" => "application",
    )
}

#[inline]
fn known_protocol(input: &[u8]) -> Option<(&[u8], &'static str)> {
    known!(input, b' ',
        b"UDP/TLS/RTP/SAVPF" => "UDP/TLS/RTP/SAVPF",
        b"UDP/DTLS/SCTP" => "UDP/DTLS/SCTP",
        b"RTP/AVP" => "RTP/AVP",
        b"RTP/SAVP" => "RTP/SAVP",
        b"RTP/AVPF" => "RTP/AVPF",
        b"RTP/SAVPF" => "RTP/SAVPF",
    )
}

/// Tokens separated by single slashes.
fn protocol(input: &[u8]) -> Parsed<'_, &str> {
    const EXPECTED: &str = "a protocol such as RTP/AVP";
    let (rest, text) = ascii(input, |byte| is_token(byte) || byte == b'/', EXPECTED)?;
    look(text.len());
    let mut before = b'/';
    let is_broken = text.bytes().any(|byte| core::mem::replace(&mut before, byte) == b'/' && byte == b'/');
    if is_broken || before == b'/' { fail(input, EXPECTED) } else { Ok((rest, text)) }
}

/// Tokens separated by single spaces.
fn formats(input: &[u8]) -> Parsed<'_, &str> {
    let (mut is_start, mut length) = (true, 0);
    for byte in input {
        is_start = match *byte {
            byte if is_token(byte) => false,
            b' ' if !is_start => true,
            _ => break,
        };
        length += 1;
    }
    look(length + 1);
    match input.split_at_checked(length) {
        Some((list @ [_, ..], rest)) if !is_start => match core::str::from_utf8(list) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;
    use alloc::vec::Vec;

    #[test]
    fn a_media_line_has_a_port_a_protocol_and_formats() {
        let media = MediaLine::parse(b"video 49170/2 UDP/TLS/RTP/SAVPF 96 t140").unwrap();
        assert_eq!(
            (media.media, media.port, media.ports, media.protocol),
            ("video", 49_170, Some(2), "UDP/TLS/RTP/SAVPF")
        );
        assert_eq!(media.formats().collect::<Vec<_>>(), ["96", "t140"]);
    }

    #[test]
    fn an_invalid_media_line_is_refused_at_its_offset() {
        for (bad, at, expected) in [
            (&b""[..], 0, "a kind of media such as audio"),
            (b"audio 65536 RTP/AVP 0", 6, "a port, 0 to 65535"),
            (b"audio 9/0 RTP/AVP 0", 8, "a number of ports, 1 or more"),
            (b"audio 9 /AVP 0", 8, "a protocol such as RTP/AVP"),
            (b"audio 9 RTP//AVP 0", 8, "a protocol such as RTP/AVP"),
            (b"audio 9 RTP/ 0", 8, "a protocol such as RTP/AVP"),
            (b"audio 9 RTP/AVP", 15, "a space"),
            (b"audio 9 RTP/AVP ", 16, "a format, such as a payload type"),
            (b"audio 9 RTP/AVP 0 ", 18, "a format, such as a payload type"),
            (b"audio 9 RTP/AVP 0  8", 18, "a format, such as a payload type"),
            (b"audio 9 RTP/AVP 0 8/1", 19, "the end of the value"),
        ] {
            refused::<MediaLine<'_>>(bad, at, expected);
        }
    }
}
