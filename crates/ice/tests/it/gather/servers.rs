//! Servers: good ones, dead ones, and each kind of failure.

use super::{GOOD, Hand, RTT, World, at, completions, lan, ms, response, transmits};
use core::time::Duration;
use portolan_ice::gather::{FailedServer, Interface, NoCandidates, ServerFailure};
use portolan_ice::{CandidateKind, ComponentId, GatherConfig, GatherEvent, Gatherer};
use portolan_machine::{Datagram, Input, Instant, Output, SocketEvent, SocketId, Unreachability, Verdict};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Fault, Link};
use portolan_stun::Attribute;
use portolan_stun_agent::Unusable;

fn config() -> GatherConfig {
    GOOD.iter().fold(GatherConfig::new(), |config, server| config.server(at(server)))
}

#[test]
fn two_dual_stack_interfaces_behind_nats_give_four_hosts_and_two_reflexive_candidates() {
    let mut world = World::new(config(), TranslatorConfig::home());
    for server in GOOD {
        world.add_server(server, Fault::None);
    }
    world.set(World::interfaces());
    world.run(ms(1000));

    let found = world.candidates();
    let hosts: Vec<_> = found.iter().filter(|(at, kind, ..)| *kind == "host" && *at == 0).map(|one| &one.3).collect();
    assert_eq!(hosts, ["2001:db8:a::7", "2001:db8:b::7", "192.168.1.7", "10.20.0.7"], "at once, in preferred order");
    let reflexive: Vec<_> = found.iter().filter(|(_, kind, ..)| *kind == "srflx").collect();
    // Over IPv6 there is no NAT: the reflexive candidate is redundant. The requests start 50 ms apart.
    let expected = [(100 + RTT, "192.168.1.7", World::PUBLIC[0]), (150 + RTT, "10.20.0.7", World::PUBLIC[1])];
    assert_eq!(reflexive.len(), 2, "{reflexive:?}");
    for ((time, base, public), found) in expected.into_iter().zip(reflexive) {
        assert_eq!(*found, (u128::from(time), "srflx", base.to_string(), public.to_string()));
    }
    let reports = world.reports();
    assert_eq!((reports.len(), reports[0].0, reports[0].1.found), (1, u128::from(150 + RTT), 6));
    assert!(reports[0].1.failed.is_empty() && reports[0].1.refused.is_empty() && reports[0].1.skipped.is_empty());
}

#[test]
fn rfc8445_5_1_2_1_the_priorities_of_a_stream_are_unique() {
    // Two servers behind a symmetric NAT: two reflexive candidates of one base.
    let other = "192.0.2.2:3478";
    let mut world = World::new(config().server(at(other)), TranslatorConfig::symmetric());
    for server in GOOD.into_iter().chain([other]) {
        world.add_server(server, Fault::None);
    }
    world.set(World::interfaces());
    world.run(ms(1000));
    let gatherer = world.net.machine(world.host).unwrap();
    let mut priorities: Vec<u32> = gatherer.candidates().map(|candidate| candidate.priority()).collect();
    assert_eq!(priorities.len(), 4 + 4, "each base with a NAT has a mapping for each server");
    priorities.sort_unstable();
    priorities.dedup();
    assert_eq!(priorities.len(), 8);
    assert!(priorities.iter().all(|priority| (1..=(1 << 31) - 1).contains(priority)));
}

#[test]
fn rfc8445_5_1_3_the_same_mapped_address_of_two_servers_is_one_candidate() {
    let other = "192.0.2.2:3478";
    let mut world = World::new(config().server(at(other)), TranslatorConfig::home());
    for server in GOOD.into_iter().chain([other]) {
        world.add_server(server, Fault::None);
    }
    world.set(World::interfaces());
    world.run(ms(1000));
    assert_eq!(world.candidates().iter().filter(|(_, kind, ..)| *kind == "srflx").count(), 2);
    assert_eq!(world.reports()[0].1.found, 6);
}

