//! The server of `portolan turn`: a host, an address, or a `turn:` or `turns:` URI (RFC 7065).

use crate::servers::{Host, STUN_PORT, ServerName, ServerNameError, split_scheme};
use core::str::FromStr;
use portolan_machine::Protocol;
use portolan_stun::uri::Scheme;

/// The port of TURN over TLS (RFC 7065 §3.2 and RFC 5928 §3).
const TLS_PORT: u16 = 5349;

/// A server as the user writes it, or a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TurnTarget {
    /// The server for UDP and TCP.
    pub(crate) plain: ServerName,
    /// The server for TLS, which has another default port.
    pub(crate) secure: ServerName,
    /// The protocol that the URI names.
    pub(crate) protocol: Option<Protocol>,
}

impl FromStr for TurnTarget {
    type Err = TurnTargetError;

    fn from_str(text: &str) -> Result<Self, TurnTargetError> {
        let (server, transport) = match text.split_once("?transport=") {
            Some((server, transport)) => (server, Some(transport)),
            None => (text, None),
        };
        let (scheme, server) = split_scheme(server)?;
        let protocol = match (scheme, transport.map(str::to_ascii_lowercase).as_deref()) {
            (Some(Scheme::Stun | Scheme::Stuns), _) => return Err(TurnTargetError::Stun),
            (None, None) => None,
            (None, Some(_)) => return Err(TurnTargetError::Transport),
            (Some(Scheme::Turn), None | Some("udp")) => Some(Protocol::Udp),
            (Some(Scheme::Turn), Some("tcp")) => Some(Protocol::Tcp),
            (Some(Scheme::Turns), None | Some("tcp")) => Some(Protocol::Tls),
            (Some(Scheme::Turns), Some("udp")) => return Err(TurnTargetError::Dtls),
            (Some(Scheme::Turn | Scheme::Turns), Some(_)) => return Err(TurnTargetError::Transport),
        };
        let secure = ServerName::read(server, TLS_PORT)?;
        if protocol == Some(Protocol::Tls) && matches!(secure.host, Host::Address(_)) {
            return Err(TurnTargetError::SecureAddress);
        }
        Ok(Self { plain: ServerName::read(server, STUN_PORT)?, secure, protocol })
    }
}

/// Why a text is not a TURN server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnTargetError {
    #[error(transparent)]
    Name(#[from] ServerNameError),
    #[error("the URI names a STUN server; give a TURN server, as turn:HOST or HOST")]
    Stun,
    #[error("?transport= is part of a turn: or turns: URI, and its value is udp or tcp (RFC 7065 §3.1)")]
    Transport,
    #[error("turns: over UDP is DTLS, which is not supported; leave ?transport=udp out for TLS")]
    Dtls,
    #[error("a turns: URI needs a host name, not an address (RFC 8489 §8.1); for an address use: HOST --tls")]
    SecureAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_its_protocol_and_the_default_port_of_it() {
        for (text, plain, secure, protocol) in [
            ("turn.example.org", "turn.example.org:3478", "turn.example.org:5349", None),
            ("turn:192.0.2.1", "192.0.2.1:3478", "192.0.2.1:5349", Some(Protocol::Udp)),
            ("turn:192.0.2.1:9?transport=TCP", "192.0.2.1:9", "192.0.2.1:9", Some(Protocol::Tcp)),
            ("turns:turn.example.org", "turn.example.org:3478", "turn.example.org:5349", Some(Protocol::Tls)),
            ("[2001:db8::1]:80", "[2001:db8::1]:80", "[2001:db8::1]:80", None),
        ] {
            let target = text.parse::<TurnTarget>().unwrap();
            assert_eq!((target.plain.to_string(), target.secure.to_string()), (plain.into(), secure.into()), "{text}");
            assert_eq!(target.protocol, protocol, "{text}");
        }
        for (text, why) in [
            ("stun:192.0.2.1", TurnTargetError::Stun),
            ("192.0.2.1?transport=tcp", TurnTargetError::Transport),
            ("turn:192.0.2.1?transport=sctp", TurnTargetError::Transport),
            ("turns:host?transport=udp", TurnTargetError::Dtls),
            ("turns:192.0.2.1", TurnTargetError::SecureAddress),
            ("turn:192.0.2.1?x=y", TurnTargetError::Name(ServerNameError::Query)),
        ] {
            assert_eq!(text.parse::<TurnTarget>(), Err(why), "{text}");
        }
    }
}
