//! The fuzz targets as plain functions. The fuzzer, the tests of the seeds and a debugger call the same functions.
//!
//! Each target is a module of [`targets`] with a function `run`, which panics on a finding. It returns whether the
//! input was accepted, because a corpus of mostly rejected inputs tests little.
//!
//! * [`byte_reader`] converts bytes to numbers and scripts.
//! * [`monitor`] plays a script with a machine and checks its outputs.
//! * [`flawed`] plants a fault in a machine.
//! * [`seeds`] makes the first corpus.
//! * [`mutate`] mutates messages, URIs and descriptions such that most of them stay valid.
//!
//! A machine is judged by the laws of `portolan_sim::laws`, a codec by a simple model or by another library. Each
//! accepted difference from another library has a named rule. No target catches a panic.

#![forbid(unsafe_code)]

pub mod byte_reader;
pub mod flawed;
pub mod monitor;
pub mod mutate;
pub mod seeds;
pub mod targets;

/// Whether each target has a planted fault, which the fuzzer must find.
pub const SEEDED: bool = cfg!(feature = "seeded-bugs");
