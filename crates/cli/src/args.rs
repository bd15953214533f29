//! The command line: the subcommands, and usage errors as one line.

use crate::audit::AuditArgs;
use crate::demo::DemoArgs;
use crate::explain::ExplainArgs;
use crate::forecast::ForecastArgs;
use crate::generate::{CompletionsArgs, ManArgs};
use crate::ice::IceArgs;
use crate::lab::LabCommand;
use crate::nat::NatArgs;
use crate::punch::PunchArgs;
use crate::sdp::SdpCommand;
use crate::serve::ServeArgs;
use crate::stun::StunArgs;
use crate::turn::TurnArgs;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Parser, Subcommand};

/// Measures which NAT is between this host and the Internet, with the confidence and the evidence
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 100)]
#[command(after_help = "Start without any network: portolan demo")]
pub(crate) struct Cli {
    /// Print log messages on standard error; twice for each packet (PORTOLAN_LOG takes a filter of `tracing`)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands. Each owns its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect two simulated peers behind NATs, and explain each step: no packet is sent
    Demo(DemoArgs),
    /// Measure the NAT or firewall between this host and the Internet
    Nat(NatArgs),
    /// Run a STUN server; with --alternate for the tests of RFC 5780, with --turn a TURN server
    Serve(Box<ServeArgs>),
    /// Send a Binding request to one server and print the response and the round-trip time
    Stun(StunArgs),
    /// Relay datagrams through a TURN server, and print loss and latency
    Turn(TurnArgs),
    /// Connect to a peer by ICE: two people paste a line, or a program or web page does the signalling
    Ice(IceArgs),
    /// Connect two hosts behind NATs by UDP hole punching, and pipe standard input and output
    Punch(PunchArgs),
    /// Tell whether two hosts can connect by hole punching, from their NAT cards: no packet is sent
    Forecast(ForecastArgs),
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
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them
    Man(ManArgs),
}

/// Returns a usage error of clap as one line with the error and the remedy.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty());
    let mut message = String::new();
    for line in lines {
        match line.strip_prefix("tip: ") {
            // No value of this command line begins with a hyphen.
            Some(tip) if tip.starts_with("to pass ") => {}
            Some(tip) => message.extend(["; ", tip]),
            None if message.is_empty() => message.push_str(line.strip_prefix("error: ").unwrap_or(line)),
            None => message.extend([" ", line]),
        }
    }
    message + lab_hint(error) + " (see --help)"
}

/// Returns a hint if `portolan nat` got an option that only `portolan lab nat` has.
fn lab_hint(error: &clap::Error) -> &'static str {
    let is_nat = matches!(error.get(ContextKind::Usage), Some(ContextValue::StyledStr(usage))
        if usage.to_string().contains("portolan nat"));
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) if is_nat && error.kind() == ErrorKind::UnknownArgument => {
            match option.as_str() {
                "--mapping" => "; to simulate a NAT: portolan lab nat --mapping eim|adm|apdm",
                "--filtering" => "; to simulate a NAT: portolan lab nat --filtering eif|adf|apdf",
                _ => "",
            }
        }
        _ => "",
    }
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

    /// A value below zero is reported as a value, not as an unknown option.
    #[test]
    fn each_option_with_a_number_takes_a_negative_number_as_its_value() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|name| &**name).collect();
                let is_number = names.iter().any(|name| matches!(*name, "N" | "S" | "P" | "MS" | "N|off"));
                assert_eq!(arg.is_allow_negative_numbers_set(), is_number, "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
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
                "unexpected argument '--sever' found; a similar argument exists: '--server' (see --help)",
            ),
            (
                "portolan nat --mapping foo",
                "unexpected argument '--mapping' found; to simulate a NAT: portolan lab nat --mapping eim|adm|apdm (see \
                 --help)",
            ),
            ("portolan stun host --mapping foo", "unexpected argument '--mapping' found (see --help)"),
            ("portolan natt", "unrecognized subcommand 'natt'; a similar subcommand exists: 'nat' (see --help)"),
            (
                "portolan stun http://127.0.0.1",
                "invalid value 'http://127.0.0.1' for '<HOST[:PORT]>': a URL with slashes names no STUN server: write \
                 HOST, HOST:PORT or stun:HOST:PORT (RFC 7064) (see --help)",
            ),
            (
                "portolan nat --server stun:127.0.0.1?transport=udp",
                "invalid value 'stun:127.0.0.1?transport=udp' for '--server <HOST[:PORT]>': a STUN server has no query \
                 such as ?transport=udp (RFC 7064 §3.1): leave out the question mark and the rest (see --help)",
            ),
            (
                "portolan lab nat --mapping foo",
                "invalid value 'foo' for '--mapping <WORD>': not a word for mapping: expected eim, adm, apdm, or \
                 endpoint-independent, address-dependent, address-and-port-dependent (see --help)",
            ),
            (
                "portolan stun 127.0.0.1 --timeout -3",
                "invalid value '-3' for '--timeout <S>': between 0.1 and 3600 seconds (see --help)",
            ),
            ("portolan stun 127.0.0.1 -x", "unexpected argument '-x' found (see --help)"),
        ] {
            assert_eq!(usage_error(line), message);
        }
        assert!(usage_error("portolan nat -4 -6").contains("cannot be used with"));
    }
}
