//! Changes: interfaces come and go, mappings change, rounds are repeated, and the gatherer closes.

use super::{Hand, RTT, World, at, candidates, closed, completions, lan, ms, transmits};
use core::time::Duration;
use portolan_ice::{GatherConfig, GatherError, GatherEvent, LocalCandidate};
use portolan_machine::{Closure, Input, Instant, Machine as _, Output, SocketEvent, SocketId, Verdict};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::Fault;

const SERVER: &str = "192.0.2.1:3478";

fn config() -> GatherConfig {
    GatherConfig::new().server(at(SERVER))
}

fn removed(events: &[(u128, GatherEvent)]) -> Vec<(u128, Vec<LocalCandidate>)> {
    let removed = events.iter().filter_map(|(at, event)| match event {
        GatherEvent::Removed { candidates, .. } => Some((*at, candidates.clone())),
        _ => None,
    });
    removed.collect()
}

#[test]
fn when_a_family_goes_away_and_comes_back_only_its_candidates_change() {
    let mut world = World::new(config(), TranslatorConfig::home());
    world.add_server(SERVER, Fault::None);
    let [ipv4, ipv6] = World::WIRED;
    world.set(vec![lan("eth0", ipv4), lan("eth0", ipv6)]);
    world.run(Duration::from_secs(10));
    let before: Vec<_> = world.net.machine(world.host).unwrap().candidates().collect();
    assert_eq!(before.len(), 3);

    // The IPv4 address is lost.
    world.set(vec![lan("eth0", ipv6)]);
    world.run(Duration::from_secs(50));
    let removed = removed(&world.events());
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].0, 10_000);
    assert_eq!(removed[0].1.iter().map(|one| one.kind.name()).collect::<Vec<_>>(), ["host", "srflx"]);
    let left: Vec<_> = world.net.machine(world.host).unwrap().candidates().collect();
    assert_eq!(left, before.into_iter().filter(|one| one.base.is_ipv6()).collect::<Vec<_>>(), "untouched");
    let (sent, _) = world.net.host_stats(world.host);
    world.run(Duration::from_secs(60));
    assert_eq!(world.net.host_stats(world.host).0, sent, "no keepalive leaves from an absent address");

    world.set(vec![lan("eth0", ipv4), lan("eth0", ipv6)]);
    world.run(Duration::from_secs(1));
    let found = world.candidates();
    let back: Vec<_> = found.iter().filter(|(at, ..)| *at >= 120_000).map(|(at, kind, ..)| (*at, *kind)).collect();
    assert_eq!(back, [(120_000, "host"), (120_000 + u128::from(RTT), "srflx")], "IPv6 is not reported again");
    assert_eq!(world.reports().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [40, 10_000, 120_040]);
}

#[test]
fn a_removed_socket_closes_after_its_last_transmit_and_its_late_response_is_not_taken() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.7")]).unwrap();
    let request = transmits(&hand.open_all())[0].clone();
    // The retransmission is due in the moment of the removal.
    hand.now = Instant::from_millis(500);
    hand.set(vec![]).unwrap();
    let (outputs, wait) = hand.drain();
    assert_eq!((closed(&outputs), wait), (vec![SocketId(1)], None));
    let close = outputs.iter().position(|output| matches!(output, Output::Socket(_))).unwrap();
    assert!(outputs[close..].iter().all(|output| !matches!(output, Output::Transmit(_))));
    let report = &completions(&outputs)[0];
    assert_eq!((report.found, report.failed.len()), (0, 0), "the removal is no failure of the server");
    let _late = hand.answer(&request, at("10.0.0.7:5001"), at("203.0.113.1:1"));
    assert_eq!(hand.drain().0, []);
}

#[test]
fn an_address_that_appears_later_gets_a_unique_preference_and_the_others_keep_theirs() {
    let mut hand = Hand::new(GatherConfig::new());
    hand.set(vec![lan("eth0", "10.0.0.1"), lan("eth0", "10.0.0.2")]).unwrap();
    let first: Vec<_> = candidates(&hand.open_all()).iter().map(|one| one.preference).collect();
    assert_eq!(first, [65535, 65279]);
    hand.set(vec![lan("eth0", "2001:db8::1"), lan("eth0", "10.0.0.2"), lan("eth0", "10.0.0.1")]).unwrap();
    let later = candidates(&hand.open_all());
    assert_eq!(later.iter().map(|one| one.preference).collect::<Vec<_>>(), [65503]);
    let mut all: Vec<_> = hand.gatherer.candidates().map(|one| one.preference).collect();
    all.sort_unstable();
    assert_eq!(all, [65279, 65503, 65535]);
}

