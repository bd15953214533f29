//! The times of a session, its repetitions, and time zone adjustments (RFC 8866 §5.9 to §5.11).
//!
//! Rules of this file: a duration in seconds fits 63 bits, so that it can be added and subtracted.

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, items_of, number_u64, separated, space, whole};
use crate::value::Value;
use core::fmt;

/// `t=`: the start and stop time of the session, in seconds since 1900-01-01T00:00Z; 0 means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timing {
    /// The start time; 0: the session is permanent.
    pub start: u64,
    /// The stop time; 0: the session has no end.
    pub stop: u64,
}

impl<'a> Value<'a> for Timing {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.9");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, start) = instant(input, "a start time: 0, or at least ten digits")?;
            let (rest, ()) = space(rest)?;
            let (rest, stop) = instant(rest, "a stop time: 0, or at least ten digits")?;
            Ok((rest, Self { start, stop }))
        })
    }
}

/// A time, or 0 (RFC 8866 §9, `time`).
fn instant<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, u64> {
    match number_u64(input, expected)? {
        (rest, 0) if input.len() - rest.len() == 1 => Ok((rest, 0)),
        (rest, time) if time >= 1_000_000_000 && !input.starts_with(b"0") => Ok((rest, time)),
        _ => fail(input, expected),
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.start, self.stop)
    }
}

/// The unit of a duration; without a unit it is in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// `d`, 86,400 seconds.
    Days,
    /// `h`, 3,600 seconds.
    Hours,
    /// `m`, 60 seconds.
    Minutes,
    /// `s`.
    Seconds,
}

impl TimeUnit {
    /// Returns the length of the unit in seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Days => 86_400,
            Self::Hours => 3_600,
            Self::Minutes => 60,
            Self::Seconds => 1,
        }
    }

    const fn of(letter: u8) -> Option<Self> {
        Some(match letter {
            b'd' => Self::Days,
            b'h' => Self::Hours,
            b'm' => Self::Minutes,
            b's' => Self::Seconds,
            _ => return None,
        })
    }

    const fn letter(self) -> char {
        match self {
            Self::Days => 'd',
            Self::Hours => 'h',
            Self::Minutes => 'm',
            Self::Seconds => 's',
        }
    }
}

/// A duration with an optional unit, such as `7d` (RFC 8866 §9, `typed-time`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TypedTime {
    /// The number of units.
    pub amount: u64,
    /// The unit as written; `None`: seconds.
    pub unit: Option<TimeUnit>,
}

impl TypedTime {
    /// Returns the duration in seconds. A parsed duration is below 2⁶³; any other one saturates at 2⁶⁴ − 1.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self.unit {
            Some(unit) => self.amount.saturating_mul(unit.seconds()),
            None => self.amount,
        }
    }

    fn read<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, Self> {
        let (rest, amount) = number_u64(input, expected)?;
        let (rest, unit) = match rest.split_first() {
            Some((letter, after)) if TimeUnit::of(*letter).is_some() => (after, TimeUnit::of(*letter)),
            _ => (rest, None),
        };
        let fits = amount.checked_mul(unit.map_or(1, TimeUnit::seconds)).is_some_and(|seconds| seconds < 1 << 63);
        if fits { Ok((rest, Self { amount, unit })) } else { fail(input, "a duration below 2^63 seconds") }
    }
}

impl fmt::Display for TypedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.amount)?;
        self.unit.iter().try_for_each(|unit| write!(f, "{}", unit.letter()))
    }
}

/// `r=`: the repetition of a session: interval, duration, and offsets from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Repeat<'a> {
    /// The interval between two repetitions; more than 0.
    pub interval: TypedTime,
    /// The duration of each repetition.
    pub duration: TypedTime,
    offsets: &'a str,
}

impl<'a> Repeat<'a> {
    /// Returns the offsets from the start time of the `t=` line; at least one.
    pub fn offsets(&self) -> impl Iterator<Item = TypedTime> + use<'a> {
        items_of(self.offsets, b' ', offset)
    }
}

fn offset(input: &[u8]) -> Parsed<'_, TypedTime> {
    TypedTime::read(input, "an offset such as 0 or 25h")
}

impl<'a> Value<'a> for Repeat<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.10");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const INTERVAL: &str = "an interval such as 7d, more than 0";
        whole(value, Self::CLAUSE, |input| {
            // `repeat-interval` begins with a digit other than 0.
            let (rest, interval) =
                if input.starts_with(b"0") { fail(input, INTERVAL)? } else { TypedTime::read(input, INTERVAL)? };
            let (rest, ()) = space(rest)?;
            let (rest, duration) = TypedTime::read(rest, "a duration such as 1h")?;
            let (rest, ()) = space(rest)?;
            let (rest, offsets) = separated(rest, b' ', offset)?;
            Ok((rest, Self { interval, duration, offsets }))
        })
    }
}

