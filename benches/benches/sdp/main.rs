//! Descriptions beside the peers: the same texts, the same work, in one run.
//!
//! `cargo bench -p portolan-benches --bench sdp [FILTER]` runs every operation with every codec in many short rounds and
//! prints the median of the rounds' medians, what was allocated, and the median of the rounds' ratios to the best peer; what
//! the columns mean stands in `docs/benchmarks.md`.
//!
//! Before anything is timed each codec is asked to understand what is put before it: one that reads something else, takes
//! what is broken or writes something else ends the run.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a bench that cannot go on ends at once; a digest looks at what the texts hold"
)]

#[path = "../harness/allocations.rs"]
mod allocations;
#[path = "../harness/clock.rs"]
mod clock;
mod codec;
mod operation;
#[path = "../harness/table.rs"]
mod table;
mod texts;

use clock::ThreadTime;
use codec::{Codec, Ezk, Ours, Rtc, SdpTypes, WebRtc};
use core::time::Duration;
use criterion::Criterion;
use operation::Operation;
use std::path::{Path, PathBuf};
use table::Table;
use texts::Texts;

/// An odd number has a middle. A round's operations follow one another straight, so that what disturbs the machine for longer
/// disturbs both sides of a ratio.
const ROUNDS: usize = 31;

fn main() {
    let texts = Texts::new();
    println!("{} bytes and {} bytes", texts.small.text.len(), texts.large.text.len());
    let mut table = Table::default();
    survey::<Ours>(&texts, &mut table);
    survey::<SdpTypes>(&texts, &mut table);
    survey::<Rtc>(&texts, &mut table);
    survey::<Ezk>(&texts, &mut table);
    survey::<WebRtc>(&texts, &mut table);
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
            time::<Ours>(&mut criterion, &table, operation, &texts);
            time::<SdpTypes>(&mut criterion, &table, operation, &texts);
            time::<Rtc>(&mut criterion, &table, operation, &texts);
            time::<Ezk>(&mut criterion, &table, operation, &texts);
            time::<WebRtc>(&mut criterion, &table, operation, &texts);
        }
        criterion.final_summary();
        table.read(&folder);
    }
    println!("\n{table}");
    let per_byte = |operation, text: &texts::Text| {
        table.median::<Ours>(operation).map(|nanoseconds| nanoseconds / text.text.len() as f64)
    };
    let costs = per_byte(Operation::Parse, &texts.small).zip(per_byte(Operation::ParseLarge, &texts.large));
    if let Some((small, large)) = costs {
        let share = large / small;
        let verdict = if share <= 1.15 { "met" } else { "MISSED" };
        println!("a byte of the large offer costs {share:.2} of one of the small: {verdict}");
    }
}

/// Where criterion keeps a round's figures.
fn folder(round: usize) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sdp-{round}"))
}

/// Proves that a codec does the work, and counts what it allocates.
fn survey<C: Codec>(texts: &Texts, table: &mut Table) {
    for operation in Operation::ALL {
        let able = operation.prove::<C>(texts);
        table.add::<C>(operation, able.then(|| operation.allocations::<C>(texts)));
    }
}

fn time<C: Codec>(criterion: &mut Criterion<ThreadTime>, table: &Table, operation: Operation, texts: &Texts) {
    if table.is_able::<C>(operation) {
        let mut group = criterion.benchmark_group(operation.name());
        group.bench_function(C::NAME, |bencher| operation.time::<C>(bencher, texts));
        group.finish();
    }
}
