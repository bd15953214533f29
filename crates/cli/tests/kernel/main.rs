//! Real NATs: namespaces and nftables rules of the kernel, with the `portolan` binary behind them.
//!
//! The `self_check` trials use a probe without STUN, and prove that each network matches the table of kinds. The other
//! trials run the binary. No packet leaves the machine, and the networks are removed at the end. Root is not needed if
//! unprivileged user namespaces are allowed. Without the lab, every trial is listed as ignored with the reason;
//! `PORTOLAN_LAB=require` makes that a failure.

#[cfg(target_os = "linux")]
extern crate alloc;

#[cfg(target_os = "linux")]
#[path = "../support/binary.rs"]
mod binary;
#[cfg(target_os = "linux")]
mod kinds;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod line;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod pairs;
#[cfg(target_os = "linux")]
mod piping;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
#[path = "../support/process.rs"]
mod process;
#[cfg(target_os = "linux")]
mod punching;
#[cfg(target_os = "linux")]
#[path = "../support/receive.rs"]
mod receive;
#[cfg(target_os = "linux")]
mod reports;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod serving;
#[cfg(target_os = "linux")]
#[path = "../support/signalling.rs"]
mod signalling;
#[cfg(target_os = "linux")]
mod topology;
#[cfg(target_os = "linux")]
mod trials;

/// The result of a part of a trial, or why the trial fails.
#[cfg(target_os = "linux")]
type Outcome<T = ()> = Result<T, libtest_mimic::Failed>;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use lab::LabState;

    let mut arguments = libtest_mimic::Arguments::from_args();
    // Trials mostly wait for timeouts, so more of them run at once than there are cores.
    arguments.test_threads.get_or_insert(THREADS);
    let state = if arguments.list { LabState::Unavailable("only listed".to_owned()) } else { lab::enter() };
    let missing = match state {
        LabState::Finished(code) => return code,
        LabState::Entered => None,
        LabState::Unavailable(why) => Some(why),
    };
    if let (Some(why), false) = (&missing, arguments.list) {
        eprintln!("no lab for kernel NATs: {why}");
    }
    libtest_mimic::run(&arguments, trials::all(missing.as_deref())).exit_code()
}

#[cfg(target_os = "linux")]
const THREADS: usize = 6;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("kernel NATs need Linux namespaces: no trial runs on this system");
}
