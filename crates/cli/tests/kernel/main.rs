//! Real NATs: the kernel's own, made of namespaces and nftables rules, with the `portolan` binary behind them.
//!
//! `self_check` trials prove, with a probe that speaks no STUN, that each network is what the table of kinds says; the
//! other trials ask the binary, as a user would. Nothing leaves the machine, nothing stays on it, and no root is needed
//! where unprivileged user namespaces are allowed. Where the lab cannot be made, every trial is listed as ignored with
//! the reason; `PORTOLAN_LAB=require` makes that a failure.

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

/// What a part of a trial yields, or why the trial fails.
#[cfg(target_os = "linux")]
type Outcome<T = ()> = Result<T, libtest_mimic::Failed>;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use lab::Ground;

    let mut arguments = libtest_mimic::Arguments::from_args();
    // Trials mostly wait for silence: more of them at once than there are cores.
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
