//! `portolan stun`: one Binding request to one server, and what came back.
//!
//! What is sent, and how often, is decided by the machine that it drives ([`Query`]); this file looks the name up, waits
//! and prints.

mod tell;
mod trust;

use crate::args::{Format, StunArgs};
use crate::error::Complaint;
use crate::exit::Exit;
use crate::output;
use crate::resolve::{System, resolve};
use crate::secret::{self, Secret};
use crate::servers::{Host, STUN_PORT, ServerName, ServerNameError};
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use portolan_machine::{Instant, Protocol, Refusal, Unreachability};
use portolan_nat::profile::Family;
use portolan_stun::uri::{Scheme, Uri};
use portolan_stun_agent::{
    ChallengeError, Credential, Query, QueryConfig, QueryError, QueryEvent, QueryFailure, QueryResponse, RequestError,
    Unusable,
};
use portolan_tokio::{Driver, DriverConfig};
pub(crate) use trust::TrustError;

/// The port of STUN over TLS (RFC 8489 §18.5).
const TLS_PORT: u16 = 5349;

/// A server as a person writes it, or as a URI names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The server where nothing is encrypted.
    plain: ServerName,
    /// The server where TLS is spoken: the default port differs.
    secure: ServerName,
    /// It was a `stuns:` URI.
    is_secure: bool,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let scheme = Uri::parse(text).ok().map(|uri| uri.scheme);
        let is_secure = match scheme {
            Some(Scheme::Turn | Scheme::Turns) => return Err(TargetError::Relay),
            Some(Scheme::Stuns) => true,
            Some(Scheme::Stun) | None => false,
        };
        let server = match (scheme, text.split_once(':')) {
            // A URI may leave out the digits of its port, and keep the colon.
            (Some(_), Some((_, server))) => server.strip_suffix(':').unwrap_or(server),
            _ => text,
        };
        let secure = ServerName::read(server, TLS_PORT)?;
        if is_secure && matches!(secure.host, Host::Address(_)) {
            return Err(TargetError::SecureAddress);
        }
        Ok(Self { plain: ServerName::read(server, STUN_PORT)?, secure, is_secure })
    }
}

/// Why a text names no server to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(transparent)]
    Name(#[from] ServerNameError),
    /// RFC 8489 §8.1: such a URI is rejected, since nobody vouches for the address.
    #[error("a stuns: URI names its server, not an address (RFC 8489 §8.1); to ask an address: HOST --tls")]
    SecureAddress,
    #[error("a relay's URI: ask a STUN server, as stun:HOST or HOST")]
    Relay,
}

/// Why there is no answer to tell of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StunError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("{server} cannot be reached over {transport}: {why}; check the port, or ask over another transport")]
    Refused { server: SocketAddr, transport: &'static str, why: Refusal },
    #[error("{server} ended the connection before it answered; it may not speak STUN over {transport}")]
    Ended { server: SocketAddr, transport: &'static str },
    #[error("{server} sent bytes over {transport} that are not STUN; another protocol may listen on this port")]
    NotStun { server: SocketAddr, transport: &'static str },
    #[error("{server} did not answer over {transport} within {seconds} s, asked {sends} times{hint}")]
    Silent { server: SocketAddr, transport: &'static str, seconds: f64, sends: u32, hint: Hint },
    #[error(
        "{server} answers, and no answer is signed with this password (RFC 8489 §9.1.4): it does not know the user, or \
         knows another password"
    )]
    Unproved { server: SocketAddr },
    #[error("{server} answered what cannot be used: {why}")]
    Unusable { server: SocketAddr, why: Unusable },
    #[error("{server} challenged the credentials, and that is the end of it: {why}")]
    Challenge { server: SocketAddr, why: ChallengeError },
    #[error("--user wants a password: add --password-file FILE, or --password")]
    NoPassword,
    #[error(transparent)]
    PasswordFile(#[from] secret::SecretError),
    #[error("the request was refused by this program itself: {0}")]
    Request(RequestError),
    #[error("{server} cannot be asked: {why}")]
    Query { server: SocketAddr, why: QueryError },
    #[error("the program could not go on by itself: the query ended without a response")]
    Cancelled,
}

/// What else is known of a server that is silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint(Option<Unreachability>);

impl core::fmt::Display for Hint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(why) => write!(f, " (the network said: {why}); check address and port"),
            None => f.write_str("; check address and port, or try --tcp: a firewall may drop UDP"),
        }
    }
}

