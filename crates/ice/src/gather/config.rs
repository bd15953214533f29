//! The configuration of a gatherer.

use crate::{ComponentId, GatherError, Pacer};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;
use core::time::Duration;

/// Which addresses of the host a peer can learn: the modes of RFC 8828 §5.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressMode {
    /// Mode 1, *enumerate all addresses*: all addresses of all interfaces. RFC 8828 requires the consent of the user.
    #[default]
    EnumerateAll,
    /// Mode 2, *default route + associated local addresses*: the addresses from which the system sends towards the
    /// Internet ([`Interface::default_route`](super::Interface::default_route)), with host candidates.
    DefaultRouteAndLocal,
    /// Mode 3, *default route only*: as mode 2, without host candidates. Reflexive candidates have no related address.
    DefaultRoute,
    /// Mode 4, *force proxy*: no UDP from this host. The gatherer opens no socket; relayed candidates that the owner
    /// gets through a proxy are the only ones.
    ForceProxy,
}

/// The configuration of a [`Gatherer`](super::Gatherer).
///
/// ```
/// use core::time::Duration;
/// use portolan_ice::GatherConfig;
/// use portolan_ice::gather::AddressMode;
///
/// let config = GatherConfig::new()
///     .server("192.0.2.1:3478".parse()?)
///     .mode(AddressMode::DefaultRouteAndLocal)
///     .timeout(Duration::from_secs(10));
/// assert_eq!(config.servers.len(), 1);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatherConfig {
    /// The components: each gets one socket on each address. The default is component 1 of stream 0.
    pub components: Vec<ComponentId>,
    /// The STUN servers.
    pub servers: Vec<SocketAddr>,
    /// The addresses that a peer can learn.
    pub mode: AddressMode,
    /// Whether only relayed candidates are wanted, so that the gatherer opens no socket (RFC 9429 §3.5.3).
    pub is_relay_only: bool,
    /// The ports to bind. `None` leaves the choice to the system.
    pub ports: Option<RangeInclusive<u16>>,
    /// The addresses that are skipped.
    pub filter: AddressFilter,
    /// The least time between two new transactions, Ta.
    pub pacing: Duration,
    /// The time that a server has for its answer.
    pub timeout: Duration,
    /// The time between two keepalives of a reflexive candidate.
    pub keepalive: Duration,
}

/// The addresses that a gatherer skips, in addition to those that are never usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressFilter {
    /// Whether loopback addresses are used. RFC 8445 §5.1.1.1 forbids it; it is for tests on one host.
    pub uses_loopback: bool,
    /// Whether link-local addresses (169.254.0.0/16, fe80::/10) are used.
    pub uses_link_local: bool,
    /// Whether addresses of bridges to containers and virtual machines are skipped. No other host has a route to such
    /// an address, and containers on the same host seldom need one.
    pub skips_virtual_bridges: bool,
    /// The largest number of IPv4 addresses.
    pub ipv4_limit: usize,
    /// The largest number of IPv6 addresses.
    pub ipv6_limit: usize,
}

impl Default for AddressFilter {
    /// Skips loopback and link-local addresses, and limits each family to 16 addresses.
    fn default() -> Self {
        Self {
            uses_loopback: false,
            uses_link_local: false,
            skips_virtual_bridges: false,
            ipv4_limit: 16,
            ipv6_limit: 16,
        }
    }
}

impl Default for GatherConfig {
    fn default() -> Self {
        Self {
            components: alloc::vec![ComponentId::new(0, 1)],
            servers: Vec::new(),
            mode: AddressMode::default(),
            is_relay_only: false,
            ports: None,
            filter: AddressFilter::default(),
            pacing: Pacer::DEFAULT,
            timeout: Duration::from_millis(39_500),
            keepalive: Duration::from_secs(15),
        }
    }
}

impl GatherConfig {
    /// The largest number of components.
    pub const COMPONENTS: usize = 8;
    /// The largest number of servers.
    pub const SERVERS: usize = 16;
    /// The largest number of addresses of one family.
    pub const ADDRESSES: usize = 64;

