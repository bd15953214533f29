//! ICE candidates: the `a=candidate` attribute (RFC 8839 §5.1) with the TCP types of RFC 6544 §4.5.
//!
//! Rules of this file: attributes, trickled candidates and the candidates of an agent share one grammar. The parser
//! accepts the deviations of deployed endpoints from the RFC, and each [`Deviation`] has a name.
//! [`Candidate::strict`] rejects the first deviation. The parser resolves no name and drops no candidate: an agent
//! can see which candidates it must ignore (RFC 8839 §5.1: names and unknown address families). Parsing allocates
//! nothing.
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
use crate::grammar::{
    Fault, Parsed, fail, ipv4, ipv6_groups, number, number_u16, refuse, space, to_ipv6, token, value_error,
};
use crate::value::{AttributeValue, Value};
use crate::work::look;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::{self, FromStr};
use nom::Err;

/// A candidate: a transport address that a peer may try (RFC 8839 §5.1).
///
/// A parsed candidate borrows its texts (`&str`) and is `Copy`. A candidate that an agent stores owns them (`String`,
/// [`CandidateAttribute`]). `Display` writes the text after `a=candidate:`, with `UDP` and `TCP` in upper case and
/// `tcptype` before other extensions. The fields are public and can hold any text. [`CandidateAttribute::checked`]
/// tests whether the written candidate can be parsed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate<S: AsRef<str>> {
    /// The foundation: equal for candidates of the same type, base and server. 1 to 32 letters, digits, `+` or `/`.
    pub foundation: S,
    /// The component of the data stream, 1 to 256: RTP is 1, RTCP 2.
    pub component: u16,
    /// The transport protocol.
    pub transport: Transport<S>,
    /// The priority, 1 to 2³¹ − 1; higher priorities are tried first (RFC 8445 §5.1.2).
    pub priority: u32,
    /// The address.
    pub address: ConnectionAddress<S>,
    /// The port; 9 for an active TCP candidate (RFC 6544 §4.5).
    pub port: u16,
    /// The type of the candidate (`typ`).
    pub candidate_type: CandidateType<S>,
    /// The base, or the mapped address of a relayed candidate (`raddr` and `rport`). `0.0.0.0` or `::` with port 9
    /// hides the address. `None` for host candidates.
    pub related: Option<(ConnectionAddress<S>, u16)>,
    /// For TCP: which endpoint opens the connection.
    pub tcp_type: Option<TcpType>,
    /// All other names and values, in order.
    pub extensions: Extensions<S>,
}

/// A candidate that owns its texts, for agents that store, build and write candidates.
pub type CandidateAttribute = Candidate<String>;

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport<S> {
    /// UDP (RFC 8839 §5.1).
    Udp,
    /// TCP (RFC 6544 §4.5).
    Tcp,
    /// Another protocol, such as `ssltcp`: a token.
    Other(S),
}

/// The type of a candidate (RFC 8445 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateType<S> {
    /// `host`: an address of the host.
    Host,
    /// `srflx`: server reflexive, the source address of the host's packets at a server.
    ServerReflexive,
    /// `prflx`: peer reflexive, the source address of the host's packets at a peer.
    PeerReflexive,
    /// `relay`: an address of a relay.
    Relayed,
    /// Another type: a token.
    Other(S),
}

/// The address of a candidate (RFC 4566 §9, `connection-address`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionAddress<S> {
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// A domain name, such as an mDNS name that ends with `.local`. A related address may also be an invalid IPv4
    /// address. An agent ignores a candidate whose name it cannot or does not resolve (RFC 8839 §5.1).
    Name(S),
    /// An IPv6 address with a zone after `%`. A zone has no meaning on another host.
    Zoned(S),
}

/// Which endpoint opens the connection of a TCP candidate (RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// `active`: opens the connection; the port is 9.
    Active,
    /// `passive`: accepts connections.
    Passive,
    /// `so`: both endpoints open the connection at the same time.
    SimultaneousOpen,
}

/// The prefix of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// No prefix: the value alone.
    Bare,
    /// `candidate:`, as in WebRTC messages.
    Name,
    /// `a=candidate:`, a line of a description.
    Line,
}

impl Prefix {
    /// Returns the text of the prefix.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "",
            Self::Name => "candidate:",
            Self::Line => "a=candidate:",
        }
    }

    /// Returns the prefix of a text and the offset of the value.
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
    /// Parses a single candidate with `candidate:`, with `a=candidate:`, or without a prefix. One line ending (CR LF,
    /// LF or CR) at the end is accepted. Any other control character is rejected, so that two candidates are never read
    /// as one. An empty text, which some endpoints send after the last candidate, is rejected.
    ///
    /// # Errors
    /// [`ValueError`]: the text does not match the grammar. The offset counts from the start of the text.
    pub fn trickled(text: &'a [u8]) -> Result<(Prefix, Self), ValueError> {
        let (prefix, value) = Prefix::of(text);
        let line = value.strip_suffix(b"\n").unwrap_or(value);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match Self::parse(line) {
            Ok(candidate) => Ok((prefix, candidate)),
            Err(error) => Err(ValueError { at: error.at + prefix.as_str().len(), ..error }),
        }
    }

    /// Parses the value by RFC 8839 and RFC 6544, and rejects the first [`Deviation`].
    ///
    /// # Errors
    /// [`ValueError`]: the value does not match the grammar, or has a deviation.
    pub fn strict(value: &'a [u8]) -> Result<Self, ValueError> {
        let candidate = Self::parse(value)?;
        match candidate.deviations().next() {
            None => Ok(candidate),
            Some(deviation) => Err(deviation.in_value(value)),
        }
    }

    /// Returns the same candidate with owned texts.
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
    /// Returns the same candidate with borrowed texts.
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

    /// Returns the candidate, if the written text is parsed as the same candidate, without a deviation.
    ///
    /// # Errors
    /// [`ValueError`]: the error of the written text. The offset counts from the start of the value.
    pub fn checked(self) -> Result<Self, ValueError> {
        let text = alloc::format!("{self}");
        let read = Candidate::strict(text.as_bytes())?;
        if read == self.borrowed() {
            Ok(self)
        } else {
            // For example the name `192.0.2.1` is parsed as an address.
            Err(ValueError::new(text.as_bytes(), 0, "fields that are read as they were written", Candidate::CLAUSE))
        }
    }
}

