//! The addresses of `--listen` and `--alternate`.
//!
//! An address is `ADDR`, `ADDR:PORT`, `[IPv6]` or `[IPv6]:PORT`, and a link-local IPv6 address has a zone: the name or
//! the index of an interface (RFC 4007 §11). The default port is 3478, and 5349 for TLS.

use crate::servers::STUN_PORT;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::io::ErrorKind;
use std::net::UdpSocket;

/// Why a text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error(
        "expected an IP address of this host, with a port or without one (3478): 192.0.2.1:3478 or [2001:db8::1]:3478"
    )]
    Shape,
    #[error("the port must be a number from 0 to 65535; with 0 the system chooses a port")]
    Port,
    #[error("a multicast address; listen on an address of this host, or on 0.0.0.0 or [::] for all addresses")]
    Multicast,
    #[error("a broadcast address; listen on an address of this host, or on 0.0.0.0 for all addresses")]
    Broadcast,
    #[error("a link-local address needs a zone, the interface: [{0}%eth0]:3478")]
    NoZone(Ipv6Addr),
    #[error("this host has no interface {0:?}")]
    UnknownZone(Box<str>),
    #[error("an IPv4-mapped address; write {0}")]
    Mapped(SocketAddr),
}

/// The default port for TLS (RFC 8489 §8.1).
const TLS_PORT: u16 = 5349;

/// Parses an address to listen on.
pub(super) fn parse(text: &str) -> Result<SocketAddr, AddressError> {
    parse_with(text, STUN_PORT)
}

/// Parses an address to listen on for TLS.
pub(super) fn parse_tls(text: &str) -> Result<SocketAddr, AddressError> {
    parse_with(text, TLS_PORT)
}

fn parse_with(text: &str, default_port: u16) -> Result<SocketAddr, AddressError> {
    let (host, port) = split(text)?;
    let (ip, zone) = match host.split_once('%') {
        Some((ip, zone)) => (ip, Some(zone)),
        None => (host, None),
    };
    let ip = ip.parse().map_err(|_| AddressError::Shape)?;
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| AddressError::Port))?;
    match (ip, zone) {
        (IpAddr::V4(_), Some(_)) => Err(AddressError::Shape),
        (ip, _) if ip.is_multicast() => Err(AddressError::Multicast),
        (IpAddr::V4(ip), None) if is_broadcast(ip) => Err(AddressError::Broadcast),
        (IpAddr::V4(ip), None) => Ok((ip, port).into()),
        (IpAddr::V6(ip), None) if ip.is_unicast_link_local() => Err(AddressError::NoZone(ip)),
        (IpAddr::V6(ip), zone) => match ip.to_ipv4_mapped() {
            Some(ip) => Err(AddressError::Mapped((ip, port).into())),
            None => Ok(SocketAddrV6::new(ip, port, 0, zone.map_or(Ok(0), interface)?).into()),
        },
    }
}

/// Splits a text into the host and the port.
fn split(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(AddressError::Shape)?;
        // Only an IPv6 address has brackets.
        return match (host.contains(':'), rest.strip_prefix(':')) {
            (true, Some(port)) => Ok((host, Some(port))),
            (true, None) if rest.is_empty() => Ok((host, None)),
            (_, _) => Err(AddressError::Shape),
        };
    }
    match text.split_once(':') {
        // Several colons without brackets are an IPv6 address.
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

/// Returns the index of an interface from its name or its index.
fn interface(zone: &str) -> Result<u32, AddressError> {
    #[cfg(unix)]
    if let Ok(index) = nix::net::if_::if_nametoindex(zone) {
        return Ok(index);
    }
    zone.parse().ok().filter(|index| *index != 0).ok_or_else(|| AddressError::UnknownZone(zone.into()))
}

/// Whether an address is the broadcast address, or that of a network of this host. The system refuses to connect a
/// socket without SO_BROADCAST to such an address. The call sends no packet.
fn is_broadcast(ip: Ipv4Addr) -> bool {
    const DISCARD: u16 = 9;
    let connect = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.connect((ip, DISCARD));
    ip.is_broadcast() || !ip.is_unspecified() && connect().is_err_and(|why| why.kind() == ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_has_port_3478_in_each_form() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1:3478"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0", "0.0.0.0:3478"),
            ("::1", "[::1]:3478"),
            ("[::1]", "[::1]:3478"),
            ("[::1]:9", "[::1]:9"),
            ("::", "[::]:3478"),
            ("[fe80::1%7]:9", "[fe80::1%7]:9"),
            ("fe80::1%7", "[fe80::1%7]:3478"),
            ("[fe80::1%7]", "[fe80::1%7]:3478"),
        ] {
            assert_eq!(parse(text).map(|address| address.to_string()).as_deref(), Ok(address), "{text}");
        }
        assert_eq!(parse_tls("127.0.0.1"), Ok("127.0.0.1:5349".parse().unwrap()));
        #[cfg(target_os = "linux")]
        assert_eq!(parse("[fe80::1%lo]"), Ok("[fe80::1%1]:3478".parse().unwrap()));
    }

    #[test]
    fn an_address_on_which_no_server_can_listen_is_refused_with_the_reason() {
        use AddressError as E;
        let link_local = "fe80::1".parse().unwrap();
        for (text, error) in [
            ("", E::Shape),
            ("localhost", E::Shape),
            ("localhost:3478", E::Shape),
            ("stun:127.0.0.1", E::Shape),
            (":3478", E::Shape),
            ("3478", E::Shape),
            ("[127.0.0.1]:3478", E::Shape),
            ("[::1", E::Shape),
            ("[::1]3478", E::Shape),
            ("127.0.0.1%lo", E::Shape),
            ("127.0.0.1:", E::Port),
            ("127.0.0.1:65536", E::Port),
            ("127.0.0.1:stun", E::Port),
            ("224.0.0.1", E::Multicast),
            ("239.255.255.255:3478", E::Multicast),
            ("[ff02::1]:3478", E::Multicast),
            ("[ff02::1%1]:3478", E::Multicast),
            ("255.255.255.255:3478", E::Broadcast),
            ("fe80::1", E::NoZone(link_local)),
            ("[fe80::1]:3478", E::NoZone(link_local)),
            ("[fe80::1%]:3478", E::UnknownZone("".into())),
            ("[fe80::1%0]:3478", E::UnknownZone("0".into())),
            ("[fe80::1%no-such-interface]", E::UnknownZone("no-such-interface".into())),
            ("[::ffff:127.0.0.1]:9", E::Mapped("127.0.0.1:9".parse().unwrap())),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
        #[cfg(target_os = "linux")]
        assert_eq!(parse("127.255.255.255"), Err(E::Broadcast), "the broadcast address of the network 127.0.0.0/8");
    }
}
