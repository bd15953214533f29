//! Links: delay, loss, duplication, reordering and bandwidth between two places, separately for each direction.
//!
//! A link has two [`Wire`]s, one towards the Internet ("up") and one back ("down"). A wire delays packets. With given
//! probabilities it loses, duplicates or holds back a packet. Jitter alone keeps the order, as a queue does. Only a
//! packet that is held back ([`Wire::reordering`]) lets later packets overtake it.
//!
//! A wire with a bandwidth sends one packet after the other. Waiting packets form a queue with a limit in bytes. A
//! packet that does not fit into the queue is dropped and counted (tail drop).
//!
//! ```
//! use core::time::Duration;
//! use portolan_sim::link::Link;
//!
//! let dsl = Link::delay(Duration::from_millis(25)).loss(0.05).bandwidth(125_000, 32_768);
//! assert_eq!(dsl.up, dsl.down);
//! assert_eq!(dsl.round_trip(), Duration::from_millis(50));
//! ```

use crate::clock::{Nanos, nanos};
use crate::entropy::{Likelihood, SeededRng};
use alloc::boxed::Box;
use core::time::Duration;

/// One direction of a link, as plain data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    /// The least delay of each packet.
    pub delay: Duration,
    /// The most additional delay; evenly distributed.
    pub jitter: Duration,
    /// The probability that a packet is lost, 0 to 1.
    pub loss: f64,
    /// The probability that a packet arrives twice, 0 to 1; each copy has its own jitter.
    pub duplication: f64,
    /// The probability that a packet is held back for [`hold`](Self::hold), so that later packets overtake it, 0 to 1.
    pub reordering: f64,
    /// The additional delay of packets that are held back.
    pub hold: Duration,
    /// Bytes a second of IP packets, headers included; `None`: unlimited. A wire of 0 bytes a second carries nothing.
    ///
    /// Datagrams share this bandwidth among themselves, and streams among themselves. Datagrams and streams do not
    /// compete with each other.
    pub bandwidth: Option<u64>,
    /// The limit of the queue of datagrams, in bytes. The unsent rest of the current packet counts. A packet that does
    /// not fit is dropped. Without a [`bandwidth`](Self::bandwidth) there is no queue.
    pub queue: u64,
}

impl Wire {
    /// A wire without delay, loss or limits.
    pub const PERFECT: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        duplication: 0.0,
        reordering: 0.0,
        hold: Duration::ZERO,
        bandwidth: None,
        queue: 0,
    };
}

/// Both directions of a link, as plain data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Towards the Internet.
    pub up: Wire,
    /// From the Internet.
    pub down: Wire,
}

impl Link {
    /// A link without delay, loss or limits.
    pub const PERFECT: Self = Self { up: Wire::PERFECT, down: Wire::PERFECT };

    /// Returns a link with the same delay in both directions, and no loss.
    #[must_use]
    pub const fn delay(delay: Duration) -> Self {
        Self::PERFECT.with(Wire { delay, ..Wire::PERFECT })
    }

    const fn with(self, wire: Wire) -> Self {
        Self { up: wire, down: wire }
    }

    /// Returns the same link with this probability of loss in each direction.
    #[must_use]
    pub const fn loss(mut self, probability: f64) -> Self {
        self.up.loss = probability;
        self.down.loss = probability;
        self
    }

    /// Returns the same link with at most this much jitter in each direction.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.up.jitter = jitter;
        self.down.jitter = jitter;
        self
    }

    /// Returns the same link with this probability of duplication in each direction.
    #[must_use]
    pub const fn duplication(mut self, probability: f64) -> Self {
        self.up.duplication = probability;
        self.down.duplication = probability;
        self
    }

    /// Returns the same link with this probability, in each direction, that a packet is held back for `hold`.
    #[must_use]
    pub const fn reordering(mut self, probability: f64, hold: Duration) -> Self {
        self.up.reordering = probability;
        self.up.hold = hold;
        self.down.reordering = probability;
        self.down.hold = hold;
        self
    }

    /// Returns the same link with this bandwidth in each direction, in bytes a second, and with a queue of `queue`
    /// bytes.
    ///
    /// [`Wire::bandwidth`] and [`Wire::queue`] define the units.
    #[must_use]
    pub const fn bandwidth(mut self, bytes_per_second: u64, queue: u64) -> Self {
        (self.up.bandwidth, self.up.queue) = (Some(bytes_per_second), queue);
        (self.down.bandwidth, self.down.queue) = (Some(bytes_per_second), queue);
        self
    }

    /// The minimum round-trip time.
    #[must_use]
    pub const fn round_trip(&self) -> Duration {
        self.up.delay.saturating_add(self.down.delay)
    }
}

