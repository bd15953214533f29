//! The role of an agent and role conflicts (RFC 8445 §6.1.1, §7.3.1.1).
//!
//! ```
//! use portolan_ice::Role;
//!
//! let role = Role::Controlling { tie_breaker: 7 };
//! assert!(role.is_controlling());
//! ```

use core::fmt;

/// The role of an agent, with its tie-breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The agent nominates pairs.
    Controlling {
        /// A random number that decides a conflict.
        tie_breaker: u64,
    },
    /// The peer nominates pairs.
    Controlled {
        /// A random number that decides a conflict.
        tie_breaker: u64,
    },
}

/// What an agent does with the role attribute of a request (§7.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoleDecision {
    NoConflict,
    /// The agent changes its role and accepts the request.
    Switch,
    /// The agent keeps its role and responds with 487.
    Refuse,
}

impl Role {
    /// Whether the agent nominates pairs.
    #[must_use]
    pub const fn is_controlling(self) -> bool {
        matches!(self, Self::Controlling { .. })
    }

    /// The tie-breaker.
    #[must_use]
    pub const fn tie_breaker(self) -> u64 {
        match self {
            Self::Controlling { tie_breaker } | Self::Controlled { tie_breaker } => tie_breaker,
        }
    }

    /// The other role with this tie-breaker.
    pub(crate) const fn switched(self, tie_breaker: u64) -> Self {
        match self {
            Self::Controlling { .. } => Self::Controlled { tie_breaker },
            Self::Controlled { .. } => Self::Controlling { tie_breaker },
        }
    }

    /// Decides what follows from the role of the peer. `None`: the request has no role attribute.
    pub(crate) const fn decide(self, peer: Option<Self>) -> RoleDecision {
        match (self, peer) {
            (Self::Controlling { tie_breaker: own }, Some(Self::Controlling { tie_breaker: other })) => {
                if own >= other { RoleDecision::Refuse } else { RoleDecision::Switch }
            }
            (Self::Controlled { tie_breaker: own }, Some(Self::Controlled { tie_breaker: other })) => {
                if own >= other {
                    RoleDecision::Switch
                } else {
                    RoleDecision::Refuse
                }
            }
            (Self::Controlling { .. }, Some(Self::Controlled { .. }) | None)
            | (Self::Controlled { .. }, Some(Self::Controlling { .. }) | None) => RoleDecision::NoConflict,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_controlling() { "controlling" } else { "controlled" })
    }
}
