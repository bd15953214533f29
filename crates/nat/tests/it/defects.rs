//! Thirteen known defects of other NAT discovery tools. Each has a test that this crate does not have the defect.

use crate::world::{World, full, plain};
use core::time::Duration;
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind, PortAllocation};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{Reachability, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Fault};

const EIM: Mapping = Mapping::EndpointIndependent;
const APDF: Filtering = Filtering::AddressAndPortDependent;

/// A tool that compares the mapped ports of different sockets reports every NAT as symmetric.
#[test]
fn d1_a_nat_with_random_ports_is_not_reported_as_symmetric() {
    let random = TranslatorConfig::new(EIM, APDF).ports(PortAllocation::Random);
    let world = World::behind(random).servers([plain("one", 10), plain("two", 20)]);
    assert_eq!(world.family().mapping.value(), Some(&EIM));
}

/// A server that ignores CHANGE-REQUEST responds from the request address. Such a response does not prove that the NAT
/// has no filter.
#[test]
fn d2_a_response_from_the_request_address_is_no_evidence_of_filtering() {
    let world =
        World::behind(TranslatorConfig::home()).servers([full("one", 10)]).fault(0, Fault::IgnoresChangeRequest);
    let family = world.family();
    assert_eq!(family.filtering.reason(), Some(Unknown::ChangeRequestIgnored));
    assert_ne!(family.classic_type(), ClassicType::FullCone);
}

/// A late response belongs to its own transaction. A socket with a wildcard address reports its real local address.
#[test]
fn d3_late_responses_and_a_wildcard_socket_do_not_change_the_result() {
    let late = Fault::LateDuplicates(Duration::from_millis(90));
    let world = World::behind(TranslatorConfig::symmetric()).fault(0, late).fault(1, late);
    assert_eq!(world.family().mapping.value(), Some(&Mapping::AddressAndPortDependent));
    let open = World::open().family();
    assert_eq!(open.nat, Some(NatKind::None));
    assert!(!open.local.unwrap().ip().is_unspecified());
}

#[test]
fn d4_one_lost_packet_is_not_reported_as_filtering() {
    for seed in 0..300 {
        let family = World::behind(TranslatorConfig::full_cone()).loss(0.1).seed(seed).family();
        assert_eq!(family.filtering.value(), Some(&Filtering::EndpointIndependent), "seed {seed}");
    }
}

/// Two successive runs have the same result, because no port is used twice.
#[test]
fn d5_two_successive_runs_agree_and_use_different_ports() {
    let (mut net, host) = World::behind(TranslatorConfig::home()).net();
    let mut seen = Vec::new();
    for run in 0..2 {
        net.command(host, MeasurementCommand::Start).unwrap();
        let end = net.now() + Duration::from_secs(10);
        let _stop = net.run_until_event(end, |_, event| matches!(event, DiscoveryEvent::Report(_)));
        let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|timed| timed.event) else { panic!() };
        let family = &report.families[0];
        assert_eq!(family.filtering.value(), Some(&APDF), "run {run}");
        seen.push(family.local.unwrap().port());
        let given = [(10, "one"), (20, "two")].map(|(last, name)| portolan_nat::discovery::StunServer {
            name: name.into(),
            addresses: vec![([203, 0, 113, last], 3478).into()],
        });
        net.replace(host, Discovery::new(DiscoveryConfig::new(given.into())).unwrap());
    }
    assert_ne!(seen[0], seen[1]);
    assert!(seen.iter().all(|port| *port >= 49_152));
}

/// A NAT or firewall remembers the packets of earlier runs. A filtering socket never has the port of an earlier socket
/// that sent to the other address (RFC 5780 §4.1), even if the random numbers repeat.
#[test]
fn d5_traffic_of_earlier_runs_opens_no_filter() {
    for filtering in [APDF, Filtering::AddressDependent] {
        for barrier in [TranslatorConfig::firewall(filtering), TranslatorConfig::new(EIM, filtering)] {
            let world = World::behind(barrier).config(|config| (config.ports, config.hairpin) = (true, true));
            let (mut net, host) = world.net();
            // The mapping socket of each run gets the random number that the filtering socket of the next run gets.
            for run in 0..24_u8 {
                net.set_counting_rng(host);
                net.with(host, |_, cx| {
                    (run..24).for_each(|_| {
                        let _ = cx.random::<1>();
                    })
                });
                net.command(host, MeasurementCommand::Start).unwrap();
                let end = net.now() + Duration::from_secs(10);
                let _stop = net.run_until_event(end, |_, event| matches!(event, DiscoveryEvent::Report(_)));
                let last = net.take_events().pop().map(|timed| timed.event);
                let Some(DiscoveryEvent::Report(report)) = last else { panic!("no report") };
                assert_eq!(report.families[0].filtering.value(), Some(&filtering), "run {run}: {report:#?}");
                net.replace(host, world.discovery());
            }
        }
    }
}