/// The statistics of a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireStats {
    /// Packets sent into the wire.
    pub sent: u64,
    /// Packets lost.
    pub lost: u64,
    /// Packets that arrived twice.
    pub duplicated: u64,
    /// Packets that were held back.
    pub held: u64,
    /// Packets dropped because the queue was full (tail drop). They do not count as lost.
    pub tail_dropped: u64,
}

impl WireStats {
    /// The share of packets that were lost; 0 if none was sent.
    #[must_use]
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.lost as f64 / self.sent as f64 }
    }

    /// Adds the statistics of two wires, or of two runs of one wire.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            lost: self.lost + other.lost,
            duplicated: self.duplicated + other.duplicated,
            held: self.held + other.held,
            tail_dropped: self.tail_dropped + other.tail_dropped,
        }
    }
}

/// The arrival times of a packet at the end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    Lost,
    /// The queue was full.
    TailDropped,
    Once(Nanos),
    Twice(Nanos, Nanos),
}

/// The state of a wire during a run.
#[derive(Clone, Debug)]
pub(crate) struct WireState {
    delay: Nanos,
    jitter: Nanos,
    hold: Nanos,
    loss: Likelihood,
    duplication: Likelihood,
    reordering: Likelihood,
    /// The arrival time of the last packet in order.
    last: Nanos,
    /// Packets that are sent before this time wait until then.
    held_until: Nanos,
    pub(crate) stats: WireStats,
    /// Boxed, so that a wire without a bandwidth stays small.
    limiter: Option<Box<Limiter>>,
}

/// The bandwidth of a wire.
#[derive(Clone, Copy, Debug)]
struct Limiter {
    bytes_per_second: u64,
    queue: u64,
    /// The time at which the last queued datagram is sent.
    idle_at: Nanos,
    /// The same for segments of streams.
    streams_idle_at: Nanos,
}

impl Limiter {
    /// The time that it takes to send `bytes`.
    fn time(&self, bytes: u64) -> Nanos {
        let time = (u128::from(bytes) * NANOS_PER_SECOND).div_ceil(u128::from(self.bytes_per_second.max(1)));
        Nanos::try_from(time).unwrap_or(Nanos::MAX)
    }

