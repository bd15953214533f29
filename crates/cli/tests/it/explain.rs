//! `portolan explain`: needs no network.

use crate::binary::portolan;
use crate::process::Finished;
use crate::{assert_refused, run};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

/// A Binding success response that maps 192.0.2.1:32853.
const RESPONSE: &str = "0101000c2112a4420102030405060708090a0b0c000200080001a147e112a643";
/// The same with its mapped address XORed, as RFC 8489 has it.
const XORED: &str = "0101000c2112a4420102030405060708090a0b0c002000080001a147e112a643";

fn piped(arguments: &[&str], input: &[u8]) -> Finished {
    let mut command = portolan(arguments).expect("no server");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the binary starts");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        ..Finished::default()
    }
}

#[test]
fn a_message_is_told_byte_by_byte() {
    let finished = run(&["explain", "--hex", XORED]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(finished.stdout, include_str!("explain/xored.txt"));
    assert_eq!(piped(&["explain"], XORED.as_bytes()).stdout, finished.stdout);
    assert_eq!(piped(&["explain", "-"], RESPONSE.as_bytes()).code, Some(0));
}

#[test]
fn what_is_wrong_is_marked_and_is_the_exit_code() {
    let torn = XORED.get(..60).expect("longer");
    let finished = run(&["explain", "--hex", torn]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("! byte 30: the header announces 12 bytes after it, here are 10"), "{finished:?}");
    assert!(finished.stdout.ends_with("1 message: something is wrong, see the marks \"!\".\n"), "{finished:?}");
}

#[test]
fn json_has_every_byte_once_and_says_what_is_wrong() {
    let finished = run(&["explain", "--format", "json", "--hex", XORED, "0101"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let told: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&told["schema"], &told["source"]), (&"portolan.explain/1".into(), &"hex".into()));
    let message = &told["messages"][0];
    assert_eq!((&message["kind"], &message["wrong"]), (&"stun".into(), &true.into()));
    let lines = message["lines"].as_array().expect("a list");
    let bytes: String = lines.iter().filter_map(|line| line["bytes"].as_str()).collect();
    assert_eq!(bytes, format!("{XORED}0101"));
    assert!(lines.iter().any(|line| line["wrong"] == true));
}

#[test]
fn what_cannot_be_read_is_one_line_that_says_where() {
    assert_refused(&run(&["explain", "/nowhere/at/all"]), &["/nowhere/at/all", "name a file"]);
    assert_refused(&run(&["explain", "--hex", "00 0g"]), &["line 1, column 5", "'g'"]);
    assert_refused(&run(&["explain"]), &["the input is empty"]);
    assert_refused(&piped(&["explain"], b"what is this?\n"), &["line 1, column 1", "base64"]);
    assert_refused(&piped(&["explain"], &[0xd4, 0xc3, 0xb2, 0xa1, 0]), &["byte 0", "header of a capture"]);
}
