//! Audits of the TURN server of this project, in virtual time.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_audit::AuditCommand;
use portolan_audit::turn::{
    Breach, Obstacle, TurnAttack, TurnAudit, TurnAuditConfig, TurnAuditEvent, TurnFinding, TurnOutcome, TurnReport,
};
use portolan_machine::{Either, Instant, Protocol};
use portolan_sim::{Link, Net};
use portolan_stun_agent::{Authenticator, Users};
use portolan_turn::{PeerPolicy, Server, ServerCommand, ServerConfig, ServerLimits};

const SERVER: &str = "50.0.0.1:3478";

fn address() -> SocketAddr {
    SERVER.parse().unwrap()
}

/// A server on UDP and TCP with an IPv4 and an IPv6 relay address.
fn server() -> ServerConfig {
    let mut users = Users::long_term("example.org");
    for name in ["alice", "bob"] {
        users.add(name, &format!("secret of {name}")).unwrap();
    }
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).unwrap();
    let [v4, v6]: [IpAddr; 2] = ["50.0.0.1", "2a00:1::1"].map(|ip| ip.parse().unwrap());
    ServerConfig::new(credentials).listen_udp(address()).listen(Protocol::TcpListen, address()).relay(v4).relay(v6)
}

/// Audits the server with a round trip time of 50 ms. Returns the report and the number of allocations that are left.
fn audit(config: &ServerConfig, loss: f64, seed: u64) -> (TurnReport, usize) {
    let mut net: Net<Either<TurnAudit, Server>> = Net::new(seed);
    let internet = net.internet();
    let addresses: [IpAddr; 2] = ["50.0.0.1", "2a00:1::1"].map(|ip| ip.parse().unwrap());
    let machine = Either::Second(Server::new(config).unwrap());
    let server = net.add_host(internet, "server", &addresses, &Link::PERFECT, machine);
    net.command(server, Either::Second(ServerCommand::Start)).unwrap();
    let audit = TurnAuditConfig::new(address(), "alice", "secret of alice").other_user("bob", "secret of bob");
    let link = Link::delay(Duration::from_millis(25)).loss(loss);
    let client: IpAddr = "198.51.100.7".parse().unwrap();
    let host = net.add_host(internet, "audit", &[client], &link, Either::First(TurnAudit::new(audit)));
    net.command(host, Either::First(AuditCommand::Start)).unwrap();
    let _stop = net.run_until(Instant::ORIGIN + TurnAudit::MAX_DURATION);
    let report = net.take_events().into_iter().find_map(|event| match event.event {
        Either::First(TurnAuditEvent::Report(report)) => Some(*report),
        Either::First(_) | Either::Second(_) => None,
    });
    let Some(Either::Second(server)) = net.machine(server) else { panic!("the server") };
    (report.unwrap(), server.allocations().count())
}

fn connect(report: &TurnReport) -> TurnFinding {
    *report.findings.iter().find(|finding| finding.attack == TurnAttack::ConnectPeer).unwrap()
}

fn breaches(report: &TurnReport) -> Vec<TurnFinding> {
    let is_breach = |finding: &&TurnFinding| matches!(finding.outcome, TurnOutcome::NotHeld(_));
    report.findings.iter().filter(is_breach).copied().collect()
}

#[test]
fn our_server_denies_each_connect_request_on_a_tcp_allocation() {
    let (report, left) = audit(&server(), 0.0, 1);
    let finding = connect(&report);
    assert_eq!((finding.outcome, finding.tested, finding.untested), (TurnOutcome::Held, 26, 0));
    assert_eq!((breaches(&report), left), (vec![], 0), "no allocation remains");
    // Only time and floods are not tested.
    assert_eq!(report.summary().not_testable, 4, "{:?}", report.findings);
}

#[test]
fn a_server_without_tcp_allocations_is_not_testable() {
    let mut limits = ServerLimits::default();
    limits.connections = 0;
    let (report, left) = audit(&server().limits(limits), 0.0, 1);
    let finding = connect(&report);
    assert_eq!(finding.outcome, TurnOutcome::NotTestable(Obstacle::NoTcpAllocation));
    assert_eq!((finding.tested, finding.untested, left), (0, 26, 0));
}

#[test]
fn a_policy_that_permits_a_private_peer_is_found_by_connect_too() {
    let policy = PeerPolicy::new().allow("10.0.0.0/8".parse().unwrap());
    let (report, left) = audit(&server().policy(policy), 0.0, 1);
    let outcome = TurnOutcome::NotHeld(Breach::Connected("10.88.99.1:9".parse().unwrap()));
    assert_eq!(connect(&report).outcome, outcome);
    let attacks: Vec<TurnAttack> = breaches(&report).iter().map(|finding| finding.attack).collect();
    assert_eq!((attacks, left), (vec![TurnAttack::PrivatePeer, TurnAttack::ConnectPeer], 0));
}

#[test]
fn a_quota_of_three_allocations_is_enough() {
    let mut limits = ServerLimits::default();
    limits.allocations_per_user = 3;
    let (report, left) = audit(&server().limits(limits), 0.0, 1);
    let finding = connect(&report);
    assert_eq!((finding.outcome, finding.tested, left), (TurnOutcome::Held, 26, 0));
}

#[test]
fn loss_is_never_a_breach() {
    for seed in 0..12 {
        let (report, _) = audit(&server(), 0.2, seed);
        assert_eq!(breaches(&report), [], "seed {seed}");
    }
}
