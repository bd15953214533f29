//! The steps of a run, as owned data and as text.
//!
//! A [`Step`] is one thing that happens at one time; a script is a slice of steps. Commands are stored as text, which
//! every machine can parse ([`Machine::Command`](portolan_machine::Machine::Command)). So a script has no type
//! parameter and can be written to a file. One step is one line:
//!
//! ```
//! use portolan_sim::laws::Step;
//!
//! let step: Step = "0.020000000 datagram s1 192.0.2.9:5000 198.51.100.1:3478 00ff".parse()?;
//! assert_eq!(step.at.to_string(), "0.020s");
//! assert_eq!(step.to_string(), "0.020000000 datagram s1 192.0.2.9:5000 198.51.100.1:3478 00ff");
//! let step: Step = "1.000000000 undrained socket s2 refused connection-refused".parse()?;
//! assert!(!step.drain);
//! # Ok::<(), portolan_sim::laws::ReadError>(())
//! ```
//!
//! The text of an IPv6 address keeps its scope, but not its flow label: no machine of the workspace uses it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use portolan_machine::{
    Closure, Datagram, Input, Instant, Refusal, Script, SocketEvent, SocketId, TlsFailure, Unreachability, hex,
};

/// One thing that happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The time of the step. A script need not be in order of time, because the laws test bad times too.
    pub at: Instant,
    /// Whether the machine is drained after the step, as by a driver; `false` leaves its outputs queued.
    pub drain: bool,
    /// The action.
    pub action: Action,
}

/// The action of a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The owner sends a command, stored as text.
    Command(String),
    /// Bytes of a stream arrive. They are handed in until the machine has taken all of them, with a drain between the
    /// calls.
    Stream(OwnedDatagram),
    /// An input arrives.
    Input(OwnedInput),
}

/// An [`Input`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedInput {
    /// A UDP datagram arrived.
    Datagram(OwnedDatagram),
    /// Something happened to a socket.
    Socket(SocketId, SocketEvent),
    /// Time has passed.
    Timeout,
}

/// A [`Datagram`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedDatagram {
    /// The socket that received the datagram.
    pub socket: SocketId,
    /// The local address.
    pub local: SocketAddr,
    /// The remote address.
    pub remote: SocketAddr,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Step {
    /// Returns a step with a drain after it.
    #[must_use]
    pub const fn new(at: Instant, action: Action) -> Self {
        Self { at, drain: true, action }
    }

    /// Returns a step with a command, stored as text.
    #[must_use]
    pub fn command(at: Instant, command: &impl Script) -> Self {
        Self::new(at, Action::Command(command.to_text()))
    }

    /// Returns a step with an input.
    #[must_use]
    pub fn input(at: Instant, input: Input<'_>) -> Self {
        Self::new(at, Action::Input(input.into()))
    }

    /// Returns a step with a timeout.
    #[must_use]
    pub const fn timeout(at: Instant) -> Self {
        Self::new(at, Action::Input(OwnedInput::Timeout))
    }

    /// Returns a step with a datagram to `socket` at `local` from `remote`.
    #[must_use]
    pub fn datagram(at: Instant, socket: SocketId, local: SocketAddr, remote: SocketAddr, payload: &[u8]) -> Self {
        Self::input(at, Input::Datagram(Datagram::new(socket, local, remote, payload)))
    }

    /// Returns a step with bytes of the stream `socket`.
    #[must_use]
    pub fn stream(at: Instant, socket: SocketId, local: SocketAddr, remote: SocketAddr, payload: &[u8]) -> Self {
        Self::new(at, Action::Stream(OwnedDatagram { socket, local, remote, payload: payload.to_vec() }))
    }

    /// Returns a step with an event of `socket`.
    #[must_use]
    pub const fn socket_event(at: Instant, socket: SocketId, event: SocketEvent) -> Self {
        Self::new(at, Action::Input(OwnedInput::Socket(socket, event)))
    }

    /// Returns the same step without a drain.
    #[must_use]
    pub fn undrained(mut self) -> Self {
        self.drain = false;
        self
    }
}

impl OwnedInput {
    /// Borrows the input for a machine.
    #[must_use]
    pub fn as_input(&self) -> Input<'_> {
        match self {
            Self::Datagram(datagram) => Input::Datagram(datagram.as_datagram()),
            Self::Socket(socket, event) => Input::Socket(*socket, *event),
            Self::Timeout => Input::Timeout,
        }
    }
}

impl From<Input<'_>> for OwnedInput {
    fn from(input: Input<'_>) -> Self {
        match input {
            Input::Datagram(datagram) => Self::Datagram(datagram.into()),
            Input::Socket(socket, event) => Self::Socket(socket, event),
            Input::Timeout => Self::Timeout,
        }
    }
}

impl OwnedDatagram {
    /// Borrows the datagram for a machine.
    #[must_use]
    pub fn as_datagram(&self) -> Datagram<'_> {
        Datagram::new(self.socket, self.local, self.remote, &self.payload)
    }
}

