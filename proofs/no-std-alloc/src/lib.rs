//! Every crate below the line without the standard library, with a stub of an allocator: `cargo xtask no-std` links and
//! runs this.

#![no_std]
#![no_builtins]

extern crate alloc;

mod agents;
#[path = "../../bare.rs"]
mod bare;
mod codec;
mod heap;
mod machines;
mod text;

/// 0, or the number of the first thing that did not come out as it must.
fn prove() -> u8 {
    let proofs: [fn() -> bool; 9] = [
        codec::prove,
        text::prove,
        machines::prove_contract,
        machines::prove_words,
        machines::prove_laws,
        agents::prove_exchange,
        agents::prove_translator,
        agents::prove_discovery,
        agents::prove_audit,
    ];
    for (number, proof) in (1..).zip(proofs) {
        if !proof() {
            return number;
        }
    }
    0
}
