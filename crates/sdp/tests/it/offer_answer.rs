//! Offer and answer.

mod corpus;
