//! The counters of a server.
//!
//! ```
//! use portolan_turn::ServerStats;
//!
//! assert_eq!(ServerStats::default().refused.total(), 0);
//! ```

use crate::event::Totals;
use crate::note::{RequestRefusal, ServerDropped};
use portolan_stun_agent::authenticator::Rejection;
use portolan_stun_agent::stream_table::Admission;

/// The counters of a [`Server`](crate::Server), from its creation on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Requests that could be decoded, Binding included.
    pub requests: u64,
    /// Success responses to Binding requests.
    pub bindings: u64,
    /// Success responses to authenticated requests.
    pub successes: u64,
    /// Error responses to authenticated requests, by code.
    pub refused: RefusedStats,
    /// Error responses because of credentials.
    pub rejected: RejectedStats,
    /// Allocations that were created.
    pub allocations: u64,
    /// Allocations that have ended.
    pub freed: u64,
    /// Relayed datagrams.
    pub relayed: Totals,
    /// ICMP errors that were reported to clients.
    pub icmp: u64,
    /// Dropped messages, by reason.
    pub dropped: DroppedStats,
    /// Streams of clients.
    pub streams: ServerStreamStats,
}

/// The counters of streams of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStreamStats {
    /// Accepted streams.
    pub accepted: u64,
    /// Streams that were closed at once because of a limit.
    pub refused: u64,
    /// Streams that were closed for a new stream.
    pub displaced: u64,
    /// Streams that were closed because their bytes were no frames, or a frame was too long.
    pub broken: u64,
    /// Streams without an allocation that were closed because no whole message arrived for too long.
    pub idle: u64,
    /// Pauses of streams because of the rate of their source.
    pub paused: u64,
}

/// The counters of error responses to authenticated requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedStats {
    /// 400.
    pub bad_request: u64,
    /// 403.
    pub forbidden: u64,
    /// 420.
    pub unknown_attribute: u64,
    /// 437.
    pub allocation_mismatch: u64,
    /// 440.
    pub address_family: u64,
    /// 441.
    pub wrong_credentials: u64,
    /// 442.
    pub transport: u64,
    /// 443.
    pub peer_family: u64,
    /// 446.
    pub connection_exists: u64,
    /// 447.
    pub connection_failed: u64,
    /// 486.
    pub quota: u64,
    /// 508.
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
    /// 420 to a Binding request.
    pub unknown_attribute: u64,
}

/// The counters of dropped messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedStats {
    /// Undecodable, with a wrong FINGERPRINT, or of another protocol or class.
    pub invalid: u64,
    /// From a source that cannot receive a reply.
    pub unaddressable: u64,
    /// Without valid credentials, from a source above its rate.
    pub rate_limited: u64,
    /// The output queue was full, or the response could not be encoded.
    pub overload: u64,
    /// Requests while the relay sockets of their allocation were not open.
    pub pending: u64,
    /// Data without an allocation of its client.
    pub no_allocation: u64,
    /// Data for or from a peer without a permission, or of another family.
    pub no_permission: u64,
    /// Data on a channel that is not bound.
    pub no_channel: u64,
    /// Data for a denied peer.
    pub forbidden: u64,
    /// Data above the bandwidth of its allocation.
    pub bandwidth: u64,
    /// Data from a peer that is too long for a message to the client.
    pub too_long: u64,
    /// ICMP errors that are not reported.
    pub icmp: u64,
}

impl RefusedStats {
    /// The sum of all counters.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let requests = self.bad_request + self.unknown_attribute + self.wrong_credentials + self.allocation_mismatch;
        let families = self.address_family + self.transport + self.peer_family;
        let connections = self.connection_exists + self.connection_failed;
        requests + families + connections + self.forbidden + self.quota + self.capacity
    }
}

impl RejectedStats {
    /// The sum of all counters.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.bad_request + self.unauthenticated + self.stale_nonce + self.unknown_attribute
    }
}

impl DroppedStats {
    /// The sum of all counters.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let data = self.no_allocation + self.no_permission + self.no_channel + self.forbidden + self.bandwidth;
        self.invalid
            + self.unaddressable
            + self.rate_limited
            + self.overload
            + self.pending
            + data
            + self.too_long
            + self.icmp
    }
}

impl ServerStats {
    pub(super) const fn count_refusal(&mut self, why: &RequestRefusal) {
        let refused = &mut self.refused;
        *match why.error_code() {
            403 => &mut refused.forbidden,
            420 => &mut refused.unknown_attribute,
            437 => &mut refused.allocation_mismatch,
            440 => &mut refused.address_family,
            441 => &mut refused.wrong_credentials,
            442 => &mut refused.transport,
            443 => &mut refused.peer_family,
            446 => &mut refused.connection_exists,
            447 => &mut refused.connection_failed,
            486 => &mut refused.quota,
            508 => &mut refused.capacity,
            _ => &mut refused.bad_request,
        } += 1;
    }

    pub(super) const fn count_rejection(&mut self, why: Rejection) {
        *match why.code() {
            401 => &mut self.rejected.unauthenticated,
            438 => &mut self.rejected.stale_nonce,
            _ => &mut self.rejected.bad_request,
        } += 1;
    }

    pub(super) const fn count_stream<T>(&mut self, admission: &Admission<T>) {
        match admission {
            Admission::Admitted => self.streams.accepted += 1,
            Admission::Displaced(..) => {
                self.streams.accepted += 1;
                self.streams.displaced += 1;
            }
            Admission::Refused(_) => self.streams.refused += 1,
        }
    }

    pub(super) const fn count_drop(&mut self, why: ServerDropped) {
        let dropped = &mut self.dropped;
        *match why {
            ServerDropped::Undecodable(_)
            | ServerDropped::Fingerprint(_)
            | ServerDropped::Unknown
            | ServerDropped::NotARequest
            | ServerDropped::SendInvalid
            | ServerDropped::TcpAllocation
            | ServerDropped::ChannelDataInvalid => &mut dropped.invalid,
            ServerDropped::Unaddressable => &mut dropped.unaddressable,
            ServerDropped::RateLimited => &mut dropped.rate_limited,
            ServerDropped::QueueFull | ServerDropped::Unwritable | ServerDropped::ConnectionsFull => {
                &mut dropped.overload
            }
            ServerDropped::Pending => &mut dropped.pending,
            ServerDropped::NoAllocation => &mut dropped.no_allocation,
            ServerDropped::NoPermission | ServerDropped::OtherFamily => &mut dropped.no_permission,
            ServerDropped::NoChannel => &mut dropped.no_channel,
            ServerDropped::Forbidden => &mut dropped.forbidden,
            ServerDropped::Bandwidth => &mut dropped.bandwidth,
            ServerDropped::TooLong => &mut dropped.too_long,
            ServerDropped::Icmp => &mut dropped.icmp,
        } += 1;
    }
}
