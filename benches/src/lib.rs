//! Benchmarks and campaigns of portolan. They are a separate workspace, so that the tests of the project do not build
//! their dependencies.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin campaign` runs [`campaign`].

pub mod campaign;
pub mod situations;
