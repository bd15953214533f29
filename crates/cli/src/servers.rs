//! The list of servers: those of the command line, otherwise those of `PORTOLAN_SERVERS`, otherwise the built-in list
//! (`data/servers.txt`).
//!
//! A server is `HOST`, `HOST:PORT`, `[IPv6]:PORT` or a bare IPv6 address, with or without the `stun:` of an RFC 7064
//! URI before it. The default port is 3478 (RFC 8489 §8.1).

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use portolan_stun::uri::Scheme;

/// The port of STUN over UDP and TCP (RFC 8489 §8.1).
pub(crate) const STUN_PORT: u16 = 3478;

/// The variable that replaces the built-in list.
pub(crate) const VARIABLE: &str = "PORTOLAN_SERVERS";

const BUILT_IN: &str = include_str!("../data/servers.txt");

/// A server as the user writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerName {
    /// The name or address.
    pub(crate) host: Host,
    /// The port.
    pub(crate) port: u16,
}

/// A name that must be resolved, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// A name.
    Name(Box<str>),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(ip) => SocketAddr::new(*ip, self.port).fmt(f),
        }
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        match split_scheme(text)? {
            (Some(Scheme::Turn | Scheme::Turns), _) => Err(ServerNameError::Relay),
            (Some(Scheme::Stuns), _) => Err(ServerNameError::Secure),
            (Some(Scheme::Stun) | None, server) => Self::read(server, STUN_PORT),
        }
    }
}

impl ServerName {
    /// Parses a server; `default` is its port if the text has none.
    pub(crate) fn read(text: &str, default: u16) -> Result<Self, ServerNameError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: Host::Address(ip), port: default });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (ip, port) = rest.split_once(']').ok_or(ServerNameError::Bracket)?;
            let ip = ip.parse::<Ipv6Addr>().map_err(|_| ServerNameError::Bracket)?;
            let port = match port.strip_prefix(':') {
                Some(port) => read_port(port)?,
                None if port.is_empty() => default,
                None => return Err(ServerNameError::Bracket),
            };
            return Ok(Self { host: Host::Address(ip.into()), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(ServerNameError::Colons),
            Some((host, port)) => (host, read_port(port)?),
            None => (text, default),
        };
        Ok(Self { host: read_host(host)?, port })
    }
}

/// Splits the scheme of a URI (RFC 7064, RFC 7065) from the server.
pub(crate) fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), ServerNameError> {
    if text.contains('/') {
        return Err(ServerNameError::Slash);
    }
    if text.contains('?') {
        return Err(ServerNameError::Query);
    }
    let Some((scheme, server)) = text.split_once(':') else { return Ok((None, text)) };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "stun" => Scheme::Stun,
        "stuns" => Scheme::Stuns,
        "turn" => Scheme::Turn,
        "turns" => Scheme::Turns,
        _ => return Ok((None, text)),
    };
    // A host can have the name of a scheme: `stun:3478`.
    if server.parse::<u16>().is_ok() {
        return Ok((None, text));
    }
    // The port of a URI may be empty after the colon (RFC 3986 §3.2.3).
    let is_address = server.parse::<IpAddr>().is_ok();
    Ok((Some(scheme), server.strip_suffix(':').filter(|_| !is_address).unwrap_or(server)))
}

fn read_port(text: &str) -> Result<u16, ServerNameError> {
    text.parse().ok().filter(|port| *port != 0).ok_or(ServerNameError::Port)
}

fn read_host(text: &str) -> Result<Host, ServerNameError> {
    if text.is_empty() {
        return Err(ServerNameError::Empty);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Host::Address(ip));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if let Some((at, found)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
        return Err(ServerNameError::Character { at: at + 1, found });
    }
    // RFC 1035 §2.3.4: a name has at most 255 octets on the wire, 253 as text.
    if text.len() > 253 {
        return Err(ServerNameError::Long);
    }
    // A dotted quad with a number above 255 is not a name, and is not sent to a resolver.
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(ServerNameError::Address);
    }
    Ok(Host::Name(text.into()))
}

/// Why a text is not a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServerNameError {
    #[error("the host is missing: write HOST, HOST:PORT or [IPv6]:PORT")]
    Empty,
    #[error("a URL with slashes names no STUN server: write HOST, HOST:PORT or stun:HOST:PORT (RFC 7064)")]
    Slash,
    #[error(
        "a STUN server has no query such as ?transport=udp (RFC 7064 §3.1): leave out the question mark and the rest"
    )]
    Query,
    #[error("the URI names a TURN relay; give a STUN server, as stun:HOST or HOST")]
    Relay,
    #[error("a stuns: URI needs TLS, which only `portolan stun` supports; write HOST[:PORT]")]
    Secure,
    #[error("the port must be a number from 1 to 65535")]
    Port,
    #[error("inside [ ] stands one IPv6 address, and after it nothing or :PORT")]
    Bracket,
    #[error("not an IPv6 address; with a port it is written [IPv6]:PORT")]
    Colons,
    #[error("character {at}, {found:?}, cannot be part of a host name (other scripts are written as xn--…)")]
    Character { at: usize, found: char },
    #[error("a host name has at most 253 characters")]
    Long,
    #[error("not an IPv4 address: it has four numbers from 0 to 255")]
    Address,
}

/// A list of servers that could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}, entry {entry} ({text:?}): {why}")]
pub(crate) struct ListError {
    entry: usize,
    text: Box<str>,
    why: ServerNameError,
}

