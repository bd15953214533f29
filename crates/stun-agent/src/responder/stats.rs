//! The counters of a responder.

use crate::authenticator::{Rejection, RejectionKind};
use crate::note::ResponderDropped;
use crate::stream_table::Admission;
use core::fmt;
use portolan_stun::ErrorCode;

/// The counters of requests and replies. Every request is counted in `requests` and in one other counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Stats {
    /// Binding requests over UDP and TCP, including those without the magic cookie.
    pub requests: u64,
    /// Success responses.
    pub successes: u64,
    /// Error responses 400 (Bad Request).
    pub bad_requests: u64,
    /// Error responses 420 (Unknown Attribute).
    pub unknown_attributes: u64,
    /// Error responses because of credentials, if credentials are required.
    pub rejected: RejectedStats,
    /// Messages without a reply.
    pub dropped: DroppedStats,
    /// TCP streams accepted and refused.
    pub streams: StreamStats,
}

/// Messages without a reply, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct DroppedStats {
    /// Requests above the rate of their source. Over UDP only, because a stream is paused instead.
    pub rate_limited: u64,
    /// Requests that cannot be decoded.
    pub undecodable: u64,
    /// Requests with an invalid FINGERPRINT.
    pub fingerprint: u64,
    /// Binding requests without the magic cookie, of RFC 3489 clients. Over UDP only.
    pub no_cookie: u64,
    /// Requests from a source address that cannot receive a reply.
    pub unaddressable: u64,
    /// Requests whose reply did not fit into the output queue, or could not be encoded.
    pub overload: u64,
    /// STUN messages that are not Binding requests. Not counted in [`Stats::requests`].
    pub not_requests: u64,
    /// Datagrams that are not STUN. Not counted in [`Stats::requests`].
    pub not_stun: u64,
}

/// Error responses because of credentials, by reason (RFC 8489 §9.1.3, §9.2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct RejectedStats {
    /// 401: requests without integrity, like the first request of each client in the long-term mechanism.
    pub unsigned: u64,
    /// 400: incomplete credentials.
    pub incomplete: u64,
    /// 400: password algorithms that were not offered.
    pub algorithms: u64,
    /// 401: unknown users.
    pub unknown_users: u64,
    /// 401: the integrity does not match the password.
    pub wrong_integrity: u64,
    /// 401: expired credentials.
    pub expired: u64,
    /// 438: nonces that are not valid.
    pub stale_nonces: u64,
}

impl RejectedStats {
    /// The sum of all counters.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let unauthenticated = self.unsigned + self.unknown_users + self.wrong_integrity + self.expired;
        unauthenticated + self.incomplete + self.algorithms + self.stale_nonces
    }
}

/// The counters of TCP streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct StreamStats {
    /// Accepted streams.
    pub accepted: u64,
    /// Streams that were closed at once because of a limit.
    pub refused: u64,
    /// Streams that were closed because their bytes were not STUN, or a message was too long.
    pub broken: u64,
    /// Streams that were closed for a new stream.
    pub displaced: u64,
    /// Pauses of streams because of the rate of their source.
    pub paused: u64,
}

impl Stats {
    /// The number of all replies.
    #[must_use]
    pub const fn replies(&self) -> u64 {
        self.successes + self.bad_requests + self.unknown_attributes + self.rejected.total()
    }

    pub(super) fn count_reply(&mut self, code: Option<u16>) {
        match code {
            None => self.successes += 1,
            Some(ErrorCode::UNKNOWN_ATTRIBUTE) => self.unknown_attributes += 1,
            Some(_) => self.bad_requests += 1,
        }
    }

    pub(super) const fn count_rejection(&mut self, why: Rejection) {
        *match why.kind {
            RejectionKind::Unsigned => &mut self.rejected.unsigned,
            RejectionKind::Incomplete | RejectionKind::NotARequest => &mut self.rejected.incomplete,
            RejectionKind::Algorithms => &mut self.rejected.algorithms,
            RejectionKind::UnknownUser => &mut self.rejected.unknown_users,
            RejectionKind::Integrity(_) => &mut self.rejected.wrong_integrity,
            RejectionKind::Expired => &mut self.rejected.expired,
            RejectionKind::Nonce(_) => &mut self.rejected.stale_nonces,
        } += 1;
    }

    pub(super) const fn count_drop(&mut self, why: ResponderDropped) {
        *match why {
            ResponderDropped::RateLimited => &mut self.dropped.rate_limited,
            ResponderDropped::Undecodable(_) => &mut self.dropped.undecodable,
            ResponderDropped::Fingerprint(_) => &mut self.dropped.fingerprint,
            ResponderDropped::Unaddressable => &mut self.dropped.unaddressable,
            ResponderDropped::QueueFull | ResponderDropped::Unwritable => &mut self.dropped.overload,
            ResponderDropped::NoCookie => &mut self.dropped.no_cookie,
            ResponderDropped::NotARequest => &mut self.dropped.not_requests,
            ResponderDropped::NotStun => &mut self.dropped.not_stun,
            ResponderDropped::Framing => &mut self.streams.broken,
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
}

impl fmt::Display for Stats {
    /// Prints one line, for the log of a server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dropped, streams) = (self.dropped, self.streams);
        write!(
            f,
            "{} request{}: {} answered, {} bad (400), {} not understood (420), {} over the rate, {} without the magic \
             cookie (RFC 3489), {} undecodable, {} with a wrong fingerprint, {} from no address, {} in overload; \
             other messages: {} not Binding requests, {} not STUN; \
             {} stream{}, {} refused, {} displaced, {} broken, {} paused",
            self.requests,
            plural(self.requests),
            self.successes,
            self.bad_requests,
            self.unknown_attributes,
            dropped.rate_limited,
            dropped.no_cookie,
            dropped.undecodable,
            dropped.fingerprint,
            dropped.unaddressable,
            dropped.overload,
            dropped.not_requests,
            dropped.not_stun,
            streams.accepted,
            plural(streams.accepted),
            streams.refused,
            streams.displaced,
            streams.broken,
            streams.paused,
        )?;
        let rejected = self.rejected;
        if rejected.total() == 0 {
            return Ok(());
        }
        write!(
            f,
            "; rejected: {} unsigned, {} of unknown users, {} with a wrong integrity, {} expired (401), {} with stale nonces \
             (438), {} incomplete, {} with other algorithms (400)",
            rejected.unsigned,
            rejected.unknown_users,
            rejected.wrong_integrity,
            rejected.expired,
            rejected.stale_nonces,
            rejected.incomplete,
            rejected.algorithms,
        )
    }
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    #[test]
    fn counters_are_written_and_read_by_their_names() {
        let mut stats = Stats { requests: 3, successes: 2, ..Stats::default() };
        stats.dropped.rate_limited = 1;
        let json = serde_json::to_value(stats).unwrap();
        assert_eq!((&json["requests"], &json["dropped"]["rate_limited"]), (&3.into(), &1.into()));
        assert_eq!(serde_json::from_value::<Stats>(json).unwrap(), stats);
        // A counter that an older version did not write is 0.
        let older: Stats = serde_json::from_str(r#"{"requests":3,"streams":{"accepted":4}}"#).unwrap();
        assert_eq!((older.requests, older.streams.accepted, older.dropped), (3, 4, DroppedStats::default()));
    }
}
