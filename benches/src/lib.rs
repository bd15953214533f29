//! Benchmarks and campaigns of portolan. They are a workspace of their own, so that the tests of the project build nothing
//! of what they need.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin campaign` runs [`campaign`].

pub mod campaign;