/// Where the list of servers came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The user gave the servers, on the command line or in `PORTOLAN_SERVERS`.
    User,
    /// The servers are built in.
    BuiltIn,
}

/// Returns the servers to query, in order, and their origin. The list is empty if `PORTOLAN_SERVERS` is set but empty.
pub(crate) fn choose(named: &[ServerName], variable: Option<&str>) -> Result<(Vec<ServerName>, Origin), ListError> {
    if !named.is_empty() {
        return Ok((named.to_vec(), Origin::User));
    }
    match variable {
        Some(list) => read_list(list).map(|servers| (servers, Origin::User)),
        None => Ok((built_in(), Origin::BuiltIn)),
    }
}

/// Parses servers separated by commas or white space.
fn read_list(text: &str) -> Result<Vec<ServerName>, ListError> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .zip(1..)
        .map(|(text, entry)| text.parse().map_err(|why| ListError { entry, text: text.into(), why }))
        .collect()
}

fn built_in() -> Vec<ServerName> {
    lines().filter_map(|line| line.parse().ok()).collect()
}

fn lines() -> impl Iterator<Item = &'static str> {
    BUILT_IN.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, ServerNameError> {
        text.parse::<ServerName>().map(|server| server.to_string())
    }

    #[test]
    fn each_form_of_a_server_is_parsed() {
        for (text, meaning) in [
            ("stun.example.org", "stun.example.org:3478"),
            ("stun.example.org:19302", "stun.example.org:19302"),
            ("stun:stun.example.org:19302", "stun.example.org:19302"),
            ("STUN:stun.example.org", "stun.example.org:3478"),
            ("stun:stun.example.org:", "stun.example.org:3478"),
            ("stun:2001:db8::", "[2001:db8::]:3478"),
            ("stun:3479", "stun:3479"),
            ("turn:3479", "turn:3479"),
            ("192.0.2.1", "192.0.2.1:3478"),
            ("192.0.2.1:5", "192.0.2.1:5"),
            ("2001:db8::1", "[2001:db8::1]:3478"),
            ("[2001:db8::1]", "[2001:db8::1]:3478"),
            ("[2001:db8::1]:53", "[2001:db8::1]:53"),
            ("localhost", "localhost:3478"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(meaning), "{text}");
        }
    }

    #[test]
    fn an_invalid_server_is_refused_with_the_reason() {
        for (text, why) in [
            ("", ServerNameError::Empty),
            (":3478", ServerNameError::Empty),
            ("host:", ServerNameError::Port),
            ("host:0", ServerNameError::Port),
            ("host:65536", ServerNameError::Port),
            ("host:stun", ServerNameError::Port),
            ("[2001:db8::1", ServerNameError::Bracket),
            ("[192.0.2.1]:3478", ServerNameError::Bracket),
            ("[2001:db8::1]x", ServerNameError::Bracket),
            ("2001:db8::1:2:3:4:5:6:7", ServerNameError::Colons),
            ("http://stun.example.org", ServerNameError::Slash),
            ("https://192.0.2.1:3478/", ServerNameError::Slash),
            ("stun://stun.example.org", ServerNameError::Slash),
            ("stun.example.org:3478/path", ServerNameError::Slash),
            ("stun:192.0.2.1?transport=udp", ServerNameError::Query),
            ("stun:stun.example.org:3478?transport=tcp", ServerNameError::Query),
            ("stun.example.org?transport=udp", ServerNameError::Query),
            ("turn:192.0.2.1", ServerNameError::Relay),
            ("TURNS:turn.example.org:5349", ServerNameError::Relay),
            ("stuns:stun.example.org", ServerNameError::Secure),
            ("stun:", ServerNameError::Empty),
            ("a b", ServerNameError::Character { at: 2, found: ' ' }),
            ("192.0.2.256", ServerNameError::Address),
        ] {
            assert_eq!(read(text), Err(why), "{text:?}");
        }
        assert_eq!(read(&"a".repeat(254)), Err(ServerNameError::Long));
    }

    #[test]
    fn the_default_list_is_valid_and_has_no_duplicates() {
        let servers = built_in();
        assert_eq!(servers.len(), lines().count(), "a line of data/servers.txt does not parse");
        assert!((6..=8).contains(&servers.len()));
        for (place, server) in servers.iter().enumerate() {
            assert!(!servers[..place].contains(server), "{server} stands there twice");
        }
    }

    #[test]
    fn the_variable_replaces_the_list_and_an_empty_variable_means_no_servers() {
        let named = ["192.0.2.9".parse().unwrap()];
        assert_eq!(choose(&[], Some("")), Ok((vec![], Origin::User)));
        assert_eq!(choose(&[], Some(" ,\n")), Ok((vec![], Origin::User)));
        assert_eq!(choose(&named, Some("192.0.2.1")), Ok((named.to_vec(), Origin::User)));
        let (two, _) = choose(&[], Some("192.0.2.1, stun.example.org:5\n")).unwrap();
        assert_eq!(two.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1:3478", "stun.example.org:5"]);
        let error = choose(&[], Some("192.0.2.1 host:99999")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "PORTOLAN_SERVERS, entry 2 (\"host:99999\"): the port must be a number from 1 to 65535"
        );
        assert!(matches!(choose(&[], None), Ok((list, Origin::BuiltIn)) if !list.is_empty()));
    }
}
