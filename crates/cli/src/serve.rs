//! `portolan serve`: a STUN server or a TURN server on addresses of this host. The STUN server has the tests of RFC 5780 if
//! there is a second address, and a rendezvous if there is a secret.
//!
//! The server prints one line on standard output for each address once UDP and TCP listen there; a script can wait for
//! the line. It runs until SIGINT or SIGTERM, closes its sockets and prints its counters on standard error. SIGHUP and
//! SIGUSR1 print the counters too.

mod address;
mod counters;
mod credentials;
mod event_log;
mod limiter;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "serve/metrics/absent.rs"]
mod metrics;
mod rendezvous;
mod settings;
mod settings_file;
mod share;
mod sockets;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "serve/tls/absent.rs"]
mod tls;
mod turn;
mod turn_args;
mod users;
mod worker;

use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::output;
use crate::secret::Secret;
use crate::servers::STUN_PORT;
use crate::signals::{StatusSignal, StopSignal};
use clap::Args;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;
use counters::Snapshot;
use limiter::LimitedLog;
use portolan_machine::{Either, Never, Pair, Protocol, Refusal};
use portolan_punch::rendezvous::Server as Rendezvous;
use portolan_stun_agent::{Mechanism, Rate, Responder, ResponderConfig, ResponderConfigError, ResponderEvent};
use portolan_tokio::{Counters, Driver, DriverConfig};
use rendezvous::{RendezvousArgs, RendezvousError};
use settings::SettingsError;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use tokio::sync::mpsc;
use turn_args::TurnArgs;
use users::UserError;
use worker::Order;

/// The default addresses to listen on: all addresses, port 3478.
const DEFAULT_LISTEN: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), STUN_PORT),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), STUN_PORT),
];

/// Arguments of `portolan serve`.
#[derive(Args, Debug)]
#[cfg_attr(test, derive(Default))]
#[command(after_long_help = help())]
pub(crate) struct ServeArgs {
    /// The addresses to listen on, UDP and TCP; may be given several times; the default is port 3478 on all addresses
    ///
    /// ADDR, ADDR:PORT, `[IPv6]:PORT`, or with a zone `[fe80::1%eth0]:PORT`. The default port is 3478.
    #[arg(short, long, value_name = "ADDR[:PORT]", value_parser = address::parse)]
    pub(crate) listen: Vec<SocketAddr>,
    /// A second address and port for RFC 5780; the n-th belongs to the n-th --listen of the family
    ///
    /// Written as for --listen, with the same default port. The two ports must differ, so one of them must be given.
    #[arg(short, long, value_name = "ADDR[:PORT]", value_parser = address::parse)]
    pub(crate) alternate: Vec<SocketAddr>,
    /// Send PUBLIC to clients instead of LOCAL, for a server behind a 1:1 NAT; both are IP addresses
    ///
    /// With --alternate, give it for both addresses; an address that is public already is advertised as itself.
    #[arg(long, value_name = "LOCAL=PUBLIC", value_parser = advertised)]
    pub(crate) advertise: Vec<(IpAddr, IpAddr)>,
    /// Responses per second to one source (an IPv4 address, an IPv6 /64), twice as many in a burst; or `off`
    #[arg(long, value_name = "N|off", default_value = "200", value_parser = rate, allow_negative_numbers = true)]
    pub(crate) rate: RateLimit,
    /// Maximum number of open TCP connections
    ///
    /// Each connection needs a file descriptor; allow about twice as many (ulimit -n). At the maximum, a new connection
    /// replaces an idle one, or is closed.
    #[arg(long, value_name = "N", default_value = "256", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) streams: u32,
    /// Maximum number of open TCP connections of one source (an IPv4 address, an IPv6 /64)
    ///
    /// At the maximum, a new connection of the source replaces an idle one of the same source, or is closed. While the
    /// value is well below --streams, one source cannot block others. Raise the value if many users share one address
    /// behind the NAT of a carrier.
    #[arg(long, value_name = "N", default_value = "64", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) streams_per_source: u32,
    /// Respond only to this user; may be given several times (other programs can see the password: see --users)
    ///
    /// The first colon ends the name. Characters beyond ASCII are used as they are given. With --realm the credentials
    /// are long-term (RFC 8489 §9.2), without it short-term (§9.1).
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = Secret::parse)]
    pub(crate) user: Vec<Secret>,
    /// A file of users, one NAME:PASSWORD per line; # begins a comment; keep it private (chmod 600)
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// The realm of the users, for example your domain name: makes the credentials long-term
    #[arg(long, value_name = "REALM")]
    pub(crate) realm: Option<String>,
    /// Settings in TOML: a key for each option, such as `listen = ["0.0.0.0"]`; options on the command line win
    ///
    /// Every key is checked. A relative path in the file is relative to the file. SIGHUP reads the file again.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) turn: TurnArgs,
    #[command(flatten)]
    pub(crate) rendezvous: RendezvousArgs,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
