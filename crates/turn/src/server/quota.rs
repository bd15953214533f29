//! The quotas of allocations and of bandwidth.
//!
//! Rules of this file: allocations are counted in total, for each account of a user and for each source. Only users with valid
//! credentials are counted, so a source without credentials leaves no entry. An entry is removed with its last
//! allocation. The bandwidth of an allocation is a token bucket. A bucket is stored as one number: the time at which it
//! is full again.

use super::allocation::Owner;
use super::config::ServerLimits;
use crate::note::RequestRefusal;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun_agent::source::Source;

/// The numbers of allocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Quotas {
    total: u32,
    accounts: BTreeMap<Arc<str>, u32>,
    sources: BTreeMap<Source, u32>,
}

impl Quotas {
    /// Counts one allocation of its owner, if no quota is exceeded. Otherwise nothing changes.
    pub(super) fn take(&mut self, owner: &Owner, limits: &ServerLimits) -> Result<(), RequestRefusal> {
        let held = |count: Option<&u32>| count.copied().unwrap_or(0);
        if self.total >= limits.allocations {
            return Err(RequestRefusal::Full);
        }
        if held(self.accounts.get(&owner.account)) >= limits.allocations_per_user {
            return Err(RequestRefusal::UserQuota);
        }
        if held(self.sources.get(&owner.source)) >= limits.allocations_per_source {
            return Err(RequestRefusal::SourceQuota);
        }
        self.total += 1;
        *self.accounts.entry(owner.account.clone()).or_default() += 1;
        *self.sources.entry(owner.source).or_default() += 1;
        Ok(())
    }

    /// Removes one allocation of its owner. The caller has counted it by [`take`](Self::take).
    pub(super) fn release(&mut self, owner: &Owner) {
        let was_last = |count: &mut u32| {
            *count = count.saturating_sub(1);
            *count == 0
        };
        if self.accounts.get_mut(&owner.account).is_some_and(was_last) {
            self.accounts.remove(&owner.account);
        }
        if self.sources.get_mut(&owner.source).is_some_and(was_last) {
            self.sources.remove(&owner.source);
        }
        self.total = self.total.saturating_sub(1);
    }
}

/// The limit of the bytes that one allocation relays: a token bucket.
///
/// ```
/// use core::num::NonZeroU32;
/// use portolan_turn::Bandwidth;
///
/// let limit = Bandwidth::per_second(NonZeroU32::new(250_000).unwrap());
/// assert_eq!(limit.to_string(), "250000 B/s, burst 250000 B");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bandwidth {
    per_second: NonZeroU32,
    burst: u32,
}

impl Bandwidth {
    /// The smallest burst in bytes. The longest UDP payload fits into it.
    pub const LEAST_BURST: u32 = 65_536;

    /// This number of bytes per second, and the bytes of one second at once.
    #[must_use]
    pub const fn per_second(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: 0 }.with_burst(per_second.get())
    }

    /// Returns the same limit with this number of bytes at once, at least [`LEAST_BURST`](Self::LEAST_BURST).
    #[must_use]
    pub const fn with_burst(mut self, burst: u32) -> Self {
        self.burst = if burst < Self::LEAST_BURST { Self::LEAST_BURST } else { burst };
        self
    }

    /// The time in nanoseconds that refills the bucket by this number of bytes.
    const fn nanos(self, bytes: u64) -> u64 {
        bytes.saturating_mul(1_000_000_000).div_ceil(self.per_second.get() as u64)
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B/s, burst {} B", self.per_second, self.burst)
    }
}

