//! `portolan punch` between two processes on loopback, with `portolan serve --rendezvous`.

use crate::process::{Finished, Process};
use crate::serve::{start_server, start_server_with_alternate};
use crate::{TIMEOUT, assert_refused, binary, run};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

const SECRET: &str = "correct-horse-battery-staple";

fn server() -> (Process, String) {
    start_server(&["--rendezvous", "--rendezvous-secret", SECRET])
}

/// A file with this input.
fn input(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("portolan-punch-{}-{name}", std::process::id()));
    fs::write(&path, text).expect("a temporary file");
    path
}

/// Starts one side.
fn side(server: &str, extra: &[&str], stdin: Stdio) -> Process {
    side_in("attic", server, extra, stdin)
}

/// Starts one side in a room.
fn side_in(room: &str, server: &str, extra: &[&str], stdin: Stdio) -> Process {
    let base = ["punch", "--rendezvous", server, "--room", room, "--secret", SECRET, "--address", "127.0.0.1"];
    let mut command = binary::portolan(&[&base[..], extra].concat()).expect("loopback only");
    // The variable would wrap the steps.
    command.stdin(stdin).env_remove("COLUMNS");
    Process::start(command).expect("the process starts")
}

/// The objects of an output, all of whose lines are JSON.
#[track_caller]
fn objects(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line:?}"))).collect()
}

#[track_caller]
fn object<'a>(all: &'a [Value], event: &str) -> &'a Value {
    all.iter().find(|object| object["event"] == event).unwrap_or_else(|| panic!("no {event} in {all:#?}"))
}

fn finish(process: Process) -> Finished {
    process.finish(TIMEOUT).expect("the process ends")
}

#[cfg(feature = "tls")]
#[test]
fn both_directions_of_the_pipe_arrive_whole_and_a_command_gets_it() {
    let (_server, address) = server();
    let text: String = (0..40_000).map(|line| format!("line {line}\n")).collect();
    let path = input("pipe", &text);
    let from = |path: &PathBuf| Stdio::from(fs::File::open(path).expect("the file"));
    let left = side(&address, &[], from(&path));
    let right = side(&address, &[], from(&path));
    for finished in [finish(left), finish(right)] {
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stdout == text, "{} of {} bytes; {}", finished.stdout.len(), text.len(), finished.stderr);
        assert!(finished.stderr.contains("connected to 127.0.0.1:"), "{}", finished.stderr);
    }
    // The command sends everything back.
    let left = side(&address, &[], from(&path));
    let right = side(&address, &["--", "cat"], Stdio::null());
    let (left, right) = (finish(left), finish(right));
    assert_eq!((left.code, right.code), (Some(0), Some(0)), "{left:?} {right:?}");
    assert!(left.stdout == text && right.stdout.is_empty(), "{} bytes", left.stdout.len());
    fs::remove_file(path).expect("the file");
}

/// The secret of the hosts decides: with different ones, no packet of the other side is accepted.
#[test]
fn hosts_with_different_secrets_do_not_connect() {
    let (_server, address) = server();
    let [one, other] = ["one", "other"].map(|name| {
        let path = input(name, &format!("{name}-secret-of-two-hosts\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file");
        }
        path
    });
    let text = |path: &PathBuf| path.to_str().expect("a name").to_owned();
    let left = side(&address, &["--peer-secret-file", &text(&one)], Stdio::null());
    let right = side(&address, &["--peer-secret-file", &text(&other)], Stdio::null());
    // The JSON distinguishes a pair that the forecast excludes from one that was only not connected.
    let pair = |room: &str, card: &'static str| {
        let json = ["--format", "json", "--card", card, "--peer-secret-file"];
        [&one, &other].map(|path| side_in(room, &address, &[&json[..], &[&text(path)]].concat(), Stdio::null()))
    };
    let (failed, impossible) = (pair("cellar", "nat1"), pair("garage", "nat1,4=blocked,6=absent"));
    for finished in [finish(left), finish(right)] {
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("no packet of the peer came"), "{finished:?}");
        assert!(finished.stderr.contains("--measure on both hosts"), "{finished:?}");
        assert!(!format!("{finished:?}").contains("secret-of-two-hosts"), "{finished:?}");
    }
    for (sides, outcome, reason) in
        [(failed, "failed", "same-address-no-hairpin"), (impossible, "impossible", "no-common-family")]
    {
        for finished in sides.map(finish) {
            assert_eq!((finished.code, &*finished.stdout), (Some(1), ""), "{finished:?}");
            let all = objects(&finished.stderr);
            let result = object(&all, "result");
            assert_eq!((&result["outcome"], &result["forecast_reason"]), (&json!(outcome), &json!(reason)));
            assert_eq!((&result["exit_code"], &result["remote"]), (&json!(1), &Value::Null), "{result}");
            assert!(result["remedy"].as_str().expect("a text").contains("relay"), "{result}");
            assert!(result["packets"].as_u64().expect("a number") > 10, "{result}");
        }
    }
    for path in [one, other] {
        fs::remove_file(path).expect("the file");
    }
}

