//! Discovery without a UDP response: UDP is blocked only if there is proof.

use crate::world::{World, at, full, plain};
use core::time::Duration;
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{Evidence, FamilyReport, Reachability, Unavailable, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::server::Tcp;
use portolan_sim::{Barrier, Fault, Link, Net, Server};

fn silent(server: Server, tcp: Tcp) -> Server {
    server.fault(Fault::Silent).tcp(tcp)
}

fn at_home(servers: &[Server]) -> FamilyReport {
    World::behind(TranslatorConfig::home()).servers(servers).family()
}

#[test]
fn one_silent_server_without_stun_over_tcp_is_no_evidence_of_blocked_udp() {
    let down = at_home(&[silent(plain("one", 10), Tcp::Refuses)]);
    assert_eq!((down.reach, down.mapping.reason()), (Reachability::Unknown, Some(Unknown::ServerSilent)), "{down:#?}");
    let stun = at_home(&[silent(plain("one", 10), Tcp::Accepts)]);
    assert_eq!((stun.reach, stun.mapping.reason()), (Reachability::Blocked, Some(Unknown::Blocked)), "{stun:#?}");
}

#[test]
fn two_silent_servers_whose_hosts_answer_tcp_show_that_udp_is_blocked() {
    let servers = [silent(plain("one", 10), Tcp::Refuses), silent(plain("two", 20), Tcp::Refuses)];
    assert_eq!(at_home(&servers).reach, Reachability::Blocked);
    let one_is_gone = [silent(plain("one", 10), Tcp::Silent), silent(plain("two", 20), Tcp::Refuses)];
    assert_eq!(at_home(&one_is_gone).reach, Reachability::Unknown, "one operator's silence");
    let third = [&one_is_gone[..], &[silent(plain("three", 30), Tcp::Refuses)]].concat();
    assert_eq!(at_home(&third).reach, Reachability::Blocked, "the third server is the second one with an answer");
}

#[test]
fn two_addresses_of_one_name_and_two_ports_of_one_address_are_one_server() {
    let name = |addresses: &[&str]| StunServer {
        name: "s".into(),
        addresses: addresses.iter().map(|text| at(text)).collect(),
    };
    let one_name = vec![name(&["203.0.113.10:3478", "203.0.113.11:3478"])];
    let one_address = vec![name(&["203.0.113.10:3478"]), name(&["203.0.113.10:3479"])];
    let two_servers = vec![name(&["203.0.113.10:3478"]), name(&["203.0.113.11:3478"])];
    for (servers, expected) in
        [(one_name, Reachability::Unknown), (one_address, Reachability::Unknown), (two_servers, Reachability::Blocked)]
    {
        let mut net = Net::new(1);
        let client = Discovery::new(DiscoveryConfig::new(servers)).unwrap();
        let link = Link::delay(Duration::from_millis(25));
        let host = net.add_host(net.internet(), "client", &["198.51.100.7".parse().unwrap()], &link, client);
        net.add_server(net.internet(), silent(full("s", 10), Tcp::Refuses), &Link::PERFECT);
        net.command(host, MeasurementCommand::Start).unwrap();
        let _stop = net.run_for(Duration::from_secs(6));
        let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|timed| timed.event) else { panic!() };
        assert_eq!(report.families[0].reach, expected, "{report:#?}");
    }
}

#[test]
fn udp_requests_follow_the_tcp_connection_before_udp_counts_as_blocked() {
    let story = World::behind(Barrier::UDP_BLOCKED).story();
    let connected = story.find("TCP to 203.0.113.10:3478 connects").unwrap_or_else(|| panic!("{story}"));
    let sends =
        story[connected..].lines().filter(|line| line.contains(" client ") && line.contains(" → 203.0.113.10:3478"));
    assert!(sends.count() >= 7, "{story}");
    let report = World::behind(Barrier::UDP_BLOCKED).report();
    assert_eq!(report.families[0].reach, Reachability::Blocked);
    assert!(report.elapsed < Duration::from_millis(2_700), "{:?}", report.elapsed);
}

#[test]
fn any_datagram_of_a_server_shows_that_udp_passes() {
    for fault in [Fault::WrongFingerprint, Fault::Garbage, Fault::Truncated, Fault::WrongTransactionId] {
        for tcp in [Tcp::Accepts, Tcp::Refuses] {
            let servers = [plain("one", 10), plain("two", 20)].map(|server| server.fault(fault).tcp(tcp));
            let family = at_home(&servers);
            assert_eq!(family.reach, Reachability::Unknown, "{fault}");
            assert_eq!(family.mapping.reason(), Some(Unknown::ServerError), "{fault}: {family:#?}");
        }
    }
}

#[test]
fn a_tcp_connection_counts_as_timed_out_only_after_a_wait() {
    let timed_out = |family: &FamilyReport| {
        let is_it = |evidence: &&Evidence| matches!(evidence, Evidence::TcpFailed { .. });
        family.mapping.evidence.iter().filter(is_it).count()
    };
    let dark = || World::behind(Barrier::SILENT);
    let ended_early = dark().config(|config| config.timeout = Duration::from_millis(1_001)).family();
    assert_eq!((ended_early.reach, timed_out(&ended_early)), (Reachability::Unknown, 0), "{ended_early:#?}");
    let whole = dark().family();
    assert_eq!(whole.reach, Reachability::Unavailable(Unavailable::Silent));
    assert_eq!(timed_out(&whole), 4, "two ports of two servers");
    // A run without a silent server opens no connection.
    assert_eq!(timed_out(&World::behind(TranslatorConfig::home()).servers([full("one", 10)]).family()), 0);
}
