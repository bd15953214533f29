//! The choice of the pair to nominate (RFC 8445 §8.1.1).
//!
//! Rules of this file: the decision is pure. A direct pair is nominated at once. A relayed pair is nominated when no direct
//! pair can still succeed, or after three round trips, at least 100 ms and at most 500 ms.

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
    let is_open = expects_candidates || pairs.clone().any(|(_, pair)| is_direct(pair) && can_still_succeed(pair));
    if !is_open {
        return Decision::Nominate(best, NominationReason::NoDirectPairLeft);
    }
    let wait = Duration::from_micros(u64::from(pair.rtt) * 3).clamp(WAIT_MIN, WAIT_MAX);
    let until = first_valid.unwrap_or(now) + wait;
    if until <= now {
        Decision::Nominate(best, NominationReason::DirectPairsLate { waited: wait })
    } else {
        Decision::WaitUntil(until)
    }
}

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_millis(500);
