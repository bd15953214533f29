//! Discovery with two address families, without an uplink, with loss and long round trips, and optional tests.

use crate::world::{World, at, full, plain};
use core::net::IpAddr;
use core::time::Duration;
use portolan_machine::{Instant, Unreachability};
use portolan_nat::behavior::{ClassicType, Filtering, Hairpin, Mapping, NatKind, Pooling, PortAllocation};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{Evidence, Family, Reachability, Report, Unavailable, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Fault, Gateway, Link, Net, Server};

const EIM: Mapping = Mapping::EndpointIndependent;
const APDF: Filtering = Filtering::AddressAndPortDependent;
const RTT: Duration = Duration::from_millis(50);

/// Runs a client with both families behind one gateway. Returns the report and the story.
fn dual(v4: impl Into<Barrier>, v6: impl Into<Barrier>, client: &[&str]) -> (Report, String) {
    dual_among(&[(10, Kind::Full), (20, Kind::Full)], v4, v6, client)
}

/// A server with an alternate address, without one, or without responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Full,
    Plain,
    Silent,
}

/// Does the same with these servers in both families.
fn dual_among(
    servers: &[(u8, Kind)],
    v4: impl Into<Barrier>,
    v6: impl Into<Barrier>,
    client: &[&str],
) -> (Report, String) {
    let given = |n: u8| StunServer {
        name: "server".into(),
        addresses: vec![([203, 0, 113, n], 3478).into(), at(&format!("[2001:db8:113::{n}]:3478"))],
    };
    let discovery = Discovery::new(DiscoveryConfig::new(servers.iter().map(|(n, _)| given(*n)).collect())).unwrap();
    let mut net = Net::new(3);
    let addresses: [IpAddr; 2] = ["198.51.100.7".parse().unwrap(), "2001:db8:7::1".parse().unwrap()];
    let gateway = Gateway::new("home", addresses, v4).ipv6(v6);
    let inside = net.add_gateway(net.internet(), gateway, &Link::delay(RTT / 2));
    let addresses: Vec<IpAddr> = client.iter().map(|text| text.parse().unwrap()).collect();
    let host = net.add_host(inside, "client", &addresses, &Link::PERFECT, discovery);
    for (n, kind) in servers.iter().copied() {
        let six = Server::new("v6", at(&format!("[2001:db8:113::{n}]:3478")));
        let (four, six) = match kind {
            Kind::Full => (full("v4", n), six.alternate(at(&format!("[2001:db8:113::{}]:3479", n + 1)))),
            Kind::Plain => (plain("v4", n), six),
            Kind::Silent => (plain("v4", n).fault(Fault::Silent), six.fault(Fault::Silent)),
        };
        net.add_server(net.internet(), four, &Link::PERFECT);
        net.add_server(net.internet(), six, &Link::PERFECT);
    }
    net.record_story();
    net.command(host, MeasurementCommand::Start).unwrap();
    let end = Instant::ORIGIN + Duration::from_secs(10);
    let _stop = net.run_until_event(end, |_, event| matches!(event, DiscoveryEvent::Report(_)));
    let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|timed| timed.event) else { panic!() };
    (*report, net.story().to_owned())
}

const BOTH: [&str; 2] = ["192.168.1.7", "2001:db8:7::9"];

/// Returns the start of each transaction in a story, in milliseconds.
fn starts(story: &str) -> Vec<u64> {
    let started =
        |line: &&str| line.contains(" client ") && line.contains(" request to ") && line.contains("[RFC 5780 §4.");
    let moment = |line: &str| line.split_once('s').unwrap().0.replace('.', "").parse().unwrap();
    story.lines().filter(started).map(moment).collect()
}

fn assert_budget(story: &str) {
    let starts = starts(story);
    assert!(starts.len() > 4, "{story}");
    for eleven in starts.windows(11) {
        assert!(eleven[10] >= eleven[0] + 1000, "{starts:?}");
    }
}

#[test]
fn both_families_are_measured_within_the_budget_in_one_and_a_half_seconds() {
    let firewall = TranslatorConfig::firewall(APDF);
    let (report, story) = dual(TranslatorConfig::home(), firewall, &BOTH);
    let [four, six] = report.families.as_slice() else { panic!("{report:#?}") };
    assert_eq!((four.family, four.classic_type()), (Family::V4, ClassicType::PortRestricted));
    assert_eq!((six.family, six.classic_type()), (Family::V6, ClassicType::UdpFirewall), "{six:#?}");
    assert_eq!(six.nat, Some(NatKind::Firewall));
    assert!(report.elapsed <= Duration::from_millis(1500), "{:?}", report.elapsed);
    assert_budget(&story);
    let mapping_six = story.lines().find(|line| line.contains("request to [2001") && line.contains("mapping test"));
    assert!(mapping_six.unwrap().starts_with("1.000s"), "IPv4 goes first: {mapping_six:?}");
}

