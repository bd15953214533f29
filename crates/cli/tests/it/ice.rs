//! `portolan ice` on loopback: two processes, and this test as their signalling.

use crate::process::Process;
use crate::relay_server::{self, RelayServer};
use crate::signalling::{self, Peer};
use crate::{TIMEOUT, assert_refused, binary, run};
use portolan_machine::Protocol;
use portolan_turn::PeerPolicy;
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

/// Starts a command in JSON format.
fn command(extra: &[&str]) -> Peer {
    let arguments = [&["ice", "--format", "json", "--address", "127.0.0.1"], extra].concat();
    Peer::start(binary::portolan(&arguments).expect("loopback only")).expect("the process starts")
}

/// Passes signalling between two commands until both fulfil the condition.
fn signal(peers: &mut [Peer; 2], is_done: impl FnMut(&[Peer; 2]) -> bool) {
    signalling::signal(peers, TIMEOUT, is_done).expect("the condition in time");
}

fn pair(extra: &[&str], start: &Value) -> [Peer; 2] {
    let mut peers = [command(extra), command(extra)];
    for (peer, role) in peers.iter_mut().zip(["answer", "offer"]) {
        let mut start = start.clone();
        start["type"] = "start".into();
        start["role"] = role.into();
        peer.tell(&start).expect("the process reads");
    }
    peers
}

fn are_completed(peers: &[Peer; 2]) -> bool {
    peers.iter().all(|peer| peer.is("completed"))
}

/// Sends a line in each direction, and waits for it.
fn exchange(peers: &mut [Peer; 2], text: &str) {
    for peer in peers.iter_mut() {
        peer.tell(&json!({"type": "send", "data": text})).expect("the process reads");
    }
    let expected = json!({"type": "message", "data": text});
    signal(peers, |peers| peers.iter().all(|peer| peer.has(|message| *message == expected)));
}

#[test]
fn two_commands_connect_exchange_data_and_restart_from_each_side() {
    for trickle in [true, false] {
        let mut peers = pair(&[], &json!({"trickle": trickle}));
        signal(&mut peers, are_completed);
        exchange(&mut peers, "hello");
        for side in 0..2 {
            peers.iter_mut().for_each(Peer::forget);
            peers[side].tell(&json!({"type": "restart"})).expect("the process reads");
            // Candidates of the session before can follow.
            let old =
                json!({"type": "candidate", "candidate": "candidate:1 1 UDP 1 127.0.0.1 9 typ host", "sdpMid": "0"});
            for late in [old, json!({"type": "end-of-candidates"})] {
                peers[side].tell(&late).expect("the process reads");
            }
            signal(&mut peers, are_completed);
            assert!(peers[side].has(|message| message["type"] == "offer"));
            // The side that answered first stays the DTLS client.
            let setup = ["a=setup:passive\r\n", "a=setup:active\r\n"][side];
            let is_answer = |message: &Value| {
                message["type"] == "answer" && message["sdp"].as_str().is_some_and(|sdp| sdp.contains(setup))
            };
            assert!(peers[1 - side].has(is_answer), "{setup}: {:?}", peers[1 - side].messages);
            exchange(&mut peers, &format!("after restart {side}"));
            assert!(!peers[side].has(|message| message["type"] == "error"), "{:?}", peers[side].messages);
        }
        let pair = json!({"localType": "host", "remoteType": "host"});
        let state = peers[0].messages.iter().find(|message| message["ice"] == "completed").expect("completed");
        assert_eq!(state["pair"]["localType"], pair["localType"], "{state}");
        for peer in peers {
            let finished = peer.end(TIMEOUT).expect("the process ends");
            assert_eq!(finished.code, Some(0), "{finished:?}");
        }
    }
}

#[test]
fn relayed_candidates_alone_connect_through_the_own_server_over_udp_and_tcp() {
    for protocol in [Protocol::Udp, Protocol::TcpListen] {
        let server = RelayServer::start_over(
            relay_server::config().policy(PeerPolicy::default().allow("127.0.0.0/8".parse().expect("a network"))),
            protocol,
        );
        let transport = if protocol == Protocol::Udp { "udp" } else { "tcp" };
        let url = format!("turn:{}?transport={transport}", server.host());
        let servers = json!([{"urls": [url], "username": "alice", "credential": "secret of alice"}]);
        let mut peers = pair(&[], &json!({"iceServers": servers, "iceTransportPolicy": "relay"}));
        signal(&mut peers, are_completed);
        exchange(&mut peers, "relayed");
        for peer in &peers {
            let is_relayed = |message: &Value| message["ice"] == "completed" && message["pair"]["localType"] == "relay";
            assert!(peer.has(is_relayed), "{:?}", peer.messages);
            assert!(!peer.has(|message| message["candidate"].as_str().is_some_and(|text| text.contains("typ host"))));
        }
    }
}