/// One silent server, or one silent other address, does not end the discovery. One address does not count as two
/// servers.
#[test]
fn d6_one_silent_server_does_not_end_the_discovery() {
    let silent_first = World::behind(TranslatorConfig::home()).fault(0, Fault::Silent).family();
    assert_eq!(silent_first.mapping.value(), Some(&EIM));
    assert_eq!(silent_first.filtering.value(), Some(&APDF));
    let silent_alternate = World::behind(TranslatorConfig::home()).fault(0, Fault::DeadAlternate).family();
    assert_eq!(silent_alternate.filtering.value(), Some(&APDF));
    let twice = World::behind(TranslatorConfig::home()).servers([full("one", 10), full("two", 20), full("one", 10)]);
    let given = twice
        .servers
        .iter()
        .map(|server| portolan_nat::discovery::StunServer { name: "x".into(), addresses: vec![server.primary] });
    let error = Discovery::new(DiscoveryConfig::new(given.collect())).unwrap_err();
    assert_eq!(error.to_string(), "servers 1 and 3 have the same address 203.0.113.10:3478: name each server once");
}

/// A NAT that preserves ports is still a NAT. A host behind a firewall without a NAT is not open.
#[test]
fn d7_a_nat_that_preserves_ports_is_reported_as_a_nat() {
    let preserving = World::behind(TranslatorConfig::new(EIM, APDF).ports(PortAllocation::Preserving)).family();
    assert_eq!(preserving.public[0].port(), preserving.local.unwrap().port());
    assert_eq!(preserving.details.port_preservation.value(), Some(&true));
    assert_eq!((preserving.nat, preserving.classic_type()), (Some(NatKind::Nat), ClassicType::PortRestricted));
    let firewall = World::behind(TranslatorConfig::firewall(APDF)).family();
    assert_eq!((firewall.nat, firewall.classic_type()), (Some(NatKind::Firewall), ClassicType::UdpFirewall));
}

/// A response from an address that the socket sent to is no evidence about other addresses.
#[test]
fn d8_address_dependent_filtering_is_not_reported_as_endpoint_independent() {
    let world = World::behind(TranslatorConfig::new(EIM, Filtering::AddressDependent));
    assert_eq!(world.family().filtering.value(), Some(&Filtering::AddressDependent));
}

/// A TCP connection shows that the Internet is reachable. It shows nothing about UDP.
#[test]
fn d9_a_tcp_connection_is_no_evidence_about_udp() {
    let world = World::behind(Barrier::Blocked { udp: true, tcp: false, sends_icmp: false });
    let family = world.family();
    assert_eq!((family.reach, family.classic_type()), (Reachability::Blocked, ClassicType::Blocked));
    assert!(family.public.is_empty() && family.mapping.value().is_none());
}

/// One server with one address cannot show on what a mapping depends.
#[test]
fn d10_one_server_with_one_address_gives_no_mapping() {
    for config in [TranslatorConfig::home(), TranslatorConfig::symmetric()] {
        let family = World::behind(config).servers([plain("one", 10)]).family();
        assert_eq!(family.mapping.reason(), Some(Unknown::SingleServer));
        assert_eq!(family.classic_type(), ClassicType::Unknown);
    }
}

/// The socket of the filtering test sends to the primary address only.
#[test]
fn d11_the_filtering_socket_sends_to_the_primary_address_only() {
    let world = World::behind(TranslatorConfig::new(EIM, Filtering::AddressDependent));
    assert_eq!(world.family().filtering.value(), Some(&Filtering::AddressDependent));
    let story = world.story();
    let filtering = story.lines().find(|line| line.contains("CHANGE-REQUEST port")).unwrap();
    let socket = filtering.split_whitespace().find(|word| word.starts_with("192.168.1.7:")).unwrap();
    let sent = format!(" client       {socket} → ");
    let destinations: Vec<&str> = story
        .lines()
        .filter_map(|line| line.split_once(&sent))
        .map(|(_, rest)| rest.split(' ').next().unwrap())
        .collect();
    assert!(destinations.len() > 3);
    assert!(destinations.iter().all(|to| *to == "203.0.113.10:3478"), "{destinations:?}");
}

#[test]
fn d12_a_firewall_without_translation_is_reported() {
    let family = World::behind(TranslatorConfig::firewall(Filtering::AddressDependent)).family();
    assert_eq!(family.filtering.value(), Some(&Filtering::AddressDependent));
    assert_eq!(family.nat, Some(NatKind::Firewall));
}

/// The CHANGE-REQUEST for the other port goes to an address whose other port was not contacted before.
#[test]
fn d13_a_port_restricted_nat_is_not_reported_as_restricted() {
    let family = World::behind(TranslatorConfig::new(EIM, APDF)).family();
    assert_eq!(family.classic_type(), ClassicType::PortRestricted);
}
