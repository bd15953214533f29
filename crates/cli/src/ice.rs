//! `portolan ice`: connects to a peer by ICE, and carries lines of text.
//!
//! The machine [`Connection`](portolan_connect::Connection) makes all decisions. [`message`] has the signalling messages,
//! [`description`] the session descriptions, [`session`] applies messages and events. This file reads standard input and
//! runs the driver. In the human format the messages are the same lines, with hints on standard error.

mod description;
pub(crate) mod interfaces;
mod message;
mod offers;
mod servers;
mod session;

use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::{DocumentFormat, seconds};
use crate::output;
use crate::resolve::{Lookup, System};
use crate::secret::{Secret, SecretError};
use clap::{Args, ValueEnum};
use core::net::IpAddr;
use core::time::Duration;
use message::{IceServer, Incoming, Outgoing, Role, Start, TransportPolicy, Urls};
use portolan_ice::{AgentState, Policy};
use portolan_tokio::Driver;
use session::{Options, Session, SessionError};
use std::io::{self, BufRead, Read as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Arguments of `portolan ice`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct IceArgs {
    /// A STUN server, default port 3478; repeat for more servers
    #[arg(long, value_name = "HOST[:PORT]")]
    stun: Vec<String>,
    /// A TURN server: a `turn:` or `turns:` URI (RFC 7065); repeat for more servers with the same user
    #[arg(long, value_name = "URI", requires = "user")]
    turn: Vec<String>,
    /// The user name at the TURN servers
    #[arg(long, value_name = "NAME", requires = "turn")]
    user: Option<String>,
    /// The password at the TURN servers; other programs can see it, so prefer --password-file
    #[arg(long, value_name = "PASSWORD", value_parser = Secret::parse, requires = "user")]
    password: Option<Secret>,
    /// A file with the password in its first line; keep it private (chmod 600)
    #[arg(long, value_name = "FILE", requires = "user", conflicts_with = "password")]
    password_file: Option<std::path::PathBuf>,
    /// Use this address of the host instead of all addresses; repeat for more addresses
    #[arg(long, value_name = "ADDR")]
    address: Vec<IpAddr>,
    /// Use relayed candidates only, so that the peer does not learn the addresses of this host
    #[arg(long)]
    relay_only: bool,
    /// Use TCP candidates too: for networks without UDP, and servers with ICE-TCP
    #[arg(long)]
    tcp: bool,
    /// Wait for the offer of the other side, and answer it
    #[arg(long)]
    answer: bool,
    /// The rules for checks and failures: those of RFC 8445, or those of browsers
    #[arg(long, value_enum, default_value = "browser")]
    policy: PolicyArg,
    /// The longest time in seconds for the lookup of a name
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5", allow_negative_numbers = true)]
    timeout: Duration,
    /// human: lines to paste and hints; json: one signalling message a line (docs/ice.md)
    #[arg(long, value_enum, default_value = "human")]
    format: DocumentFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyArg {
    Textbook,
    Browser,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
Two people run the command, and paste one line into each other's terminal. Then each line that one
of them types appears at the other. The text is NOT encrypted. With --format json the command is a
signalling endpoint for a program or a web page: it reads and writes one JSON object a line.

{}

Examples:
  portolan ice --stun stun.example.org             (the first person)
  portolan ice --stun stun.example.org --answer    (the second person)
  portolan ice --turn turn:turn.example.org --user alice --password-file ~/.turn --relay-only",
        exit::help("ice")
    )
}

/// Why the command cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IceError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("--user needs a password: add --password-file FILE, or --password")]
    NoPassword,
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the addresses of this host cannot be read: {0}; give them with --address")]
    Interfaces(io::Error),
}

impl CommandError for IceError {}

/// What happened.
enum Happened {
    Line(String),
    End,
    Event(portolan_connect::ConnectEvent),
    Resolved(String, Option<IpAddr>),
}

