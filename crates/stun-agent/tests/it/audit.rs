//! Audits of servers honest and lying: what each fault is found out by, and that nobody is accused of the network's faults.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_sim::server::{Bogus, Tcp};
use portolan_sim::{Barrier, Fault, Gateway, Link, Net, Preset, Server, Topology};
use portolan_stun_agent::audit::{
    Audit, AuditCommand, AuditConfig, AuditEvent, Check, Doubt, Implausible, Outcome, Report, Violation,
};

const SERVER: &str = "203.0.113.10:3478";
const OTHER: &str = "203.0.113.11:3479";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn full() -> Server {
    Server::new("full", at(SERVER)).alternate(at(OTHER))
}

fn plain() -> Server {
    Server::new("plain", at(SERVER))
}

/// A client 50 ms from a server.
struct World {
    server: Server,
    nat: Option<Barrier>,
    loss: f64,
    seed: u64,
}

impl World {
    fn of(server: Server) -> Self {
        Self { server, nat: None, loss: 0.0, seed: 1 }
    }

    fn report(&self) -> Report {
        let mut net = Net::new(self.seed);
        let link = Link::delay(Duration::from_millis(25)).loss(self.loss);
        let public: IpAddr = "198.51.100.7".parse().unwrap();
        let audit = Audit::new(AuditConfig::new(self.server.primary));
        let host = match self.nat {
            None => net.add_host(net.internet(), "client", &[public], &link, audit),
            Some(nat) => {
                let home = net.add_gateway(net.internet(), Gateway::new("home", [public], nat), &link);
                net.add_host(home, "client", &["192.168.1.7".parse().unwrap()], &Link::PERFECT, audit)
            }
        };
        net.add_server(net.internet(), self.server.clone(), &Link::PERFECT);
        net.command(host, AuditCommand::Start).unwrap();
        let _stop = net.run_until(Instant::ORIGIN + Duration::from_secs(30));
        let last = net.take_events().pop().expect("a report");
        assert!(last.at < Instant::from_millis(3000), "it took {}", last.at);
        let AuditEvent::Report(report) = last.event else { panic!("{:?}", last.event) };
        assert!(report.traffic.sent <= Audit::MAX_DATAGRAMS, "{:?}", report.traffic);
        *report
    }
}

