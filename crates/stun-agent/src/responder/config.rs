//! The configuration of a responder.
//!
//! Rules of this file: addresses are checked before a socket is opened. A listening address and its alternate need
//! four sockets: two addresses × two ports (RFC 5780 §6). Within a family listening and alternate addresses are
//! paired in order.
//!
//! ```
//! use portolan_stun_agent::{ResponderConfigError, Responder, ResponderConfig};
//!
//! let config = ResponderConfig::new().listen("192.0.2.1:3478".parse()?).alternate("192.0.2.2:3479".parse()?);
//! assert!(Responder::new(&config).is_ok());
//!
//! let config = ResponderConfig::new().listen("192.0.2.1:3478".parse()?).alternate("192.0.2.2:3478".parse()?);
//! assert!(matches!(Responder::new(&config), Err(ResponderConfigError::SamePort { .. })));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::stream_table::StreamLimits;
use crate::{Authenticator, Rate, ResponderConfigError};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The configuration of a responder: addresses, limits and credentials.
#[derive(Clone, Debug)]
pub struct ResponderConfig {
    listen: Vec<SocketAddr>,
    alternate: Vec<SocketAddr>,
    advertise: Vec<(IpAddr, IpAddr)>,
    pub(super) rate: Option<Rate>,
    pub(super) streams: StreamLimits,
    pub(super) credentials: Option<Authenticator>,
}

impl Default for ResponderConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponderConfig {
    /// The default limit of TCP streams.
    pub const STREAMS: usize = 256;
    /// The default limit of TCP streams of one source.
    pub const STREAMS_PER_SOURCE: usize = 64;

