//! What is found of which NAT, how fast, and how surely.

use super::lab::{Lab, Run, Server};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping, Pooling, PortAllocation, Refresh, Timers};
use portolan_nat::lifetime::{LifetimeEvent, LifetimeRange};
use portolan_nat::profile::{Conclusion, Unknown};
use portolan_nat::translator::{PortRange, TranslatorConfig};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn timers(unreplied: u64, replied: u64, absolute: Option<u64>) -> Timers {
    let absolute = match absolute {
        Some(absolute) => Some(seconds(absolute)),
        None => None,
    };
    Timers { unreplied: seconds(unreplied), replied: seconds(replied), absolute }
}

fn home(unreplied: u64, replied: u64, absolute: Option<u64>) -> TranslatorConfig {
    TranslatorConfig::home().timers(timers(unreplied, replied, absolute))
}

/// The truth lies within the bounds, and neither of them is further from it than the step and two rounds of questions.
#[track_caller]
fn found(verdict: &Conclusion<LifetimeRange>, truth: u64) {
    let range = verdict.value().unwrap_or_else(|| panic!("{truth} s: {verdict:?}"));
    let (truth, most) = (seconds(truth), range.at_most.unwrap_or_else(|| panic!("{truth} s: {range}")));
    assert!(range.contains(truth), "{truth:?} in {range:?}");
    let middle = range.middle().unwrap();
    let off = middle.max(truth) - middle.min(truth);
    assert!(off <= seconds(5), "{truth:?}, found {middle:?}");
    assert!(most - range.at_least <= seconds(10), "{range:?}");
    assert!(verdict.p_wrong().unwrap() < 1e-3);
}

#[track_caller]
fn outlives(verdict: &Conclusion<LifetimeRange>, least: u64) {
    let range = verdict.value().unwrap_or_else(|| panic!("{verdict:?}"));
    assert_eq!(range.at_most, None, "{range:?}");
    assert!(range.at_least >= seconds(least), "{range:?}");
}

#[track_caller]
fn in_time(run: &Run) {
    assert!(run.ended.since_origin() <= seconds(200), "{}", run.ended);
}

/// Home routers, carriers and firewalls that differ in all that must not matter here.
fn kinds() -> [TranslatorConfig; 8] {
    use Filtering::{AddressAndPortDependent, EndpointIndependent};
    [
        TranslatorConfig::home(),
        TranslatorConfig::full_cone(),
        TranslatorConfig::restricted_cone(),
        TranslatorConfig::symmetric(),
        TranslatorConfig::cgnat(),
        TranslatorConfig::home().ports(PortAllocation::Sequential { step: 1 }),
        TranslatorConfig::new(Mapping::AddressDependent, EndpointIndependent).ports(PortAllocation::Random),
        TranslatorConfig::firewall(AddressAndPortDependent),
    ]
}

#[test]
fn common_lifetimes_are_found_to_five_seconds_in_two_hundred() {
    for (unreplied, replied) in [(30, 120), (60, 60), (20, 180), (120, 120), (7, 16)] {
        for (seed, nat) in (0..).zip(kinds()) {
            let run = Lab::new(nat.timers(timers(unreplied, replied, None))).seed(seed).run();
            in_time(&run);
            found(&run.report.replied, replied);
            found(&run.report.unreplied, unreplied);
            outlives(&run.report.absolute, 185);
            assert_eq!(run.report.translated, Some(nat.translate));
            let least = run.report.replied.value().unwrap().at_least;
            assert_eq!(run.report.recommended_keepalive, Some(seconds(least.as_secs() / 2)));
        }
    }
}

/// A network for each seed, none of them chosen: any lifetimes, not only those of the grid.
struct Drawn {
    unreplied: u64,
    replied: u64,
    absolute: Option<u64>,
    refresh: Refresh,
    nat: TranslatorConfig,
}

