//! Pacing, and the times of retransmissions.

use super::alloc::collections::BTreeSet;
use super::{Hand, at, completions, lan, ms, transmits};
use core::time::Duration;
use portolan_ice::gather::{AddressFilter, Interface};
use portolan_ice::{GatherConfig, GatherEvent, Pacer};
use portolan_machine::{Instant, Output};
use proptest::prelude::*;

fn hosts(count: u8) -> Vec<Interface> {
    (1..=count).map(|n| lan("eth0", &format!("10.0.0.{n}"))).collect()
}

fn servers(count: u8) -> GatherConfig {
    let mut filter = AddressFilter::default();
    filter.ipv4_limit = 64;
    (1..=count).fold(GatherConfig::new().filter(filter), |config, n| config.server(at(&format!("192.0.2.{n}:3478"))))
}

/// The times of the first sends: a retransmission repeats a transaction id.
fn starts(outputs: &[(Instant, Output<GatherEvent>)]) -> Vec<Instant> {
    let mut known = BTreeSet::new();
    let first = outputs.iter().filter_map(|(at, output)| match output {
        Output::Transmit(sent) if known.insert(sent.payload[8..20].to_vec()) => Some(*at),
        _ => None,
    });
    first.collect()
}

#[test]
fn sixty_four_addresses_are_asked_for_one_each_ta_and_all_appear_at_once() {
    let mut hand = Hand::new(servers(1));
    hand.set(hosts(64)).unwrap();
    let opened = hand.open_all();
    assert_eq!(super::candidates(&opened).len(), 64);
    assert_eq!(transmits(&opened).len(), 1);
    let mut preferences: Vec<_> = super::candidates(&opened).iter().map(|found| found.preference).collect();
    assert_eq!(preferences[0], 65535);
    preferences.dedup();
    assert_eq!(preferences.len(), 64);

    let outputs = hand.run_until(Instant::from_millis(3150));
    let starts = starts(&outputs);
    assert_eq!(starts.len(), 63);
    assert!(starts.iter().zip(1..).all(|(at, n)| *at == Instant::from_millis(50 * n)), "{starts:?}");
    // RFC 8445 §14.3: the RTO is 64 x 50 ms, so no request was retransmitted before all were sent.
    let sent = outputs.iter().filter(|(_, output)| matches!(output, Output::Transmit(_)));
    assert_eq!(sent.count(), 63);
}

#[test]
fn a_shared_pacer_delays_the_other_machine() {
    let mut hand = Hand::new(servers(2));
    hand.set(hosts(1)).unwrap();
    let _first = hand.open_all();
    assert_eq!(hand.gatherer.next_send(), Some(Instant::from_millis(50)));
    // An agent with the same pacer starts a check at 40 ms.
    let mut agent = Pacer::default();
    agent.take(Instant::from_millis(40));
    hand.gatherer.merge_pacer(agent);
    let outputs = hand.run_until(Instant::from_millis(200));
    assert_eq!(starts(&outputs), [Instant::from_millis(90)]);
    assert_eq!(hand.gatherer.pacer().next(), Instant::from_millis(140));
    assert_eq!(hand.gatherer.next_send(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pacing_is_never_exceeded(
        ta in 0..120_u64,
        steps in prop::collection::vec((0..400_u64, 0..12_u8, 0..4_u8), 1..12),
        answered in any::<u64>(),
    ) {
        let config = servers(3).pacing(ms(ta)).timeout(ms(3000)).keepalive(Duration::from_secs(1));
        let mut hand = Hand::new(config);
        hand.set(hosts(3)).unwrap();
        let first = hand.open_all();
        let (mut all, mut n): (Vec<_>, _) = (first.into_iter().map(|output| (hand.now, output)).collect(), 0);
        for (wait, addresses, action) in steps {
            match action {
                0 => hand.with(|gatherer, cx| gatherer.restart(cx)).unwrap(),
                _ => hand.set(hosts(addresses)).unwrap(),
            }
            let opened = hand.open_all();
            all.extend(opened.into_iter().map(|output| (hand.now, output)));
            let outputs = hand.run_until(hand.now + ms(wait));
            for (_, output) in &outputs {
                n += 1;
                if let Output::Transmit(sent) = output && answered >> (n % 64) & 1 == 1 {
                    let local = at(&format!("10.0.0.1:{}", 5000 + sent.socket.0));
                    let _mine = hand.answer(sent, local, at(&format!("203.0.113.1:{}", 1000 + n)));
                }
            }
            all.extend(outputs);
        }
        let rest = hand.run_until(hand.now + Duration::from_secs(30));
        all.extend(rest);
        let starts = starts(&all);
        let least = ms(ta.max(5));
        for pair in starts.windows(2) {
            prop_assert!(pair[1] - pair[0] >= least, "{} and {} with Ta {least:?}", pair[0], pair[1]);
        }
        let outputs: Vec<_> = all.into_iter().map(|(_, output)| output).collect();
        prop_assert!(!completions(&outputs).is_empty());
    }
}
