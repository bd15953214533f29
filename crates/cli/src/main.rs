//! The portolan command: measures which NAT is between this host and the Internet, and explains STUN and SDP.
//!
//! Each subcommand has its own file with its arguments and errors, and none of them implements a protocol. Measurements:
//! [`nat`], [`stun`], [`turn`], [`audit`], [`lab`]. Connections: [`demo`], [`ice`], [`punch`], [`forecast`]. Others:
//! [`explain`], [`sdp`], [`serve`], [`generate`]. A command that cannot run prints one line on standard error with the reason
//! and the remedy. The exit codes are in [`exit`] and in docs/exit-codes.md.

#![forbid(unsafe_code)]

extern crate alloc;

mod args;
mod audit;
mod credentials;
mod demo;
mod dissect;
mod error;
mod exit;
#[cfg(feature = "explain")]
mod explain;
#[cfg(not(feature = "explain"))]
#[path = "without_explain.rs"]
mod explain;
mod forecast;
mod generate;
mod ice;
mod lab;
mod log;
mod nat;
mod options;
mod outcome;
mod output;
mod progress;
mod punch;
mod redact;
mod report;
mod require;
mod resolve;
mod sdp;
mod secret;
mod serve;
mod servers;
mod signals;
mod story;
mod stun;
#[cfg(feature = "tls")]
mod trust;
#[cfg(not(feature = "tls"))]
#[path = "without_tls.rs"]
mod trust;
mod turn;
mod vantage;
mod wrap;

use crate::args::{Cli, Command};
use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use clap::Parser;
use clap::error::ErrorKind;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_run(&error),
    };
    log::start(cli.verbose);
    run(cli.command)
        .unwrap_or_else(|failure| {
            output::print_diagnostic(&failure);
            failure.exit()
        })
        .into()
}

/// Prints help and version on standard output. Every other usage error is one line on standard error.
fn not_run(error: &clap::Error) -> ExitCode {
    let kind = error.kind();
    if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match output::print(&error.render().ansi().to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                output::print_diagnostic(why);
                Exit::CouldNotRun.into()
            }
        };
    }
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
    } else {
        output::print_diagnostic(args::one_line(error));
    }
    Exit::CouldNotRun.into()
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => in_runtime(serve::run(&args)),
        Command::Nat(args) => in_runtime(nat::run(&args)),
        Command::Stun(args) => in_runtime(stun::run(&args)),
        Command::Turn(args) => in_runtime(turn::run(&args)),
        Command::Ice(args) => in_runtime(ice::run(&args)),
        Command::Punch(args) => in_runtime(punch::run(&args)),
        Command::Forecast(args) => forecast::run(&args),
        Command::Audit(args) => in_runtime(audit::run(&args)),
        Command::Explain(args) => in_runtime(explain::run(&args)),
        Command::Sdp(command) => sdp::run(&command),
        Command::Lab(command) => lab::run(&command),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
}

/// Why no runtime can be built.
#[derive(Debug, thiserror::Error)]
enum RuntimeError {
    #[error("cannot start: {0}; raise the limit of open files (ulimit -n)")]
    Descriptors(io::Error),
}

impl CommandError for RuntimeError {}

/// Runs a command in a new runtime. The process does not wait for threads that still block, for example in a name
/// lookup.
fn in_runtime(run: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    reserve_descriptors().map_err(RuntimeError::Descriptors)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(run);
    runtime.shutdown_background();
    result
}

/// Checks that enough file descriptors are free for a runtime. Without them tokio panics in its signal handler instead
/// of returning an error. No other thread runs yet, so the descriptors are still free when the runtime opens them.
fn reserve_descriptors() -> io::Result<()> {
    /// A runtime opens six descriptors with tokio 1.54, and a pipe has two.
    const PIPES: usize = 4;
    let reserved: Vec<_> = (0..PIPES).map(|_| io::pipe()).collect::<io::Result<_>>()?;
    drop(reserved);
    Ok(())
}