/// The host of the first command receives no UDP from the peer: only TCP candidates are signalled.
#[test]
fn tcp_candidates_connect_two_commands_when_only_they_are_signalled() {
    let mut peers = [command(&["--tcp"]), command(&["--tcp"])];
    for (peer, role) in peers.iter_mut().zip(["answer", "offer"]) {
        peer.tell(&json!({"type": "start", "role": role, "trickle": false})).expect("the process reads");
    }
    let without_udp = |peer: &mut Peer, kind: &str| -> Value {
        let line = peer.process.wait_for(&format!("{{\"type\":\"{kind}\""), TIMEOUT).expect("a description");
        let mut message: Value = serde_json::from_str(&line).expect("a message");
        let sdp = message["sdp"].as_str().expect("a text");
        let kept: Vec<&str> = sdp.split_inclusive("\r\n").filter(|line| !line.contains(" UDP ")).collect();
        assert_eq!(kept.iter().filter(|line| line.contains(" TCP ")).count(), 2, "{sdp}");
        message["sdp"] = kept.concat().into();
        message
    };
    let offer = without_udp(&mut peers[1], "offer");
    peers[0].tell(&offer).expect("the process reads");
    let answer = without_udp(&mut peers[0], "answer");
    peers[1].tell(&answer).expect("the process reads");
    signal(&mut peers, are_completed);
    exchange(&mut peers, "over tcp");
    for peer in &peers {
        let is_tcp = |message: &Value| message["ice"] == "completed" && message["pair"]["protocol"] == "tcp";
        assert!(peer.has(is_tcp), "{:?}", peer.messages);
    }
}