impl From<Datagram<'_>> for OwnedDatagram {
    fn from(d: Datagram<'_>) -> Self {
        Self { socket: d.socket, local: d.local, remote: d.remote, payload: d.payload.to_vec() }
    }
}

/// The reason why the text of a step or a recording cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The line, counted from 1; a single step is line 1.
    pub line: usize,
    /// The expected text.
    pub expected: &'static str,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}", self.line, self.expected)
    }
}

impl core::error::Error for ReadError {}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Nanos(self.at))?;
        if !self.drain {
            f.write_str("undrained ")?;
        }
        write!(f, "{}", self.action)
    }
}

impl FromStr for Step {
    type Err = ReadError;

    fn from_str(line: &str) -> Result<Self, ReadError> {
        read_step(line).map_err(|expected| ReadError { line: 1, expected })
    }
}

fn read_step(line: &str) -> Result<Step, &'static str> {
    let (at, rest) = read_time(line)?;
    let (drain, rest) = rest.strip_prefix("undrained ").map_or((true, rest), |rest| (false, rest));
    Ok(Step { at, drain, action: read_what(rest)? })
}

/// Formats a time with all its nanoseconds, so that the text parses to the same time.
pub(super) struct Nanos(pub(super) Instant);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.since_origin();
        write!(f, "{}.{:09}", since.as_secs(), since.subsec_nanos())
    }
}

/// Parses the time at the start of a line. Returns the rest after the space.
pub(super) fn read_time(line: &str) -> Result<(Instant, &str), &'static str> {
    let (seconds, rest) = line.split_once('.').ok_or("a time in seconds with nine decimals")?;
    let (nanos, rest) = rest.split_once(' ').ok_or("something after the time")?;
    let seconds = digits(seconds).ok_or("whole seconds")?;
    let nanos = if nanos.len() == 9 { digits(nanos) } else { None };
    let nanos = nanos.and_then(|nanos| u32::try_from(nanos).ok()).ok_or("nine decimals")?;
    Ok((Instant::from_origin(Duration::new(seconds, nanos)), rest))
}

/// Only digits; `parse` alone would accept a sign.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(text) => {
                f.write_str("command ")?;
                text.chars().try_for_each(|c| match c {
                    '\\' => f.write_str("\\\\"),
                    '\n' => f.write_str("\\n"),
                    '\r' => f.write_str("\\r"),
                    c => fmt::Write::write_char(f, c),
                })
            }
            Self::Stream(d) => write!(f, "stream {} {} {} {}", d.socket, d.local, d.remote, Hex(&d.payload)),
            Self::Input(input) => write!(f, "{input}"),
        }
    }
}

impl fmt::Display for OwnedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram(d) => write!(f, "datagram {} {} {} {}", d.socket, d.local, d.remote, Hex(&d.payload)),
            Self::Socket(socket, event) => {
                write!(f, "socket {socket} ")?;
                match event {
                    SocketEvent::Opened { local } => write!(f, "opened {local}"),
                    SocketEvent::Accepted { socket, local, remote } => write!(f, "accepted {socket} {local} {remote}"),
                    SocketEvent::Refused(why) => write!(f, "refused {}", word(&REFUSALS, why)),
                    SocketEvent::Unreachable { remote, why } => {
                        write!(f, "unreachable {remote} {}", word(&UNREACHABILITIES, why))
                    }
                    SocketEvent::Full => f.write_str("full"),
                    SocketEvent::Writable => f.write_str("writable"),
                    SocketEvent::Closed(why) => write!(f, "closed {}", word(&CLOSURES, why)),
                }
            }
            Self::Timeout => f.write_str("timeout"),
        }
    }
}

pub(super) fn read_what(text: &str) -> Result<Action, &'static str> {
    if let Some(command) = text.strip_prefix("command ") {
        return unescape(command).map(Action::Command);
    }
    let mut words = text.split(' ');
    let what = match words.next() {
        Some("datagram") => Action::Input(OwnedInput::Datagram(read_datagram(&mut words)?)),
        Some("stream") => Action::Stream(read_datagram(&mut words)?),
        Some("socket") => Action::Input(OwnedInput::Socket(read_socket(words.next())?, read_socket_event(&mut words)?)),
        Some("timeout") => Action::Input(OwnedInput::Timeout),
        _ => return Err("`command`, `datagram`, `stream`, `socket` or `timeout`"),
    };
    match words.next() {
        None => Ok(what),
        Some(_) => Err("the end of the line"),
    }
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('r') => '\r',
                _ => return Err("`\\\\`, `\\n` or `\\r` after a backslash"),
            },
            c => c,
        });
    }
    Ok(out)
}

fn read_datagram<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<OwnedDatagram, &'static str> {
    Ok(OwnedDatagram {
        socket: read_socket(words.next())?,
        local: read_address(words.next())?,
        remote: read_address(words.next())?,
        payload: read_hex(words.next().unwrap_or("")).ok_or("bytes in hex, `-` for none")?,
    })
}

