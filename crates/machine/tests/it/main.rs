//! Tests of the contract's own types: pairs, slots, bounded queues, forwards, scopes, time.

mod compose;
mod context;
mod transmit;
