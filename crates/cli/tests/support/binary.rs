//! The one door through which tests start the `portolan` binary: no test leaves the machine.
//!
//! `PORTOLAN_SERVERS` is always empty, so that no public server is asked when none is named, and a server that is
//! named must be a loopback address, unless the process is to run in a network namespace made for the tests: one that
//! differs from the one recorded, before the namespaces were made, in the variable [`OUTSIDE`].

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

/// The variable in which a lab records the network namespace it was started from.
pub(crate) const OUTSIDE: &str = "PORTOLAN_LAB_OUTSIDE";

/// A command that runs the binary with these arguments, its standard input empty; or the reason why it must not.
///
/// The network namespace is that of the calling thread. Only literal addresses and `localhost` are taken for loopback:
/// the resolver is a server too.
pub(crate) fn portolan<A: AsRef<OsStr>>(arguments: &[A]) -> Result<Command, Refused> {
    portolan_asking("", arguments)
}

/// The same, with these servers in `PORTOLAN_SERVERS`: the callers of this file never set that variable themselves.
pub(crate) fn portolan_asking<A: AsRef<OsStr>>(list: &str, arguments: &[A]) -> Result<Command, Refused> {
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    if !NetworkNamespace::is_own() {
        let listed = list.split([',', ' ']).filter(|entry| !entry.is_empty()).map(str::to_owned);
        for server in named(&arguments).into_iter().chain(listed) {
            if !is_loopback(&server) {
                return Err(Refused { server });
            }
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(arguments).env("PORTOLAN_SERVERS", list).stdin(Stdio::null());
    Ok(command)
}

/// Why the binary was not started.
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

/// The identity of a network namespace, as `/proc` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetworkNamespace(String);

impl NetworkNamespace {
    /// That of the calling thread.
    pub(crate) fn here() -> io::Result<Self> {
        let link = fs::read_link("/proc/thread-self/ns/net")?;
        Ok(Self(link.to_string_lossy().into_owned()))
    }

    /// Whether the calling thread is in a namespace that was made for the tests.
    ///
    /// A lab is the first process of its own process namespace, so a variable left over elsewhere opens nothing.
    pub(crate) fn is_own() -> bool {
        std::process::id() == 1 && env::var(OUTSIDE).is_ok_and(|outside| Self::differs_from(&outside))
    }

    /// Whether this is another namespace than the one recorded; a record that is none proves nothing.
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

/// The options of `stun` and `audit` whose next word is a value.
const WITH_VALUE: [&str; 6] = ["--timeout", "--format", "--ca-file", "--user", "--password", "--password-file"];

/// Every server the arguments name: `--server HOST`, `--server=HOST`, and every prefix of that name clap might take;
/// for `stun` and `audit` every word that is neither an option nor behind one that takes a value.
fn named(arguments: &[&OsStr]) -> Vec<String> {
    let mut found = vec![];
    if let Some(at) = arguments.iter().position(|word| *word == "stun" || *word == "audit") {
        let words = arguments.iter().skip(at + 1);
        let mut is_value = false;
        for word in words.map(|word| word.to_string_lossy()) {
            if !word.starts_with('-') && !is_value {
                found.push(word.clone().into_owned());
            }
            is_value = WITH_VALUE.contains(&&*word);
        }
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

/// Whether a server is on this machine for certain: a loopback address, or `localhost`, with or without a port.
fn is_loopback(server: &str) -> bool {
    let schemes = ["stun:", "stuns:", "turn:"];
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