#[test]
fn a_command_during_a_round_extends_it() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.1")]).unwrap();
    let first = hand.open_all();
    hand.set(vec![lan("eth0", "10.0.0.1"), lan("eth0", "10.0.0.2")]).unwrap();
    let second = hand.open_all();
    let rest: Vec<_> = hand.run_until(Instant::from_millis(60_000)).into_iter().map(|(_, output)| output).collect();
    let all = [first, second, rest].concat();
    assert_eq!(completions(&all).len(), 1);
    assert_eq!(completions(&all)[0].failed.len(), 2);
}

#[test]
fn a_restart_reports_host_candidates_again_and_asks_again_on_the_same_sockets() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.7")]).unwrap();
    let local = at("10.0.0.7:5001");
    let outputs = hand.open_all();
    assert_eq!(hand.answer(&transmits(&outputs)[0], local, at("203.0.113.1:1")), Verdict::Mine);
    assert_eq!(completions(&hand.drain().0).len(), 1);

    hand.now = Instant::from_millis(5000);
    hand.with(|gatherer, cx| gatherer.restart(cx)).unwrap();
    let (outputs, _) = hand.drain();
    assert_eq!(candidates(&outputs).len(), 1, "the same socket");
    let request = transmits(&outputs)[0].clone();
    assert_eq!(hand.answer(&request, local, at("203.0.113.1:1")), Verdict::Mine);
    let (outputs, _) = hand.drain();
    assert_eq!((candidates(&outputs).len(), completions(&outputs)[0].found), (1, 2));
}

#[test]
fn rfc8445_5_1_1_4_a_mapping_is_kept_alive_every_15_s_until_the_owner_stops_it() {
    // A NAT that forgets a mapping after 20 s.
    let mut nat = TranslatorConfig::home();
    (nat.timers.unreplied, nat.timers.replied) = (Duration::from_secs(20), Duration::from_secs(20));
    let mut world = World::new(config(), nat);
    world.add_server(SERVER, Fault::None);
    world.set(vec![lan("eth0", World::WIRED[0])]);
    world.run(Duration::from_secs(305));
    let changed = world.events().iter().filter(|(_, event)| matches!(event, GatherEvent::Changed { .. })).count();
    assert_eq!((changed, world.candidates().len()), (0, 2), "the mapping lives for five minutes");
    assert_eq!(world.net.host_stats(world.host).0.sent, 1 + 20, "one request each 15 s");

    world.net.with(world.host, |gatherer, cx| gatherer.stop_keepalives(cx)).unwrap().unwrap();
    world.run(Duration::from_secs(300));
    assert_eq!(world.net.host_stats(world.host).0.sent, 21);
    assert_eq!(world.reports().len(), 1, "a keepalive is no round");
}

#[test]
fn a_changed_mapped_address_replaces_the_candidate() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.7")]).unwrap();
    let local = at("10.0.0.7:5001");
    let outputs = hand.open_all();
    let _mine = hand.answer(&transmits(&outputs)[0], local, at("203.0.113.1:1"));
    let first = candidates(&hand.drain().0)[0];

    let keepalive = |hand: &mut Hand, mapped: &str| {
        let outputs = hand.run_until(hand.now + Duration::from_secs(15));
        let outputs: Vec<_> = outputs.into_iter().map(|(_, output)| output).collect();
        let request = transmits(&outputs)[0].clone();
        assert_eq!(hand.answer(&request, local, at(mapped)), Verdict::Mine);
        hand.drain().0
    };
    assert_eq!(keepalive(&mut hand, "203.0.113.1:1"), [], "nothing has changed");
    let outputs = keepalive(&mut hand, "203.0.113.1:2");
    let [Output::Event(GatherEvent::Changed { stale, candidate: Some(new) })] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((*stale, new.address), (first, at("203.0.113.1:2")));
    assert_ne!(new.priority(), stale.priority(), "the agent may still have the stale candidate");
    assert_eq!(hand.gatherer.candidates().count(), 2);

    // The NAT is gone: the mapped address is the host candidate.
    let outputs = keepalive(&mut hand, "10.0.0.7:5001");
    assert!(matches!(&outputs[..], [Output::Event(GatherEvent::Changed { candidate: None, .. })]), "{outputs:?}");
    assert_eq!((hand.gatherer.candidates().count(), hand.drain().1), (1, None));
}

