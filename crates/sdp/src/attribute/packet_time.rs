//! Durations of packets, frame rate and quality of media (RFC 8866 §6.4, §6.5, §6.13, §6.14).

use crate::error::{Citation, ValueError};
use crate::grammar::{refuse, whole, zero_or_positive};
use crate::value::{AttributeValue, Decimal, Value, decimal};
use core::fmt;
use core::time::Duration;

macro_rules! decimals {
    ($(
        $(#[$doc:meta])*
        $name:ident, $attribute:literal, $document:literal $section:literal, $expected:literal;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<'a>(pub Decimal<'a>);

        impl<'a> Value<'a> for $name<'a> {
            const CLAUSE: Citation = Citation::new($document, $section);

            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                whole(value, Self::CLAUSE, |input| {
                    let (rest, number) = decimal(input, $expected)?;
                    if number.is_zero() { refuse(input, $expected) } else { Ok((rest, Self(number))) }
                })
            }
        }

        impl<'a> AttributeValue<'a> for $name<'a> {
            const NAME: &'static str = $attribute;
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

decimals! {
    /// `a=ptime`: the recommended duration of the media in a packet, in milliseconds; more than 0.
    PTime, "ptime", "RFC 8866" "6.4", "milliseconds, more than 0";
    /// `a=maxptime`: the maximum duration of the media in a packet, in milliseconds; more than 0.
    MaxPTime, "maxptime", "RFC 8866" "6.5", "milliseconds, more than 0";
    /// `a=framerate`: the maximum frame rate of a video, in frames per second; more than 0.
    FrameRate, "framerate", "RFC 8866" "6.13", "frames a second, more than 0";
}

impl PTime<'_> {
    /// Returns the recommended duration of the media in a packet, truncated to nanoseconds.
    #[must_use]
    pub fn duration(&self) -> Duration {
        milliseconds(self.0)
    }
}

impl MaxPTime<'_> {
    /// Returns the maximum duration of the media in a packet, truncated to nanoseconds.
    #[must_use]
    pub fn duration(&self) -> Duration {
        milliseconds(self.0)
    }
}

fn milliseconds(time: Decimal<'_>) -> Duration {
    Duration::from_millis(time.integer) + Duration::from_nanos(u64::from(time.fraction_of(6)))
}

/// `a=quality`: the recommended quality of the encoding. For video: 0 is the worst, 10 the best still-image quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quality(pub u32);

impl<'a> Value<'a> for Quality {
    const CLAUSE: Citation = Citation::new("RFC 8866", "6.14");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| zero_or_positive(input, "a quality, of a video 0 to 10")).map(Self)
    }
}

impl<'a> AttributeValue<'a> for Quality {
    const NAME: &'static str = "quality";
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    #[test]
    fn packet_times_are_exact() {
        assert_eq!(PTime::parse(b"20").unwrap().duration(), Duration::from_millis(20));
        assert_eq!(PTime::parse(b"0.125").unwrap().duration(), Duration::from_micros(125));
        assert_eq!(MaxPTime::parse(b"1.0000019").unwrap().duration(), Duration::from_nanos(1_000_001));
        assert_eq!(MaxPTime::parse(b"18446744073709551615").unwrap().duration(), Duration::from_millis(u64::MAX));
    }

    #[test]
    fn a_frame_rate_is_above_0() {
        for good in [&b"1"[..], b"60", b"23.5", b"29.97", b"15.000000", b"4294967297"] {
            assert!(FrameRate::parse(good).unwrap().0.to_f64() >= 1.0);
        }
        assert_eq!(Quality::parse(b"0"), Ok(Quality(0)));
        for bad in [&b""[..], b"abc", b"0", b"0.0", b"-1", b"0S"] {
            refused::<FrameRate<'_>>(bad, 0, "frames a second, more than 0");
        }
        refused::<FrameRate<'_>>(b"5.", 2, "digits after the point");
        refused::<FrameRate<'_>>(b"25 fps", 2, "the end of the value");
        refused::<MaxPTime<'_>>(b"60 100", 2, "the end of the value");
        refused::<PTime<'_>>(b"18446744073709551616", 0, "milliseconds, more than 0");
        refused::<Quality>(b"4294967296", 0, "a quality, of a video 0 to 10");
    }
}
