//! How long a mapping lives, as far as it was seen.
//!
//! Rules of this file: bounds are kept, not estimates: the lower one is a moment at which an answer came in, the upper
//! one a moment at which none came in any more.

use core::fmt;
use core::time::Duration;

/// A time that lies between two bounds, the upper one open where none was met.
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
    /// A mapping was seen to live this long; zero where none was.
    pub at_least: Duration,
    /// A mapping was seen dead after this long; `None` where none was.
    pub at_most: Option<Duration>,
}

impl LifetimeRange {
    /// Whether `lifetime` is possible.
    #[must_use]
    pub fn contains(&self, lifetime: Duration) -> bool {
        self.at_least <= lifetime && self.at_most.is_none_or(|most| lifetime <= most)
    }

    /// The middle of the two bounds, where there are two.
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