/// What came back, and what it took.
#[derive(Debug)]
struct Reply {
    name: Box<str>,
    server: SocketAddr,
    protocol: Protocol,
    request: Bytes,
    response: QueryResponse,
    explain: bool,
    /// Whether a user was named.
    is_named: bool,
}

/// Asks, and tells what came back.
pub(crate) async fn run(args: &StunArgs) -> Result<Exit, Complaint> {
    let tls = args.tls || args.target_is_secure();
    if args.tcp && tls {
        // A stuns: URI is TLS; --tcp beside it would ask in the clear for what was to be encrypted.
        return Err(StunError::Unresolved("a stuns: URI is asked over TLS; leave --tcp out".into()).into());
    }
    let config = match (&args.ca_file, tls) {
        (None, _) => DriverConfig::default(),
        (Some(file), true) => DriverConfig::default().with_tls_roots(trust::roots(file)?).map_err(TrustError::from)?,
        (Some(_), false) => return Err(TrustError::Plain.into()),
    };
    let protocol = if tls {
        Protocol::Tls
    } else if args.tcp {
        Protocol::Tcp
    } else {
        Protocol::Udp
    };
    let name = if tls { &args.server.secure } else { &args.server.plain };
    let started = tokio::time::Instant::now();
    let families = [Family::V4, Family::V6];
    let resolved = resolve(Arc::new(System), core::slice::from_ref(name), &families, args.timeout).await;
    let found = resolved.servers.first().and_then(|server| server.addresses.first());
    let Some(&server) = found else {
        let why = resolved.unresolved.first().map(ToString::to_string).unwrap_or_default();
        return Err(StunError::Unresolved(why.into()).into());
    };
    let left = args.timeout.saturating_sub(started.elapsed());
    let mut query = QueryConfig::new(server).protocol(protocol).timeout(left);
    if let Host::Name(name) = &name.host {
        query = query.server_name(Arc::from(&**name));
    }
    if let Some(credential) = credential(args)? {
        query = query.credential(credential);
    }
    let mut driver = Driver::with_config(Query::new(), config.with_connect_timeout(left))?;
    let mut listener = Listener { args, server, protocol, request: Bytes::new() };
    driver.with(|machine, cx| machine.start(cx, query)).map_err(|why| StunError::Query { server, why })?;
    let response = loop {
        let event = driver.next().await;
        let now = driver.now();
        if let Some(response) = listener.hear(event, now)? {
            break response;
        }
    };
    let (name, request) = (name.to_string().into(), listener.request);
    let reply =
        Reply { name, server, protocol, request, response, explain: args.explain, is_named: args.user.is_some() };
    let report = tell::Report::of(&reply);
    output::print(&match args.format {
        Format::Human => tell::human(&reply, &report),
        Format::Json | Format::Jsonl => report.json((args.format == Format::Jsonl).then_some("report")),
    })?;
    Ok(if report.is_good() { Exit::Done } else { Exit::Wrong })
}

/// Who asks, where that is said.
fn credential(args: &StunArgs) -> Result<Option<Credential>, StunError> {
    let Some(user) = &args.user else { return Ok(None) };
    let file = args.password_file.as_deref().map(secret::read).transpose()?;
    let password = match (&file, &args.password) {
        (Some(file), _) => file.reveal().lines().next(),
        (None, password) => password.as_ref().map(Secret::reveal),
    };
    let password = password.filter(|password| !password.is_empty()).ok_or(StunError::NoPassword)?;
    let kind = if args.short_term { Credential::short_term } else { Credential::long_term };
    Ok(Some(kind(user, password)))
}

