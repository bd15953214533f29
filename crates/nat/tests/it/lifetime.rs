//! Binding lifetimes: a measurement against NATs that forget, in virtual time.

mod course;
mod lab;
mod laws;
mod runs;
mod simulated;
