//! ICE, sans-IO: candidates, connectivity checks, nomination and consent (RFC 8445).
//!
//! # Contents
//!
//! * [`Agent`]: the agent of one session, with its [`AgentConfig`]. Its stated times and bounds are on the page of
//!   [`Agent`].
//! * [`candidate`]: candidates and their priorities.
//! * [`gather`]: network interfaces and STUN servers give local candidates.
//! * [`preference`]: local preferences of the addresses of a host.
//! * [`pacing`]: the time of the next transaction.
//! * [`reason`]: the reasons for what an agent does, each with its RFC section.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod agent;
pub mod candidate;
pub mod checklist;
mod checks;
pub mod command;
pub mod config;
mod consent;
pub mod credentials;
pub mod error;
pub mod event;
pub mod gather;
mod judge;
mod local;
mod message;
mod nominate;
pub mod note;
pub mod pacing;
pub mod pair;
pub mod preference;
pub mod reason;
mod remote;
pub mod role;

pub use agent::{Agent, Generation, PairInfo, RemoteDescription};
pub use candidate::{CandidateKind, ComponentId, LocalCandidate, Transport};
pub use checklist::ChecklistState;
pub use command::AgentCommand;
pub use config::{AgentConfig, Nomination, Policy};
pub use credentials::{Credentials, CredentialsError};
pub use error::AgentError;
pub use event::{AgentEvent, AgentState, Path, Selection};
pub use gather::{GatherCommand, GatherConfig, GatherError, GatherEvent, GatherNote, Gatherer};
pub use note::{AgentDropped, AgentNote};
pub use pacing::Pacer;
pub use pair::{PairCounters, PairId, PairState};
pub use reason::{NominationReason, PairFailure, SessionFailure, SkipReason};
pub use role::Role;
