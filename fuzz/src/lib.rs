//! What the fuzz targets do with their bytes, as plain functions: the fuzzer, the seeds and a debugger call the same ones.
//!
//! What this crate refuses to do: it judges nothing by a second opinion of its own where the machines' laws
//! (`portolan_sim::laws`) or a plain model can; it catches no panic; it never takes a peer library's verdict for the truth
//! without saying which rule stands behind a difference.
//!
//! Each target is a module of [`targets`] with a `run`, which panics on a finding and says whether the bytes got past the
//! front door: a corpus of which most are turned away at the first byte tests little. [`feed`] makes numbers and runs out of
//! bytes, [`watched`] plays a machine's run, [`seeds`] makes the first corpus, [`mutate`] keeps messages and URIs whole while they are changed.

#![forbid(unsafe_code)]

pub mod feed;
pub mod flawed;
pub mod mutate;
pub mod seeds;
pub mod targets;
pub mod watched;

/// Whether a fault stands between each target and what it tests, to show that it would be found.
pub const SEEDED: bool = cfg!(feature = "seeded-bugs");
