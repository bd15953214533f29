//! Two connections behind every pair of presets, with a relay over UDP, over TCP, and without one.

use crate::pair::{ONE, Pair, Setup, Side};
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectEvent};
use portolan_ice::{AgentConfig, AgentState, Policy, SessionFailure};
use portolan_machine::Protocol;
use portolan_sim::{Preset, Topology};

const PRESETS: [Preset; 8] = [
    Preset::Open,
    Preset::Home,
    Preset::Cgnat,
    Preset::Symmetric,
    Preset::FullCone,
    Preset::Restricted,
    Preset::Firewall,
    Preset::Blocked,
];
const RTT: Duration = Duration::from_millis(40);

/// How a pair of presets connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Direct,
    Relayed,
    /// UDP is blocked on one side, so only a relay over TCP helps.
    Blocked,
}

/// A mapping that depends on the destination needs a peer whose filter accepts an unknown port.
fn expected(left: Preset, right: Preset) -> Expected {
    let needs_known_port =
        |preset| matches!(preset, Preset::Symmetric | Preset::Home | Preset::Cgnat | Preset::Firewall);
    if [left, right].contains(&Preset::Blocked) {
        Expected::Blocked
    } else if left == Preset::Symmetric && needs_known_port(right)
        || right == Preset::Symmetric && needs_known_port(left)
    {
        Expected::Relayed
    } else {
        Expected::Direct
    }
}

fn topology(preset: Preset, loss: f64) -> Topology {
    Topology::preset(preset).rtt(RTT).loss(loss)
}

fn run(left: Preset, right: Preset, seed: u64, loss: f64, setup: &Setup) -> Pair {
    let mut pair = Pair::new(seed, &topology(left, loss), &topology(right, loss), setup);
    pair.start();
    pair.run_until(Duration::from_secs(60), Pair::is_selected);
    pair
}

/// Sends data both ways, and returns whether it arrived.
fn carries_data(pair: &mut Pair) -> bool {
    for side in Side::BOTH {
        pair.send(side, b"hello");
    }
    let end = pair.net.now().since_origin() + Duration::from_secs(2);
    let has_data = |pair: &Pair| Side::BOTH.into_iter().all(|side| pair.data(side) == [b"hello"]);
    pair.run_until(end, has_data);
    has_data(pair)
}

#[test]
fn every_pair_of_presets_connects_as_its_nats_allow_and_carries_data() {
    for left in PRESETS {
        for right in PRESETS {
            let mut pair = run(left, right, 1, 0.0, &Setup::default());
            let name = format!("{left:?} {right:?} {:?} {} ms", pair.selected(Side::Left), pair.millis());
            let expected = expected(left, right);
            if expected == Expected::Blocked {
                assert!(!pair.is_selected(), "{name}");
                continue;
            }
            assert!(pair.agrees(), "{name}");
            let is_relayed = pair.selected(Side::Left).unwrap().is_relayed();
            assert_eq!(is_relayed, expected == Expected::Relayed, "{name}");
            // A relayed pair waits 500 ms at most for a direct one.
            assert!(pair.millis() <= if is_relayed { 900 } else { 400 }, "{name}");
            assert!(carries_data(&mut pair), "{name}");
        }
    }
}

#[test]
fn a_relay_over_tcp_connects_every_pair_with_blocked_udp() {
    let setup = Setup { relay_protocol: Protocol::Tcp, ..Setup::default() };
    for other in PRESETS {
        for (left, right) in [(Preset::Blocked, other), (other, Preset::Blocked)] {
            let mut pair = run(left, right, 1, 0.0, &setup);
            let name = format!("{left:?} {right:?} {} ms", pair.millis());
            assert!(pair.agrees(), "{name}");
            assert!(pair.selected(Side::Left).unwrap().is_relayed(), "{name}");
            assert!(carries_data(&mut pair), "{name}");
        }
    }
}

