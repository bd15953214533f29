//! `portolan lab nat` needs no network.

use crate::binary::portolan;
use crate::process::Process;
use crate::{TIMEOUT, assert_refused, run};
use serde_json::Value;
use std::io;
use std::process::{Child, Stdio};

#[test]
fn the_default_network_is_classified_correctly() {
    let finished = run(&["lab", "nat"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.stdout.starts_with("A simulated network, no packet is sent."), "{finished:?}");
    let verdict =
        "\nVerdict     Your router keeps one public port per socket and lets only the contacted address and\n";
    assert!(finished.stdout.contains(verdict), "{finished:?}");
    assert!(finished.stdout.contains("\nCheck       The result is correct.\n"), "{finished:?}");
    assert!(finished.stdout.lines().count() <= 30, "{finished:?}");
}

#[test]
fn text_wraps_at_the_width_of_the_environment() {
    for width in [40, 80, 100] {
        for arguments in [&["lab", "nat"][..], &["lab", "nat", "--explain=packets", "-4", "-6"]] {
            let mut command = portolan(arguments).expect("no server");
            command.env("COLUMNS", width.to_string());
            let finished = Process::start(command).and_then(|one| one.finish(TIMEOUT)).expect("the process ends");
            let has_one_word = |line: &str| line.split_whitespace().count() == 1;
            let fits = |line: &str| line.chars().count() <= width || has_one_word(line);
            assert!(finished.stdout.lines().all(fits), "{width}: {finished:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_output() {
    let explain =
        |seed: &str| run(&["lab", "nat", "--mapping", "apdm", "--loss", "10", "--seed", seed, "--explain=packets"]);
    let (one, two) = (explain("7"), explain("7"));
    assert!(one.stdout.contains("What happened\n"), "{one:?}");
    assert_eq!(one.stdout, two.stdout);
    assert_ne!(one.stdout, explain("8").stdout);
}

#[test]
fn the_report_is_available_as_json() {
    let finished = run(&["lab", "nat", "--preset", "symmetric", "--format", "json"]);
    let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&report["simulated"], &report["families"][0]["type"]), (&Value::from(true), &"symmetric".into()));
}

#[test]
fn invalid_values_give_one_line() {
    assert_refused(&run(&["lab", "nat", "--mapping", "cone"]), &["--mapping", "expected eim, adm, apdm"]);
    assert_refused(&run(&["lab", "nat", "--preset", "office"]), &["--preset", "home"]);
    assert_refused(&run(&["lab", "nat", "--preset", "home", "--mapping", "eim"]), &["--preset", "--mapping"]);
    assert_refused(&run(&["lab", "nat", "--loss", "51"]), &["--loss", "50"]);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    for arguments in [&["lab", "nat", "--explain"][..], &["lab", "nat", "--format", "jsonl"], &["nat", "--help"]] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let child = portolan(arguments).expect("no server").stdout(writer).stderr(Stdio::piped()).spawn();
        let finished = child.and_then(Child::wait_with_output).expect("the process ends");
        assert_eq!(finished.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&finished.stderr), "", "{arguments:?}");
    }
}
