//! The rounds: every operation with every codec, again and again.
//!
//! Rules of this file: before anything is timed every codec has proved that it does the work, and what it allocates is
//! counted. Within a round the codecs follow one another straight, and a ratio is that of one round: what disturbs the machine
//! for longer disturbs both sides of it. A part of each bench by its path: `Codec`, `Operation` and `Material` are those of
//! the bench.

use crate::clock::ThreadTime;
use crate::codec::Codec;
use crate::operation::{Material, Operation};
use crate::table::Table;
use core::time::Duration;
use criterion::Criterion;
use std::path::Path;

/// A codec in the race.
pub(crate) struct Entrant {
    survey: fn(&Material, &mut Table),
    time: fn(&mut Criterion<ThreadTime>, &Table, Operation, &Material),
}

impl Entrant {
    pub(crate) const fn of<C: Codec>() -> Self {
        Self { survey: survey::<C>, time: time::<C> }
    }
}

/// Runs all rounds of a bench. Criterion keeps each round's figures in a folder with the name of the bench.
pub(crate) fn run(bench: &str, material: &Material, entrants: &[Entrant]) -> Table {
    let mut table = Table::default();
    for entrant in entrants {
        (entrant.survey)(material, &mut table);
    }
    for round in 0..ROUNDS {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{bench}-{round}"));
        // What an earlier run left must not be taken for this one's.
        let _absent = std::fs::remove_dir_all(&folder);
        let mut criterion = criterion(&folder);
        for operation in Operation::ALL {
            for entrant in entrants {
                (entrant.time)(&mut criterion, &table, operation, material);
            }
        }
        criterion.final_summary();
        table.read(&folder);
    }
    table
}

/// What is on the command line may narrow it to some operations.
fn criterion(folder: &Path) -> Criterion<ThreadTime> {
    Criterion::default()
        .with_measurement(ThreadTime)
        .without_plots()
        .warm_up_time(Duration::from_millis(10))
        .measurement_time(Duration::from_millis(40))
        .sample_size(20)
        .nresamples(1_000)
        .output_directory(folder)
        .configure_from_args()
}

/// Proves that a codec does the work, and counts what it allocates.
fn survey<C: Codec>(material: &Material, table: &mut Table) {
    for operation in Operation::ALL {
        let able = operation.prove::<C>(material);
        table.add::<C>(operation, able.then(|| operation.allocations::<C>(material)));
    }
}

fn time<C: Codec>(criterion: &mut Criterion<ThreadTime>, table: &Table, operation: Operation, material: &Material) {
    if table.is_able::<C>(operation) {
        let mut group = criterion.benchmark_group(operation.name());
        group.bench_function(C::NAME, |bencher| operation.time::<C>(bencher, material));
        group.finish();
    }
}

/// An odd number has a middle.
const ROUNDS: usize = 31;