/// The token bucket of one allocation: the time at which it is full again, in nanoseconds since the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Returns the bucket without the bytes of one datagram; `None` if they are too many. It changes nothing, so that a
    /// decision about a datagram is pure.
    #[inline]
    pub(super) fn take(self, now: Instant, limit: Bandwidth, bytes: usize) -> Option<Self> {
        let since: Duration = now.since_origin();
        let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let full_if_empty = now.saturating_add(limit.nanos(limit.burst.into()));
        // A time after `full_if_empty` is possible only if the clock stepped back or the limit changed. The bucket is
        // then full, because a refused datagram must not change it.
        let before = if self.full_at > full_if_empty { now } else { self.full_at.max(now) };
        let after = before.saturating_add(limit.nanos(u64::try_from(bytes).unwrap_or(u64::MAX)));
        (after <= full_if_empty).then_some(Self { full_at: after })
    }

    /// The time at which the bucket has these bytes, if nothing else is taken; later than `now`. They are at most
    /// [`Bandwidth::LEAST_BURST`].
    pub(super) fn ready_at(self, now: Instant, limit: Bandwidth, bytes: usize) -> Instant {
        let needed = limit.nanos(u64::try_from(bytes).unwrap_or(u64::MAX));
        let at = self.full_at.saturating_add(needed).saturating_sub(limit.nanos(limit.burst.into()));
        Instant::from_origin(Duration::from_nanos(at)).max(now + Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use core::net::IpAddr;

    impl Bucket {
        /// Takes the bytes of a datagram, and returns whether the bucket had them.
        fn admit(&mut self, now: Instant, limit: Bandwidth, bytes: usize) -> bool {
            let taken = self.take(now, limit, bytes);
            *self = taken.unwrap_or(*self);
            taken.is_some()
        }
    }

    fn limits(total: u32, user: u32, source: u32) -> ServerLimits {
        let (allocations, allocations_per_user, allocations_per_source) = (total, user, source);
        ServerLimits { allocations, allocations_per_user, allocations_per_source, ..ServerLimits::default() }
    }

    fn owner(account: &str, source: &str) -> Owner {
        Owner { account: account.into(), source: source.parse::<IpAddr>().unwrap().into() }
    }

    #[test]
    fn each_quota_holds_and_a_refused_allocation_is_not_counted() {
        let limits = limits(10, 3, 5);
        let mut quotas = Quotas::default();
        let mut take = |account: &str, source: &str| {
            let before = quotas.clone();
            let taken = quotas.take(&owner(account, source), &limits);
            assert_eq!(taken.is_err(), quotas == before);
            taken
        };
        for _ in 0..3 {
            assert_eq!(take("alice", "192.0.2.1"), Ok(()));
        }
        assert_eq!(take("alice", "2001:db8::1"), Err(RequestRefusal::UserQuota));
        for _ in 0..2 {
            assert_eq!(take("bob", "192.0.2.1"), Ok(()));
        }
        assert_eq!(take("bob", "192.0.2.1"), Err(RequestRefusal::SourceQuota), "a quota for all users of a source");
        assert_eq!(take("bob", "2001:db8::1"), Ok(()));
        for account in ["1", "2", "3", "4"] {
            assert_eq!(take(account, "2001:db8::ffff:7"), Ok(()), "one source with the /64");
        }
        assert_eq!(take("carol", "192.0.2.3"), Err(RequestRefusal::Full));
        quotas.release(&owner("alice", "192.0.2.1"));
        assert_eq!(quotas.take(&owner("carol", "2001:db8::2"), &limits), Err(RequestRefusal::SourceQuota));
        assert_eq!(quotas.take(&owner("carol", "192.0.2.3"), &limits), Ok(()));
    }

    #[test]
    fn a_hundred_thousand_allocations_leave_no_entry() {
        let limits = limits(1000, 1000, 1000);
        let mut quotas = Quotas::default();
        for round in 0..100_u32 {
            let of =
                |n: u32| owner(&format!("user {}", (round * 7 + n) % 300), &format!("10.0.{}.{}", n / 256, n % 256));
            let held: Vec<Owner> = (0..1000).map(of).collect();
            held.iter().for_each(|owner| quotas.take(owner, &limits).unwrap());
            assert_eq!(quotas.take(&owner("other", "192.0.2.1"), &limits), Err(RequestRefusal::Full));
            held.iter().rev().for_each(|owner| quotas.release(owner));
        }
        assert_eq!(quotas, Quotas::default());
        quotas.release(&owner("unknown", "192.0.2.1"));
        assert_eq!(quotas, Quotas::default());
    }

    #[test]
    fn the_bandwidth_is_the_burst_and_then_the_rate() {
        let limit = Bandwidth::per_second(NonZeroU32::new(1_000_000).unwrap()).with_burst(100_000);
        let mut bucket = Bucket::default();
        let mut relayed = |from: u64, millis: u64| -> usize {
            let at = |millis| Instant::from_millis(millis);
            let each = |millis| (0..200).filter(|_| bucket.admit(at(millis), limit, 1000)).count() * 1000;
            (from..from + millis).map(each).sum()
        };
        assert_eq!(relayed(5000, 1), 100_000, "the burst at once");
        assert_eq!(relayed(5001, 1000), 1_000_000, "then 1 MB in one second");
        assert_eq!(relayed(60_000, 1), 100_000, "the bucket is full again, and not above the burst");
    }

    #[test]
    fn a_datagram_that_is_too_large_for_now_takes_nothing() {
        let limit = Bandwidth::per_second(NonZeroU32::new(1000).unwrap());
        assert_eq!(limit.to_string(), "1000 B/s, burst 65536 B");
        let mut bucket = Bucket::default();
        let now = Instant::from_millis(1);
        assert!(bucket.admit(now, limit, 65_507), "the longest datagram fits into the smallest burst");
        let before = bucket;
        assert!(!bucket.admit(now, limit, 30));
        assert_eq!(bucket, before);
        assert!(bucket.admit(now, limit, 29) && !bucket.admit(now, limit, 1));
        assert!(bucket.admit(now + Duration::from_millis(1), limit, 1));
    }

    #[test]
    fn extreme_times_and_limits_do_not_overflow() {
        let fastest = Bandwidth::per_second(NonZeroU32::MAX);
        let slowest = Bandwidth::per_second(NonZeroU32::MIN).with_burst(u32::MAX);
        for limit in [fastest, slowest] {
            let mut bucket = Bucket::default();
            for now in [Instant::from_origin(Duration::MAX), Instant::ORIGIN, Instant::from_millis(1)] {
                bucket.admit(now, limit, usize::MAX);
                bucket.admit(now, limit, 0);
                bucket.admit(now, limit, 1000);
            }
        }
        // After a step back of the clock, the bucket is full.
        let limit = Bandwidth::per_second(NonZeroU32::new(65_536).unwrap());
        let mut bucket = Bucket::default();
        assert!(bucket.admit(Instant::from_millis(1_000_000), limit, 65_536));
        assert!(bucket.admit(Instant::from_millis(1000), limit, 65_536));
        assert!(!bucket.admit(Instant::from_millis(1000), limit, 1));
    }
}
