//! Real NATs: namespaces and nftables rules of the kernel, with the `portolan` binary behind them.
//!
//! The `self_check` trials use a probe without STUN, and prove that each network matches the table of kinds. The other
//! trials run the binary like a user. No packet leaves the machine, and nothing stays on it. Root is not needed if
//! unprivileged user namespaces are allowed. Without the lab, every trial is listed as ignored with the reason;
//! `PORTOLAN_LAB=require` makes that a failure.

#[cfg(target_os = "linux")]
#[path = "../support/binary.rs"]
mod binary;
#[cfg(target_os = "linux")]
mod kinds;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
#[path = "../support/process.rs"]
mod process;
#[cfg(target_os = "linux")]
mod recipes;
#[cfg(target_os = "linux")]
mod serving;
#[cfg(target_os = "linux")]
mod topology;
#[cfg(target_os = "linux")]
mod trials;
#[cfg(target_os = "linux")]
mod verdicts;

/// The result of a part of a trial, or why the trial fails.
#[cfg(target_os = "linux")]
type Outcome<T = ()> = Result<T, libtest_mimic::Failed>;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use lab::Ground;

    let mut arguments = libtest_mimic::Arguments::from_args();
    // Trials mostly wait for timeouts, so more of them run at once than there are cores.
    arguments.test_threads.get_or_insert(THREADS);
    let ground = if arguments.list { Ground::Missing("only listed".to_owned()) } else { lab::ground() };
    let missing = match ground {
        Ground::Elsewhere(code) => return code,
        Ground::Here => None,
        Ground::Missing(why) => Some(why),
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
    println!("kernel NATs are made of Linux namespaces: nothing to do here");
}
