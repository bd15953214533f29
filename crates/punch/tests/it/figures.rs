//! Times and packets in virtual time, at a round trip of 50 ms.

use super::world::{RTT, Setup, World, kinds, name};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_nat::translator::TranslatorConfig;

/// The pairs of two endpoint-independent mappings, and of one with an open filter and a destination-dependent mapping.
fn easy_pairs() -> Vec<[TranslatorConfig; 2]> {
    let easy = |nat: &TranslatorConfig| nat.mapping == Mapping::EndpointIndependent;
    let open = |nat: &TranslatorConfig| easy(nat) && nat.filtering != Filtering::AddressAndPortDependent;
    let all = kinds();
    let pairs = all.iter().flat_map(|a| all.iter().map(move |b| [*a, *b]));
    pairs.filter(|[a, b]| (easy(a) && easy(b)) || (open(a) && !easy(b)) || (open(b) && !easy(a))).collect()
}

#[test]
fn without_loss_easy_pairs_connect_within_three_round_trips_and_ten_packets_a_side() {
    let (mut slowest, mut most) = (Duration::ZERO, 0);
    for nats in easy_pairs() {
        let run = World::new(nats).run(1, Duration::from_secs(12));
        let pair = format!("{} × {}", name(&nats[0]), name(&nats[1]));
        let time = run.time().unwrap_or_else(|| panic!("{pair}: {run:#?}"));
        assert!(time <= RTT * 3, "{pair}: {time:?} {run:#?}");
        let packets = run.packets[0].max(run.packets[1]);
        assert!(packets <= 10, "{pair}: {:?}", run.packets);
        (slowest, most) = (slowest.max(time), most.max(packets));
    }
    println!("{} pairs: slowest {slowest:?}, at most {most} packets a side", easy_pairs().len());
}

#[test]
fn with_loss_easy_pairs_connect_in_the_round() {
    for loss in [0.05, 0.1, 0.2] {
        let mut worst = (Duration::ZERO, Duration::ZERO, 0, 1.0_f64);
        for (n, nats) in easy_pairs().into_iter().enumerate() {
            // Each eighth pair has a thousand runs; `PUNCH_RUNS=all` gives them to every pair.
            let runs = if n % 8 == 5 || std::env::var_os("PUNCH_RUNS").is_some() { 1000 } else { 100 };
            let mut world = World::new(nats).setup(Setup { loss, ..Setup::default() });
            let (mut times, mut punched) = (Vec::new(), Vec::new());
            let (mut packets, mut in_a_second) = (Vec::new(), 0);
            for seed in 0..runs {
                let run = world.run(seed, Duration::from_secs(12));
                let time = run.time().unwrap_or_else(|| panic!("seed {seed}: {run:#?}"));
                in_a_second += u32::from(time <= Duration::from_secs(1));
                times.push(time);
                punched.push(run.punched().unwrap());
                packets.push(run.packets[0].max(run.packets[1]));
            }
            times.sort_unstable();
            punched.sort_unstable();
            packets.sort_unstable();
            let (median, p99) = (punched[times.len() / 2], punched[times.len() * 99 / 100]);
            let (most, share) = (packets[packets.len() - 1], f64::from(in_a_second) / times.len() as f64);
            println!(
                "loss {loss}: {} × {}: punched median {median:?} p99 {p99:?}; connected median {:?} p99 {:?} last {:?}; packets p99 {} at most {most}, in 1 s {share}",
                name(&nats[0]),
                name(&nats[1]),
                times[times.len() / 2],
                times[times.len() * 99 / 100],
                times[times.len() - 1],
                packets[packets.len() * 99 / 100],
            );
            assert!(median <= RTT * 3 && p99 <= Duration::from_secs(2), "median {median:?}, p99 {p99:?}");
            worst = (worst.0.max(median), worst.1.max(p99), worst.2.max(most), worst.3.min(share));
        }
        if loss <= 0.05 {
            assert!(worst.2 <= 20 && worst.3 >= 0.95, "{worst:?}");
        }
    }
}

/// Run by hand, in release: `cargo test --release -p portolan-punch --test it speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement without a limit: run by hand, in release"]
fn speed_of_a_thousand_runs_of_a_pair() {
    for nats in [easy_pairs()[0], easy_pairs()[8]] {
        let mut world = World::new(nats);
        let began = std::time::Instant::now();
        for seed in 0..1000 {
            assert!(world.run(seed, Duration::from_secs(12)).is_connected());
        }
        println!("{} × {}: 1,000 runs in {:?}", name(&nats[0]), name(&nats[1]), began.elapsed());
    }
}
