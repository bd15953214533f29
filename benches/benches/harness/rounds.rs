//! Runs the rounds of a bench: every operation with every codec in each round.
//!
//! Before the first round every codec is checked, and its allocations are counted. Within a round the codecs run
//! directly one after another, and a ratio compares two codecs of one round. So a longer disturbance affects both
//! codecs of a ratio.
//!
//! Each bench includes this file by its path: `Codec`, `Operation` and `Inputs` are those of the bench.

use crate::clock::ThreadTime;
use crate::codec::Codec;
use crate::operation::{Inputs, Operation};
use crate::table::Table;
use core::time::Duration;
use criterion::Criterion;
use std::path::Path;

/// The functions that check and measure one codec.
pub(crate) struct CodecRuns {
    check: fn(&Inputs, &mut Table),
    time: fn(&mut Criterion<ThreadTime>, &Table, Operation, &Inputs),
}

impl CodecRuns {
    pub(crate) const fn of<C: Codec>() -> Self {
        Self { check: check::<C>, time: time::<C> }
    }
}

/// Runs all rounds of a bench. Criterion keeps each round's figures in a folder with the name of the bench.
pub(crate) fn run(bench: &str, inputs: &Inputs, codecs: &[CodecRuns]) -> Table {
    let mut table = Table::default();
    for codec in codecs {
        (codec.check)(inputs, &mut table);
    }
    for round in 0..ROUNDS {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{bench}-{round}"));
        // The results of an earlier run must not be read as results of this run.
        let _absent = std::fs::remove_dir_all(&folder);
        let mut criterion = criterion(&folder);
        for operation in Operation::ALL {
            for codec in codecs {
                (codec.time)(&mut criterion, &table, operation, inputs);
            }
        }
        criterion.final_summary();
        table.read(&folder);
    }
    table
}

/// Returns the settings of a round. A filter on the command line selects operations.
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

/// Checks that a codec does the work, and counts its allocations.
fn check<C: Codec>(inputs: &Inputs, table: &mut Table) {
    for operation in Operation::ALL {
        let able = operation.check::<C>(inputs);
        table.add::<C>(operation, able.then(|| operation.allocations::<C>(inputs)));
    }
}

fn time<C: Codec>(criterion: &mut Criterion<ThreadTime>, table: &Table, operation: Operation, inputs: &Inputs) {
    if table.is_able::<C>(operation) {
        let mut group = criterion.benchmark_group(operation.name());
        group.bench_function(C::NAME, |bencher| operation.time::<C>(bencher, inputs));
        group.finish();
    }
}

/// The number of rounds. It is odd, so that a round is the median.
const ROUNDS: usize = 31;