With --alternate the server has two addresses with two ports each, and supports the tests of
RFC 5780. Both addresses must belong to this host, and the two ports must differ:
  portolan serve --listen 203.0.113.10:3478 --alternate 203.0.113.11:3479

For a test on loopback:
  portolan serve --listen 127.0.0.1:3478 --alternate 127.0.0.2:3479 &
  portolan nat --server 127.0.0.1

For users only, with a challenge and authenticated responses (RFC 8489 §9.2):
  (umask 077 && echo 'alice:correct horse battery staple' > users)
  portolan serve --listen 203.0.113.10:3478 --realm example.org --users users
An unauthenticated request of 20 bytes gets a challenge of 104 bytes and the realm; --rate limits it.

A TURN server (RFC 8656) for these users; docs/serve.md has the settings, sizing and limits:
  portolan serve --turn --listen 203.0.113.10 --realm example.org --users users

A rendezvous, which introduces the two peers of a room (docs/serve.md):
  portolan serve --listen 203.0.113.10 --rendezvous --rendezvous-secret-file secret

The server prints one line for each address once it listens there. It runs until SIGINT or SIGTERM
and then prints its counters. SIGHUP and SIGUSR1 print the counters and do not end the server. With
--turn, SIGTERM drains, and SIGHUP reads the users, the secrets, the lists of peers and the
certificate again. -v logs what was dropped and why, and the sockets; -vv logs each response too. Of
what is dropped for one reason, at most 10 lines a second are logged, then one line with the number
of the others.

Requests without the magic cookie come from clients of RFC 3489, which is obsolete since 2008. The
server counts them and does not answer; such a client reports that UDP is blocked.

{}",
        exit::help("serve")
    )
}

/// The rate limit for one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub(crate) enum RateLimit {
    /// No limit.
    #[cfg_attr(test, default)]
    Off,
    /// The number of responses per second.
    PerSecond(u32),
}

fn advertised(text: &str) -> Result<(IpAddr, IpAddr), &'static str> {
    const SHAPE: &str = "two IP addresses without ports: LOCAL=PUBLIC, such as 10.0.0.5=203.0.113.10";
    let (local, public) = text.split_once('=').ok_or(SHAPE)?;
    Ok((local.parse().map_err(|_| SHAPE)?, public.parse().map_err(|_| SHAPE)?))
}

