//! The rate limit of replies to one source.
//!
//! Rules of this file: the table has a fixed size for any number of sources. A source is an IPv4 address or an IPv6
//! /64. A source cannot exceed its rate by evicting itself from the table. A token bucket is stored as one number:
//! the time at which it is full again. The slot of a source depends on a secret from the RNG, so that no peer can
//! choose sources that share its slot.
//!
//! ```
//! use core::num::NonZeroU32;
//! use portolan_stun_agent::Rate;
//!
//! assert_eq!(Rate::default().to_string(), "200/s, burst 400");
//! let slow = Rate::per_second(NonZeroU32::new(5).unwrap());
//! assert_eq!(slow.burst.get(), 10, "the default burst is twice the rate");
//! ```
//!
//! The [`Responder`](crate::Responder) applies its rate itself. Another server asks a [`Limiter`]:
//!
//! ```
//! use core::net::IpAddr;
//! use core::num::NonZeroU32;
//! use portolan_machine::{Cx, Entropy, Instant, SocketIds};
//! use portolan_stun_agent::rate::{Limiter, Rate};
//! use portolan_stun_agent::source::Source;
//! # struct Ones;
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { out.fill(1) } }
//!
//! let (mut rng, mut ids) = (Ones, SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut limiter = Limiter::new(Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN });
//! let source = |ip: [u8; 4]| Source::from(IpAddr::from(ip));
//! let (client, other) = (source([198, 51, 100, 7]), source([198, 51, 100, 8]));
//! assert!(limiter.admit(&mut cx, client));
//! assert!(!limiter.admit(&mut cx, client));
//! assert_eq!(limiter.exhausted_until(cx.now(), client), Some(Instant::from_millis(1000)));
//! assert!(limiter.admit(&mut cx, other));
//! ```

use crate::source::Source;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;
use portolan_machine::{Cx, Instant};

/// The limit of replies to one source: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// The average number of replies per second.
    pub per_second: NonZeroU32,
    /// The largest number of replies at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// 200 replies per second, 400 at once.
    pub const DEFAULT: Self = Self::per_second(NonZeroU32::new(200).unwrap());

    /// The given number of replies per second, and twice that number at once.
    #[must_use]
    pub const fn per_second(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second.saturating_add(per_second.get()) }
    }

    /// The time in nanoseconds that refills the bucket by one reply, at least 1.
    const fn cost(self) -> u64 {
        match 1_000_000_000 / self.per_second.get() as u64 {
            0 => 1,
            nanos => nanos,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s, burst {}", self.per_second, self.burst)
    }
}

/// The token buckets of all sources: a set-associative table.
///
/// It has 4,096 slots with 16 bytes each, for any number of sources. A new source without a free slot takes over the
/// bucket of its set that is full soonest.
#[derive(Clone)]
pub struct Limiter {
    rate: Rate,
    secret: [u64; 2],
    /// The keyed hash of the source in each slot; 0 if the slot is free. Empty until the first request.
    hashes: Vec<u64>,
    /// The time at which the bucket of each slot is full again, in nanoseconds since the origin.
    full_at: Vec<u64>,
}

/// The number of slots in a set.
const WAYS: usize = 8;
/// The number of sets, a power of two.
const SETS: usize = 512;

