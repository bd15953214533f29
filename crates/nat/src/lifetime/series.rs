//! The judgement of the sockets of one series.
//!
//! Rules of this file: a pure function of points, without a clock. A response is proof; silence is only evidence. So
//! another dead point must follow the first one before a conclusion is made. A living point after a dead one is a
//! contradiction (RFC 5780 §4.6: "be prepared to get inconsistent results").

use super::LifetimeRange;
use crate::profile::{Conclusion, Evidence, Unknown};
use alloc::vec::Vec;
use core::time::Duration;

/// The result of one socket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// No result yet.
    Pending,
    /// The mapping let a response in after at least this time.
    Alive { after: Duration },
    /// The mapping let no response in after at most this time. Loss explains that with probability `p`.
    Dead { after: Duration, sends: u32, p: f64 },
    /// No result, for this reason.
    Unusable(Unknown),
}

/// The result of a series so far, its points in the order of their idle times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Judgement {
    /// Missing points could change the result.
    Open,
    /// The result is final.
    Settled { range: LifetimeRange, p: f64, sends: u32 },
    /// There is no result, for this reason.
    Unknown(Unknown),
}

/// Judges the points; [`Judgement::Open`] while a missing point could change the result.
pub(super) fn judge(points: &[Outcome]) -> Judgement {
    let Some(dead) = points.iter().position(is_dead) else {
        return if points.contains(&Outcome::Pending) { Judgement::Open } else { bounds(points) };
    };
    let (before, after) = points.split_at(dead);
    if before.contains(&Outcome::Pending) {
        return Judgement::Open;
    }
    // The next result confirms or contradicts the first dead point.
    match after.iter().skip(1).find(|point| !matches!(point, Outcome::Unusable(_))) {
        Some(Outcome::Pending) => Judgement::Open,
        _ => bounds(points),
    }
}

/// The result of the points so far, without the missing points.
pub(super) fn bounds(points: &[Outcome]) -> Judgement {
    let dead = points.iter().position(is_dead).unwrap_or(points.len());
    let (before, after) = points.split_at(dead);
    if after.iter().any(|point| matches!(point, Outcome::Alive { .. })) {
        return Judgement::Unknown(Unknown::Contradictory);
    }
    let lived = before.iter().filter_map(alive).max();
    // A probe that was checked late is no tighter than the one after it: the clock may have leapt.
    let died = after.iter().filter_map(died).min_by_key(|(after, ..)| *after);
    match (lived, died) {
        (_, Some((after, sends, p))) => {
            let at_least = lived.unwrap_or_default().min(after);
            Judgement::Settled { range: LifetimeRange { at_least, at_most: Some(after) }, p, sends }
        }
        (Some(at_least), None) => {
            Judgement::Settled { range: LifetimeRange { at_least, at_most: None }, p: 0.0, sends: 0 }
        }
        (None, None) => Judgement::Unknown(points.iter().find_map(unusable_reason).unwrap_or(Unknown::TooFewSamples)),
    }
}

impl Judgement {
    /// The conclusion, with its evidence; `None` while it is open.
    pub(super) fn verdict(self, mut evidence: Vec<Evidence>) -> Option<Conclusion<LifetimeRange>> {
        match self {
            Self::Open => None,
            Self::Unknown(why) => Some(Conclusion::unknown(why, evidence)),
            Self::Settled { range, p, sends } => {
                if !range.at_least.is_zero() {
                    evidence.push(Evidence::Lived { after: range.at_least });
                }
                evidence.extend(range.at_most.map(|after| Evidence::Died { after, sends }));
                Some(Conclusion::value_with(range, p, evidence))
            }
        }
    }
}

fn is_dead(point: &Outcome) -> bool {
    matches!(point, Outcome::Dead { .. })
}

fn alive(point: &Outcome) -> Option<Duration> {
    match point {
        Outcome::Alive { after } => Some(*after),
        Outcome::Pending | Outcome::Dead { .. } | Outcome::Unusable(_) => None,
    }
}

fn died(point: &Outcome) -> Option<(Duration, u32, f64)> {
    match *point {
        Outcome::Dead { after, sends, p } => Some((after, sends, p)),
        Outcome::Pending | Outcome::Alive { .. } | Outcome::Unusable(_) => None,
    }
}

pub(super) fn unusable_reason(point: &Outcome) -> Option<Unknown> {
    match point {
        Outcome::Unusable(why) => Some(*why),
        Outcome::Pending | Outcome::Dead { .. } | Outcome::Alive { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn alive(seconds: u64) -> Outcome {
        Outcome::Alive { after: Duration::from_secs(seconds) }
    }
    const fn dead(seconds: u64) -> Outcome {
        Outcome::Dead { after: Duration::from_secs(seconds), sends: 7, p: 1e-7 }
    }
    const fn between(least: u64, most: u64) -> Judgement {
        let range = LifetimeRange { at_least: Duration::from_secs(least), at_most: Some(Duration::from_secs(most)) };
        Judgement::Settled { range, p: 1e-7, sends: 7 }
    }
    const LOST: Outcome = Outcome::Unusable(Unknown::HighLoss);

    #[test]
    fn an_expiry_is_settled_when_all_points_before_it_and_the_next_one_are_known() {
        use Outcome::Pending;
        assert_eq!(judge(&[alive(5), dead(11), dead(16), Pending]), between(5, 11));
        assert_eq!(judge(&[alive(5), dead(11)]), between(5, 11), "there is no point after the last one");
        assert_eq!(judge(&[alive(5), dead(11), LOST, dead(21)]), between(5, 11));
        assert_eq!(judge(&[alive(5), LOST, dead(16), dead(21)]), between(5, 16), "a lost point makes it wider");
        assert_eq!(judge(&[dead(6), dead(11)]), between(0, 6));
        assert_eq!(judge(&[alive(5), dead(400), dead(16)]), between(5, 16), "a point that was probed late");
        for open in [
            [alive(5), Pending, dead(16), dead(21)],
            [alive(5), dead(11), Pending, dead(21)],
            [alive(5), dead(11), LOST, Pending],
            [alive(5), alive(10), alive(15), Pending],
        ] {
            assert_eq!(judge(&open), Judgement::Open, "{open:?}");
        }
    }

    #[test]
    fn a_live_mapping_after_an_expired_one_is_a_contradiction() {
        assert_eq!(judge(&[alive(5), dead(11), alive(15)]), Judgement::Unknown(Unknown::Contradictory));
    }

    #[test]
    fn a_mapping_that_is_alive_at_all_points_has_a_lower_bound_only() {
        let range = LifetimeRange { at_least: Duration::from_secs(10), at_most: None };
        assert_eq!(judge(&[alive(5), alive(10), LOST]), Judgement::Settled { range, p: 0.0, sends: 0 });
        assert_eq!(judge(&[LOST, LOST]), Judgement::Unknown(Unknown::HighLoss));
        assert_eq!(judge(&[]), Judgement::Unknown(Unknown::TooFewSamples));
    }
}