/// Each bad line gives one error, and the session goes on.
#[test]
fn a_bad_line_gives_one_error_and_the_session_continues() {
    let mut peers = pair(&[], &json!({}));
    let bad = [
        ("no json\n", "the line is not a message"),
        ("{\"type\":\"offer\",\"sdp\":\"x\"}\n", "the description cannot be read"),
        ("{\"type\":\"candidate\",\"candidate\":\"candidate:1\"}\n", "the candidate cannot be read"),
        ("{\"type\":\"answer\",\"sdp\":\"x\"}\n", "no offer of this side is open"),
        ("{\"type\":\"send\",\"data\":\"early\"}\n", "no path at the moment"),
        ("{\"type\":\"start\",\"role\":\"offer\"}\n", "was started before"),
    ];
    for (line, _) in bad {
        peers[0].write(line).expect("the process reads");
    }
    peers[0].write("{\"type\":\"unknown\",\"x\":1}\n\n").expect("the process reads");
    signal(&mut peers, are_completed);
    exchange(&mut peers, "works");
    let errors: Vec<&str> = peers[0]
        .messages
        .iter()
        .filter(|message| message["type"] == "error")
        .filter_map(|error| error["message"].as_str())
        .collect();
    assert_eq!(errors.len(), bad.len(), "{errors:?}");
    for ((_, expected), error) in bad.iter().zip(&errors) {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// One side restarts before the answer to its first offer arrives. The late answer is reported, and the session of the
/// second offer is the one that completes. The order of the answers makes no difference.
#[test]
fn an_answer_belongs_to_its_offer_and_a_late_answer_is_not_used() {
    for (is_named, late_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let context = format!("named {is_named}, late first {late_first}");
        let mut peers = [command(&[]), command(&[])];
        for (peer, role) in peers.iter_mut().zip(["answer", "offer"]) {
            peer.tell(&json!({"type": "start", "role": role, "trickle": false})).expect("the process reads");
        }
        let next = |peer: &mut Peer, kind: &str| -> Value {
            let line = peer.process.wait_for(&format!("{{\"type\":\"{kind}\""), TIMEOUT).expect("a description");
            serde_json::from_str(&line).expect("a message")
        };
        let mut answers = Vec::new();
        for nth in 0..2 {
            if nth > 0 {
                peers[1].tell(&json!({"type": "restart"})).expect("the process reads");
            }
            let offer = next(&mut peers[1], "offer");
            peers[0].tell(&offer).expect("the process reads");
            answers.push(next(&mut peers[0], "answer"));
        }
        if !is_named {
            answers.iter_mut().for_each(|answer| answer["answers"] = Value::Null);
        }
        if !late_first {
            answers.reverse();
        }
        for answer in &answers {
            peers[1].tell(answer).expect("the process reads");
        }
        // A third answer has no offer.
        peers[1].tell(&answers[0]).expect("the process reads");
        signal(&mut peers, are_completed);
        exchange(&mut peers, "works");
        let errors: Vec<&str> = peers[1].messages.iter().filter_map(|message| message["message"].as_str()).collect();
        let late = errors.iter().filter(|error| error.contains("from before the restart")).count();
        // Without a name, only the second answer shows that the first one was late.
        assert_eq!(late, usize::from(is_named || !late_first), "{context}: {errors:?}");
        assert_eq!(
            errors.iter().filter(|error| error.contains("no offer of this side is open")).count(),
            1,
            "{context}"
        );
    }
}

#[test]
fn a_stop_message_and_the_end_of_the_input_end_the_command_in_time() {
    for text in ["{\"type\":\"stop\"}\n", ""] {
        for start in ["", "{\"type\":\"start\",\"role\":\"offer\"}\n"] {
            let mut peer = command(&[]);
            peer.write(start).expect("the process reads");
            peer.write(text).expect("the process reads");
            let finished = peer.end(TIMEOUT).expect("the process ends");
            assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        }
    }
}

#[test]
fn without_a_start_message_each_other_message_is_an_error() {
    let mut peer = command(&[]);
    peer.tell(&json!({"type": "end-of-candidates"})).expect("the process reads");
    let line = peer.process.wait_for("error", TIMEOUT).expect("an error");
    assert!(line.contains("send a start message first"), "{line}");
}

/// The human format: the line that a person pastes is the same message, and text is sent as it is.
#[test]
fn two_people_paste_lines_and_talk() {
    let start = |extra: &[&str]| {
        let arguments = [&["ice", "--address", "127.0.0.1"], extra].concat();
        let mut command = binary::portolan(&arguments).expect("loopback only");
        command.stdin(Stdio::piped());
        let mut process = Process::start(command).expect("the process starts");
        let input = process.take_input().expect("a pipe");
        (process, input)
    };
    let (mut first, mut first_input) = start(&[]);
    let (mut second, mut second_input) = start(&["--answer"]);
    let offer = first.wait_for("{\"type\":\"offer\"", TIMEOUT).expect("the offer");
    second_input.write_all(offer.as_bytes()).expect("the second reads");
    let answer = second.wait_for("{\"type\":\"answer\"", TIMEOUT).expect("the answer");
    first_input.write_all(answer.as_bytes()).expect("the first reads");
    first.wait_for("completed: host", TIMEOUT).expect("completed");
    second.wait_for("completed: host", TIMEOUT).expect("completed");
    first_input.write_all(b"how are you?\n").expect("the first reads");
    second.wait_for("how are you?", TIMEOUT).expect("the text");
    second_input.write_all(b"fine\n").expect("the second reads");
    first.wait_for("fine", TIMEOUT).expect("the text");
    drop((first_input, second_input));
    for process in [first, second] {
        assert_eq!(process.finish(TIMEOUT).expect("the process ends").code, Some(0));
    }
}

#[test]
fn bad_arguments_are_one_line_with_the_remedy() {
    let refused = |arguments: &[&str], words: &[&str]| {
        let all = [&["ice", "--address", "127.0.0.1"], arguments].concat();
        assert_refused(&run(&all), words);
    };
    refused(&["--turn", "turn:127.0.0.1"], &["--user"]);
    refused(&["--turn", "turn:127.0.0.1", "--user", "alice"], &["--password-file"]);
    refused(&["--turn", "turns:127.0.0.1", "--user", "alice", "--password", "x"], &["host name"]);
    refused(&["--policy", "other"], &["textbook", "browser"]);
}
