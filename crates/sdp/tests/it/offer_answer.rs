//! Offer and answer.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on shall panic")]

mod corpus;
mod endpoints;
mod examples;
mod laws;
mod mutations;
mod negotiation;
mod states;
