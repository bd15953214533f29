//! `portolan stun`: sends one Binding request to one server and prints the response.
//!
//! The machine [`Query`] makes the request and its retransmissions. This file resolves the name, runs the driver and
//! prints the result.

mod report;
mod target;

pub(crate) use report::protocol_name;

use crate::credentials::{CredentialArgs, CredentialError};
use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::{Format, seconds};
use crate::output::{self, milliseconds};
use crate::resolve::resolve;
use crate::servers::Host;
use crate::trust::{self, TrustError};
use crate::wrap;
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

/// Arguments of `portolan stun`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct StunArgs {
    /// The server, default port 3478, with TLS 5349; also a `stun:` or `stuns:` URI (RFC 7064)
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT`, a bare IPv6 address, or a URI such as `stuns:stun.example.org`.
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) server: Target,
    /// Use TCP
    #[arg(long, conflicts_with = "tls")]
    pub(crate) tcp: bool,
    /// Use TLS; the certificate must be valid for the public web, or be signed by an authority of --ca-file
    #[arg(long)]
    pub(crate) tls: bool,
    /// Trust the certificates of this PEM file instead of the authorities of the public web
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    /// Use short-term credentials, without a challenge of the server (RFC 8489 §9.1)
    #[arg(long, requires = "user")]
    pub(crate) short_term: bool,
    /// Upper bound in seconds, including the name lookup
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5", allow_negative_numbers = true)]
    pub(crate) timeout: Duration,
    /// The format of the result
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Format,
    /// Print each byte of the request and of the response, with the section of the RFC
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The command sends one Binding request (RFC 8489), and retransmits it over UDP until a response
arrives. --explain prints each byte of both messages, as `portolan explain` does.

{}

Examples:
  portolan stun stun.example.org --explain
  portolan stun stun.example.org --user alice --password-file ~/.stun-password
  portolan stun '[2001:db8::1]:3478' --tcp --format json
  portolan stun stuns:stun.example.org",
        exit::help("stun")
    )
}

/// Why there is no response to print.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StunError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("{server} cannot be reached over {transport}: {why}; check the port, or use another transport")]
    Refused { server: SocketAddr, transport: &'static str, why: Refusal },
    #[error("{server} closed the connection before it responded; it may not support STUN over {transport}")]
    Ended { server: SocketAddr, transport: &'static str },
    #[error("{server} sent bytes over {transport} that are not STUN; another protocol may listen on this port")]
    NotStun { server: SocketAddr, transport: &'static str },
    #[error("{server} did not respond over {transport} within {seconds} s after {}{hint}", output::count(*.sends as usize, "transmission"))]
    Silent { server: SocketAddr, transport: &'static str, seconds: f64, sends: u32, hint: Hint },
    #[error(
        "{server} responds, but no response is authenticated with this password (RFC 8489 §9.1.4): the server does not \
         know the user, or has another password"
    )]
    Unauthenticated { server: SocketAddr },
    #[error("{server} sent a response that cannot be used: {why}")]
    Unusable { server: SocketAddr, why: Unusable },
    #[error("{server} requires credentials, and authentication failed: {why}")]
    Challenge { server: SocketAddr, why: ChallengeError },
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("the request could not be built: {0}")]
    Request(RequestError),
    #[error("{server} cannot be queried: {why}")]
    Query { server: SocketAddr, why: QueryError },
    #[error("internal error: the query ended without a response")]
    Cancelled,
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl CommandError for StunError {
    /// A server that rejects the credentials is a result: the command ran.
    fn exit(&self) -> Exit {
        let is_rejected = matches!(self, Self::Challenge { why: ChallengeError::WrongCredentials, .. });
        if is_rejected { Exit::Negative } else { Exit::CouldNotRun }
    }
}

/// The advice for a server that does not respond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint(Option<Unreachability>);

impl core::fmt::Display for Hint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(why) => write!(f, " (ICMP: {why}); check address and port"),
            None => f.write_str("; check address and port, or try --tcp: a firewall may drop UDP"),
        }
    }
}

/// The response, with the facts needed to print it.
#[derive(Debug)]
struct Reply {
    name: Box<str>,
    server: SocketAddr,
    protocol: Protocol,
    request: Bytes,
    response: QueryResponse,
    explain: bool,
    /// Whether the command line names a user.
    has_user: bool,
}

/// Sends the request and prints the response.
pub(crate) async fn run(args: &StunArgs) -> Result<Exit, Failure> {
    let tls = args.tls || args.target_is_secure();
    if args.tcp && tls {
        // A stuns: URI requires TLS, so `--tcp` must not turn the encryption off.
        return Err(StunError::Unresolved("a stuns: URI uses TLS; leave --tcp out".into()).into());
    }
    let config = match (&args.ca_file, tls) {
        (file, true) => trust::config(file.as_deref()).map_err(StunError::from)?,
        (None, false) => DriverConfig::default(),
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
    let resolved = resolve(name, &families, args.timeout).await;
    let address = resolved.servers.first().and_then(|server| server.addresses.first());
    let Some(&server) = address else {
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
    let mut handler = EventHandler { args, server, protocol, request: Bytes::new() };
    driver.with(|machine, cx| machine.start(cx, query)).map_err(|why| StunError::Query { server, why })?;
    let response = loop {
        let event = driver.next().await;
        let now = driver.now();
        if let Some(response) = handler.handle(event, now)? {
            break response;
        }
    };
    let (name, request) = (name.to_string().into(), handler.request);
    let reply = Reply {
        name,
        server,
        protocol,
        request,
        response,
        explain: args.explain,
        has_user: args.credentials.has_user(),
    };
    let report = report::Report::of(&reply);
    output::print(&match args.format {
        Format::Human => wrap::to_terminal(&report::human(&reply, &report)),
        Format::Json | Format::Jsonl => report.json((args.format == Format::Jsonl).then_some("report")),
    })?;
    Ok(if report.has_mapped_address() { Exit::Success } else { Exit::Negative })
}

/// Returns the credential of the command line, if there is one.
fn credential(args: &StunArgs) -> Result<Option<Credential>, StunError> {
    let login = args.credentials.login()?;
    Ok(login.map(|login| if args.short_term { login.short_term() } else { login.long_term() }))
}

impl StunArgs {
    const fn target_is_secure(&self) -> bool {
        self.server.is_secure
    }
}

/// Handles the events of the query until there is a response.
struct EventHandler<'a> {
    args: &'a StunArgs,
    server: SocketAddr,
    protocol: Protocol,
    request: Bytes,
}

impl EventHandler<'_> {
    fn handle(&mut self, event: QueryEvent, now: Instant) -> Result<Option<QueryResponse>, Failure> {
        match event {
            QueryEvent::Sent { message, send } => {
                self.request = message;
                self.event("sent", now, send)?;
            }
            // Only the server may respond. Responses from other addresses are shown as events.
            QueryEvent::Elsewhere { from } => self.event("elsewhere", now, from)?,
            QueryEvent::Unreachable { why, .. } => self.event("unreachable", now, why)?,
            QueryEvent::Response(response) => return Ok(Some(*response)),
            QueryEvent::Failed(why) => return Err(self.failure(why).into()),
            QueryEvent::Opened { .. } | _ => {}
        }
        Ok(None)
    }

    fn failure(&self, why: QueryFailure) -> StunError {
        let (server, transport) = (self.server, report::protocol_name(self.protocol));
        match why {
            QueryFailure::Refused(why) => StunError::Refused { server, transport, why },
            QueryFailure::Closed(_) => StunError::Ended { server, transport },
            QueryFailure::NotStun => StunError::NotStun { server, transport },
            QueryFailure::TimedOut { sends, unreachable } => {
                let seconds = self.args.timeout.as_secs_f64();
                StunError::Silent { server, transport, seconds, sends, hint: Hint(unreachable) }
            }
            QueryFailure::Unusable { why: Unusable::Challenge(why), .. } => StunError::Challenge { server, why },
            // Short-term credentials have no challenge, so a wrong password shows only as a response that cannot be
            // verified.
            QueryFailure::Unusable { why: Unusable::Integrity(_), .. } if self.args.short_term => {
                StunError::Unauthenticated { server }
            }
            QueryFailure::Unusable { why, .. } => StunError::Unusable { server, why },
            QueryFailure::Request(why) => StunError::Request(why),
            QueryFailure::Cancelled | _ => StunError::Cancelled,
        }
    }

    /// Prints an event as one line with `--format jsonl`.
    fn event(&self, event: &'static str, now: Instant, what: impl ToString) -> Result<(), Failure> {
        if self.args.format == Format::Jsonl {
            let millis = milliseconds(now.since_origin());
            output::print(&report::event(event, millis, &what.to_string()))?;
        }
        Ok(())
    }
}
