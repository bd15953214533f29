//! A short run of the relay comparison, without coturn: it shows that the programs work, and measures nothing.

use std::process::Command;

#[test]
fn the_comparison_runs_without_coturn() {
    let output = Command::new(env!("CARGO_BIN_EXE_relay"))
        .args(["--servers", "portolan,driver,bare", "--patterns", "single,whole"])
        .args(["--rounds", "1", "--flows", "4", "--milliseconds", "20", "--allocations", "8", "--without-tools"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["thousand forwards", "latency in microseconds", "portolan"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn an_unknown_option_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_relay")).args(["--speed", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown option --speed"));
}