fn told(report: &Report) -> String {
    report.findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[track_caller]
fn assert_found(report: &Report, expected: &[(Check, Outcome)]) {
    for (check, outcome) in expected {
        assert_eq!(report.outcome(*check), Some(*outcome), "{check}\n{}", told(report));
    }
}

#[test]
fn an_honest_responder_with_two_addresses_honours_everything() {
    let report = World::of(full().with_responder()).report();
    assert_eq!(report.violations().count(), 0, "{}", told(&report));
    let expected = Check::all().map(|check| match check {
        // Neither is asked of a server: it says nothing of itself, and knows no RFC 3489 and no credentials.
        Check::Software | Check::Classic | Check::Credentials => (check, Outcome::NotSupported),
        _ => (check, Outcome::Honoured),
    });
    assert_found(&report, &expected.collect::<Vec<_>>());
    assert_eq!((report.mapped, report.lost.0), (Some(report.local), 0));
    assert_eq!(report.rtt, Some(Duration::from_millis(50)));
    assert!(report.traffic.sent < 75, "{:?}", report.traffic);
    let worst = report.amplification[0];
    assert!((3.0..4.0).contains(&worst.factor()), "what RFC 5780 §6.1 asks for: {worst:?}");
    assert!(report.elapsed < Duration::from_millis(2900), "{:?}", report.elapsed);
}

#[test]
fn an_honest_responder_with_one_address_refuses_what_it_cannot_do() {
    let report = World::of(plain().with_responder().tcp(Tcp::Refuses)).report();
    assert_eq!(report.violations().count(), 0, "{}", told(&report));
    for check in [
        Check::Tcp,
        Check::MappedAddress,
        Check::ResponseOrigin,
        Check::OtherAddress,
        Check::Alternates,
        Check::ChangePort,
        Check::ChangeAddress,
        Check::ChangeBoth,
    ] {
        assert_found(&report, &[(check, Outcome::NotSupported)]);
    }
    assert_found(&report, &[(Check::UnknownRequired, Outcome::Honoured), (Check::ResponsePort, Outcome::Honoured)]);
}

#[test]
fn over_ipv6_it_is_the_same() {
    let mut net = Net::new(1);
    let link = Link::delay(Duration::from_millis(25));
    let server = at("[2001:db8::10]:3478");
    let audit = Audit::new(AuditConfig::new(server));
    let host = net.add_host(net.internet(), "client", &["2001:db8:1::7".parse().unwrap()], &link, audit);
    let full = Server::new("six", server).alternate(at("[2001:db8::11]:3479")).with_responder();
    net.add_server(net.internet(), full, &Link::PERFECT);
    net.command(host, AuditCommand::Start).unwrap();
    let _stop = net.run_for(Duration::from_secs(5));
    let Some(AuditEvent::Report(report)) = net.take_events().pop().map(|last| last.event) else { panic!("a report") };
    assert_eq!(report.violations().count(), 0, "{}", told(&report));
    assert_found(&report, &[(Check::ChangeBoth, Outcome::Honoured), (Check::Amplification, Outcome::Honoured)]);
}

/// What a fault of a server with two addresses is found out by.
fn finding(fault: Fault) -> Vec<(Check, Outcome)> {
    let other = at(OTHER);
    let violated = Outcome::Violated;
    let bogus = |address: &str, why| vec![(Check::OtherAddress, violated(Violation::Implausible(at(address), why)))];
    match fault {
        Fault::None => vec![(Check::Binding, Outcome::Honoured), (Check::ChangeBoth, Outcome::Honoured)],
        Fault::Silent => {
            vec![(Check::Binding, Outcome::Unknown(Doubt::Silent)), (Check::Garbage, Outcome::Unknown(Doubt::Silent))]
        }
        Fault::IgnoresChangeRequest => [Check::ChangePort, Check::ChangeAddress, Check::ChangeBoth]
            .map(|check| (check, violated(Violation::Ignored)))
            .into(),
        Fault::RefusesChangeRequest => [Check::ChangePort, Check::ChangeAddress, Check::ChangeBoth]
            .map(|check| (check, violated(Violation::Error(420))))
            .into(),
        Fault::DropsChangeRequest => [Check::ChangePort, Check::ChangeAddress, Check::ChangeBoth]
            .map(|check| (check, violated(Violation::NotAnswered)))
            .into(),
        Fault::ChangesPortOnly => vec![
            (Check::ChangePort, Outcome::Honoured),
            (Check::ChangeAddress, violated(Violation::Ignored)),
            (Check::ChangeBoth, violated(Violation::From(SocketAddr::new(at(SERVER).ip(), other.port())))),
        ],
        Fault::NoOtherAddress => vec![(Check::OtherAddress, violated(Violation::Missing))],
        Fault::OtherAddress(Bogus::Itself) => bogus(SERVER, Implausible::SameAddress),
        Fault::OtherAddress(Bogus::SameAddress) => bogus("203.0.113.10:3479", Implausible::SameAddress),
        Fault::OtherAddress(Bogus::SamePort) => bogus("203.0.113.11:3478", Implausible::SamePort),
        Fault::OtherAddress(Bogus::Private) => bogus("172.16.0.53:3479", Implausible::NotGlobal),
        Fault::OtherAddress(Bogus::OtherFamily) => bogus("[2001:db8::2]:3479", Implausible::Family),
        Fault::OtherAddress(Bogus::Unspecified) => bogus("0.0.0.0:3479", Implausible::NotGlobal),
        Fault::DeadAlternate => vec![
            (Check::Alternates, violated(Violation::NotAnswered)),
            (Check::ChangePort, Outcome::Honoured),
            (Check::ChangeBoth, Outcome::Unknown(Doubt::Filter)),
        ],
        Fault::LiesAlways(address) => vec![(Check::XorMappedAddress, violated(Violation::SameForTwo(address)))],
        Fault::LiesAnew => vec![(Check::Retransmission, violated(Violation::Differs))],
        Fault::LateDuplicates(_) | Fault::AnswersTwice => {
            vec![(Check::OneResponse, violated(Violation::Several { requests: 11, replies: 22 }))]
        }
        Fault::ThirdAddress(address) => vec![(Check::Source, violated(Violation::From(address)))],
        Fault::Garbage | Fault::Truncated => vec![(Check::Binding, violated(Violation::Unreadable))],
        Fault::WrongTransactionId => vec![(Check::TransactionId, violated(Violation::Wrong))],
        Fault::Echo => vec![(Check::Binding, violated(Violation::Echo))],
        Fault::OnlyXorMapped => vec![(Check::MappedAddress, violated(Violation::Missing))],
        Fault::OnlyMapped => vec![(Check::XorMappedAddress, violated(Violation::OnlyMapped))],
        Fault::NoMapped => vec![(Check::XorMappedAddress, violated(Violation::Missing))],
        Fault::Error(code) => vec![(Check::Binding, violated(Violation::Error(code)))],
        Fault::DropsEvery(_) => vec![(Check::Retransmission, Outcome::Unknown(Doubt::Loss))],
        fault => panic!("no finding is named for {fault}"),
    }
}

#[test]
fn every_fault_is_found_out_by_the_check_that_it_breaks() {
    for fault in Fault::EACH {
        let report = World::of(full().fault(fault)).report();
        let expected = finding(fault);
        for (check, outcome) in &expected {
            assert_eq!(report.outcome(*check), Some(*outcome), "{fault}: {check}\n{}", told(&report));
        }
    }
}

#[test]
fn the_network_is_never_taken_for_the_server() {
    for (server, seeds) in [(full().with_responder(), 0..150), (plain().with_responder(), 0..50)] {
        for loss in [0.02, 0.1, 0.3] {
            for seed in seeds.clone() {
                let report = World { server: server.clone(), nat: None, loss, seed }.report();
                assert_eq!(report.violations().count(), 0, "seed {seed}, loss {loss}\n{}", told(&report));
            }
        }
    }
}

#[test]
fn at_little_loss_there_is_little_doubt() {
    let doubts: usize = (0..50)
        .map(|seed| {
            let report = World { server: full().with_responder(), nat: None, loss: 0.02, seed }.report();
            report.findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Unknown(_))).count()
        })
        .sum();
    let all = 50 * Check::all().len();
    assert!(doubts * 50 < all, "{doubts} of {all} findings are unknown");
}