fn rate(text: &str) -> Result<RateLimit, &'static str> {
    if text == "off" {
        return Ok(RateLimit::Off);
    }
    let per_second = text.parse().ok().filter(|rate| (1..=1_000_000).contains(rate));
    per_second.map(RateLimit::PerSecond).ok_or("a number of replies from 1 to 1000000, or off")
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("{0}")]
    Config(#[from] ResponderConfigError),
    #[error(
        "--alternate needs --listen: clients must get responses from two known addresses, and the default is all \
         addresses; for example --listen 192.0.2.1:3478 --alternate 192.0.2.2:3479"
    )]
    NoListen,
    #[error(transparent)]
    Users(#[from] UserError),
    #[error(transparent)]
    File(#[from] settings_file::SettingsFileError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Rendezvous(#[from] RendezvousError),
    #[error(transparent)]
    Certificate(#[from] tls::CertificateError),
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    #[error(transparent)]
    Worker(#[from] worker::WorkerError),
    #[error("TLS cannot be set up: {0}")]
    Tls(Box<str>),
    #[error("worker {0} has ended; this is a defect of portolan, so please report the lines above and start it again")]
    WorkerEnded(u16),
    #[error("cannot listen on {local} ({}): {why}; {}", protocol_name(*.protocol), advice(*.why))]
    Listen { local: SocketAddr, protocol: Protocol, why: Refusal },
}

impl ServeError {
    /// The error of the system for a listening socket.
    fn listen(local: SocketAddr, protocol: Protocol, error: &io::Error) -> Self {
        Self::Listen { local, protocol, why: sockets::refusal(error) }
    }
}

impl CommandError for ServeError {}

/// Returns the remedy for a refused listening address.
const fn advice(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::AddressInUse => "end the program that holds it, or choose another port with --listen",
        Refusal::AddressNotAvailable => "name one of this host's own addresses",
        Refusal::PermissionDenied => "ports below 1024 need a privilege; choose a higher port with --listen",
        Refusal::FamilyNotSupported => "name an address of a family that this host has",
        Refusal::TooManySockets => "raise the limit of open files, or listen on fewer addresses",
        Refusal::NoRoute
        | Refusal::ConnectionRefused
        | Refusal::TimedOut
        | Refusal::TlsHandshake(_)
        | Refusal::Unsupported
        | Refusal::Unspecified
        | _ => "choose another address with --listen",
    }
}

/// Serves until the process receives a signal.
pub(crate) async fn run(args: &ServeArgs) -> Result<Exit, Failure> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let merged = args.config.as_deref().map(|file| settings_file::merge(file, &words)).transpose();
    let merged = merged.map_err(ServeError::from)?;
    let args = merged.as_ref().unwrap_or(args);
    args.rendezvous.check(args.turn.turn).map_err(ServeError::from)?;
    if args.turn.turn {
        return turn::run(args, &words).await;
    }
    match args.turn.given(args.rendezvous.rendezvous) {
        Some(name) => Err(ServeError::from(SettingsError::NeedsTurn(name)).into()),
        None => respond(args).await,
    }
}

/// Runs the STUN server, without TURN.
async fn respond(args: &ServeArgs) -> Result<Exit, Failure> {
    if args.listen.is_empty() && !args.alternate.is_empty() {
        return Err(ServeError::NoListen.into());
    }
    let (mut stop, mut status) = (StopSignal::register()?, StatusSignal::register()?);
    let mut config = config(args);
    if let Some((authenticator, users)) =
        users::authenticator(args.realm.as_deref(), &args.user, args.users.as_deref()).map_err(ServeError::from)?
    {
        let (users, realm) = (output::count(users, "user"), args.realm.as_deref().unwrap_or_default());
        match authenticator.mechanism() {
            Mechanism::ShortTerm => {
                output::print_diagnostic(format_args!("responding to {users} (short-term credentials)"))
            }
            Mechanism::LongTerm => output::print_diagnostic(format_args!("responding to {users} of the realm {realm}")),
        }
        config = config.credentials(authenticator);
    }
    let responder = Responder::new(&config).map_err(ServeError::from)?;
    let rendezvous = args.rendezvous.server(rate_of(args)).map_err(ServeError::from)?;
    let mut orders = serve_metrics(args)?;
    let log = LimitedLog::default();
    let driver_config = driver_config(args).with_trace(log.clone());
    let mut driver = Driver::with_config(node(rendezvous, responder), driver_config)?;
    // A new responder can always be started.
    let _ = driver.with(|node, cx| responder_mut(node).start(cx));
    let mut handler = EventHandler { is_default: args.listen.is_empty(), refused: 0 };
    loop {
        tokio::select! {
            event = driver.next() => handler.handle(responder_event(event))?,
            () = log.window_ended() => log.print_ended(driver.now()),
            Some(order) = orders.recv() => answer(order, driver.machine(), driver.counters()),
            _ = status.received() => print_counters(driver.machine(), driver.counters()),
            () = stop.received() => break,
        }
    }
    tracing::info!(target: "portolan", "received a stop signal, closing all sockets");
    let _ = driver.with(|node, _| responder_mut(node).stop());
    let (counters, now) = (driver.counters(), driver.now());
    let node = driver.shutdown().await;
    log.print_rest(now);
    print_counters(&node, counters);
    Ok(Exit::Success)
}

/// Serves the metrics of a rendezvous, if they are configured. Returns the requests for counters.
fn serve_metrics(args: &ServeArgs) -> Result<mpsc::Receiver<Order>, Failure> {
    let (sender, orders) = mpsc::channel(ORDERS);
    if let Some(local) = args.turn.metrics {
        let listener = metrics::bind(local).map_err(ServeError::from)?;
        if let Some(local) = metrics::address(&listener) {
            output::print_diagnostic(format_args!("metrics at http://{local}/metrics"));
        }
        tokio::spawn(metrics::serve(listener, [sender].into()));
    }
    Ok(orders)
}

/// Returns the counters to the metrics.
fn answer(order: Order, node: &Node, driver: Counters) {
    match order {
        Order::Snapshot(reply) => {
            let rendezvous = node.as_second().map(|pair| pair.first.stats());
            // The asker can have given up.
            let _ = reply.send(Snapshot { driver, rendezvous, ..Snapshot::default() });
        }
        // A server without workers has no other orders.
        Order::Drain | Order::Reload(_) | Order::Stop => {}
    }
}

/// The number of requests for counters that can wait.
const ORDERS: usize = 16;

/// The STUN server, alone or behind the rendezvous on the same sockets.
type Node = Either<Responder, Pair<Rendezvous, Responder>>;

fn node(rendezvous: Option<Rendezvous>, responder: Responder) -> Node {
    match rendezvous {
        None => Either::First(responder),
        Some(rendezvous) => Either::Second(Pair::new(rendezvous, responder)),
    }
}

const fn responder_mut(node: &mut Node) -> &mut Responder {
    match node {
        Either::First(responder) => responder,
        Either::Second(pair) => &mut pair.second,
    }
}

/// The rendezvous has no events.
const fn responder_event(event: Either<ResponderEvent, Either<Never, ResponderEvent>>) -> ResponderEvent {
    match event {
        Either::First(event) | Either::Second(Either::Second(event)) => event,
        Either::Second(Either::First(never)) => match never {},
    }
}

/// Prints the counters of the responder and of the driver in one line, and those of the rendezvous in another one.
fn print_counters(node: &Node, driver: Counters) {
    let responder = match node {
        Either::First(responder) => responder,
        Either::Second(pair) => {
            output::print_diagnostic(format_args!("{}", pair.first.stats()));
            &pair.second
        }
    };
    output::print_diagnostic(format_args!(
        "{}; {} open; accepting: {} over the limit of their source, {} times without a free file descriptor, {} times \
         failed; sending: {} dropped at a full buffer",
        responder.stats(),
        output::count(responder.streams(), "stream"),
        driver.too_many_streams,
        driver.no_descriptors,
        driver.accept_failed,
        driver.full,
    ));
}

fn rate_of(args: &ServeArgs) -> Option<Rate> {
    match args.rate {
        RateLimit::Off => None,
        RateLimit::PerSecond(replies) => NonZeroU32::new(replies).map(Rate::per_second),
    }
}

fn config(args: &ServeArgs) -> ResponderConfig {
    let listen = if args.listen.is_empty() { &DEFAULT_LISTEN[..] } else { &args.listen };
    let mut config = ResponderConfig::new()
        .rate(rate_of(args))
        .streams(count(args.streams))
        .streams_per_source(count(args.streams_per_source));
    for local in listen {
        config = config.listen(*local);
    }
    for local in &args.alternate {
        config = config.alternate(*local);
    }
    for (local, public) in &args.advertise {
        config = config.advertise(*local, *public);
    }
    config
}

fn driver_config(args: &ServeArgs) -> DriverConfig {
    driver_limits(count(args.streams), count(args.streams_per_source))
}

/// Returns the limits of the driver, which are above those of the machine. The driver still counts a stream that the
/// machine closes to make room, and a new stream is open before the machine decides which one to close.
fn driver_limits(streams: usize, streams_per_source: usize) -> DriverConfig {
    const ABOVE: usize = 2;
    DriverConfig::default()
        .with_stream_limit(streams.saturating_mul(ABOVE))
        .with_streams_per_source(streams_per_source.saturating_mul(ABOVE))
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Handles the events of the responder.
struct EventHandler {
    /// The user gave no address to listen on, so one of the two families may be missing.
    is_default: bool,
    refused: usize,
}

impl EventHandler {
    fn handle(&mut self, event: ResponderEvent) -> Result<(), Failure> {
        match event {
            ResponderEvent::Listening { protocol, local, .. } => {
                tracing::info!(target: "portolan", "listening on {local} ({})", protocol_name(protocol));
                // The responder opens TCP after UDP, so now both listen on the address.
                if protocol == Protocol::TcpListen {
                    output::print(&format!("listening on {local} (udp, tcp)\n"))?;
                }
            }
            ResponderEvent::Stopped => {}
            ResponderEvent::Refused { protocol, local, why } => self.refused(protocol, local, why)?,
            ResponderEvent::Lost { protocol, local, why } => {
                output::print_diagnostic(format_args!(
                    "no longer listening on {local} ({}): {why}",
                    protocol_name(protocol)
                ));
            }
            // The enum may grow. No other event ends a server.
            _ => {}
        }
        Ok(())
    }

    fn refused(&mut self, protocol: Protocol, local: SocketAddr, why: Refusal) -> Result<(), Failure> {
        self.refused += 1;
        let missing = matches!(why, Refusal::FamilyNotSupported | Refusal::AddressNotAvailable);
        if self.is_default && missing && self.refused < DEFAULT_LISTEN.len() {
            output::print_diagnostic(format_args!("not listening on {local}: {why}"));
            return Ok(());
        }
        Err(ServeError::Listen { local, protocol, why }.into())
    }
}

const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "udp",
        Protocol::Tcp | Protocol::TcpListen => "tcp",
        Protocol::Tls | Protocol::TlsListen => "tls",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertised_addresses_and_rates_are_parsed() {
        let pair = ("10.0.0.5".parse().unwrap(), "203.0.113.10".parse().unwrap());
        assert_eq!(advertised("10.0.0.5=203.0.113.10"), Ok(pair));
        for half in ["10.0.0.5", "10.0.0.5=", "=203.0.113.10", "10.0.0.5:1=203.0.113.10:1", "a=b", ""] {
            assert!(advertised(half).is_err(), "{half:?}");
        }
        assert_eq!(rate("off"), Ok(RateLimit::Off));
        assert_eq!(rate("50"), Ok(RateLimit::PerSecond(50)));
    }
}
