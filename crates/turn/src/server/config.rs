//! The configuration of a server.
//!
//! Rules of this file: everything is checked before a socket is opened. The defaults are safe: credentials are
//! required, private peers are denied, every table has a limit, and replies without credentials are limited.
//!
//! ```
//! use portolan_stun_agent::{Authenticator, Users};
//! use portolan_turn::{Server, ServerConfig, ServerConfigError};
//!
//! let mut users = Users::long_term("example.org");
//! users.add("alice", "correct horse battery staple")?;
//! let credentials = Authenticator::long_term("example.org", &[7; 32], users)?;
//!
//! let config = ServerConfig::new(credentials).listen_udp("192.0.2.1:3478".parse()?).relay("192.0.2.1".parse()?);
//! assert!(Server::new(&config).is_ok());
//! assert_eq!(Server::new(&config.ports(60_000, 50_000)).unwrap_err(), ServerConfigError::Ports { first: 60_000, last: 50_000 });
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use super::policy::PeerPolicy;
use super::quota::Bandwidth;
use crate::ServerConfigError;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Instant, Protocol, SocketId};
use portolan_stun_agent::{Authenticator, Mechanism, Rate};

/// The configuration of a [`Server`](crate::Server): sockets, relay addresses, credentials, policy and limits.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(super) credentials: Authenticator,
    pub(super) listen: Vec<(Protocol, SocketAddr)>,
    pub(super) relays: Vec<RelayAddress>,
    pub(super) ports: (u16, u16),
    pub(super) policy: PeerPolicy,
    pub(super) rate: Option<Rate>,
    pub(super) limits: ServerLimits,
    pub(super) lifetimes: Lifetimes,
    pub(super) binding: bool,
    pub(super) software: Option<Box<str>>,
}

/// A relay address: the local address of relay sockets, and the address that is reported to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RelayAddress {
    pub(super) local: IpAddr,
    pub(super) public: IpAddr,
}

/// The lifetimes of allocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetimes {
    pub(super) default: Duration,
    pub(super) max: Duration,
    /// Whether an allocation ends with the credential of its last request.
    pub(super) strict: bool,
}

impl Lifetimes {
    /// The lifetimes of an allocation at `now` with a credential that ends at `expires`.
    pub(super) fn until(self, now: Instant, expires: Option<Instant>) -> Self {
        let Some(expires) = expires.filter(|_| self.strict) else { return self };
        // Whole seconds, because LIFETIME has whole seconds.
        let left = Duration::from_secs((expires - now).as_secs().max(1));
        Self { default: self.default.min(left), max: self.max.min(left), ..self }
    }
}

/// The limits of a server. Each is the largest allowed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Allocations in total; above it an Allocate gets 508.
    pub allocations: u32,
    /// Allocations of one user; above it an Allocate gets 486.
    pub allocations_per_user: u32,
    /// Allocations of one source, an IPv4 address or an IPv6 /64; above it an Allocate gets 486.
    pub allocations_per_source: u32,
    /// Permissions of one allocation; above it a CreatePermission or ChannelBind gets 508.
    pub permissions: u16,
    /// Channels of one allocation, at most 4,096; above it a ChannelBind gets 508.
    pub channels: u16,
    /// The bandwidth of one allocation, both directions together; `None`: no limit. A datagram above it is dropped.
    pub bandwidth: Option<Bandwidth>,
    /// Connections of one TCP allocation (RFC 6062); above it a Connect gets 508. 0 disables TCP allocations.
    pub connections: u16,
    /// Streams of clients without an allocation; a new stream above it displaces an idle one, or is closed.
    pub streams: u32,
    /// Streams without an allocation of one source.
    pub streams_per_source: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            allocations: 100_000,
            allocations_per_user: 64,
            allocations_per_source: 256,
            permissions: 256,
            channels: 256,
            bandwidth: None,
            connections: 64,
            streams: 1024,
            streams_per_source: 128,
        }
    }
}

/// A socket that the owner of a server opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSocket {
    /// The socket.
    pub id: SocketId,
    /// Its protocol: `Udp`, `TcpListen` or `TlsListen`.
    pub protocol: Protocol,
    /// Its local address. An unspecified address stands for all addresses of the host.
    pub local: SocketAddr,
}

impl ServerSocket {
    /// An open socket.
    #[must_use]
    pub const fn new(id: SocketId, protocol: Protocol, local: SocketAddr) -> Self {
        Self { id, protocol, local }
    }
}

impl ServerConfig {
    /// The default time to expiry of an allocation (RFC 8656 §3.2).
    pub const LIFETIME: Duration = Duration::from_secs(600);
    /// The default for the largest time to expiry of an allocation (RFC 8656 §7.2).
    pub const LIFETIME_MAX: Duration = Duration::from_secs(3600);

    /// A configuration with these credentials, without sockets and relay addresses, and with all defaults.
    #[must_use]
    pub fn new(credentials: Authenticator) -> Self {
        Self {
            credentials,
            listen: Vec::new(),
            relays: Vec::new(),
            ports: (49_152, 65_535),
            policy: PeerPolicy::default(),
            rate: Some(Rate::DEFAULT),
            limits: ServerLimits::default(),
            lifetimes: Lifetimes { default: Self::LIFETIME, max: Self::LIFETIME_MAX, strict: true },
            binding: true,
            software: Some("portolan".into()),
        }
    }

