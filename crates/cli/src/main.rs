//! The portolan command: which NAT is in front of you, how sure that is, and why.
//!
//! One file for each subcommand ([`nat`], [`stun`], [`audit`], [`explain`], [`sdp`], [`serve`], [`lab`]); none of them knows a
//! protocol. What keeps a command from running is one line on standard error that says what to do, and exit code 2; the
//! codes of all commands stand in docs/exit-codes.md, and what they mean in [`exit`].

#![forbid(unsafe_code)]

extern crate alloc;

mod args;
mod audit;
mod error;
mod exit;
mod explain;
mod lab;
mod log;
mod nat;
mod options;
mod outcome;
mod output;
mod progress;
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
            output::complain(&failure);
            failure.exit()
        })
        .into()
}

/// Help and version are an answer; a command line that cannot be read is one line of complaint.
fn not_run(error: &clap::Error) -> ExitCode {
    let kind = error.kind();
    if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Help that nobody reads to its end has still been given.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
    } else {
        output::complain(args::one_line(error));
    }
    Exit::CouldNotRun.into()
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => in_runtime(serve::run(&args)),
        Command::Nat(args) => in_runtime(nat::run(&args)),
        Command::Stun(args) => in_runtime(stun::run(&args)),
        Command::Audit(args) => in_runtime(audit::run(&args)),
        Command::Explain(args) => explain::run(&args),
        Command::Sdp(command) => sdp::run(&command),
        Command::Lab(command) => lab::run(&command),
    }
}

/// Why no runtime can be built.
#[derive(Debug, thiserror::Error)]
enum RuntimeError {
    #[error("cannot start: {0}; raise the limit of open files (ulimit -n)")]
    Descriptors(io::Error),
}

impl CommandError for RuntimeError {}

/// Runs a command to its end in a runtime of its own. The process does not wait for threads that still hang, for example
/// in a name lookup.
fn in_runtime(run: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    reserve_descriptors().map_err(RuntimeError::Descriptors)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(run);
    runtime.shutdown_background();
    result
}

/// Checks that the descriptors are there that a runtime takes. Without them tokio panics in its signal handler instead of
/// returning an error. No other thread runs yet, so nothing takes them before the runtime does.
fn reserve_descriptors() -> io::Result<()> {
    /// A runtime takes six descriptors with tokio 1.54; a pipe has two.
    const PIPES: usize = 4;
    let reserved: Vec<_> = (0..PIPES).map(|_| io::pipe()).collect::<io::Result<_>>()?;
    drop(reserved);
    Ok(())
}