/// The reason for each way in which a server fails, and the time of the event in milliseconds.
fn failing(fault: Option<Fault>, address: &str) -> (u128, ServerFailure) {
    let bad = at(address);
    let mut world = World::new(config().server(bad), TranslatorConfig::home());
    for server in GOOD {
        world.add_server(server, Fault::None);
    }
    match fault {
        Some(fault) => drop(world.add_server(address, fault)),
        None => {
            // A host without a socket on this port: ICMP port unreachable.
            let idle = Gatherer::new(GatherConfig::new()).unwrap();
            world.net.add_host(world.net.internet(), "closed", &[bad.ip()], &Link::PERFECT, idle);
        }
    }
    world.set(vec![lan("eth0", World::WIRED[0])]);
    world.run(Duration::from_secs(120));
    let found = world.candidates();
    assert_eq!(found.len(), 2, "{fault:?}: {found:?}");
    assert_eq!(found[1].0, u128::from(RTT), "{fault:?}: the good server is not delayed");
    let events = world.events();
    let mut failures = events.iter().filter_map(|(at, event)| match event {
        GatherEvent::ServerFailed(failed) if failed.server == bad => Some((*at, failed.why)),
        _ => None,
    });
    let failure = failures.next().unwrap_or_else(|| panic!("{fault:?}: no reason"));
    assert_eq!(failures.next(), None, "{fault:?}: one event");
    let reports = world.reports();
    assert_eq!((reports.len(), reports[0].0), (1, failure.0), "{fault:?}: complete with the last failure");
    assert!(reports[0].1.failed.iter().any(|failed| (failed.server, failed.why) == (bad, failure.1)));
    failure
}

#[test]
fn each_server_fails_alone_and_with_a_reason() {
    const ADDRESS: &str = "192.0.2.66:3478";
    let second = 50;
    let answered = second + u128::from(RTT);
    let code = |code| (Some(Fault::Error(code)), (answered, ServerFailure::Code(code)));
    let silent = (second + 39_500, ServerFailure::Timeout { sends: 7 });
    let invalid = |text| {
        let mapped = at(text);
        (Some(Fault::WrongMappedAddress(mapped)), (answered, ServerFailure::MappedInvalid(mapped)))
    };
    let table = [
        (Some(Fault::Silent), silent),
        // Three sends, at 0, 500 and 1500 ms.
        (None, (second + 1500 + u128::from(RTT), ServerFailure::Unreachable(Unreachability::Port))),
        code(300),
        code(400),
        code(403),
        code(420),
        code(500),
        // Random bytes are no response to a request.
        (Some(Fault::Garbage), silent),
        (Some(Fault::WrongTransactionId), silent),
        (Some(Fault::Echo), silent),
        (Some(Fault::NoMapped), (answered, ServerFailure::NoMappedAddress)),
        invalid("127.0.0.1:5000"),
        invalid("224.0.0.1:5000"),
        invalid("0.0.0.0:5000"),
        invalid("203.0.113.1:0"),
        (
            Some(Fault::WrongMappedAddress(at("[2001:db8::9]:5000"))),
            (answered, ServerFailure::MappedFamily(at("[2001:db8::9]:5000"))),
        ),
    ];
    for (fault, expected) in table {
        assert_eq!(failing(fault, ADDRESS), expected, "{fault:?}");
    }
    assert!(
        matches!(failing(Some(Fault::ThirdAddress(at("192.0.2.67:9"))), ADDRESS).1, ServerFailure::Timeout { .. }),
        "the NAT filters another source"
    );
    let no_family = (39_540_u128.min(u128::from(RTT)), ServerFailure::NoAddressOfFamily);
    assert_eq!(failing(Some(Fault::None), "[2001:db8:1::66]:3478"), no_family);
}

fn one_server(address: &str) -> (Hand, portolan_machine::Transmit) {
    let mut hand = Hand::new(GatherConfig::new().server(at(address)));
    hand.set(vec![lan("eth0", "10.0.0.7")]).unwrap();
    let outputs = hand.open_all();
    let request = transmits(&outputs)[0].clone();
    (hand, request)
}

