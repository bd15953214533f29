//! `portolan punch`: connects two hosts behind NATs by UDP hole punching, and pipes standard input and output.
//!
//! The machine [`Session`] makes all decisions. When a path is open, its socket is released
//! and [`pipe`] runs QUIC on it. With `--datagrams` the session keeps the socket, and each line is one datagram.

#[cfg(feature = "tls")]
mod pipe;

use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::ice::interfaces;
use crate::options::seconds;
use crate::output;
use crate::resolve::resolve;
use crate::secret::{self, Secret, SecretError};
use crate::servers::ServerName;
use clap::Args;
use core::net::IpAddr;
use core::time::Duration;
use portolan_machine::Transmit;
use portolan_nat::profile::Family;
use portolan_punch::card::{Card, CardError};
use portolan_punch::puncher::{Path, PunchEvent};
use portolan_punch::rendezvous::{EndReason, room_password};
use portolan_punch::session::{Session, SessionCommand, SessionConfig, SessionEnd, SessionEvent};
use portolan_tokio::Driver;
use std::ffi::OsString;
use std::io::{self, BufRead as _};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Arguments of `portolan punch`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct PunchArgs {
    /// The rendezvous: a host with `portolan serve --rendezvous`; default port 3478
    #[arg(long, value_name = "HOST[:PORT]")]
    rendezvous: ServerName,
    /// The name of the room, 1 to 64 bytes; the other host gives the same name
    #[arg(long, value_name = "NAME")]
    room: String,
    /// A file with the secret of the rendezvous in its first line; keep it private (chmod 600)
    #[arg(long, value_name = "FILE", required_unless_present = "secret", conflicts_with = "secret")]
    secret_file: Option<PathBuf>,
    /// The secret of the rendezvous; other programs can see it, so prefer --secret-file
    #[arg(long, value_name = "SECRET", value_parser = Secret::parse)]
    secret: Option<Secret>,
    /// A file with a secret of the two hosts that the rendezvous does not know; at least 20 random characters
    ///
    /// Without it, a host with the secret of the rendezvous can read and change the data.
    #[arg(long, value_name = "FILE")]
    peer_secret_file: Option<PathBuf>,
    /// The NAT card of this host, as `portolan nat --card` prints it
    #[arg(long, value_name = "CARD", value_parser = card)]
    card: Option<Card>,
    /// Allow to guess ports: up to 512 NAT mappings and 2,048 sessions at 100 packets/s; both hosts must allow it
    #[arg(long)]
    guess: bool,
    /// Use this address of the host instead of all addresses; repeat for more addresses
    #[arg(long, value_name = "ADDR")]
    address: Vec<IpAddr>,
    /// The longest wait for the other host, in seconds
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "60", allow_negative_numbers = true)]
    wait: Duration,
    /// Send each line as one datagram, without QUIC: not encrypted, and datagrams may be lost
    #[arg(long, conflicts_with = "command")]
    datagrams: bool,
    /// A command that gets the pipe as its standard input and output
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn card(text: &str) -> Result<Card, CardError> {
    text.trim().parse()
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
Both hosts run the command with the same rendezvous, room and secrets. The data is encrypted and
arrives in order (QUIC). The command ends when both directions have ended: give it an input that
ends, such as < /dev/null.

{}

Examples:
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret < photo.jpg
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret < /dev/null > photo.jpg
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret -- tar -cf - photos",
        exit::help("punch")
    )
}

/// Why the command ends without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PunchError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("{} has no secret; write it into the first line", .0.display())]
    NoSecret(PathBuf),
    #[error("the addresses of this host cannot be read: {0}; give them with --address")]
    Interfaces(io::Error),
    #[error("{0}")]
    Ended(SessionEnd),
    #[error("{0}; use a relay (portolan ice with a TURN server), forward a port at one NAT, or use IPv6 on both hosts")]
    NotConnected(SessionEnd),
    #[cfg(feature = "tls")]
    #[error("the socket of the path is gone")]
    NoSocket,
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Pipe(#[from] pipe::PipeError),
    #[cfg(not(feature = "tls"))]
    #[error(
        "this portolan was built without TLS, which the pipe needs; use --datagrams, or build it with the feature tls"
    )]
    WithoutTls,
}

impl CommandError for PunchError {
    fn exit(&self) -> Exit {
        match self {
            Self::Ended(SessionEnd::Rendezvous(EndReason::NoPeer)) => Exit::Inconclusive,
            Self::NotConnected(_) => Exit::Negative,
            #[cfg(feature = "tls")]
            Self::Pipe(why) => why.exit(),
            _ => Exit::CouldNotRun,
        }
    }
}

/// Connects, and carries the data.
pub(crate) async fn run(args: &PunchArgs) -> Result<Exit, Failure> {
    let mut driver = Driver::new(Session::new(config(args).await?))?;
    // A new session accepts the command.
    let _started = driver.command(SessionCommand::Start);
    let path = connect(&mut driver).await?;
    if args.datagrams {
        return Ok(lines(&mut driver, path).await?);
    }
    piped(args, driver, path).await
}

