//! The source address that the routing table chooses towards a destination.
//!
//! A temporary UDP socket is connected to the destination. `connect` chooses a route and a source address, and sends
//! nothing.

use crate::errors;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::Refusal;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::ErrorKind;

/// Returns the source address of packets to `remote`.
pub(crate) fn source_towards(remote: SocketAddr) -> Result<IpAddr, Refusal> {
    let source = probe(remote).map_err(|error| {
        // The host has no address of the family, or no address from which `remote` can be reached.
        let no_source = matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::InvalidInput);
        if no_source { Refusal::NoRoute } else { errors::refusal(&error) }
    })?;
    source.filter(|source| !source.is_unspecified()).ok_or(Refusal::NoRoute)
}

fn probe(remote: SocketAddr) -> std::io::Result<Option<IpAddr>> {
    let socket = Socket::new(Domain::for_address(remote), Type::DGRAM, Some(Protocol::UDP))?;
    socket.connect(&remote.into())?;
    Ok(socket.local_addr()?.as_socket().map(|local| local.ip()))
}

/// Returns the local address of packets to `remote` from a socket that is bound to `bound`. For a wildcard address the
/// routing table chooses the IP address.
pub(crate) fn local_towards(bound: SocketAddr, remote: SocketAddr) -> Result<SocketAddr, Refusal> {
    if bound.is_ipv4() != remote.is_ipv4() {
        return Err(Refusal::FamilyNotSupported);
    }
    let mut local = bound;
    if bound.ip().is_unspecified() {
        local.set_ip(source_towards(remote)?);
        if let (SocketAddr::V6(local), SocketAddr::V6(remote)) = (&mut local, remote)
            && local.ip().is_unicast_link_local()
        {
            local.set_scope_id(remote.scope_id());
        }
    }
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_towards_loopback_is_loopback() {
        let bound = ([0, 0, 0, 0], 4_000).into();
        assert_eq!(local_towards(bound, ([127, 0, 0, 9], 1).into()), Ok(([127, 0, 0, 1], 4_000).into()));
        let own = ([127, 0, 0, 2], 4_000).into();
        assert_eq!(local_towards(own, ([127, 0, 0, 9], 1).into()), Ok(own), "a bound address stays");
    }

    #[test]
    fn families_do_not_mix() {
        let bound = ([0, 0, 0, 0], 4_000).into();
        let remote = (core::net::Ipv6Addr::LOCALHOST, 1).into();
        assert_eq!(local_towards(bound, remote), Err(Refusal::FamilyNotSupported));
    }
}
