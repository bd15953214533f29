//! Binding lifetimes: a measurement against NATs that forget, in virtual time.

mod course;
mod lab;
mod runs;
mod simulated;
