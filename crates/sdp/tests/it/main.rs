//! The crate from outside: laws of values, and what the field writes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on shall panic")]

mod values;
