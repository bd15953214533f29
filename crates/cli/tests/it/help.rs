//! The help, pinned: it is what most users read.

use crate::{assert_refused, run};

#[track_caller]
fn assert_help(arguments: &[&str], pinned: &str) {
    let finished = run(arguments);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout, pinned);
}

#[test]
fn help_is_what_it_was() {
    assert_help(&["--help"], include_str!("help/portolan.txt"));
    assert_help(&["nat", "--help"], include_str!("help/nat.txt"));
    assert_help(&["serve", "--help"], include_str!("help/serve.txt"));
    assert_help(&["stun", "--help"], include_str!("help/stun.txt"));
    assert_help(&["audit", "--help"], include_str!("help/audit.txt"));
    assert_help(&["explain", "--help"], include_str!("help/explain.txt"));
    assert_help(&["sdp", "--help"], include_str!("help/sdp.txt"));
    assert_help(&["sdp", "explain", "--help"], include_str!("help/sdp-explain.txt"));
    assert_help(&["sdp", "check", "--help"], include_str!("help/sdp-check.txt"));
    assert_help(&["sdp", "json", "--help"], include_str!("help/sdp-json.txt"));
    assert_help(&["sdp", "diff", "--help"], include_str!("help/sdp-diff.txt"));
    assert_help(&["sdp", "scrub", "--help"], include_str!("help/sdp-scrub.txt"));
    assert_help(&["sdp", "answer", "--help"], include_str!("help/sdp-answer.txt"));
    assert_help(&["sdp", "validate", "--help"], include_str!("help/sdp-validate.txt"));
    assert_help(&["lab", "nat", "--help"], include_str!("help/lab-nat.txt"));
}

#[test]
fn help_teaches_units_exit_codes_and_exceptions() {
    let help = run(&["nat", "--help"]).stdout;
    for word in ["Exit codes:", "ten new transactions a second", "attack", "Seconds", "PORTOLAN_SERVERS", "--redact"] {
        assert!(help.contains(word), "no word of {word:?}");
    }
}

#[test]
fn a_command_line_that_cannot_be_read_is_one_line() {
    assert_refused(&run(&["nat", "--sever", "127.0.0.1"]), &["--sever", "--help"]);
    assert_refused(&run(&["nut"]), &["nut", "nat"]);
    assert_eq!(run(&[]).code, Some(2));
    let version = run(&["--version"]);
    assert_eq!((version.code, version.stdout), (Some(0), format!("portolan {}\n", env!("CARGO_PKG_VERSION"))));
}
