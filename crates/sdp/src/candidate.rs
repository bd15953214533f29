//! The grammar of ICE candidates: the `a=candidate` attribute (RFC 8839 §5.1) with the TCP types of RFC 6544 §4.5.
//!
//! Rules of this file: one grammar for attributes, for trickled candidates and for what an agent writes. What deployed
//! endpoints write against the RFC is read, and each [`Deviation`] has a name; [`Candidate::strict`] refuses at the first.
//! No name is resolved and no candidate is dropped: what an agent must ignore (RFC 8839 §5.1: names, address families that
//! it does not know) it can see. Reading allocates nothing.
//!
//! ```
//! use portolan_sdp::Candidate;
//! use portolan_sdp::candidate::{CandidateAttribute, Deviation, Prefix};
//!
//! let text = b"candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998 generation 0";
//! let (prefix, candidate) = Candidate::trickled(text)?;
//! assert_eq!((prefix, candidate.foundation, candidate.port), (Prefix::Name, "2", 45664));
//! assert_eq!(candidate.extensions.get("generation"), Some("0"));
//! assert_eq!(candidate.deviations().count(), 0);
//!
//! // A TCP candidate of an older endpoint: read, and named.
//! let (_, old) = Candidate::trickled(b"1 1 tcp 2105458943 192.0.2.3 9 typ host")?;
//! assert_eq!(old.deviations().collect::<Vec<_>>(), [Deviation::NoTcpType]);
//!
//! // One that an agent keeps and writes.
//! let owned = CandidateAttribute { component: 2, ..candidate.to_owned() };
//! assert!(owned.to_string().starts_with("2 2 UDP 1694498815 "));
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

mod deviation;
mod extension;
mod text;

#[cfg(test)]
mod tests;

pub use deviation::Deviation;
pub use extension::Extensions;

use crate::error::{Citation, ValueError};
use crate::grammar::{Fault, Parsed, fail, ipv4, ipv6_groups, number, number_u16, refuse, space, to_ipv6, token, told};
use crate::value::{AttributeValue, Value};
use crate::work::look;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::{self, FromStr};
use nom::Err;

/// A candidate: a transport address that a peer may try (RFC 8839 §5.1).
///
/// Its texts are `&str` where it was read, so that it is `Copy`, and `String` where an agent keeps it
/// ([`CandidateAttribute`]). `Display` writes what follows `a=candidate:`, with `UDP` and `TCP` in capitals and `tcptype`
/// before other extensions. The fields are open: [`CandidateAttribute::checked`] tells whether what they hold can be read
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate<S: AsRef<str>> {
    /// Equal for candidates of one type, base and server: 1 to 32 letters, digits, `+` or `/`.
    pub foundation: S,
    /// Which component of the data stream, 1 to 256: RTP is 1, RTCP 2.
    pub component: u16,
    /// Over what.
    pub transport: Transport<S>,
    /// 1 to 2³¹ − 1, higher is tried first (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Where.
    pub address: ConnectionAddress<S>,
    /// At which port; 9 for a TCP candidate that only opens connections (RFC 6544 §4.5).
    pub port: u16,
    /// How the candidate was found (`typ`).
    pub candidate_type: CandidateType<S>,
    /// The base, or the mapped address of a relayed candidate (`raddr` and `rport`); `0.0.0.0` or `::` and port 9 where it
    /// is not told. None for host candidates.
    pub related: Option<(ConnectionAddress<S>, u16)>,
    /// Who opens the connection, for TCP.
    pub tcp_type: Option<TcpType>,
    /// All other names and values, in order.
    pub extensions: Extensions<S>,
}

/// A candidate that borrows nothing, for agents that keep, build and write it.
pub type CandidateAttribute = Candidate<String>;

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport<S> {
    /// UDP (RFC 8839 §5.1).
    Udp,
    /// TCP (RFC 6544 §4.5).
    Tcp,
    /// Another, such as `ssltcp`: a token.
    Other(S),
}

/// How a candidate was found (RFC 8445 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateType<S> {
    /// `host`: an address of the host.
    Host,
    /// `srflx`: as a server saw it.
    ServerReflexive,
    /// `prflx`: as a peer saw it.
    PeerReflexive,
    /// `relay`: at a relay.
    Relayed,
    /// Another: a token.
    Other(S),
}

/// The address of a candidate (RFC 4566 §9, `connection-address`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionAddress<S> {
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// A domain name, such as one of mDNS that ends with `.local`; as a related address also what looks like an IPv4
    /// address and is none. RFC 8839 §5.1: an agent ignores a candidate whose name it cannot or does not resolve.
    Name(S),
    /// An IPv6 address with a zone after `%`, which means nothing on another host.
    Zoned(S),
}

