//! Discovery behind a NAT that removes all mappings during the run.

use crate::world::World;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::discovery::Discovery;
use portolan_nat::profile::{Flaw, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Net, SegmentId};

fn flush(net: &mut Net<Discovery>, home: SegmentId) {
    net.flush_gateway(home);
}

#[test]
fn a_rebinding_at_any_time_is_reported_as_such_and_not_as_a_faulty_server() {
    let mut found = 0;
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            for ports in [PortAllocation::Random, PortAllocation::Sequential { step: 1 }, PortAllocation::Preserving] {
                for millis in (0..900).step_by(10) {
                    let world = World::behind(TranslatorConfig::new(mapping, filtering).ports(ports)).seed(millis);
                    let family = world.report_with(&[(millis, &flush)]).families.remove(0);
                    let context = format!("{mapping} {filtering} {ports} {millis}: {family:#?}");
                    assert!(family.mapping.value().is_none_or(|found| *found == mapping), "{context}");
                    assert!(family.filtering.value().is_none_or(|found| *found == filtering), "{context}");
                    assert!(matches!(family.mapping.reason(), None | Some(Unknown::Rebinding)), "{context}");
                    assert!(!family.public.is_empty(), "{context}");
                    let flawed = family.servers.iter().any(|server| !server.flaws.is_empty());
                    assert!(!flawed, "{context}");
                    let is_rebinding = family.mapping.reason() == Some(Unknown::Rebinding);
                    found += u32::from(is_rebinding);
                    // The first responses have come, and further ones follow.
                    let visible = ports != PortAllocation::Preserving
                        && filtering != Filtering::EndpointIndependent
                        && (60..500).contains(&millis);
                    assert!(is_rebinding || !visible, "{context}");
                }
            }
        }
    }
    assert!(found > 700, "{found}");
}

#[test]
fn a_rebinding_keeps_the_public_addresses_in_the_report() {
    let world = World::behind(TranslatorConfig::home().ports(PortAllocation::Random));
    let family = world.report_with(&[(200, &flush)]).families.remove(0);
    assert_eq!(family.mapping.reason(), Some(Unknown::Rebinding));
    assert_eq!(family.public.len(), 2, "before and after: {family:#?}");
    assert!(family.servers.iter().all(|server| !server.flaws.contains(&Flaw::Unstable)));
}
