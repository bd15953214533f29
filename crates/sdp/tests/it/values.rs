//! The values of RFC 8866's lines, and the attributes of phones, players and studios.

mod field;
mod laws;
mod refusals;
