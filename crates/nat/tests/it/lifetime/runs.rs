//! What is found of which NAT, how fast, and how surely.

use super::lab::{Lab, Run, Server};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping, Pooling, PortAllocation, Refresh, Timers};
use portolan_nat::lifetime::{Event, LifetimeRange};
use portolan_nat::profile::{Unknown, Verdict};
use portolan_nat::translator::TranslatorConfig;

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
fn found(verdict: &Verdict<LifetimeRange>, truth: u64) {
    let range = verdict.value().unwrap_or_else(|| panic!("{truth} s: {verdict:?}"));
    let (truth, most) = (seconds(truth), range.at_most.unwrap_or_else(|| panic!("{truth} s: {range}")));
    assert!(range.contains(truth), "{truth:?} in {range:?}");
    let middle = range.middle().unwrap();
    let off = middle.max(truth) - middle.min(truth);
    assert!(off <= seconds(5), "{truth:?}, found {middle:?}");
    assert!(most - range.at_least <= Duration::from_millis(8500), "{range:?}");
    assert!(verdict.p_wrong().unwrap() < 1e-3);
}

#[track_caller]
fn outlives(verdict: &Verdict<LifetimeRange>, least: u64) {
    let range = verdict.value().unwrap_or_else(|| panic!("{verdict:?}"));
    assert_eq!(range.at_most, None, "{range:?}");
    assert!(range.at_least >= seconds(least), "{range:?}");
}

#[track_caller]
fn in_time(run: &Run) {
    assert!(run.ended.since_origin() <= seconds(200), "{}", run.ended);
}

#[test]
fn print() {
    let run = Lab::new(home(30, 120, None)).run();
    for (at, event) in &run.events { println!("{at} {event}"); }
    println!("{}\n{}", run.report, run.ended);
    println!("{} {} {}", run.begun.len(), run.sent, run.most_sockets);
    for note in run.notes.iter().filter(|n| n.contains("5780") || n.contains("4787")).take(60) { println!("{note}"); }
}
