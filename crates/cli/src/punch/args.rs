//! The arguments of `portolan punch`.

use crate::exit;
use crate::options::{DocumentFormat, seconds};
use crate::secret::Secret;
use crate::servers::ServerName;
use clap::Args;
use core::net::IpAddr;
use core::time::Duration;
use portolan_punch::card::{Card, CardError};
use portolan_punch::forecast::Budget;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `portolan punch`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct PunchArgs {
    /// The rendezvous: a host with `portolan serve --rendezvous`; default port 3478
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(super) rendezvous: ServerName,
    /// The name of the room, 1 to 64 bytes; the other host gives the same name
    #[arg(long, value_name = "NAME")]
    pub(super) room: String,
    /// A file with the secret of the rendezvous in its first line; keep it private (chmod 600)
    #[arg(long, value_name = "FILE", required_unless_present = "secret", conflicts_with = "secret")]
    pub(super) secret_file: Option<PathBuf>,
    /// The secret of the rendezvous; other programs can see it, so prefer --secret-file
    #[arg(long, value_name = "SECRET", value_parser = Secret::parse)]
    pub(super) secret: Option<Secret>,
    /// A file with a secret of the two hosts that the rendezvous does not know; at least 20 random characters
    ///
    /// Without it, a host with the secret of the rendezvous can read and change the data.
    #[arg(long, value_name = "FILE")]
    pub(super) peer_secret_file: Option<PathBuf>,
    /// The NAT card of this host, as `portolan nat --card` prints it
    #[arg(long, value_name = "CARD", value_parser = card)]
    pub(super) card: Option<Card>,
    /// Measure the NAT of this host first, and use its card; with --guess it opens 16 more sockets
    #[arg(long, conflicts_with = "card")]
    pub(super) measure: bool,
    /// A STUN server for --measure, as in `portolan nat`; repeat for more servers
    #[arg(long, value_name = "HOST[:PORT]", requires = "measure")]
    pub(super) server: Vec<ServerName>,
    /// Allow to guess ports, within the budget; both hosts must allow it
    #[arg(long)]
    pub(super) guess: bool,
    /// Lower limits of the attempt; default mappings=512,sessions=2048,rate=100 (packets in a second)
    ///
    /// Mappings and sessions are entries in the table of the NAT. Both hosts use the smaller number of each limit.
    #[arg(long, value_name = "LIMIT=N,…", value_parser = budget)]
    pub(super) budget: Option<Budget>,
    /// Use this address of the host instead of all addresses; repeat for more addresses
    #[arg(long, value_name = "ADDR")]
    pub(super) address: Vec<IpAddr>,
    /// The longest wait for the other host, in seconds
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "60", allow_negative_numbers = true)]
    pub(super) wait: Duration,
    /// Send each line as one datagram, without QUIC: not encrypted, and datagrams may be lost
    #[arg(long, conflicts_with = "command")]
    pub(super) datagrams: bool,
    /// Carry no data: print the addresses of the path, and keep the path open
    ///
    /// It ends at the end of standard input, or by a signal (SIGINT, SIGTERM), with code 0. If the path is lost and not found
    /// again, it ends with code 1. --wait does not end it. Both hosts need --hold.
    #[arg(long, conflicts_with_all = ["command", "datagrams"])]
    pub(super) hold: bool,
    /// json: an object a line for each event, the result last (docs/json.md)
    ///
    /// The objects go to standard error, because standard output has the data. With --hold they go to standard output.
    #[arg(long, value_enum, default_value = "human")]
    pub(super) format: DocumentFormat,
    /// Print each step on standard error, with its reason and the section of the RFC
    #[arg(long)]
    pub(super) explain: bool,
    /// A command that gets the pipe as its standard input and output
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

fn card(text: &str) -> Result<Card, CardError> {
    text.trim().parse()
}

/// Why a budget is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BudgetError {
    #[error("{0:?} is not LIMIT=N; {EXAMPLE}")]
    Form(Box<str>),
    #[error("{0:?} is no limit: expected mappings, sessions or rate; {EXAMPLE}")]
    Name(Box<str>),
    #[error("{0} is given twice; {EXAMPLE}")]
    Twice(&'static str),
    #[error("{name}={value}: expected a number from {least} to {most}; {EXAMPLE}")]
    Value { name: &'static str, value: Box<str>, least: u16, most: u16 },
}

/// The remedy of each error.
const EXAMPLE: &str = "write for example mappings=256,sessions=1000,rate=50";

/// Parses limits. A limit that is not given is that of the default. No limit can be raised: the defaults are what a small
/// router bears.
fn budget(text: &str) -> Result<Budget, BudgetError> {
    let mut budget = Budget::default();
    let mut seen = Vec::new();
    for entry in text.split(',') {
        let (name, value) = entry.split_once('=').ok_or_else(|| BudgetError::Form(entry.into()))?;
        let (name, least, limit) = match name {
            "mappings" => ("mappings", 2, &mut budget.mappings),
            "sessions" => ("sessions", 2, &mut budget.sessions),
            "rate" => ("rate", 10, &mut budget.rate),
            _ => return Err(BudgetError::Name(name.into())),
        };
        if seen.contains(&name) {
            return Err(BudgetError::Twice(name));
        }
        seen.push(name);
        let most = *limit;
        let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|number| is_plain && (least..=most).contains(number));
        *limit = number.ok_or_else(|| BudgetError::Value { name, value: value.into(), least, most })?;
    }
    Ok(budget)
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
Both hosts run the command with the same rendezvous, room and secrets. The data is encrypted and
arrives in order (QUIC). The command ends when both directions have ended: give it an input that
ends, such as < /dev/null. docs/punch.md has the details.

{}

Examples:
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret < photo.jpg
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret < /dev/null > photo.jpg
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret -- tar -cf - photos
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret --measure --guess
  portolan punch --rendezvous 203.0.113.10 --room attic --secret-file secret --hold --format json",
        exit::help("punch")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_lowers_the_limits_that_it_names() {
        assert_eq!(
            budget("mappings=256,sessions=1000,rate=50"),
            Ok(Budget { mappings: 256, sessions: 1000, rate: 50 })
        );
        assert_eq!(budget("rate=10"), Ok(Budget { rate: 10, ..Budget::default() }));
        assert_eq!(budget("mappings=512,sessions=2048,rate=100"), Ok(Budget::default()));
    }

    #[test]
    fn a_bad_entry_names_the_cause_and_the_remedy() {
        for (text, message) in [
            ("", "\"\" is not LIMIT=N"),
            ("256", "\"256\" is not LIMIT=N"),
            ("rate=50,", "\"\" is not LIMIT=N"),
            ("ports=3", "\"ports\" is no limit: expected mappings, sessions or rate"),
            ("Rate=50", "\"Rate\" is no limit: expected mappings, sessions or rate"),
            ("rate=50,rate=60", "rate is given twice"),
            ("mappings=513", "mappings=513: expected a number from 2 to 512"),
            ("mappings=1", "mappings=1: expected a number from 2 to 512"),
            ("sessions=2049", "sessions=2049: expected a number from 2 to 2048"),
            ("rate=9", "rate=9: expected a number from 10 to 100"),
            ("rate=+50", "rate=+50: expected a number from 10 to 100"),
            ("rate= 50", "rate= 50: expected a number from 10 to 100"),
            ("rate=", "rate=: expected a number from 10 to 100"),
        ] {
            assert_eq!(budget(text).unwrap_err().to_string(), format!("{message}; {EXAMPLE}"), "{text}");
        }
    }
}
