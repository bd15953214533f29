//! `portolan stun`: one Binding request to one server, and what came back.
//!
//! What is sent, and how often, is decided by the machine that it drives ([`Query`]); this file looks the name up, waits
//! and prints.

mod report;
mod target;
mod trust;

use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use crate::options::{Format, seconds};
use crate::output::{self, milliseconds};
use crate::resolve::{System, resolve};
use crate::secret::{self, Secret};
use crate::servers::Host;
use alloc::sync::Arc;
use bytes::Bytes;
use clap::Args;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, Protocol, Refusal, Unreachability};
use portolan_nat::profile::Family;
use portolan_stun_agent::{
    ChallengeError, Credential, Query, QueryConfig, QueryError, QueryEvent, QueryFailure, QueryResponse, RequestError,
    Unusable,
};
use portolan_tokio::{Driver, DriverConfig};
use std::path::PathBuf;
use target::Target;
use trust::TrustError;

/// Arguments of `portolan stun`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct StunArgs {
    /// The server, port 3478 unless said, with TLS 5349; also a `stun:` or `stuns:` URI (RFC 7064)
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT`, a bare IPv6 address, or a URI such as `stuns:stun.example.org`.
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) server: Target,
    /// Ask over TCP
    #[arg(long, conflicts_with = "tls")]
    pub(crate) tcp: bool,
    /// Ask over TLS; the server's certificate must be one that the public web trusts, or --ca-file vouches for
    #[arg(long)]
    pub(crate) tls: bool,
    /// Trust the certificates of this PEM file in place of the public web's authorities, for a server of your own
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Prove to be this user: answers a server's challenge (RFC 8489 §9.2)
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The user's password; other programs can see it, see --password-file
    #[arg(long, value_name = "PASSWORD", value_parser = Secret::parse, requires = "user")]
    pub(crate) password: Option<Secret>,
    /// The file whose first line is the user's password; nobody else may read it (chmod 600)
    #[arg(long, value_name = "FILE", requires = "user", conflicts_with = "password")]
    pub(crate) password_file: Option<PathBuf>,
    /// The server knows the user beforehand and challenges nobody: short-term credentials (RFC 8489 §9.1)
    #[arg(long, requires = "user")]
    pub(crate) short_term: bool,
    /// Seconds until the answer is given up, the name lookup included
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5")]
    pub(crate) timeout: Duration,
    /// How to write what came back
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Format,
    /// Tell both messages byte by byte, with the section of the RFC
    #[arg(long)]
    pub(crate) explain: bool,
}

const HELP: &str = "\
One Binding request (RFC 8489), sent again over UDP until it is answered.
With --explain both messages are told byte by byte, as `portolan explain` would.

Exit codes: 0 a mapped address came back, 1 the server refused (the password too) or told no
address, 2 could not run, or no answer came that can be used.

Examples:
  portolan stun stun.example.org --explain
  portolan stun stun.example.org --user alice --password-file ~/.stun-password
  portolan stun '[2001:db8::1]:3478' --tcp --format json
  portolan stun stuns:stun.example.org";

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
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl CommandError for StunError {
    /// A server that rejects the credentials is a result: the command ran.
    fn exit(&self) -> Exit {
        let is_rejected = matches!(self, Self::Challenge { why: ChallengeError::WrongCredentials, .. });
        if is_rejected { Exit::Wrong } else { Exit::CouldNotRun }
    }
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
pub(crate) async fn run(args: &StunArgs) -> Result<Exit, Failure> {
    let tls = args.tls || args.target_is_secure();
    if args.tcp && tls {
        // A stuns: URI is TLS; --tcp beside it would ask in the clear for what was to be encrypted.
        return Err(StunError::Unresolved("a stuns: URI is asked over TLS; leave --tcp out".into()).into());
    }
    let config = match (&args.ca_file, tls) {
        (None, _) => DriverConfig::default(),
        (Some(file), true) => trust::config(file).map_err(StunError::from)?,
        (Some(_), false) => return Err(StunError::from(TrustError::Plain).into()),
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
    let report = report::Report::of(&reply);
    output::print(&match args.format {
        Format::Human => report::human(&reply, &report),
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
    fn hear(&mut self, event: QueryEvent, now: Instant) -> Result<Option<QueryResponse>, Failure> {
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
        let (server, transport) = (self.server, report::word(self.protocol));
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
    fn event(&self, event: &'static str, now: Instant, what: impl ToString) -> Result<(), Failure> {
        if self.args.format == Format::Jsonl {
            let millis = milliseconds(now.since_origin());
            output::print(&report::event(event, millis, &what.to_string()))?;
        }
        Ok(())
    }
}