    /// A configuration with component 1 of stream 0, without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the components.
    #[must_use]
    pub fn components(mut self, components: impl IntoIterator<Item = ComponentId>) -> Self {
        self.components = components.into_iter().collect();
        self
    }

    /// Adds a STUN server.
    #[must_use]
    pub fn server(mut self, server: SocketAddr) -> Self {
        self.servers.push(server);
        self
    }

    /// Sets the mode of RFC 8828. The default is [`AddressMode::EnumerateAll`].
    #[must_use]
    pub const fn mode(mut self, mode: AddressMode) -> Self {
        self.mode = mode;
        self
    }

    /// Opens no socket and asks no server, because only relayed candidates are wanted (RFC 9429 §3.5.3).
    #[must_use]
    pub const fn relay_only(mut self) -> Self {
        self.is_relay_only = true;
        self
    }

    /// Sets the ports to bind.
    #[must_use]
    pub const fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = Some(ports);
        self
    }

    /// Sets the addresses that are skipped. A limit is at most [`ADDRESSES`](Self::ADDRESSES).
    #[must_use]
    pub fn filter(mut self, filter: AddressFilter) -> Self {
        let limit = |limit: usize| limit.min(Self::ADDRESSES);
        self.filter =
            AddressFilter { ipv4_limit: limit(filter.ipv4_limit), ipv6_limit: limit(filter.ipv6_limit), ..filter };
        self
    }

    /// Uses loopback addresses too, for tests on one host.
    #[must_use]
    pub const fn with_loopback(mut self) -> Self {
        self.filter.uses_loopback = true;
        self
    }

    /// Skips addresses of bridges to containers and virtual machines.
    #[must_use]
    pub const fn without_virtual_bridges(mut self) -> Self {
        self.filter.skips_virtual_bridges = true;
        self
    }

    /// Sets the least time between two new transactions, Ta. It is at least 5 ms; the default is 50 ms (RFC 8445
    /// §14.2).
    #[must_use]
    pub const fn pacing(mut self, pacing: Duration) -> Self {
        self.pacing = pacing;
        self
    }

    /// Sets the time that a server has for its answer, from the first send. The default is 39.5 s (RFC 8489 §6.2.1).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the time between two keepalives of a reflexive candidate, at least 1 s. The default is 15 s (RFC 8445 §11).
    #[must_use]
    pub const fn keepalive(mut self, keepalive: Duration) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// * [`GatherError::Components`] when there is no component, or more than [`COMPONENTS`](Self::COMPONENTS).
    /// * [`GatherError::Component`] when a component is named twice, or its number is not 1 to 256.
    /// * [`GatherError::Servers`] when there are more than [`SERVERS`](Self::SERVERS) servers.
    /// * [`GatherError::Server`] when a server is named twice, or its address is not that of a server.
    /// * [`GatherError::Ports`] when the range of ports is empty or contains port 0.
    pub fn check(&self) -> Result<(), GatherError> {
        let count = self.components.len();
        if count == 0 || count > Self::COMPONENTS {
            return Err(GatherError::Components { count, limit: Self::COMPONENTS });
        }
        let mut earlier: &[ComponentId] = &[];
        for (n, component) in self.components.iter().enumerate() {
            if earlier.contains(component) || !(1..=256).contains(&component.number) {
                return Err(GatherError::Component(*component));
            }
            earlier = self.components.get(..=n).unwrap_or_default();
        }
        if self.servers.len() > Self::SERVERS {
            return Err(GatherError::Servers { count: self.servers.len(), limit: Self::SERVERS });
        }
        let mut earlier: &[SocketAddr] = &[];
        for (n, server) in self.servers.iter().enumerate() {
            if earlier.contains(server) || server.port() == 0 || !is_host(server.ip()) {
                return Err(GatherError::Server(*server));
            }
            earlier = self.servers.get(..=n).unwrap_or_default();
        }
        match &self.ports {
            Some(ports) if ports.is_empty() || *ports.start() == 0 => {
                Err(GatherError::Ports { first: *ports.start(), last: *ports.end() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether the address can be that of one host.
pub(super) const fn is_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0),
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_multicast()),
    }
}