#[test]
fn each_line_is_a_datagram_without_quic() {
    use std::io::Write as _;
    let (_server, address) = server();
    let mut sides =
        [side(&address, &["--datagrams"], Stdio::piped()), side(&address, &["--datagrams"], Stdio::piped())];
    let mut inputs = sides.each_mut().map(|side| side.take_input().expect("a pipe"));
    for side in &mut sides {
        side.wait_for("connected to", TIMEOUT).expect("a path");
    }
    for (n, input) in inputs.iter_mut().enumerate() {
        writeln!(input, "hello from {n}").expect("the process reads");
    }
    let [first, second] = &mut sides;
    first.wait_for("hello from 1", TIMEOUT).expect("the line");
    second.wait_for("hello from 0", TIMEOUT).expect("the line");
    drop(inputs);
    for side in sides {
        let finished = finish(side);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}

#[test]
fn each_failure_is_one_line_with_its_code() {
    let (_server, address) = server();
    // The other host does not come.
    let finished = finish(side(&address, &["--wait", "1"], Stdio::null()));
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.ends_with("start the other side with the same room, or wait longer\n"), "{finished:?}");
    // Wrong arguments and secrets.
    let base = ["punch", "--rendezvous", &address, "--room", "attic"];
    let refused = |extra: &[&str], words: &[&str]| assert_refused(&run(&[&base[..], extra].concat()), words);
    refused(&["--secret", "false"], &["refuses the secret"]);
    refused(&[], &["--secret-file", "--help"]);
    refused(&["--secret", SECRET, "--card", "nat1,m=cone"], &["column 8", "eim"]);
    refused(&["--secret-file", "/nonexistent"], &["/nonexistent", "the secret in its first line"]);
    refused(&["--secret", ""], &["--secret is empty", "--secret-file"]);
    let binary = std::env::temp_dir().join(format!("portolan-punch-{}-binary", std::process::id()));
    fs::write(&binary, [0xff, 0xfe, 0]).expect("a temporary file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o600)).expect("the file");
    }
    let name = binary.to_str().expect("a name");
    refused(&["--secret-file", name], &[name, "UTF-8", "the secret in its first line"]);
    refused(&["--secret", SECRET, "--peer-secret-file", name], &[name, "UTF-8", "the secret in its first line"]);
    fs::write(&binary, "\n").expect("a temporary file");
    refused(&["--secret-file", name], &[name, "has no secret", "first line"]);
    fs::remove_file(&binary).expect("the file");
    for budget in ["ports=3", "rate=0", "mappings=256,,rate=50", "sessions=3000"] {
        refused(&["--secret", SECRET, "--budget", budget], &["--budget", "mappings=256,sessions=1000,rate=50"]);
    }
    refused(&["--secret", SECRET, "--hold", "--datagrams"], &["--hold", "--datagrams"]);
    refused(&["--secret", SECRET, "--server", "127.0.0.1"], &["--measure"]);
    refused(&["--secret", SECRET, "--measure"], &["PORTOLAN_SERVERS", "--server"]);
    let long = "a".repeat(65);
    let arguments = ["punch", "--rendezvous", &address, "--room", &long, "--secret", SECRET];
    assert_refused(&run(&arguments), &["1 to 64 bytes, not 65"]);
    // A silent rendezvous is the reason, even if --wait is shorter than its time.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let silent = silent.local_addr().map(|local| (silent, local.to_string())).expect("its address");
    let begun = ["punch", "--rendezvous", &silent.1, "--room", "attic", "--secret", SECRET, "--wait", "1"];
    let finished = run(&begun);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.ends_with("check its address, and that it runs with --rendezvous\n"), "{finished:?}");
    assert!(finished.took < core::time::Duration::from_secs(5), "{finished:?}");
    // A rendezvous that is no rendezvous.
    let (_stun, plain) = start_server(&[]);
    let silent = run(&["punch", "--rendezvous", &plain, "--room", "attic", "--secret", SECRET]);
    assert_refused(&silent, &["does not answer", "--rendezvous"]);
}

