//! The schedule of a request: the times of its sends and of its timeout.
//!
//! Rules of this file: a [`Schedule`] is plain data, `Copy` and without heap. Times count from the start of the
//! request. The resolution is one microsecond, and durations are limited to 71 minutes. Doubling intervals are those
//! of RFC 8489 §6.2.1, and the single send over a stream is that of §6.2.2. Explicit offsets are for probes of RFC
//! 5780 §4, where a missing response is a result.
//!
//! ```
//! use core::time::Duration;
//! use portolan_stun_agent::Schedule;
//!
//! let schedule = Schedule::rfc8489();
//! let sends: Vec<_> = (0..).map_while(|n| schedule.offset(n)).map(|at| at.as_millis()).collect();
//! assert_eq!(sends, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
//! assert_eq!(schedule.tail_after(), Duration::from_secs(8), "timeout at 39.5 s");
//!
//! // Four early probes, then one every 250 ms for two seconds.
//! const PROBE: Schedule =
//!     Schedule::at_millis([0, 100, 250, 450]).every(Duration::from_millis(250)).until(Duration::from_secs(2));
//! assert_eq!(PROBE.offset(9), Some(Duration::from_millis(1950)));
//! assert_eq!(PROBE.offset(10), None);
//! assert_eq!(PROBE.to_string().parse(), Ok(PROBE));
//! ```

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// The times at which a request is sent, retransmitted and timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    sends: Sends,
    every: Span,
    until: Span,
    jitter: Span,
    tail: Span,
    repeat: bool,
}

/// The sends before those of [`Schedule::every`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sends {
    /// At these ascending offsets; the rest of the array is zero.
    At { offsets: [Span; Schedule::OFFSETS], count: u8 },
    /// At 0, `rto`, 3 × `rto`, 7 × `rto`, …
    Doubling { rto: Span, count: u8 },
}

impl Schedule {
    /// The largest number of explicit offsets.
    pub const OFFSETS: usize = 8;

    /// The retransmissions of RFC 8489 §6.2.1 with the default parameters: RTO 500 ms, Rc 7, Rm 16.
    ///
    /// The sends are at 0, 500, 1500, 3500, 7500, 15,500 and 31,500 ms, and the timeout is at 39,500 ms.
    #[must_use]
    pub const fn rfc8489() -> Self {
        Self::doubling(Duration::from_millis(500), 7, 16)
    }

    /// The retransmissions of RFC 8489 §6.2.1: `rc` sends with doubling intervals from `rto`. The timeout is `rm` ×
    /// `rto` after the last send.
    ///
    /// `rto` is at least 1 ms, and `rc` is at least 1. Sends later than 71 minutes are omitted.
    #[must_use]
    pub const fn doubling(rto: Duration, rc: u8, rm: u8) -> Self {
        let rto = Span::at_least_a_milli(rto);
        let mut count = if rc == 0 { 1 } else { rc };
        while count > 1 && doubled(rto, count - 1).is_none() {
            count -= 1;
        }
        let tail = Span(rto.0.saturating_mul(rm as u32));
        Self {
            sends: Sends::Doubling { rto, count },
            every: Span(0),
            until: Span(u32::MAX),
            jitter: Span(0),
            tail,
            repeat: false,
        }
    }

    /// One send over a reliable stream, with the default timeout of RFC 8489 §6.2.2: 39.5 s.
    #[must_use]
    pub const fn rfc8489_reliable() -> Self {
        Self::reliable(Duration::from_millis(39_500))
    }

    /// One send over a reliable stream, with the timeout `ti` (RFC 8489 §6.2.2).
    #[must_use]
    pub const fn reliable(ti: Duration) -> Self {
        Self::at_millis([0]).tail(ti)
    }

    /// Sends at these 1 to 8 offsets from the start, in milliseconds. The timeout is 500 ms after the last send.
    ///
    /// An offset below the preceding offset is raised to it.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "N is proved to fit at compile time, and const code has no iterators")]
    pub const fn at_millis<const N: usize>(offsets: [u32; N]) -> Self {
        const { assert!(N > 0 && N <= Self::OFFSETS, "a schedule holds 1 to 8 offsets") };
        let (mut list, mut last, mut n) = ([Span(0); Self::OFFSETS], 0, 0);
        while n < N {
            let micros = offsets[n].saturating_mul(1000);
            last = if micros > last { micros } else { last };
            list[n] = Span(last);
            n += 1;
        }
        Self {
            sends: Sends::At { offsets: list, count: N as u8 },
            every: Span(0),
            until: Span(u32::MAX),
            jitter: Span(0),
            tail: Span(500_000),
            repeat: false,
        }
    }

