//! Values with a grammar of their own: the trait, and those of the lines of RFC 8866 other than `a=`.
//!
//! A value borrows from its text, and `Display` writes it as RFC 8866 does. Numbers are as large as they must be; what the
//! RFC leaves unbounded is kept as its digits.
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

use crate::error::{Clause, ValueError};
use crate::grammar::{
    Parsed, ascii, fail, ipv4, ipv6, is_token, number_u8, number_u16, number_u32, number_u64, refuse, space, tag,
    token, visible, whole,
};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// A value that is read from bytes and written by `Display`; reading what was written gives the same value.
pub trait Value<'a>: Sized {
    /// The section that has the grammar.
    const CLAUSE: Clause;

    /// Reads a whole value.
    ///
    /// # Errors
    /// Where it is wrong, what was expected and what stands there.
    fn parse(value: &'a [u8]) -> Result<Self, ValueError>;
}

/// The value of an attribute with a name of its own. An attribute without a value is read from no bytes.
pub trait AttributeValue<'a>: Value<'a> {
    /// The name, as after `a=`; case-sensitive.
    const NAME: &'static str;
}

/// Where a value is refused, and what should have stood there.
#[cfg(test)]
pub(crate) fn refusal<'a, T: Value<'a> + fmt::Debug>(value: &'a str) -> (usize, &'static str) {
    match T::parse(value.as_bytes()) {
        Err(error) => (error.at, error.expected),
        Ok(found) => panic!("{value:?} was read as {found:?}"),
    }
}

/// An address as `o=` and `c=` have it (RFC 8866 §9): an IP address or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address<'a> {
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// A domain name, not checked further than its letters.
    Name(&'a str),
    /// An address of another type (`extn-addr`), as its bytes.
    Other(&'a [u8]),
}

impl<'a> Address<'a> {
    /// Reads `IN IP4 192.0.2.1`: the network, the type of the address, and the address. The Internet knows two types
    /// (RFC 8866 §8.2.7), other networks have their own.
    pub(crate) fn with_types(input: &'a [u8]) -> Parsed<'a, (&'a str, &'a str, Self)> {
        let (rest, network) = token(input, "a network type such as IN")?;
        let (kind_at, ()) = space(rest)?;
        let (rest, kind) = token(kind_at, "an address type, IP4 or IP6")?;
        if network == "IN" && !matches!(kind, "IP4" | "IP6") {
            return refuse(kind_at, "an address type, IP4 or IP6");
        }
        let (rest, ()) = space(rest)?;
        let (rest, address) = Self::of_type(kind, rest)?;
        Ok((rest, (network, kind, address)))
    }

    fn of_type(kind: &str, input: &'a [u8]) -> Parsed<'a, Self> {
        match kind {
            "IP4" => match ipv4(input, "an IPv4 address") {
                Ok((rest, address)) => Ok((rest, Self::Ip4(address))),
                Err(_) => Self::name(input, "an IPv4 address or a domain name"),
            },
            "IP6" => match ipv6(input, "an IPv6 address") {
                Ok((rest, address)) => Ok((rest, Self::Ip6(address))),
                Err(_) => Self::name(input, "an IPv6 address or a domain name"),
            },
            _ => visible(input, "an address").map(|(rest, address)| (rest, Self::Other(address))),
        }
    }

    /// A name that is not an IPv4 address gone wrong.
    fn name(input: &'a [u8], expected: &'static str) -> Parsed<'a, Self> {
        let (rest, name) = ascii(input, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'), expected)?;
        if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return refuse(input, expected);
        }
        Ok((rest, Self::Name(name)))
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip4(address) => write!(f, "{address}"),
            Self::Ip6(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
            Self::Other(bytes) => write!(f, "{}", crate::line::Lossy(bytes)),
        }
    }
}

/// `v=`: the version of the protocol, which is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version;

impl<'a> Value<'a> for Version {
    const CLAUSE: Clause = Clause::new("RFC 8866", "5.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| tag(input, b"0", "version 0")).map(|()| Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0")
    }
}

/// `o=`: who made the description, and which version of it this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin<'a> {
    /// The user's login, or `-`.
    pub username: &'a [u8],
    /// The session's number: digits, as many as there are.
    pub id: &'a str,
    /// The version of this description: digits, as many as there are.
    pub version: &'a str,
    /// The network type, `IN` for the Internet.
    pub network: &'a str,
    /// The type of the address, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The machine.
    pub address: Address<'a>,
}