fn read_socket_event<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<SocketEvent, &'static str> {
    match words.next() {
        Some("opened") => Ok(SocketEvent::Opened { local: read_address(words.next())? }),
        Some("accepted") => Ok(SocketEvent::Accepted {
            socket: read_socket(words.next())?,
            local: read_address(words.next())?,
            remote: read_address(words.next())?,
        }),
        Some("refused") => value(&REFUSALS, words.next()).map(SocketEvent::Refused).ok_or("why it was refused"),
        Some("unreachable") => Ok(SocketEvent::Unreachable {
            remote: read_address(words.next())?,
            why: value(&UNREACHABILITIES, words.next()).ok_or("why it is unreachable")?,
        }),
        Some("full") => Ok(SocketEvent::Full),
        Some("writable") => Ok(SocketEvent::Writable),
        Some("closed") => value(&CLOSURES, words.next()).map(SocketEvent::Closed).ok_or("why it was closed"),
        _ => Err("`opened`, `accepted`, `refused`, `unreachable`, `full`, `writable` or `closed`"),
    }
}

pub(super) fn read_socket(word: Option<&str>) -> Result<SocketId, &'static str> {
    word.and_then(|word| word.strip_prefix('s')).and_then(digits).map(SocketId).ok_or("a socket such as s1")
}

fn read_address(word: Option<&str>) -> Result<SocketAddr, &'static str> {
    word.and_then(|word| word.parse().ok()).ok_or("an address and port")
}

/// Bytes in hex, `-` for none.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        hex::write_hex(f, self.0)
    }
}

pub(super) fn read_hex(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(Vec::new());
    }
    hex::read_hex(text).ok().filter(|bytes| !bytes.is_empty())
}

const REFUSALS: [(&str, Refusal); 16] = [
    ("address-in-use", Refusal::AddressInUse),
    ("address-not-available", Refusal::AddressNotAvailable),
    ("permission-denied", Refusal::PermissionDenied),
    ("no-route", Refusal::NoRoute),
    ("connection-refused", Refusal::ConnectionRefused),
    ("timed-out", Refusal::TimedOut),
    ("family-not-supported", Refusal::FamilyNotSupported),
    ("too-many-sockets", Refusal::TooManySockets),
    ("tls-certificate", Refusal::TlsHandshake(TlsFailure::Certificate)),
    ("tls-name", Refusal::TlsHandshake(TlsFailure::Name)),
    ("tls-protocol", Refusal::TlsHandshake(TlsFailure::Protocol)),
    ("tls-alert", Refusal::TlsHandshake(TlsFailure::Alert)),
    ("tls-closed", Refusal::TlsHandshake(TlsFailure::Closed)),
    ("tls-handshake", Refusal::TlsHandshake(TlsFailure::Unspecified)),
    ("unsupported", Refusal::Unsupported),
    ("unspecified", Refusal::Unspecified),
];

const UNREACHABILITIES: [(&str, Unreachability); 8] = [
    ("network", Unreachability::Network),
    ("host", Unreachability::Host),
    ("port", Unreachability::Port),
    ("too-large", Unreachability::TooLarge),
    ("prohibited", Unreachability::Prohibited),
    ("hop-limit", Unreachability::HopLimit),
    ("source-address", Unreachability::SourceAddress),
    ("unspecified", Unreachability::Unspecified),
];

const CLOSURES: [(&str, Closure); 8] = [
    ("by-peer", Closure::ByPeer),
    ("reset", Closure::Reset),
    ("overflow", Closure::Overflow),
    ("not-read", Closure::NotRead),
    ("timed-out", Closure::TimedOut),
    ("tls", Closure::Tls),
    ("driver-ended", Closure::DriverEnded),
    ("unspecified", Closure::Unspecified),
];

/// Every kind of event that a driver can report about a socket, once, with `address` where one is needed.
pub(super) fn all_socket_events(address: SocketAddr, accepted: SocketId) -> impl Iterator<Item = SocketEvent> {
    let refused = REFUSALS.into_iter().map(|(_, why)| SocketEvent::Refused(why));
    let unreachable =
        UNREACHABILITIES.into_iter().map(move |(_, why)| SocketEvent::Unreachable { remote: address, why });
    let closed = CLOSURES.into_iter().map(|(_, why)| SocketEvent::Closed(why));
    let accepted = SocketEvent::Accepted { socket: accepted, local: address, remote: address };
    [SocketEvent::Opened { local: address }, accepted, SocketEvent::Full, SocketEvent::Writable]
        .into_iter()
        .chain(unreachable)
        .chain(closed)
        .chain(refused)
}

/// The name of `value` in the table. A value that the table lacks is written as a name that does not parse, and the
/// round trip test over every value finds it.
fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, known)| known == value).map_or("?", |(word, _)| word)
}

fn value<T: Copy>(table: &[(&str, T)], word: Option<&str>) -> Option<T> {
    table.iter().find(|(known, _)| Some(*known) == word).map(|(_, value)| *value)
}
