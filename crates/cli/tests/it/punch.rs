//! `portolan punch` between two processes on loopback, with `portolan serve --rendezvous`.

use crate::process::{Finished, Process};
use crate::serve::start_server;
use crate::{TIMEOUT, assert_refused, binary, run};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

const SECRET: &str = "correct-horse-battery-staple";

fn server() -> (Process, String) {
    start_server(&["--rendezvous", "--rendezvous-secret", SECRET])
}

/// A file with this input.
fn input(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("portolan-punch-{}-{name}", std::process::id()));
    fs::write(&path, text).expect("a temporary file");
    path
}

/// Starts one side.
fn side(server: &str, extra: &[&str], stdin: Stdio) -> Process {
    let base = ["punch", "--rendezvous", server, "--room", "attic", "--secret", SECRET, "--address", "127.0.0.1"];
    let mut command = binary::portolan(&[&base[..], extra].concat()).expect("loopback only");
    command.stdin(stdin);
    Process::start(command).expect("the process starts")
}

fn finish(process: Process) -> Finished {
    process.finish(TIMEOUT).expect("the process ends")
}

#[cfg(feature = "tls")]
#[test]
fn both_directions_of_the_pipe_arrive_whole_and_a_command_gets_it() {
    let (_server, address) = server();
    let text: String = (0..40_000).map(|line| format!("line {line}\n")).collect();
    let path = input("pipe", &text);
    let from = |path: &PathBuf| Stdio::from(fs::File::open(path).expect("the file"));
    let left = side(&address, &[], from(&path));
    let right = side(&address, &[], from(&path));
    for finished in [finish(left), finish(right)] {
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stdout == text, "{} of {} bytes; {}", finished.stdout.len(), text.len(), finished.stderr);
        assert!(finished.stderr.contains("connected to 127.0.0.1:"), "{}", finished.stderr);
    }
    // The command sends everything back.
    let left = side(&address, &[], from(&path));
    let right = side(&address, &["--", "cat"], Stdio::null());
    let (left, right) = (finish(left), finish(right));
    assert_eq!((left.code, right.code), (Some(0), Some(0)), "{left:?} {right:?}");
    assert!(left.stdout == text && right.stdout.is_empty(), "{} bytes", left.stdout.len());
    fs::remove_file(path).expect("the file");
}

/// The secret of the hosts decides: with different ones, no packet of the other side is accepted.
#[test]
fn hosts_with_different_secrets_do_not_connect() {
    let (_server, address) = server();
    let [one, other] = ["one", "other"].map(|name| {
        let path = input(name, &format!("{name}-secret-of-two-hosts\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file");
        }
        path
    });
    let text = |path: &PathBuf| path.to_str().expect("a name").to_owned();
    let left = side(&address, &["--peer-secret-file", &text(&one)], Stdio::null());
    let right = side(&address, &["--peer-secret-file", &text(&other)], Stdio::null());
    for finished in [finish(left), finish(right)] {
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("no packet of the peer came"), "{finished:?}");
        assert!(!format!("{finished:?}").contains("secret-of-two-hosts"), "{finished:?}");
    }
    for path in [one, other] {
        fs::remove_file(path).expect("the file");
    }
}

#[test]
fn each_line_is_a_datagram_without_quic() {
    use std::io::Write as _;
    let (_server, address) = server();
    let mut sides =
        [side(&address, &["--datagrams"], Stdio::piped()), side(&address, &["--datagrams"], Stdio::piped())];
    let mut inputs = sides.each_mut().map(|side| side.take_input().expect("a pipe"));
    for side in &mut sides {
        side.wait_for("connected to", TIMEOUT).expect("a path");
    }
    for (n, input) in inputs.iter_mut().enumerate() {
        writeln!(input, "hello from {n}").expect("the process reads");
    }
    let [first, second] = &mut sides;
    first.wait_for("hello from 1", TIMEOUT).expect("the line");
    second.wait_for("hello from 0", TIMEOUT).expect("the line");
    drop(inputs);
    for side in sides {
        let finished = finish(side);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}

#[test]
fn each_failure_is_one_line_with_its_code() {
    let (_server, address) = server();
    // The other host does not come.
    let finished = finish(side(&address, &["--wait", "1"], Stdio::null()));
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.ends_with("start the other side with the same room, or wait longer\n"), "{finished:?}");
    // Wrong arguments and secrets.
    let base = ["punch", "--rendezvous", &address, "--room", "attic"];
    let refused = |extra: &[&str], words: &[&str]| assert_refused(&run(&[&base[..], extra].concat()), words);
    refused(&["--secret", "false"], &["refuses the secret"]);
    refused(&[], &["--secret-file", "--help"]);
    refused(&["--secret", SECRET, "--card", "nat1,m=cone"], &["column 8", "eim"]);
    refused(&["--secret-file", "/nonexistent"], &["/nonexistent"]);
    let long = "a".repeat(65);
    let arguments = ["punch", "--rendezvous", &address, "--room", &long, "--secret", SECRET];
    assert_refused(&run(&arguments), &["1 to 64 bytes, not 65"]);
    // A rendezvous that is no rendezvous.
    let (_stun, plain) = start_server(&[]);
    let silent = run(&["punch", "--rendezvous", &plain, "--room", "attic", "--secret", SECRET]);
    assert_refused(&silent, &["does not answer", "--rendezvous"]);
}