#[test]
fn further_servers_for_a_preserved_port_keep_the_budget_and_the_time_of_both_families() {
    for second in [Kind::Full, Kind::Plain] {
        for third in [Kind::Full, Kind::Plain, Kind::Silent] {
            let servers = [(10, Kind::Full), (20, second), (30, third), (40, third), (50, Kind::Plain)];
            for filtering in Filtering::ALL {
                let nat = TranslatorConfig::new(EIM, filtering);
                let (report, story) = dual_among(&servers, nat, nat, &BOTH);
                assert_budget(&story);
                assert!(report.elapsed <= Duration::from_millis(1500), "{servers:?} {filtering} {:?}", report.elapsed);
                for family in &report.families {
                    assert_eq!(family.mapping.value(), Some(&EIM), "{family:#?}");
                    assert_eq!(family.filtering.value(), Some(&filtering), "{family:#?}");
                }
            }
        }
    }
}

#[test]
fn a_family_starts_all_tests_at_once_when_the_other_has_no_route() {
    let (report, story) = dual(TranslatorConfig::home(), TranslatorConfig::home(), &["2001:db8:7::9"]);
    let [four, six] = report.families.as_slice() else { panic!("{report:#?}") };
    assert!(matches!(four.reach, Reachability::Unavailable(_)), "{four:#?}");
    assert_eq!(six.reach, Reachability::Available);
    let mapping_six = story.lines().find(|line| line.contains("request to [2001") && line.contains("mapping test"));
    assert!(mapping_six.unwrap().starts_with("0.000s"), "{mapping_six:?}");
    assert!(report.elapsed <= Duration::from_millis(900), "{:?}", report.elapsed);
}

#[test]
fn the_budget_holds_with_many_faulty_servers() {
    let mut world = World::behind(TranslatorConfig::symmetric());
    world.servers = (1..10).map(|n| full("server", 10 * n)).collect();
    for n in 0..8 {
        world = world.fault(n, if n % 2 == 0 { Fault::DeadAlternate } else { Fault::ChangingMappedAddress });
    }
    assert_budget(&world.story());
}

#[test]
fn blocked_udp_is_found_within_three_seconds() {
    for sends_icmp in [false, true] {
        let report = World::behind(Barrier::Blocked { udp: true, tcp: false, sends_icmp }).report();
        let family = &report.families[0];
        if sends_icmp {
            let why = Unavailable::Unreachable(Unreachability::Prohibited);
            assert_eq!(family.reach, Reachability::Unavailable(why), "the gateway sends an ICMP error");
        } else {
            assert_eq!(family.reach, Reachability::Blocked);
            assert_eq!(family.classic_type(), ClassicType::Blocked);
            assert_eq!(family.filtering.reason(), Some(Unknown::Blocked));
            let tcp =
                |evidence: &Evidence| matches!(evidence, Evidence::TcpConnected { .. } | Evidence::TcpFailed { .. });
            assert!(family.mapping.evidence.iter().any(tcp));
        }
        assert!(report.elapsed <= Duration::from_secs(3), "{:?}", report.elapsed);
    }
}

#[test]
fn silence_of_udp_and_tcp_means_no_uplink() {
    let report = World::behind(Barrier::Blocked { udp: true, tcp: true, sends_icmp: false }).report();
    assert_eq!(report.families[0].reach, Reachability::Unavailable(Unavailable::Silent));
    assert!(report.is_offline());
    assert_eq!(report.elapsed, Duration::from_secs(4), "longer than the retransmissions of TCP and of ARP");
}

#[test]
fn responses_with_a_long_round_trip_time_are_accepted() {
    let report = World::behind(TranslatorConfig::home()).rtt(200).report();
    let family = &report.families[0];
    assert_eq!((family.mapping.value(), family.filtering.value()), (Some(&EIM), Some(&APDF)));
    assert!(report.elapsed <= Duration::from_millis(1300), "{:?}", report.elapsed);
    assert_eq!(family.path.rtt, Some(Duration::from_millis(200)));
    let open = World::behind(TranslatorConfig::full_cone()).rtt(400).family();
    assert_eq!(open.filtering.value(), Some(&Filtering::EndpointIndependent), "a long round trip time is not silence");
}

#[test]
fn every_kind_is_found_with_a_round_trip_time_of_100_ms() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            let family = World::behind(TranslatorConfig::new(mapping, filtering)).rtt(100).family();
            assert_eq!((family.mapping.value(), family.filtering.value()), (Some(&mapping), Some(&filtering)));
        }
    }
}