    /// Adds a UDP socket.
    #[must_use]
    pub fn listen_udp(self, local: SocketAddr) -> Self {
        self.listen(Protocol::Udp, local)
    }

    /// Adds a listening socket: `Udp`, `TcpListen` or `TlsListen`.
    #[must_use]
    pub fn listen(mut self, protocol: Protocol, local: SocketAddr) -> Self {
        self.listen.push((protocol, local));
        self
    }

    /// Adds a relay address: an address of this host. A server has at most one of each family.
    #[must_use]
    pub fn relay(self, ip: IpAddr) -> Self {
        self.relay_behind_nat(ip, ip)
    }

    /// Adds a relay address behind a 1:1 NAT, which translates `local` to `public` and keeps ports. The response has
    /// `public`.
    #[must_use]
    pub fn relay_behind_nat(mut self, local: IpAddr, public: IpAddr) -> Self {
        self.relays.push(RelayAddress { local, public });
        self
    }

    /// Sets the range of relay ports; 49152 to 65535 by default (RFC 8656 §7.2).
    #[must_use]
    pub const fn ports(mut self, first: u16, last: u16) -> Self {
        self.ports = (first, last);
        self
    }

    /// Sets the peers that are permitted. By default every special-purpose address is denied.
    #[must_use]
    pub fn policy(mut self, policy: PeerPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Limits the replies to each source without valid credentials, Binding included; `None` removes the limit.
    #[must_use]
    pub const fn rate(mut self, rate: Option<Rate>) -> Self {
        self.rate = rate;
        self
    }

    /// Sets the limits of allocations, permissions and channels.
    #[must_use]
    pub const fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the default and the largest lifetime of allocations; 600 s and 3600 s by default.
    #[must_use]
    pub const fn lifetimes(mut self, default: Duration, max: Duration) -> Self {
        (self.lifetimes.default, self.lifetimes.max) = (default, max);
        self
    }

    /// Sets whether an allocation ends with the time-limited credential of its last Allocate or Refresh; it does by
    /// default. If not, it can outlive the credential by its lifetime. A request with an expired credential gets 401 in
    /// both cases.
    #[must_use]
    pub const fn strict_expiry(mut self, strict: bool) -> Self {
        self.lifetimes.strict = strict;
        self
    }

    /// Sets whether the server answers Binding requests; it does by default. If not, they are not the server's, so a
    /// [`Responder`](portolan_stun_agent::Responder) on the same sockets can answer them.
    #[must_use]
    pub const fn binding(mut self, binding: bool) -> Self {
        self.binding = binding;
        self
    }

    /// Sets the text of SOFTWARE in responses to Allocate and Refresh; `None` omits the attribute.
    #[must_use]
    pub fn software(mut self, software: Option<&str>) -> Self {
        self.software = software.map(Into::into);
        self
    }

    /// Checks everything but the listening sockets.
    pub(super) fn check(&self) -> Result<(), ServerConfigError> {
        if self.credentials.mechanism() != Mechanism::LongTerm {
            return Err(ServerConfigError::Mechanism);
        }
        if self.relays.is_empty() {
            return Err(ServerConfigError::NoRelay);
        }
        for (n, relay) in self.relays.iter().enumerate() {
            check_relay(*relay)?;
            if self.relays.iter().take(n).any(|other| other.public.is_ipv4() == relay.public.is_ipv4()) {
                return Err(ServerConfigError::RelayTwice { ip: relay.local });
            }
        }
        let (first, last) = self.ports;
        if first == 0 || first > last {
            return Err(ServerConfigError::Ports { first, last });
        }
        let Lifetimes { default, max, .. } = self.lifetimes;
        if default < Duration::from_secs(1) || default > max {
            return Err(ServerConfigError::Lifetime);
        }
        match &self.software {
            Some(software) if software.len() > 127 => Err(ServerConfigError::Software { length: software.len() }),
            Some(_) | None => Ok(()),
        }
    }
}

fn check_relay(RelayAddress { local, public }: RelayAddress) -> Result<(), ServerConfigError> {
    if local.is_ipv4() != public.is_ipv4() {
        return Err(ServerConfigError::RelayFamily { local, public });
    }
    let is_broadcast = matches!(public, IpAddr::V4(ip) if ip.is_broadcast());
    if public.is_unspecified() || public.is_multicast() || is_broadcast {
        return Err(ServerConfigError::RelayInvalid { ip: public });
    }
    if local.is_multicast() {
        return Err(ServerConfigError::RelayInvalid { ip: local });
    }
    Ok(())
}

/// Checks the protocols and addresses of listening sockets.
pub(super) fn check_listeners(
    sockets: impl Iterator<Item = (Protocol, SocketAddr)> + Clone,
) -> Result<(), ServerConfigError> {
    if sockets.clone().next().is_none() {
        return Err(ServerConfigError::NoListener);
    }
    for (n, (protocol, local)) in sockets.clone().enumerate() {
        if protocol != Protocol::Udp && !protocol.is_listener() {
            return Err(ServerConfigError::Protocol { protocol });
        }
        let is_udp = protocol == Protocol::Udp;
        let same = |(other, address): (Protocol, SocketAddr)| (other == Protocol::Udp) == is_udp && address == local;
        if local.port() != 0 && sockets.clone().take(n).any(same) {
            return Err(ServerConfigError::Twice { local });
        }
    }
    Ok(())
}
