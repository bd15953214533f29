//! Discovery behind a NAT that balances over several public addresses.

use crate::world::{World, full, plain};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping, Pooling, PortAllocation};
use portolan_nat::profile::{Evidence, FamilyReport, Finding, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Fault, Server};

const EIM: Mapping = Mapping::EndpointIndependent;

/// Checks that no conclusion of a report contradicts another one.
fn assert_consistent(family: &FamilyReport) {
    let addresses = |family: &FamilyReport| {
        let mut addresses: Vec<_> = family.public.iter().map(|endpoint| endpoint.ip()).collect();
        addresses.dedup();
        addresses.len()
    };
    if family.details.pooling.value() == Some(&Pooling::Arbitrary) && family.mapping.value() == Some(&EIM) {
        assert!(family.mapping.p_wrong().unwrap() >= 0.1, "{family:#?}");
    }
    assert!(addresses(family) == 1 || family.mapping.value() != Some(&EIM), "{family:#?}");
    assert!(family.servers.iter().all(|server| server.flaws.is_empty()), "{family:#?}");
}

#[test]
fn behind_a_balanced_pool_only_equal_choices_for_all_destinations_look_independent() {
    for hash in [false, true] {
        for addresses in 2..=8 {
            let mut independent = 0;
            for seed in 0..200 {
                let family = World::behind(TranslatorConfig::balanced(hash)).pool(addresses).seed(seed).family();
                assert_consistent(&family);
                match family.mapping.value() {
                    Some(found) => {
                        assert_eq!(*found, EIM, "{hash} {addresses} {seed}: {family:#?}");
                        // All of the samples show one address, and the report says that this is weak evidence.
                        assert!(family.mapping.p_wrong().unwrap() > 0.001, "{family:#?}");
                        independent += 1;
                    }
                    None => assert_eq!(family.mapping.reason(), Some(Unknown::MultiPath), "{family:#?}"),
                }
            }
            // Four destination addresses with a hash; six mappings and one of the filtering socket at random.
            let samples = if hash { 3 } else { 6 };
            let expected = 200.0 * f64::from(addresses).recip().powi(samples);
            assert!(
                f64::from(independent) <= expected + 4.0 * expected.sqrt() + 1.0,
                "{hash} {addresses}: {independent}"
            );
        }
    }
}

#[test]
fn a_pool_with_a_mapping_for_each_socket_is_arbitrary_and_not_tiny_in_doubt() {
    for ports in [PortAllocation::Preserving, PortAllocation::Random] {
        let mut arbitrary = 0;
        for seed in 0..60 {
            let config = TranslatorConfig::home().pooling(Pooling::Arbitrary).ports(ports);
            let family = World::behind(config).pool(4).seed(seed).family();
            assert_consistent(&family);
            assert!(family.mapping.value().is_none_or(|found| *found == EIM), "{family:#?}");
            arbitrary += u32::from(family.details.pooling.value() == Some(&Pooling::Arbitrary));
        }
        assert!(arbitrary > 20, "{ports}: {arbitrary}");
    }
}

#[test]
fn a_single_address_is_still_independent_with_preserved_ports() {
    for seed in 0..20 {
        let family = World::behind(TranslatorConfig::home()).seed(seed).family();
        assert_eq!(family.mapping.value(), Some(&EIM));
        let p_wrong = family.mapping.p_wrong().unwrap();
        assert!((0.001..0.01).contains(&p_wrong), "an equal port that is preserved is no evidence: {p_wrong}");
        let random = World::behind(TranslatorConfig::home().ports(PortAllocation::Random)).seed(seed).family();
        assert!(random.mapping.p_wrong().unwrap() < 1e-4, "an equal random port is evidence");
    }
}

