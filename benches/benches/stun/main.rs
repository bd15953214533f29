//! The STUN codec beside its peers: the same messages, the same work, in one run.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench stun [FILTER]` runs every operation with every codec in many short
//! rounds. It prints the median of the rounds' medians, the allocations, and the median of the rounds' ratios to the best
//! peer. `docs/benchmarks.md` explains the columns.
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
#[path = "../harness/rounds.rs"]
mod rounds;
#[path = "../harness/table.rs"]
mod table;

use codec::{Ezk, Is, Ours, Rtc, StunTypes};
use messages::Messages;
use rounds::Entrant;

fn main() {
    let entrants = [
        Entrant::of::<Ours>(),
        Entrant::of::<StunTypes>(),
        Entrant::of::<Rtc>(),
        Entrant::of::<Is>(),
        Entrant::of::<Ezk>(),
    ];
    let table = rounds::run("stun", &Messages::new(), &entrants);
    println!("\n{table}");
}
