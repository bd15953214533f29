//! Where a responder listens, and what it says about that.
//!
//! Rules of this file: addresses are checked before anything is opened. A listening address and its alternate make four
//! sockets, two addresses × two ports (RFC 5780 §6); they are paired in order within a family.
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

use super::streams::Limits;
use crate::{Authenticator, Rate, ResponderConfigError};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Where a responder listens, what it says about that, and how much it gives.
#[derive(Clone, Debug)]
pub struct ResponderConfig {
    listen: Vec<SocketAddr>,
    alternate: Vec<SocketAddr>,
    advertise: Vec<(IpAddr, IpAddr)>,
    pub(super) rate: Option<Rate>,
    pub(super) streams: Limits,
    pub(super) credentials: Option<Authenticator>,
}

impl Default for ResponderConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponderConfig {
    /// The number of TCP streams that are held unless the owner says otherwise.
    pub const STREAMS: usize = 256;
    /// The number of TCP streams of one source that are held unless the owner says otherwise.
    pub const STREAMS_PER_SOURCE: usize = 64;

    /// No addresses yet; the default rate, and TCP beside UDP.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            listen: Vec::new(),
            alternate: Vec::new(),
            advertise: Vec::new(),
            rate: Some(Rate::DEFAULT),
            streams: Limits { total: Self::STREAMS, source: Self::STREAMS_PER_SOURCE },
            credentials: None,
        }
    }

    /// Listens here too.
    #[must_use]
    pub fn listen(mut self, local: SocketAddr) -> Self {
        self.listen.push(local);
        self
    }

    /// Gives the first listening address of this family that has none yet this alternate address and port.
    #[must_use]
    pub fn alternate(mut self, local: SocketAddr) -> Self {
        self.alternate.push(local);
        self
    }

    /// Says `public` in OTHER-ADDRESS and RESPONSE-ORIGIN where the socket has `local`: for a host behind a 1:1 NAT,
    /// which changes addresses and keeps ports.
    #[must_use]
    pub fn advertise(mut self, local: IpAddr, public: IpAddr) -> Self {
        self.advertise.push((local, public));
        self
    }

    /// Answers each source at most this often; `None`: as often as it asks.
    ///
    /// A request over UDP beyond the rate is dropped. A stream beyond the rate is paused: its requests wait.
    #[must_use]
    pub const fn rate(mut self, rate: Option<Rate>) -> Self {
        self.rate = rate;
        self
    }

    /// Holds at most this many TCP streams; 0: does not listen for TCP.
    ///
    /// When all places are taken, a newcomer displaces the longest silent stream of the source that holds most, if that
    /// source then still holds as many as the newcomer's, or if the stream has been silent for 39.5 seconds (Ti of RFC 8489
    /// §6.2.2). Else the newcomer is closed. A stream is silent from its last whole message on.
    #[must_use]
    pub const fn streams(mut self, streams: usize) -> Self {
        self.streams.total = streams;
        self
    }

    /// Holds at most this many TCP streams of one source: an IPv4 address or an IPv6 /64.
    ///
    /// A newcomer of a source that holds so many displaces that source's own longest silent stream, if that has been
    /// silent for 39.5 seconds. Otherwise the new stream is closed.
    #[must_use]
    pub const fn streams_per_source(mut self, streams: usize) -> Self {
        self.streams.source = streams;
        self
    }

    /// Answers only requests that this authenticator admits, and signs the responses.
    ///
    /// Without it no credentials are required, and credentials in a request are ignored.
    #[must_use]
    pub fn credentials(mut self, authenticator: Authenticator) -> Self {
        self.credentials = Some(authenticator);
        self
    }

    /// The address that is advertised where a socket has `local`.
    pub(super) fn public(&self, local: SocketAddr) -> SocketAddr {
        let mut public = local;
        if let Some((_, said)) = self.advertise.iter().find(|(ip, _)| *ip == local.ip()) {
            public.set_ip(*said);
        }
        public
    }

    /// The endpoints in order, each an address alone or with its alternate.
    pub(super) fn endpoints(&self) -> Result<Vec<(SocketAddr, Option<SocketAddr>)>, ResponderConfigError> {
        if self.listen.is_empty() {
            return Err(ResponderConfigError::NoAddress);
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
        for &(local, public) in &self.advertise {
            if local.is_ipv4() != public.is_ipv4() {
                return Err(ResponderConfigError::AdvertisedFamily { local, public });
            }
            let known = |socket: &SocketAddr| {
                socket.ip() == local || socket.ip().is_unspecified() && socket.is_ipv4() == local.is_ipv4()
            };
            if !locals.iter().any(known) {
                return Err(ResponderConfigError::AdvertisedUnknown { local });
            }
        }
        Ok(endpoints)
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

/// The sockets of a group: one, or four in the order A1:P1, A2:P1, A1:P2, A2:P2.
pub(super) fn locals((listen, alternate): (SocketAddr, Option<SocketAddr>)) -> impl Iterator<Item = SocketAddr> {
    let other = alternate.unwrap_or(listen);
    let (mut second, mut third) = (other, listen);
    second.set_port(listen.port());
    third.set_port(other.port());
    [listen, second, third, other].into_iter().take(if alternate.is_some() { 4 } else { 1 })
}