impl Drawn {
    fn new(seed: u64) -> Self {
        let (unreplied, replied) = (6 + seed * 37 % 170, 12 + seed * 53 % 170);
        let absolute = seed.is_multiple_of(3).then_some(40 + seed * 7 % 130);
        let sides = [(true, true), (true, false), (false, true)];
        let (outbound, inbound) = sides[(seed / 3 % 3) as usize];
        let refresh = Refresh { outbound, inbound };
        let nat = kinds()[(seed / 9 % 8) as usize].timers(timers(unreplied, replied, absolute)).refresh(refresh);
        Self { unreplied, replied, absolute, refresh, nat }
    }

    /// Whether the lifetimes and the absolute end are right; says how many are unknown.
    fn judge(&self, run: &Run, at: &str) -> u32 {
        let (report, end) = (&run.report, self.absolute.unwrap_or(u64::MAX));
        let mut unknown = 0;
        for (verdict, truth) in [(&report.replied, self.replied), (&report.unreplied, self.unreplied)] {
            // A silent mapping meets the absolute end, where that comes first.
            match verdict.value() {
                Some(range) => assert!(range.contains(seconds(truth.min(end))), "{at}: {truth} s, {end} s: {range:?}"),
                None => unknown += 1,
            }
        }
        match (report.absolute.value(), self.absolute) {
            (Some(range), Some(end)) => assert!(range.contains(seconds(end)), "{at}: absolute {end} s: {range:?}"),
            (Some(range), None) => assert_eq!(range.at_most, None, "{at}: there is no absolute end"),
            (None, _) => unknown += 1,
        }
        for (verdict, truth) in
            [(&report.refresh.outbound, self.refresh.outbound), (&report.refresh.inbound, self.refresh.inbound)]
        {
            assert_ne!(verdict.value(), Some(&!truth), "{at}: refresh");
            let can_be_told = self.absolute.is_none() && self.replied > 20;
            unknown += u32::from(can_be_told && verdict.value().is_none());
        }
        unknown
    }
}

#[test]
fn a_campaign_finds_nothing_wrong_at_any_loss() {
    for loss in [0.0, 0.02, 0.05, 0.10] {
        let (mut unknown, mut slowest) = (0, Duration::ZERO);
        for seed in 0..SEEDS {
            let drawn = Drawn::new(seed);
            let run = Lab::new(drawn.nat).seed(seed).loss(loss).run();
            in_time(&run);
            unknown += drawn.judge(&run, &format!("loss {loss}, seed {seed}"));
            slowest = slowest.max(run.ended.since_origin());
        }
        println!("loss {loss}: {SEEDS} networks, 0 wrong, {unknown} unknown, slowest {slowest:?}");
        assert!(u64::from(unknown) * 100 <= SEEDS * 5, "{unknown} unknown of {} verdicts", SEEDS * 5);
    }
}

/// Networks at each loss.
const SEEDS: u64 = 72;

#[test]
fn what_outlives_the_grid_is_at_least_that() {
    let run = Lab::new(TranslatorConfig::cgnat()).run();
    in_time(&run);
    outlives(&run.report.replied, 185);
    outlives(&run.report.unreplied, 185);
    outlives(&run.report.absolute, 185);
    assert_eq!(run.report.refresh.outbound.reason(), Some(Unknown::TooLong));
    assert_eq!(run.report.refresh.inbound.reason(), Some(Unknown::TooLong));
    assert_eq!(run.report.recommended_keepalive, Some(seconds(92)));
}

#[test]
fn an_absolute_end_is_found_in_spite_of_refreshes_and_kept_ports() {
    for (seed, nat) in (0..).zip(kinds()) {
        let run = Lab::new(nat.timers(timers(30, 60, Some(100)))).seed(seed).loss(0.02).run();
        in_time(&run);
        found(&run.report.absolute, 100);
        found(&run.report.replied, 60);
        assert_eq!(run.report.refresh.outbound.value(), Some(&true), "seed {seed}");
    }
}

