//! The simulator's integration tests, one binary.

mod laws_faults;
mod laws_pinger;
mod laws_recording;
mod laws_script;
