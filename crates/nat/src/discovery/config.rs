//! The configuration of a discovery: the tests and the servers.

use crate::error::DiscoveryConfigError;
use crate::profile::Family;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// A STUN server; the addresses of one name count as one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunServer {
    /// The name that reports use.
    pub name: Arc<str>,
    /// Its addresses. At first at most one address a family is used.
    pub addresses: Vec<SocketAddr>,
}

/// The configuration of a discovery: the tests and the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryConfig {
    /// The servers, best first. At first two a family are used.
    pub servers: Vec<StunServer>,
    /// The families to measure. A family without a server address is left out.
    pub families: Vec<Family>,
    /// Local addresses to bind, at most one a family. Without one the system chooses.
    pub local: Vec<IpAddr>,
    /// The time from the start after which the discovery ends and reports its results so far: 5 s.
    pub timeout: Duration,
    /// Whether to send packets to the own public endpoint (RFC 4787 §6). Some firewalls treat such packets as an
    /// attack.
    pub hairpin: bool,
    /// Whether to open 16 more sockets back to back, for the port allocation test. This is an exception to the limit
    /// of ten transactions a second.
    pub ports: bool,
}

impl DiscoveryConfig {
    /// The default measurements, with `servers`.
    #[must_use]
    pub fn new(servers: Vec<StunServer>) -> Self {
        Self {
            servers,
            families: alloc::vec![Family::V4, Family::V6],
            local: Vec::new(),
            timeout: Duration::from_secs(5),
            hairpin: false,
            ports: false,
        }
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// * [`DiscoveryConfigError::NoServers`] when no server has an address in the families.
    /// * [`DiscoveryConfigError::SameAddress`] when two servers have the same address.
    pub fn check(&self) -> Result<(), DiscoveryConfigError> {
        let mut seen: Vec<(usize, SocketAddr)> = Vec::new();
        let measured = |address: &&SocketAddr| self.families.contains(&Family::of(address));
        for (second, server) in self.servers.iter().enumerate() {
            for address in server.addresses.iter().filter(measured) {
                if let Some((first, _)) = seen.iter().find(|(first, other)| *first != second && other == address) {
                    return Err(DiscoveryConfigError::SameAddress { first: *first, second, address: *address });
                }
                seen.push((second, *address));
            }
        }
        if seen.is_empty() { Err(DiscoveryConfigError::NoServers) } else { Ok(()) }
    }
}