const LOCAL: &str = "10.0.0.7:5001";

fn failures(outputs: &[(Instant, Output<GatherEvent>)]) -> Vec<(u128, ServerFailure)> {
    let failed = outputs.iter().filter_map(|(at, output)| match output {
        Output::Event(GatherEvent::ServerFailed(failed)) => Some((at.since_origin().as_millis(), failed.why)),
        _ => None,
    });
    failed.collect()
}

#[test]
fn responses_of_another_source_and_undecodable_responses_are_named_as_reasons() {
    let (mut hand, request) = one_server(GOOD[0]);
    let response = response(&request, &Attribute::XorMappedAddress(at("203.0.113.1:9")));
    let elsewhere = Datagram::new(request.socket, at(LOCAL), at("192.0.2.9:3478"), &response);
    assert_eq!(hand.handle(Input::Datagram(elsewhere)), Verdict::Mine);
    let outputs = hand.run_until(Instant::from_millis(60_000));
    assert_eq!(failures(&outputs), [(39_500, ServerFailure::Elsewhere { from: at("192.0.2.9:3478") })]);

    let (mut hand, request) = one_server(GOOD[0]);
    let mut cut = response.clone();
    cut.truncate(response.len() - 4);
    cut[3] -= 4;
    cut[8..20].copy_from_slice(&request.payload[8..20]);
    let undecodable = Datagram::new(request.socket, at(LOCAL), at(GOOD[0]), &cut);
    assert_eq!(hand.handle(Input::Datagram(undecodable)), Verdict::Mine);
    let outputs = hand.run_until(Instant::from_millis(60_000));
    assert_eq!(failures(&outputs), [(39_500, ServerFailure::Undecodable { sends: 7 })]);
}

#[test]
fn a_response_with_an_unknown_required_attribute_is_not_used() {
    let (mut hand, request) = one_server(GOOD[0]);
    let kind = portolan_stun::AttributeType::new(0x7fff);
    let response = response(&request, &Attribute::Unknown { kind, value: b"" });
    let _mine = hand.handle(Input::Datagram(Datagram::new(request.socket, at(LOCAL), at(GOOD[0]), &response)));
    let outputs = hand.run_until(Instant::from_millis(1));
    assert_eq!(failures(&outputs), [(0, ServerFailure::Unusable(Unusable::UnknownAttribute(kind)))]);
}

#[test]
fn one_icmp_error_does_not_end_a_request() {
    let (mut hand, request) = one_server(GOOD[0]);
    let remote = request.remote;
    let event = SocketEvent::Unreachable { remote, why: Unreachability::Host };
    for _ in 0..10 {
        assert_eq!(hand.handle(Input::Socket(request.socket, event)), Verdict::Mine);
    }
    assert_eq!(failures(&hand.run_until(Instant::from_millis(400))), [], "ten reports of one send");
    assert_eq!(hand.answer(&request, at(LOCAL), at("203.0.113.1:9")), Verdict::Mine);
    let (outputs, _) = hand.drain();
    assert_eq!(completions(&outputs)[0].found, 2);
}

#[test]
fn rfc8445_5_1_1_2_a_server_of_rfc_5389_or_3489_with_mapped_address_only_is_used() {
    let mut world = World::new(GatherConfig::new().server(at(GOOD[0])), TranslatorConfig::home());
    world.add_server(GOOD[0], Fault::OnlyMapped);
    world.set(vec![lan("eth0", World::WIRED[0])]);
    world.run(ms(100));
    assert_eq!(world.candidates()[1].3, World::PUBLIC[0]);
}

#[test]
fn only_responses_to_own_requests_are_taken_from_the_shared_socket() {
    let (mut hand, request) = one_server(GOOD[0]);
    let foreign = [b"data".to_vec(), request.payload.to_vec(), {
        let mut other = response(&request, &Attribute::XorMappedAddress(at(LOCAL)));
        other[8] ^= 1;
        other
    }];
    for bytes in &foreign {
        let datagram = Datagram::new(request.socket, at(LOCAL), at(GOOD[0]), bytes);
        assert_eq!(hand.handle(Input::Datagram(datagram)), Verdict::NotMine);
    }
    assert_eq!(hand.drain().0, []);
    let other = Input::Socket(SocketId(99), SocketEvent::Opened { local: at(LOCAL) });
    assert_eq!(hand.handle(other), Verdict::NotMine);
}