/// Who opens the connection of a TCP candidate (RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// It opens connections; its port is 9.
    Active,
    /// It waits for connections.
    Passive,
    /// Both sides open at the same time (`so`).
    SimultaneousOpen,
}

/// What stood before a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// Nothing: the value alone.
    Bare,
    /// `candidate:`, as in the messages of WebRTC.
    Name,
    /// `a=candidate:`, a line of a description.
    Line,
}

impl Prefix {
    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "",
            Self::Name => "candidate:",
            Self::Line => "a=candidate:",
        }
    }

    /// Tells what stands before the value, and where the value begins.
    #[must_use]
    pub fn of(text: &[u8]) -> (Self, &[u8]) {
        for prefix in [Self::Name, Self::Line] {
            if let Some(value) = text.strip_prefix(prefix.as_str().as_bytes()) {
                return (prefix, value);
            }
        }
        (Self::Bare, text)
    }
}

impl<'a> Candidate<&'a str> {
    /// Reads a candidate that came alone: with `candidate:`, with `a=candidate:`, or with neither. One line ending (CR LF,
    /// LF or CR) at the end is taken as such; any other control character is refused, so that two candidates are never
    /// taken for one. An empty text, by which some tell the end of candidates, is no candidate.
    ///
    /// # Errors
    /// Where the text is wrong, counted from its start, what was expected, and what stands there.
    pub fn trickled(text: &'a [u8]) -> Result<(Prefix, Self), ValueError> {
        let (prefix, value) = Prefix::of(text);
        let line = value.strip_suffix(b"\n").unwrap_or(value);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match Self::parse(line) {
            Ok(candidate) => Ok((prefix, candidate)),
            Err(error) => Err(ValueError { at: error.at + prefix.as_str().len(), ..error }),
        }
    }

    /// Reads the value as RFC 8839 and RFC 6544 have it, and refuses at the first [`Deviation`].
    ///
    /// # Errors
    /// Where it is wrong, what was expected and what stands there.
    pub fn strict(value: &'a [u8]) -> Result<Self, ValueError> {
        let candidate = Self::parse(value)?;
        match candidate.deviations().next() {
            None => Ok(candidate),
            Some(deviation) => Err(deviation.in_value(value)),
        }
    }

    /// The same candidate, borrowing nothing.
    #[must_use]
    pub fn to_owned(&self) -> CandidateAttribute {
        Candidate {
            foundation: self.foundation.to_owned(),
            component: self.component,
            transport: self.transport.map(str::to_owned),
            priority: self.priority,
            address: self.address.map(str::to_owned),
            port: self.port,
            candidate_type: self.candidate_type.map(str::to_owned),
            related: self.related.map(|(address, port)| (address.map(str::to_owned), port)),
            tcp_type: self.tcp_type,
            extensions: self.extensions.to_owned(),
        }
    }
}

impl CandidateAttribute {
    /// The same candidate, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Candidate<&str> {
        Candidate {
            foundation: &self.foundation,
            component: self.component,
            transport: self.transport.borrowed(),
            priority: self.priority,
            address: self.address.borrowed(),
            port: self.port,
            candidate_type: self.candidate_type.borrowed(),
            related: self.related.as_ref().map(|(address, port)| (address.borrowed(), *port)),
            tcp_type: self.tcp_type,
            extensions: self.extensions.borrowed(),
        }
    }

    /// The candidate, if whoever reads what it writes reads this candidate, without a deviation.
    ///
    /// # Errors
    /// What is wrong with what it writes, counted from the start of the value.
    pub fn checked(self) -> Result<Self, ValueError> {
        let text = alloc::format!("{self}");
        let read = Candidate::strict(text.as_bytes())?;
        if read == self.borrowed() {
            Ok(self)
        } else {
            // Such as a name of `192.0.2.1`, which is an address.
            Err(ValueError::new(text.as_bytes(), 0, "fields that are read as they were written", Candidate::CLAUSE))
        }
    }
}

/// Takes the prefixes and the line ending that [`Candidate::trickled`] takes.
impl FromStr for CandidateAttribute {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Candidate::trickled(text.as_bytes()).map(|(_, candidate)| candidate.to_owned())
    }
}

impl<'a> AttributeValue<'a> for Candidate<&'a str> {
    const NAME: &'static str = "candidate";
}

