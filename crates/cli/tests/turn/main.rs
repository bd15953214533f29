//! `portolan serve --turn` on loopback: with a small client of these tests, and with the clients of coturn.
//!
//! `portolan turn` runs against the server of coturn.
//!
//! The trials with coturn need `turnutils_uclient`, `turnutils_peer` and `turnserver` (Debian package `coturn`). Without
//! them these trials are listed as ignored, and one line gives the reason. `PORTOLAN_TURN=require` makes that a failure.
//! Each server has a loopback address of its own, and the system chooses its port.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[cfg(all(target_os = "linux", feature = "tls"))]
extern crate alloc;

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
#[path = "../support/receive.rs"]
mod receive;
#[cfg(target_os = "linux")]
mod server;
#[cfg(all(target_os = "linux", feature = "tls"))]
mod tls;
#[cfg(target_os = "linux")]
mod turnserver;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // Trials mostly wait for the clients of coturn, so more of them run at once than there are cores.
    arguments.test_threads.get_or_insert(THREADS);
    let is_required = std::env::var_os("PORTOLAN_TURN").is_some_and(|value| value == "require");
    let missing = coturn::missing();
    if let (Some(missing), false) = (missing, arguments.list) {
        eprintln!("no trial with coturn: {missing} is not installed (Debian package coturn)");
        if is_required {
            eprintln!("the trials with coturn are required (PORTOLAN_TURN)");
            return std::process::ExitCode::FAILURE;
        }
    }
    let mut trials = operation::trials();
    #[cfg(feature = "tls")]
    trials.extend(tls::trials());
    trials.extend(coturn::trials(missing.is_some()));
    trials.extend(turnserver::trials(missing.is_some()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[cfg(target_os = "linux")]
const THREADS: usize = 8;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the trials of the TURN server need Linux: no trial runs on this system");
}
