//! Redirections by 300 (Try Alternate): the next server, and the limits of following.
//!
//! Rules of this file: functions take the time and a response, and return the next server or the reason why there is
//! none. A redirection is not followed in a loop, to the client's own host, or to an address that is not a single
//! host. With credentials, only an authenticated response redirects, unless the owner allows others.
//!
//! RFC 8489 §10, §14.15, §14.16.
//!
//! ```
//! use portolan_machine::Instant;
//! use portolan_stun::{Attribute, Class, ErrorCode, Message, Method, Writer};
//! use portolan_stun_agent::alternate::{Alternates, RedirectError, ResponseAuthentication};
//!
//! let mut buffer = [0; 128];
//! let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, Method::ALLOCATE, [7; 12].into())?;
//! writer.add(&Attribute::ErrorCode(ErrorCode::recommended(300).unwrap()))?;
//! writer.add(&Attribute::AlternateServer("192.0.2.2:3478".parse()?))?;
//! let response = Message::decode(writer.finish())?;
//!
//! let mut alternates = Alternates::new(Instant::ORIGIN, "192.0.2.1:3478".parse()?);
//! let (now, verified) = (Instant::ORIGIN, ResponseAuthentication::ByIntegrity);
//! let unverified = alternates.follow(now, &response, ResponseAuthentication::Missing);
//! assert_eq!(unverified, Err(RedirectError::Unauthenticated));
//! assert_eq!(alternates.follow(now, &response, verified), Ok("192.0.2.2:3478".parse()?));
//! assert_eq!(alternates.follow(now, &response, verified), Err(RedirectError::Circle));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, ErrorCode, Message};

/// The servers that received one request, in order.
#[derive(Clone, Debug)]
pub struct Alternates {
    tried: Vec<(SocketAddr, Instant)>,
    server: SocketAddr,
    hops: u32,
}

/// The authentication of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseAuthentication {
    /// The integrity of the response was verified.
    ByIntegrity,
    /// The usage has no credentials, or the transport authenticates the server (TLS).
    ByUsage,
    /// The response is not authenticated, although credentials are in use.
    Missing,
}

/// The reason why a redirection is not followed. The transaction has failed (RFC 8489 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The response does not have the error code 300.
    #[error("the response is not a redirection")]
    NoRedirection,
    /// Credentials are in use and the response is not authenticated.
    #[error("the redirection is not authenticated")]
    Unauthenticated,
    /// The response has no server of the address family of the current server.
    #[error("the redirection has no server of this address family")]
    NoServer,
    /// The address is not a single host, is the client's own host, or has port 0.
    #[error("the address of the redirection is not a single remote host")]
    Unaddressable,
    /// The port is below 1024 and is not 53, 80 or 443: a server of another protocol would get the request.
    #[error("the port of the redirection belongs to another protocol")]
    Port,
    /// The server received this request in the last five minutes.
    #[error("the redirection leads back to a server that received this request already")]
    Circle,
    /// The number of redirections has reached its limit.
    #[error("too many redirections")]
    TooMany,
    /// The request is on a stream, which is connected to one server. The owner opens another stream.
    #[error("the stream of the request is not connected to the server of the redirection")]
    Stream,
    /// The request accepts responses from one exact address only.
    #[error("the request accepts no response from the server of the redirection")]
    Pinned,
}

impl Alternates {
    /// The largest number of redirections that one request follows.
    pub const HOPS: u32 = 5;
    /// The time for which a request is not redirected to the same server again (RFC 8489 §10).
    pub const MEMORY: Duration = Duration::from_secs(300);

    /// The state of a request that is sent to `server` now.
    #[must_use]
    pub fn new(now: Instant, server: SocketAddr) -> Self {
        Self { tried: [(server, now)].into(), server, hops: 0 }
    }

    /// The current server of the request.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Follows a 300 and returns the next server. The caller sends the request there, over the same transport and
    /// with the same credentials.
    ///
    /// Over TLS the certificate must be that of [`Message::alternate_domain`], or otherwise that of the previous
    /// domain.
    ///
    /// # Errors
    /// After an error nothing has changed.
    ///
    /// * [`RedirectError::NoRedirection`] when the response is not a 300.
    /// * [`RedirectError::Unauthenticated`] when credentials are in use and the response is not authenticated.
    /// * [`RedirectError::NoServer`] when no ALTERNATE-SERVER has the address family of the current server.
    /// * [`RedirectError::Unaddressable`] when the new address is not that of a single host, has port 0, or is a
    ///   loopback address and that of the current server is not.
    /// * [`RedirectError::Port`] when the new port is below 1024 and is not 53, 80 or 443.
    /// * [`RedirectError::Circle`] when the new server had the request within [`MEMORY`](Self::MEMORY).
    /// * [`RedirectError::TooMany`] when [`HOPS`](Self::HOPS) redirections were followed before.
    pub fn follow<T>(
        &mut self,
        now: Instant,
        response: &Message<'_, T>,
        authentication: ResponseAuthentication,
    ) -> Result<SocketAddr, RedirectError> {
        let server = self.check(now, response, authentication)?;
        self.record(now, server);
        Ok(server)
    }

    /// Records that the request is sent to the server that [`check`](Self::check) returned.
    pub(crate) fn record(&mut self, now: Instant, server: SocketAddr) {
        self.hops = self.hops.saturating_add(1);
        self.tried.retain(|&(_, at)| now.since(at) < Self::MEMORY);
        self.tried.push((server, now));
        self.server = server;
    }

    /// Returns the next server of a 300, without recording it.
    pub(crate) fn check<T>(
        &self,
        now: Instant,
        response: &Message<'_, T>,
        authentication: ResponseAuthentication,
    ) -> Result<SocketAddr, RedirectError> {
        if response.error_code().is_none_or(|error| error.code() != ErrorCode::TRY_ALTERNATE) {
            return Err(RedirectError::NoRedirection);
        }
        if authentication == ResponseAuthentication::Missing {
            return Err(RedirectError::Unauthenticated);
        }
        // RFC 8489 §10: the first address is of the client's family, and one of the other family can follow.
        let server = response.attributes().filter_map(|attribute| match attribute {
            Ok(Attribute::AlternateServer(server)) if server.is_ipv4() == self.server.is_ipv4() => Some(server),
            _ => None,
        });
        let server = server.into_iter().next().ok_or(RedirectError::NoServer)?;
        if !is_addressable(server, self.server.ip().to_canonical().is_loopback()) {
            return Err(RedirectError::Unaddressable);
        }
        if is_foreign_port(server.port()) {
            return Err(RedirectError::Port);
        }
        if self.tried.iter().any(|&(tried, at)| tried == server && now.since(at) < Self::MEMORY) {
            return Err(RedirectError::Circle);
        }
        if self.hops >= Self::HOPS { Err(RedirectError::TooMany) } else { Ok(server) }
    }
}

/// Whether the address can be a single host. A loopback address is valid only if the current server is on loopback
/// too.
fn is_addressable(server: SocketAddr, from_loopback: bool) -> bool {
    let ip = server.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets().starts_with(&[0]));
    let is_single = !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast;
    server.port() != 0 && is_single && (from_loopback || !ip.is_loopback())
}

/// Whether other protocols are usual at a port. STUN servers use ports above 1023, and 53, 80 and 443 to pass firewalls.
const fn is_foreign_port(port: u16) -> bool {
    port < 1024 && !matches!(port, 53 | 80 | 443)
}
