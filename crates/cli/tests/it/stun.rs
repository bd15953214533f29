//! `portolan stun` against `portolan serve`, and against servers that misbehave.

use crate::invalid_responses::run_against;
use crate::serve::start_server_with_alternate;
use crate::{assert_refused, run};
use serde_json::Value;
use std::net::UdpSocket;

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))
}

#[test]
fn a_binding_succeeds_over_udp_and_tcp() {
    let (_server, address) = start_server_with_alternate();
    for (arguments, transport) in [(&["--timeout", "5"][..], "udp"), (&["--tcp"], "tcp")] {
        let finished = run(&[&["stun", &address, "--format", "json"], arguments].concat());
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        let report = json(&finished.stdout);
        assert_eq!(report["schema"], "portolan.stun/1");
        assert_eq!((&report["outcome"], &report["transport"]), (&"answered".into(), &transport.into()), "{report}");
        assert_eq!((&report["mapped"], &report["server"]["address"]), (&report["local"], &address.as_str().into()));
        assert!(report["rtt_ms"].as_f64().is_some_and(|rtt| rtt < 5000.0), "{report}");
        assert!(report["explained"].is_null(), "{report}");
    }
}

#[test]
fn both_messages_are_explained_and_events_come_first() {
    let (_server, address) = start_server_with_alternate();
    let uri = format!("stun:{address}");
    let finished = run(&["stun", &uri, "--explain"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    for words in [" sees you at 127.0.0.1:", "  round trip ", "\nRequest, ", "Binding request", "\nResponse, "] {
        assert!(finished.stdout.contains(words), "{words:?} is missing: {finished:?}");
    }
    let finished = run(&["stun", &address, "--format", "jsonl", "--explain"]);
    let events: Vec<Value> = finished.stdout.lines().map(json).collect();
    let words: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(words, ["sent", "report"], "{finished:?}");
    let report = events.last().expect("two events");
    assert_eq!(report["explained"]["request"][0]["meaning"], "Binding request");
    assert!(report["explained"]["response"].as_array().is_some_and(|lines| lines.len() > 4), "{report}");
}

/// Runs `portolan stun` against a server that responds to each request with `answer`.
fn run_stun(answer: fn(&[u8]) -> Vec<u8>) -> crate::Finished {
    run_against(answer, |address| run(&["stun", address, "--timeout", "1"]))
}

#[test]
fn an_error_is_printed_with_its_code_and_without_control_characters() {
    let finished = run_stun(|request| {
        [&[1, 0x11, 0, 12], &request[4..20], &[0, 9, 0, 7, 0, 0, 5, 0, b'n', 0x1b, b'o', 0]].concat()
    });
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains(" refuses: 500 n\u{fffd}o."), "{finished:?}");
    let finished = run_stun(|request| [&[1, 1, 0, 0], &request[4..20]].concat());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains(" sent no mapped address."), "{finished:?}");
}

#[test]
fn a_missing_response_gives_one_line_with_a_hint() {
    assert_refused(
        &run_stun(|_| vec![0xff; 40]),
        &["did not respond over udp within 1 s after 2 transmissions", "--tcp"],
    );
    let unknown = |request: &[u8]| [&[1, 1, 0, 4], &request[4..20], &[0x7f, 0, 0, 0]].concat();
    assert_refused(&run_stun(unknown), &["unknown comprehension-required", "0x7f00"]);
    // No socket listens there: the port was free a moment ago.
    let closed = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").to_string();
    assert_refused(&run(&["stun", &closed, "--timeout", "1"]), &[&closed, "ICMP: "]);
    assert_refused(&run(&["stun", &closed, "--tcp"]), &[&closed, "over tcp", "refused"]);
}

#[test]
fn an_invalid_server_gives_one_line() {
    assert_refused(&run(&["stun", "turn:127.0.0.1"]), &["relay"]);
    assert_refused(&run(&["stun", "stuns:localhost", "--tcp"]), &["TLS"]);
    assert_refused(&run(&["stun", "127.0.0.1:0"]), &["port"]);
}
