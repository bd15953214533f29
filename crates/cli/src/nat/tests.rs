use super::*;
use crate::args::{Cli, Command};
use clap::Parser;
use core::net::Ipv4Addr;
use std::io;
use std::thread;

/// A resolver that never answers.
struct Mute;

impl Lookup for Mute {
    fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        loop {
            thread::park();
        }
    }
}

fn args(line: &str) -> NatArgs {
    match Cli::try_parse_from(["portolan", "nat"].into_iter().chain(line.split_whitespace())).unwrap().command {
        Command::Nat(args) => args,
        Command::Serve(_)
        | Command::Stun(_)
        | Command::Audit(_)
        | Command::Explain(_)
        | Command::Sdp(_)
        | Command::Lab(_) => {
            unreachable!("the subcommand is nat")
        }
    }
}

fn refused(line: &str, variable: Option<&str>) -> String {
    Plan::of(&args(line), variable).unwrap_err().to_string()
}

#[test]
fn flags_and_local_addresses_choose_the_families() {
    let of = |line: &str| families(&args(line)).unwrap();
    assert_eq!(of(""), [Family::V4, Family::V6]);
    assert_eq!(of("-4"), [Family::V4]);
    assert_eq!(of("-6"), [Family::V6]);
    assert_eq!(of("--local 2001:db8::7"), [Family::V6]);
    assert_eq!(of("--local 2001:db8::7 --local 192.0.2.7"), [Family::V4, Family::V6]);
    assert_eq!(of("-4 --local 192.0.2.7"), [Family::V4]);
}

#[test]
fn what_cannot_be_is_refused_with_a_word() {
    for (line, told) in [
        ("-6 --local 192.0.2.7", "--local 192.0.2.7 is not of the family that -6 asks for"),
        (
            "--local 192.0.2.7 --local 192.0.2.8",
            "--local 192.0.2.8 is named twice for one family; name at most one IPv4 and one IPv6 address",
        ),
        ("--local 0.0.0.0", "--local 0.0.0.0 is no address to send from; name one of this host's addresses"),
        ("--watch --format json", "--watch reports changes line by line: use --format human or jsonl"),
    ] {
        assert_eq!(refused(line, Some("192.0.2.1")), told);
    }
    assert!(refused("", Some("")).contains("PORTOLAN_SERVERS is set but empty"));
    assert!(refused("", Some("a:b")).starts_with("PORTOLAN_SERVERS, entry 1 (\"a:b\")"));
}

#[tokio::test(start_paused = true)]
async fn a_mute_resolver_gets_its_time_and_one_line() {
    let args = args("--server stun.example.org --timeout 4");
    let plan = Plan::of(&args, None).unwrap();
    let start = Instant::now();
    let error = classify(&plan, &mut Teller::new(&args, &plan), Arc::new(Mute)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(4));
    let told = error.to_string();
    // Which of the two depends on whether this host has a network at all.
    assert!(told.contains("the resolver did not answer in time") || told.starts_with("offline: "), "{told}");
    assert!(told.contains("stun.example.org:3478"));
}

#[tokio::test(start_paused = true)]
async fn a_redacted_complaint_names_nobody() {
    let args = args("--server stun.example.org --redact");
    let plan = Plan::of(&args, None).unwrap();
    let error = classify(&plan, &mut Teller::new(&args, &plan), Arc::new(Mute)).await.unwrap_err().to_string();
    assert!(error.contains("server-1.example:3478") && !error.contains("stun.example.org"), "{error}");
}

#[test]
fn of_servers_that_nobody_named_each_address_is_asked_once() {
    let address = |last: u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 3478));
    let server = |addresses: &[u8]| StunServer {
        name: "stun.example".into(),
        addresses: addresses.iter().map(|last| address(*last)).collect(),
    };
    let mut servers = vec![server(&[1, 2]), server(&[2]), server(&[2, 3])];
    each_address_once(&mut servers);
    let left: Vec<_> = servers.into_iter().map(|server| server.addresses).collect();
    assert_eq!(left, [vec![address(1), address(2)], vec![address(3)]]);
}
