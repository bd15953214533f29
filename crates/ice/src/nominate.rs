//! The choice of the pair to nominate (RFC 8445 §8.1.1).
//!
//! Rules of this file: the decision is pure. A direct pair is nominated at once. A relayed pair is nominated when no direct
//! pair can still succeed, or after three round trips, at least 100 ms and at most 500 ms. This time runs from the first
//! valid pair and from the first check of each direct pair, because a pair that was not checked cannot be valid. One second
//! after the first valid pair the relayed pair is nominated in any case.

use crate::pair::{Flags, Pair, PairId, PairState};
use crate::reason::NominationReason;
use core::time::Duration;
use portolan_machine::Instant;

/// The decision of the controlling agent for one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Nominate(PairId, NominationReason),
    /// A direct pair can still succeed before this time.
    WaitUntil(Instant),
    /// There is no valid pair.
    Nothing,
}

/// Decides over the pairs of a component, highest priority first.
pub(crate) fn decide<'a>(
    pairs: impl Iterator<Item = (PairId, &'a Pair)> + Clone,
    first_check: impl Fn(PairId) -> Option<Instant>,
    first_valid: Option<Instant>,
    expects_candidates: bool,
    now: Instant,
) -> Decision {
    let mut valid = pairs.clone().filter(|(_, pair)| pair.flags.has(Flags::VALID));
    let is_direct = |pair: &Pair| !pair.flags.has(Flags::RELAYED);
    if let Some((id, _)) = valid.clone().find(|(_, pair)| is_direct(pair)) {
        return Decision::Nominate(id, NominationReason::Direct);
    }
    let Some((best, pair)) = valid.next() else { return Decision::Nothing };
    let can_still_succeed =
        |pair: &Pair| matches!(pair.state, PairState::Frozen | PairState::Waiting | PairState::InProgress);
    let mut open = pairs.filter(|(_, pair)| is_direct(pair) && can_still_succeed(pair)).peekable();
    if open.peek().is_none() && !expects_candidates {
        return Decision::Nominate(best, NominationReason::NoDirectPairLeft);
    }
    let first_valid = first_valid.unwrap_or(now);
    let wait = Duration::from_micros(u64::from(pair.rtt) * 3).clamp(WAIT_MIN, WAIT_MAX);
    let last_check = open.map(|(id, _)| first_check(id).unwrap_or(now)).fold(first_valid, Instant::max);
    let until = (last_check + wait).min(first_valid + WAIT_IN_ALL);
    if until <= now {
        Decision::Nominate(best, NominationReason::DirectPairsLate { waited: until.since(first_valid) })
    } else {
        Decision::WaitUntil(until)
    }
}

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_millis(500);
/// The longest time from the first valid pair. With Ta = 50 ms, 20 pairs are checked in it.
const WAIT_IN_ALL: Duration = Duration::from_secs(1);
