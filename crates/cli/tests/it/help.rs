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

/// docs/exit-codes.md and the help of each command say the same, word by word.
#[test]
fn the_table_of_exit_codes_is_the_helps() {
    let rows: Vec<Vec<&str>> = include_str!("../../../../docs/exit-codes.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 13, "one for each command, and for --watch");
    for row in rows {
        let [command, codes @ ..] = row.as_slice() else { panic!("a row has cells") };
        let command: Vec<&str> = command.trim_matches('`').split(' ').filter(|word| *word != "--watch").collect();
        let help = run(&[&command[..], &["--help"]].concat()).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (code, cell) in codes.iter().enumerate().filter(|(_, cell)| **cell != "–") {
            let told = if *cell == "as `nat`" {
                "Exit codes are those of `portolan nat`.".to_owned()
            } else {
                format!("{code} {cell}")
            };
            assert!(help.contains(&told), "{command:?}: the help has no words of {told:?}");
        }
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
