//! Candidate pairs: their priority, state and counters (RFC 8445 §6.1.2).
//!
//! ```
//! use portolan_ice::pair;
//!
//! assert_eq!(pair::priority(2130706431, 1694498815), (1694498815_u64 << 32) + 2 * 2130706431 + 1);
//! ```

use crate::local::LocalId;
use crate::reason::PairFailure;
use crate::remote::RemoteId;
use core::fmt;
use core::time::Duration;
use portolan_machine::Instant;

/// The number of a pair in its agent. It is reused after the pair was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId(pub(crate) u16);

/// The state of a pair (RFC 8445 §6.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairState {
    /// No check was sent, and none may be sent before the pair is unfrozen.
    Frozen,
    /// No check was sent since the pair was unfrozen or triggered.
    Waiting,
    /// A check is pending.
    InProgress,
    /// A check succeeded.
    Succeeded,
    /// A check failed.
    Failed,
}

impl PairState {
    /// Returns the name of the state in the W3C statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Waiting => "waiting",
            Self::InProgress => "in-progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for PairState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A pair of a checklist. 32 bytes: a checklist of 100 pairs stays in a few cache lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) priority: u64,
    /// The last round trip time in microseconds; 0 before the first response.
    pub(crate) rtt: u32,
    pub(crate) local: LocalId,
    pub(crate) remote: RemoteId,
    /// The foundation group.
    pub(crate) group: u16,
    /// The number of the checklist, which is that of the data stream.
    pub(crate) list: u16,
    pub(crate) component: u16,
    /// The local candidate of the valid pair that the last successful check of this pair generated.
    pub(crate) mapped: Option<LocalId>,
    pub(crate) state: PairState,
    pub(crate) flags: Flags,
}

/// The flags of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// The pair is in the valid list.
    pub(crate) const VALID: Self = Self(1);
    /// The nominated flag of the valid pair.
    pub(crate) const NOMINATED: Self = Self(2);
    /// The pair is nominated when its check succeeds: the peer sent USE-CANDIDATE (§7.3.1.5).
    pub(crate) const NOMINATE_ON_SUCCESS: Self = Self(4);
    /// The next check of the pair has USE-CANDIDATE (§8.1.1).
    pub(crate) const USE_CANDIDATE: Self = Self(8);
    /// The pair is in the triggered-check queue.
    pub(crate) const TRIGGERED: Self = Self(16);
    /// One of the candidates is relayed.
    pub(crate) const RELAYED: Self = Self(32);
    /// The initial state is not computed yet.
    pub(crate) const FRESH: Self = Self(64);
    /// The place in the slab is free.
    pub(crate) const FREE: Self = Self(128);

    pub(crate) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) const fn set(&mut self, flag: Self, value: bool) {
        self.0 = if value { self.0 | flag.0 } else { self.0 & !flag.0 };
    }
}

/// The counters of a pair, with the names of the W3C statistics (`RTCIceCandidatePairStats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairCounters {
    /// Checks that were sent, without retransmissions.
    pub requests_sent: u32,
    /// Retransmissions of checks.
    pub retransmissions_sent: u32,
    /// Responses that were received.
    pub responses_received: u32,
    /// Checks of the peer that were received.
    pub requests_received: u32,
    /// Responses that were sent.
    pub responses_sent: u32,
    /// Consent requests that were sent.
    pub consent_requests_sent: u32,
    /// The sum of all round trip times.
    pub total_round_trip_time: Duration,
}

/// The part of a pair that the choice of the next check does not read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) counters: PairCounters,
    pub(crate) failure: Option<PairFailure>,
    /// The code of the last error response without MESSAGE-INTEGRITY. It is a reason only, and changes nothing.
    pub(crate) refused: Option<u16>,
    pub(crate) first_check: Option<Instant>,
    pub(crate) last_check: Instant,
    /// The end of the consent that the last response gave (RFC 7675 §5.1). `None`: no data may be sent.
    pub(crate) consent_until: Option<Instant>,
}

impl Record {
    /// The record of a pair to which nothing has happened.
    pub(crate) const NEW: Self = Self {
        counters: PairCounters {
            requests_sent: 0,
            retransmissions_sent: 0,
            responses_received: 0,
            requests_received: 0,
            responses_sent: 0,
            consent_requests_sent: 0,
            total_round_trip_time: Duration::ZERO,
        },
        failure: None,
        refused: None,
        first_check: None,
        last_check: Instant::ORIGIN,
        consent_until: None,
    };
}

/// Returns the priority of a pair: 2³² × MIN(G,D) + 2 × MAX(G,D) + (G>D ? 1 : 0), where G is the priority of the
/// controlling agent's candidate and D that of the controlled agent's (RFC 8445 §6.1.2.3).
#[must_use]
pub const fn priority(controlling: u32, controlled: u32) -> u64 {
    let (g, d) = (controlling as u64, controlled as u64);
    let (least, most) = if g < d { (g, d) } else { (d, g) };
    (least << 32) + 2 * most + (g > d) as u64
}

const _: () = assert!(size_of::<Pair>() == 32);
