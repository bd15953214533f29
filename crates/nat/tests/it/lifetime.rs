//! Measurements of binding lifetimes through simulated NATs, in virtual time.

mod course;
mod lab;
mod laws;
mod runs;
mod simulated;