impl Limiter {
    /// A limiter without sources; allocates nothing before the first request.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, secret: [0; 2], hashes: Vec::new(), full_at: Vec::new() }
    }

    /// Takes one reply of the source from its bucket. Returns whether the bucket had one.
    #[must_use]
    pub fn admit(&mut self, cx: &mut Cx<'_>, source: Source) -> bool {
        if self.hashes.is_empty() {
            let (low, high) = (cx.random::<8>(), cx.random::<8>());
            self.secret = [u64::from_be_bytes(low), u64::from_be_bytes(high)];
            self.hashes = vec![0; SETS * WAYS];
            self.full_at = vec![0; SETS * WAYS];
        }
        let now = nanos(cx.now());
        let (hash, slot) = self.slot(source);
        let (cost, full_if_empty) = (self.rate.cost(), self.full_if_empty(now));
        let (Some(slot_hash), Some(full_at)) = (self.hashes.get_mut(slot), self.full_at.get_mut(slot)) else {
            return false;
        };
        *slot_hash = hash;
        // A time after `full_if_empty` is possible only if the clock stepped back.
        let before = (*full_at).clamp(now, full_if_empty);
        let after = before.saturating_add(cost);
        let admitted = after <= full_if_empty;
        *full_at = if admitted { after } else { before };
        admitted
    }

    /// The time at which the source has a batch of replies again; `None` if it has one reply now.
    ///
    /// A batch is the number of replies in 100 ms, at least one and at most the burst. So a stream is not paused and
    /// resumed for each reply.
    #[must_use]
    pub fn exhausted_until(&self, now: Instant, source: Source) -> Option<Instant> {
        const BATCH_NANOS: u64 = 100_000_000;
        let (now, cost, burst) = (nanos(now), self.rate.cost(), u64::from(self.rate.burst.get()));
        let full_if_empty = self.full_if_empty(now);
        let before = self.full_at.get(self.slot(source).1).map_or(now, |&full_at| full_at.clamp(now, full_if_empty));
        if before.saturating_add(cost) <= full_if_empty {
            return None;
        }
        let batch = (BATCH_NANOS / cost).clamp(1, burst);
        let until = before.saturating_add(cost.saturating_mul(batch)).saturating_sub(cost.saturating_mul(burst));
        Some(Instant::from_origin(Duration::from_nanos(until)))
    }

    /// The rate.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// The hash of a source and its slot: the current slot, or the slot of its set whose bucket is full soonest. A
    /// new source takes over the state of that bucket. Otherwise two sources could evict each other and receive a
    /// full bucket each time.
    fn slot(&self, source: Source) -> (u64, usize) {
        let hash = keyed_hash(source, self.secret);
        let set = usize::try_from(hash % SETS as u64).unwrap_or_default() * WAYS;
        let (Some(hashes), Some(full_at)) = (self.hashes.get(set..set + WAYS), self.full_at.get(set..set + WAYS))
        else {
            return (hash, set);
        };
        let soonest = || full_at.iter().enumerate().min_by_key(|&(_, full_at)| full_at).map_or(0, |(slot, _)| slot);
        (hash, set + hashes.iter().position(|&other| other == hash).unwrap_or_else(soonest))
    }

    /// The time at which a bucket is full again if it is empty at `now`.
    fn full_if_empty(&self, now: u64) -> u64 {
        now.saturating_add(self.rate.cost().saturating_mul(u64::from(self.rate.burst.get())))
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("rate", &self.rate).finish_non_exhaustive()
    }
}