#[test]
fn loss_delays_a_connection_and_does_not_change_the_result() {
    let setup = Setup {
        config: ConnectConfig::new().agent(AgentConfig::new().policy(Policy::Browserlike)),
        ..Setup::default()
    };
    for (left, right) in [(Preset::Home, Preset::Home), (Preset::Symmetric, Preset::Symmetric)] {
        for (loss, seeds) in [(0.05, 0..16), (0.2, 16..32)] {
            for seed in seeds {
                let pair = run(left, right, seed, loss, &setup);
                let name = format!("{left:?} {right:?} loss {loss} seed {seed}: {} ms", pair.millis());
                assert!(pair.is_selected(), "{name}");
                if expected(left, right) == Expected::Relayed {
                    assert!(pair.selected(Side::Left).unwrap().is_relayed(), "{name}");
                }
            }
        }
    }
}

#[test]
fn relay_only_signals_no_other_candidates_and_connects() {
    let setup = Setup { relay_only: true, ..Setup::default() };
    let mut pair = run(Preset::Home, Preset::Open, 1, 0.0, &setup);
    assert!(pair.agrees());
    for (.., event) in &pair.events {
        let ConnectEvent::LocalCandidate { candidate, .. } = event else { continue };
        assert!(candidate.to_string().contains("typ relay"), "{candidate}");
    }
    assert!(carries_data(&mut pair));
}

/// The failure has a reason and comes when the PAC timer is over and the last check has timed out.
#[test]
fn rfc8863_4_two_symmetric_nats_without_a_relay_fail_with_the_reason() {
    let setup = Setup { has_relay: false, ..Setup::default() };
    let mut pair = Pair::new(1, &topology(Preset::Symmetric, 0.0), &topology(Preset::Symmetric, 0.0), &setup);
    pair.start();
    let is_failed =
        |pair: &Pair| Side::BOTH.into_iter().all(|side| pair.connection(side).agent().state() == AgentState::Failed);
    pair.run_until(Duration::from_secs(120), is_failed);
    assert!(is_failed(&pair));
    assert!((39_500..=90_000).contains(&pair.millis()), "{}", pair.millis());
    let failures: Vec<_> = pair
        .events
        .iter()
        .filter_map(|(_, _, event)| match event {
            ConnectEvent::Failed(why) => Some(*why),
            _ => None,
        })
        .collect();
    assert_eq!(failures.len(), 2);
    for why in failures {
        let SessionFailure::AllPairsFailed { component, had_relay, heard_peer, .. } = why else { panic!("{why}") };
        assert_eq!((component, had_relay, heard_peer), (ONE, false, false));
    }
}

/// Data flows during a restart, and the new session selects a pair again.
#[test]
fn rfc8445_12_1_data_flows_through_a_restart() {
    let mut pair = run(Preset::Home, Preset::Home, 1, 0.0, &Setup::default());
    assert!(pair.agrees());
    pair.restart(Side::Left);
    assert!(carries_data(&mut pair), "the previous path carries data");
    let end = pair.net.now().since_origin() + Duration::from_secs(10);
    pair.run_until(end, Pair::is_selected);
    assert!(pair.agrees(), "{:?} {:?}", pair.selected(Side::Left), pair.selected(Side::Right));
}

/// After the close, no allocation is left at the server.
#[test]
fn rfc8656_5_a_close_releases_the_allocations() {
    let mut pair = run(Preset::Home, Preset::Symmetric, 1, 0.0, &Setup::default());
    assert_eq!(pair.allocations(), 2);
    for side in Side::BOTH {
        pair.with(side, portolan_connect::Connection::close).unwrap();
    }
    let end = pair.net.now().since_origin() + Duration::from_secs(2);
    pair.run_until(end, |pair| pair.allocations() == 0);
    assert_eq!(pair.allocations(), 0);
    pair.run_until(end, |_| false);
    let closed = pair.events.iter().filter(|(.., event)| *event == ConnectEvent::Closed).count();
    assert_eq!(closed, 2);
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let stories = [1, 1, 2].map(|seed| {
        let mut pair =
            Pair::new(seed, &topology(Preset::Home, 0.1), &topology(Preset::Symmetric, 0.1), &Setup::default());
        pair.net.record_story();
        pair.start();
        pair.run_until(Duration::from_secs(10), Pair::is_selected);
        pair.net.story().to_string()
    });
    assert_eq!(stories[0], stories[1]);
    assert_ne!(stories[0], stories[2]);
}
