//! The command line: the subcommands, and usage errors as one line.

use crate::audit::AuditArgs;
use crate::explain::ExplainArgs;
use crate::lab::LabCommand;
use crate::nat::NatArgs;
use crate::sdp::SdpCommand;
use crate::serve::ServeArgs;
use crate::stun::StunArgs;
use clap::{ArgAction, Parser, Subcommand};

/// Measures which NAT is between this host and the Internet, with the confidence and the evidence
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 100)]
#[command(after_help = "Start without any network: portolan lab nat")]
pub(crate) struct Cli {
    /// Print log messages on standard error; twice for more (PORTOLAN_LOG takes a filter of `tracing`)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands. Each owns its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure the NAT or firewall between this host and the Internet
    Nat(NatArgs),
    /// Run a STUN server; with --alternate also for the behaviour tests of RFC 5780
    Serve(ServeArgs),
    /// Send a Binding request to one server and print the response and the round-trip time
    Stun(StunArgs),
    /// Check which clauses of RFC 8489 and RFC 5780 a server honours, and measure its amplification
    Audit(AuditArgs),
    /// Explain each byte of a STUN message or of a capture, with the RFC section and the errors
    Explain(ExplainArgs),
    /// Session descriptions: check, explain, compare, scrub, answer, convert to JSON and back
    #[command(subcommand)]
    Sdp(SdpCommand),
    /// Run measurements in a simulated network, in virtual time: no packet is sent
    #[command(subcommand)]
    Lab(LabCommand),
}

/// Returns a usage error of clap as one line with the error and the remedy.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let line = lines.join(" ");
    format!("{} (see --help)", line.strip_prefix("error: ").unwrap_or(&line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn usage_error(line: &str) -> String {
        one_line(&Cli::try_parse_from(line.split(' ')).unwrap_err())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bad_argument_is_one_line_that_names_it() {
        for (line, message) in [
            (
                "portolan nat --require mapping=cone",
                "invalid value 'mapping=cone' for '--require <KEY=VALUE,…>': \"cone\" is not a value: mapping is eim, \
                 adm, apdm, or the long words such as endpoint-independent (see --help)",
            ),
            (
                "portolan nat --server host:0",
                "invalid value 'host:0' for '--server <HOST[:PORT]>': the port must be a number from 1 to 65535 (see \
                 --help)",
            ),
            (
                "portolan nat --timeout 0",
                "invalid value '0' for '--timeout <S>': between 0.1 and 3600 seconds (see --help)",
            ),
            (
                "portolan serve --rate 0",
                "invalid value '0' for '--rate <N|off>': a number of replies from 1 to 1000000, or off (see --help)",
            ),
            (
                "portolan nat --sever x",
                "unexpected argument '--sever' found tip: a similar argument exists: '--server' (see --help)",
            ),
        ] {
            assert_eq!(usage_error(line), message);
        }
        assert!(usage_error("portolan nat -4 -6").contains("cannot be used with"));
    }
}
