//! `portolan forecast` and `portolan nat --card`.

use crate::serve::start_server_with_alternate;
use crate::{assert_refused, run};
use serde_json::Value;

const HOME: &str = "nat1,4=nat,m=eim,f=apdf,a=keep,e=40000@198.51.100.7";
const SYMMETRIC: &str = "nat1,4=nat,m=apdm,f=apdf,a=random,e=50000@203.0.113.9";

#[test]
fn the_exit_code_is_the_verdict() {
    for (peer, code, begin) in [
        (HOME.replace("198.51.100.7", "203.0.113.9"), 0, "works (100.0 %): both NATs keep one endpoint"),
        (SYMMETRIC.into(), 0, "works with guessing (99.1 %): the NAT assigns random ports"),
        ("nat1,4=nat,m=apdm,f=apdf".into(), 3, "unknown: the port must be guessed"),
    ] {
        let finished = run(&["forecast", HOME, &peer]);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(code), ""), "{finished:?}");
        assert!(finished.stdout.starts_with(begin), "{finished:?}");
        assert!(finished.stdout.lines().all(|line| line.chars().count() <= 100), "{finished:?}");
    }
    let finished = run(&["forecast", SYMMETRIC, &SYMMETRIC.replace("203.0.113.9", "192.0.2.1")]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("relay (TURN)"), "{finished:?}");
}

#[test]
fn json_has_the_strategy_and_the_costs() {
    let finished = run(&["forecast", HOME, SYMMETRIC, "--format", "json"]);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["schema"], "portolan.forecast/1");
    assert_eq!(document["forecast"]["strategy"]["name"], "birthday");
    assert_eq!(
        (&document["forecast"]["strategy"]["sockets"], &document["forecast"]["strategy"]["probes"]),
        (&256.into(), &1200.into())
    );
    assert!(document["forecast"]["own"]["sessions"].as_u64().unwrap() <= 2048, "{document}");
    assert_eq!(document["cards"][1]["mapping"], "address-and-port-dependent");
}

#[test]
fn an_unreadable_card_is_one_line_with_the_column_and_the_remedy() {
    assert_refused(
        &run(&["forecast", HOME, "nat1,m=cone"]),
        &["second card", "column 8", "eim, adm or apdm", "--card"],
    );
    assert_refused(&run(&["forecast", "nat9,m=eim", HOME]), &["first card", "column 1", "same version"]);
    assert_refused(&run(&["forecast", HOME]), &["CARD_B", "--help"]);
}

#[test]
fn the_matrix_needs_no_card() {
    let finished = run(&["forecast", "--matrix"]);
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(0), 13), "{finished:?}");
}

/// The card of a server on this host says nothing about the Internet, so the exit code is 3.
#[test]
fn a_card_is_one_line_that_the_forecast_reads() {
    let (_server, address) = start_server_with_alternate();
    let finished = run(&["nat", "--server", &address, "--card"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("nothing about the Internet"), "{finished:?}");
    assert!(finished.stdout.starts_with("nat1,4=open,m=eim,f=eif,"), "{finished:?}");
    assert_eq!(finished.stdout.lines().count(), 1, "{finished:?}");
    let card = finished.stdout.trim();
    assert_eq!(run(&["forecast", card, SYMMETRIC]).code, Some(0));
    let document: Value =
        serde_json::from_str(&run(&["nat", "--server", &address, "--card", "--format", "json"]).stdout).unwrap();
    assert_eq!(document["ipv4"], "open");
}
