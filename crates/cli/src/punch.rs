//! `portolan punch`: connects two hosts behind NATs by UDP hole punching, and pipes standard input and output.
//!
//! The machine [`Session`] makes all decisions. When a path is open, its socket is released
//! and [`pipe`] runs QUIC on it. With `--datagrams` the session keeps the socket, and each line is one datagram. With
//! `--hold` the session keeps the socket, and there is no data.

mod args;
mod error;
mod hold;
mod lines;
#[cfg(feature = "tls")]
mod pipe;
mod report;
mod steps;

use crate::error::Failure;
use crate::exit::Exit;
use crate::ice::interfaces;
use crate::nat;
use crate::resolve::resolve;
use crate::secret;
pub(crate) use args::PunchArgs;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use error::PunchError;
use portolan_nat::profile::Family;
use portolan_punch::card::Card;
use portolan_punch::forecast::Conditions;
use portolan_punch::puncher::{Path, PunchEvent};
use portolan_punch::rendezvous::room_password;
use portolan_punch::session::{Session, SessionCommand, SessionConfig, SessionEvent};
use portolan_tokio::{Driver, DriverConfig};
use report::Reporter;
use std::net::UdpSocket;
use std::path::PathBuf;

/// Connects, and carries the data.
pub(crate) async fn run(args: &PunchArgs) -> Result<Exit, Failure> {
    let mut reporter = Reporter::new(args);
    let result = attempt(args, &mut reporter).await;
    reporter.end(result)
}

async fn attempt(args: &PunchArgs, reporter: &mut Reporter) -> Result<(), PunchError> {
    let (password, peer_secret) = secrets(args)?;
    let rendezvous = rendezvous(args).await?;
    let card = match &args.card {
        Some(card) => card.clone(),
        None if args.measure => {
            let card = nat::measure_card(&args.server, args.guess).await.map_err(PunchError::Measure)?;
            reporter.measured(&card);
            card
        }
        None => Card::default(),
    };
    reporter.begin(rendezvous, &card);
    let mut config = SessionConfig::new(rendezvous, &args.room, &password)
        .card(card)
        .hosts(hosts(args)?)
        .may_guess(args.guess)
        .conditions(Conditions { budget: args.budget.unwrap_or_default(), ..Conditions::default() })
        .wait(args.wait);
    if let Some(secret) = peer_secret {
        config = config.peer_secret(secret.as_bytes());
    }
    let driver = match reporter.trace() {
        Some(notes) => DriverConfig::default().with_trace(notes),
        None => DriverConfig::default(),
    };
    let mut driver = Driver::with_config(Session::new(config), driver).map_err(PunchError::Start)?;
    // A new session accepts the command.
    let _started = driver.command(SessionCommand::Start);
    let connected = connect(&mut driver, reporter).await;
    reporter.used(driver.machine());
    let path = connected?;
    if args.datagrams || args.hold {
        let result = if args.hold {
            hold::run(&mut driver, path, reporter).await
        } else {
            lines::run(&mut driver, path, reporter).await
        };
        reporter.used(driver.machine());
        return result;
    }
    piped(args, driver, path).await
}

/// The password of the room, and the secret of the two hosts.
fn secrets(args: &PunchArgs) -> Result<(String, Option<String>), PunchError> {
    let first = |file: &PathBuf| {
        let lines = secret::read(file)?.lines();
        lines.into_iter().next().ok_or_else(|| PunchError::NoSecret(file.clone()))
    };
    let secret = match (&args.secret, &args.secret_file) {
        (Some(secret), _) if secret.reveal().is_empty() => return Err(PunchError::EmptySecret),
        (Some(secret), _) => secret.clone(),
        (None, Some(file)) => first(file)?,
        (None, None) => return Err(PunchError::EmptySecret),
    };
    let peer = args.peer_secret_file.as_ref().map(first).transpose()?;
    let password = room_password(secret.reveal().as_bytes(), &args.room);
    Ok((password, peer.map(|secret| secret.reveal().to_owned())))
}

/// The first address of the rendezvous to which this host has a route.
async fn rendezvous(args: &PunchArgs) -> Result<SocketAddr, PunchError> {
    let resolved = resolve(&args.rendezvous, &[Family::V4, Family::V6], LOOKUP).await;
    let addresses = resolved.servers.first().map(|server| server.addresses.clone()).unwrap_or_default();
    if addresses.is_empty() {
        let why = resolved.unresolved.first().map(ToString::to_string);
        return Err(PunchError::Unresolved(why.unwrap_or_else(|| no_address(args)).into()));
    }
    addresses.iter().copied().find(has_route).ok_or_else(|| {
        let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        PunchError::NoRoute(all.join(", ").into())
    })
}

fn no_address(args: &PunchArgs) -> String {
    format!("{} has no address; name another rendezvous with --rendezvous", args.rendezvous)
}

/// Whether the system has a route to an address. Connecting a UDP socket sends nothing.
fn has_route(remote: &SocketAddr) -> bool {
    let any = if remote.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    UdpSocket::bind(SocketAddr::new(any, 0)).is_ok_and(|socket| socket.connect(remote).is_ok())
}

/// The addresses of this host that the other host may try.
fn hosts(args: &PunchArgs) -> Result<Vec<IpAddr>, PunchError> {
    if !args.address.is_empty() {
        return Ok(args.address.clone());
    }
    let all = interfaces::all().map_err(PunchError::Interfaces)?;
    Ok(all.into_iter().map(|interface| interface.address).filter(is_useful).collect())
}

/// The longest lookup of the name of the rendezvous.
const LOOKUP: Duration = Duration::from_secs(5);

/// Whether another host can send to this address.
fn is_useful(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

/// Runs the session until a path is open, and prints the progress.
async fn connect(driver: &mut Driver<Session>, reporter: &mut Reporter) -> Result<Path, PunchError> {
    let notes = reporter.notes();
    loop {
        let event = tokio::select! {
            biased;
            event = driver.next() => event,
            () = notes.recorded() => {
                reporter.flush();
                continue;
            }
        };
        reporter.event(&event, driver.machine());
        match event {
            SessionEvent::Punch(PunchEvent::Connected { path, .. }) => return Ok(path),
            SessionEvent::Ended(end) => return Err(PunchError::ended(end, reporter.plan())),
            SessionEvent::Registered { .. } | SessionEvent::Introduced { .. } | SessionEvent::Punch(_) | _ => {}
        }
    }
}

/// Releases the socket of the path, and runs the pipe on it.
#[cfg(feature = "tls")]
async fn piped(args: &PunchArgs, mut driver: Driver<Session>, path: Path) -> Result<(), PunchError> {
    let session = driver.machine();
    let (key, is_first) = (session.key().map(|key| key.derive("portolan punch quic")), session.is_first());
    // A session with a path accepts the command.
    let _released = driver.command(SessionCommand::Release);
    let (Some(key), Some(socket)) = (key, driver.release_udp(path.socket)) else {
        return Err(PunchError::SocketGone);
    };
    drop(driver);
    let ends = pipe::Ends { socket, remote: path.remote, is_client: is_first, key };
    Ok(pipe::run(ends, &args.command).await?)
}

/// The pipe needs TLS.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the other build waits for the pipe")]
async fn piped(_: &PunchArgs, _: Driver<Session>, _: Path) -> Result<(), PunchError> {
    Err(PunchError::WithoutTls)
}
