//! `stun:` and `turn:` URIs: the address of a server and its transport.
//!
//! Rules of this file: a URI borrows from its text. It is not a hierarchical URI: it has no `//`, no user and no
//! path. The text of `Display` parses to the same value. Names are not resolved here.
//!
//! RFC 7064 §3 (`stun`, `stuns`), RFC 7065 §3 (`turn`, `turns`), RFC 3986 §3.2.2 and §3.2.3 (host and port).
//!
//! ```
//! use portolan_stun::uri::{Host, Scheme, Transport, Uri};
//!
//! let uri = Uri::parse("turns:[2001:db8::1]?transport=tcp")?;
//! assert_eq!(uri.scheme, Scheme::Turns);
//! assert_eq!(uri.host, Host::Ipv6("2001:db8::1".parse().unwrap()));
//! assert_eq!((uri.port, uri.port_or_default()), (None, 5349));
//! assert_eq!(uri.transport, Some(Transport::Tcp));
//! assert_eq!(uri.to_string(), "turns:[2001:db8::1]?transport=tcp");
//! # Ok::<(), portolan_stun::uri::UriError>(())
//! ```

use core::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// The URI of a STUN or TURN server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The server.
    pub host: Host<'a>,
    /// The port, if the URI has one.
    pub port: Option<u16>,
    /// The transport, if the URI has one. Only TURN URIs can have one (RFC 7065 §3.1).
    pub transport: Option<Transport<'a>>,
}

/// The four schemes (RFC 7064 §3.2, RFC 7065 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// STUN over UDP or TCP.
    Stun,
    /// STUN over TLS or DTLS.
    Stuns,
    /// TURN over UDP or TCP.
    Turn,
    /// TURN over TLS or DTLS.
    Turns,
}

/// The name or address of a server (RFC 3986 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A name as in the text; percent-encoding is not decoded.
    Name(&'a str),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address, which is in brackets in the URI.
    Ipv6(Ipv6Addr),
}

/// The transport between client and TURN server (RFC 7065 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport<'a> {
    /// `udp`.
    Udp,
    /// `tcp`.
    Tcp,
    /// An extension, as in the text.
    Extension(&'a str),
}

impl<'a> Uri<'a> {
    /// Parses a whole URI. Schemes and transports in upper case are accepted (RFC 3986 §3.1, RFC 5234 §2.3).
    ///
    /// # Errors
    /// A [`UriError`] with the offset of the first part that is wrong and one of these kinds:
    ///
    /// * [`Scheme`](UriErrorKind::Scheme): the scheme is not `stun`, `stuns`, `turn` or `turns`.
    /// * [`Host`](UriErrorKind::Host): there is no name, IPv4 address, or IPv6 address in brackets.
    /// * [`Port`](UriErrorKind::Port): the port is not a number from 1 to 65535.
    /// * [`Query`](UriErrorKind::Query): the query is not `transport=` with a name, or the scheme has no query.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        use UriErrorKind as Kind;
        let wrong = |rest: &str, kind| UriError { at: text.len() - rest.len(), kind };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| wrong(text, Kind::Scheme))?;
        let scheme = Scheme::parse(scheme).ok_or_else(|| wrong(text, Kind::Scheme))?;
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        // The length of the text after the authority.
        let query_len = rest.len() - authority.len();
        let authority_error = |part: &str, kind| UriError { at: text.len() - query_len - part.len(), kind };
        let (host, after) = split_host(authority).ok_or_else(|| authority_error(authority, Kind::Host))?;
        let port = match after.strip_prefix(':') {
            // RFC 3986 §3.2.3: the digits may be missing.
            Some("") => None,
            Some(digits) => Some(parse_port(digits).ok_or_else(|| authority_error(digits, Kind::Port))?),
            None if after.is_empty() => None,
            None => return Err(authority_error(after, Kind::Host)),
        };
        let transport = match query {
            None => None,
            Some(query) => Some(parse_query(scheme, query).ok_or_else(|| wrong(query, Kind::Query))?),
        };
        Ok(Self { scheme, host, port, transport })
    }

    /// The port, or the default of the scheme: 3478 without TLS, 5349 with TLS (RFC 7064 §3.2, RFC 7065 §3.2).
    #[must_use]
    pub const fn port_or_default(&self) -> u16 {
        match (self.port, self.scheme) {
            (Some(port), _) => port,
            (None, Scheme::Stun | Scheme::Turn) => 3478,
            (None, Scheme::Stuns | Scheme::Turns) => 5349,
        }
    }
}

impl<'a> TryFrom<&'a str> for Uri<'a> {
    type Error = UriError;

    fn try_from(text: &'a str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Stun, Self::Stuns, Self::Turn, Self::Turns];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(text))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Stuns => "stuns",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    /// Whether the transport is TLS or DTLS.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Stuns | Self::Turns)
    }

    /// Whether the server is a TURN relay.
    #[must_use]
    pub const fn is_turn(self) -> bool {
        matches!(self, Self::Turn | Self::Turns)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ipv4(address) => write!(f, "{address}"),
            Self::Ipv6(address) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Transport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Extension(name) => name,
        })
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.transport {
            Some(transport) => write!(f, "?transport={transport}"),
            None => Ok(()),
        }
    }
}

/// The reason why a text is not a `stun:`, `stuns:`, `turn:` or `turns:` URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("byte {at}: {kind}")]
pub struct UriError {
    /// The offset in bytes of the invalid part.
    pub at: usize,
    /// The error in this part.
    pub kind: UriErrorKind,
}

/// The error at [`UriError::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UriErrorKind {
    /// The scheme is not `stun:`, `stuns:`, `turn:` or `turns:`.
    #[error("the scheme is stun, stuns, turn or turns (RFC 7064 §3.1, RFC 7065 §3.1)")]
    Scheme,
    /// The host is not a name, an IPv4 address or an IPv6 address in brackets.
    #[error("a host is a name, an IPv4 address or an IPv6 address in brackets (RFC 3986 §3.2.2)")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("a port is a number from 1 to 65535 (RFC 3986 §3.2.3)")]
    Port,
    /// The query is not `transport=` with a name, or a STUN URI has a query.
    #[error("only TURN URIs have a query, and it is ?transport= with a name (RFC 7065 §3.1)")]
    Query,
}

/// Returns the host and the text after it.
fn split_host(authority: &str) -> Option<(Host<'_>, &str)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        return Some((Host::Ipv6(address.parse().ok()?), after));
    }
    let end = authority.find(':').unwrap_or(authority.len());
    let (name, after) = authority.split_at_checked(end)?;
    if let Ok(address) = name.parse() {
        return Some((Host::Ipv4(address), after));
    }
    is_reg_name(name).then_some((Host::Name(name), after))
}

/// RFC 3986 §3.2.2: unreserved, sub-delims and percent-encoded bytes; at least one.
fn is_reg_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let is_valid = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
            byte => is_unreserved(byte),
        };
        if !is_valid {
            return false;
        }
    }
    !name.is_empty()
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn parse_port(digits: &str) -> Option<u16> {
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&port| port != 0)
}

fn parse_query(scheme: Scheme, query: &str) -> Option<Transport<'_>> {
    let (key, name) = query.split_once('=')?;
    if !scheme.is_turn() || !key.eq_ignore_ascii_case("transport") || name.is_empty() {
        return None;
    }
    if name.eq_ignore_ascii_case("udp") {
        Some(Transport::Udp)
    } else if name.eq_ignore_ascii_case("tcp") {
        Some(Transport::Tcp)
    } else {
        name.bytes().all(is_unreserved).then_some(Transport::Extension(name))
    }
}