#[test]
fn no_absolute_end_falls_between_two_looks() {
    // A home router keeps the port, so that only the moment between death and the next refresh shows anything.
    // One watcher alone misses a round trip of 50 ms in each of its cycles of 3 s.
    for step in 0..160 {
        let mut nat = home(120, 120, None);
        nat.timers.absolute = Some(Duration::from_millis(66_000 + step * 20));
        let mut lab = Lab::new(nat).seed(step);
        lab.config = lab.config.max(seconds(90));
        let range = *lab.run().report.absolute.value().unwrap();
        assert!(range.contains(nat.timers.absolute.unwrap()), "{range:?}: {:?}", nat.timers.absolute);
    }
}

#[test]
fn a_silent_mapping_meets_the_absolute_end_too() {
    let run = Lab::new(home(120, 120, Some(70))).run();
    in_time(&run);
    found(&run.report.absolute, 70);
    found(&run.report.replied, 70);
    // It cannot be seen what refreshes a mapping that ends at that age anyway.
    assert_eq!(run.report.refresh.outbound.reason(), Some(Unknown::AbsoluteEnd));
    assert_eq!(run.report.refresh.inbound.reason(), Some(Unknown::AbsoluteEnd));
}

#[test]
fn what_refreshes_is_told_from_what_does_not() {
    for (seed, replied) in [(0, 30), (1, 62), (2, 120), (3, 183)] {
        for (outbound, inbound) in [(true, true), (true, false), (false, true)] {
            for kind in kinds() {
                let nat = kind.timers(timers(20, replied, None)).refresh(Refresh { outbound, inbound });
                let run = Lab::new(nat).seed(seed).loss(0.02).run();
                in_time(&run);
                let said = &run.report.refresh;
                assert_eq!((said.outbound.value(), said.inbound.value()), (Some(&outbound), Some(&inbound)), "{said}");
                assert_eq!(run.report.recommended_keepalive.is_some(), outbound, "what is sent must help");
                outlives(&run.report.absolute, 185);
            }
        }
    }
}

#[test]
fn a_mapping_that_nothing_refreshes_has_an_absolute_end() {
    let nat = home(20, 60, None).refresh(Refresh { outbound: false, inbound: false });
    let run = Lab::new(nat).run();
    found(&run.report.replied, 60);
    found(&run.report.absolute, 60);
    assert_eq!(run.report.refresh.outbound.reason(), Some(Unknown::AbsoluteEnd));
}

#[test]
fn lifetimes_below_the_grid_are_bounded_from_above() {
    let run = Lab::new(home(2, 4, None)).run();
    for (verdict, truth) in [(&run.report.replied, 4), (&run.report.unreplied, 2)] {
        let range = verdict.value().unwrap();
        assert!(range.contains(seconds(truth)) && range.at_least.is_zero(), "{range:?}");
    }
    assert_eq!(run.report.absolute.reason(), Some(Unknown::TooShort), "the watchers cannot be refreshed in time");
    assert_eq!(run.report.refresh.inbound.reason(), Some(Unknown::TooShort));
    assert_eq!(run.report.recommended_keepalive, None);
}

#[test]
fn an_answer_to_the_port_s_new_owner_is_no_life() {
    // So few ports that, when all mappings end, the asking socket and the control get those of the silent ones.
    let few = PortRange::new(50_000, 50_021);
    let nat = home(60, 120, Some(13)).ports(PortAllocation::Random).range(few);
    let mut owners = 0;
    for seed in 0..20 {
        let mut lab = Lab::new(nat).seed(seed);
        lab.config = lab.config.max(seconds(30));
        let run = lab.run();
        owners += run.notes.iter().filter(|note| note.contains("has a new owner")).count();
        for verdict in [&run.report.replied, &run.report.unreplied] {
            let range = verdict.value().unwrap();
            assert!(range.contains(seconds(13)), "seed {seed}: {range:?}");
        }
    }
    assert!(owners > 0, "the test is about something");
}

