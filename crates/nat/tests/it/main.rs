//! Discovery from the outside: in front of simulated NATs and servers, honest and lying.

mod faults;
mod kinds;
mod world;
