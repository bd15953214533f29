//! The measured bounds of the lifetime of a mapping.
//!
//! Rules of this file: it keeps bounds, not estimates. The lower bound is a time at which a response came in. The
//! upper bound is a time at which no response came in any more.

use core::fmt;
use core::time::Duration;

/// A time between two bounds. The upper bound is open if no end was seen.
///
/// ```
/// use core::time::Duration;
/// use portolan_nat::lifetime::LifetimeRange;
///
/// let seen = LifetimeRange { at_least: Duration::from_secs(115), at_most: Some(Duration::from_millis(121_700)) };
/// assert_eq!(seen.to_string(), "between 115 and 122 s");
/// assert!(seen.contains(Duration::from_secs(120)));
/// let open = LifetimeRange { at_least: Duration::from_secs(185), at_most: None };
/// assert_eq!(open.to_string(), "at least 185 s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LifetimeRange {
    /// The longest time after which a mapping was alive; zero if no mapping was alive.
    pub at_least: Duration,
    /// The shortest time after which a mapping was dead; `None` if no mapping was dead.
    pub at_most: Option<Duration>,
}

impl LifetimeRange {
    /// Whether `lifetime` is possible.
    #[must_use]
    pub fn contains(&self, lifetime: Duration) -> bool {
        self.at_least <= lifetime && self.at_most.is_none_or(|most| lifetime <= most)
    }

    /// The middle of the two bounds, if there are two.
    #[must_use]
    pub fn middle(&self) -> Option<Duration> {
        self.at_most.map(|most| (self.at_least + most) / 2)
    }
}

impl fmt::Display for LifetimeRange {
    /// Whole seconds, the lower bound rounded down and the upper one up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.at_least.as_secs();
        let Some(most) = self.at_most else { return write!(f, "at least {least} s") };
        let most = most.as_secs() + u64::from(most.subsec_nanos() > 0);
        if self.at_least.is_zero() {
            write!(f, "less than {most} s")
        } else {
            write!(f, "between {least} and {most} s")
        }
    }
}
