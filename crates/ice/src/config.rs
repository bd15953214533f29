//! The configuration of an agent.
//!
//! ```
//! use core::time::Duration;
//! use portolan_ice::{AgentConfig, Policy};
//!
//! // Two data streams: RTP with RTCP, and one component.
//! let config = AgentConfig::new().streams(&[2, 1]).policy(Policy::Browserlike).ta(Duration::from_millis(20));
//! assert_eq!(config.components().count(), 3);
//! ```

use crate::candidate::ComponentId;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// How an agent repeats checks and reacts to failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// RFC 8445 to the letter: checks are retransmitted with a doubling RTO, and a failed nominating check fails the
    /// checklist (§7.2.5.3.4).
    #[default]
    Textbook,
    /// The behaviour of browsers: checks of the best pairs are repeated every 500 ms as new transactions. After a failed
    /// nomination the next valid pair is nominated, and a selected pair that fails is replaced by another valid pair.
    Browserlike,
}

/// How the controlling agent nominates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nomination {
    /// One check of a valid pair has USE-CANDIDATE (RFC 8445 §8.1.1).
    #[default]
    Regular,
    /// Every check has USE-CANDIDATE: for peers that implement only RFC 5245 (§8.1.1.2 there).
    Aggressive,
}

/// The configuration of an [`Agent`](crate::Agent).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// The number of components of each data stream.
    pub(crate) streams: Vec<u16>,
    pub(crate) policy: Policy,
    pub(crate) nomination: Nomination,
    pub(crate) is_lite: bool,
    pub(crate) times: Times,
    /// The largest number of pairs in the checklist set.
    pub(crate) pairs: usize,
    /// The largest number of signalled remote candidates.
    pub(crate) remote_candidates: usize,
    /// Whether TCP candidates of the peer are used.
    pub(crate) has_tcp: bool,
}

/// The times of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) ta: Duration,
    pub(crate) pac: Duration,
    /// The longest wait for the remote description.
    pub(crate) description: Duration,
    /// The longest wait for the nomination of a controlled agent.
    pub(crate) nomination: Duration,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl AgentConfig {
    /// The default of Ta (RFC 8445 §14.2).
    pub const TA: Duration = Duration::from_millis(50);
    /// The least value of Ta.
    pub const TA_MIN: Duration = Duration::from_millis(5);
    /// The default of the PAC timer: the transaction timeout of a check (RFC 8863 §4).
    pub const PAC: Duration = Duration::from_millis(39_500);
    /// The default of the longest wait for the remote description, 15 minutes.
    pub const DESCRIPTION: Duration = Duration::from_secs(900);
    /// The longest wait of a controlled agent for a nomination, from the end of the PAC timer.
    pub const NOMINATION: Duration = Duration::from_millis(39_500);
    /// The default limit of pairs (RFC 8445 §6.1.2.5).
    pub const PAIRS: usize = 100;
    /// The default limit of remote candidates.
    pub const REMOTE_CANDIDATES: usize = 128;

    /// One data stream with one component, and the policy of RFC 8445.
    #[must_use]
    pub fn new() -> Self {
        Self {
            streams: vec![1],
            policy: Policy::Textbook,
            nomination: Nomination::Regular,
            is_lite: false,
            times: Times { ta: Self::TA, pac: Self::PAC, description: Self::DESCRIPTION, nomination: Self::NOMINATION },
            pairs: Self::PAIRS,
            remote_candidates: Self::REMOTE_CANDIDATES,
            has_tcp: false,
        }
    }

    /// Returns the same configuration with these data streams: the number of components of each, 1 to 256.
    #[must_use]
    pub fn streams(mut self, components: &[u16]) -> Self {
        self.streams = components.iter().map(|count| (*count).clamp(1, 256)).collect();
        self
    }

    /// Returns the same configuration with this policy.
    #[must_use]
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Returns the same configuration with this nomination.
    #[must_use]
    pub const fn nomination(mut self, nomination: Nomination) -> Self {
        self.nomination = nomination;
        self
    }

    /// Returns the same configuration of a lite agent, which has public addresses only and sends no checks (RFC 8445
    /// §2.5).
    #[must_use]
    pub const fn lite(mut self) -> Self {
        self.is_lite = true;
        self
    }

    /// Returns the same configuration with this interval between new checks, at least 5 ms. A value that is not 50 ms must
    /// be signalled, and both agents use the larger one (RFC 8445 §14.2).
    #[must_use]
    pub fn ta(mut self, ta: Duration) -> Self {
        self.times.ta = ta.max(Self::TA_MIN);
        self
    }

    /// Returns the same configuration with this least time before a failure (the PAC timer of RFC 8863).
    #[must_use]
    pub const fn pac(mut self, pac: Duration) -> Self {
        self.times.pac = pac;
        self
    }

    /// Returns the same configuration with this longest wait for the remote description.
    #[must_use]
    pub const fn description_timeout(mut self, description: Duration) -> Self {
        self.times.description = description;
        self
    }

    /// Returns the same configuration with this largest number of pairs, 1 to 1,000 (RFC 8445 §6.1.2.5).
    #[must_use]
    pub fn pairs(mut self, pairs: usize) -> Self {
        self.pairs = pairs.clamp(1, 1_000);
        self
    }

    /// Returns the same configuration with this largest number of signalled remote candidates, 1 to 1,000.
    #[must_use]
    pub fn remote_candidates(mut self, candidates: usize) -> Self {
        self.remote_candidates = candidates.clamp(1, 1_000);
        self
    }

    /// Returns the same configuration of an agent that uses passive TCP candidates of the peer (RFC 6544). The owner adds
    /// its own TCP candidates.
    #[must_use]
    pub const fn tcp(mut self) -> Self {
        self.has_tcp = true;
        self
    }

    /// The components of all data streams.
    pub fn components(&self) -> impl Iterator<Item = ComponentId> + '_ {
        self.streams
            .iter()
            .enumerate()
            .flat_map(|(stream, count)| (1..=*count).map(move |number| ComponentId::new(stream as u16, number)))
    }
}
