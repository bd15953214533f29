//! Too few file descriptors.

use crate::binary::portolan;
use crate::process::{Finished, Process};
use crate::{TIMEOUT, assert_refused};
use std::process::{Command, Stdio};

/// Below this number the loader cannot open the libraries of the binary: three standard streams, and one more.
const MINIMUM: u32 = 4;

/// Runs the binary with this limit of open files.
fn run_with(descriptors: u32, arguments: &[&str]) -> Finished {
    let binary = portolan(arguments).expect("loopback only");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
    command.arg(binary.get_program()).args(binary.get_args());
    command.env("PORTOLAN_SERVERS", "").stdin(Stdio::null());
    Process::start(command).and_then(|process| process.finish(TIMEOUT)).expect("the process ends")
}

#[test]
fn a_server_without_descriptors_prints_one_line_and_does_not_panic() {
    for descriptors in MINIMUM..=10 {
        assert_refused(&run_with(descriptors, &["serve", "--listen", "127.0.0.1:0"]), &["raise the limit"]);
    }
}

#[test]
fn a_turn_server_without_descriptors_prints_one_line_and_does_not_panic() {
    let fixed =
        ["serve", "--turn", "--listen", "127.0.0.1:0", "--realm", "r", "--user", "a:b", "--max-allocations", "4"];
    for workers in ["1", "4"] {
        for descriptors in MINIMUM..=14 {
            assert_refused(
                &run_with(descriptors, &[&fixed[..], &["--workers", workers]].concat()),
                &["raise the limit"],
            );
        }
    }
}

#[test]
fn an_audit_without_descriptors_prints_one_line_and_does_not_panic() {
    for descriptors in MINIMUM..=10 {
        assert_refused(&run_with(descriptors, &["audit", "127.0.0.1:9"]), &[]);
    }
}

#[test]
fn no_command_panics_without_descriptors() {
    let file = std::env::temp_dir().join(format!("portolan-descriptors-{}.sdp", std::process::id()));
    std::fs::write(&file, "v=0\r\n").expect("a new file");
    let path = file.display().to_string();
    for descriptors in MINIMUM..=14 {
        for arguments in [
            &["nat", "--server", "127.0.0.1:9", "--timeout", "0.2"][..],
            &["nat", "--server", "localhost:9", "--timeout", "0.2"],
            &["stun", "127.0.0.1:9", "--timeout", "0.2"],
            &["stun", "127.0.0.1:9", "--tls", "--timeout", "0.2"],
            &["stun", "127.0.0.1:9", "--tls", "--ca-file", &path],
            &["stun", "127.0.0.1:9", "--user", "alice", "--password-file", &path, "--timeout", "0.2"],
            &["serve", "--listen", "127.0.0.1:0", "--users", &path],
            &["explain", &path],
            &["sdp", "check", &path],
            &["sdp", "json", &path],
            &["lab", "nat"],
        ] {
            let finished = run_with(descriptors, arguments);
            let panicked = finished.stderr.contains("panicked") || finished.code.is_none_or(|code| code > 3);
            assert!(!panicked, "{descriptors} descriptors, {arguments:?}: {finished:?}");
            if finished.code == Some(2) {
                assert_eq!(finished.stderr.lines().count(), 1, "{descriptors}, {arguments:?}: {finished:?}");
            }
        }
    }
    std::fs::remove_file(&file).expect("the file exists");
}
