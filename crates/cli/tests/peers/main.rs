//! `portolan ice` with other implementations of ICE on loopback: aioice, and the WebRTC of Chromium.
//!
//! Each peer is a Python script in this folder that uses the signalling of docs/ice.md. The interpreter is
//! `PORTOLAN_PYTHON`, by default `python3`. Without a package or without Chromium, the trials with this peer are listed as
//! ignored with the reason; `PORTOLAN_PEERS=require` makes that a failure.

#![allow(clippy::indexing_slicing, reason = "a missing field of a JSON value is null")]

#[cfg(target_os = "linux")]
mod aioice;
#[cfg(target_os = "linux")]
#[path = "../support/binary.rs"]
mod binary;
#[cfg(target_os = "linux")]
mod chromium;
#[cfg(target_os = "linux")]
#[path = "../support/process.rs"]
mod process;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod script;
#[cfg(target_os = "linux")]
#[path = "../support/signalling.rs"]
mod signalling;

/// The result of a part of a trial, or why the trial fails.
#[cfg(target_os = "linux")]
type Outcome<T = ()> = Result<T, libtest_mimic::Failed>;

/// The maximum time of one step, on a busy machine too. The start of Chromium is a step.
#[cfg(target_os = "linux")]
const TIMEOUT: core::time::Duration = core::time::Duration::from_secs(60);

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // Trials mostly wait for the start of their peer, and a browser needs a core for that.
    arguments.test_threads.get_or_insert(THREADS);
    let check = |missing: fn() -> Option<String>| {
        if arguments.list { Some("only listed".to_owned()) } else { missing() }
    };
    let mut trials = script::trials(aioice::trials(), check(aioice::missing));
    trials.extend(script::trials(chromium::trials(), check(chromium::missing)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[cfg(target_os = "linux")]
const THREADS: usize = 4;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the trials with other implementations of ICE need Linux: no trial runs on this system");
}
