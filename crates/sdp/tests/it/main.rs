//! Session descriptions from outside: what the field writes, and laws.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod candidates;
mod field;
mod webrtc;
