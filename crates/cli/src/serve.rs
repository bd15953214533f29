//! `portolan serve`: a STUN server on this host's addresses, with RFC 5780 where it has two.
//!
//! One line on standard output for each address once UDP and TCP listen there, so that a script can wait for it. It
//! runs until SIGINT or SIGTERM, closes its sockets and says on standard error what it counted.

mod users;

use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use crate::output;
use crate::secret::Secret;
use crate::signals::End;
use clap::Args;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;
use portolan_machine::{Protocol, Refusal};
use portolan_stun_agent::{
    Mechanism, Rate, Responder, ResponderCommand, ResponderConfig, ResponderConfigError, ResponderEvent,
};
use portolan_tokio::{Driver, DriverConfig};
use std::path::PathBuf;
use users::UserError;

/// Where to listen when nobody says: all addresses, the port of STUN.
const EVERYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3478),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 3478),
];

/// Arguments of `portolan serve`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct ServeArgs {
    /// Where to listen, UDP and TCP; may be given several times; without it port 3478 of all addresses
    #[arg(short, long, value_name = "ADDR:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Another address and another port, for RFC 5780; paired with --listen in order, within a family
    #[arg(short, long, value_name = "ADDR:PORT")]
    pub(crate) alternate: Vec<SocketAddr>,
    /// Say PUBLIC where the socket has LOCAL, for a server behind a 1:1 NAT; both are IP addresses
    #[arg(long, value_name = "LOCAL=PUBLIC", value_parser = advertised)]
    pub(crate) advertise: Vec<(IpAddr, IpAddr)>,
    /// Replies a second for one source (an IPv4 address, an IPv6 /64), with twice as many in a burst; or `off`
    #[arg(long, value_name = "N|off", default_value = "200", value_parser = rate)]
    pub(crate) rate: RateLimit,
    /// TCP connections open at once
    ///
    /// Each takes a file descriptor: about twice as many must be allowed (ulimit -n). At this number a new connection
    /// takes the place of a silent one, or is closed.
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) streams: u32,
    /// TCP connections of one source (an IPv4 address, an IPv6 /64) open at once
    ///
    /// At this number a new connection of the source takes the place of a silent one of its own, or is closed. While this
    /// is well below --streams, one source cannot shut out others. Raise it where many users share one address behind a
    /// carrier's NAT.
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) streams_per_source: u32,
    /// Answer only those who prove to be this user; may be given several times (other programs can see it: see --users)
    ///
    /// The name ends at the first colon. Name and password beyond ASCII are used as they are given. With --realm the
    /// credentials are long-term ones (RFC 8489 §9.2), without it short-term ones (§9.1).
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = Secret::parse)]
    pub(crate) user: Vec<Secret>,
    /// The users in a file, one NAME:PASSWORD a line; # begins a comment; nobody else may read it (chmod 600)
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// The realm of the users, best a domain name of yours: long-term credentials
    #[arg(long, value_name = "REALM")]
    pub(crate) realm: Option<String>,
}

const HELP: &str = "\
With an --alternate the server has two addresses × two ports and answers the tests of RFC 5780;
both addresses must be this host's own, and the two ports differ:
  portolan serve --listen 203.0.113.10:3478 --alternate 203.0.113.11:3479

On loopback, to try it:
  portolan serve --listen 127.0.0.1:3478 --alternate 127.0.0.2:3479 &
  portolan nat --server 127.0.0.1

For users only, who are challenged and get signed answers (RFC 8489 §9.2):
  (umask 077 && echo 'alice:correct horse battery staple' > users)
  portolan serve --listen 203.0.113.10:3478 --realm example.org --users users
Whoever has not signed a request of 20 bytes gets a challenge of 104 and the realm, under --rate.

It prints a line for each address once it listens, and ends on SIGINT or SIGTERM with its counters.
Exit codes: 0 ended by a signal, 2 could not run.";