    /// A configuration without addresses, with the default rate, and with UDP and TCP.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            listen: Vec::new(),
            alternate: Vec::new(),
            advertise: Vec::new(),
            rate: Some(Rate::DEFAULT),
            streams: StreamLimits { total: Self::STREAMS, source: Self::STREAMS_PER_SOURCE },
            credentials: None,
        }
    }

    /// Adds a listening address.
    #[must_use]
    pub fn listen(mut self, local: SocketAddr) -> Self {
        self.listen.push(local);
        self
    }

    /// Adds an alternate address and port for the first listening address of this family without one.
    #[must_use]
    pub fn alternate(mut self, local: SocketAddr) -> Self {
        self.alternate.push(local);
        self
    }

    /// Advertises `public` instead of `local` in OTHER-ADDRESS and RESPONSE-ORIGIN. For a host behind a 1:1 NAT,
    /// which translates addresses and keeps ports.
    #[must_use]
    pub fn advertise(mut self, local: IpAddr, public: IpAddr) -> Self {
        self.advertise.push((local, public));
        self
    }

    /// Limits the replies to each source; `None` removes the limit.
    ///
    /// A request over UDP above the rate is dropped. A stream above the rate is paused, and its requests wait.
    #[must_use]
    pub const fn rate(mut self, rate: Option<Rate>) -> Self {
        self.rate = rate;
        self
    }

    /// Limits the number of TCP streams; 0 disables TCP.
    ///
    /// At the limit a new stream displaces the longest idle stream of the source with the most streams. This requires
    /// that this source then still has at least as many streams as the source of the new stream. It is also allowed
    /// if the idle time is at least 39.5 seconds (Ti of RFC 8489 §6.2.2). Otherwise the new stream is closed. The
    /// idle time counts from the last whole message.
    #[must_use]
    pub const fn streams(mut self, streams: usize) -> Self {
        self.streams.total = streams;
        self
    }

    /// Limits the number of TCP streams of one source: an IPv4 address or an IPv6 /64.
    ///
    /// At the limit a new stream displaces the longest idle stream of its source, if the idle time is at least 39.5
    /// seconds. Otherwise the new stream is closed.
    #[must_use]
    pub const fn streams_per_source(mut self, streams: usize) -> Self {
        self.streams.source = streams;
        self
    }

    /// Requires credentials: only requests that this authenticator admits are served, and the responses have
    /// integrity.
    ///
    /// Without an authenticator no credentials are required, and credentials in a request are ignored.
    #[must_use]
    pub fn credentials(mut self, authenticator: Authenticator) -> Self {
        self.credentials = Some(authenticator);
        self
    }

    /// The advertised address of a socket with `local`.
    pub(super) fn public(&self, local: SocketAddr) -> SocketAddr {
        let mut public = local;
        if let Some((_, advertised)) = self.advertise.iter().find(|(ip, _)| *ip == local.ip()) {
            public.set_ip(*advertised);
        }
        public
    }

    /// The listening addresses in order, each with its optional alternate.
    pub(super) fn endpoints(&self) -> Result<Vec<(SocketAddr, Option<SocketAddr>)>, ResponderConfigError> {
        if self.listen.is_empty() {
            return Err(ResponderConfigError::NoAddress);
        }
        for &local in self.listen.iter().chain(&self.alternate) {
            check_local(local)?;
        }
        let mut endpoints: Vec<_> = self.listen.iter().map(|&listen| (listen, None)).collect();
        for &alternate in &self.alternate {
            let free =
                endpoints.iter_mut().find(|(listen, other)| listen.is_ipv4() == alternate.is_ipv4() && other.is_none());
            let (listen, slot) = free.ok_or(ResponderConfigError::Unpaired { alternate })?;
            self.check_pair(*listen, alternate)?;
            *slot = Some(alternate);
        }
        let locals: Vec<_> = endpoints.iter().flat_map(|&group| locals(group)).collect();
        for (n, &local) in locals.iter().enumerate() {
            if local.port() != 0 && locals.iter().skip(n + 1).any(|&other| other == local) {
                return Err(ResponderConfigError::Twice { local });
            }
        }
        self.check_advertised(&endpoints, &locals)?;
        Ok(endpoints)
    }

    fn check_advertised(
        &self,
        endpoints: &[(SocketAddr, Option<SocketAddr>)],
        locals: &[SocketAddr],
    ) -> Result<(), ResponderConfigError> {
        for (n, &(local, public)) in self.advertise.iter().enumerate() {
            if local.is_ipv4() != public.is_ipv4() {
                return Err(ResponderConfigError::AdvertisedFamily { local, public });
            }
            if [local, public].iter().any(|ip| ip.is_unspecified() || !is_unicast(*ip)) {
                return Err(ResponderConfigError::AdvertisedInvalid { local, public });
            }
            let known = |socket: &SocketAddr| {
                socket.ip() == local || socket.ip().is_unspecified() && socket.is_ipv4() == local.is_ipv4()
            };
            if !locals.iter().any(known) {
                return Err(ResponderConfigError::AdvertisedUnknown { local });
            }
            if self.advertise.iter().skip(n + 1).any(|(other, _)| *other == local) {
                return Err(ResponderConfigError::AdvertisedTwice { local });
            }
        }
        let is_advertised = |ip: IpAddr| self.advertise.iter().any(|(local, _)| *local == ip);
        for (listen, alternate) in endpoints {
            let Some(pair) = alternate.map(|alternate| [listen.ip(), alternate.ip()]) else { continue };
            let [advertised, missing] = if is_advertised(pair[0]) { pair } else { [pair[1], pair[0]] };
            if is_advertised(advertised) && !is_advertised(missing) {
                return Err(ResponderConfigError::AdvertisedHalf { advertised, missing });
            }
        }
        Ok(())
    }

    fn check_pair(&self, listen: SocketAddr, alternate: SocketAddr) -> Result<(), ResponderConfigError> {
        if listen.ip().is_unspecified() || alternate.ip().is_unspecified() {
            return Err(ResponderConfigError::Wildcard { listen, alternate });
        }
        if listen.port() == 0 || alternate.port() == 0 {
            return Err(ResponderConfigError::NoPort { listen, alternate });
        }
        if listen.port() == alternate.port() {
            return Err(ResponderConfigError::SamePort { listen, alternate });
        }
        if listen.ip() == alternate.ip() || self.public(listen).ip() == self.public(alternate).ip() {
            return Err(ResponderConfigError::SameAddress { listen, alternate });
        }
        Ok(())
    }
}

/// Checks that a socket on this address can receive datagrams for one host, and can send responses from the address.
fn check_local(local: SocketAddr) -> Result<(), ResponderConfigError> {
    if !is_unicast(local.ip()) {
        return Err(ResponderConfigError::NotUnicast { local });
    }
    match local {
        SocketAddr::V6(six) if six.ip().is_unicast_link_local() && six.scope_id() == 0 => {
            Err(ResponderConfigError::NoZone { local })
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => Ok(()),
    }
}

/// Whether an address is neither a multicast nor the broadcast address.
const fn is_unicast(ip: IpAddr) -> bool {
    !ip.is_multicast() && !matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// The local addresses of a group: one, or four in the order A1:P1, A2:P1, A1:P2, A2:P2.
pub(super) fn locals((listen, alternate): (SocketAddr, Option<SocketAddr>)) -> impl Iterator<Item = SocketAddr> {
    let other = alternate.unwrap_or(listen);
    let (mut second, mut third) = (other, listen);
    second.set_port(listen.port());
    third.set_port(other.port());
    [listen, second, third, other].into_iter().take(if alternate.is_some() { 4 } else { 1 })
}
