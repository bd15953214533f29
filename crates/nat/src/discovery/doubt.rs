//! The probability that a conclusion from silence is wrong, given the measured loss.
//!
//! Rules of this file: plain arithmetic, no state. The probability that a round trip fails is not known. The number
//! of packets that had to be answered is known. With a Beta prior, the probability that the next `n` round trips
//! *all* fail is a product of `n` fractions.

/// The prior for a failed round trip: as after three packets of which 10 % failed. The seven packets of a control
/// outweigh it. The result is too large below 40 % loss per direction and about right there. Above that it is too
/// small, but there most conclusions are `unknown`.
const PRIOR_FAILURES: f64 = 0.3;
const PRIOR_SUCCESSES: f64 = 2.7;

/// The probability that a NAT gives two unrelated mappings the same port of some 64,512 by accident.
pub(super) const PORT_CHANCE: f64 = 1.0 / 64_512.0;

/// The error of a conclusion from one server alone: 2 of 80 public servers reported wrong addresses.
pub(super) const SINGLE_SERVER: f64 = 2.0 / 80.0;

/// The probability that a NAT that preserves ports chooses one of several addresses for each destination. This is an
/// estimate without a measurement.
pub(super) const POOL: f64 = 0.05;

/// The smallest error, for faults that these tests cannot detect.
pub(super) const MIN_P_WRONG: f64 = 1e-6;

/// Silence is no evidence if the probability of accidental silence is larger than this.
pub(super) const MAX_P_WRONG: f64 = 0.2;

/// The probability that `n` choices of one of two addresses all give the same address.
pub(super) fn one_of_two(n: u8) -> f64 {
    (1..n).fold(1.0, |chance, _| chance * 0.5)
}

/// A server is blamed for its silence only if the probability of accidental silence is at most this.
pub(super) const MAX_BLAME: f64 = 0.001;

/// The number of packets that had to be answered, and the number of those that were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u32,
    pub(super) answered: u32,
}

impl Tally {
    /// Adds `sent` packets with `answered` responses. Duplicates in the network can give more responses than
    /// requests.
    pub(super) fn add(&mut self, sent: u32, answered: u32) {
        self.sent = self.sent.saturating_add(sent);
        self.answered = self.answered.saturating_add(answered.min(sent));
    }

    /// The probability that `n` further round trips all fail.
    pub(super) fn all_fail(self, n: u32) -> f64 {
        let failures = PRIOR_FAILURES + f64::from(self.sent - self.answered);
        let trials = PRIOR_FAILURES + PRIOR_SUCCESSES + f64::from(self.sent);
        (0..n).fold(1.0, |chance, i| chance * (failures + f64::from(i)) / (trials + f64::from(i)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(sent: u32, answered: u32) -> Tally {
        Tally { sent, answered }
    }

    #[test]
    fn silence_is_stronger_evidence_when_fewer_packets_are_lost() {
        let clean = tally(7, 7).all_fail(7);
        let lossy = tally(7, 5).all_fail(7);
        let very_lossy = tally(14, 1).all_fail(7);
        assert!(clean < 1e-4 && clean < lossy && lossy < very_lossy, "{clean} {lossy} {very_lossy}");
        assert!(very_lossy > MAX_P_WRONG);
    }

    #[test]
    fn silence_is_stronger_evidence_after_more_sends() {
        let tally = tally(12, 9);
        assert!((tally.all_fail(0) - 1.0).abs() < f64::EPSILON);
        assert!((1..20).all(|n| tally.all_fail(n) < tally.all_fail(n - 1)));
    }

    #[test]
    fn the_estimate_is_the_mean_of_the_power_over_the_posterior() {
        // Beta(0.3 + 2, 2.7 + 5): the numeric integral of x^7.
        let (a, b) = (2.3_f64, 7.7_f64);
        let (mut above, mut below) = (0.0, 0.0);
        for i in 1..200_000 {
            let x = f64::from(i) / 200_000.0;
            let density = (x.ln() * (a - 1.0) + (1.0 - x).ln() * (b - 1.0)).exp();
            above += density * x.powi(7);
            below += density;
        }
        let exact = above / below;
        let estimate = tally(7, 5).all_fail(7);
        assert!((estimate / exact - 1.0).abs() < 1e-3, "{estimate} {exact}");
    }

    #[test]
    fn duplicate_responses_do_not_make_the_loss_negative() {
        let mut tally = Tally::default();
        tally.add(7, 14);
        assert_eq!(tally, Tally { sent: 7, answered: 7 });
    }
}