#[test]
fn with_a_dead_network_a_round_ends_within_the_stated_time() {
    let servers = ["192.0.2.1:3478", "192.0.2.2:3478", "192.0.2.3:3478"];
    for (timeout, addresses) in [(39_500, 1_u8), (39_500, 20), (5000, 64), (700, 5)] {
        let config = servers.iter().fold(GatherConfig::new(), |config, server| config.server(at(server)));
        let mut filter = portolan_ice::gather::AddressFilter::default();
        filter.ipv4_limit = 64;
        let mut hand = Hand::new(config.timeout(ms(timeout)).filter(filter));
        let interfaces: Vec<Interface> = (1..=addresses).map(|n| lan("eth0", &format!("10.0.0.{n}"))).collect();
        hand.set(interfaces).unwrap();
        let mut outputs = hand.open_all();
        let pairs = (usize::from(addresses) * servers.len()).min(Gatherer::PAIRS);
        let bound = ms(50 * pairs as u64 + timeout);
        let rest = hand.run_until(Instant::ORIGIN + bound);
        outputs.extend(rest.into_iter().map(|(_, output)| output));
        let reports = completions(&outputs);
        assert_eq!(reports.len(), 1, "{timeout} {addresses}");
        assert_eq!(reports[0].failed.len(), usize::from(addresses) * servers.len(), "each pair has its reason");
        let too_many = |failed: &&FailedServer| failed.why == ServerFailure::TooMany;
        assert_eq!(reports[0].failed.iter().filter(too_many).count(), usize::from(addresses) * servers.len() - pairs);
        assert_eq!(hand.drain().1, None, "nothing is left to do");
    }
}

#[test]
fn each_component_has_a_socket_and_its_own_candidates() {
    let components = [ComponentId::new(0, 1), ComponentId::new(0, 2)];
    let config = GatherConfig::new().server(at(GOOD[0])).components(components);
    let mut world = World::new(config, TranslatorConfig::home());
    world.add_server(GOOD[0], Fault::None);
    world.set(vec![lan("eth0", World::WIRED[0])]);
    world.run(ms(1000));
    let gatherer = world.net.machine(world.host).unwrap();
    let mut found: Vec<_> = gatherer.candidates().map(|one| (one.component.number, one.kind, one.preference)).collect();
    found.sort_unstable();
    let (host, reflexive) = (CandidateKind::Host, CandidateKind::ServerReflexive);
    assert_eq!(found, [(1, host, 65535), (1, reflexive, 65535), (2, host, 65535), (2, reflexive, 65535)]);
    let mut sockets: Vec<_> = gatherer.candidates().map(|one| one.socket).collect();
    sockets.dedup();
    assert_eq!(sockets.len(), 2);
}

#[test]
fn in_mode_3_without_an_answering_server_the_server_is_the_reason_for_no_candidates() {
    let mode = portolan_ice::gather::AddressMode::DefaultRoute;
    let config = GatherConfig::new().server(at(GOOD[0])).mode(mode).timeout(ms(1000));
    let mut hand = Hand::new(config);
    hand.set(vec![lan("eth0", "10.0.0.7").default_route()]).unwrap();
    let _requests = hand.open_all();
    let outputs = hand.run_until(Instant::from_millis(2000));
    let outputs: Vec<_> = outputs.into_iter().map(|(_, output)| output).collect();
    let report = &completions(&outputs)[0];
    assert!(matches!(report.reason_for_none(), Some(NoCandidates::AllServersFailed(_))));
    assert_eq!(
        report.to_string(),
        "no candidates, because no candidate of 10.0.0.7:5001 from 192.0.2.1:3478: no response after 2 sends"
    );
}