#[test]
fn behind_every_kind_of_nat_an_honest_server_is_found_honest() {
    for preset in [Preset::Home, Preset::FullCone, Preset::Restricted, Preset::Symmetric] {
        for server in [full().with_responder(), plain().with_responder()] {
            let nat = Topology::preset(preset).ipv4.first().copied();
            let report = World { server: server.clone(), nat, loss: 0.0, seed: 7 }.report();
            assert_eq!(report.violations().count(), 0, "{}\n{}", preset.as_str(), told(&report));
            assert_eq!(report.mapped.map(|mapped| mapped.ip().to_string()).as_deref(), Some("198.51.100.7"));
            if server.alternate.is_some() {
                // The filter was opened by asking the other addresses first; a mapping of its own for each cannot be.
                let symmetric = preset == Preset::Symmetric;
                let outcome = if symmetric { Outcome::Unknown(Doubt::Filter) } else { Outcome::Honoured };
                assert_found(&report, &[(Check::ChangePort, outcome), (Check::ChangeBoth, outcome)]);
            }
        }
    }
}

#[test]
fn faults_under_loss_are_found_or_unknown_but_nothing_else_is_blamed_on_an_honest_clause() {
    for fault in [Fault::IgnoresChangeRequest, Fault::OnlyMapped, Fault::Error(500), Fault::WrongTransactionId] {
        for seed in 0..20 {
            let report = World { server: full().fault(fault), nat: None, loss: 0.05, seed }.report();
            let (check, outcome) = finding(fault)[0];
            let found = report.outcome(check);
            assert!(found == Some(outcome) || matches!(found, Some(Outcome::Unknown(_))), "{fault} {seed}: {found:?}");
            assert_ne!(found, Some(Outcome::Honoured));
        }
    }
}
