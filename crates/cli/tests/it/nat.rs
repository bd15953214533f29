//! `portolan nat` against `portolan serve`.

use crate::binary::{portolan, portolan_with_servers};
use crate::process::{Finished, Process};
use crate::serve::start_server_with_alternate;
use crate::{TIMEOUT, assert_refused, run};
use core::time::Duration;
use serde_json::Value;

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|why| panic!("{why}: {finished:?}"))
}

#[test]
fn loopback_is_reported_with_its_vantage() {
    let (_server, address) = start_server_with_alternate();
    let finished = run(&["nat", "--server", &address, "--format", "json"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let report = json(&finished);
    assert_eq!(report["schema"], "portolan.nat/1");
    let [family] = report["families"].as_array().expect("a list").as_slice() else { panic!("{report}") };
    for (field, value) in [("family", "ipv4"), ("vantage", "loopback"), ("nat", "none"), ("type", "open")] {
        assert_eq!(family[field], value, "{family}");
    }
    assert_eq!(family["mapping"]["value"], "endpoint-independent");
    assert_eq!(family["filtering"]["value"], "endpoint-independent");
    assert_eq!(family["public"][0], family["local"]);
    assert_eq!(family["servers"][0]["name"], address);
    assert!(finished.took < Duration::from_secs(3), "{finished:?}");
}

#[test]
fn text_output_ends_with_the_summary_and_has_no_colors_in_a_pipe() {
    let (_server, address) = start_server_with_alternate();
    let finished = run(&["nat", "--server", &address, "--explain=packets"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let text = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.ends_with(
            "Measured inside this host only (loopback). Nothing translates your address or filters packets on the way \
             to the servers. The result shows nothing about the Internet: no packet left this host. Name a public \
             server with --server."
        ),
        "{finished:?}"
    );
    assert!(!text.contains("open Internet"), "{finished:?}");
    assert!(finished.stdout.contains("What happened\n") && finished.stdout.contains("[RFC 5780 §4.4]"), "{finished:?}");
    assert!(!finished.stdout.contains('\u{1b}') && !finished.stdout.contains('\r'), "{finished:?}");
}

#[test]
fn jsonl_has_one_event_per_line_and_ends_with_the_report() {
    let (_server, address) = start_server_with_alternate();
    let finished = run(&["nat", "--server", &address, "--format", "jsonl"]);
    let lines: Vec<Value> = finished.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events.len(), lines.len());
    for event in ["public", "nat", "mapping", "filtering"] {
        assert_eq!(events.iter().filter(|other| **other == event).count(), 1, "{events:?}");
    }
    assert_eq!(events.last(), Some(&"report"));
}

#[test]
fn requirements_set_the_exit_code() {
    let (_server, address) = start_server_with_alternate();
    let with = |require: &str| run(&["nat", "--server", &address, "--format", "json", "--require", require]);
    assert_eq!(with("nat=none,mapping=eim,filtering=eif|adf,type=open,vantage=loopback").code, Some(0));
    let unknown = with("mapping=eim,type=full-cone");
    assert_eq!(unknown.code, Some(3));
    assert_eq!(
        unknown.stderr,
        "portolan: IPv4: vantage=public is not known to be met: the servers are loopback, so the other results do not \
         count\n"
    );
    let unmet = with("mapping=eim,type=full-cone,vantage=loopback|private");
    assert_eq!(unmet.code, Some(1));
    assert_eq!(unmet.stderr, "portolan: IPv4: type=full-cone is not met: it is open\n");
    assert_eq!(json(&unmet)["families"][0]["type"], "open", "the report is printed too");
    assert_refused(&with("mapping=cone"), &["--require", "\"cone\"", "eim, adm, apdm"]);
}

#[test]
fn a_redacted_report_contains_no_address_of_this_host() {
    let (_server, address) = start_server_with_alternate();
    for format in ["human", "json", "jsonl"] {
        let finished = run(&["nat", "--server", &address, "--redact", "--explain", "--format", format]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(!finished.stdout.contains("127.0.0."), "{finished:?}");
        assert!(finished.stdout.contains("192.0.2.1:"), "{finished:?}");
    }
}

#[test]
fn a_single_plain_server_leaves_filtering_unknown() {
    let arguments = ["serve", "--listen", "127.0.0.1:0"];
    let mut server = Process::start(portolan(&arguments).expect("loopback")).expect("the binary starts");
    server.wait_for("listening on", TIMEOUT).expect("the server listens");
    server.terminate().expect("the process runs");
    let output = server.finish(TIMEOUT).expect("the process ends").stdout;
    let address = output.split_whitespace().nth(2).expect("an address").to_owned();
    let mut server =
        Process::start(portolan(&["serve", "--listen", &address]).expect("loopback")).expect("the binary starts");
    server.wait_for("listening on", TIMEOUT).expect("the server listens again");
    let finished = run(&["nat", "--server", &address, "--format", "json"]);
    let family = &json(&finished)["families"][0];
    assert_eq!(family["filtering"]["unknown"], "no-other-address", "{family}");
    assert!(finished.stderr.contains("the given servers cannot measure filtering (no-other-address)"), "{finished:?}");
}

#[test]
fn watch_ends_cleanly_on_sigterm() {
    let (_server, address) = start_server_with_alternate();
    let arguments = ["nat", "--server", &address, "--watch=5", "--format", "jsonl"];
    let mut watch = Process::start(portolan(&arguments).expect("loopback")).expect("the binary starts");
    watch.wait_for("\"event\":\"report\"", TIMEOUT).expect("the first report");
    watch.terminate().expect("the process runs");
    let finished = watch.finish(TIMEOUT).expect("the process ends");
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
}

#[test]
fn invalid_arguments_give_one_line_and_exit_code_2() {
    for (arguments, words) in [
        (&["--server", "127.0.0.1:0"][..], &["--server", "1 to 65535"][..]),
        (&["--server", "127.0.0.1", "-6"], &["127.0.0.1:3478", "-6"]),
        (&["--server", "127.0.0.1", "--local", "::1", "-4"], &["--local ::1", "-4"]),
        (&["--server", "127.0.0.1", "--watch", "--format", "json"], &["--watch", "jsonl"]),
        (&["--timeout", "soon"], &["--timeout", "seconds"]),
        (&[], &["PORTOLAN_SERVERS", "lab"]),
        (&["--server", "127.0.0.1", "--local", "192.0.2.77"], &["address of --local", "does not belong to this host"]),
    ] {
        assert_refused(&run(&[&["nat"], arguments].concat()), words);
    }
}

#[test]
fn servers_are_read_from_the_environment_variable() {
    let (_server, address) = start_server_with_alternate();
    let command = portolan_with_servers(&address, &["nat", "--format", "json"]).expect("loopback");
    let finished = Process::start(command).and_then(|process| process.finish(TIMEOUT)).expect("the process ends");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let command = portolan_with_servers("127.0.0.1:3478,127.0.0.1:0", &["nat"]).expect("loopback");
    let finished = Process::start(command).and_then(|process| process.finish(TIMEOUT)).expect("the process ends");
    assert_refused(&finished, &["PORTOLAN_SERVERS, entry 2", "1 to 65535"]);
}

#[test]
fn a_silent_server_gives_an_inconclusive_report_within_the_timeout() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("its address").to_string();
    let finished = run(&["nat", "--server", &address, "--timeout", "0.5", "--format", "json"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.took < Duration::from_secs(2), "{finished:?}");
    assert_eq!(json(&finished)["families"][0]["mapping"]["value"], Value::Null);
}

#[test]
fn servers_with_one_address_are_merged_with_a_line() {
    let (_server, address) = start_server_with_alternate();
    let port = address.rsplit(':').next().expect("a port");
    let name = format!("localhost:{port}");
    for second in [&address, &name] {
        let finished = run(&["nat", "-4", "--server", &address, "--server", second, "--format", "json"]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
        assert!(finished.stderr.contains("count as one") || finished.stderr.contains("counts once"), "{finished:?}");
        let servers = &json(&finished)["families"][0]["servers"];
        assert_eq!(servers.as_array().map(Vec::len), Some(1), "{servers}");
    }
}

#[test]
fn a_closed_port_is_named_in_the_headline() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("its address").to_string();
    drop(free);
    let finished = run(&["nat", "--server", &address, "--timeout", "2"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    let text = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let headline = format!("requests to {address} were returned (no socket listens on the port).");
    assert!(text.contains(&headline) && !text.contains("unknown reason"), "{finished:?}");
}

#[test]
fn a_signal_during_the_lifetimes_prints_the_classification() {
    let (_server, address) = start_server_with_alternate();
    let arguments = ["nat", "--server", &address, "--lifetime", "--format", "jsonl"];
    let mut process = Process::start(portolan(&arguments).expect("loopback")).expect("the binary starts");
    process.wait_for("\"event\":\"lifetime", TIMEOUT).expect("the measurement starts");
    process.terminate().expect("the process runs");
    let finished = process.finish(TIMEOUT).expect("the process ends");
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("a signal ended the measurement of lifetimes"), "{finished:?}");
    let last: Value = serde_json::from_str(finished.stdout.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["event"], "report", "{finished:?}");
    assert_eq!(last["families"][0]["mapping"]["value"], "endpoint-independent", "{finished:?}");
}
