//! The time range of a presentation (RFC 2326 §3.5 to §3.7, §C.1.5; RFC 7826 §4.4, §20.2.1, §D.1.6).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, ascii, fail, number, number_u64, refuse, tag, token, whole};
use crate::value::{AttributeValue, Decimal, Value, decimal};
use core::fmt;
use core::time::Duration;

/// `a=range`: the time range of a presentation. One of the two ends may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Range<'a> {
    /// `npt=`: time since the start of the presentation.
    Npt {
        /// The start.
        from: Option<NptTime<'a>>,
        /// The end.
        to: Option<NptTime<'a>>,
    },
    /// `smpte=` and its variants: time in frames.
    Smpte {
        /// The frame rate and the drop rule.
        kind: SmpteKind,
        /// The start.
        from: Option<SmpteTime>,
        /// The end.
        to: Option<SmpteTime>,
    },
    /// `clock=`: absolute time in UTC.
    Clock {
        /// The start.
        from: Option<UtcTime<'a>>,
        /// The end.
        to: Option<UtcTime<'a>>,
    },
    /// A range in another unit.
    Other {
        /// The unit.
        unit: &'a str,
        /// The text after its `=`.
        range: &'a str,
    },
}

/// A time of a presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NptTime<'a> {
    /// `now`: the live point.
    Now,
    /// Seconds since the start; hours and minutes are converted.
    Seconds(Decimal<'a>),
}

/// The frame rate and the drop rule of an SMPTE time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmpteKind {
    /// `smpte`: 29.97 frames per second, drop-frame counting.
    Smpte,
    /// `smpte-30-drop`: an explicit name for the same counting.
    Smpte30Drop,
    /// `smpte-25`: 25 frames per second.
    Smpte25,
}

/// A time in hours, minutes, seconds and frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SmpteTime {
    /// The hours, 0 to 99.
    pub hours: u8,
    /// The minutes, 0 to 59.
    pub minutes: u8,
    /// The seconds, 0 to 59.
    pub seconds: u8,
    /// The frames, 0 to 99.
    pub frames: Option<u8>,
    /// The hundredths of a frame.
    pub subframes: Option<u8>,
}

/// A time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UtcTime<'a> {
    /// The year, 0 to 9999.
    pub year: u16,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day, 1 to 31.
    pub day: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 60, where 60 is a leap second.
    pub second: u8,
    /// The digits after the point; `None` without a point.
    pub fraction: &'a str,
}

impl NptTime<'_> {
    /// Returns the time since the start, truncated to nanoseconds; `None` for `now`.
    #[must_use]
    pub fn since_start(&self) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::Seconds(seconds) => Some(Duration::new(seconds.integer, seconds.fraction_of(9))),
        }
    }
}

impl<'a> Value<'a> for Range<'a> {
    const CLAUSE: Citation = Citation::new("RFC 7826", "D.1.6");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, unit) = token(input, "a unit: npt, smpte or clock")?;
            let (rest, ()) = tag(rest, b"=", "an equals sign")?;
            let smpte =
                |kind| ends(rest, SmpteTime::read).map(|(rest, (from, to))| (rest, Self::Smpte { kind, from, to }));
            match unit {
                "npt" => ends(rest, NptTime::read).map(|(rest, (from, to))| (rest, Self::Npt { from, to })),
                "clock" => ends(rest, UtcTime::read).map(|(rest, (from, to))| (rest, Self::Clock { from, to })),
                "smpte" => smpte(SmpteKind::Smpte),
                "smpte-30-drop" => smpte(SmpteKind::Smpte30Drop),
                "smpte-25" => smpte(SmpteKind::Smpte25),
                unit => ascii(rest, |byte| byte.is_ascii_graphic(), "a range")
                    .map(|(rest, range)| (rest, Self::Other { unit, range })),
            }
        })
    }
}

impl<'a> AttributeValue<'a> for Range<'a> {
    const NAME: &'static str = "range";
}

/// Two times separated by a hyphen; one of them may be missing.
fn ends<'a, T>(input: &'a [u8], time: impl Fn(&'a [u8]) -> Parsed<'a, T>) -> Parsed<'a, (Option<T>, Option<T>)> {
    let (rest, from) = match input {
        [b'-', ..] => (input, None),
        _ => time(input).map(|(rest, from)| (rest, Some(from)))?,
    };
    let (rest, ()) = tag(rest, b"-", "a hyphen")?;
    // Some servers write spaces here.
    let end = rest.trim_ascii_start();
    if end.is_empty() {
        return if from.is_none() { fail(end, "the end of the range") } else { Ok((rest, (from, None))) };
    }
    time(end).map(|(rest, to)| (rest, (from, Some(to))))
}

impl<'a> NptTime<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        const EXPECTED: &str = "now, seconds, or hours:minutes:seconds";
        if let Some(rest) = input.strip_prefix(b"now") {
            return Ok((rest, Self::Now));
        }
        let (rest, first) = number_u64(input, EXPECTED)?;
        let Some(rest) = rest.strip_prefix(b":") else { return seconds(input, EXPECTED) };
        let (rest, minutes) = number(rest, 59, "minutes, 0 to 59")?;
        let (rest, ()) = tag(rest, b":", "a colon")?;
        let (after, last) = seconds(rest, "seconds, 0 to 59")?;
        let Self::Seconds(Decimal { integer: last @ 0..=59, fraction }) = last else {
            return fail(rest, "seconds, 0 to 59");
        };
        match first.checked_mul(3_600).and_then(|whole| whole.checked_add(minutes * 60 + last)) {
            Some(integer) => Ok((after, Self::Seconds(Decimal { integer, fraction }))),
            None => fail(input, "hours that fit into 64 bits of seconds"),
        }
    }
}

