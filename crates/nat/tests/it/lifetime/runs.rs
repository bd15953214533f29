//! Results of lifetime measurements for many NATs: values, time and error probability.

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

/// Checks that the range contains the truth, that its middle is at most 5 s from the truth, and that the range is at
/// most 10 s wide.
#[track_caller]
fn assert_found(verdict: &Conclusion<LifetimeRange>, truth: u64) {
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
fn assert_at_least(verdict: &Conclusion<LifetimeRange>, least: u64) {
    let range = verdict.value().unwrap_or_else(|| panic!("{verdict:?}"));
    assert_eq!(range.at_most, None, "{range:?}");
    assert!(range.at_least >= seconds(least), "{range:?}");
}

#[track_caller]
fn assert_in_time(run: &Run) {
    assert!(run.ended.since_origin() <= seconds(200), "{}", run.ended);
}

/// Returns home routers, carrier NATs and firewalls. Their differences must not change the result.
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
fn common_lifetimes_are_found_within_five_seconds_of_the_truth() {
    for (unreplied, replied) in [(30, 120), (60, 60), (20, 180), (120, 120), (7, 16)] {
        for (seed, nat) in (0..).zip(kinds()) {
            let run = Lab::new(nat.timers(timers(unreplied, replied, None))).seed(seed).run();
            assert_in_time(&run);
            assert_found(&run.report.replied, replied);
            assert_found(&run.report.unreplied, unreplied);
            assert_at_least(&run.report.absolute, 185);
            assert_eq!(run.report.translated, Some(nat.translate));
            let least = run.report.replied.value().unwrap().at_least;
            assert_eq!(run.report.recommended_keepalive, Some(seconds(least.as_secs() / 2)));
        }
    }
}

/// A network that is derived from a seed. Its lifetimes are not limited to the grid of the measurement.
struct RandomNetwork {
    unreplied: u64,
    replied: u64,
    absolute: Option<u64>,
    refresh: Refresh,
    nat: TranslatorConfig,
}

impl RandomNetwork {
    fn new(seed: u64) -> Self {
        let (unreplied, replied) = (6 + seed * 37 % 170, 12 + seed * 53 % 170);
        let absolute = seed.is_multiple_of(3).then_some(40 + seed * 7 % 130);
        let sides = [(true, true), (true, false), (false, true)];
        let (outbound, inbound) = sides[(seed / 3 % 3) as usize];
        let refresh = Refresh { outbound, inbound };
        let nat = kinds()[(seed / 9 % 8) as usize].timers(timers(unreplied, replied, absolute)).refresh(refresh);
        Self { unreplied, replied, absolute, refresh, nat }
    }

    /// Checks that no verdict is wrong, and returns the number of unknown verdicts.
    fn check(&self, run: &Run, context: &str) -> u32 {
        let (report, end) = (&run.report, self.absolute.unwrap_or(u64::MAX));
        let mut unknown = 0;
        for (verdict, truth) in [(&report.replied, self.replied), (&report.unreplied, self.unreplied)] {
            // A mapping without traffic ends at the absolute end if the absolute end comes first.
            match verdict.value() {
                Some(range) => {
                    assert!(range.contains(seconds(truth.min(end))), "{context}: {truth} s, {end} s: {range:?}")
                }
                None => unknown += 1,
            }
        }
        match (report.absolute.value(), self.absolute) {
            (Some(range), Some(end)) => assert!(range.contains(seconds(end)), "{context}: absolute {end} s: {range:?}"),
            (Some(range), None) => assert_eq!(range.at_most, None, "{context}: there is no absolute end"),
            (None, _) => unknown += 1,
        }
        for (verdict, truth) in
            [(&report.refresh.outbound, self.refresh.outbound), (&report.refresh.inbound, self.refresh.inbound)]
        {
            assert_ne!(verdict.value(), Some(&!truth), "{context}: refresh");
            let is_measurable = self.absolute.is_none() && self.replied > 20;
            unknown += u32::from(is_measurable && verdict.value().is_none());
        }
        unknown
    }
}

#[test]
fn no_verdict_is_wrong_at_any_loss() {
    for loss in [0.0, 0.02, 0.05, 0.10] {
        let (mut unknown, mut slowest) = (0, Duration::ZERO);
        for seed in 0..SEEDS {
            let network = RandomNetwork::new(seed);
            let run = Lab::new(network.nat).seed(seed).loss(loss).run();
            assert_in_time(&run);
            unknown += network.check(&run, &format!("loss {loss}, seed {seed}"));
            slowest = slowest.max(run.ended.since_origin());
        }
        println!("loss {loss}: {SEEDS} networks, 0 wrong, {unknown} unknown, slowest {slowest:?}");
        assert!(u64::from(unknown) * 100 <= SEEDS * 5, "{unknown} unknown of {} verdicts", SEEDS * 5);
    }
}

/// The number of networks at each loss.
const SEEDS: u64 = 72;

#[test]
fn a_lifetime_beyond_the_grid_has_a_lower_bound_only() {
    let run = Lab::new(TranslatorConfig::cgnat()).run();
    assert_in_time(&run);
    assert_at_least(&run.report.replied, 185);
    assert_at_least(&run.report.unreplied, 185);
    assert_at_least(&run.report.absolute, 185);
    assert_eq!(run.report.refresh.outbound.reason(), Some(Unknown::TooLong));
    assert_eq!(run.report.refresh.inbound.reason(), Some(Unknown::TooLong));
    assert_eq!(run.report.recommended_keepalive, Some(seconds(92)));
}

#[test]
fn an_absolute_end_is_found_despite_refreshes_and_preserved_ports() {
    for (seed, nat) in (0..).zip(kinds()) {
        let run = Lab::new(nat.timers(timers(30, 60, Some(100)))).seed(seed).loss(0.02).run();
        assert_in_time(&run);
        assert_found(&run.report.absolute, 100);
        assert_found(&run.report.replied, 60);
        assert_eq!(run.report.refresh.outbound.value(), Some(&true), "seed {seed}");
    }
}

#[test]
fn no_absolute_end_is_missed_between_two_probes() {
    // A home router preserves the port. The end is therefore visible only until the next refresh makes a new mapping.
    // A single watcher has a gap of one round trip of 50 ms in each cycle of 3 s.
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
fn the_absolute_end_also_limits_a_mapping_without_traffic() {
    let run = Lab::new(home(120, 120, Some(70))).run();
    assert_in_time(&run);
    assert_found(&run.report.absolute, 70);
    assert_found(&run.report.replied, 70);
    // A mapping that ends at this age in any case does not show whether traffic refreshes it.
    assert_eq!(run.report.refresh.outbound.reason(), Some(Unknown::AbsoluteEnd));
    assert_eq!(run.report.refresh.inbound.reason(), Some(Unknown::AbsoluteEnd));
}

#[test]
fn the_directions_that_refresh_a_mapping_are_found() {
    for (seed, replied) in [(0, 30), (1, 62), (2, 120), (3, 183)] {
        for (outbound, inbound) in [(true, true), (true, false), (false, true)] {
            for kind in kinds() {
                let nat = kind.timers(timers(20, replied, None)).refresh(Refresh { outbound, inbound });
                let run = Lab::new(nat).seed(seed).loss(0.02).run();
                assert_in_time(&run);
                let refresh = &run.report.refresh;
                assert_eq!(
                    (refresh.outbound.value(), refresh.inbound.value()),
                    (Some(&outbound), Some(&inbound)),
                    "{refresh}"
                );
                assert_eq!(
                    run.report.recommended_keepalive.is_some(),
                    outbound,
                    "a keepalive needs an outbound refresh"
                );
                assert_at_least(&run.report.absolute, 185);
            }
        }
    }
}

#[test]
fn a_mapping_that_nothing_refreshes_has_an_absolute_end() {
    let nat = home(20, 60, None).refresh(Refresh { outbound: false, inbound: false });
    let run = Lab::new(nat).run();
    assert_found(&run.report.replied, 60);
    assert_found(&run.report.absolute, 60);
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
fn a_response_to_the_new_owner_of_a_port_does_not_show_that_the_mapping_is_alive() {
    // There are few ports. When all mappings expire, the probing sockets get the ports of the silent mappings.
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
    assert!(owners > 0, "at least one port has a new owner");
}

#[test]
fn without_a_nat_no_mapping_expires() {
    let mut lab = Lab::new(TranslatorConfig::home());
    lab.nat = None;
    let run = lab.run();
    assert_eq!(run.report.translated, Some(false));
    assert_at_least(&run.report.replied, 185);
    assert_at_least(&run.report.unreplied, 185);
    assert_at_least(&run.report.absolute, 185);
}

#[test]
fn unusable_servers_are_rejected_with_a_reason() {
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
                .any(|(_, event)| matches!(event, LifetimeEvent::Rejected { why: found, .. } if *found == why))
        );
    }
}

#[test]
fn the_next_server_is_tried_after_an_unusable_one() {
    for first in [Server::Refuses, Server::Ignores, Server::DropsResponsePort, Server::Silent, Server::Unreachable] {
        let mut lab = Lab::new(home(30, 60, None)).server(first);
        let second = "198.51.100.7:3479".parse().unwrap();
        lab.servers.insert(second, Server::Correct);
        lab.config.servers.push(second);
        lab.config = lab.config.max(seconds(75));
        let run = lab.run();
        assert_eq!(run.report.server, second, "after {first:?}");
        assert_found(&run.report.replied, 60);
        assert_found(&run.report.unreplied, 30);
    }
}

#[test]
fn a_server_outage_is_not_reported_as_an_expired_mapping() {
    for (seed, from) in (0..).zip((20..110).step_by(7)) {
        // The first two lengths make one round silent. The last makes several rounds silent.
        for length in [1, 2, 9] {
            let lab = Lab::new(home(60, 120, None)).server(Server::Away(from, from + length)).seed(seed);
            let run = lab.run();
            assert_in_time(&run);
            for (verdict, truth) in [(&run.report.replied, 120), (&run.report.unreplied, 60)] {
                let range = verdict.value().unwrap();
                assert!(range.contains(seconds(truth)), "away from {from} s for {length} s: {range:?}");
            }
            assert_at_least(&run.report.absolute, 150);
        }
    }
}

#[test]
fn with_several_external_addresses_the_range_is_correct_or_unknown() {
    for seed in 0..20 {
        let nat = home(60, 120, None).pooling(Pooling::Arbitrary).ports(PortAllocation::Random);
        let mut lab = Lab::new(nat).seed(seed);
        lab.externals.push("203.0.113.10".parse().unwrap());
        let run = lab.run();
        assert_in_time(&run);
        for (verdict, truth) in [(&run.report.replied, 120), (&run.report.unreplied, 60)] {
            match verdict.value() {
                Some(range) => assert!(range.contains(seconds(truth)), "seed {seed}: {range:?}"),
                None => assert_eq!(verdict.reason(), Some(Unknown::MultiPath)),
            }
        }
    }
    let mut large_pool = Lab::new(TranslatorConfig::cgnat().pooling(Pooling::Arbitrary));
    large_pool.externals.extend((10..250).map(|last| core::net::IpAddr::from([203, 0, 113, last])));
    assert_eq!(large_pool.run().report.replied.reason(), Some(Unknown::MultiPath));
}