impl fmt::Display for Repeat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.interval, self.duration, self.offsets)
    }
}

/// `z=`: time zone adjustments for a repeated session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone<'a> {
    adjustments: &'a str,
}

/// A time zone adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Adjustment {
    /// The time of the adjustment, in seconds since 1900-01-01T00:00Z.
    pub at: u64,
    /// Whether the offset is negative.
    pub is_back: bool,
    /// The offset from the base time.
    pub offset: TypedTime,
}

impl Adjustment {
    /// Returns the offset from the base time in seconds. It is not relative to the adjustment before.
    #[must_use]
    pub fn seconds(self) -> i64 {
        let seconds = i64::try_from(self.offset.seconds()).unwrap_or(i64::MAX);
        if self.is_back { -seconds } else { seconds }
    }

    fn read(input: &[u8]) -> Parsed<'_, Self> {
        const AT: &str = "the time of a change, at least ten digits";
        let (rest, at) = match instant(input, AT)? {
            (_, 0) => fail(input, AT)?,
            found => found,
        };
        let (rest, ()) = space(rest)?;
        let (rest, is_back) = match rest.strip_prefix(b"-") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (rest, offset) = TypedTime::read(rest, "an offset such as -1h or 0")?;
        Ok((rest, Self { at, is_back, offset }))
    }
}

impl<'a> Zone<'a> {
    /// Returns the adjustments, in the written order; at least one.
    pub fn adjustments(&self) -> impl Iterator<Item = Adjustment> + use<'a> {
        items_of(self.adjustments, b' ', Adjustment::read)
    }
}

impl<'a> Value<'a> for Zone<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.11");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| separated(input, b' ', Adjustment::read))
            .map(|adjustments| Self { adjustments })
    }
}

impl fmt::Display for Zone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.adjustments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;
    use alloc::vec::Vec;

    #[test]
    fn a_repeat_line_has_an_interval_a_duration_and_offsets() {
        let repeat = Repeat::parse(b"7d 1h 0 25h").unwrap();
        assert_eq!((repeat.interval.seconds(), repeat.duration.seconds()), (604_800, 3_600));
        assert_eq!(repeat.offsets().map(TypedTime::seconds).collect::<Vec<_>>(), [0, 90_000]);
        assert_eq!(Repeat::parse(b"604800 3600 0").unwrap().interval, TypedTime { amount: 604_800, unit: None });
    }

    #[test]
    fn an_invalid_repeat_line_is_refused_at_its_offset() {
        refused::<Repeat<'_>>(b"", 0, "an interval such as 7d, more than 0");
        refused::<Repeat<'_>>(b"0 1 0", 0, "an interval such as 7d, more than 0");
        refused::<Repeat<'_>>(b"7D 1h 0", 1, "a space");
        refused::<Repeat<'_>>(b"2882844526 -1h 2898848070 0", 11, "a duration such as 1h");
        refused::<Repeat<'_>>(b"7d 1h", 5, "a space");
        refused::<Repeat<'_>>(b"7d 1h ", 6, "an offset such as 0 or 25h");
        refused::<Repeat<'_>>(b"7d 1h 0 ", 8, "an offset such as 0 or 25h");
        refused::<Repeat<'_>>(b"7d 1h 0 1x", 9, "the end of the value");
        refused::<Repeat<'_>>(b"7d 18446744073709551616 0", 3, "a duration such as 1h");
        refused::<Repeat<'_>>(b"7d 213503982334602d 0", 3, "a duration below 2^63 seconds");
    }

    #[test]
    fn a_zone_line_has_pairs_of_a_time_and_an_offset() {
        let zone = Zone::parse(b"3730928400 -1h 3749680800 0").unwrap();
        let adjustments: Vec<_> = zone.adjustments().map(|change| (change.at, change.seconds())).collect();
        assert_eq!(adjustments, [(3_730_928_400, -3_600), (3_749_680_800, 0)]);
        refused::<Zone<'_>>(b"", 0, "the time of a change, at least ten digits");
        refused::<Zone<'_>>(b"0 0", 0, "the time of a change, at least ten digits");
        refused::<Zone<'_>>(b"3730928400", 10, "a space");
        refused::<Zone<'_>>(b"3730928400 --1h", 12, "an offset such as -1h or 0");
        refused::<Zone<'_>>(b"3730928400 -1h 3749680800", 25, "a space");
        refused::<Zone<'_>>(b"3730928400 666666000079866660m", 11, "a duration below 2^63 seconds");
    }

    #[test]
    fn a_time_is_0_or_has_ten_digits() {
        assert_eq!(Timing::parse(b"0 0"), Ok(Timing::default()));
        refused::<Timing>(b"00 0", 0, "a start time: 0, or at least ten digits");
        refused::<Timing>(b"0 foobar", 2, "a stop time: 0, or at least ten digits");
    }
}
