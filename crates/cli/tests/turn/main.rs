//! `portolan serve --turn` on loopback: with a small client of these tests, and with the clients of coturn.
//!
//! The trials with coturn need `turnutils_uclient` and `turnutils_peer` (Debian package `coturn`). Without them these
//! trials are listed as ignored, and a line names the package. Each trial has a loopback address of its own.
//!
//! The trials take several minutes and need a quiet machine, because the client of coturn is started until its random
//! channel numbers are valid. So they run only if `PORTOLAN_TURN` is `require`.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[cfg(target_os = "linux")]
#[path = "../support/binary.rs"]
mod binary;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod coturn;
#[cfg(target_os = "linux")]
mod operation;
#[cfg(target_os = "linux")]
#[path = "../support/process.rs"]
mod process;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let is_required = std::env::var_os("PORTOLAN_TURN").is_some_and(|value| value == "require");
    if !is_required && !arguments.list {
        eprintln!("no trial of the TURN server on loopback: set PORTOLAN_TURN=require to run them");
    }
    let missing = coturn::missing();
    if let (Some(missing), false) = (missing, arguments.list) {
        eprintln!("no trial with coturn: {missing} is not installed (Debian package coturn)");
    }
    let mut trials = operation::trials();
    trials.extend(coturn::trials(missing.is_some()));
    if !is_required {
        trials = trials.into_iter().map(|trial| trial.with_ignored_flag(true)).collect();
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the trials of the TURN server need Linux: no trial runs on this system");
}