    /// After the listed sends adds one send every `interval` (at least 1 ms), without end unless
    /// [`until`](Self::until) sets one.
    #[must_use]
    pub const fn every(mut self, interval: Duration) -> Self {
        self.every = Span::at_least_a_milli(interval);
        self
    }

    /// Ends the sends of [`every`](Self::every) at `until` after the start.
    #[must_use]
    pub const fn until(mut self, until: Duration) -> Self {
        self.until = Span::new(until);
        self
    }

    /// Delays each send after the first by a random time of 0 to `jitter`, at most by the preceding interval.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = Span::new(jitter);
        self
    }

    /// Sets the time between the last send and the timeout.
    #[must_use]
    pub const fn tail(mut self, tail: Duration) -> Self {
        self.tail = Span::new(tail);
        self
    }

    /// Sets whether the request continues after a response. Then every send is made and every response reported,
    /// until the request is cancelled or the schedule ends.
    #[must_use]
    pub const fn repeat(mut self, repeat: bool) -> Self {
        self.repeat = repeat;
        self
    }

    /// The offset of send number `n` (from 0) without jitter; `None` after the last send.
    #[must_use]
    pub fn offset(&self, n: u32) -> Option<Duration> {
        let (count, listed) = match &self.sends {
            Sends::At { offsets, count } => {
                (*count, offsets.get(usize::try_from(n.min(u32::from(*count) - 1)).ok()?).copied()?)
            }
            Sends::Doubling { rto, count } => {
                (*count, doubled(*rto, u8::try_from(n.min(u32::from(*count) - 1)).ok()?)?)
            }
        };
        let Some(extra) = n.checked_sub(u32::from(count) - 1).filter(|&extra| extra > 0) else {
            return Some(listed.get());
        };
        let at = listed.0.checked_add(self.every.0.checked_mul(extra)?)?;
        (self.every.0 > 0 && at <= self.until.0).then_some(Span(at).get())
    }

    /// The time between the last send and the timeout.
    #[must_use]
    pub const fn tail_after(&self) -> Duration {
        self.tail.get()
    }

    /// The largest delay of a send by jitter.
    #[must_use]
    pub const fn jitter_up_to(&self) -> Duration {
        self.jitter.get()
    }

    /// Whether the request continues after a response.
    #[must_use]
    pub const fn is_repeating(&self) -> bool {
        self.repeat
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::rfc8489()
    }
}

/// The offset of send `n` with doubling intervals: `rto` × (2ⁿ − 1).
const fn doubled(rto: Span, n: u8) -> Option<Span> {
    if n > 31 {
        return None;
    }
    let steps = (1_u64 << n) - 1;
    let micros = rto.0 as u64 * steps;
    if micros <= u32::MAX as u64 { Some(Span(micros as u32)) } else { None }
}

/// A duration in microseconds, up to 71 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Span(u32);

impl Span {
    const fn new(duration: Duration) -> Self {
        let micros = duration.as_micros();
        Self(if micros > u32::MAX as u128 { u32::MAX } else { micros as u32 })
    }

    const fn at_least_a_milli(duration: Duration) -> Self {
        let span = Self::new(duration);
        if span.0 < 1000 { Self(1000) } else { span }
    }

    const fn get(self) -> Duration {
        Duration::from_micros(self.0 as u64)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}ms", self.0 / 1000) } else { write!(f, "{}us", self.0) }
    }
}

impl FromStr for Span {
    type Err = ScheduleParseError;

    fn from_str(text: &str) -> Result<Self, ScheduleParseError> {
        let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix("us")) {
            (Some(number), _) => (number, 1000),
            (_, Some(number)) => (number, 1),
            (None, None) => return Err(ScheduleParseError::Time),
        };
        let number: u32 = number.parse().map_err(|_| ScheduleParseError::Time)?;
        number.checked_mul(unit).map(Self).ok_or(ScheduleParseError::Time)
    }
}

impl fmt::Display for Schedule {
    /// `at:0ms,100ms/every:250ms/until:2000ms/jitter:10ms/tail:500ms/repeat`, or `double:500ms*7/tail:8000ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sends {
            Sends::At { offsets, count } => {
                f.write_str("at:")?;
                for (n, offset) in offsets.iter().take(usize::from(*count)).enumerate() {
                    write!(f, "{}{offset}", if n > 0 { "," } else { "" })?;
                }
            }
            Sends::Doubling { rto, count } => write!(f, "double:{rto}*{count}")?,
        }
        if self.every.0 > 0 {
            write!(f, "/every:{}", self.every)?;
        }
        if self.until.0 < u32::MAX {
            write!(f, "/until:{}", self.until)?;
        }
        if self.jitter.0 > 0 {
            write!(f, "/jitter:{}", self.jitter)?;
        }
        write!(f, "/tail:{}", self.tail)?;
        f.write_str(if self.repeat { "/repeat" } else { "" })
    }
}

