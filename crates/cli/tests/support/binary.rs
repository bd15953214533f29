//! The only function that starts the `portolan` binary in tests, so that no test sends packets beyond this machine.
//!
//! `PORTOLAN_SERVERS` is always empty, so no public server is used by default. A server on the command line must have a
//! loopback address, unless the process runs in a network namespace of the tests. Such a namespace differs from the one
//! that the variable [`OUTSIDE`] recorded before the namespaces were made.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

/// The variable in which a lab records the network namespace from which it was started.
pub(crate) const OUTSIDE: &str = "PORTOLAN_LAB_OUTSIDE";

/// Returns a command that runs the binary with these arguments and an empty standard input.
///
/// The network namespace is that of the calling thread. Only literal addresses and `localhost` count as loopback,
/// because the resolver is a server too.
pub(crate) fn portolan<A: AsRef<OsStr>>(arguments: &[A]) -> Result<Command, Refused> {
    portolan_with_servers("", arguments)
}

/// Returns the same command with these servers in `PORTOLAN_SERVERS`. Callers must not set the variable themselves.
pub(crate) fn portolan_with_servers<A: AsRef<OsStr>>(list: &str, arguments: &[A]) -> Result<Command, Refused> {
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    if !NetworkNamespace::is_own() {
        let listed = list.split([',', ' ']).filter(|entry| !entry.is_empty()).map(str::to_owned);
        for server in named_servers(&arguments).into_iter().chain(listed) {
            if !is_loopback(&server) {
                return Err(Refused { server });
            }
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(arguments).env("PORTOLAN_SERVERS", list).stdin(Stdio::null());
    Ok(command)
}

/// The reason why the binary was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The server that is not on this machine.
    pub(crate) server: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a loopback address and this is not a network namespace of its own", self.server)
    }
}

impl core::error::Error for Refused {}

/// The identity of a network namespace, from `/proc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetworkNamespace(String);

impl NetworkNamespace {
    /// Returns the namespace of the calling thread.
    pub(crate) fn here() -> io::Result<Self> {
        let link = fs::read_link("/proc/thread-self/ns/net")?;
        Ok(Self(link.to_string_lossy().into_owned()))
    }

    /// Whether the calling thread is in a namespace of the tests.
    ///
    /// A lab is the first process of its PID namespace, so a variable that is left over elsewhere has no effect.
    pub(crate) fn is_own() -> bool {
        std::process::id() == 1 && env::var(OUTSIDE).is_ok_and(|outside| Self::differs_from(&outside))
    }

    /// Whether this namespace differs from the recorded one; `false` if the record is invalid.
    pub(crate) fn differs_from(outside: &str) -> bool {
        let number = outside.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
        let recorded = number.is_some_and(|number| number.parse::<u64>().is_ok());
        recorded && Self::here().is_ok_and(|here| here.0 != outside)
    }
}

impl fmt::Display for NetworkNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The options of `stun`, `turn` and `audit` that have a value. The value of `--peer` is no server: nothing is sent to it
/// by the command itself.
const OPTIONS_WITH_VALUE: [&str; 10] = [
    "--timeout",
    "--format",
    "--ca-file",
    "--user",
    "--password",
    "--password-file",
    "--other-user",
    "--peer",
    "--count",
    "--size",
];

/// Returns every server in the arguments: `--server HOST`, `--server=HOST`, and every prefix of that name that clap may
/// accept; for `stun`, `turn` and `audit` every word that is neither an option nor the value of one.
fn named_servers(arguments: &[&OsStr]) -> Vec<String> {
    let mut found = vec![];
    if let Some(at) = arguments.iter().position(|word| ["stun", "turn", "audit"].iter().any(|name| word == name)) {
        let words = arguments.iter().skip(at + 1);
        let mut is_value = false;
        for word in words.map(|word| word.to_string_lossy()) {
            if !word.starts_with('-') && !is_value {
                found.push(word.clone().into_owned());
            }
            is_value = OPTIONS_WITH_VALUE.contains(&&*word);
        }
    }
    if arguments.iter().any(|word| *word == "ice") && !arguments.iter().any(|word| *word == "--help") {
        found.extend(addresses_of_ice(arguments));
    }
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let argument = argument.to_string_lossy();
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument.into_owned(), None),
        };
        if name.len() > 2 && "--server".starts_with(&name) {
            let next = || rest.next().map(|next| next.to_string_lossy().into_owned());
            found.extend(value.or_else(next));
        }
    }
    found
}

/// Returns the servers and the addresses of `ice`. Without an address the command uses all interfaces of the host.
fn addresses_of_ice(arguments: &[&OsStr]) -> Vec<String> {
    let value_of = |name: &'static str| {
        let values = arguments.windows(2).filter(move |words| words.first().is_some_and(|word| *word == name));
        values.filter_map(|words| Some(words.get(1)?.to_string_lossy().into_owned()))
    };
    let addresses: Vec<String> = value_of("--address").collect();
    let all = if addresses.is_empty() { vec!["every interface".to_owned()] } else { addresses };
    all.into_iter().chain(value_of("--stun")).chain(value_of("--turn")).collect()
}

/// Whether a server is certainly on this machine: a loopback address, or `localhost`, with or without a port.
fn is_loopback(server: &str) -> bool {
    let schemes = ["stun:", "stuns:", "turn:", "turns:"];
    let server = schemes.iter().find_map(|scheme| server.strip_prefix(scheme)).unwrap_or(server);
    if let Ok(address) = server.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let bare = server.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(server);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    host.eq_ignore_ascii_case("localhost")
}
