//! Offer and answer.

mod corpus;
mod endpoints;
mod examples;
mod states;
