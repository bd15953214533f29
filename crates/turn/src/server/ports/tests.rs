//! The pool of ports against a set, and the distribution of its ports.

use super::*;
use alloc::collections::BTreeSet;
use portolan_machine::{Entropy, Instant, SocketIds};

/// An RNG with a seed: SplitMix64.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        out.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]));
    }
}

fn with_cx<R>(seed: u64, run: impl FnOnce(&mut Cx<'_>) -> R) -> R {
    let (mut rng, mut ids) = (Seeded(seed), SocketIds::new());
    run(&mut Cx::new(Instant::ORIGIN, &mut rng, &mut ids))
}

/// Checks the three sets against the set of free ports.
fn check(ports: &Ports, free: &BTreeSet<u16>) {
    assert_eq!(ports.free(), free.len());
    let of = |numbers: &Numbers, odd| -> BTreeSet<u16> {
        numbers.order[..numbers.len()].iter().map(|&number| ports.port(number, odd)).collect()
    };
    let parity = |odd| free.iter().copied().filter(move |port| port % 2 == odd);
    assert_eq!(of(&ports.even, 0), parity(0).collect());
    assert_eq!(of(&ports.odd, 1), parity(1).collect());
    assert_eq!(of(&ports.pairs, 0), parity(0).filter(|port| free.contains(&(port + 1))).collect());
}

#[test]
fn a_hundred_thousand_random_operations_agree_with_a_set_and_release_every_port() {
    for (first, last) in [(50_000, 50_063), (49_999, 50_040), (65_500, 65_535), (1, 1), (2, 2), (65_535, 65_535)] {
        let all: BTreeSet<u16> = (first..=last).collect();
        let (mut ports, mut free, mut taken) = (Ports::new(first, last), all.clone(), Vec::new());
        check(&ports, &free);
        let mut choices = Seeded(7);
        with_cx(1, |cx| {
            for _ in 0..100_000 / 6 {
                let choice = choices.next();
                // The share of takes changes, so that the pool is full, empty and in between.
                if (choice >> 8) % 100 < (choice >> 32) % 100 {
                    let (port, next) = match choice % 3 {
                        0 => (ports.take(cx), None),
                        1 => (ports.take_even(cx), None),
                        _ => {
                            let port = ports.take_pair(cx);
                            (port, port.map(|port| port + 1))
                        }
                    };
                    assert!(choice.is_multiple_of(3) || port.is_none_or(|port| port % 2 == 0));
                    let possible = match choice % 3 {
                        0 => !free.is_empty(),
                        1 => free.iter().any(|port| port % 2 == 0),
                        _ => free.iter().any(|port| port % 2 == 0 && free.contains(&(port + 1))),
                    };
                    assert_eq!(port.is_some(), possible);
                    for port in port.into_iter().chain(next) {
                        assert!(free.remove(&port), "{port} was taken before");
                        taken.push(port);
                    }
                } else if !taken.is_empty() {
                    let at = usize::try_from(choice >> 40).unwrap() % taken.len();
                    let port = taken.swap_remove(at);
                    ports.release(port);
                    free.insert(port);
                }
                check(&ports, &free);
            }
        });
        taken.into_iter().for_each(|port| ports.release(port));
        check(&ports, &all);
    }
}

#[test]
fn even_port_without_reservation_does_not_take_the_next_port() {
    let mut ports = Ports::new(50_000, 50_999);
    with_cx(1, |cx| {
        for _ in 0..100_000 {
            let port = ports.take_even(cx).unwrap();
            assert_eq!((port % 2, ports.free()), (0, 999));
            ports.release(port);
        }
        assert_eq!(ports.free(), 1000);
        let mut even = BTreeSet::new();
        while let Some(port) = ports.take_even(cx) {
            even.insert(port);
        }
        assert_eq!((even.len(), ports.free()), (500, 500), "all even ports, and no odd one");
        assert_eq!(ports.take_pair(cx), None);
        assert!(ports.take(cx).is_some_and(|port| port % 2 == 1));
    });
}

#[test]
fn every_port_can_be_taken_and_the_last_one_as_fast_as_the_first() {
    let mut ports = Ports::new(1024, 65_535);
    with_cx(1, |cx| {
        let taken: BTreeSet<u16> = core::iter::from_fn(|| ports.take(cx)).collect();
        assert_eq!((taken.len(), ports.free()), (64_512, 0));
        assert_eq!((ports.take_even(cx), ports.take_pair(cx)), (None, None));
    });
    ports.release(2000);
    with_cx(1, |cx| assert_eq!(ports.take_even(cx), Some(2000)));
}

#[test]
fn a_port_that_is_free_or_not_in_the_range_is_not_released() {
    let mut ports = Ports::new(50_001, 50_004);
    let before = ports.clone();
    for port in [0, 50_000, 50_001, 50_004, 50_005, 65_535] {
        ports.release(port);
        assert_eq!(ports, before, "{port}");
    }
    assert_eq!(Ports::new(50_001, 50_000).free(), 0);
}

#[test]
fn ports_depend_on_the_rng_and_are_uniform() {
    let sequence = |seed| {
        let mut ports = Ports::new(49_152, 65_535);
        with_cx(seed, |cx| (0..8).map(|_| ports.take(cx).unwrap()).collect::<Vec<_>>())
    };
    assert_eq!(sequence(1), sequence(1));
    assert_ne!(sequence(1), sequence(2));
    let increments = sequence(1).windows(2).map(|two| two[1].wrapping_sub(two[0])).collect::<BTreeSet<_>>();
    assert_eq!(increments.len(), 7, "no two ports have the same distance");

    // Chi-squared of the first port, and of the port after another one was released: 64 ports, 64,000 draws.
    let (mut first, mut after_release) = ([0_u32; 64], [0_u32; 64]);
    with_cx(9, |cx| {
        for _ in 0..64_000 {
            let mut ports = Ports::new(50_000, 50_063);
            let port = ports.take(cx).unwrap();
            first[usize::from(port - 50_000)] += 1;
            ports.release(port);
            let distance = (ports.take(cx).unwrap() + 64 - port) % 64;
            after_release[usize::from(distance)] += 1;
        }
    });
    for counts in [first, after_release] {
        let chi_squared: f64 = counts.iter().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi_squared < 63.0 + 6.0 * 11.3, "{chi_squared}");
    }
}