/// Seconds. RFC 2326 allows a point without digits after it.
fn seconds<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, NptTime<'a>> {
    let (rest, integer) = number_u64(input, expected)?;
    let (rest, seconds) = match rest {
        [b'.', b'0'..=b'9', ..] => decimal(input, expected)?,
        [b'.', rest @ ..] => (rest, Decimal { integer, fraction: "" }),
        _ => (rest, Decimal { integer, fraction: "" }),
    };
    Ok((rest, NptTime::Seconds(seconds)))
}

/// One or two digits.
fn pair<'a>(input: &'a [u8], most: u64, expected: &'static str) -> Parsed<'a, u8> {
    let (rest, value) = number(input, most, expected)?;
    match u8::try_from(value) {
        Ok(value) if input.len() - rest.len() <= 2 => Ok((rest, value)),
        _ => fail(input, expected),
    }
}

impl SmpteTime {
    fn read(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, hours) = pair(input, 99, "hours:minutes:seconds")?;
        let (rest, ()) = tag(rest, b":", "a colon")?;
        let (rest, minutes) = pair(rest, 59, "minutes, 0 to 59")?;
        let (rest, ()) = tag(rest, b":", "a colon")?;
        let (rest, seconds) = pair(rest, 59, "seconds, 0 to 59")?;
        let (rest, frames) = match rest.strip_prefix(b":") {
            Some(rest) => pair(rest, 99, "frames, 0 to 99").map(|(rest, frames)| (rest, Some(frames)))?,
            None => (rest, None),
        };
        let (rest, subframes) = match rest.strip_prefix(b".") {
            Some(rest) => pair(rest, 99, "hundredths of a frame").map(|(rest, parts)| (rest, Some(parts)))?,
            None => (rest, None),
        };
        Ok((rest, Self { hours, minutes, seconds, frames, subframes }))
    }
}

impl<'a> UtcTime<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, year) = digits(input, 4, 0..=9_999, "a year of four digits")?;
        let (rest, month) = digits(rest, 2, 1..=12, "a month, 01 to 12")?;
        let (rest, day) = digits(rest, 2, 1..=31, "a day, 01 to 31")?;
        let (rest, ()) = tag(rest, b"T", "T")?;
        let (rest, hour) = digits(rest, 2, 0..=23, "an hour, 00 to 23")?;
        let (rest, minute) = digits(rest, 2, 0..=59, "a minute, 00 to 59")?;
        let (rest, second) = digits(rest, 2, 0..=60, "a second, 00 to 60")?;
        let (rest, fraction) = match rest.strip_prefix(b".") {
            Some(rest) => ascii(rest, |byte| byte.is_ascii_digit(), "digits after the point")?,
            None => (rest, ""),
        };
        let (rest, ()) = tag(rest, b"Z", "Z")?;
        let byte = |value: u16| u8::try_from(value).unwrap_or(u8::MAX);
        let (month, day, hour) = (byte(month), byte(day), byte(hour));
        Ok((rest, Self { year, month, day, hour, minute: byte(minute), second: byte(second), fraction }))
    }
}

/// Exactly `count` digits, whose number is in a range.
fn digits<'a>(
    input: &'a [u8],
    count: usize,
    range: core::ops::RangeInclusive<u16>,
    expected: &'static str,
) -> Parsed<'a, u16> {
    let Some((text, rest)) = input.split_at_checked(count) else { return fail(input, expected) };
    match number(text, u64::from(u16::MAX), expected) {
        Ok(([], value)) => match u16::try_from(value) {
            Ok(value) if range.contains(&value) => Ok((rest, value)),
            _ => refuse(input, expected),
        },
        _ => fail(input, expected),
    }
}

impl fmt::Display for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Npt { from, to } => write(f, "npt", from.as_ref(), to.as_ref()),
            Self::Smpte { kind, from, to } => write(f, kind.as_str(), from.as_ref(), to.as_ref()),
            Self::Clock { from, to } => write(f, "clock", from.as_ref(), to.as_ref()),
            Self::Other { unit, range } => write!(f, "{unit}={range}"),
        }
    }
}

fn write<T: fmt::Display>(f: &mut fmt::Formatter<'_>, unit: &str, from: Option<&T>, to: Option<&T>) -> fmt::Result {
    write!(f, "{unit}=")?;
    from.iter().try_for_each(|from| write!(f, "{from}"))?;
    f.write_str("-")?;
    to.iter().try_for_each(|to| write!(f, "{to}"))
}

impl SmpteKind {
    /// Returns the name of the unit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smpte => "smpte",
            Self::Smpte30Drop => "smpte-30-drop",
            Self::Smpte25 => "smpte-25",
        }
    }
}

impl fmt::Display for NptTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Seconds(seconds) => write!(f, "{seconds}"),
        }
    }
}

impl fmt::Display for SmpteTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hours, self.minutes, self.seconds)?;
        self.frames.iter().try_for_each(|frames| write!(f, ":{frames:02}"))?;
        self.subframes.iter().try_for_each(|subframes| write!(f, ".{subframes:02}"))
    }
}

impl fmt::Display for UtcTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{:02}{:02}T", self.year, self.month, self.day)?;
        write!(f, "{:02}{:02}{:02}", self.hour, self.minute, self.second)?;
        if self.fraction.is_empty() { f.write_str("Z") } else { write!(f, ".{}Z", self.fraction) }
    }
}

#[cfg(test)]
mod tests;
