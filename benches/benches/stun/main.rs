//! The STUN codec beside its peers: the same messages, the same work, in one run.
//!
//! `cargo bench -p portolan-benches --bench stun [FILTER]` runs every operation with every codec in many short rounds and
//! prints the median of the rounds' medians, what was allocated, and the median of the rounds' ratios to the best peer; what
//! the columns mean stands in `docs/benchmarks.md`.
//!
//! Before anything is timed each codec is asked to understand what is put before it: one that reads something else, accepts a
//! forgery or writes another message ends the run.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a bench that cannot go on ends at once, and a program with std has no second name for its collections; a walk looks at what the message holds"
)]

#[path = "../harness/allocations.rs"]
mod allocations;
#[path = "../harness/clock.rs"]
mod clock;
mod codec;
mod messages;
mod operation;
#[path = "../harness/table.rs"]
mod table;

use clock::ThreadTime;
use codec::{Codec, Ezk, Is, Ours, Rtc, StunTypes};
use core::time::Duration;
use criterion::Criterion;
use messages::Messages;
use operation::Operation;
use std::path::{Path, PathBuf};
use table::Table;

/// Each operation is timed with each codec once a round, one straight after the other, and the ratio is that round's: what
/// disturbs the machine for longer disturbs both sides of it. An odd number has a middle.
const ROUNDS: usize = 31;

fn main() {
    let messages = Messages::new();
    let mut table = Table::default();
    survey::<Ours>(&messages, &mut table);
    survey::<StunTypes>(&messages, &mut table);
    survey::<Rtc>(&messages, &mut table);
    survey::<Is>(&messages, &mut table);
    survey::<Ezk>(&messages, &mut table);
    for round in 0..ROUNDS {
        let folder = folder(round);
        // What an earlier run left must not be taken for this one's.
        let _absent = std::fs::remove_dir_all(&folder);
        let mut criterion = Criterion::default()
            .with_measurement(ThreadTime)
            .without_plots()
            .warm_up_time(Duration::from_millis(10))
            .measurement_time(Duration::from_millis(40))
            .sample_size(20)
            .nresamples(1_000)
            .output_directory(&folder)
            .configure_from_args();
        for operation in Operation::ALL {
            time::<Ours>(&mut criterion, operation, &messages);
            time::<StunTypes>(&mut criterion, operation, &messages);
            time::<Rtc>(&mut criterion, operation, &messages);
            time::<Is>(&mut criterion, operation, &messages);
            time::<Ezk>(&mut criterion, operation, &messages);
        }
        criterion.final_summary();
        table.read(&folder);
    }
    println!("\n{table}");
}

/// Where criterion keeps a round's figures.
fn folder(round: usize) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stun-{round}"))
}

/// Proves that a codec does the work, and counts what it allocates.
fn survey<C: Codec>(messages: &Messages, table: &mut Table) {
    for operation in Operation::ALL {
        let able = operation.prove::<C>(messages);
        let allocations = able.then(|| {
            let mut codec = C::new();
            allocations::of(|| operation.run(&mut codec, messages))
        });
        table.add::<C>(operation, allocations);
    }
}

fn time<C: Codec>(criterion: &mut Criterion<ThreadTime>, operation: Operation, messages: &Messages) {
    if operation.prove::<C>(messages) {
        let mut codec = C::new();
        let mut group = criterion.benchmark_group(operation.name());
        group.bench_function(C::NAME, |bencher| operation.time(bencher, &mut codec, messages));
        group.finish();
    }
}
