//! `portolan turn`: allocates at a TURN server, and relays numbered datagrams to a peer and back.
//!
//! The machine [`Client`] makes all requests. This file resolves the name, runs the driver, and decides what a failure
//! means for the user. [`exchange`] sends and counts the datagrams, [`report`] prints the result.

#![expect(clippy::wildcard_enum_match_arm, reason = "the wildcard stands for all events that a stage ignores")]

mod advice;
mod exchange;
mod report;
pub(crate) mod target;

use crate::credentials::{CredentialArgs, CredentialError};
use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::{DocumentFormat, seconds};
use crate::output;
use crate::resolve::resolve;
use crate::servers::Host;
use crate::story::Recorder;
use crate::stun::protocol_name;
use crate::trust::{self, TrustError};
use crate::wrap;
use alloc::sync::Arc;
use clap::Args;
use core::net::SocketAddr;
use core::time::Duration;
use exchange::PeerSocket;
use portolan_machine::Protocol;
use portolan_nat::profile::Family;
use portolan_tokio::{Driver, DriverConfig};
use portolan_turn::{Client, ClientConfig, ClientError, ClientEvent, Outcome, Step};
use report::{Failed, Report, Stage};
use std::path::PathBuf;
use target::TurnTarget;
use tokio::time::{Instant, timeout};

