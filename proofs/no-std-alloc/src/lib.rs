//! Uses every `no_std` crate without the standard library, with a minimal allocator. `cargo xtask no-std` links and
//! runs it.

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

/// Returns 0, or the number of the first check that failed.
fn prove() -> u8 {
    let proofs: [fn() -> bool; 13] = [
        codec::prove,
        text::prove,
        machines::prove_contract,
        machines::prove_parse,
        machines::prove_laws,
        agents::prove_exchange,
        agents::prove_translator,
        agents::prove_discovery,
        agents::prove_audit,
        agents::prove_turn,
        agents::prove_ice,
        agents::prove_relay,
        agents::prove_punch,
    ];
    for (number, proof) in (1..).zip(proofs) {
        if !proof() {
            return number;
        }
    }
    0
}
