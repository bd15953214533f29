//! Compares `portolan-sdp` with other SDP crates: the same texts and the same work in one run.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench sdp [FILTER]` runs every operation with every codec in
//! many short rounds. It prints the median of the rounds' medians, the allocations, and the median of the rounds'
//! ratios to the best peer. `docs/benchmarks.md` explains the columns.
//!
//! Each operation of each codec is checked first: it must refuse an invalid text, read the right values and write the
//! right text. A peer that fails the check of an operation is reported and not timed. If `portolan-sdp` fails, the
//! run ends.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a failed bench panics; a digest ignores attributes that the texts do not contain"
)]

#[path = "../harness/allocations.rs"]
mod allocations;
#[path = "../harness/clock.rs"]
mod clock;
mod codec;
mod operation;
#[path = "../harness/rounds.rs"]
mod rounds;
#[path = "../harness/table.rs"]
mod table;
mod texts;

use codec::{Ezk, Is, Ours, Rtc, SdpTypes, WebRtc};
use operation::Operation;
use rounds::CodecRuns;
use texts::{Text, Texts};

fn main() {
    let texts = Texts::new();
    println!("{} bytes and {} bytes", texts.small.text.len(), texts.large.text.len());
    let codecs = [
        CodecRuns::of::<Ours>(),
        CodecRuns::of::<SdpTypes>(),
        CodecRuns::of::<Rtc>(),
        CodecRuns::of::<Ezk>(),
        CodecRuns::of::<WebRtc>(),
        CodecRuns::of::<Is>(),
    ];
    let table = rounds::run("sdp", &texts, &codecs);
    println!("\n{table}");
    let per_byte = |operation, text: &Text| {
        table.median::<Ours>(operation).map(|nanoseconds| nanoseconds / text.text.len() as f64)
    };
    let costs = per_byte(Operation::Parse, &texts.small).zip(per_byte(Operation::ParseLarge, &texts.large));
    if let Some((small, large)) = costs {
        let share = large / small;
        let verdict = if share <= 1.15 { "met" } else { "MISSED" };
        println!("time per byte of the large offer, divided by that of the small one: {share:.2}: {verdict}");
    }
}
