//! Discovery behind a NAT that balances over several public addresses.

use crate::world::{World, full};
use portolan_nat::behavior::{Filtering, Mapping, Pooling, PortAllocation};
use portolan_nat::profile::{FamilyReport, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::Fault;

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
