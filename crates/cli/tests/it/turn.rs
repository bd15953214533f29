//! `portolan turn` against a TURN server on loopback.

use crate::invalid_responses::run_against;
use crate::process::Finished;
use crate::relay_server::{RelayServer, config};
use crate::{assert_refused, run};
use portolan_machine::Protocol;
use portolan_tokio::DriverConfig;
use portolan_turn::{Server, ServerLimits};
use serde_json::Value;
use std::net::UdpSocket;
use std::thread;

const ALICE: [&str; 2] = ["--user", "alice:secret of alice"];

fn run_turn(server: &RelayServer, arguments: &[&str]) -> Finished {
    let finished = run(&[&["turn", &server.host()], arguments].concat());
    assert!(!format!("{finished:?}").contains("secret of"), "{finished:?}");
    finished
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|why| panic!("{why}: {finished:?}"))
}

#[track_caller]
fn assert_code(finished: &Finished, code: i32) {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(code), ""), "{finished:?}");
}

#[test]
fn datagrams_go_to_the_own_peer_and_back() {
    let server = RelayServer::start(config());
    let finished = run_turn(&server, &[&ALICE[..], &["--count", "50", "--format", "json"]].concat());
    assert_code(&finished, 0);
    let report = json(&finished);
    assert_eq!((&report["schema"], &report["outcome"]), (&"portolan.turn/1".into(), &"works".into()), "{report}");
    assert_eq!(report["server"]["address"], server.host(), "{report}");
    let relayed = report["relayed"][0].as_str().expect("an address");
    assert!(relayed.starts_with("127.0.0.1:") && relayed != server.host(), "{report}");
    assert_eq!((&report["lifetime_s"], &report["refreshed_s"]), (&600.into(), &600.into()), "{report}");
    assert!(report["channel"].as_u64().is_some_and(|number| (0x4000..0x5000).contains(&number)), "{report}");
    let datagrams = &report["datagrams"];
    assert_eq!((&datagrams["sent"], &datagrams["at_peer"]), (&50.into(), &50.into()), "{report}");
    assert_eq!((&datagrams["returned"], &datagrams["size"]), (&50.into(), &160.into()), "{report}");
    for way in ["forth_ms", "back_ms", "round_trip_ms"] {
        let [least, median, most] = ["least", "median", "most"].map(|name| datagrams[way][name].as_f64().expect(way));
        assert!(0.0 < least && least <= median && median <= most && most < 5000.0, "{report}");
    }
    assert_eq!((&report["failed"], report.get("steps")), (&Value::Null, None), "{report}");
}

#[test]
fn datagrams_go_through_a_server_over_tcp() {
    let server = RelayServer::start_over(config(), Protocol::TcpListen);
    let finished = run_turn(&server, &[&ALICE[..], &["--tcp", "--format", "json"]].concat());
    assert_code(&finished, 0);
    let report = json(&finished);
    assert_eq!((&report["transport"], &report["datagrams"]["returned"]), (&"tcp".into(), &20.into()), "{report}");
}

#[test]
fn the_text_ends_with_the_verdict_and_explain_prints_each_step_with_its_clause() {
    let server = RelayServer::start(config());
    let finished = run_turn(&server, &ALICE);
    assert_code(&finished, 0);
    assert!(finished.stdout.ends_with("\nIt works: 20 of 20 datagrams came back through the relay.\n"), "{finished:?}");
    for words in [" relays at 127.0.0.1:", "20, loss 0.0 %", "  to the peer ", "  from the peer ", "for 600 s"] {
        assert!(finished.stdout.contains(words), "{words:?} is missing: {finished:?}");
    }
    assert!(!finished.stdout.contains("[RFC"), "{finished:?}");
    let finished = run_turn(&server, &[&ALICE[..], &["--explain"]].concat());
    assert_code(&finished, 0);
    for words in [
        "\nSteps\n",
        "allocated 127.0.0.1:",
        "[RFC 8656 §7.3]",
        "refreshed the allocation for 600 s [RFC 8656 §8.3]",
        "is released [RFC 8656 §8.1]",
    ] {
        assert!(finished.stdout.contains(words), "{words:?} is missing: {finished:?}");
    }
    assert!(finished.stdout.ends_with("came back through the relay.\n"), "{finished:?}");
}

