//! Descriptions beside the peers: the same texts, the same work, in one run.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench sdp [FILTER]` runs every operation with every codec in many short
//! rounds. It prints the median of the rounds' medians, the allocations, and the median of the rounds' ratios to the best
//! peer. `docs/benchmarks.md` explains the columns.
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
#[path = "../harness/rounds.rs"]
mod rounds;
#[path = "../harness/table.rs"]
mod table;
mod texts;

use codec::{Ezk, Is, Ours, Rtc, SdpTypes, WebRtc};
use operation::Operation;
use rounds::Entrant;
use texts::{Text, Texts};

fn main() {
    let texts = Texts::new();
    println!("{} bytes and {} bytes", texts.small.text.len(), texts.large.text.len());
    let entrants = [
        Entrant::of::<Ours>(),
        Entrant::of::<SdpTypes>(),
        Entrant::of::<Rtc>(),
        Entrant::of::<Ezk>(),
        Entrant::of::<WebRtc>(),
        Entrant::of::<Is>(),
    ];
    let table = rounds::run("sdp", &texts, &entrants);
    println!("\n{table}");
    let per_byte = |operation, text: &Text| {
        table.median::<Ours>(operation).map(|nanoseconds| nanoseconds / text.text.len() as f64)
    };
    let costs = per_byte(Operation::Parse, &texts.small).zip(per_byte(Operation::ParseLarge, &texts.large));
    if let Some((small, large)) = costs {
        let share = large / small;
        let verdict = if share <= 1.15 { "met" } else { "MISSED" };
        println!("a byte of the large offer costs {share:.2} of one of the small: {verdict}");
    }
}
