//! The run of a measurement: rate of transactions, sockets, ports and end.

use super::lab::{Lab, Server};
use core::time::Duration;
use portolan_machine::{Instant, Refusal};
use portolan_nat::behavior::Timers;
use portolan_nat::lifetime::{LifetimeEvent, MeasurementCommand};
use portolan_nat::profile::Unknown;
use portolan_nat::translator::TranslatorConfig;

fn common() -> Lab {
    Lab::new(TranslatorConfig::home().timers(Timers::COMMON))
}

#[test]
fn at_most_ten_transactions_start_in_one_second() {
    for seed in 0..6 {
        let run = common().seed(seed).loss(0.05).run();
        let eleven = run.begun.windows(11).map(|eleven| eleven[10] - eleven[0]).min().unwrap();
        assert!(eleven > Duration::from_secs(1), "seed {seed}: {eleven:?}");
    }
}

#[test]
fn sockets_and_datagrams_are_bounded() {
    let run = common().run();
    assert_eq!(run.most_sockets, 82);
    assert!(run.sent < 1000, "{} datagrams in three minutes", run.sent);
    let mut fine = common();
    fine.config = fine.config.step(Duration::from_secs(3)).max(Duration::from_secs(120));
    assert_eq!(fine.run().most_sockets, 88);
}

#[test]
fn ports_are_random_in_the_dynamic_range() {
    let (one, two) = (common().run().ports, common().seed(1).run().ports);
    assert!(one.iter().chain(&two).all(|port| *port >= 49_152));
    assert!(one.intersection(&two).count() < 8, "another seed gives other ports");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (one, two) = (common().seed(7).loss(0.05).run(), common().seed(7).loss(0.05).run());
    assert_eq!(one.events, two.events);
    assert_eq!(one.notes, two.notes);
    assert_ne!(one.events, common().seed(8).loss(0.05).run().events);
}

#[test]
fn another_port_is_tried_when_a_port_is_in_use() {
    let mut lab = common();
    lab.refuse_every = Some((3, Refusal::AddressInUse));
    let run = lab.run();
    assert!(run.notes.iter().any(|note| note.contains("address in use [RFC 5780 §4.1]")));
    assert!(run.report.replied.value().unwrap().contains(Duration::from_secs(120)));
    assert_eq!(run.most_sockets, 82);
}

#[test]
fn refused_sockets_make_the_range_wider() {
    let mut lab = common();
    lab.refuse_every = Some((3, Refusal::TooManySockets));
    let run = lab.run();
    let range = run.report.replied.value().unwrap();
    assert!(range.contains(Duration::from_secs(120)), "{range:?}");
    let mut none = common();
    none.refuse_every = Some((1, Refusal::TooManySockets));
    let run = none.run();
    assert_eq!(run.report.replied.reason(), Some(Unknown::Offline));
    assert_eq!(run.sent, 0);
}

#[test]
fn a_stopped_measurement_reports_its_results_so_far() {
    let mut lab = common();
    lab.stop_at = Some(Instant::from_millis(80_000));
    let run = lab.run();
    assert_eq!(run.ended, Instant::from_millis(79_000));
    assert_eq!(
        run.report.unreplied.value().unwrap().middle().unwrap().as_secs(),
        28,
        "this verdict was already complete"
    );
    let replied = run.report.replied.value().unwrap();
    assert_eq!(
        (replied.at_least.as_secs(), replied.at_most),
        (75, None),
        "the mapping is alive: the age is a lower bound"
    );
    assert_eq!(run.report.refresh.inbound.reason(), Some(Unknown::TimedOut));
    let absolute = run.report.absolute.value().unwrap();
    assert!(absolute.at_least > Duration::from_secs(70) && absolute.at_most.is_none());

    let mut at_once = common().server(Server::Silent);
    at_once.stop_at = Some(Instant::from_millis(1100));
    let run = at_once.run();
    assert_eq!(run.report.replied.reason(), Some(Unknown::TimedOut));
}

#[test]
fn a_server_that_stays_silent_ends_the_measurement_within_the_bound() {
    let lab = common().server(Server::Away(60, 100_000));
    let run = lab.run();
    assert!(run.ended.since_origin() <= lab.config.bound(), "{}", run.ended);
    assert!(run.report.unreplied.value().unwrap().contains(Duration::from_secs(30)));
    let replied = run.report.replied.value().unwrap();
    assert!(replied.contains(Duration::from_secs(120)) && replied.at_most.is_none(), "{replied:?}");
}

#[test]
fn each_verdict_is_reported_once_and_is_part_of_the_report() {
    let run = common().loss(0.02).run();
    let mut counts = [0; 4];
    for (_, event) in &run.events {
        match event {
            LifetimeEvent::Replied(verdict) => {
                counts[0] += 1;
                assert_eq!(verdict, &run.report.replied);
            }
            LifetimeEvent::Unreplied(verdict) => {
                counts[1] += 1;
                assert_eq!(verdict, &run.report.unreplied);
            }
            LifetimeEvent::Absolute(verdict) => {
                counts[2] += 1;
                assert_eq!(verdict, &run.report.absolute);
            }
            LifetimeEvent::Refresh(refresh) => {
                counts[3] += 1;
                assert_eq!(**refresh, run.report.refresh);
            }
            LifetimeEvent::Rejected { .. }
            | LifetimeEvent::Begun { .. }
            | LifetimeEvent::Point { .. }
            | LifetimeEvent::Report(_)
            | _ => {}
        }
    }
    assert_eq!(counts, [1; 4]);
    assert!(matches!(run.events.first(), Some((_, LifetimeEvent::Begun { sockets: 82, translated: true, .. }))));
    assert!(matches!(run.events.last(), Some((_, LifetimeEvent::Report(_)))));
}

#[test]
fn commands_round_trip_through_text() {
    for command in [MeasurementCommand::Start, MeasurementCommand::Stop] {
        assert_eq!(command.to_string().parse(), Ok(command));
    }
    assert!("begin".parse::<MeasurementCommand>().is_err());
}
