//! Offer and answer.

mod corpus;
mod endpoints;
mod examples;
mod hostile;
mod laws;
mod mutations;
mod negotiation;
mod problems;
mod states;
