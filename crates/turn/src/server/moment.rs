//! A time in eight bytes.

use core::time::Duration;
use portolan_machine::Instant;

/// The nanoseconds since the origin, of which eight bytes count 584 years. Later times are equal.
///
/// An [`Instant`] takes 16 bytes, and the data path should read few cache lines. It also has a large niche, in which the
/// compiler would mark a free place of the table. Now this niche is in the address of the client, which each lookup reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl From<Instant> for Moment {
    #[inline]
    fn from(time: Instant) -> Self {
        Self(u64::try_from(time.since_origin().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Self {
        Self::from_origin(Duration::from_nanos(moment.0))
    }
}
