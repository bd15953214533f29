//! Binding lifetimes: a measurement against NATs that forget, in virtual time.

mod lab;
mod runs;