impl<'a> Value<'a> for Origin<'a> {
    const CLAUSE: Clause = Clause::new("RFC 8866", "5.2");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, username) = visible(input, "a user name, or -")?;
            let (rest, ()) = space(rest)?;
            let (rest, id) = ascii(rest, |byte| byte.is_ascii_digit(), "a session id in digits")?;
            let (rest, ()) = space(rest)?;
            let (rest, version) = ascii(rest, |byte| byte.is_ascii_digit(), "a session version in digits")?;
            let (rest, ()) = space(rest)?;
            let (rest, (network, address_type, address)) = Address::with_types(rest)?;
            Ok((rest, Self { username, id, version, network, address_type, address }))
        })
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, id, version, network, address_type, address } = self;
        write!(f, "{} {id} {version} {network} {address_type} {address}", crate::line::Lossy(username))
    }
}

/// `c=`: where the media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection<'a> {
    /// The network type, `IN` for the Internet.
    pub network: &'a str,
    /// The type of the address, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address, the first of them where there are several.
    pub address: Address<'a>,
    /// How far packets to an IPv4 multicast address go, 0 to 255; such an address must have it.
    pub ttl: Option<u8>,
    /// How many multicast addresses there are, this one included; none: one.
    pub count: Option<u32>,
}

impl<'a> Value<'a> for Connection<'a> {
    const CLAUSE: Clause = Clause::new("RFC 8866", "5.7");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, (network, address_type, address)) = Address::with_types(input)?;
            let (rest, ttl, count) = match address {
                Address::Ip4(ip) if ip.is_multicast() => {
                    let (rest, ()) = tag(rest, b"/", "/ and a time to live: the address is multicast")?;
                    let (rest, ttl) = number_u8(rest, "a time to live, 0 to 255")?;
                    let (rest, count) = addresses(rest)?;
                    (rest, Some(ttl), count)
                }
                Address::Ip6(ip) if ip.is_multicast() => {
                    let (rest, count) = addresses(rest)?;
                    (rest, None, count)
                }
                Address::Ip4(_) | Address::Ip6(_) | Address::Name(_) | Address::Other(_) => (rest, None, None),
            };
            Ok((rest, Self { network, address_type, address, ttl, count }))
        })
    }
}

/// `/` and how many addresses, where there is one.
fn addresses(input: &[u8]) -> Parsed<'_, Option<u32>> {
    let Some(rest) = input.strip_prefix(b"/") else { return Ok((input, None)) };
    match number_u32(rest, "a number of addresses, 1 or more")? {
        (_, 0) => refuse(rest, "a number of addresses, 1 or more"),
        (rest, count) => Ok((rest, Some(count))),
    }
}

impl fmt::Display for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, address_type, address, ttl, count } = self;
        write!(f, "{network} {address_type} {address}")?;
        ttl.iter().try_for_each(|ttl| write!(f, "/{ttl}"))?;
        count.iter().try_for_each(|count| write!(f, "/{count}"))
    }
}

/// `b=`: how much bandwidth the session or the media takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bandwidth<'a> {
    /// `CT`, `AS` (RFC 8866), `TIAS` (RFC 3890), `RS` or `RR` (RFC 3556), or another.
    pub kind: &'a str,
    /// In kilobits a second for `CT` and `AS`, in bits a second for `TIAS`, `RS` and `RR`.
    pub amount: u64,
}

impl<'a> Value<'a> for Bandwidth<'a> {
    const CLAUSE: Clause = Clause::new("RFC 8866", "5.8");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, kind) = token(input, "a kind of bandwidth such as AS")?;
            let (rest, ()) = tag(rest, b":", "a colon")?;
            let (rest, amount) = number_u64(rest, "a bandwidth in digits")?;
            Ok((rest, Self { kind, amount }))
        })
    }
}

impl fmt::Display for Bandwidth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.amount)
    }
}

/// `t=`: from when to when the session is active, in seconds since 1900-01-01T00:00Z; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timing {
    /// When it starts; 0: it is permanent.
    pub start: u64,
    /// When it stops; 0: not by itself.
    pub stop: u64,
}

impl<'a> Value<'a> for Timing {
    const CLAUSE: Clause = Clause::new("RFC 8866", "5.9");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, start) = instant(input, "a start time: 0, or at least ten digits")?;
            let (rest, ()) = space(rest)?;
            let (rest, stop) = instant(rest, "a stop time: 0, or at least ten digits")?;
            Ok((rest, Self { start, stop }))
        })
    }
}

/// A time, or 0 (RFC 8866 §9, `time`).
fn instant<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, u64> {
    match number_u64(input, expected)? {
        (rest, 0) if input.len() - rest.len() == 1 => Ok((rest, 0)),
        (rest, time) if time >= 1_000_000_000 && !input.starts_with(b"0") => Ok((rest, time)),
        _ => fail(input, expected),
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.start, self.stop)
    }
}

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