impl StunArgs {
    const fn target_is_secure(&self) -> bool {
        self.server.is_secure
    }
}

/// Follows the query until there is a response.
struct Listener<'a> {
    args: &'a StunArgs,
    server: SocketAddr,
    protocol: Protocol,
    request: Bytes,
}

impl Listener<'_> {
    fn hear(&mut self, event: QueryEvent, now: Instant) -> Result<Option<QueryResponse>, Complaint> {
        match event {
            QueryEvent::Sent { message, send } => {
                self.request = message;
                self.event("sent", now, send)?;
            }
            // Only the server may answer; other senders are shown to a reader of the events.
            QueryEvent::Elsewhere { from } => self.event("elsewhere", now, from)?,
            QueryEvent::Unreachable { why, .. } => self.event("unreachable", now, why)?,
            QueryEvent::Response(response) => return Ok(Some(*response)),
            QueryEvent::Failed(why) => return Err(self.failure(why).into()),
            QueryEvent::Opened { .. } | _ => {}
        }
        Ok(None)
    }

    fn failure(&self, why: QueryFailure) -> StunError {
        let (server, transport) = (self.server, tell::word(self.protocol));
        match why {
            QueryFailure::Refused(why) => StunError::Refused { server, transport, why },
            QueryFailure::Closed(_) => StunError::Ended { server, transport },
            QueryFailure::NotStun => StunError::NotStun { server, transport },
            QueryFailure::TimedOut { sends, unreachable } => {
                let seconds = self.args.timeout.as_secs_f64();
                StunError::Silent { server, transport, seconds, sends, hint: Hint(unreachable) }
            }
            QueryFailure::Unusable { why: Unusable::Challenge(why), .. } => StunError::Challenge { server, why },
            // No challenge precedes short-term credentials: a wrong password shows only in what cannot be verified.
            QueryFailure::Unusable { why: Unusable::Integrity(_), .. } if self.args.short_term => {
                StunError::Unproved { server }
            }
            QueryFailure::Unusable { why, .. } => StunError::Unusable { server, why },
            QueryFailure::Request(why) => StunError::Request(why),
            QueryFailure::Cancelled | _ => StunError::Cancelled,
        }
    }

    /// One line for those who follow along.
    fn event(&self, event: &'static str, now: Instant, what: impl ToString) -> Result<(), Complaint> {
        if self.args.format == Format::Jsonl {
            let millis = milliseconds(now.since_origin());
            output::print(&tell::event(event, millis, &what.to_string()))?;
        }
        Ok(())
    }
}

/// Milliseconds to the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String, bool), TargetError> {
        text.parse::<Target>().map(|target| (target.plain.to_string(), target.secure.to_string(), target.is_secure))
    }

    #[test]
    fn a_secure_uri_names_its_server() {
        for text in ["stuns:192.0.2.1", "stuns:[2001:db8::1]:9"] {
            assert_eq!(read(text), Err(TargetError::SecureAddress), "{text}");
        }
    }

    #[test]
    fn hosts_and_uris_have_the_port_of_their_transport() {
        for (text, plain, secure, is_secure) in [
            ("stun.example.org", "stun.example.org:3478", "stun.example.org:5349", false),
            ("stun:192.0.2.1", "192.0.2.1:3478", "192.0.2.1:5349", false),
            ("STUNS:stun.example.org", "stun.example.org:3478", "stun.example.org:5349", true),
            ("2001:db8::1", "[2001:db8::1]:3478", "[2001:db8::1]:5349", false),
        ] {
            assert_eq!(read(text), Ok((plain.to_owned(), secure.to_owned(), is_secure)), "{text}");
        }
        assert_eq!(read("stun:host:"), read("host"), "RFC 3986 §3.2.3: a port may be left out");
        assert_eq!(read("turn:192.0.2.1"), Err(TargetError::Relay));
        assert_eq!(read("host:0"), Err(TargetError::Name(ServerNameError::Port)));
    }
}
