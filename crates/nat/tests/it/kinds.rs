//! Discovery of every kind of NAT and firewall without loss, with a limit on the time.

use crate::world::World;
use core::time::Duration;
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind, classic_name};
use portolan_nat::translator::TranslatorConfig;

#[test]
fn every_pair_of_mapping_and_filtering_is_found_in_time() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            let world = World::behind(TranslatorConfig::new(mapping, filtering));
            let report = world.report();
            let family = &report.families[0];
            let context = format!("{mapping} {filtering}: {family:#?}");
            assert_eq!(family.mapping.value(), Some(&mapping), "{context}");
            assert_eq!(family.filtering.value(), Some(&filtering), "{context}");
            assert_eq!(family.nat, Some(NatKind::Nat), "{context}");
            assert_eq!(family.classic_type(), classic_name(NatKind::Nat, mapping, filtering));
            let allowed = if filtering == Filtering::EndpointIndependent { 200 } else { 900 };
            assert!(report.elapsed <= Duration::from_millis(allowed), "{mapping} {filtering}: {:?}", report.elapsed);
        }
    }
}

#[test]
fn without_translation_the_three_filterings_are_open_or_a_firewall() {
    for filtering in Filtering::ALL {
        let report = World::behind(TranslatorConfig::firewall(filtering)).report();
        let family = &report.families[0];
        assert_eq!(family.mapping.value(), Some(&Mapping::EndpointIndependent), "{family:#?}");
        assert_eq!(family.filtering.value(), Some(&filtering), "{family:#?}");
        let (nat, classic) = match filtering {
            Filtering::EndpointIndependent => (NatKind::None, ClassicType::Open),
            Filtering::AddressDependent | Filtering::AddressAndPortDependent => {
                (NatKind::Firewall, ClassicType::UdpFirewall)
            }
        };
        assert_eq!((family.nat, family.classic_type()), (Some(nat), classic));
    }
    let family = World::open().family();
    assert_eq!((family.nat, family.classic_type()), (Some(NatKind::None), ClassicType::Open));
}
