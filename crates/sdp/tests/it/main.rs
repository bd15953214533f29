//! Integration tests: descriptions of the corpus, edits against a reference model, hostile texts, builders, properties
//! of values.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]

extern crate alloc;

mod allocations;
mod builder;
mod candidates;
mod corpus;
mod deviations;
mod diff;
mod edits;
mod explain;
mod field;
mod hostile;
mod laws;
mod lint;
mod offer_answer;
mod prefix;
mod scrub;
#[cfg(feature = "sdp-types")]
mod sdp_types;
mod sessions;
mod values;
mod vectors;
mod view;
mod webrtc;
