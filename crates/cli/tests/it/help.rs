//! The help of each command, compared with a pinned text.

use crate::{assert_refused, run};

#[track_caller]
fn assert_help(arguments: &[&str], pinned: &str) {
    let finished = run(arguments);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout, pinned);
}

#[test]
fn the_help_of_each_command_is_pinned() {
    assert_help(&["--help"], include_str!("help/portolan.txt"));
    assert_help(&["demo", "--help"], include_str!("help/demo.txt"));
    assert_help(&["nat", "--help"], include_str!("help/nat.txt"));
    assert_help(&["serve", "--help"], include_str!("help/serve.txt"));
    assert_help(&["stun", "--help"], include_str!("help/stun.txt"));
    assert_help(&["turn", "--help"], include_str!("help/turn.txt"));
    assert_help(&["ice", "--help"], include_str!("help/ice.txt"));
    assert_help(&["punch", "--help"], include_str!("help/punch.txt"));
    assert_help(&["forecast", "--help"], include_str!("help/forecast.txt"));
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
    assert_help(&["completions", "--help"], include_str!("help/completions.txt"));
    assert_help(&["man", "--help"], include_str!("help/man.txt"));
}

#[test]
fn the_help_of_nat_names_units_exit_codes_and_exceptions() {
    let help = run(&["nat", "--help"]).stdout;
    for word in ["Exit codes:", "ten new transactions a second", "attack", "Seconds", "PORTOLAN_SERVERS", "--redact"] {
        assert!(help.contains(word), "the help does not contain {word:?}");
    }
}

/// The help of each command shows the rows of docs/exit-codes.md for the command.
#[test]
fn the_help_of_each_command_shows_its_exit_codes() {
    let rows: Vec<Vec<&str>> = include_str!("../../../../docs/exit-codes.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 23, "one row for each command, one for --watch, one for --strict, and one for --turn");
    for row in rows {
        let [command, meanings @ ..] = row.as_slice() else { panic!("a row has cells") };
        let command: Vec<&str> = command.trim_matches('`').split(' ').filter(|word| !word.starts_with("--")).collect();
        let help = run(&[&command[..], &["--help"]].concat()).stdout;
        for (code, meaning) in meanings.iter().enumerate().filter(|(_, meaning)| **meaning != "–") {
            let line = format!("\n  {code}  {meaning}\n");
            assert!(help.contains(&line), "{command:?}: the help has no line {line:?}");
        }
    }
}

#[test]
fn a_usage_error_gives_one_line() {
    assert_refused(&run(&["nat", "--sever", "127.0.0.1"]), &["--sever", "--help"]);
    assert_refused(&run(&["nut"]), &["nut", "nat"]);
    assert_eq!(run(&[]).code, Some(2));
    let version = run(&["--version"]);
    assert_eq!((version.code, version.stdout), (Some(0), format!("portolan {}\n", env!("CARGO_PKG_VERSION"))));
}
