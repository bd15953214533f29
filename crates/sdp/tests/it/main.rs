//! The crate from outside: descriptions of the field, edits against a dumb model, hostile texts, builders, laws of values.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on shall panic")]

mod allocations;
mod builder;
mod corpus;
mod edits;
mod hostile;
mod prefix;
#[cfg(feature = "sdp-types")]
mod sdp_types;
mod values;
mod vectors;
