//! How often one source is answered.
//!
//! Rules of this file: the table has a fixed size, whatever the number of sources; a source is an IPv4 address or an IPv6
//! /64; no source ever gets more than its rate, not even by pushing itself out of the table. A bucket is one number, the
//! moment at which it would be full again. The place of a source in the table depends on a secret from the RNG, so that
//! no peer can choose the sources that share its place.
//!
//! ```
//! use core::num::NonZeroU32;
//! use portolan_stun_agent::Rate;
//!
//! assert_eq!(Rate::default().to_string(), "200/s, burst 400");
//! let slow = Rate::per_second(NonZeroU32::new(5).unwrap());
//! assert_eq!(slow.burst.get(), 10, "twice the rate unless said otherwise");
//! ```

use crate::source::Source;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;
use portolan_machine::{Cx, Instant};

/// How many replies one source gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Replies a second, on the long run.
    pub per_second: NonZeroU32,
    /// Replies at once, after silence.
    pub burst: NonZeroU32,
}

impl Rate {
    /// 200 replies a second, 400 at once.
    pub const DEFAULT: Self = Self::per_second(NonZeroU32::new(200).unwrap());

    /// So many replies a second, twice as many at once.
    #[must_use]
    pub const fn per_second(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second.saturating_add(per_second.get()) }
    }

    /// The time in nanoseconds that one reply costs, at least 1.
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

/// The buckets of all sources.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    rate: Rate,
    secret: [u64; 2],
    /// The source of each place, by keyed hash; 0: none. Empty until the first request.
    holders: Vec<u64>,
    /// When the bucket of each place is full again, in nanoseconds since the origin.
    full_at: Vec<u64>,
}

/// Places among which one source may find its own.
const WAYS: usize = 8;
/// Groups of places, a power of two.
const SETS: usize = 512;

impl Limiter {
    /// Allocates nothing before the first request.
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { rate, secret: [0; 2], holders: Vec::new(), full_at: Vec::new() }
    }

    /// Whether the source may have a reply now; it is then counted.
    pub(crate) fn admit(&mut self, cx: &mut Cx<'_>, source: Source) -> bool {
        if self.holders.is_empty() {
            let (low, high) = (cx.random::<8>(), cx.random::<8>());
            self.secret = [u64::from_be_bytes(low), u64::from_be_bytes(high)];
            self.holders = vec![0; SETS * WAYS];
            self.full_at = vec![0; SETS * WAYS];
        }
        let now = nanos(cx.now());
        let (holder, place) = self.place(source);
        let (cost, emptiest) = (self.rate.cost(), self.emptiest(now));
        let (Some(holding), Some(full_at)) = (self.holders.get_mut(place), self.full_at.get_mut(place)) else {
            return false;
        };
        *holding = holder;
        // No bucket is emptier than empty: only a clock that stepped back makes it look so.
        let before = (*full_at).clamp(now, emptiest);
        let after = before.saturating_add(cost);
        let admitted = after <= emptiest;
        *full_at = if admitted { after } else { before };
        admitted
    }

    /// The moment from which the source may have several replies again; `None`: it may have one now.
    ///
    /// Several are what 100 ms give, at least one and at most the burst: a stream that is paused until then is not paused
    /// and resumed for each reply.
    pub(crate) fn exhausted_until(&self, now: Instant, source: Source) -> Option<Instant> {
        const BATCH_NANOS: u64 = 100_000_000;
        let (now, cost, burst) = (nanos(now), self.rate.cost(), u64::from(self.rate.burst.get()));
        let emptiest = self.emptiest(now);
        let before = self.full_at.get(self.place(source).1).map_or(now, |&full_at| full_at.clamp(now, emptiest));
        if before.saturating_add(cost) <= emptiest {
            return None;
        }
        let batch = (BATCH_NANOS / cost).clamp(1, burst);
        let until = before.saturating_add(cost.saturating_mul(batch)).saturating_sub(cost.saturating_mul(burst));
        Some(Instant::from_origin(Duration::from_nanos(until)))
    }

    /// The hash of a source and its place: its current one, or the one whose bucket is full soonest. Where that
    /// bucket is not full yet, the newcomer takes over what is left in it: else two sources could renew each other's
    /// places for ever.
    fn place(&self, source: Source) -> (u64, usize) {
        let holder = keyed(source, self.secret);
        let set = usize::try_from(holder % SETS as u64).unwrap_or_default() * WAYS;
        let (Some(holders), Some(full_at)) = (self.holders.get(set..set + WAYS), self.full_at.get(set..set + WAYS))
        else {
            return (holder, set);
        };
        let soonest = || full_at.iter().enumerate().min_by_key(|&(_, full_at)| full_at).map_or(0, |(place, _)| place);
        (holder, set + holders.iter().position(|&other| other == holder).unwrap_or_else(soonest))
    }

    /// The moment at which a bucket is full again that is empty now.
    fn emptiest(&self, now: u64) -> u64 {
        now.saturating_add(self.rate.cost().saturating_mul(u64::from(self.rate.burst.get())))
    }
}