#[test]
fn an_echo_server_is_used_as_the_peer() {
    let echo = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let peer = echo.local_addr().expect("its address");
    let answering = thread::spawn(move || {
        let mut buffer = [0; 9000];
        let mut count = 0;
        while let Ok((length, from)) = echo.recv_from(&mut buffer) {
            if length == 1 {
                return count;
            }
            count += 1;
            // The fifth datagram is lost.
            if count != 5 {
                echo.send_to(&buffer[..length], from).expect("loopback");
            }
        }
        count
    });
    let server = RelayServer::start(config());
    let peer = peer.to_string();
    let arguments = ["--peer", &peer, "--count", "8", "--size", "1000", "--format", "json"];
    let finished = run_turn(&server, &[&ALICE[..], &arguments].concat());
    let end = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    end.send_to(&[0], &peer).expect("loopback");
    assert_eq!(answering.join().expect("the echo server ends"), 8);
    assert_code(&finished, 0);
    let report = json(&finished);
    assert_eq!(
        (&report["peer"]["address"], &report["peer"]["own"]),
        (&peer.as_str().into(), &false.into()),
        "{report}"
    );
    assert_eq!(
        (&report["datagrams"]["returned"], &report["datagrams"]["at_peer"]),
        (&7.into(), &Value::Null),
        "{report}"
    );
}

#[test]
fn a_silent_peer_is_inconclusive() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let peer = silent.local_addr().expect("its address").to_string();
    let server = RelayServer::start(config());
    let finished = run_turn(&server, &[&ALICE[..], &["--peer", &peer, "--count", "3"]].concat());
    assert_code(&finished, 3);
    let last = finished.stdout.lines().last().expect("a verdict");
    assert_eq!(
        last, "Unknown: there is no result for the relayed data: 3 datagrams sent, none came back.",
        "{finished:?}"
    );
}

#[test]
fn a_refusal_names_the_code_the_attempts_and_the_remedy() {
    let refused = |finished: &Finished, stage: &str, code: u16, words: &[&str]| {
        assert_code(finished, 1);
        let report = json(finished);
        assert_eq!(report["outcome"], "refused", "{report}");
        assert_eq!((&report["failed"]["stage"], &report["failed"]["code"]), (&stage.into(), &code.into()), "{report}");
        assert!(report["failed"]["attempted"].as_array().is_some_and(|steps| !steps.is_empty()), "{report}");
        for word in words {
            assert!(report["failed"].to_string().contains(word), "{word:?} is missing: {report}");
        }
    };
    let run_json =
        |server: &RelayServer, arguments: &[&str]| run_turn(server, &[&["--format", "json"], arguments].concat());
    let server = RelayServer::start(config());
    let wrong = ["--user", "alice", "--password", "wrong horse"];
    refused(
        &run_json(&server, &wrong),
        "allocate",
        401,
        &["refuses this user name", "check the name and the password"],
    );
    let private = [&ALICE[..], &["--peer", "10.1.2.3:9"]].concat();
    refused(
        &run_json(&server, &private),
        "permission",
        403,
        &["CreatePermission", "denies relaying to private addresses"],
    );
    let other_family = [&ALICE[..], &["--peer", "[2001:db8::1]:9"]].concat();
    refused(&run_json(&server, &other_family), "permission", 443, &["different families"]);
    let mut limits = ServerLimits::default();
    limits.allocations_per_user = 0;
    let full = RelayServer::start(config().limits(limits));
    refused(&run_json(&full, &ALICE), "allocate", 486, &["raise the limit"]);
    let listen = "127.0.0.1:0".parse().expect("an address");
    let drains = RelayServer::start_with(config().listen_udp(listen), DriverConfig::default, |driver| {
        driver.with(|server, _| Server::drain(server)).expect("it runs");
    });
    refused(&run_json(&drains, &ALICE), "allocate", 508, &["drains"]);
    let text = run_turn(&full, &ALICE);
    assert!(text.stdout.contains(" gives no allocation.\n"), "{text:?}");
    assert!(text.stdout.contains("\nAttempted:\n"), "{text:?}");
    let last = text.stdout.lines().last().expect("a verdict");
    assert!(last.starts_with("The server refused the allocation: error 486"), "{text:?}");
}

#[test]
fn a_command_that_could_not_run_gives_one_line() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("its address").to_string();
    let run_silent = |arguments: &[&str]| run(&[&["turn", &address, "--timeout", "1"], &ALICE[..], arguments].concat());
    assert_refused(&run_silent(&[]), &[&address, "did not respond over udp within 1 s", "--tcp"]);
    assert_refused(&run_silent(&["--tcp"]), &[&address, "over tcp", "refused"]);
    assert_refused(&run(&["turn", &address]), &["requires a user", "--user"]);
    assert_refused(&run(&["turn", &address, "--user", "alice"]), &["--password-file"]);
    assert_refused(&run(&["turn", "stun:127.0.0.1", "--user", "a:b"]), &["STUN server", "turn:HOST"]);
    assert_refused(&run(&["turn", "turn:127.0.0.1", "--tls", "--user", "a:b"]), &["--tls"]);
    assert_refused(&run(&["turn", "127.0.0.1", "--count", "0", "--user", "a:b"]), &["--count"]);
    // A server that answers each Allocate request with bytes that are not STUN.
    let garbage = run_against(|_| vec![0xff; 40], |address| run(&["turn", address, "--timeout", "1", "--user", "a:b"]));
    assert_refused(&garbage, &["did not respond"]);
}
