//! Checks whether an address is an address of this host, so that a datagram can be sent from it.
//!
//! A send from an address that the host does not have fails with EINVAL. `quinn-udp` takes EINVAL for a sign that the
//! system does not support segmentation, and stops the offload on the socket permanently. So the address is checked
//! before the send: a temporary socket is bound to the address and connected from it. Nothing is sent.

use core::net::{IpAddr, SocketAddr};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{ErrorKind, Result};

/// Cache of addresses of this host.
///
/// Only addresses that passed the check are cached. Other addresses are checked again at each use, so an address is
/// usable as soon as the host has it. When a send from an address fails, the address is removed ([`Self::forget`]).
#[derive(Debug, Default)]
pub(super) struct SourceAddresses {
    known: [Option<Source>; Self::KNOWN],
    /// The index at which the next address is stored.
    next: usize,
}

/// An address, and for a link-local address the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    address: IpAddr,
    scope_id: u32,
}

impl SourceAddresses {
    /// The number of cached addresses. A further address replaces the oldest.
    const KNOWN: usize = 8;

    /// Whether a datagram to `remote` can have the source address `local`.
    pub(super) fn check(&mut self, local: IpAddr, remote: SocketAddr) -> bool {
        let source = Source::new(local, remote);
        if self.known.contains(&Some(source)) {
            return true;
        }
        match source.is_of_host() {
            Ok(true) => {
                if let Some(place) = self.known.get_mut(self.next) {
                    *place = Some(source);
                }
                self.next = (self.next + 1) % Self::KNOWN;
                true
            }
            Ok(false) => false,
            // The check itself failed (for example: no descriptors left). The send then returns any error.
            Err(_) => true,
        }
    }

    /// Removes an address from which a send has failed.
    pub(super) fn forget(&mut self, local: IpAddr) {
        let local = local.to_canonical();
        for place in &mut self.known {
            if place.is_some_and(|source| source.address == local) {
                *place = None;
            }
        }
    }
}

impl Source {
    fn new(local: IpAddr, remote: SocketAddr) -> Self {
        let address = local.to_canonical();
        let scope_id = match (address, remote) {
            (IpAddr::V6(address), SocketAddr::V6(remote)) if address.is_unicast_link_local() => remote.scope_id(),
            (IpAddr::V4(_) | IpAddr::V6(_), SocketAddr::V4(_) | SocketAddr::V6(_)) => 0,
        };
        Self { address, scope_id }
    }

    fn is_of_host(self) -> Result<bool> {
        /// The discard port (RFC 863). Nothing is sent to it.
        const DISCARD: u16 = 9;
        /// Not EPERM, by which a sandbox forbids the call itself.
        const EACCES: i32 = 13;
        let mut local = SocketAddr::new(self.address, 0);
        if let SocketAddr::V6(local) = &mut local {
            local.set_scope_id(self.scope_id);
        }
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        match socket.bind(&local.into()) {
            Ok(()) => {}
            // A link-local address without an interface is invalid.
            Err(error) if matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::InvalidInput) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        // A socket can be bound to a broadcast address, and on some hosts to a foreign address. `connect` finds both:
        // it fails from a foreign address (EINVAL or ENETUNREACH), and to a broadcast address (EACCES).
        local.set_port(DISCARD);
        Ok(!socket
            .connect(&local.into())
            .is_err_and(|error| error.kind() == ErrorKind::InvalidInput || error.raw_os_error() == Some(EACCES)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sources: &mut SourceAddresses, local: &str) -> bool {
        let local: IpAddr = local.parse().unwrap();
        let remote = if local.is_ipv4() { "127.0.0.1:9" } else { "[::1]:9" };
        sources.check(local, remote.parse().unwrap())
    }

    #[test]
    fn only_addresses_of_the_host_pass_the_check() {
        let mut sources = SourceAddresses::default();
        for own in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.3"] {
            assert!(check(&mut sources, own), "{own}");
        }
        // TEST-NET-1 (RFC 5737), the documentation prefix (RFC 3849), the broadcast address of loopback, and a
        // link-local address without an interface.
        for foreign in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "127.255.255.255", "fe80::1"] {
            assert!(!check(&mut sources, foreign), "{foreign}");
        }
    }

    #[test]
    fn the_number_of_known_addresses_is_bounded() {
        let mut sources = SourceAddresses::default();
        for last in 1..=200 {
            assert!(check(&mut sources, &format!("127.0.0.{last}")));
        }
        assert_eq!(sources.known.iter().flatten().count(), SourceAddresses::KNOWN);
        let newest: IpAddr = "127.0.0.200".parse().unwrap();
        assert!(sources.known.iter().flatten().any(|source| source.address == newest));
        sources.forget(newest);
        assert_eq!(sources.known.iter().flatten().count(), SourceAddresses::KNOWN - 1);
    }
}
