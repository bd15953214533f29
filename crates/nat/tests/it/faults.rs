//! Servers that are not what they should be.

use crate::world::World;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::Fault;

#[test]
fn probe_matrix() {
    for fault in Fault::EACH {
        for nth in [0, 1] {
            for (m, f) in [
                (Mapping::EndpointIndependent, Filtering::EndpointIndependent),
                (Mapping::EndpointIndependent, Filtering::AddressDependent),
                (Mapping::EndpointIndependent, Filtering::AddressAndPortDependent),
                (Mapping::AddressAndPortDependent, Filtering::EndpointIndependent),
                (Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent),
            ] {
                let mut w = World::behind(TranslatorConfig::new(m, f)).fault(nth, fault);
                if std::env::var("ALONE").is_ok() {
                    w.servers.truncate(1);
                }
                let r = w.report();
                let fam = &r.families[0];
                let wrong = fam.mapping.value().is_some_and(|v| *v != m)
                    || fam.filtering.value().is_some_and(|v| *v != f)
                    || fam.public.iter().any(|p| p.ip().to_string() != crate::world::PUBLIC);
                println!(
                    "{}{:55} #{nth} {}/{}: {:?} {:?} | {:?} {:?} public {} ms {} reach {:?}",
                    if wrong { "WRONG " } else { "" },
                    fault.to_string(),
                    m.abbreviation(),
                    f.abbreviation(),
                    fam.mapping.value().map(|m| m.abbreviation()),
                    fam.mapping.reason(),
                    fam.filtering.value().map(|m| m.abbreviation()),
                    fam.filtering.reason(),
                    fam.public.len(),
                    r.elapsed.as_millis(),
                    fam.reach
                );
            }
        }
    }
}
