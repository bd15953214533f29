//! Compares complete ICE sessions of `portolan-ice` with those of other crates: two agents in memory, in virtual time.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench ice [-- FILTER]` runs every case with every agent in many
//! rounds. In a round the agents take turns. It prints the processor time of a session (median, least and greatest),
//! allocations, datagrams, and our time divided by the agent's. `docs/benchmarks.md` explains the columns.
//!
//! With `-- --heap` it prints the heap of the agents alone, which does not depend on other load.
//! With `-- --sessions 100 --agent NAME --addresses 16` it only runs sessions, for a tool that counts instructions.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a failed bench panics")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the bench ignores events that it does not use")]

extern crate alloc;

mod agent;
#[path = "../harness/allocations.rs"]
mod allocations;
mod inputs;
mod report;
mod session;

use agent::{Agent, Browserlike, Ezk, Is, Ours, OwnAgent, Rice, Rtc};
use core::time::Duration;
use report::{Spread, now};
use session::{Case, Session};

/// The number of rounds. It is odd, so that a round is the median.
const ROUNDS: usize = 31;
/// The processor time of an agent's sessions in one round, in nanoseconds.
const ROUND: f64 = 3e6;

/// The functions of one agent.
struct Runs {
    name: &'static str,
    /// Runs sessions, and returns the processor time of each in nanoseconds.
    time: fn(Case, u32) -> f64,
    /// Runs one session and counts.
    count: fn(Case) -> Option<Counts>,
    /// The nanoseconds and datagrams of one minute of a connected session.
    idle: fn(Case) -> (f64, u64),
    heap: fn() -> [u64; 4],
}

/// The counts of a session.
struct Counts {
    allocations: u64,
    bytes: u64,
    datagrams: u64,
    time: Duration,
    agrees: bool,
}

impl Runs {
    const ALL: [Self; 6] = [
        Self::of::<Ours>(),
        Self::of::<OwnAgent<Browserlike>>(),
        Self::of::<Is>(),
        Self::of::<Ezk>(),
        Self::of::<Rice>(),
        Self::of::<Rtc>(),
    ];

    const fn of<A: Agent>() -> Self {
        Self { name: A::NAME, time: time::<A>, count: count::<A>, idle: idle::<A>, heap: heap::<A> }
    }
}

fn time<A: Agent>(case: Case, sessions: u32) -> f64 {
    let start = now();
    for _ in 0..sessions {
        let mut session = Session::<A>::new(case);
        assert!(session.connect(), "{}: no selected pair", A::NAME);
    }
    (now() - start) / f64::from(sessions)
}

fn count<A: Agent>(case: Case) -> Option<Counts> {
    // The first session may fill caches.
    if !Session::<A>::new(case).connect() {
        return None;
    }
    allocations::start();
    let mut session = Session::<A>::new(case);
    let is_connected = session.connect();
    let allocations = allocations::stop();
    let (bytes, datagrams, time, agrees) = (allocations::allocated(), session.sent, session.now, session.agrees());
    is_connected.then_some(Counts { allocations, bytes, datagrams, time, agrees })
}

fn idle<A: Agent>(case: Case) -> (f64, u64) {
    let mut session = Session::<A>::new(case);
    assert!(session.connect(), "{}: no selected pair", A::NAME);
    session.run_until(session.now + Duration::from_secs(60));
    let (sent, start) = (session.sent, now());
    session.run_until(session.now + Duration::from_secs(600));
    ((now() - start) / 10.0, (session.sent - sent) / 10)
}

/// The bytes of the controlling agent, without its value: with one candidate and no description, connected 1 × 1, and
/// connected 10 × 10; and the size of its value.
fn heap<A: Agent>() -> [u64; 4] {
    let case = |addresses| Case { addresses, limit: 100, silence: Duration::ZERO };
    let alone = A::new(&agent::addresses(1, 1), 100, true);
    let connected = |addresses| {
        let mut session = Session::<A>::new(case(addresses));
        assert!(session.connect(), "{}: no selected pair", A::NAME);
        allocations::bytes_of(session.left.into_inner())
    };
    let size = u64::try_from(size_of::<A::Inner>()).expect("a small value");
    [allocations::bytes_of(alone.into_inner()), connected(1), connected(10), size]
}

