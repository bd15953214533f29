//! The server of `portolan stun`: a host, an address, or a `stun:` or `stuns:` URI.

use crate::servers::{Host, STUN_PORT, ServerName, ServerNameError, split_scheme};
use core::str::FromStr;
use portolan_stun::uri::Scheme;

/// The port of STUN over TLS (RFC 8489 §18.5).
const TLS_PORT: u16 = 5349;

/// A server as the user writes it, or a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The server for UDP and TCP.
    pub(super) plain: ServerName,
    /// The server for TLS, which has another default port.
    pub(super) secure: ServerName,
    /// Whether the text is a `stuns:` URI.
    pub(super) is_secure: bool,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (scheme, server) = split_scheme(text)?;
        let is_secure = match scheme {
            Some(Scheme::Turn | Scheme::Turns) => return Err(ServerNameError::Relay.into()),
            Some(Scheme::Stuns) => true,
            Some(Scheme::Stun) | None => false,
        };
        let secure = ServerName::read(server, TLS_PORT)?;
        if is_secure && matches!(secure.host, Host::Address(_)) {
            return Err(TargetError::SecureAddress);
        }
        Ok(Self { plain: ServerName::read(server, STUN_PORT)?, secure, is_secure })
    }
}

/// Why a text is not a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(transparent)]
    Name(#[from] ServerNameError),
    /// RFC 8489 §8.1: a `stuns:` URI with an address is rejected, because no certificate authenticates the address.
    #[error("a stuns: URI needs a host name, not an address (RFC 8489 §8.1); for an address use: HOST --tls")]
    SecureAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String, bool), TargetError> {
        text.parse::<Target>().map(|target| (target.plain.to_string(), target.secure.to_string(), target.is_secure))
    }

    #[test]
    fn a_secure_uri_names_its_server() {
        for text in ["stuns:192.0.2.1", "stuns:[2001:db8::1]:9"] {
            assert_eq!(read(text), Err(TargetError::SecureAddress), "{text}");
        }
    }

    #[test]
    fn hosts_and_uris_have_the_port_of_their_transport() {
        for (text, plain, secure, is_secure) in [
            ("stun.example.org", "stun.example.org:3478", "stun.example.org:5349", false),
            ("stun:192.0.2.1", "192.0.2.1:3478", "192.0.2.1:5349", false),
            ("STUNS:stun.example.org", "stun.example.org:3478", "stun.example.org:5349", true),
            ("2001:db8::1", "[2001:db8::1]:3478", "[2001:db8::1]:5349", false),
        ] {
            assert_eq!(read(text), Ok((plain.to_owned(), secure.to_owned(), is_secure)), "{text}");
        }
        assert_eq!(read("stun:host:"), read("host"), "RFC 3986 §3.2.3: a port may be left out");
        assert_eq!(read("turn:192.0.2.1"), Err(TargetError::Name(ServerNameError::Relay)));
        assert_eq!(read("http://host"), Err(TargetError::Name(ServerNameError::Slash)));
        assert_eq!(read("stun:192.0.2.1?transport=udp"), Err(TargetError::Name(ServerNameError::Query)));
        assert_eq!(read("host:0"), Err(TargetError::Name(ServerNameError::Port)));
    }
}
