//! The arguments of `portolan nat`.

use crate::exit;
use crate::options::{Format, ReportOptions, seconds};
use crate::require::Requirements;
use crate::servers::ServerName;
use clap::Args;
use core::net::IpAddr;
use core::time::Duration;

/// Arguments of `portolan nat`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct NatArgs {
    /// A STUN server, default port 3478; may be given several times, the preferred one first
    ///
    /// HOST, HOST:PORT, `[IPv6]:PORT` or a bare IPv6 address. Give two or more: a mapping can only be measured with two
    /// addresses, and the majority overrules a server with wrong responses. To measure filtering, one server needs a
    /// second address (RFC 5780). Without --server the servers in PORTOLAN_SERVERS are used (separated by commas or
    /// spaces; if it is set but empty, no server is used), otherwise a short list of public servers.
    #[arg(short, long, value_name = "HOST[:PORT]")]
    pub(crate) server: Vec<ServerName>,
    /// Measure IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Measure IPv6 only
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// The local address to send from; measures only the family of the address
    #[arg(long, value_name = "ADDR")]
    pub(crate) local: Vec<IpAddr>,
    /// Upper bound of one classification with its name lookups. Seconds, from 0.1 to 3600
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5", allow_negative_numbers = true)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) output: ReportOptions,
    /// Replace addresses by documentation addresses, and the names of your servers; port numbers stay
    #[arg(long)]
    pub(crate) redact: bool,
    /// Requirements; if one is not met, the exit code is 1: nat=…,mapping=…,filtering=…,type=…,vantage=…
    ///
    /// All requirements must be met in every family that has a route. Alternatives are separated by a bar:
    /// `mapping=eim,filtering=eif|adf`. nat: none, firewall, nat. mapping: eim, adm, apdm. filtering: eif, adf, apdf
    /// (or the long words of RFC 4787). type: open, udp-firewall, full-cone, restricted, port-restricted, symmetric,
    /// other, blocked. vantage: public, private, loopback. Without a vantage the servers must be public: with a private
    /// server or a server on this host the exit code is 3.
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub(crate) require: Vec<Requirements>,
    /// Repeat the classification every S seconds (30; at least 5) and report changes, until a signal
    #[arg(long, value_name = "S", num_args = 0..=1, require_equals = true, default_missing_value = "30",
          value_parser = watch_seconds, allow_negative_numbers = true)]
    pub(crate) watch: Option<Duration>,
    /// Also measure how long mappings live, in the first family that works: about 195 seconds, 82 sockets
    ///
    /// Runs after the classification, and --timeout does not bound it. After Ctrl-C the command prints the results so
    /// far. Needs a server with RESPONSE-PORT (RFC 5780
    /// §7.5).
    #[arg(long, conflicts_with = "watch")]
    pub(crate) lifetime: bool,
    /// Also send packets to the own public endpoint; some firewalls take that for an attack and close connections
    #[arg(long)]
    pub(crate) hairpin: bool,
    /// Also open 16 more sockets at once to measure how the NAT allocates ports
    ///
    /// This exceeds the limit of ten new transactions a second of RFC 5780 §5, and creates 16 more entries in the table
    /// of your router for a few minutes. The report waits for this measurement.
    #[arg(long)]
    pub(crate) ports: bool,
    /// Print the NAT card instead of the report: one line that `portolan forecast` reads
    ///
    /// The card holds mapping, filtering, port allocation and public endpoints. It may be given to the other user. With
    /// --format json it is an object with the same fields.
    #[arg(long, conflicts_with_all = ["watch", "explain"])]
    pub(crate) card: bool,
}

impl NatArgs {
    /// The arguments of a measurement that prints nothing.
    pub(super) const fn measuring(server: Vec<ServerName>, ports: bool) -> Self {
        Self {
            server,
            ipv4: false,
            ipv6: false,
            local: Vec::new(),
            timeout: Duration::from_secs(5),
            output: ReportOptions { format: Format::Human, explain: None },
            redact: false,
            require: Vec::new(),
            watch: None,
            lifetime: false,
            hairpin: false,
            ports,
            card: true,
        }
    }
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
{}

Filtering may be unknown because no given server can measure it: the code is still 0, and a line on
standard error names the reason.

The command queries neither your router nor, without --hairpin, your own public address.

Examples:
  portolan nat
  portolan nat --server stun.example.org --server 203.0.113.7:3478 --explain
  portolan nat --format json --redact > for-the-bug-report.json
  portolan nat --require 'mapping=eim,filtering=eif|adf' && echo 'good for peer-to-peer'",
        exit::help("nat")
    )
}

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
    fn the_interval_of_watch_needs_an_equals_sign() {
        assert_eq!(args("--watch").watch, Some(Duration::from_secs(30)));
        assert_eq!(args("--watch=7").watch, Some(Duration::from_secs(7)));
        assert_eq!(args("").watch, None);
        assert!(parse("--watch 7").is_err());
    }
}