fn nanos(at: Instant) -> u64 {
    let since: Duration = at.since_origin();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The keyed hash of a source. It is not 0, and unpredictable without the secret.
fn keyed_hash(source: Source, [first, second]: [u64; 2]) -> u64 {
    let (family, value) = match source {
        Source::V4(ip) => (4, u64::from(u32::from(ip))),
        Source::V6(prefix) => (6, prefix),
    };
    let mixed = fold(value ^ first, second | 1).wrapping_add(family);
    fold(mixed ^ second, first | 1).max(1)
}

/// The XOR of both halves of the 128-bit product.
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    u64::try_from((wide >> 64) ^ (wide & u128::from(u64::MAX))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr};
    use portolan_machine::{Entropy, SocketIds};

    struct Counting(u8);
    impl Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            out.iter_mut().for_each(|byte| {
                self.0 = self.0.wrapping_mul(5).wrapping_add(17);
                *byte = self.0;
            });
        }
    }

    fn admitted(limiter: &mut Limiter, at: u64, source: IpAddr, times: u32) -> u32 {
        let (mut rng, mut ids) = (Counting(1), SocketIds::new());
        let mut cx = Cx::new(Instant::from_millis(at), &mut rng, &mut ids);
        (0..times).map(|_| u32::from(limiter.admit(&mut cx, source.into()))).sum()
    }

    fn v4(n: u32) -> IpAddr {
        Ipv4Addr::from(0xc633_6400 + n).into()
    }

    #[test]
    fn the_default_is_four_hundred_at_once_then_two_hundred_per_second() {
        let mut limiter = Limiter::new(Rate::DEFAULT);
        assert_eq!(admitted(&mut limiter, 1000, v4(1), 1000), 400);
        assert_eq!(admitted(&mut limiter, 1004, v4(1), 10), 0);
        assert_eq!(admitted(&mut limiter, 1005, v4(1), 10), 1);
        assert_eq!(admitted(&mut limiter, 2005, v4(1), 1000), 200);
        assert_eq!(admitted(&mut limiter, 60_000, v4(1), 1000), 400, "full again, and not above the burst");
        assert_eq!(admitted(&mut limiter, 60_000, v4(2), 1000), 400, "other sources are not affected");
    }

    #[test]
    fn an_ipv6_source_is_its_slash_64() {
        let mut limiter = Limiter::new(Rate::DEFAULT);
        let (one, two, three): (IpAddr, IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::ffff:2".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        assert_eq!(admitted(&mut limiter, 0, one, 300), 300);
        assert_eq!(admitted(&mut limiter, 0, two, 300), 100);
        assert_eq!(admitted(&mut limiter, 0, three, 300), 300);
        assert_eq!(admitted(&mut limiter, 0, "::ffff:192.0.2.1".parse().unwrap(), 300), 300);
        assert_eq!(admitted(&mut limiter, 0, "192.0.2.1".parse().unwrap(), 300), 100, "the same source, mapped");
    }

    #[test]
    fn many_sources_do_not_grow_the_table_and_no_source_refills_its_bucket() {
        let mut limiter = Limiter::new(Rate::DEFAULT);
        assert_eq!(admitted(&mut limiter, 0, v4(0), 400), 400);
        for n in 1..100_000 {
            let _one = admitted(&mut limiter, 0, v4(n), 1);
        }
        assert_eq!(admitted(&mut limiter, 0, v4(0), 400), 0, "still empty");
        let admitted_most = (100_000..100_100).map(|n| admitted(&mut limiter, 0, v4(n), 400)).max();
        assert!(admitted_most < Some(400), "a new source takes over the bucket of its slot: {admitted_most:?}");
        assert_eq!((limiter.hashes.len(), limiter.full_at.len()), (SETS * WAYS, SETS * WAYS));
    }

    #[test]
    fn the_slot_of_a_source_depends_on_the_rng() {
        let slot = |rng: u8| {
            let (mut limiter, mut ids) = (Limiter::new(Rate::DEFAULT), SocketIds::new());
            let mut rng = Counting(rng);
            assert!(limiter.admit(&mut Cx::new(Instant::ORIGIN, &mut rng, &mut ids), v4(1).into()));
            limiter.hashes.iter().position(|&hash| hash != 0)
        };
        assert_eq!(slot(1), slot(1));
        assert_ne!(slot(1), slot(2));
    }

    #[test]
    fn a_clock_that_stepped_back_limits_a_source_only_briefly() {
        let mut limiter = Limiter::new(Rate::DEFAULT);
        assert_eq!(admitted(&mut limiter, 1_000_000_000, v4(1), 400), 400);
        assert_eq!(admitted(&mut limiter, 1000, v4(1), 10), 0);
        assert_eq!(admitted(&mut limiter, 3000, v4(1), 500), 400, "full after two seconds");
    }

    #[test]
    fn the_end_of_a_wait_is_the_moment_at_which_a_batch_is_admitted() {
        let at = Instant::from_millis;
        for (per_second, burst, wait, batch) in [(200, 400, 100, 20), (200, 4, 20, 4), (5, 10, 200, 1), (1000, 1, 1, 1)]
        {
            let number = |n| NonZeroU32::new(n).unwrap();
            let mut limiter = Limiter::new(Rate { per_second: number(per_second), burst: number(burst) });
            assert_eq!(limiter.exhausted_until(at(7), v4(1).into()), None, "no request was received yet");
            assert_eq!(admitted(&mut limiter, 1000, v4(1), burst), burst);
            assert_eq!(limiter.exhausted_until(at(1000), v4(1).into()), Some(at(1000 + wait)));
            assert_eq!(limiter.exhausted_until(at(1000), v4(2).into()), None, "other sources are not affected");
            assert_eq!(limiter.exhausted_until(at(1000 + wait), v4(1).into()), None);
            assert_eq!(admitted(&mut limiter, 1000 + wait, v4(1), 1000), batch);
        }
    }
}
