//! Thirteen ways in which tools for the same purpose have been wrong, each as a test.
//!
//! The numbers are those of the design notes; the names say what goes wrong elsewhere.

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

/// Comparing mapped ports of different sockets makes every NAT look symmetric.
#[test]
fn d1_a_fresh_socket_for_each_server() {
    let random = TranslatorConfig::new(EIM, APDF).ports(PortAllocation::Random);
    let world = World::behind(random).servers([plain("one", 10), plain("two", 20)]);
    assert_eq!(world.family().mapping.value(), Some(&EIM));
}

/// A server that ignores CHANGE-REQUEST answers from where it was asked; that is no openness.
#[test]
fn d2_an_answer_from_the_wrong_address() {
    let world =
        World::behind(TranslatorConfig::home()).servers([full("one", 10)]).fault(0, Fault::IgnoresChangeRequest);
    let family = world.family();
    assert_eq!(family.filtering.reason(), Some(Unknown::ChangeRequestIgnored));
    assert_ne!(family.classic_type(), ClassicType::FullCone);
}

/// A late answer belongs to its own question; and a wildcard socket has an address that can be compared.
#[test]
fn d3_answers_judged_by_their_order_and_an_unspecified_local_address() {
    let late = Fault::LateDuplicates(Duration::from_millis(90));
    let world = World::behind(TranslatorConfig::symmetric()).fault(0, late).fault(1, late);
    assert_eq!(world.family().mapping.value(), Some(&Mapping::AddressAndPortDependent));
    let open = World::open().family();
    assert_eq!(open.nat, Some(NatKind::None));
    assert!(!open.local.unwrap().ip().is_unspecified());
}

/// One lost packet must not read as a filter.
#[test]
fn d4_a_single_shot_for_negative_evidence() {
    for seed in 0..300 {
        let family = World::behind(TranslatorConfig::full_cone()).loss(0.1).seed(seed).family();
        assert_eq!(family.filtering.value(), Some(&Filtering::EndpointIndependent), "seed {seed}");
    }
}

/// Two runs one after the other say the same, because no port is used twice.
#[test]
fn d5_a_fixed_source_port() {
    let (mut net, host) = World::behind(TranslatorConfig::home()).net();
    let mut seen = Vec::new();
    for run in 0..2 {
        net.command(host, MeasurementCommand::Start).unwrap();
        let end = net.now() + Duration::from_secs(10);
        let _stop = net.run_until_event(end, |_, event| matches!(event, DiscoveryEvent::Report(_)));
        let Some(DiscoveryEvent::Report(report)) = net.take_events().pop().map(|happening| happening.event) else {
            panic!()
        };
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

/// One dead server, or one dead second address, does not end the discovery; one address is no two witnesses.
#[test]
fn d6_one_dead_server_ends_everything() {
    let dead_first = World::behind(TranslatorConfig::home()).fault(0, Fault::Silent).family();
    assert_eq!(dead_first.mapping.value(), Some(&EIM));
    assert_eq!(dead_first.filtering.value(), Some(&APDF));
    let dead_alternate = World::behind(TranslatorConfig::home()).fault(0, Fault::DeadAlternate).family();
    assert_eq!(dead_alternate.filtering.value(), Some(&APDF));
    let twice = World::behind(TranslatorConfig::home()).servers([full("one", 10), full("two", 20), full("one", 10)]);
    let given = twice
        .servers
        .iter()
        .map(|server| portolan_nat::discovery::StunServer { name: "x".into(), addresses: vec![server.primary] });
    let error = Discovery::new(DiscoveryConfig::new(given.collect())).unwrap_err();
    assert_eq!(error.to_string(), "servers 1 and 3 have the same address 203.0.113.10:3478: name each server once");
}

/// A port-preserving NAT is a NAT, and a firewall without one is no open host.
#[test]
fn d7_a_kept_port_taken_for_no_nat() {
    let kept = World::behind(TranslatorConfig::new(EIM, APDF).ports(PortAllocation::Preserving)).family();
    assert_eq!(kept.public[0].port(), kept.local.unwrap().port());
    assert_eq!(kept.details.port_preservation.value(), Some(&true));
    assert_eq!((kept.nat, kept.classic_type()), (Some(NatKind::Nat), ClassicType::PortRestricted));
    let firewall = World::behind(TranslatorConfig::firewall(APDF)).family();
    assert_eq!((firewall.nat, firewall.classic_type()), (Some(NatKind::Firewall), ClassicType::UdpFirewall));
}

/// An answer from the address already talked to shows nothing of strangers.
#[test]
fn d8_a_dial_back_from_a_known_address() {
    let world = World::behind(TranslatorConfig::new(EIM, Filtering::AddressDependent));
    assert_eq!(world.family().filtering.value(), Some(&Filtering::AddressDependent));
}

/// TCP shows that there is a way out; it says nothing of UDP endpoints.
#[test]
fn d9_udp_judged_by_tcp() {
    let world = World::behind(Barrier::Blocked { udp: true, tcp: false, sends_icmp: false });
    let family = world.family();
    assert_eq!((family.reach, family.classic_type()), (Reachability::Blocked, ClassicType::Blocked));
    assert!(family.public.is_empty() && family.mapping.value().is_none());
}

/// One witness with one address cannot tell what a mapping depends on.
#[test]
fn d10_a_verdict_from_one_peer() {
    for config in [TranslatorConfig::home(), TranslatorConfig::symmetric()] {
        let family = World::behind(config).servers([plain("one", 10)]).family();
        assert_eq!(family.mapping.reason(), Some(Unknown::SingleServer));
        assert_eq!(family.classic_type(), ClassicType::Unknown);
    }
}

/// The socket that filtering is tested on sends only to the address asked.
#[test]
fn d11_the_mapping_test_opens_the_filter() {
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

/// Without a NAT there can still be a filter.
#[test]
fn d12_no_nat_taken_for_open() {
    let family = World::behind(TranslatorConfig::firewall(Filtering::AddressDependent)).family();
    assert_eq!(family.filtering.value(), Some(&Filtering::AddressDependent));
    assert_eq!(family.nat, Some(NatKind::Firewall));
}

/// The question for the other port is asked of an address whose other port was not contacted.
#[test]
fn d13_port_restricted_taken_for_restricted() {
    let family = World::behind(TranslatorConfig::new(EIM, APDF)).family();
    assert_eq!(family.classic_type(), ClassicType::PortRestricted);
}