#[test]
fn a_lost_keepalive_keeps_the_candidate_and_is_repeated_at_doubled_intervals() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.7")]).unwrap();
    let outputs = hand.open_all();
    let _mine = hand.answer(&transmits(&outputs)[0], at("10.0.0.7:5001"), at("203.0.113.1:1"));
    let _first = hand.drain();
    let outputs = hand.run_until(Instant::from_millis(60_000));
    let sent: Vec<_> = outputs
        .iter()
        .filter(|(_, output)| matches!(output, Output::Transmit(_)))
        .map(|(at, _)| at.since_origin().as_millis())
        .collect();
    assert_eq!(sent, [15_000, 15_500, 16_500, 18_500, 52_500, 53_000, 54_000, 56_000]);
    assert!(outputs.iter().all(|(_, output)| !matches!(output, Output::Event(_))));
    assert_eq!(hand.gatherer.candidates().count(), 2);

    // An answer restores the interval.
    let outputs = hand.run_until(Instant::from_millis(120_000));
    let outputs: Vec<_> = outputs.into_iter().map(|(_, output)| output).collect();
    let request = transmits(&outputs)[0].clone();
    let _late = hand.answer(&request, at("10.0.0.7:5001"), at("203.0.113.1:1"));
    assert_eq!(hand.drain().1, Some(Instant::from_millis(135_000)));
}

#[test]
fn a_socket_that_the_driver_closed_is_removed() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.7")]).unwrap();
    let _opened = hand.open_all();
    assert_eq!(hand.handle(Input::Socket(SocketId(1), SocketEvent::Closed(Closure::Reset))), Verdict::Mine);
    let (outputs, wait) = hand.drain();
    assert_eq!((closed(&outputs), wait), (vec![], None));
    assert_eq!(completions(&outputs)[0].found, 0);
}

#[test]
fn close_closes_every_socket_and_is_final() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.7"), lan("eth0", "10.0.0.8")]).unwrap();
    let request = transmits(&hand.open_all())[0].clone();
    hand.gatherer.close().unwrap();
    let (outputs, wait) = hand.drain();
    assert_eq!((closed(&outputs), wait), (vec![SocketId(1), SocketId(2)], None));
    assert_eq!(outputs.last(), Some(&Output::Event(GatherEvent::Closed)));
    assert_eq!(hand.answer(&request, at("10.0.0.7:5001"), at("203.0.113.1:1")), Verdict::NotMine);
    assert_eq!(hand.set(vec![]), Err(GatherError::Closed));
    assert_eq!(hand.with(|gatherer, cx| gatherer.restart(cx)), Err(GatherError::Closed));
    assert_eq!(hand.with(|gatherer, cx| gatherer.stop_keepalives(cx)), Err(GatherError::Closed));
    assert_eq!(hand.gatherer.close(), Err(GatherError::Closed));
    assert_eq!(hand.gatherer.poll(), Output::Wait(None));
}

#[test]
fn a_socket_that_is_not_open_yet_can_be_removed() {
    let mut hand = Hand::new(config());
    hand.set(vec![lan("eth0", "10.0.0.7")]).unwrap();
    let _order = hand.drain();
    hand.set(vec![]).unwrap();
    let (outputs, _) = hand.drain();
    assert_eq!(closed(&outputs), [SocketId(1)]);
    assert_eq!(completions(&outputs).len(), 1);
    assert_eq!(outputs.len(), 2, "no candidate was reported, so none is removed: {outputs:?}");
    let opened = SocketEvent::Opened { local: at("10.0.0.7:1") };
    assert_eq!(hand.handle(Input::Socket(SocketId(1), opened)), Verdict::NotMine);
}

#[test]
fn in_a_home_network_without_answers_nothing_is_sent_after_the_round() {
    let mut world = World::new(config().timeout(ms(2000)), TranslatorConfig::home());
    world.add_server(SERVER, Fault::Silent);
    world.set(World::interfaces());
    world.run(Duration::from_secs(300));
    assert_eq!(world.reports().len(), 1);
    assert!(world.reports()[0].0 <= 2050, "{:?}", world.reports());
    let _home = world.home;
}
