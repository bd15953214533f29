//! The counters of a server.
//!
//! ```
//! use portolan_punch::rendezvous::ServerStats;
//!
//! assert_eq!(ServerStats::default().refused.total(), 0);
//! ```

use super::note::{RequestRefusal, ServerDropped};
use core::fmt;
use portolan_stun_agent::authenticator::Rejection;

/// The counters of a [`Server`](super::Server), from its creation on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Requests that could be decoded.
    pub requests: u64,
    /// Peers that were registered.
    pub registered: u64,
    /// Registrations that have ended.
    pub ended: u64,
    /// Pairs of peers that were introduced.
    pub introduced: u64,
    /// Wakes that were sent.
    pub wakes: u64,
    /// Error responses to authenticated requests, by code.
    pub refused: RefusedStats,
    /// Error responses because of credentials.
    pub rejected: RejectedStats,
    /// Requests that were dropped, by reason.
    pub dropped: DroppedStats,
}

/// The counters of error responses to authenticated requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedStats {
    /// 400.
    pub bad_request: u64,
    /// 420.
    pub unknown_attribute: u64,
    /// 480: the room has two peers.
    pub room_full: u64,
    /// 486: the source has too many registrations.
    pub quota: u64,
    /// 508: the server has too many registrations.
    pub capacity: u64,
}

/// The counters of error responses without credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectedStats {
    /// 400.
    pub bad_request: u64,
    /// 401.
    pub unauthenticated: u64,
    /// 438.
    pub stale_nonce: u64,
}

/// The counters of dropped requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedStats {
    /// Undecodable, or with a wrong FINGERPRINT.
    pub invalid: u64,
    /// From a source that cannot receive a response.
    pub unaddressable: u64,
    /// Without valid credentials, from a source above its rate.
    pub rate_limited: u64,
    /// Shorter than the response.
    pub too_short: u64,
    /// The output queue was full, or the response could not be encoded.
    pub overload: u64,
}

impl RefusedStats {
    /// The sum of all counters.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.bad_request + self.unknown_attribute + self.room_full + self.quota + self.capacity
    }
}

impl RejectedStats {
    /// The sum of all counters.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.bad_request + self.unauthenticated + self.stale_nonce
    }
}

impl DroppedStats {
    /// The sum of all counters.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.invalid + self.unaddressable + self.rate_limited + self.too_short + self.overload
    }
}

impl ServerStats {
    pub(super) const fn count_refusal(&mut self, why: RequestRefusal) {
        *match why {
            RequestRefusal::NoId | RequestRefusal::Card | RequestRefusal::Candidates => &mut self.refused.bad_request,
            RequestRefusal::UnknownAttributes => &mut self.refused.unknown_attribute,
            RequestRefusal::RoomFull => &mut self.refused.room_full,
            RequestRefusal::SourceQuota => &mut self.refused.quota,
            RequestRefusal::ServerFull => &mut self.refused.capacity,
        } += 1;
    }

    pub(super) const fn count_rejection(&mut self, why: Rejection) {
        *match why.code() {
            401 => &mut self.rejected.unauthenticated,
            438 => &mut self.rejected.stale_nonce,
            _ => &mut self.rejected.bad_request,
        } += 1;
    }

    pub(super) const fn count_drop(&mut self, why: ServerDropped) {
        *match why {
            ServerDropped::Undecodable(_) | ServerDropped::Fingerprint(_) => &mut self.dropped.invalid,
            ServerDropped::Unaddressable => &mut self.dropped.unaddressable,
            ServerDropped::RateLimited => &mut self.dropped.rate_limited,
            ServerDropped::TooShort { .. } => &mut self.dropped.too_short,
            ServerDropped::QueueFull | ServerDropped::Unwritable => &mut self.dropped.overload,
        } += 1;
    }
}

impl fmt::Display for ServerStats {
    /// One line for the operator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rendezvous: {} requests; peers registered: {}, open: {}; pairs introduced: {}; rejected: {}, refused: {}, \
             dropped: {}",
            self.requests,
            self.registered,
            self.registered.saturating_sub(self.ended),
            self.introduced,
            self.rejected.total(),
            self.refused.total(),
            self.dropped.total(),
        )
    }
}
