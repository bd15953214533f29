//! Discovery over a path that is interrupted for a time: each result is correct, or unknown with the true reason, and no
//! server and no network is blamed.

use crate::world::{Change, World};
use alloc::collections::BTreeMap;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_nat::discovery::Discovery;
use portolan_nat::profile::{FamilyReport, Flaw, Reachability, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Link, Net, SegmentId};

/// The packets of an interruption are held back, or lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Held,
    Lost,
}

fn interrupted(world: &World, kind: Kind, start: u64, length: u64) -> FamilyReport {
    let (link, end) = (Link::delay(world.rtt / 2), start + length);
    let hold = move |net: &mut Net<Discovery>, home: SegmentId| net.hold_uplink(home, Instant::from_millis(end));
    let cut = move |net: &mut Net<Discovery>, home: SegmentId| net.set_uplink(home, &link.loss(1.0));
    let repair = move |net: &mut Net<Discovery>, home: SegmentId| net.set_uplink(home, &link);
    let changes: &[(u64, Change<'_>)] = match kind {
        Kind::Held => &[(start, &hold)],
        Kind::Lost => &[(start, &cut), (end, &repair)],
    };
    world.report_with(changes).families.remove(0)
}

/// Checks that the report has no wrong value, and blames neither the network nor a server.
fn assert_not_wrong(family: &FamilyReport, (mapping, filtering): (Mapping, Filtering), context: &str) {
    let context = format!("{mapping} {filtering} {context}: {family:#?}");
    assert!(family.mapping.value().is_none_or(|found| *found == mapping), "{context}");
    assert!(family.filtering.value().is_none_or(|found| *found == filtering), "{context}");
    assert_eq!(family.reach, Reachability::Available, "{context}");
    for server in &family.servers {
        assert!(server.flaws.iter().all(|flaw| *flaw == Flaw::Silent), "{context}");
    }
    let true_reasons = [None, Some(Unknown::HighLoss), Some(Unknown::TimedOut)];
    let reasons = [family.mapping.reason(), family.filtering.reason()];
    assert!(reasons.iter().all(|why| true_reasons.contains(why)), "{context}");
}

fn each_kind() -> impl Iterator<Item = (Mapping, Filtering)> {
    Mapping::ALL.into_iter().flat_map(|mapping| Filtering::ALL.map(|filtering| (mapping, filtering)))
}

#[test]
fn an_interruption_at_any_time_gives_no_wrong_result_and_no_blame() {
    let (mut runs, mut unknown) = (0, BTreeMap::<&str, u32>::new());
    for (mapping, filtering) in each_kind() {
        for kind in [Kind::Held, Kind::Lost] {
            for start in (0..1_000).step_by(90) {
                for length in [100, 400, 700, 1_000, 1_800, 3_000] {
                    let world = World::behind(TranslatorConfig::new(mapping, filtering)).seed(start + length);
                    let family = interrupted(&world, kind, start, length);
                    assert_not_wrong(&family, (mapping, filtering), &format!("{kind:?} {start} {length}"));
                    for why in family.mapping.reason().into_iter().chain(family.filtering.reason()) {
                        *unknown.entry(why.as_str()).or_default() += 1;
                    }
                    runs += 1;
                }
            }
        }
    }
    assert!(unknown.values().sum::<u32>() * 20 < runs, "{unknown:?} of {runs}");
}

#[test]
fn an_interruption_of_the_start_ends_with_the_kind_of_the_nat() {
    for (mapping, filtering) in each_kind() {
        for kind in [Kind::Held, Kind::Lost] {
            for length in [700, 1_000, 1_800] {
                let family = interrupted(&World::behind(TranslatorConfig::new(mapping, filtering)), kind, 0, length);
                let found = (family.mapping.value(), family.filtering.value());
                assert_eq!(found, (Some(&mapping), Some(&filtering)), "{kind:?} {length}: {family:#?}");
            }
        }
    }
}

#[test]
fn a_lost_request_for_a_neighbor_is_not_reported_as_blocked_udp() {
    let at_home = |net: &mut Net<Discovery>, home: SegmentId| net.set_first_exchange_lost(home, true);
    let outside = |net: &mut Net<Discovery>, _: SegmentId| net.set_first_exchange_lost(net.internet(), true);
    let cases: [&[(u64, Change<'_>)]; 3] = [&[(0, &at_home)], &[(0, &outside)], &[(0, &at_home), (0, &outside)]];
    for (mapping, filtering) in each_kind() {
        for (seed, changes) in (0..).zip(cases) {
            let world = World::behind(TranslatorConfig::new(mapping, filtering)).seed(seed);
            let mut report = world.report_with(changes);
            let family = report.families.remove(0);
            assert_eq!(family.mapping.value(), Some(&mapping), "{seed}: {family:#?}");
            assert_eq!(family.filtering.value(), Some(&filtering), "{seed}: {family:#?}");
            assert!(report.elapsed < Duration::from_secs(5));
        }
    }
}

#[test]
fn at_thirty_percent_loss_no_server_is_blamed_for_its_other_address() {
    for seed in 0..300 {
        let (mapping, filtering) = each_kind().nth(usize::try_from(seed % 9).unwrap()).unwrap();
        let family = World::behind(TranslatorConfig::new(mapping, filtering)).loss(0.3).seed(seed).family();
        let blamed = family.servers.iter().any(|server| server.flaws.contains(&Flaw::OtherAddressSilent));
        assert!(!blamed && family.filtering.reason() != Some(Unknown::AlternateUnreachable), "{seed}: {family:#?}");
    }
}