fn nanos(at: Instant) -> u64 {
    let since: Duration = at.since_origin();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A hash of the source that is not 0 and cannot be predicted without the secret.
fn keyed(source: Source, [first, second]: [u64; 2]) -> u64 {
    let (family, value) = match source {
        Source::V4(ip) => (4, u64::from(u32::from(ip))),
        Source::V6(prefix) => (6, prefix),
    };
    let mixed = fold(value ^ first, second | 1).wrapping_add(family);
    fold(mixed ^ second, first | 1).max(1)
}

/// Both halves of the wide product, folded.
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
    fn four_hundred_at_once_then_two_hundred_a_second() {
        let mut limiter = Limiter::new(Rate::DEFAULT);
        assert_eq!(admitted(&mut limiter, 1000, v4(1), 1000), 400);
        assert_eq!(admitted(&mut limiter, 1004, v4(1), 10), 0);
        assert_eq!(admitted(&mut limiter, 1005, v4(1), 10), 1);
        assert_eq!(admitted(&mut limiter, 2005, v4(1), 1000), 200);
        assert_eq!(admitted(&mut limiter, 60_000, v4(1), 1000), 400, "full again, and no fuller");
        assert_eq!(admitted(&mut limiter, 60_000, v4(2), 1000), 400, "others are not touched");
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
    fn a_crowd_does_not_grow_the_table_and_wins_nobody_a_fresh_bucket() {
        let mut limiter = Limiter::new(Rate::DEFAULT);
        assert_eq!(admitted(&mut limiter, 0, v4(0), 400), 400);
        for n in 1..100_000 {
            let _one = admitted(&mut limiter, 0, v4(n), 1);
        }
        assert_eq!(admitted(&mut limiter, 0, v4(0), 400), 0, "still empty");
        let unknown = (100_000..100_100).map(|n| admitted(&mut limiter, 0, v4(n), 400)).max();
        assert!(unknown < Some(400), "a newcomer takes over what is left of the place: {unknown:?}");
        assert_eq!((limiter.holders.len(), limiter.full_at.len()), (SETS * WAYS, SETS * WAYS));
    }

    #[test]
    fn where_a_source_lies_depends_on_the_dice() {
        let place = |rng: u8| {
            let (mut limiter, mut ids) = (Limiter::new(Rate::DEFAULT), SocketIds::new());
            let mut rng = Counting(rng);
            assert!(limiter.admit(&mut Cx::new(Instant::ORIGIN, &mut rng, &mut ids), v4(1).into()));
            limiter.holders.iter().position(|&holder| holder != 0)
        };
        assert_eq!(place(1), place(1));
        assert_ne!(place(1), place(2));
    }

    #[test]
    fn a_clock_that_stepped_back_locks_nobody_out_for_long() {
        let mut limiter = Limiter::new(Rate::DEFAULT);
        assert_eq!(admitted(&mut limiter, 1_000_000_000, v4(1), 400), 400);
        assert_eq!(admitted(&mut limiter, 1000, v4(1), 10), 0);
        assert_eq!(admitted(&mut limiter, 3000, v4(1), 500), 400, "two seconds on it is full");
    }

    #[test]
    fn the_end_of_a_wait_is_the_moment_at_which_a_batch_is_admitted() {
        let at = Instant::from_millis;
        for (per_second, burst, wait, batch) in [(200, 400, 100, 20), (200, 4, 20, 4), (5, 10, 200, 1), (1000, 1, 1, 1)]
        {
            let number = |n| NonZeroU32::new(n).unwrap();
            let mut limiter = Limiter::new(Rate { per_second: number(per_second), burst: number(burst) });
            assert_eq!(limiter.exhausted_until(at(7), v4(1).into()), None, "nothing was asked yet");
            assert_eq!(admitted(&mut limiter, 1000, v4(1), burst), burst);
            assert_eq!(limiter.exhausted_until(at(1000), v4(1).into()), Some(at(1000 + wait)));
            assert_eq!(limiter.exhausted_until(at(1000), v4(2).into()), None, "others are not touched");
            assert_eq!(limiter.exhausted_until(at(1000 + wait), v4(1).into()), None);
            assert_eq!(admitted(&mut limiter, 1000 + wait, v4(1), 1000), batch);
        }
    }
}
