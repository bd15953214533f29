//! `portolan audit` against `portolan serve`, and against servers that misbehave.

use crate::invalid_responses::run_against;
use crate::serve::{start_server, start_server_with_alternate};
use crate::{Finished, assert_refused, run};
use serde_json::Value;
use std::net::UdpSocket;

fn outcome<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check}: {report}"))
}

#[test]
fn portolan_serve_passes_all_checks_over_udp_and_tcp() {
    let (_server, address) = start_server_with_alternate();
    let finished = run(&["audit", &address, "--format", "json"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let report: Value = serde_json::from_str(&finished.stdout).expect("one line of JSON");
    assert_eq!((&report["schema"], &report["answered"]), (&"portolan.audit/1".into(), &true.into()));
    assert_eq!((&report["server"]["address"], &report["mapped"]), (&address.as_str().into(), &report["local"]));
    assert_eq!(report["summary"]["violated"], 0, "{report}");
    for check in ["binding", "tcp", "fingerprint", "unknown-required", "change-port", "response-port", "padding"] {
        assert_eq!(outcome(&report, check)["outcome"], "honoured", "{report}");
    }
    assert!(report["elapsed_ms"].as_f64().is_some_and(|elapsed| elapsed < 10_000.0), "{report}");
    assert!(report["traffic"]["sent"].as_u64().is_some_and(|sent| sent <= 160), "{report}");
    assert!(report["amplification"][0]["factor"].as_f64().is_some_and(|factor| (1.0..10.0).contains(&factor)));
}

#[test]
fn the_text_is_grouped_by_rfc_with_one_line_for_each_check() {
    let (_server, address) = start_server_with_alternate();
    let finished = run(&["audit", &address, "--no-tcp"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    for words in [
        " sees you at 127.0.0.1:",
        "\nRFC 8489, Session",
        "  ✓ §6.3.1   a Binding request is answered with success\n",
        "  ? §6.2.2   a Binding request over TCP is answered: not tested\n",
        "\nRFC 5780, NAT",
        "  ✓ §7.2     CHANGE-REQUEST for both is obeyed\n",
        " 0 violated, ",
    ] {
        assert!(finished.stdout.contains(words), "{words:?} is missing: {finished:?}");
    }
}

#[test]
fn a_server_that_requires_credentials_is_reported_and_its_401_is_checked() {
    let (_server, local) = start_server(&["--realm", "example.org", "--user", "alice:x"]);
    let finished = run(&["audit", &local, "--format", "json"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let report: Value = serde_json::from_str(&finished.stdout).expect("one line of JSON");
    let credentials = &report["credentials"];
    assert_eq!(credentials["realm"], "example.org", "{report}");
    assert_eq!(credentials["password_algorithms"], serde_json::json!([2, 1]), "{report}");
    assert_eq!(outcome(&report, "credentials")["outcome"], "honoured", "{report}");
    assert_eq!(outcome(&report, "binding")["outcome"], "unknown", "{report}");
    assert_eq!(report["summary"]["violated"], 0, "{report}");
}

/// Audits a server that responds to each datagram with `answer`.
fn audit(answer: fn(&[u8]) -> Vec<u8>) -> Finished {
    run_against(answer, |address| run(&["audit", address, "--format", "json"]))
}

#[test]
fn violations_are_reported_with_exit_code_1() {
    let finished = audit(|request| [&[1, 1, 0, 0], &[0x21, 0x12, 0xa4, 0x42], &request[8..20]].concat());
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(1), ""), "{finished:?}");
    let report: Value = serde_json::from_str(&finished.stdout).expect("one line of JSON");
    for (check, why) in [
        ("xor-mapped-address", "the attribute is missing"),
        ("indication", "answered, although the message must be dropped"),
        ("unknown-required", "answered as if the attribute were absent"),
    ] {
        let finding = outcome(&report, check);
        assert_eq!((&finding["outcome"], &finding["why"]), (&"violated".into(), &why.into()), "{finding}");
        assert_eq!(finding["rfc"], 8489);
    }
    // No socket listens on TCP there.
    assert_eq!(outcome(&report, "tcp")["outcome"], "not-supported", "{report}");
    let invalid = audit(|_| vec![0xff; 40]);
    let report: Value = serde_json::from_str(&invalid.stdout).expect("one line of JSON");
    assert_eq!(
        (invalid.code, &outcome(&report, "binding")["why"]),
        (Some(1), &"the response is not a STUN message".into())
    );
}

#[test]
fn a_silent_server_gives_exit_code_3_and_a_missing_argument_one_line() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("its address").to_string();
    let finished = run(&["audit", &address]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(3), ""), "{finished:?}");
    assert!(finished.stdout.contains(" did not respond over udp"), "{finished:?}");
    assert_eq!(finished.stdout.matches("the server did not answer").count(), 1, "{finished:?}");
    assert!(finished.stdout.lines().count() <= 10, "{finished:?}");
    assert!(finished.stdout.contains(" 0 violated, "), "{finished:?}");
    assert_refused(&run(&["audit", "127.0.0.1:0"]), &["port"]);
    assert_refused(&run(&["audit"]), &["HOST[:PORT]"]);
}