/// Prints one row for each agent.
fn compare(case: Case) {
    let Case { addresses, limit, silence } = case;
    println!("\n{addresses} × {addresses}, at most {limit} pairs, the network is silent for {silence:?}\n");
    println!("| agent | µs | allocations | bytes | datagrams | virtual ms | ratio |\n|---|---|---|---|---|---|---|");
    let counted: Vec<(Runs, Option<Counts>)> =
        Runs::ALL.into_iter().map(|runs| ((runs.count)(case), runs)).map(|(counts, runs)| (runs, counts)).collect();
    let able: Vec<(Runs, Counts)> = counted
        .into_iter()
        .filter_map(|(runs, counts)| {
            if counts.is_none() {
                println!("| {} | no selected pair in two minutes | | | | | |", runs.name);
            }
            Some((runs, counts?))
        })
        .collect();
    let sessions: Vec<u32> =
        able.iter().map(|(runs, _)| (ROUND / (runs.time)(case, 1)).clamp(1.0, 1_000.0) as u32).collect();
    let mut rounds: Vec<Vec<f64>> = able.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
    for _ in 0..ROUNDS {
        for (at, (runs, _)) in able.iter().enumerate() {
            rounds[at].push((runs.time)(case, sessions[at]) / 1_000.0);
        }
    }
    for (at, (runs, counts)) in able.iter().enumerate() {
        let ratio = Spread::of(rounds[0].iter().zip(&rounds[at]).map(|(own, peer)| own / peer));
        let time = Spread::of(rounds[at].iter().copied());
        let Counts { allocations, bytes, datagrams, time: virtual_time, agrees } = counts;
        let remark = if *agrees { "" } else { ", two different pairs" };
        let millis = virtual_time.as_millis();
        println!("| {} | {time} | {allocations} | {bytes} | {datagrams}{remark} | {millis} | {ratio} |", runs.name);
    }
    let peers = || (0..able.len()).filter(|at| !able[*at].0.name.starts_with("portolan"));
    let best = |round: usize| peers().map(|at| rounds[at][round]).reduce(f64::min);
    let ratios: Vec<f64> = (0..ROUNDS).filter_map(|round| Some(rounds[0][round] / best(round)?)).collect();
    println!("\nour time divided by that of the fastest peer: {}", Spread::of(ratios));
}

/// The growth of our time with the number of pairs, without a small limit.
fn growth() {
    println!(
        "\nGrowth, at most 1,000 pairs\n\n| candidates | pairs | µs | µs / (pairs × log2 pairs) |\n|---|---|---|---|"
    );
    for addresses in [4_u8, 8, 16, 31] {
        let case = Case { addresses, limit: 1_000, silence: Duration::ZERO };
        let rounds = (0..ROUNDS).map(|_| time::<Ours>(case, 20) / 1_000.0);
        let (spread, pairs) = (Spread::of(rounds), f64::from(addresses).powi(2));
        println!("| {addresses} × {addresses} | {pairs} | {spread} | {:.3} |", spread.median / (pairs * pairs.log2()));
    }
}

/// Prints the heap of the agents.
fn heaps() {
    println!("\nHeap of the controlling agent in bytes, and the size of its value\n");
    println!("| agent | one candidate | connected 1 × 1 | connected 10 × 10 | value |\n|---|---|---|---|---|");
    for runs in Runs::ALL {
        let [alone, one, ten, size] = (runs.heap)();
        println!("| {} | {alone} | {one} | {ten} | {size} |", runs.name);
    }
}

fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|word| word != name).nth(1)
}

fn main() {
    if let Some(sessions) = option("--sessions") {
        let addresses = option("--addresses").map_or(1, |count| count.parse().expect("a number"));
        let name = option("--agent").unwrap_or_else(|| Ours::NAME.to_owned());
        let runs = Runs::ALL.into_iter().find(|runs| runs.name == name).expect("the name of an agent");
        let case = Case { addresses, limit: 100, silence: Duration::ZERO };
        println!("{:.0} ns", (runs.time)(case, sessions.parse().expect("a number")));
        return;
    }
    if std::env::args().any(|word| word == "--heap") {
        return heaps();
    }
    for silence in [Duration::ZERO, Duration::from_secs(2)] {
        for addresses in [1, 3, 10, 16, 40] {
            compare(Case { addresses, limit: 100, silence });
        }
    }
    growth();
    println!("\nA minute of a connected session 1 × 1\n\n| agent | µs | datagrams |\n|---|---|---|");
    for runs in Runs::ALL {
        let case = Case { addresses: 1, limit: 100, silence: Duration::ZERO };
        let rounds: Vec<(f64, u64)> = (0..ROUNDS).map(|_| (runs.idle)(case)).collect();
        let spread = Spread::of(rounds.iter().map(|(time, _)| time / 1_000.0));
        println!("| {} | {spread} | {} |", runs.name, rounds[0].1);
    }
    heaps();
    inputs::run();
}
