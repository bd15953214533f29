//! Discovery from the outside: in front of simulated NATs and servers, honest and lying.

mod defects;
mod faults;
mod kinds;
mod paths;
mod world;