/// Arguments of `portolan turn`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct TurnArgs {
    /// The server, default port 3478, with TLS 5349; also a `turn:` or `turns:` URI (RFC 7065)
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT`, a bare IPv6 address, or a URI such as `turn:turn.example.org?transport=tcp`.
    #[arg(value_name = "HOST[:PORT]")]
    server: TurnTarget,
    #[command(flatten)]
    credentials: CredentialArgs,
    /// Use TCP to the server; the peer is reached over UDP
    #[arg(long, conflicts_with = "tls")]
    tcp: bool,
    /// Use TLS to the server; the certificate must be valid for the public web, or be signed by an authority of
    /// --ca-file
    #[arg(long)]
    tls: bool,
    /// Trust the certificates of this PEM file instead of the authorities of the public web
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A UDP echo server as the peer; without it the command opens a socket of its own
    #[arg(long, value_name = "ADDR:PORT")]
    peer: Option<SocketAddr>,
    /// The number of datagrams
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000), default_value = "20",
          allow_negative_numbers = true)]
    count: u16,
    /// The size of each datagram in bytes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(16..=8192), default_value = "160",
          allow_negative_numbers = true)]
    size: u16,
    /// Upper bound in seconds for the name lookup and the allocation, and again for each later step
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5", allow_negative_numbers = true)]
    timeout: Duration,
    /// The format of the result
    #[arg(long, value_enum, default_value = "human")]
    format: DocumentFormat,
    /// Print each step, with the section of the RFC
    #[arg(long)]
    explain: bool,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The command makes an allocation (RFC 8656), adds a permission and a channel for a peer, and sends
numbered datagrams through the relay. Without --peer, the peer is a socket of this command: its
datagrams to the relayed address show its address to the server, also behind a NAT. With --peer,
the peer must send each datagram back. Then the command refreshes the allocation once, and ends it
with a Refresh request of lifetime 0. The verdict is the last line.

{}

Examples:
  portolan turn turn.example.org --user alice --password-file ~/.turn-password
  portolan turn turns:turn.example.org --user alice:secret --explain
  portolan turn 192.0.2.1 --user alice:secret --tcp --count 1000 --size 1000 --format json",
        exit::help("turn")
    )
}

/// Why there is no result to print.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("a turn: or turns: URI names the protocol; leave --tcp and --tls out, or write HOST[:PORT]")]
    Protocol,
    #[error("{0} (over {1}, {2}); {3}")]
    NotAllocated(Box<Step>, &'static str, Box<str>, &'static str),
    #[error("{server} did not respond over {transport} within {seconds} s after {}{hint}", output::count(*.sends as usize, "transmission"))]
    Silent { server: SocketAddr, transport: &'static str, seconds: f64, sends: u32, hint: Box<str> },
    #[error("the client cannot be started: {0}")]
    Command(#[from] ClientError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("the client ended without a result")]
    Ended,
}

impl CommandError for TurnError {}

/// Relays datagrams and prints the result.
pub(crate) async fn run(args: &TurnArgs) -> Result<Exit, Failure> {
    let login = args.credentials.required().map_err(TurnError::from)?;
    let protocol = protocol(args)?;
    let tls = match (&args.ca_file, protocol == Protocol::Tls) {
        (file, true) => trust::config(file.as_deref()).map_err(TurnError::from)?,
        (None, false) => DriverConfig::default(),
        (Some(_), false) => return Err(TurnError::from(TrustError::Plain).into()),
    };
    let name = if protocol == Protocol::Tls { &args.server.secure } else { &args.server.plain };
    let started = Instant::now();
    let resolved = resolve(name, &[Family::V4, Family::V6], args.timeout).await;
    let addresses = resolved.servers.first().map(|server| server.addresses.as_slice()).unwrap_or_default();
    let Some((first, others)) = addresses.split_first() else {
        let why = resolved.unresolved.first().map(ToString::to_string).unwrap_or_default();
        return Err(TurnError::Unresolved(why.into()).into());
    };
    let left = args.timeout.saturating_sub(started.elapsed());
    let mut config = ClientConfig::new(*first, login.long_term()).protocol(protocol).timeout(left);
    for other in others.iter().take(ClientConfig::SERVERS - 1) {
        config = config.or_server(*other);
    }
    if let Host::Name(name) = &name.host {
        config = config.server_name(Arc::from(&**name));
    }
    let recorder = Recorder::default();
    let tls = tls.with_connect_timeout(left);
    let driver = Driver::with_config(Client::new(), if args.explain { tls.with_trace(recorder.clone()) } else { tls })?;
    let mut report = Report::new(name.to_string(), *first, protocol_name(protocol));
    let mut session = Session { driver, args, report: &mut report };
    session.driver.with(|client, cx| client.start(cx, config)).map_err(TurnError::from)?;
    session.allocate().await?;
    if session.report.failed.is_none() {
        session.relay().await?;
        session.refresh().await?;
    }
    session.close().await;
    if args.explain {
        report.steps = Some(recorder.lines());
    }
    output::print(&match args.format {
        DocumentFormat::Human => wrap::to_terminal(&report.human()),
        DocumentFormat::Json => report.json(),
    })?;
    Ok(report.exit())
}

/// Returns the protocol to the server.
fn protocol(args: &TurnArgs) -> Result<Protocol, TurnError> {
    let given = match (args.tcp, args.tls) {
        (true, _) => Some(Protocol::Tcp),
        (_, true) => Some(Protocol::Tls),
        (false, false) => None,
    };
    match (args.server.protocol, given) {
        // A turns: URI requires TLS, so an option must not turn the encryption off.
        (Some(named), Some(given)) if named != given => Err(TurnError::Protocol),
        (named, given) => Ok(named.or(given).unwrap_or(Protocol::Udp)),
    }
}

/// A client with its driver, and the result so far.
struct Session<'a> {
    driver: Driver<Client>,
    args: &'a TurnArgs,
    report: &'a mut Report,
}

impl Session<'_> {
    /// Waits for an event for which `wanted` returns a value; `None` at the end of the timeout.
    async fn wait<T>(&mut self, wanted: impl FnMut(ClientEvent) -> Option<T>) -> Option<T> {
        timeout(self.args.timeout + GRACE, self.driver.run_until(wanted)).await.ok()
    }

    /// Waits for the allocation. A refusal is a result; everything else is an error.
    async fn allocate(&mut self) -> Result<(), TurnError> {
        let started = Instant::now();
        // The client tries one server after the other, each with its own timeout.
        let event = self.driver.run_until(|event| match event {
            ClientEvent::Allocated { .. } | ClientEvent::Failed { .. } | ClientEvent::Closed => Some(event),
            _ => None,
        });
        match event.await {
            ClientEvent::Allocated { relayed, mapped, server, lifetime, .. } => {
                let report = &mut *self.report;
                (report.address, report.relayed, report.mapped) = (server, relayed, Some(mapped));
                (report.lifetime, report.allocate) = (Some(lifetime), Some(started.elapsed()));
                Ok(())
            }
            ClientEvent::Failed { steps, .. } => self.not_allocated(&steps),
            _ => Err(TurnError::Ended),
        }
    }

    fn not_allocated(&mut self, steps: &[Step]) -> Result<(), TurnError> {
        let tried = |step: &&Step| !matches!(step.outcome, Outcome::Blocked(_));
        // The response of one server says more than the silence of another.
        let answered = steps.iter().rev().filter(tried).find(|step| report::is_refusal(&step.outcome));
        let Some(step) = answered.or_else(|| steps.iter().rev().find(tried)) else { return Err(TurnError::Ended) };
        self.report.address = step.server;
        if report::is_refusal(&step.outcome) {
            self.report.failed = Some(Failed::from_steps(Stage::Allocate, steps, step, None));
            return Ok(());
        }
        let transport = self.report.transport;
        if step.outcome == Outcome::TimedOut && step.sends > 0 {
            let hint = match (step.icmp, transport) {
                (Some(icmp), _) => format!(" (ICMP: {icmp}); check address and port").into(),
                (None, "udp") => "; check address and port, or try --tcp: a firewall may drop UDP".into(),
                (None, _) => "; check address and port".into(),
            };
            let seconds = self.args.timeout.as_secs_f64();
            return Err(TurnError::Silent { server: step.server, transport, seconds, sends: step.sends, hint });
        }
        let attempted = output::count(steps.len(), "attempt").into();
        Err(TurnError::NotAllocated(
            step.clone().into(),
            transport,
            attempted,
            advice::advice(Stage::Allocate, &step.outcome, None),
        ))
    }

    /// Adds the permission and the channel, and relays the datagrams.
    async fn relay(&mut self) -> Result<(), Failure> {
        let (Some(&relayed), Some(mapped)) = (self.report.relayed.first(), self.report.mapped) else { return Ok(()) };
        let token = self.driver.with(|_, cx| cx.random::<8>());
        let (socket, ip) = match self.args.peer {
            Some(peer) => (None, peer.ip()),
            None => {
                let socket = PeerSocket::open(relayed, token).await?;
                let ip = if mapped.is_ipv4() == relayed.is_ipv4() { mapped.ip() } else { socket.local_ip() };
                (Some(socket), ip)
            }
        };
        self.driver.with(|client, cx| client.add_permission(cx, ip)).map_err(TurnError::from)?;
        let permission = self.wait(|event| match event {
            ClientEvent::PermissionAdded { .. } => Some(Ok(())),
            ClientEvent::PermissionFailed { steps, .. } => Some(Err(steps)),
            event => lost(event),
        });
        let result = permission.await;
        if !self.accepted(Stage::Permission, result, Some(ip)) {
            return Ok(());
        }
        let peer = match (&socket, self.args.peer) {
            (_, Some(peer)) => Some(peer),
            (Some(socket), None) => exchange::find_peer(&mut self.driver, socket, self.args.timeout).await,
            (None, None) => None,
        };
        let Some(peer) = peer else {
            self.report.failed = Some(Failed::no_peer());
            return Ok(());
        };
        self.report.peer = Some((peer, socket.is_some()));
        self.driver.with(|client, cx| client.add_channel(cx, peer)).map_err(TurnError::from)?;
        let channel = self.wait(|event| match event {
            ClientEvent::ChannelAdded { number, .. } => Some(Ok(number)),
            ClientEvent::ChannelFailed { steps, .. } => Some(Err(steps)),
            event => lost(event),
        });
        let result = channel.await;
        self.report.channel = result.as_ref().and_then(|result| result.as_ref().ok().copied());
        if self.accepted(Stage::Channel, result, Some(peer.ip())) {
            let plan = exchange::Plan { peer, token, count: self.args.count.into(), size: self.args.size.into() };
            let datagrams = exchange::run(&mut self.driver, socket.as_ref(), &plan).await?;
            if datagrams.returned() == 0 {
                self.report.failed = Some(Failed::no_data(&datagrams, socket.is_some()));
            }
            self.report.datagrams = Some(datagrams);
        }
        Ok(())
    }

    /// Refreshes the allocation.
    async fn refresh(&mut self) -> Result<(), TurnError> {
        match self.driver.with(Client::refresh_allocation) {
            Ok(()) => {}
            Err(ClientError::NotAllocated | ClientError::NotRunning) if self.report.failed.is_some() => return Ok(()),
            Err(why) => return Err(why.into()),
        }
        let refresh = self.wait(|event| match event {
            ClientEvent::Refreshed { lifetime } => Some(Ok(lifetime)),
            ClientEvent::RefreshFailed { step } => Some(Err(vec![step])),
            event => lost(event),
        });
        let result = refresh.await;
        self.report.refreshed = result.as_ref().and_then(|result| result.as_ref().ok().copied());
        self.accepted(Stage::Refresh, result, None);
        Ok(())
    }

    /// Ends the client. A server that does not confirm the end frees the allocation at the end of its lifetime.
    async fn close(&mut self) {
        if self.driver.with(Client::close).is_ok() {
            self.report.closed = self.wait(|event| event.is_terminal().then_some(())).await.is_some();
        }
    }

    /// Records the failure of a stage, unless an earlier stage failed. Returns whether the stage was successful.
    fn accepted<T>(
        &mut self,
        stage: Stage,
        result: Option<Result<T, Vec<Step>>>,
        peer: Option<core::net::IpAddr>,
    ) -> bool {
        let failed = match result {
            Some(Ok(_)) => return true,
            Some(Err(steps)) => match steps.last() {
                Some(last) => Failed::from_steps(stage, &steps, last, peer),
                None => Failed::silent(stage),
            },
            None => Failed::silent(stage),
        };
        self.report.failed.get_or_insert(failed);
        false
    }
}

/// The time after the timeout of the user in which an event of the client can still arrive.
const GRACE: Duration = Duration::from_millis(500);

/// Returns the steps if the event is the loss of the allocation or the end of the client.
fn lost<T>(event: ClientEvent) -> Option<Result<T, Vec<Step>>> {
    match event {
        ClientEvent::Failed { steps, .. } => Some(Err(steps)),
        ClientEvent::Lost { .. } => Some(Err(Vec::new())),
        _ => None,
    }
}