/// A third host of a room is refused at once.
#[test]
fn a_room_of_three_refuses_the_third_host() {
    let (_server, address) = server();
    // The secrets differ, so the two hosts stay in the room for the whole attempt.
    let mut waiting = side(&address, &["--card", "nat1"], Stdio::null());
    waiting.wait_for("waiting for the other host", TIMEOUT).expect("a registration");
    let mut second = side(&address, &["--peer-secret-file", "/dev/stdin"], Stdio::piped());
    {
        use std::io::Write as _;
        let mut input = second.take_input().expect("a pipe");
        writeln!(input, "another-secret-of-two-hosts").expect("the process reads");
    }
    waiting.wait_for("the other host is at", TIMEOUT).expect("an introduction");
    let third = finish(side(&address, &["--format", "json"], Stdio::null()));
    assert_eq!(third.code, Some(2), "{third:?}");
    let all = objects(&third.stderr);
    let result = object(&all, "result");
    assert_eq!(result["outcome"], "could-not-run", "{result}");
    assert_eq!(result["reason"], "the room has two peers already", "{result}");
    assert_eq!(result["remedy"], "choose another room, or wait until one of them has left", "{result}");
}

/// With a pipe, standard output has the data and nothing else, and each line of standard error is an object.
#[cfg(feature = "tls")]
#[test]
fn the_json_of_a_pipe_is_on_standard_error_and_its_last_object_is_the_result() {
    let (_server, address) = server();
    let path = input("json", "one line\n");
    let extra = ["--format", "json", "--guess"];
    let budget = ["--budget", "mappings=256,sessions=1000,rate=50"];
    let left = side(&address, &[&extra[..], &budget].concat(), Stdio::from(fs::File::open(&path).expect("the file")));
    let right = side(&address, &[&extra[..], &["--card", "nat1,4=nat,m=eim"]].concat(), Stdio::null());
    let (left, right) = (finish(left), finish(right));
    assert_eq!((&*left.stdout, &*right.stdout), ("", "one line\n"), "{left:?} {right:?}");
    let (ours, theirs) = (objects(&left.stderr), objects(&right.stderr));
    assert_eq!(object(&ours, "begun")["card"], Value::Null);
    assert_eq!(object(&ours, "introduced")["card"]["card"], "nat1,4=nat,m=eim");
    assert_eq!(object(&theirs, "introduced")["card"], Value::Null);
    for all in [&ours, &theirs] {
        // Both hosts use the smaller limits, and say so before the first probe.
        let plan = object(all, "planned");
        assert_eq!(plan["budget"], json!({ "mappings": 256, "sessions": 1000, "rate": 50 }));
        assert_eq!(plan["guess"], true);
        let place = |event: &str| all.iter().position(|object| object["event"] == event);
        assert!(place("planned") < place("trying") && place("trying") < place("connected"), "{all:#?}");
        let result = all.last().expect("a result");
        assert_eq!((&result["event"], &result["schema"]), (&json!("result"), &json!("portolan.punch/1")));
        assert_eq!((&result["outcome"], &result["exit_code"]), (&json!("connected"), &json!(0)), "{result}");
        assert_eq!(result["tried"], json!(["local-network"]), "{result}");
        let (planned, used) = (&result["planned"], &result["used"]);
        assert!(used["sessions"].as_u64() >= Some(1) && used["sessions"].as_u64() <= planned["sessions"].as_u64());
        assert!(result["packets"].as_u64() >= Some(2), "{result}");
    }
    let (one, other) = (ours.last().expect("a result"), theirs.last().expect("a result"));
    assert_eq!((&one["local"], &one["remote"]), (&other["remote"], &other["local"]), "{one} {other}");
    fs::remove_file(path).expect("the file");
}

