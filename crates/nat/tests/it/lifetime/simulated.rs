//! Lifetime measurements in the simulated network: jitter, duplicates, reordering, two NATs, and every faulty server.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_nat::behavior::{Filtering, Timers};
use portolan_nat::lifetime::{Lifetime, LifetimeConfig, LifetimeEvent, LifetimeReport, MeasurementCommand};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Fault, Gateway, Link, Net, Server};

const fn timers(unreplied: u64, replied: u64, absolute: Option<u64>) -> Timers {
    let absolute = match absolute {
        Some(absolute) => Some(Duration::from_secs(absolute)),
        None => None,
    };
    Timers { unreplied: Duration::from_secs(unreplied), replied: Duration::from_secs(replied), absolute }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host behind a chain of NATs. The last one is the innermost.
struct World {
    nats: Vec<TranslatorConfig>,
    link: Link,
    fault: Fault,
    ipv6: bool,
    seed: u64,
    max: Duration,
}

impl World {
    fn new(nats: impl Into<Vec<TranslatorConfig>>) -> Self {
        let (link, max) = (Link::delay(Duration::from_millis(25)), Duration::from_secs(185));
        Self { nats: nats.into(), link, fault: Fault::None, ipv6: false, seed: 0, max }
    }

    fn net(&self) -> (Net<Lifetime>, portolan_sim::HostId) {
        let (server, client): (SocketAddr, IpAddr) = match self.ipv6 {
            true => ("[2001:db8::1]:3478".parse().unwrap(), address("2001:db8:7::7")),
            false => ("192.0.2.1:3478".parse().unwrap(), address("10.0.0.7")),
        };
        let mut net = Net::new(self.seed);
        let mut segment = net.internet();
        for (nat, outside) in self.nats.iter().zip(["203.0.113.9", "100.64.0.9"]) {
            let gateway = Gateway::new("nat", [address(outside)], *nat);
            let gateway = if self.ipv6 { gateway.ipv6(*nat) } else { gateway };
            segment = net.add_gateway(segment, gateway, &self.link);
        }
        let machine = Lifetime::new(LifetimeConfig::new(vec![server]).max(self.max)).unwrap();
        let host = net.add_host(segment, "client", &[client], &Link::PERFECT, machine);
        net.add_server(net.internet(), Server::new("server", server).fault(self.fault), &Link::PERFECT);
        (net, host)
    }

    /// Returns the report and the time that the measurement took.
    fn run(&self) -> (LifetimeReport, Duration) {
        let (mut net, host) = self.net();
        net.command(host, MeasurementCommand::Start).unwrap();
        let bound = Instant::ORIGIN + Duration::from_secs(600);
        let _stop = net.run_until_event(bound, |_, event| matches!(event, LifetimeEvent::Report(_)));
        match net.take_events().pop().map(|timed| (timed.event, timed.at)) {
            Some((LifetimeEvent::Report(report), at)) => (*report, at - Instant::ORIGIN),
            other => panic!("a report is the last event: {other:?}"),
        }
    }
}

/// A link with loss, jitter, duplicates and reordering.
const LOSSY: Link = Link::delay(Duration::from_millis(25))
    .loss(0.05)
    .jitter(Duration::from_millis(15))
    .duplication(0.01)
    .reordering(0.01, Duration::from_millis(20));

#[track_caller]
fn assert_lifetimes(report: &LifetimeReport, unreplied: u64, replied: u64, at: &str) {
    for (verdict, truth) in [(&report.unreplied, unreplied), (&report.replied, replied)] {
        let range = verdict.value().unwrap_or_else(|| panic!("{at}: {truth} s: {verdict:?}"));
        let (truth, middle) = (Duration::from_secs(truth), range.middle().unwrap());
        assert!(range.contains(truth), "{at}: {truth:?} in {range:?}");
        assert!(middle.max(truth) - middle.min(truth) <= Duration::from_secs(5), "{at}: {truth:?}, found {range:?}");
    }
}

#[test]
fn on_a_lossy_link_lifetimes_are_correct_and_in_time() {
    for seed in 0..24 {
        for (unreplied, replied) in [(30, 120), (60, 60), (20, 180)] {
            let mut world = World::new([TranslatorConfig::home().timers(timers(unreplied, replied, None))]);
            (world.link, world.seed) = (LOSSY, seed);
            let (report, elapsed) = world.run();
            assert_lifetimes(&report, unreplied, replied, &format!("seed {seed}"));
            assert!(elapsed <= Duration::from_secs(200), "seed {seed}: {elapsed:?}");
            assert_ne!(report.refresh.outbound.value(), Some(&false), "seed {seed}");
            assert_ne!(report.refresh.inbound.value(), Some(&false), "seed {seed}");
            assert_eq!(report.absolute.value().map(|range| range.at_most), Some(None), "seed {seed}");
            // Each direction loses 5 %. The measured loss of a round trip is therefore about 9.75 %.
            let lost = 1.0 - f64::from(report.path.answered) / f64::from(report.path.sent);
            assert!(report.path.sent < 60 || (lost - 0.0975).abs() < 0.1, "seed {seed}: {lost}");
        }
    }
}

#[test]
fn the_shorter_lifetime_of_two_nats_is_found() {
    // The measurement finds the shorter lifetime of the two NATs. Only the carrier NAT has an absolute end.
    let carrier = TranslatorConfig::cgnat().timers(timers(25, 300, Some(70)));
    let home = TranslatorConfig::home().timers(timers(60, 120, None));
    for seed in 0..8 {
        let mut world = World::new([carrier, home]);
        world.seed = seed;
        let (report, elapsed) = world.run();
        assert_lifetimes(&report, 25, 70, &format!("seed {seed}"));
        assert!(elapsed <= Duration::from_secs(200));
        let absolute = report.absolute.value().unwrap();
        assert!(absolute.contains(Duration::from_secs(70)) && absolute.at_most.is_some(), "{absolute:?}");
    }
}

#[test]
fn a_firewall_for_ipv6_is_measured_like_a_nat() {
    let firewall = TranslatorConfig::firewall(Filtering::AddressAndPortDependent).timers(timers(30, 120, None));
    let mut world = World::new([firewall]);
    world.ipv6 = true;
    let (report, elapsed) = world.run();
    assert_lifetimes(&report, 30, 120, "IPv6");
    assert_eq!((report.family.as_str(), report.translated), ("ipv6", Some(false)));
    assert!(elapsed <= Duration::from_secs(200));
}

#[test]
fn a_long_round_trip_time_changes_nothing() {
    let mut world = World::new([TranslatorConfig::home().timers(timers(30, 120, None))]);
    world.link = Link::delay(Duration::from_millis(150)).loss(0.02);
    let (report, elapsed) = world.run();
    assert_lifetimes(&report, 30, 120, "RTT 300 ms");
    assert!(elapsed <= Duration::from_secs(200), "{elapsed:?}");
    assert!(report.path.rtt.is_some_and(|rtt| rtt.as_millis() == 300));
}

#[test]
fn no_faulty_server_makes_a_lifetime_wrong() {
    let mut unknown = 0;
    for fault in Fault::EACH {
        let mut world = World::new([TranslatorConfig::home().timers(timers(20, 40, None))]);
        (world.fault, world.max) = (fault, Duration::from_secs(55));
        let (report, _) = world.run();
        for (verdict, truth) in [(&report.unreplied, 20), (&report.replied, 40)] {
            match verdict.value() {
                Some(range) => assert!(range.contains(Duration::from_secs(truth)), "{fault}: {truth} s, {range:?}"),
                None => unknown += 1,
            }
        }
        if let Some(range) = report.absolute.value() {
            assert_eq!(range.at_most, None, "{fault}");
        }
        assert_ne!(report.refresh.outbound.value(), Some(&false), "{fault}");
    }
    assert!(unknown > 10, "verdicts with a faulty server are unknown");
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let record = |seed| {
        let mut world = World::new([TranslatorConfig::home().timers(timers(10, 20, None))]);
        (world.seed, world.link, world.max) = (seed, LOSSY, Duration::from_secs(30));
        let (mut net, host) = world.net();
        net.record_story();
        net.command(host, MeasurementCommand::Start).unwrap();
        let _stop = net.run_for(Duration::from_secs(60));
        net.story().to_owned()
    };
    let story = record(3);
    assert_eq!(story, record(3));
    assert_ne!(story, record(4));
    for words in ["honours RESPONSE-PORT", "is silent from now on", "let a response in after", "is dead after"] {
        assert!(story.contains(words), "{words} in\n{story}");
    }
}
