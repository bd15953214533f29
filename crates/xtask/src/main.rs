//! The project's own checks: floors, no_std proofs, RFC ledgers.
fn main() {}