impl<'a> Value<'a> for Candidate<&'a str> {
    const CLAUSE: Citation = Citation::new("RFC 8839", "5.1");

    /// Takes what deployed endpoints write; see [`Candidate::deviations`].
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let told = |error| told(value, Self::CLAUSE, error);
        let (rest, foundation) = foundation(value).map_err(told)?;
        let (rest, ()) = space(rest).map_err(told)?;
        let (rest, component) = component(rest).map_err(told)?;
        let (rest, ()) = space(rest).map_err(told)?;
        let (rest, transport) = transport(rest).map_err(told)?;
        let (rest, ()) = space(rest).map_err(told)?;
        let (rest, priority) = priority(rest).map_err(told)?;
        let (rest, ()) = space(rest).map_err(told)?;
        let (rest, address) = address(rest, false).map_err(told)?;
        let (rest, ()) = space(rest).map_err(told)?;
        let (rest, port) = number_u16(rest, PORT).map_err(told)?;
        let (rest, ()) = keyword(rest, b" typ ", "typ").map_err(told)?;
        let (rest, candidate_type) = candidate_type(rest).map_err(told)?;
        let (rest, related) = related(rest).map_err(told)?;
        // They run to the end of the value.
        let (_, (tcp_type, extensions)) = extension::parse(rest).map_err(told)?;
        Ok(Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            candidate_type,
            related,
            tcp_type,
            extensions,
        })
    }
}

/// Up to 32 characters; none is a deviation.
#[inline]
fn foundation(input: &[u8]) -> Parsed<'_, &str> {
    let length = input.iter().position(|byte| !is_ice(*byte)).unwrap_or(input.len());
    look(length + 1);
    if length > 32 {
        return fail(input.get(32..).unwrap_or_default(), "a foundation of 32 characters at most");
    }
    match input.split_at_checked(length).map(|(taken, rest)| (rest, str::from_utf8(taken))) {
        // What follows is told here, so that nobody looks for a missing space.
        Some(([byte, ..], _)) if *byte != b' ' => {
            fail(input.get(length..).unwrap_or_default(), "a foundation of letters, digits, + and /, then a space")
        }
        Some((rest, Ok(taken))) => Ok((rest, taken)),
        _ => fail(input, "a foundation"),
    }
}

/// Whether a byte may stand in a foundation (RFC 8839 §5.1, `ice-char`).
pub(crate) const fn is_ice(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// One to three digits; 0 is a deviation.
#[inline]
pub(crate) fn component(input: &[u8]) -> Parsed<'_, u16> {
    const EXPECTED: &str = "a component, 1 to 256";
    let (rest, value) = number(input, 256, EXPECTED)?;
    match u16::try_from(value) {
        Ok(value) if input.len() - rest.len() <= 3 => Ok((rest, value)),
        _ => fail(input, EXPECTED),
    }
}

/// One to ten digits; 0 and what is above 2³¹ − 1 are deviations.
#[inline]
fn priority(input: &[u8]) -> Parsed<'_, u32> {
    const EXPECTED: &str = "a priority, 1 to 2147483647";
    let (rest, value) = number(input, u64::from(u32::MAX), EXPECTED)?;
    match u32::try_from(value) {
        Ok(value) if input.len() - rest.len() <= 10 => Ok((rest, value)),
        _ => fail(input, EXPECTED),
    }
}

#[inline]
fn transport(input: &[u8]) -> Parsed<'_, Transport<&str>> {
    const EXPECTED: &str = "a transport protocol such as UDP";
    match input {
        [b'u', b'd', b'p', rest @ ..] | [b'U', b'D', b'P', rest @ ..] if is_end(rest) => Ok((rest, Transport::Udp)),
        [b't', b'c', b'p', rest @ ..] | [b'T', b'C', b'P', rest @ ..] if is_end(rest) => Ok((rest, Transport::Tcp)),
        _ => token(input, EXPECTED).map(|(rest, name)| {
            // RFC 5234 §2.3: the names are case-insensitive.
            let known = [("udp", Transport::Udp), ("tcp", Transport::Tcp)];
            let found = known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
            (rest, found.map_or(Transport::Other(name), |(_, known)| known))
        }),
    }
}

#[inline]
fn candidate_type(input: &[u8]) -> Parsed<'_, CandidateType<&str>> {
    const EXPECTED: &str = "a candidate type such as host";
    match input {
        [b'h', b'o', b's', b't', rest @ ..] if is_end(rest) => Ok((rest, CandidateType::Host)),
        [b's', b'r', b'f', b'l', b'x', rest @ ..] if is_end(rest) => Ok((rest, CandidateType::ServerReflexive)),
        [b'p', b'r', b'f', b'l', b'x', rest @ ..] if is_end(rest) => Ok((rest, CandidateType::PeerReflexive)),
        [b'r', b'e', b'l', b'a', b'y', rest @ ..] if is_end(rest) => Ok((rest, CandidateType::Relayed)),
        _ => token(input, EXPECTED).map(|(rest, name)| {
            let known = [
                ("host", CandidateType::Host),
                ("srflx", CandidateType::ServerReflexive),
                ("prflx", CandidateType::PeerReflexive),
                ("relay", CandidateType::Relayed),
            ];
            let found = known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
            (rest, found.map_or(CandidateType::Other(name), |(_, known)| known))
        }),
    }
}