/// How often one source is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateLimit {
    /// As often as it asks.
    Off,
    /// So many times a second.
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
    #[error(transparent)]
    Users(#[from] UserError),
    #[error("cannot listen on {local} ({protocol}): {why}; {}", advice(*.why))]
    Listen { local: SocketAddr, protocol: &'static str, why: Refusal },
}

impl CommandError for ServeError {}

/// What to do about a listening address that was refused.
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

/// Serves until the process is to end.
pub(crate) async fn run(args: &ServeArgs) -> Result<Exit, Failure> {
    let mut end = End::listen()?;
    let mut config = config(args);
    if let Some((authenticator, users)) =
        users::authenticator(args.realm.as_deref(), &args.user, args.users.as_deref()).map_err(ServeError::from)?
    {
        let (s, realm) = (if users == 1 { "" } else { "s" }, args.realm.as_deref().unwrap_or_default());
        match authenticator.mechanism() {
            Mechanism::ShortTerm => output::complain(format_args!("answering {users} user{s} (short-term)")),
            Mechanism::LongTerm => output::complain(format_args!("answering {users} user{s} of the realm {realm}")),
        }
        config = config.credentials(authenticator);
    }
    let mut driver = Driver::with_config(Responder::new(&config).map_err(ServeError::from)?, config_of_driver(args))?;
    // A responder that has just been made can be started.
    let _ = driver.command(ResponderCommand::Start);
    let mut serving = Serving { by_default: args.listen.is_empty(), refused: 0 };
    loop {
        tokio::select! {
            event = driver.next() => serving.hear(event)?,
            () = end.wanted() => break,
        }
    }
    let _ = driver.command(ResponderCommand::Stop);
    let responder = driver.shutdown().await;
    output::complain(responder.stats());
    Ok(Exit::Done)
}

fn config(args: &ServeArgs) -> ResponderConfig {
    let rate = match args.rate {
        RateLimit::Off => None,
        RateLimit::PerSecond(replies) => NonZeroU32::new(replies).map(Rate::per_second),
    };
    let listen = if args.listen.is_empty() { &EVERYWHERE[..] } else { &args.listen };
    let mut config = ResponderConfig::new()
        .rate(rate)
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

/// Returns the driver's limits, above those of the responder: a stream that the responder closes to make room lingers for
/// a moment, and a new stream is heard of before the responder decides which one has to go.
fn config_of_driver(args: &ServeArgs) -> DriverConfig {
    const ABOVE: u32 = 2;
    DriverConfig::default()
        .with_stream_limit(count(args.streams.saturating_mul(ABOVE)))
        .with_streams_per_source(count(args.streams_per_source.saturating_mul(ABOVE)))
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What has been heard of the sockets so far.
struct Serving {
    /// Nobody said where to listen: a family that the host has not may be missing.
    by_default: bool,
    refused: usize,
}

impl Serving {
    fn hear(&mut self, event: ResponderEvent) -> Result<(), Failure> {
        match event {
            // TCP is asked for once UDP is there: with it the address is complete.
            ResponderEvent::Listening { protocol: Protocol::TcpListen, local, .. } => {
                output::print(&format!("listening on {local} (udp, tcp)\n"))?;
            }
            ResponderEvent::Listening { .. } | ResponderEvent::Stopped => {}
            ResponderEvent::Refused { protocol, local, why } => self.refused(protocol, local, why)?,
            ResponderEvent::Lost { protocol, local, why } => {
                output::complain(format_args!("no longer listening on {local} ({}): {why}", word(protocol)));
            }
            // The set may grow; nothing else ends a server.
            _ => {}
        }
        Ok(())
    }

    fn refused(&mut self, protocol: Protocol, local: SocketAddr, why: Refusal) -> Result<(), Failure> {
        self.refused += 1;
        let missing = matches!(why, Refusal::FamilyNotSupported | Refusal::AddressNotAvailable);
        if self.by_default && missing && self.refused < EVERYWHERE.len() {
            output::complain(format_args!("not listening on {local}: {why}"));
            return Ok(());
        }
        Err(ServeError::Listen { local, protocol: word(protocol), why }.into())
    }
}

const fn word(protocol: Protocol) -> &'static str {
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
        assert!(advertised("10.0.0.5:1=203.0.113.10:1").is_err());
        assert_eq!(rate("off"), Ok(RateLimit::Off));
        assert_eq!(rate("50"), Ok(RateLimit::PerSecond(50)));
    }
}