/// Parses a text with the prefixes and the line ending that [`Candidate::trickled`] accepts.
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

    /// Parses a candidate with the deviations of deployed endpoints; see [`Candidate::deviations`].
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let to_error = |error| value_error(value, Self::CLAUSE, error);
        let (rest, foundation) = foundation(value).map_err(to_error)?;
        let (rest, ()) = space(rest).map_err(to_error)?;
        let (rest, component) = component(rest).map_err(to_error)?;
        let (rest, ()) = space(rest).map_err(to_error)?;
        let (rest, transport) = transport(rest).map_err(to_error)?;
        let (rest, ()) = space(rest).map_err(to_error)?;
        let (rest, priority) = priority(rest).map_err(to_error)?;
        let (rest, ()) = space(rest).map_err(to_error)?;
        let (rest, address) = address(rest, false).map_err(to_error)?;
        let (rest, ()) = space(rest).map_err(to_error)?;
        let (rest, port) = number_u16(rest, PORT).map_err(to_error)?;
        let (rest, ()) = keyword(rest, b" typ ", "typ").map_err(to_error)?;
        let (rest, candidate_type) = candidate_type(rest).map_err(to_error)?;
        let (rest, related) = related(rest).map_err(to_error)?;
        // The extensions are the rest of the value.
        let (_, (tcp_type, extensions)) = extension::parse(rest).map_err(to_error)?;
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

/// Up to 32 characters; an empty foundation is a deviation.
#[inline]
fn foundation(input: &[u8]) -> Parsed<'_, &str> {
    let length = input.iter().position(|byte| !is_ice(*byte)).unwrap_or(input.len());
    look(length + 1);
    if length > 32 {
        return fail(input.get(32..).unwrap_or_default(), "a foundation of 32 characters at most");
    }
    match input.split_at_checked(length).map(|(taken, rest)| (rest, str::from_utf8(taken))) {
        // The error is given here; otherwise the next field would report a missing space.
        Some(([byte, ..], _)) if *byte != b' ' => {
            fail(input.get(length..).unwrap_or_default(), "a foundation of letters, digits, + and /, then a space")
        }
        Some((rest, Ok(taken))) => Ok((rest, taken)),
        _ => fail(input, "a foundation"),
    }
}

/// Returns whether a byte is allowed in a foundation (RFC 8839 §5.1, `ice-char`).
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

/// One to ten digits; 0 and values above 2³¹ − 1 are deviations.
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
            // The names are case-insensitive (RFC 5234 §2.3).
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

/// Returns whether a word ends here.
#[inline]
const fn is_end(rest: &[u8]) -> bool {
    matches!(rest, [] | [b' ', ..])
}

/// A literal of the grammar, in any letter case (RFC 5234 §2.3).
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
    // From here on the text cannot be an extension: a broken related address must not be read as a name and a value.
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

/// An address up to the next space. A related address is informational, so that an invalid IPv4 address is accepted
/// there.
#[inline]
pub(crate) fn address(input: &[u8], is_related: bool) -> Parsed<'_, ConnectionAddress<&str>> {
    if let Ok((rest @ ([] | [b' ', ..]), address)) = ipv4(input, ADDRESS) {
        return Ok((rest, ConnectionAddress::Ip4(address)));
    }
    let length = input.iter().position(|byte| *byte == b' ').unwrap_or(input.len());
    // One pass finds the end, a colon, and a byte that no name contains.
    look(4 * (length + 1));
    let Some((taken, rest)) = input.split_at_checked(length) else { return fail(input, ADDRESS) };
    if let Some(address) = ipv6_groups(taken) {
        return Ok((rest, ConnectionAddress::Ip6(address)));
    }
    let Ok(text) = str::from_utf8(taken) else { return fail(input, ADDRESS) };
    // A colon means IPv6 (RFC 8839 §5.1).
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

/// Returns the address before the zone, if there is a zone.
fn zone(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = text.split_once('%')?;
    let is_zone = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_graphic());
    address.parse().ok().filter(|_| is_zone)
}

/// Returns whether a text is an IPv4 address, or looks like an invalid one.
fn looks_ipv4(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

impl<S: AsRef<str>> ConnectionAddress<S> {
    /// Returns the IP address, without its zone; `None` for a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip4(address) => Some((*address).into()),
            Self::Ip6(address) => Some((*address).into()),
            Self::Name(_) => None,
            Self::Zoned(text) => zone(text.as_ref()).map(Into::into),
        }
    }

    /// Returns whether this is an mDNS name: a name that ends with `.local`.
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