/// Returns the lists of servers with more than two servers, and the number of destination addresses that are compared.
fn with_further_servers() -> [(Vec<Server>, u8); 3] {
    let silent = |last| plain("silent", last).fault(Fault::Silent);
    [
        (vec![full("one", 10), full("two", 20), plain("three", 30), plain("four", 40)], 5),
        (vec![full("one", 10), plain("two", 20), plain("three", 30), full("four", 40), full("five", 50)], 5),
        (vec![full("one", 10), plain("two", 20), silent(30), silent(40), plain("five", 50)], 3),
    ]
}

#[test]
fn a_preserved_port_is_compared_at_more_servers_within_the_time_and_the_budget() {
    for (servers, expected) in with_further_servers() {
        for filtering in Filtering::ALL {
            let world = World::behind(TranslatorConfig::new(EIM, filtering)).servers(servers.clone());
            let report = world.report();
            let family = &report.families[0];
            let context = format!("{filtering}: {report:#?}");
            assert_eq!(family.mapping.value(), Some(&EIM), "{context}");
            assert_eq!(family.filtering.value(), Some(&filtering), "{context}");
            assert!(family.mapping.evidence.contains(&Evidence::PreservedPort { destinations: expected }), "{context}");
            let Finding::Value { p_wrong, .. } = family.mapping.finding else { panic!("{context}") };
            assert_eq!(p_wrong, 0.05 * 0.5_f64.powi(i32::from(expected) - 1), "{context}");
            assert!(report.elapsed <= Duration::from_millis(900), "{context}");
            assert!(family.servers.len() <= 4, "a silent server is not replaced: {context}");
            let random = world.servers_behind(TranslatorConfig::new(EIM, filtering).ports(PortAllocation::Random));
            assert_eq!(random.servers.len(), 2, "a random port needs no further server: {random:#?}");
        }
    }
}

#[test]
fn behind_a_balanced_pool_further_servers_halve_the_errors_for_each_address() {
    for (servers, destinations) in with_further_servers() {
        let mut independent = 0;
        for seed in 0..400 {
            let world = World::behind(TranslatorConfig::balanced(true)).pool(2).servers(servers.clone());
            let family = world.seed(seed).family();
            assert!(matches!(family.mapping.reason(), None | Some(Unknown::MultiPath)), "{family:#?}");
            independent += u32::from(family.mapping.value() == Some(&EIM));
        }
        let expected = 400.0 * 0.5_f64.powi(i32::from(destinations) - 1);
        let spread = 4.0 * expected.sqrt();
        assert!((expected - spread..=expected + spread).contains(&f64::from(independent)), "{independent} {expected}");
    }
}

#[test]
fn a_server_that_reports_another_address_makes_no_pool() {
    let foreign = Fault::WrongMappedAddress("203.0.113.254:3478".parse().unwrap());
    for fault in [foreign, Fault::ChangingMappedAddress] {
        for servers in
            [vec![full("one", 10), full("two", 20)], vec![full("one", 10), full("two", 20), full("three", 30)]]
        {
            for nth in 0..2 {
                for filtering in Filtering::ALL {
                    let world = World::behind(TranslatorConfig::new(EIM, filtering)).servers(servers.clone());
                    let family = world.fault(nth, fault).config(|config| config.ports = true).family();
                    let pooling = family.details.pooling.value();
                    assert_ne!(pooling, Some(&Pooling::Arbitrary), "{fault} {nth} {filtering}: {family:#?}");
                }
            }
        }
    }
}

#[test]
fn servers_that_disagree_until_the_timeout_are_the_reason() {
    let foreign = Fault::WrongMappedAddress("203.0.113.254:3478".parse().unwrap());
    let silent = |n| full("silent", n).fault(Fault::Silent);
    let servers = [full("one", 10), full("two", 20).fault(foreign), silent(30), silent(40), silent(50)];
    let world = World::behind(TranslatorConfig::home().ports(PortAllocation::Random)).servers(servers);
    let family = world.config(|config| config.timeout = core::time::Duration::from_millis(900)).family();
    assert_eq!(family.mapping.reason(), Some(Unknown::ServersDisagree), "{family:#?}");
    assert_eq!(family.details.pooling.reason(), Some(Unknown::ServersDisagree), "{family:#?}");
}