impl FromStr for Schedule {
    type Err = ScheduleParseError;

    fn from_str(text: &str) -> Result<Self, ScheduleParseError> {
        let mut parts = text.split('/');
        let mut schedule = sends_from(parts.next().unwrap_or_default())?;
        for part in parts {
            match part.split_once(':') {
                None if part == "repeat" => schedule.repeat = true,
                Some(("every", every)) => schedule.every = Span(every.parse::<Span>()?.0.max(1000)),
                Some(("until", until)) => schedule.until = until.parse()?,
                Some(("jitter", jitter)) => schedule.jitter = jitter.parse()?,
                Some(("tail", tail)) => schedule.tail = tail.parse()?,
                Some(_) | None => return Err(ScheduleParseError::Part),
            }
        }
        Ok(schedule)
    }
}

fn sends_from(text: &str) -> Result<Schedule, ScheduleParseError> {
    match text.split_once(':') {
        Some(("double", schedule)) => {
            let (rto, count) = schedule.split_once('*').ok_or(ScheduleParseError::Sends)?;
            let count = count.parse().map_err(|_| ScheduleParseError::Sends)?;
            Ok(Schedule::doubling(rto.parse::<Span>()?.get(), count, 16))
        }
        Some(("at", list)) => {
            let (mut offsets, mut count, mut last) = ([Span(0); Schedule::OFFSETS], 0_u8, Span(0));
            for text in list.split(',') {
                let slot = offsets.get_mut(usize::from(count)).ok_or(ScheduleParseError::Sends)?;
                last = last.max(text.parse()?);
                *slot = last;
                count += 1;
            }
            let mut schedule = Schedule::at_millis([0]);
            schedule.sends = Sends::At { offsets, count };
            Ok(schedule)
        }
        Some(_) | None => Err(ScheduleParseError::Sends),
    }
}

/// The reason why a text is not a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleParseError {
    /// The text does not begin with `at:` and 1 to 8 times, or with `double:`, a time, `*` and a number.
    #[error("a schedule begins with `at:0ms,100ms,…` (1 to 8 times) or `double:500ms*7`")]
    Sends,
    /// A time is not a whole number of `ms` or `us` below 71 minutes.
    #[error("a time is a whole number of `ms` or `us` below 71 minutes")]
    Time,
    /// A part is unknown.
    #[error("the other parts are `every:`, `until:`, `jitter:`, `tail:` with a time, or `repeat`")]
    Part,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn millis(schedule: &Schedule) -> Vec<u128> {
        (0..40).map_while(|n| schedule.offset(n)).map(|at| at.as_millis()).collect()
    }

    #[test]
    fn doubling_intervals_stop_before_they_overflow() {
        let schedule = Schedule::doubling(Duration::from_secs(60), 255, 255);
        assert_eq!(millis(&schedule), [0, 60_000, 180_000, 420_000, 900_000, 1_860_000, 3_780_000]);
        assert_eq!(schedule.tail_after(), Duration::from_micros(u64::from(u32::MAX)));
    }

    #[test]
    fn offsets_are_ascending() {
        assert_eq!(millis(&Schedule::at_millis([10, 5, 20])), [10, 10, 20]);
        assert_eq!(
            "at:10ms,5ms,20ms/tail:1ms".parse(),
            Ok(Schedule::at_millis([10, 5, 20]).tail(Duration::from_millis(1)))
        );
    }

    #[test]
    fn every_has_a_least_interval_and_can_have_no_end() {
        let schedule = Schedule::at_millis([0]).every(Duration::ZERO);
        assert_eq!(schedule.offset(3_000_000), Some(Duration::from_secs(3000)));
        assert_eq!(schedule.offset(u32::MAX), None, "71 minutes");
    }

    #[test]
    fn the_text_contains_every_part() {
        let all = Schedule::at_millis([0, 90, 190])
            .every(Duration::from_micros(1500))
            .until(Duration::from_secs(2))
            .jitter(Duration::from_millis(10))
            .tail(Duration::from_millis(250))
            .repeat(true);
        assert_eq!(all.to_string(), "at:0ms,90ms,190ms/every:1500us/until:2000ms/jitter:10ms/tail:250ms/repeat");
        assert_eq!(all.to_string().parse(), Ok(all));
        assert_eq!(Schedule::rfc8489().to_string(), "double:500ms*7/tail:8000ms");
        assert_eq!("at:".parse::<Schedule>(), Err(ScheduleParseError::Time));
        assert_eq!("at:0ms/never".parse::<Schedule>(), Err(ScheduleParseError::Part));
        assert_eq!("at:0ms,1ms,2ms,3ms,4ms,5ms,6ms,7ms,8ms".parse::<Schedule>(), Err(ScheduleParseError::Sends));
    }
}