/// Runs the command until the end of the input or a stop message.
pub(crate) async fn run(args: &IceArgs) -> Result<Exit, Failure> {
    let options = options(args)?;
    let is_json = args.format == DocumentFormat::Json;
    let (lines_tx, mut lines) = mpsc::channel(64);
    // Reading blocks, and cannot be cancelled. The process does not wait for this thread.
    std::thread::spawn(move || read_lines(io::stdin().lock(), &lines_tx));
    let (names_tx, mut names) = mpsc::channel(16);
    let mut session = None;
    if !is_json {
        let role = if args.answer { Role::Answer } else { Role::Offer };
        let start = Start { role, servers: Vec::new(), policy: TransportPolicy::All, trickle: false };
        session = Some(Session::start(&start, &options).await.map_err(IceError::from)?);
        human_hint(role);
    }
    loop {
        let happened = tokio::select! {
            line = lines.recv() => line.map_or(Happened::End, Happened::Line),
            event = next_event(&mut session) => Happened::Event(event),
            Some((name, address)) = names.recv() => Happened::Resolved(name, address),
        };
        let error = match happened {
            Happened::End => break,
            Happened::Line(line) if line.trim().is_empty() => None,
            Happened::Line(line) => match parse(&line, is_json, session.as_ref()) {
                Ok(Incoming::Stop) => break,
                Ok(Incoming::Start(start)) if session.is_none() => match Session::start(&start, &options).await {
                    Ok(started) => {
                        session = Some(started);
                        None
                    }
                    Err(why) => Some(why.to_string()),
                },
                Ok(Incoming::Unknown) => None,
                Ok(message) => match &mut session {
                    Some(session) => session.message(message).err().map(|why| why.to_string()),
                    None => Some(SessionError::NotStarted.to_string()),
                },
                Err(why) => Some(why),
            },
            Happened::Event(event) => {
                if let Some(name) = session.as_mut().and_then(|session| session.event(event)) {
                    look_up(name, names_tx.clone());
                }
                None
            }
            Happened::Resolved(name, address) => {
                if let Some(session) = &mut session {
                    session.resolved(&name, address);
                }
                None
            }
        };
        if let Some(why) = error
            && !print(&Outgoing::error(why), is_json)?
        {
            break;
        }
        if !print_all(&mut session, is_json)? {
            break;
        }
    }
    let state = session.as_ref().map(Session::state);
    if let Some(session) = session {
        close(session.driver).await;
    }
    Ok(match state {
        Some(AgentState::Connected | AgentState::Completed | AgentState::Disconnected) => Exit::Success,
        _ if is_json => Exit::Success,
        _ => Exit::Negative,
    })
}

fn options(args: &IceArgs) -> Result<Options, IceError> {
    let password = match (&args.password, &args.password_file) {
        (Some(password), _) => Some(password.clone()),
        (None, Some(file)) => crate::secret::read(file)?.lines().into_iter().next(),
        (None, None) => None,
    };
    if args.user.is_some() && password.is_none() {
        return Err(IceError::NoPassword);
    }
    let stun = args.stun.iter().map(|url| IceServer { urls: Urls::One(url.clone()), username: None, credential: None });
    let turn = args.turn.iter().map(|url| IceServer {
        urls: Urls::One(url.clone()),
        username: args.user.clone(),
        credential: password.as_ref().map(|password| password.reveal().to_string()),
    });
    let interfaces = if args.address.is_empty() {
        interfaces::all().map_err(IceError::Interfaces)?
    } else {
        interfaces::given(&args.address)
    };
    Ok(Options {
        policy: match args.policy {
            PolicyArg::Textbook => Policy::Textbook,
            PolicyArg::Browser => Policy::Browserlike,
        },
        has_loopback: args.address.iter().any(IpAddr::is_loopback),
        interfaces,
        servers: stun.chain(turn).collect(),
        relay_only: args.relay_only,
        has_tcp: args.tcp,
        lookup: args.timeout,
    })
}

