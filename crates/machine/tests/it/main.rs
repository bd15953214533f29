//! The contract's own words: pairs, slots, bounded queues, scopes, time.

mod compose;
mod words;
