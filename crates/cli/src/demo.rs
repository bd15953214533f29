//! `portolan demo`: two simulated peers behind NATs connect, in virtual time. No packet is sent.
//!
//! The peers use the same code as a program on a real network: [`portolan_connect::Connection`]. [`session`] runs them in
//! the network of [`network`]. [`screen`] explains the result, and [`changes`] computes what would change it.

mod changes;
mod checks;
mod decisions;
mod json;
mod network;
mod packets;
mod reason;
mod screen;
mod session;

use self::session::{Plan, Verdict};
use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::{DocumentFormat, percent};
use crate::output;
use crate::wrap;
use clap::{Args, ValueEnum};
use core::time::Duration;
use portolan_connect::ConnectError;
use portolan_ice::Policy;
use portolan_sim::Preset;

/// Arguments of `portolan demo`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct DemoArgs {
    /// The network of the left peer: home, cgnat, symmetric, full-cone, restricted, firewall, open or blocked
    ///
    /// home: a router that keeps one public port per socket and accepts responses only from the contacted address and
    /// port. cgnat: the same behind the NAT of a carrier. symmetric: another public port for each destination.
    /// full-cone: one public port, and any host may send. restricted: one public port, and any port of a contacted
    /// address may send. firewall: no translation. open: no NAT and no firewall. blocked: no UDP, so the
    /// TURN server is reached over TCP.
    #[arg(long, value_name = "NAME", default_value = "home", value_parser = preset)]
    left: Preset,
    /// The network of the right peer
    #[arg(long, value_name = "NAME", default_value = "home", value_parser = preset)]
    right: Preset,
    /// Leave out the TURN server, which forwards packets if there is no direct way
    #[arg(long)]
    no_relay: bool,
    /// Packets lost on the link of each peer, in each direction, in percent, at most 50
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent, allow_negative_numbers = true)]
    loss: f64,
    /// Round-trip time between the peers, and from each peer to the server, in milliseconds
    #[arg(long, value_name = "MS", default_value = "50", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    rtt: u32,
    /// The seed of the RNG: the same seed gives the same run, byte for byte
    #[arg(long, value_name = "N", default_value = "0", allow_negative_numbers = true)]
    seed: u64,
    /// How the agents repeat checks and react to failures
    #[arg(long, value_enum, default_value = "textbook")]
    policy: PolicyName,
    /// The format of the result
    #[arg(long, value_enum, default_value = "human")]
    format: DocumentFormat,
    /// Print the decisions of the agents with their RFC sections; =packets prints each packet instead
    #[arg(long, value_name = "LEVEL", value_enum, num_args = 0..=1, require_equals = true,
          default_missing_value = "steps")]
    explain: Option<Explanation>,
}

/// What `--explain` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Explanation {
    /// The decisions of the agents, with their RFC sections
    Steps,
    /// Each packet, also those that a NAT dropped or a link lost
    Packets,
}

/// A policy of the agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PolicyName {
    /// RFC 8445 to the letter
    Textbook,
    /// The behaviour of browsers: checks are repeated every 500 ms, and a failed nomination is followed by another
    Browser,
}

impl From<PolicyName> for Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Textbook => Self::Textbook,
            PolicyName::Browser => Self::Browserlike,
        }
    }
}

/// Returns the name of a policy, as the option has it.
const fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Textbook => "textbook",
        Policy::Browserlike => "browser",
    }
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
{}

Examples:
  portolan demo --left symmetric --right home
  portolan demo --left symmetric --right symmetric --no-relay
  portolan demo --left blocked
  portolan demo --loss 10 --seed 7 --explain=packets",
        exit::help("demo")
    )
}

fn preset(text: &str) -> Result<Preset, String> {
    match text.parse() {
        Ok(Preset::Offline) => Err("a peer without a network cannot exchange descriptions".to_owned()),
        Ok(preset) => Ok(preset),
        Err(_) => {
            let names: Vec<&str> = changes::presets().map(Preset::as_str).collect();
            Err(format!("expected one of {}", names.join(", ")))
        }
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("the simulated network cannot be built")]
    Setup,
    #[error("a simulated peer refused a command: {0}")]
    Connection(#[from] ConnectError),
}

impl CommandError for DemoError {}

impl DemoArgs {
    fn plan(&self) -> Plan {
        Plan {
            presets: [self.left, self.right],
            has_relay: !self.no_relay,
            loss: self.loss / 100.0,
            rtt: Duration::from_millis(u64::from(self.rtt)),
            seed: self.seed,
            policy: self.policy.into(),
        }
    }
}

/// Runs the session and prints it.
pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let session = session::run(&args.plan(), true)?;
    output::print(&text(args, &session, wrap::width())?)?;
    Ok(match session.verdict() {
        Verdict::Direct | Verdict::Relayed => Exit::Success,
        Verdict::NotConnected => Exit::Negative,
    })
}

/// Returns the output for this width.
fn text(args: &DemoArgs, session: &session::Session, width: usize) -> Result<String, DemoError> {
    Ok(match (args.format, args.explain) {
        (DocumentFormat::Json, _) => json::document(session, &changes::compute(session)?),
        (DocumentFormat::Human, Some(Explanation::Packets)) => wrap::to_width(&packets::page(session), width),
        (DocumentFormat::Human, level) => {
            let page = screen::page(session, &changes::compute(session)?, level.is_some(), width);
            wrap::to_width(&page, width)
        }
    })
}

#[cfg(test)]
mod tests;
