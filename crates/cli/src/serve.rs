//! `portolan serve`: a STUN server on this host's addresses, with RFC 5780 where it has two.
//!
//! One line on standard output for each address once UDP and TCP listen there, so that a script can wait for it. It
//! runs until SIGINT or SIGTERM, closes its sockets and says on standard error what it counted.

mod users;

pub(crate) use users::UsersFault;

use crate::args::{RateLimit, ServeArgs};
use crate::error::Complaint;
use crate::exit::Exit;
use crate::output;
use crate::signals::End;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;
use portolan_machine::{Protocol, Refusal};
use portolan_stun_agent::Mechanism;
use portolan_stun_agent::{Rate, Responder, ResponderCommand, ResponderConfig, ResponderEvent};
use portolan_tokio::{Driver, DriverConfig};

/// Where to listen when nobody says: all addresses, the port of STUN.
const EVERYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3478),
    SocketAddr::new(core::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 3478),
];

/// Serves until the process is to end.
pub(crate) async fn run(args: &ServeArgs) -> Result<Exit, Complaint> {
    let mut end = End::listen()?;
    let mut config = config(args);
    if let Some((authenticator, users)) =
        users::authenticator(args.realm.as_deref(), &args.user, args.users.as_deref())?
    {
        let (s, realm) = (if users == 1 { "" } else { "s" }, args.realm.as_deref().unwrap_or_default());
        match authenticator.mechanism() {
            Mechanism::ShortTerm => output::complain(format_args!("answering {users} user{s} (short-term)")),
            Mechanism::LongTerm => output::complain(format_args!("answering {users} user{s} of the realm {realm}")),
        }
        config = config.credentials(authenticator);
    }
    let mut driver = Driver::with_config(Responder::new(&config)?, config_of_driver(args))?;
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
    fn hear(&mut self, event: ResponderEvent) -> Result<(), Complaint> {
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

    fn refused(&mut self, protocol: Protocol, local: SocketAddr, why: Refusal) -> Result<(), Complaint> {
        self.refused += 1;
        let missing = matches!(why, Refusal::FamilyNotSupported | Refusal::AddressNotAvailable);
        if self.by_default && missing && self.refused < EVERYWHERE.len() {
            output::complain(format_args!("not listening on {local}: {why}"));
            return Ok(());
        }
        Err(Complaint::Listen { local, protocol: word(protocol), why })
    }
}

const fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "udp",
        Protocol::Tcp | Protocol::TcpListen => "tcp",
        Protocol::Tls | Protocol::TlsListen => "tls",
    }
}