#[test]
fn under_heavy_loss_a_verdict_is_correct_or_unknown() {
    let mut unknown = 0;
    for seed in 0..200 {
        let family = World::behind(TranslatorConfig::home()).loss(0.3).seed(seed).family();
        assert!(family.mapping.value().is_none_or(|found| *found == EIM), "seed {seed}");
        assert!(family.filtering.value().is_none_or(|found| *found == APDF), "seed {seed}");
        unknown += u32::from(family.filtering.value().is_none());
    }
    assert!(unknown <= 8, "{unknown} of 200");
    let mut too_lossy = 0;
    for seed in 0..100 {
        let family = World::behind(TranslatorConfig::home()).loss(0.6).seed(seed).family();
        too_lossy += u32::from(family.filtering.reason() == Some(Unknown::HighLoss));
    }
    assert!(too_lossy > 15, "{too_lossy} of 100 at 60 %");
}

#[test]
fn the_error_probability_of_a_verdict_matches_the_error_rate() {
    // `wrong` is the rate at which an open NAT is reported as filtering. The reported error probability of a filtering
    // NAT must be close to that rate.
    let measure =
        |filtering, seed| World::behind(TranslatorConfig::new(EIM, filtering)).loss(0.4).seed(seed).family().filtering;
    let seeds = 0..2_000;
    let wrong = seeds.clone().filter(|seed| {
        measure(Filtering::EndpointIndependent, *seed).value().is_some_and(|f| *f != Filtering::EndpointIndependent)
    });
    let wrong = wrong.count() as f64 / 2_000.0;
    let estimates: Vec<f64> = seeds.filter_map(|seed| measure(Filtering::AddressDependent, seed).p_wrong()).collect();
    let estimate = estimates.iter().sum::<f64>() / estimates.len() as f64;
    assert!(wrong > 0.005, "at this loss some verdicts must be wrong: {wrong}");
    assert!((0.5..1.5).contains(&(estimate / wrong)), "estimated {estimate}, wrong {wrong}");
}

#[test]
fn a_local_address_of_a_carrier_range_shows_a_second_nat() {
    for (client, shown) in [("100.64.3.9", true), ("192.0.0.2", true), ("192.168.1.7", false)] {
        let (mut net, host) = World::behind(TranslatorConfig::home()).client(client).net();
        net.command(host, MeasurementCommand::Start).unwrap();
        let _stop = net.run_for(Duration::from_secs(3));
        let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|timed| timed.event) else { panic!() };
        let double = &report.families[0].details.double_nat;
        assert_eq!(double.value().copied().unwrap_or(false), shown, "{client}");
    }
}

#[test]
fn an_alg_that_rewrites_addresses_is_found() {
    let family = World::behind(TranslatorConfig::home().alg(true)).family();
    assert_eq!(family.details.alg.value(), Some(&true), "{family:#?}");
    assert_eq!(family.classic_type(), ClassicType::PortRestricted, "the XOR form of the address is used");
    assert_eq!(World::behind(TranslatorConfig::home()).family().details.alg.value(), Some(&false));
}

#[test]
fn port_allocation_is_found_with_sixteen_sockets_when_enabled() {
    let cases = [
        (PortAllocation::Preserving, "preserving"),
        (PortAllocation::Sequential { step: 1 }, "sequential"),
        (PortAllocation::Random, "random"),
        (PortAllocation::Block { size: 1024 }, "block"),
    ];
    for (ports, name) in cases {
        let config = TranslatorConfig::home().ports(ports);
        let family = World::behind(config).config(|config| config.ports = true).family();
        let found = family.details.port_allocation.value().map(|found| found.kind());
        assert_eq!(found, Some(name), "{:#?}", family.details.port_allocation);
        assert_eq!(family.details.pooling.value(), Some(&Pooling::Paired));
        let disabled = World::behind(TranslatorConfig::home().ports(ports)).family();
        assert_eq!(disabled.details.port_allocation.reason(), Some(Unknown::TooFewSamples));
    }
}