/// Whether a word ends here.
#[inline]
const fn is_end(rest: &[u8]) -> bool {
    matches!(rest, [] | [b' ', ..])
}

/// A literal of the grammar, which may come in any case (RFC 5234 §2.3).
#[inline]
fn keyword<'a, const N: usize>(input: &'a [u8], word: &[u8; N], expected: &'static str) -> Parsed<'a, ()> {
    look(N);
    match input.split_first_chunk::<N>() {
        Some((taken, rest)) if taken == word || taken.eq_ignore_ascii_case(word) => Ok((rest, ())),
        _ if input.first() == Some(&b' ') => fail(input.get(1..).unwrap_or_default(), expected),
        _ => fail(input, "a space"),
    }
}

/// `raddr` and `rport`, both or neither.
#[inline]
fn related(input: &[u8]) -> Parsed<'_, Option<(ConnectionAddress<&str>, u16)>> {
    const RPORT: &str = "rport: a related address has a port";
    let Some((taken, rest)) = input.split_first_chunk::<6>() else { return Ok((input, None)) };
    if !(*taken == *b" raddr" || taken.eq_ignore_ascii_case(b" raddr")) || !matches!(rest, [] | [b' ', ..]) {
        return Ok((input, None));
    }
    // From here on it cannot be an extension: a broken one must not be taken for a pair of names.
    let (rest, ()) = space(rest).map_err(cut)?;
    let (rest, address) = address(rest, true).map_err(cut)?;
    let (rest, ()) = keyword(rest, b" rport ", RPORT).map_err(cut)?;
    let (rest, port) = number_u16(rest, PORT).map_err(cut)?;
    Ok((rest, Some((address, port))))
}

fn cut(error: Err<Fault<'_>>) -> Err<Fault<'_>> {
    match error {
        Err::Error(fault) => Err::Failure(fault),
        other @ (Err::Incomplete(_) | Err::Failure(_)) => other,
    }
}

/// An address up to the next space. One that is only told for diagnosis (`related`) may be an IPv4 address gone wrong.
#[inline]
pub(crate) fn address(input: &[u8], is_related: bool) -> Parsed<'_, ConnectionAddress<&str>> {
    if let Ok((rest @ ([] | [b' ', ..]), address)) = ipv4(input, ADDRESS) {
        return Ok((rest, ConnectionAddress::Ip4(address)));
    }
    let length = input.iter().position(|byte| *byte == b' ').unwrap_or(input.len());
    // To its end, as text, for a colon, and for what no name has.
    look(4 * (length + 1));
    let Some((taken, rest)) = input.split_at_checked(length) else { return fail(input, ADDRESS) };
    if let Some(address) = ipv6_groups(taken) {
        return Ok((rest, ConnectionAddress::Ip6(address)));
    }
    let Ok(text) = str::from_utf8(taken) else { return fail(input, ADDRESS) };
    // RFC 8839 §5.1: a colon tells IPv6.
    if text.contains(':') {
        if let Some(address) = to_ipv6(text) {
            return Ok((rest, ConnectionAddress::Ip6(address)));
        }
        return match zone(text) {
            Some(_) => Ok((rest, ConnectionAddress::Zoned(text))),
            None => fail(input, "an IPv6 address"),
        };
    }
    let odd = text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')));
    match odd {
        None if text.is_empty() || (looks_ipv4(text) && !is_related) => fail(input, ADDRESS),
        None => Ok((rest, ConnectionAddress::Name(text))),
        Some(at) => refuse(input.get(at..).unwrap_or_default(), ADDRESS),
    }
}

/// The address before the zone, where there is one.
fn zone(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = text.split_once('%')?;
    let is_zone = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_graphic());
    address.parse().ok().filter(|_| is_zone)
}

/// Whether a text is an IPv4 address, or one gone wrong.
fn looks_ipv4(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

impl<S: AsRef<str>> ConnectionAddress<S> {
    /// The IP address, without its zone; none for a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip4(address) => Some((*address).into()),
            Self::Ip6(address) => Some((*address).into()),
            Self::Name(_) => None,
            Self::Zoned(text) => zone(text.as_ref()).map(Into::into),
        }
    }

    /// Whether it is a name of mDNS, which ends with `.local`.
    #[must_use]
    pub fn is_mdns(&self) -> bool {
        let Self::Name(name) = self else { return false };
        let name = name.as_ref().as_bytes();
        name.len().checked_sub(6).and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(b".local"))
    }
}

impl<S> From<IpAddr> for ConnectionAddress<S> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ip4(address),
            IpAddr::V6(address) => Self::Ip6(address),
        }
    }
}

const ADDRESS: &str = "an IP address or a domain name";
const PORT: &str = "a port, 0 to 65535";
