//! Guesses: predicted ports, random ports, and a known block. The forecast's probability equals the result.

use super::world::{Run, Setup, World, card, kind};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::forecast::{Budget, Conditions, Verdict, forecast};
use portolan_punch::puncher::{PunchConfig, PunchEvent};

fn easy() -> TranslatorConfig {
    kind(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent)
}

fn hard(ports: PortAllocation) -> TranslatorConfig {
    kind(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent).ports(ports)
}

const GUESS: Setup =
    Setup { loss: 0.0, change: |config| config.may_guess(true), knows_block: false, delay: Duration::ZERO };

/// The results of many runs: how many connected within a time, and the largest counts.
#[derive(Debug, Default)]
struct Tally {
    runs: u32,
    in_time: u32,
    packets: [u64; 2],
    mappings: [usize; 2],
    slowest: Duration,
    planned: Option<f64>,
}

impl Tally {
    fn share(&self) -> f64 {
        f64::from(self.in_time) / f64::from(self.runs)
    }

    fn add(&mut self, run: &Run, most: Duration) {
        self.runs += 1;
        if let Some(time) = run.time().filter(|time| *time <= most) {
            self.in_time += 1;
            self.slowest = self.slowest.max(time);
        }
        for side in [0, 1] {
            self.packets[side] = self.packets[side].max(run.packets[side]);
            self.mappings[side] = self.mappings[side].max(run.mappings[side]);
        }
        for (side, event) in &run.events {
            if let PunchEvent::Planned(plan) = event {
                self.planned = plan.forecast.probability;
                assert!(run.mappings[*side] <= usize::from(plan.limit.mappings), "{run:?}");
            }
        }
    }
}

/// Runs until the first strategy has ended.
fn tally(world: &mut World, runs: u64, most: Duration) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..runs {
        let run = world.run(seed, most);
        tally.add(&run, most);
    }
    tally
}

fn near(tally: &Tally) {
    let planned = tally.planned.expect("a plan with a probability");
    assert!((planned - tally.share()).abs() <= 0.05, "planned {planned}, {tally:?}");
}

#[test]
fn the_next_port_of_a_sequential_nat_is_predicted_in_cross_traffic() {
    let nats = [easy(), hard(PortAllocation::Sequential { step: 1 })];
    let delay = Duration::from_millis(300);
    for (flows, change) in [
        (10, GUESS.change),
        (
            50,
            (|config| config.may_guess(true).conditions(Conditions { cross_traffic: 50, ..Conditions::default() }))
                as fn(PunchConfig) -> PunchConfig,
        ),
    ] {
        let mut world = World::new(nats).cross_traffic(flows).setup(Setup { delay, change, ..GUESS });
        // The time counts from the introduction, so the delay is a part of it.
        let tally = tally(&mut world, 1000, Duration::from_secs(1));
        println!("{flows} flows/s: {} in 1 s, {tally:?}", tally.share());
        assert!(tally.share() >= 0.99 || flows > 10, "{tally:?}");
        assert!(tally.packets[0] <= 50, "{tally:?}");
        near(&tally);
    }
}

#[test]
fn a_step_back_a_preserved_port_and_loss_are_predicted_too() {
    for (ports, loss, least) in [
        (PortAllocation::Sequential { step: -2 }, 0.0, 1.0),
        (PortAllocation::Preserving, 0.0, 1.0),
        (PortAllocation::Sequential { step: 1 }, 0.1, 0.99),
        (PortAllocation::Sequential { step: 1 }, 0.2, 0.95),
    ] {
        let nats = [easy(), hard(ports)];
        let mut world = World::new(nats).setup(Setup { loss, ..GUESS });
        let tally = tally(&mut world, 300, Duration::from_millis(1500));
        println!("{ports} at loss {loss}: {} in 1.5 s, {tally:?}", tally.share());
        assert!(tally.share() >= least, "{ports} at loss {loss}: {tally:?}");
        near(&tally);
    }
}

/// A hit is tried again until both sides know it. A packet that opens a filter need not arrive.
#[test]
fn a_random_guess_with_loss_is_less_likely_but_not_much() {
    let nats = [easy(), hard(PortAllocation::Block { size: 2048 })];
    for (loss, least) in [(0.05, 0.97), (0.1, 0.93)] {
        let mut world = World::new(nats).setup(Setup { knows_block: true, loss, ..GUESS });
        let tally = tally(&mut world, 300, Duration::from_secs(2));
        println!("block at loss {loss}: {} in 2 s, {tally:?}", tally.share());
        assert!(tally.share() >= least, "{tally:?}");
    }
}

#[test]
fn a_random_port_is_guessed_with_256_sockets_and_1200_probes() {
    let mut world = World::new([easy(), hard(PortAllocation::Random)]).setup(GUESS);
    let tally = tally(&mut world, 1000, Duration::from_secs(15));
    println!("{} in 15 s, {tally:?}", tally.share());
    assert!(tally.share() >= 0.985, "{tally:?}");
    assert!(tally.mappings[1] <= 257 && tally.packets[0] <= 1210 && tally.packets[1] <= 270, "{tally:?}");
    near(&tally);
}

#[test]
fn a_port_of_a_known_block_is_guessed_in_a_second_and_a_half() {
    let nats = [easy(), hard(PortAllocation::Block { size: 2048 })];
    let mut world = World::new(nats).setup(Setup { knows_block: true, ..GUESS });
    let tally = tally(&mut world, 1000, Duration::from_millis(1500));
    println!("{} in 1.5 s, {tally:?}", tally.share());
    assert!(tally.share() >= 0.985, "{tally:?}");
    assert!(tally.packets[0] <= 110 && tally.packets[1] <= 110, "{tally:?}");
    near(&tally);
}

#[test]
fn a_smaller_budget_has_the_forecast_probability() {
    let change = |config: PunchConfig| {
        let budget = Budget { mappings: 80, sessions: 700, rate: 100 };
        config.may_guess(true).conditions(Conditions { budget, ..Conditions::default() })
    };
    let mut world = World::new([easy(), hard(PortAllocation::Random)]).setup(Setup { change, ..GUESS });
    let tally = tally(&mut world, 1000, Duration::from_secs(9));
    println!("{} with a small budget, {tally:?}", tally.share());
    assert!(tally.mappings[1] <= 80 && tally.packets[0] <= 700, "{tally:?}");
    near(&tally);
}

#[test]
fn two_hard_nats_are_never_guessed() {
    let nats = [hard(PortAllocation::Random), hard(PortAllocation::Sequential { step: 1 })];
    let found = forecast(&card(&nats[0]), &card(&nats[1]), &Conditions::default());
    assert_eq!(found.verdict, Verdict::RelayOnly);
    let run = World::new(nats).setup(GUESS).run(1, Duration::from_secs(12));
    assert!(!run.is_connected() && run.mappings.iter().all(|made| *made <= 2), "{run:?}");
    assert!(run.packets.iter().all(|packets| *packets <= 102), "{run:?}");
}