#[test]
fn hairpinning_is_found_in_both_forms_when_enabled() {
    for hairpin in [Hairpin::None, Hairpin::InternalSource, Hairpin::ExternalSource] {
        for filtering in [Filtering::EndpointIndependent, APDF] {
            let config = TranslatorConfig::new(EIM, filtering).hairpin(hairpin);
            let family = World::behind(config).config(|config| config.hairpin = true).family();
            assert_eq!(family.details.hairpin.value(), Some(&hairpin), "{filtering}: {:#?}", family.details.hairpin);
            let disabled = World::behind(config);
            assert_eq!(disabled.family().details.hairpin.reason(), Some(Unknown::NotTested));
            assert!(!disabled.story().contains("hairpin test"));
            // RFC 5780 §3.4: two sockets of this host, one to the other's public endpoint.
            let story = World::behind(config).config(|config| config.hairpin = true).story();
            let [out, back] =
                ["hairpin test from the hairpin socket", "hairpin test from the mapping socket"].map(|request| {
                    let line = story.lines().find(|line| line.contains(request)).unwrap_or_else(|| panic!("{story}"));
                    let (to, _) = line.split_once(" request to ").unwrap().1.split_once(": ").unwrap();
                    let is_sent = |line: &&str| line.contains(" client ") && line.contains(&format!(" → {to} "));
                    let sent = story.lines().find(is_sent).unwrap_or_else(|| panic!("{to}: {story}"));
                    sent.split_whitespace().find(|word| word.starts_with("192.168.1.7:")).unwrap()
                });
            assert_ne!(out, back, "{story}");
        }
    }
}

#[test]
fn commands_at_the_wrong_time_are_refused_and_stop_reports_the_results_so_far() {
    let (mut net, host) = World::behind(TranslatorConfig::home()).servers([plain("one", 10)]).net();
    net.command(host, MeasurementCommand::Stop).unwrap_err();
    net.command(host, MeasurementCommand::Start).unwrap();
    net.command(host, MeasurementCommand::Start).unwrap_err();
    net.command(host, MeasurementCommand::Stop).unwrap();
    let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|timed| timed.event) else { panic!() };
    assert_eq!(report.families[0].mapping.reason(), Some(Unknown::TimedOut), "stopped before the first response");
    net.command(host, MeasurementCommand::Stop).unwrap_err();
}

#[test]
fn an_icmp_port_unreachable_is_not_reported_as_blocked_udp() {
    let idle = || {
        Discovery::new(DiscoveryConfig::new(vec![StunServer { name: "s".into(), addresses: vec![at("192.0.2.9:1")] }]))
    };
    let given = StunServer { name: "gone".into(), addresses: vec![at("203.0.113.10:3478")] };
    let mut net = Net::new(1);
    let client = Discovery::new(DiscoveryConfig::new(vec![given])).unwrap();
    let link = Link::delay(RTT / 2);
    let host = net.add_host(net.internet(), "client", &["198.51.100.7".parse().unwrap()], &link, client);
    net.add_host(net.internet(), "gone", &["203.0.113.10".parse().unwrap()], &link, idle().unwrap());
    net.command(host, MeasurementCommand::Start).unwrap();
    let _stop = net.run_for(Duration::from_secs(5));
    let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|timed| timed.event) else { panic!() };
    assert_eq!(report.families[0].reach, Reachability::Unknown, "the host sent an ICMP error: the host was reached");
    assert_eq!(report.families[0].mapping.reason(), Some(Unknown::ServerSilent));
}

#[test]
fn the_discovery_ends_at_its_timeout() {
    let world = World::behind(TranslatorConfig::home()).config(|config| config.timeout = Duration::from_millis(400));
    let report = world.report();
    assert_eq!(report.elapsed, Duration::from_millis(400));
    let family = &report.families[0];
    assert_eq!(family.mapping.value(), Some(&EIM), "the results so far are reported");
    assert_eq!(family.filtering.reason(), Some(Unknown::TimedOut));
}

#[test]
fn several_uplinks_are_reported() {
    // The host has two uplinks with one address each. The route to the second server uses the second uplink.
    let given = |n: u8| StunServer { name: "s".into(), addresses: vec![([203, 0, 113, n], 3478).into()] };
    let discovery = Discovery::new(DiscoveryConfig::new(vec![given(10), given(20)])).unwrap();
    let mut net = Net::new(5);
    let one: IpAddr = "198.51.100.7".parse().unwrap();
    let two: IpAddr = "198.51.100.99".parse().unwrap();
    let link = Link::delay(RTT / 2);
    let host = net.add_host(net.internet(), "client", &[one], &link, discovery);
    net.add_interface(host, net.internet(), &[two], &link);
    net.add_route(host, "203.0.113.20".parse().unwrap(), 1);
    for n in [10, 20] {
        net.add_server(net.internet(), full("server", n), &Link::PERFECT);
    }
    net.command(host, MeasurementCommand::Start).unwrap();
    let _stop = net.run_for(Duration::from_secs(5));
    let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|timed| timed.event) else { panic!() };
    let family = &report.families[0];
    assert_eq!(family.details.multi_homed.value(), Some(&true), "{family:#?}");
    assert_eq!(family.mapping.value(), Some(&EIM), "only responses through one uplink are compared");
}