async fn config(args: &PunchArgs) -> Result<SessionConfig, PunchError> {
    let first = |file: &PathBuf| {
        let lines = secret::read(file)?.lines();
        lines.into_iter().next().ok_or_else(|| PunchError::NoSecret(file.clone()))
    };
    let secret = match (&args.secret, &args.secret_file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(file)) => first(file)?,
        (None, None) => return Err(PunchError::NoSecret(PathBuf::new())),
    };
    let resolved = resolve(&args.rendezvous, &[Family::V4, Family::V6], LOOKUP).await;
    let found = resolved.servers.first().and_then(|server| server.addresses.first().copied());
    let rendezvous = found.ok_or_else(|| {
        let why = resolved.unresolved.first().map(ToString::to_string);
        PunchError::Unresolved(why.unwrap_or_else(|| format!("{} has no address", args.rendezvous)).into())
    })?;
    let hosts = if args.address.is_empty() {
        let all = interfaces::all().map_err(PunchError::Interfaces)?;
        all.into_iter().map(|interface| interface.address).filter(is_useful).collect()
    } else {
        args.address.clone()
    };
    let password = room_password(secret.reveal().as_bytes(), &args.room);
    let mut config = SessionConfig::new(rendezvous, &args.room, &password)
        .card(args.card.clone().unwrap_or_default())
        .hosts(hosts)
        .may_guess(args.guess)
        .wait(args.wait);
    if let Some(file) = &args.peer_secret_file {
        config = config.peer_secret(first(file)?.reveal().as_bytes());
    }
    Ok(config)
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

/// Runs the session until a path is open, and prints the progress on standard error.
async fn connect(driver: &mut Driver<Session>) -> Result<Path, PunchError> {
    loop {
        match driver.next().await {
            SessionEvent::Registered { reflexive } => {
                output::print_diagnostic(format_args!(
                    "the public endpoint is {reflexive}; waiting for the other host"
                ));
            }
            SessionEvent::Introduced { peer, has_card } => {
                let card = if has_card { "" } else { ", without a NAT card" };
                output::print_diagnostic(format_args!("the other host is at {peer}{card}"));
            }
            SessionEvent::Punch(PunchEvent::Planned(plan)) => {
                let (verdict, reason, limit) = (plan.forecast.verdict, plan.forecast.reason, plan.limit);
                output::print_diagnostic(format_args!("forecast: {verdict} ({reason}); at most {limit}"));
            }
            SessionEvent::Punch(PunchEvent::Trying(strategy)) => output::print_diagnostic(strategy),
            SessionEvent::Punch(PunchEvent::Connected { path, elapsed }) => {
                let millis = elapsed.as_millis();
                output::print_diagnostic(format_args!("connected to {} after {millis} ms", path.remote));
                return Ok(path);
            }
            SessionEvent::Ended(end @ SessionEnd::NotConnected { .. }) => return Err(PunchError::NotConnected(end)),
            SessionEvent::Ended(end) => return Err(PunchError::Ended(end)),
            SessionEvent::Punch(_) | _ => {}
        }
    }
}

/// Sends each line of the input as a datagram, and prints each datagram as a line. Ends at the end of the input.
async fn lines(driver: &mut Driver<Session>, mut path: Path) -> Result<Exit, PunchError> {
    let (sender, mut input) = mpsc::channel(64);
    // Reading blocks, and cannot be cancelled. The process does not wait for this thread.
    std::thread::spawn(move || {
        let lines = io::stdin().lock().split(b'\n');
        lines.map_while(Result::ok).try_for_each(|line| sender.blocking_send(line))
    });
    loop {
        let event = tokio::select! {
            line = input.recv() => match line {
                Some(line) => {
                    let sent = driver.send(Transmit::new(path.socket, path.remote, line.into()));
                    if let Err(why) = sent {
                        output::print_diagnostic(format_args!("a line was not sent: {why}"));
                    }
                    continue;
                }
                None => return Ok(Exit::Success),
            },
            event = driver.next() => event,
        };
        match event {
            SessionEvent::Punch(PunchEvent::Data { payload, .. }) => {
                let text = [&payload, &b"\n"[..]].concat();
                if output::write(&text).is_err() {
                    return Ok(Exit::Success);
                }
            }
            SessionEvent::Punch(PunchEvent::Connected { path: new, .. }) => path = new,
            SessionEvent::Ended(end) => return Err(PunchError::NotConnected(end)),
            SessionEvent::Registered { .. } | SessionEvent::Introduced { .. } | SessionEvent::Punch(_) | _ => {}
        }
    }
}

/// Releases the socket of the path, and runs the pipe on it.
#[cfg(feature = "tls")]
async fn piped(args: &PunchArgs, mut driver: Driver<Session>, path: Path) -> Result<Exit, Failure> {
    let session = driver.machine();
    let (key, is_first) = (session.key().map(|key| key.derive("portolan punch quic")), session.is_first());
    // A session with a path accepts the command.
    let _released = driver.command(SessionCommand::Release);
    let (Some(key), Some(socket)) = (key, driver.release_udp(path.socket)) else {
        return Err(PunchError::NoSocket.into());
    };
    drop(driver);
    let ends = pipe::Ends { socket, remote: path.remote, is_client: is_first, key };
    pipe::run(ends, &args.command).await.map_err(PunchError::Pipe)?;
    Ok(Exit::Success)
}

/// The pipe needs TLS.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the other build waits for the pipe")]
async fn piped(_: &PunchArgs, _: Driver<Session>, _: Path) -> Result<Exit, Failure> {
    Err(PunchError::WithoutTls.into())
}