/// The steps state the plan before the first packet leaves, and the verdict is last.
#[test]
fn explain_has_the_counts_before_the_first_strategy_and_the_verdict_last() {
    let (_server, address) = server();
    let sides = ["nat1,4=nat,m=eim,f=apdf", "nat1,4=nat,m=eim,f=adf"]
        .map(|card| side(&address, &["--explain", "--datagrams", "--card", card], Stdio::piped()));
    let finished = sides.map(|mut side| {
        let _first = side.wait_for("connected to", TIMEOUT).expect("a path");
        side
    });
    let finished = finished.map(|mut side| {
        drop(side.take_input());
        finish(side)
    });
    for finished in finished {
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let lines: Vec<&str> = finished.stderr.lines().collect();
        for (number, line) in (1..).zip(&lines) {
            assert!(line.starts_with(&format!("portolan:  {number}. ")), "{number}: {finished:#?}");
        }
        assert!((11..=20).contains(&lines.len()), "{finished:#?}");
        let place = |text: &str| lines.iter().position(|line| line.contains(text)).expect(text);
        let order = [
            "registers at the rendezvous",
            "the NAT card of this host is nat1",
            "sees this host at 127.0.0.1",
            "the other host is at 127.0.0.1",
            "the NAT card of the other host is nat1",
            "both hosts start in",
            "the budget is 512 mappings",
            "the forecast is:",
            "This host makes at most",
            "strategy 1:",
            "connected to",
            "verdict: connected",
        ];
        assert!(order.map(place).is_sorted(), "{finished:#?}");
        assert_eq!(place("verdict:"), lines.len() - 1, "{finished:#?}");
        assert!(place("a packet of the peer came from") < place("connected to"), "{finished:#?}");
        assert!(lines.iter().filter(|line| line.contains("[RFC ")).count() >= 7, "{finished:#?}");
    }
}

/// A held path ends at the end of the input, or by a signal. Its addresses are on standard output.
#[test]
fn a_held_path_prints_its_addresses_and_ends_at_the_end_of_the_input_or_by_a_signal() {
    let (_server, address) = server();
    let mut human = side(&address, &["--hold"], Stdio::piped());
    let mut json = side(&address, &["--hold", "--format", "json"], Stdio::piped());
    let peer = human.wait_for("peer 127.0.0.1:", TIMEOUT).expect("the addresses");
    let connected = json.wait_for("\"connected\"", TIMEOUT).expect("an object");
    let connected: Value = serde_json::from_str(&connected).expect("an object");
    assert_eq!(peer.trim_end(), format!("peer {}", connected["local"].as_str().expect("an address")));
    // The path stays open without data.
    std::thread::sleep(core::time::Duration::from_secs(2));
    json.terminate().expect("the process runs");
    let json = finish(json);
    assert_eq!(json.code, Some(0), "{json:?}");
    let all = objects(&json.stdout);
    let result = all.last().expect("a result");
    assert_eq!((&result["outcome"], &result["exit_code"]), (&json!("connected"), &json!(0)), "{result}");
    drop(human.take_input());
    let human = finish(human);
    assert_eq!((human.code, human.stdout.lines().count()), (Some(0), 3), "{human:?}");
}

/// The NAT is measured first, and the other host gets the card.
#[test]
fn measure_gives_the_other_host_a_card() {
    let (_server, address) = server();
    let (_stun, stun) = start_server_with_alternate();
    let json = ["--format", "json", "--datagrams"];
    let mut left = side(&address, &[&json[..], &["--measure", "--server", &stun]].concat(), Stdio::piped());
    let mut right = side(&address, &json, Stdio::piped());
    let introduced = right.wait_for("\"introduced\"", TIMEOUT).expect("an object");
    let introduced: Value = serde_json::from_str(&introduced).expect("an object");
    assert_eq!(introduced["card"]["ipv4"], "open", "{introduced}");
    left.wait_for("\"connected\"", TIMEOUT).expect("a path");
    for mut side in [left, right] {
        drop(side.take_input());
        drop(side);
    }
}

/// One host has only IPv4, the other one only IPv6. Both learn that there is no common path, at once.
#[test]
fn hosts_without_a_common_address_family_are_told_so() {
    let Ok(free) = std::net::UdpSocket::bind("[::1]:0") else {
        println!("skipped: this host has no IPv6 loopback address");
        return;
    };
    let six = free.local_addr().expect("its address").to_string();
    drop(free);
    let (_server, four) = start_server(&["--listen", &six, "--rendezvous", "--rendezvous-secret", SECRET]);
    let start = |server: &str, own: &str| {
        let arguments = ["punch", "--rendezvous", server, "--room", "attic", "--secret", SECRET, "--address", own];
        let mut command = binary::portolan(&arguments).expect("loopback only");
        command.stdin(Stdio::null());
        Process::start(command).expect("the process starts")
    };
    for finished in [start(&four, "127.0.0.1"), start(&six, "::1")].map(finish) {
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("the two hosts have no address family in common"), "{finished:?}");
        assert!(finished.took < core::time::Duration::from_secs(10), "{finished:?}");
    }
}
