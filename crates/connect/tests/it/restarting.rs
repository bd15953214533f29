//! Restarts of connections behind NATs, with delayed and overtaking descriptions (RFC 8445 §9, §12.1).

use crate::pair::{Pair, Setup, Side};
use core::time::Duration;
use portolan_connect::ConnectEvent;
use portolan_ice::AgentState;
use portolan_sim::{Preset, Topology};

fn connected(seed: u64) -> Pair {
    let home = Topology::preset(Preset::Home).rtt(Duration::from_millis(40));
    let mut pair = Pair::new(seed, &home, &home, &Setup::default());
    pair.start();
    pair.run_until(Duration::from_secs(10), Pair::is_selected);
    pair
}

/// The number of restarts that a side has made because of the peer.
fn answers(pair: &Pair, side: Side) -> usize {
    let is_restart = |event: &ConnectEvent| matches!(event, ConnectEvent::Restarted(_));
    pair.events.iter().filter(|(_, known, event)| *known == side && is_restart(event)).count()
}

/// Two restarts within one round trip of the signalling: the answer to the first one arrives after the second one.
#[test]
fn rfc8445_9_the_answer_to_an_earlier_description_is_recognised() {
    for seed in 0..8 {
        let mut pair = connected(seed);
        pair.jitter = Duration::from_millis(2_000);
        pair.restart(Side::Left);
        pair.restart(Side::Left);
        let end = pair.net.now().since_origin() + Duration::from_secs(20);
        pair.run_until(end, |_| false);
        assert!(pair.agrees(), "seed {seed}");
        assert_eq!(answers(&pair, Side::Left), 0, "seed {seed}");
        assert!((1..=2).contains(&answers(&pair, Side::Right)), "seed {seed}");
    }
}

/// Restarts of both sides, whose descriptions and candidates overtake each other, end in one session.
#[test]
fn rfc8445_9_restarts_with_overtaking_descriptions_end_in_one_session() {
    for seed in 0..24_u64 {
        let mut pair = connected(seed);
        pair.jitter = Duration::from_millis(3_000);
        for nth in 0..4 {
            pair.restart(if seed >> nth & 1 == 0 { Side::Left } else { Side::Right });
            let end = pair.net.now().since_origin() + Duration::from_millis(seed * 97 % 800);
            pair.run_until(end, |_| false);
        }
        let end = pair.net.now().since_origin() + Duration::from_secs(60);
        pair.run_until(end, |_| false);
        let states = Side::BOTH.map(|side| pair.connection(side).agent().state());
        let restarts = Side::BOTH.map(|side| answers(&pair, side));
        assert_eq!(states, [AgentState::Completed; 2], "seed {seed} {restarts:?}");
        assert!(pair.agrees(), "seed {seed}");
        assert!(restarts.iter().all(|count| *count <= 4), "seed {seed} {restarts:?}");
    }
}
