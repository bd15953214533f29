//! The path to the server: its RTT, its loss, and the probability that loss explains silence.
//!
//! Rules of this file: loss is counted on requests that must be answered and whose sends go on after the first
//! response. Otherwise the count would be too low. Without any request the prior is one failure in two.

use crate::profile::Path;
use core::time::Duration;
use portolan_stun_agent::Schedule;

/// The measurements of the path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PathEstimate {
    pub(super) path: Path,
}

impl PathEstimate {
    /// Records a round trip without a retransmission.
    pub(super) fn add_rtt(&mut self, rtt: Duration) {
        self.path.rtt = Some(self.path.rtt.map_or(rtt, |best| best.min(rtt)));
    }

    /// Records requests that must be answered, and their responses. A duplicate of the network does not count.
    pub(super) fn add_loss(&mut self, sent: u32, answered: u32) {
        self.path.sent = self.path.sent.saturating_add(sent);
        self.path.answered = self.path.answered.saturating_add(answered.min(sent));
    }

    pub(super) fn rtt(&self) -> Duration {
        self.path.rtt.unwrap_or(Self::UNKNOWN_RTT)
    }

    /// The timeout after the last send.
    pub(super) fn tail(&self) -> Duration {
        self.rtt().saturating_mul(3).clamp(Self::TAIL_MIN, Self::TAIL_MAX)
    }

    /// The duration of a round of requests without a response.
    pub(super) fn round(&self) -> Duration {
        Self::LAST_SEND + self.tail()
    }

    /// The sends of a round of requests whose silence is evidence.
    pub(super) fn check(&self) -> Schedule {
        Schedule::at_millis([0, 90, 190, 300, 400, 510, 600]).jitter(Duration::from_millis(10)).tail(self.tail())
    }

    /// The probability that loss explains the silence of `sends` requests.
    pub(super) fn all_lost(&self, sends: u32) -> f64 {
        let lost = f64::from(self.path.sent - self.path.answered.min(self.path.sent));
        let one = (lost + 1.0) / (f64::from(self.path.sent) + 2.0);
        (0..sends.min(64)).fold(1.0, |p, _| p * one)
    }

    const UNKNOWN_RTT: Duration = Duration::from_millis(100);
    const TAIL_MIN: Duration = Duration::from_millis(250);
    const TAIL_MAX: Duration = Duration::from_secs(2);
    const LAST_SEND: Duration = Duration::from_millis(610);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_of_silence_depends_on_the_loss() {
        let mut estimate = PathEstimate::default();
        assert!((estimate.all_lost(7) - 0.5_f64.powi(7)).abs() < 1e-12, "no packet was sent yet");
        estimate.add_loss(98, 98);
        assert!(estimate.all_lost(7) < 1e-13);
        estimate.add_loss(100, 60);
        let one = 41.0 / 200.0;
        assert!((estimate.all_lost(2) - one * one).abs() < 1e-12);
        estimate.add_loss(2, 90);
        assert_eq!(estimate.path.answered, 160, "duplicates do not hide loss");
    }

    #[test]
    fn the_tail_grows_with_the_round_trip_time() {
        let mut estimate = PathEstimate::default();
        estimate.add_rtt(Duration::from_millis(50));
        estimate.add_rtt(Duration::from_millis(70));
        assert_eq!((estimate.rtt().as_millis(), estimate.tail().as_millis()), (50, 250));
        let mut far = PathEstimate::default();
        far.add_rtt(Duration::from_millis(600));
        assert_eq!(far.tail().as_millis(), 1800);
    }
}
