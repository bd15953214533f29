//! Compares the STUN codec with other crates: the same messages and the same work in one run.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench stun [FILTER]` runs every operation with every codec in
//! many short rounds. It prints the median of the rounds' medians, the allocations, and the median of the rounds'
//! ratios to the best peer. `docs/benchmarks.md` explains the columns.
//!
//! Each operation of each codec is checked first: it must read the right values, refuse a forgery and write the right
//! message. A wrong result ends the run.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a failed bench panics; a walk ignores attributes that the messages do not contain"
)]

#[path = "../harness/allocations.rs"]
mod allocations;
#[path = "../harness/clock.rs"]
mod clock;
mod codec;
mod messages;
mod operation;
#[path = "../harness/rounds.rs"]
mod rounds;
#[path = "../harness/table.rs"]
mod table;

use codec::{Ezk, Is, Ours, Rtc, StunTypes};
use messages::Messages;
use rounds::CodecRuns;

fn main() {
    let codecs = [
        CodecRuns::of::<Ours>(),
        CodecRuns::of::<StunTypes>(),
        CodecRuns::of::<Rtc>(),
        CodecRuns::of::<Is>(),
        CodecRuns::of::<Ezk>(),
    ];
    let table = rounds::run("stun", &Messages::new(), &codecs);
    println!("\n{table}");
}