    /// Adds a datagram to the queue. Returns the time at which it is sent; `None`: the queue has no room.
    fn enqueue(&mut self, now: Nanos, bytes: u64) -> Option<Nanos> {
        let busy = u128::from(self.idle_at.saturating_sub(now));
        let waiting = (busy * u128::from(self.bytes_per_second)).div_ceil(NANOS_PER_SECOND);
        let is_full = waiting > 0 && waiting + u128::from(bytes) > u128::from(self.queue);
        if is_full || self.bytes_per_second == 0 {
            return None;
        }
        self.idle_at = self.idle_at.max(now).saturating_add(self.time(bytes));
        Some(self.idle_at)
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

impl WireState {
    pub(crate) fn new(wire: &Wire) -> Self {
        let limiter = wire.bandwidth.map(|bytes_per_second| {
            Box::new(Limiter { bytes_per_second, queue: wire.queue, idle_at: 0, streams_idle_at: 0 })
        });
        Self {
            delay: nanos(wire.delay),
            jitter: nanos(wire.jitter),
            hold: nanos(wire.hold),
            loss: Likelihood::new(wire.loss),
            duplication: Likelihood::new(wire.duplication),
            reordering: Likelihood::new(wire.reordering),
            last: 0,
            held_until: 0,
            stats: WireStats::default(),
            limiter,
        }
    }

    pub(crate) fn reset(&mut self) {
        (self.last, self.held_until) = (0, 0);
        self.stats = WireStats::default();
        if let Some(limiter) = &mut self.limiter {
            (limiter.idle_at, limiter.streams_idle_at) = (0, 0);
        }
    }

    /// Holds back all packets until a time.
    pub(crate) const fn hold_until(&mut self, end: Nanos) {
        self.held_until = end;
    }

    /// The time until which a packet is held back that is sent at `now`.
    pub(crate) const fn held(&self, now: Nanos) -> Nanos {
        self.held_until.saturating_sub(now)
    }

    /// The least delay of a packet.
    pub(crate) const fn delay(&self) -> Nanos {
        self.delay
    }

    /// Whether the wire has a bandwidth.
    pub(crate) const fn is_limited(&self) -> bool {
        self.limiter.is_some()
    }

    /// Whether no packet passes this wire: it loses all packets, or has a bandwidth of 0.
    pub(crate) fn is_cut(&self) -> bool {
        self.loss.is_certain() || self.limiter.as_ref().is_some_and(|limiter| limiter.bytes_per_second == 0)
    }

    /// Carries a segment of a stream: no loss, no jitter, no queue limit. Returns the arrival time.
    pub(crate) fn carry_segment(&mut self, now: Nanos, bytes: u64) -> Nanos {
        let now = now.max(self.held_until);
        let sent = match &mut self.limiter {
            Some(limiter) => {
                limiter.streams_idle_at = limiter.streams_idle_at.max(now).saturating_add(limiter.time(bytes));
                limiter.streams_idle_at
            }
            None => now,
        };
        sent.saturating_add(self.delay)
    }

    /// Carries a packet; `bytes` returns its length and is called only if the wire has a bandwidth.
    pub(crate) fn carry(&mut self, now: Nanos, bytes: impl FnOnce() -> u64, rng: &mut SeededRng) -> Carried {
        self.stats.sent += 1;
        let now = now.max(self.held_until);
        let sent = match &mut self.limiter {
            None => now,
            Some(limiter) => {
                let Some(sent) = limiter.enqueue(now, bytes()) else {
                    self.stats.tail_dropped += 1;
                    return Carried::TailDropped;
                };
                sent
            }
        };
        if rng.happens(self.loss) {
            self.stats.lost += 1;
            return Carried::Lost;
        }
        let first = self.arrival(sent, rng);
        if rng.happens(self.duplication) {
            self.stats.duplicated += 1;
            return Carried::Twice(first, self.arrival(sent, rng));
        }
        Carried::Once(first)
    }

    fn arrival(&mut self, now: Nanos, rng: &mut SeededRng) -> Nanos {
        let jitter = if self.jitter == 0 { 0 } else { rng.below(self.jitter.saturating_add(1)) };
        let at = now.saturating_add(self.delay).saturating_add(jitter).max(self.last);
        if rng.happens(self.reordering) {
            self.stats.held += 1;
            return at.saturating_add(self.hold);
        }
        self.last = at;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn arrivals(link: Link) -> (alloc::vec::Vec<Carried>, WireStats) {
        let (mut wire, mut rng) = (WireState::new(&link.up), SeededRng::new(5));
        let carried = (0..10_000).map(|n| wire.carry(n * MS, || 128, &mut rng)).collect();
        (carried, wire.stats)
    }

    #[test]
    fn a_perfect_link_has_no_delay() {
        let (carried, stats) = arrivals(Link::PERFECT);
        assert!(carried.iter().zip(0..).all(|(carried, n)| *carried == Carried::Once(n * MS)));
        assert_eq!(stats, WireStats { sent: 10_000, ..WireStats::default() });
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds() {
        let (carried, _) = arrivals(Link::delay(Duration::from_millis(20)).jitter(Duration::from_millis(30)));
        let mut last = 0;
        for (carried, n) in carried.into_iter().zip(0..) {
            let Carried::Once(at) = carried else { panic!("{carried:?}") };
            assert!(at >= last && (n * MS + 20 * MS..=n * MS + 50 * MS).contains(&at));
            last = at;
        }
    }

    #[test]
    fn a_wire_sends_packets_in_sequence_and_drops_them_when_the_queue_is_full() {
        // 1,000 bytes a second: a packet of 100 bytes takes 100 ms. 350 bytes may wait.
        let link = Link::delay(Duration::from_millis(5)).bandwidth(1_000, 350);
        let (mut wire, mut rng) = (WireState::new(&link.up), SeededRng::new(5));
        let mut carry = |at_ms: u64| wire.carry(at_ms * MS, || 100, &mut rng);
        assert_eq!(carry(0), Carried::Once(105 * MS));
        assert_eq!(carry(0), Carried::Once(205 * MS));
        assert_eq!(carry(0), Carried::Once(305 * MS));
        assert_eq!(carry(0), Carried::TailDropped);
        assert_eq!(carry(49), Carried::TailDropped, "251 bytes wait");
        assert_eq!(carry(50), Carried::Once(405 * MS), "250 bytes wait");
        assert_eq!(carry(1_000), Carried::Once(1_105 * MS), "an idle wire sends at once");
        assert_eq!(wire.stats, WireStats { sent: 7, tail_dropped: 2, ..WireStats::default() });
        assert!(!wire.is_cut() && WireState::new(&Link::PERFECT.bandwidth(0, 9).up).is_cut());
    }

    #[test]
    fn loss_duplication_and_reordering_have_the_configured_rates() {
        let hold = Duration::from_millis(5);
        let (carried, stats) = arrivals(Link::PERFECT.loss(0.1).duplication(0.02).reordering(0.05, hold));
        let lost = carried.iter().filter(|c| **c == Carried::Lost).count() as u64;
        let twice = carried.iter().filter(|c| matches!(c, Carried::Twice(..))).count() as u64;
        assert_eq!((stats.lost, stats.duplicated), (lost, twice));
        assert!((0.09..0.11).contains(&stats.loss()), "{stats:?}");
        assert!((130..230).contains(&twice) && (380..520).contains(&stats.held), "{stats:?}");
        let overtaken = carried.iter().zip(0..).any(|(c, n)| *c == Carried::Once(n * MS + 5 * MS));
        assert!(overtaken, "a held packet arrives after the one behind it");
    }
}
