//! 300 (Try Alternate): where a server sends its client, and how often that is followed.
//!
//! Rules of this file: it takes the time and a response, and returns the next server or the reason why there is none. A
//! redirection is not followed in a circle, to the client's own host, or to an address that is not one host. With
//! credentials, only an authenticated response redirects, unless the owner allows others.
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
//! let answer = Message::decode(writer.finish())?;
//!
//! let mut alternates = Alternates::new(Instant::ORIGIN, "192.0.2.1:3478".parse()?);
//! let (now, proved) = (Instant::ORIGIN, ResponseAuthentication::ByIntegrity);
//! let unauthenticated = alternates.follow(now, &answer, ResponseAuthentication::Nobody);
//! assert_eq!(unauthenticated, Err(RedirectError::Unauthenticated));
//! assert_eq!(alternates.follow(now, &answer, proved), Ok("192.0.2.2:3478".parse()?));
//! assert_eq!(alternates.follow(now, &answer, proved), Err(RedirectError::Circle));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, ErrorCode, Message};

/// The servers that one request was sent to, the present one last.
#[derive(Clone, Debug)]
pub struct Alternates {
    tried: Vec<(SocketAddr, Instant)>,
    server: SocketAddr,
    hops: u32,
}

/// How a response is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseAuthentication {
    /// Its integrity was verified.
    ByIntegrity,
    /// No credentials are in use, or the transport authenticates the server (TLS).
    ByUsage,
    /// Not at all, though credentials are in use.
    Nobody,
}

/// Why a redirection is not followed; the transaction has failed (RFC 8489 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The response is no 300.
    #[error("no redirection")]
    NoRedirection,
    /// Credentials are in use and the response is not authenticated.
    #[error("the redirection is not authenticated")]
    Unauthenticated,
    /// It has no server of the address family of the current one.
    #[error("the redirection names no server of this address family")]
    NoServer,
    /// It names an address that is no single host's, port 0, or this host itself.
    #[error("the redirection leads to an address that is no other host's")]
    Unaddressable,
    /// It names a server that had this request in the last five minutes.
    #[error("the redirection leads back to a server that was asked already")]
    Circle,
    /// There were as many redirections as are followed.
    #[error("too many redirections")]
    TooMany,
    /// The request is on a stream, which leads to one server; the owner opens another stream.
    #[error("the redirection leads to where this stream does not")]
    Stream,
    /// The request accepts a response from one address only, whatever its destination.
    #[error("the request takes no answer from where the redirection leads")]
    Pinned,
}

impl Alternates {
    /// The largest number of redirections of one request.
    pub const HOPS: u32 = 5;
    /// How long a server counts as asked already (RFC 8489 §10).
    pub const MEMORY: Duration = Duration::from_secs(300);

    /// A request goes to `server` now.
    #[must_use]
    pub fn new(now: Instant, server: SocketAddr) -> Self {
        Self { tried: [(server, now)].into(), server, hops: 0 }
    }

    /// The server that the request is with.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Goes where a 300 leads: the request is to be sent there, over the same transport, with the same credentials.
    ///
    /// Over TLS its certificate is that of [`Message::alternate_domain`], else that of the domain asked before.
    ///
    /// # Errors
    /// After an error nothing has changed.
    ///
    /// * [`RedirectError::NoRedirection`] when the response is not a 300.
    /// * [`RedirectError::Unauthenticated`] when credentials are in use and the response is not authenticated.
    /// * [`RedirectError::NoServer`] when no ALTERNATE-SERVER has the address family of the current server.
    /// * [`RedirectError::Unaddressable`] when the new address is not that of a single host, has port 0, or is a
    ///   loopback address and that of the current server is not.
    /// * [`RedirectError::Circle`] when the new server had the request within [`MEMORY`](Self::MEMORY).
    /// * [`RedirectError::TooMany`] when [`HOPS`](Self::HOPS) redirections were followed before.
    pub fn follow<T>(
        &mut self,
        now: Instant,
        answer: &Message<'_, T>,
        authentication: ResponseAuthentication,
    ) -> Result<SocketAddr, RedirectError> {
        let server = self.judge(now, answer, authentication)?;
        self.go(now, server);
        Ok(server)
    }

    /// Goes to the server that [`judge`](Self::judge) returned.
    pub(crate) fn go(&mut self, now: Instant, server: SocketAddr) {
        self.hops = self.hops.saturating_add(1);
        self.tried.retain(|&(_, at)| now.since(at) < Self::MEMORY);
        self.tried.push((server, now));
        self.server = server;
    }

    /// Where a 300 leads, without going there.
    pub(crate) fn judge<T>(
        &self,
        now: Instant,
        answer: &Message<'_, T>,
        authentication: ResponseAuthentication,
    ) -> Result<SocketAddr, RedirectError> {
        if answer.error_code().is_none_or(|error| error.code() != ErrorCode::TRY_ALTERNATE) {
            return Err(RedirectError::NoRedirection);
        }
        if authentication == ResponseAuthentication::Nobody {
            return Err(RedirectError::Unauthenticated);
        }
        // RFC 8489 §10: the first is of the client's family, one of the other family may follow.
        let server = answer.attributes().filter_map(|attribute| match attribute {
            Ok(Attribute::AlternateServer(server)) if server.is_ipv4() == self.server.is_ipv4() => Some(server),
            _ => None,
        });
        let server = server.into_iter().next().ok_or(RedirectError::NoServer)?;
        if !is_addressable(server, self.server.ip().to_canonical().is_loopback()) {
            return Err(RedirectError::Unaddressable);
        }
        if self.tried.iter().any(|&(tried, at)| tried == server && now.since(at) < Self::MEMORY) {
            return Err(RedirectError::Circle);
        }
        if self.hops >= Self::HOPS { Err(RedirectError::TooMany) } else { Ok(server) }
    }
}

/// Whether the address can be one host; the client's own host counts only for a client that uses its own server anyway.
fn is_addressable(server: SocketAddr, from_loopback: bool) -> bool {
    let ip = server.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets().starts_with(&[0]));
    let is_single = !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast;
    server.port() != 0 && is_single && (from_loopback || !ip.is_loopback())
}
