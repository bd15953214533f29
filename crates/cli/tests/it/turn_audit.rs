//! `portolan audit --turn` against TURN servers on loopback, and its machine against our server in virtual time.

use crate::process::Finished;
use crate::relay_server::{RelayServer, config};
use crate::{assert_refused, run};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_audit::AuditCommand;
use portolan_audit::turn::{TurnAttack, TurnAudit, TurnAuditConfig, TurnAuditEvent, TurnOutcome, TurnReport};
use portolan_machine::{Either, Instant};
use portolan_sim::{Link, Net};
use portolan_stun_agent::{Authenticator, Users};
use portolan_turn::{PeerPolicy, Server, ServerCommand, ServerConfig};
use serde_json::Value;

const USERS: [&str; 5] = ["--turn", "--user", "alice:secret of alice", "--other-user", "bob:secret of bob"];

fn run_audit(server: &RelayServer, arguments: &[&str]) -> Finished {
    let finished = run(&[&["audit", &server.host()], &USERS[..], arguments].concat());
    assert!(!format!("{finished:?}").contains("secret of"), "{finished:?}");
    finished
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|why| panic!("{why}: {finished:?}"))
}

fn outcome<'a>(report: &'a Value, attack: &str) -> &'a Value {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["attack"] == attack).unwrap_or_else(|| panic!("no {attack}: {report}"))
}

#[test]
fn our_server_on_loopback_holds_each_attack_that_can_be_tested() {
    let server = RelayServer::start(config());
    let finished = run_audit(&server, &["--mine", "--format", "json"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let report = json(&finished);
    assert_eq!((&report["schema"], &report["verdict"]), (&"portolan.audit.turn/1".into(), &"held".into()), "{report}");
    assert_eq!((&report["summary"]["not_held"], &report["server"]["address"]), (&0.into(), &server.host().into()));
    for attack in ["no-credentials", "other-user", "own-listener", "channel-range", "metadata-peer", "foreign-nonce"] {
        assert_eq!(outcome(&report, attack)["outcome"], "held", "{report}");
    }
    let mapped = outcome(&report, "mapped-peer");
    assert_eq!(
        (&mapped["outcome"], &mapped["why"]),
        (&"not-testable".into(), &"the server gives no IPv6 relayed address".into())
    );
    assert!(report["traffic"]["sent"].as_u64().is_some_and(|sent| (60..200).contains(&sent)), "{report}");
}

#[test]
fn an_open_peer_policy_is_not_held_and_the_verdict_is_last() {
    let policy = PeerPolicy::new().allow("10.0.0.0/8".parse().expect("a prefix"));
    let server = RelayServer::start(config().policy(policy));
    let finished = run_audit(&server, &["--mine"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(1), ""), "{finished:?}");
    assert_eq!(finished.stdout.matches("\n  ✗ ").count(), 1, "{finished:?}");
    let words = "✗ private and unique local addresses are denied: CreatePermission for 10.88.99.1:9 was successful";
    assert!(finished.stdout.contains(words), "{finished:?}");
    let last = finished.stdout.lines().last();
    assert_eq!(last, Some("The server does NOT hold at least one attack: see the lines with ✗."), "{finished:?}");
}

#[test]
fn an_audit_that_could_not_run_gives_one_line() {
    let server = RelayServer::start(config());
    assert_refused(&run_audit(&server, &[]), &["--mine", "is yours"]);
    let host = server.host();
    let wrong = ["audit", &host, "--turn", "--mine", "--user", "alice:wrong"];
    assert_refused(&run(&wrong), &[&host, "no allocation: error 401", "password of --user"]);
    assert_refused(&run(&["audit", &host, "--turn", "--mine"]), &["requires a user"]);
    assert_refused(&run(&["audit", &host, "--user", "alice:x"]), &["--turn"]);
    assert_refused(&run(&["audit", &host, "--mine"]), &["--turn"]);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("its address").to_string();
    let finished = run(&["audit", &address, "--turn", "--mine", "--user", "alice:x"]);
    assert_refused(&finished, &[&address, "did not respond"]);
}

const SERVER: &str = "50.0.0.1:3478";

fn sim_config() -> ServerConfig {
    let mut users = Users::long_term("example.org");
    for name in ["alice", "bob"] {
        users.add(name, &format!("secret of {name}")).expect("a valid user");
    }
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).expect("a valid realm");
    let [v4, v6]: [IpAddr; 2] = ["50.0.0.1", "2a00:1::1"].map(|ip| ip.parse().expect("an address"));
    ServerConfig::new(credentials).listen_udp(SERVER.parse().expect("an address")).relay(v4).relay(v6)
}

/// Audits our server with a round trip time of 50 ms.
fn audit_in_sim(config: &ServerConfig, loss: f64, seed: u64) -> (TurnReport, usize, Instant) {
    let mut net: Net<Either<TurnAudit, Server>> = Net::new(seed);
    let internet = net.internet();
    let addresses: [IpAddr; 2] = ["50.0.0.1", "2a00:1::1"].map(|ip| ip.parse().expect("an address"));
    let machine = Either::Second(Server::new(config).expect("a valid configuration"));
    let server = net.add_host(internet, "server", &addresses, &Link::PERFECT, machine);
    net.command(server, Either::Second(ServerCommand::Start)).expect("not started yet");
    let address: SocketAddr = SERVER.parse().expect("an address");
    let audit = TurnAuditConfig::new(address, "alice", "secret of alice").other_user("bob", "secret of bob");
    let link = Link::delay(Duration::from_millis(25)).loss(loss);
    let client: IpAddr = "198.51.100.7".parse().expect("an address");
    let host = net.add_host(internet, "audit", &[client], &link, Either::First(TurnAudit::new(audit)));
    net.command(host, Either::First(AuditCommand::Start)).expect("not started yet");
    let _stop = net.run_until(Instant::ORIGIN + TurnAudit::MAX_DURATION);
    let report = net.take_events().into_iter().find_map(|event| match event.event {
        Either::First(TurnAuditEvent::Report(report)) => Some((*report, event.at)),
        Either::First(_) | Either::Second(_) => None,
    });
    let (report, at) = report.expect("a report");
    let Some(Either::Second(server)) = net.machine(server) else { panic!("the server") };
    (report, server.allocations().count(), at)
}

fn text(report: &TurnReport) -> String {
    report.findings.iter().map(|finding| format!("{}: {finding}\n", finding.attack)).collect()
}

#[test]
fn our_server_in_sim_holds_all_attacks() {
    let (report, left, at) = audit_in_sim(&sim_config(), 0.0, 1);
    // Connect needs a TCP allocation, and this server does not listen on TCP. The other four need time or a flood.
    let untested = [
        TurnAttack::ConnectPeer,
        TurnAttack::PermissionExpiry,
        TurnAttack::ChannelExpiry,
        TurnAttack::UnlimitedReplies,
        TurnAttack::PermissionFlood,
    ];
    for finding in &report.findings {
        let expected = !untested.contains(&finding.attack);
        assert_eq!(finding.outcome == TurnOutcome::Held, expected, "{}\n{}", finding.attack, text(&report));
    }
    assert_eq!((report.summary().not_held, left), (0, 0), "no allocation remains");
    assert!(at < Instant::from_millis(15_000), "{at}");
}

#[test]
fn loss_is_never_a_breach() {
    for seed in 0..12 {
        let (report, ..) = audit_in_sim(&sim_config(), 0.2, seed);
        assert_eq!(report.summary().not_held, 0, "seed {seed}\n{}", text(&report));
    }
}
