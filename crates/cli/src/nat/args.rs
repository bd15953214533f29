//! The arguments of `portolan nat`.

use crate::options::{ReportOptions, seconds};
use crate::require::Requirements;
use crate::servers::ServerName;
use clap::Args;
use core::net::IpAddr;
use core::time::Duration;

/// Arguments of `portolan nat`.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct NatArgs {
    /// A STUN server to ask, port 3478 unless said; may be given several times, best first
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT` or a bare IPv6 address. Two or more are better than one: a mapping can only be told
    /// from two addresses, and a server that lies is outvoted. Filtering needs one that has a second address (RFC 5780).
    /// Without --server those in PORTOLAN_SERVERS are asked (separated by commas or spaces; set but empty: nobody), else
    /// a short list of public servers.
    #[arg(short, long, value_name = "HOST[:PORT]")]
    pub(crate) server: Vec<ServerName>,
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// The address of this host to send from; measures that family only
    #[arg(long, value_name = "ADDR")]
    pub(crate) local: Vec<IpAddr>,
    /// Seconds for one classification with its name lookups
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) output: ReportOptions,
    /// Replace every address by one of the documentation ranges, and your servers' names; port numbers stay
    #[arg(long)]
    pub(crate) redact: bool,
    /// What must be the case, else the exit code is 1: nat=…,mapping=…,filtering=…,type=…
    ///
    /// All parts must hold in every family that has a way out. Values that would do as well are separated by a bar:
    /// `mapping=eim,filtering=eif|adf`. nat: none, firewall, nat. mapping: eim, adm, apdm. filtering: eif, adf, apdf (or
    /// the long words of RFC 4787). type: open, udp-firewall, full-cone, restricted, port-restricted, symmetric, other,
    /// blocked.
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub(crate) require: Vec<Requirements>,
    /// Look again every S seconds (30; at least 5) for ever, and report what changes
    #[arg(long, value_name = "S", num_args = 0..=1, require_equals = true, default_missing_value = "30",
          value_parser = watch_seconds)]
    pub(crate) watch: Option<Duration>,
    /// Also measure how long mappings live, over the first family that works: about 195 seconds, 82 sockets
    ///
    /// Runs after the classification, whatever --timeout says. Needs a server that knows RESPONSE-PORT (RFC 5780 §7.5).
    #[arg(long, conflicts_with = "watch")]
    pub(crate) lifetime: bool,
    /// Also send packets to the own public endpoint; some firewalls take that for an attack and cut connections
    #[arg(long)]
    pub(crate) hairpin: bool,
    /// Also open 16 more sockets back to back to learn how the NAT chooses ports
    ///
    /// An exception to the ten new transactions a second that RFC 5780 §5 asks for, and 16 more entries in your
    /// router's table for a few minutes. The report waits for it.
    #[arg(long)]
    pub(crate) ports: bool,
}

const HELP: &str = "\
Exit codes:
  0  each family with a way out has its mapping and its filtering, or its UDP is blocked
     (filtering may be missing where no server given can tell it; standard error says so)
  1  a --require is not met
  2  could not run: bad arguments, no server, no network, no answer that can be used
  3  inconclusive, or what --require asks for could not be told
  With --watch: 0 ended by a signal, 2 could not run.

Nothing is asked of your router, and no packet goes to your own public address without --hairpin.

Examples:
  portolan nat
  portolan nat --server stun.example.org --server 203.0.113.7:3478 --explain
  portolan nat --format json --redact > for-the-bug-report.json
  portolan nat --require 'mapping=eim,filtering=eif|adf' && echo 'good for peer-to-peer'";

fn watch_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, such as 30")?;
    if (5.0..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("between 5 and 86400 seconds")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: NatArgs,
    }

    fn parse(line: &str) -> Result<NatArgs, clap::Error> {
        Line::try_parse_from(["portolan"].into_iter().chain(line.split_whitespace())).map(|line| line.args)
    }

    pub(in crate::nat) fn args(line: &str) -> NatArgs {
        parse(line).unwrap()
    }

    #[test]
    fn watch_takes_its_seconds_only_behind_an_equals_sign() {
        assert_eq!(args("--watch").watch, Some(Duration::from_secs(30)));
        assert_eq!(args("--watch=7").watch, Some(Duration::from_secs(7)));
        assert_eq!(args("").watch, None);
        assert!(parse("--watch 7").is_err());
    }
}
