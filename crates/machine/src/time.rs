//! Time without a clock.
//!
//! An [`Instant`] is a duration since an origin that the caller chose. It has no `now()`: a machine cannot read a
//! clock, so a run at given times gives the same outputs everywhere. Arithmetic saturates, so that a clock that
//! overflows causes no panic in a machine.
//!
//! ```
//! use core::time::Duration;
//! use portolan_machine::{Deadline, Instant};
//!
//! let start = Instant::ORIGIN;
//! let later = start + Duration::from_millis(250);
//! assert_eq!(later - start, Duration::from_millis(250));
//! assert_eq!(start - later, Duration::ZERO, "never negative");
//! assert_eq!(later.to_string(), "0.250s");
//!
//! let first = Deadline::new(later, "retransmission");
//! let second = Deadline::new(start, "binding lifetime");
//! assert_eq!(Deadline::earliest(Some(first), Some(second)), Some(second));
//! ```

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment, as the duration since an origin that the caller chose.
///
/// Two instants can be compared only if they have the same origin. A driver keeps one origin for its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The origin itself: duration zero.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The moment `since` after the origin.
    #[must_use]
    pub const fn from_origin(since: Duration) -> Self {
        Self(since)
    }

    /// The moment `millis` milliseconds after the origin: a short form for tests and examples.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The time from the origin to this moment.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

impl fmt::Display for Instant {
    /// Seconds with three decimals: `1.250s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// The next moment at which a machine needs [`Input::Timeout`](crate::Input::Timeout), with the reason.
///
/// The reason makes a trace readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// The reason, in a few plain words: `"retransmission"`, `"permission refresh"`.
    pub why: &'static str,
}

impl Deadline {
    /// A deadline at `at` for the reason `why`.
    #[must_use]
    pub const fn new(at: Instant, why: &'static str) -> Self {
        Self { at, why }
    }

    /// Whether the deadline is reached at `now`.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.at <= now
    }

    /// Returns the earlier of two waits, the first one if they are equal. `None` has no end.
    #[must_use]
    pub fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) if b.at < a.at => Some(b),
            (Some(a), _) => Some(a),
            (None, b) => b,
        }
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.at, self.why)
    }
}
