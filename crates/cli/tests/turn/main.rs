//! `portolan serve --turn` on loopback: with a small client of these tests, and with the clients of coturn.
//!
//! The trials with coturn need `turnutils_uclient` and `turnutils_peer` (Debian package `coturn`). Without them these
//! trials are listed as ignored, and a line names the package. Each trial has a loopback address of its own.

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
    let missing = coturn::missing();
    if let (Some(missing), false) = (missing, arguments.list) {
        eprintln!("no trial with coturn: {missing} is not installed (Debian package coturn)");
    }
    let mut trials = operation::trials();
    trials.extend(coturn::trials(missing.is_some()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the trials of the TURN server need Linux: no trial runs on this system");
}