/// Reads lines until the end of the input. A line that is not UTF-8 is replaced where it is not.
fn read_lines(mut input: impl BufRead, lines: &mpsc::Sender<String>) {
    let mut bytes = Vec::new();
    while let Ok(1..) = input.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut bytes) {
        let line = String::from_utf8_lossy(&bytes).into_owned();
        bytes.clear();
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

/// The next event. Without a session this never returns.
async fn next_event(session: &mut Option<Session>) -> portolan_connect::ConnectEvent {
    match session {
        Some(session) => session.driver.next().await,
        None => core::future::pending().await,
    }
}

/// Reads a line: a JSON message, or in the human format text for the peer.
fn parse(line: &str, is_json: bool, session: Option<&Session>) -> Result<Incoming, String> {
    let line = line.trim_end_matches(['\r', '\n']);
    if !is_json && !line.trim_start().starts_with('{') {
        let connected = session.is_some_and(|session| {
            matches!(session.state(), AgentState::Connected | AgentState::Completed | AgentState::Disconnected)
        });
        if connected {
            return Ok(Incoming::Send { data: line.to_string() });
        }
        let what = if session.is_some_and(|session| session.role() == Role::Answer) { "offer" } else { "answer" };
        return Err(format!("not connected yet; paste the {what} of the other side, a line that begins with {{"));
    }
    serde_json::from_str(line).map_err(|why| format!("the line is not a message: {why}"))
}

/// Looks a name up in its own thread.
fn look_up(name: String, results: mpsc::Sender<(String, Option<IpAddr>)>) {
    std::thread::spawn(move || {
        let found = System.lookup(&name, None).ok();
        let address = found.and_then(|found| found.first().map(|address| address.ip()));
        // The session may have ended.
        let _sent = results.blocking_send((name, address));
    });
}

fn print_all(session: &mut Option<Session>, is_json: bool) -> Result<bool, Failure> {
    let messages = session.as_mut().map(Session::take).unwrap_or_default();
    for message in messages {
        if !print(&message, is_json)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Prints a message. Returns whether standard output still has a reader.
fn print(message: &Outgoing, is_json: bool) -> Result<bool, Failure> {
    if is_json {
        return Ok(output::print_part(&(message.json() + "\n"))?);
    }
    match message {
        Outgoing::Offer { .. } => {
            output::print_diagnostic("give this line to the other person, and paste their answer here:");
            Ok(output::print_part(&(message.json() + "\n"))?)
        }
        Outgoing::Answer { .. } => {
            output::print_diagnostic("give this line to the other person:");
            Ok(output::print_part(&(message.json() + "\n"))?)
        }
        Outgoing::Message { data } => Ok(output::print_part(&format!("{data}\n"))?),
        Outgoing::State { ice, pair } => {
            let pair = pair.as_ref().map(|pair| {
                let message::PairText { local, remote, local_type, remote_type, protocol } = pair;
                let over = protocol.map(|protocol| format!(" over {protocol}")).unwrap_or_default();
                format!(": {local_type} {local} to {remote_type} {remote}{over}; type a line to send it")
            });
            output::print_diagnostic(format_args!("{ice}{}", pair.unwrap_or_default()));
            Ok(true)
        }
        Outgoing::Error { message } | Outgoing::Log { message } => {
            output::print_diagnostic(message);
            Ok(true)
        }
        Outgoing::Candidate { .. } | Outgoing::EndOfCandidates => Ok(true),
    }
}

fn human_hint(role: Role) {
    if role == Role::Answer {
        output::print_diagnostic("paste the offer of the other person here, a line that begins with {");
    }
}

/// Closes the connection, within a bounded time.
async fn close(mut driver: Driver<portolan_connect::Connection>) {
    let end = Instant::now() + CLOSE;
    if driver.with(portolan_connect::Connection::close).is_ok() {
        let closed = driver.run_until(|event| matches!(event, portolan_connect::ConnectEvent::Closed).then_some(()));
        let _closed = timeout_at(end, closed).await;
    }
}

/// The time to release the allocations.
const CLOSE: Duration = Duration::from_millis(1_900);
/// The longest line of the input in bytes.
const LINE_LIMIT: u64 = 1 << 20;