#[test]
fn without_a_nat_nothing_dies() {
    let mut lab = Lab::new(TranslatorConfig::home());
    lab.nat = None;
    let run = lab.run();
    assert_eq!(run.report.translated, Some(false));
    outlives(&run.report.replied, 185);
    outlives(&run.report.unreplied, 185);
    outlives(&run.report.absolute, 185);
}

#[test]
fn servers_that_are_no_use_are_named() {
    for (server, why) in [
        (Server::Refuses, Unknown::ResponsePortRefused),
        (Server::Ignores, Unknown::ResponsePortIgnored),
        (Server::DropsResponsePort, Unknown::ResponsePortUnanswered),
        (Server::Silent, Unknown::ServerSilent),
        (Server::Unreachable, Unknown::Offline),
        (Server::Error(500), Unknown::ServerError),
        (Server::NoAddress, Unknown::ServerError),
    ] {
        let run = Lab::new(TranslatorConfig::home()).server(server).loss(0.02).run();
        assert!(run.ended.since_origin() < seconds(8), "{server:?}: {}", run.ended);
        let report = &run.report;
        for verdict in [&report.replied, &report.unreplied, &report.absolute] {
            assert_eq!(verdict.reason(), Some(why), "{server:?}");
        }
        for verdict in [&report.refresh.outbound, &report.refresh.inbound] {
            assert_eq!(verdict.reason(), Some(why), "{server:?}");
        }
        assert_eq!(report.recommended_keepalive, None);
        assert!(
            run.events
                .iter()
                .any(|(_, event)| matches!(event, LifetimeEvent::Rejected { why: said, .. } if *said == why))
        );
    }
}

#[test]
fn the_next_server_is_asked() {
    for first in [Server::Refuses, Server::Ignores, Server::DropsResponsePort, Server::Silent, Server::Unreachable] {
        let mut lab = Lab::new(home(30, 60, None)).server(first);
        let second = "198.51.100.7:3479".parse().unwrap();
        lab.servers.insert(second, Server::Honest);
        lab.config.servers.push(second);
        lab.config = lab.config.max(seconds(75));
        let run = lab.run();
        assert_eq!(run.report.server, second, "after {first:?}");
        found(&run.report.replied, 60);
        found(&run.report.unreplied, 30);
    }
}

#[test]
fn a_server_that_goes_away_makes_no_mapping_die() {
    for (seed, from) in (0..).zip((20..110).step_by(7)) {
        // Short enough to be silence for one round only, and long enough for several.
        for length in [1, 2, 9] {
            let lab = Lab::new(home(60, 120, None)).server(Server::Away(from, from + length)).seed(seed);
            let run = lab.run();
            in_time(&run);
            for (verdict, truth) in [(&run.report.replied, 120), (&run.report.unreplied, 60)] {
                let range = verdict.value().unwrap();
                assert!(range.contains(seconds(truth)), "away from {from} s for {length} s: {range:?}");
            }
            outlives(&run.report.absolute, 150);
        }
    }
}

#[test]
fn several_external_addresses_make_it_coarser_or_unknown() {
    for seed in 0..20 {
        let nat = home(60, 120, None).pooling(Pooling::Arbitrary).ports(PortAllocation::Random);
        let mut lab = Lab::new(nat).seed(seed);
        lab.externals.push("203.0.113.10".parse().unwrap());
        let run = lab.run();
        in_time(&run);
        for (verdict, truth) in [(&run.report.replied, 120), (&run.report.unreplied, 60)] {
            match verdict.value() {
                Some(range) => assert!(range.contains(seconds(truth)), "seed {seed}: {range:?}"),
                None => assert_eq!(verdict.reason(), Some(Unknown::MultiPath)),
            }
        }
    }
    let mut hopeless = Lab::new(TranslatorConfig::cgnat().pooling(Pooling::Arbitrary));
    hopeless.externals.extend((10..250).map(|last| core::net::IpAddr::from([203, 0, 113, last])));
    assert_eq!(hopeless.run().report.replied.reason(), Some(Unknown::MultiPath));
}
