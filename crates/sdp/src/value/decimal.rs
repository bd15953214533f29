//! Decimal numbers with a fraction (RFC 8866 §9, `non-zero-int-or-real`).

use crate::grammar::{Parsed, ascii, number_u64};
use core::fmt;

/// A decimal number with an optional fraction, exact to its last digit: `29.97`.
///
/// Equality compares the written form: `25` is not equal to `25.0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal<'a> {
    /// The digits before the point.
    pub integer: u64,
    /// The digits after the point; `None` without a point.
    pub fraction: &'a str,
}

impl Decimal<'_> {
    /// Returns whether all digits are zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.integer == 0 && self.fraction.bytes().all(|digit| digit == b'0')
    }

    /// Returns the nearest floating-point number.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "the nearest value of the type")]
    pub fn to_f64(&self) -> f64 {
        self.integer as f64 + f64::from(self.fraction_of(9)) / 1e9
    }

    /// Returns the fraction in units of 10⁻ᵈ, truncated; at most nine digits.
    pub(crate) fn fraction_of(&self, digits: usize) -> u32 {
        let digits = digits.min(9);
        let written = self.fraction.bytes().chain(core::iter::repeat(b'0')).take(digits);
        written.fold(0, |value, digit| value * 10 + u32::from(digit.saturating_sub(b'0').min(9)))
    }
}

impl fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.integer)?;
        if self.fraction.is_empty() { Ok(()) } else { write!(f, ".{}", self.fraction) }
    }
}

/// Digits, with an optional point and more digits. The RFC forbids a zero at the end of a fraction, but encoders write
/// `25.000000`.
#[inline]
pub(crate) fn decimal<'a>(input: &'a [u8], expected: &'static str) -> Parsed<'a, Decimal<'a>> {
    let (rest, integer) = number_u64(input, expected)?;
    let Some(point) = rest.strip_prefix(b".") else { return Ok((rest, Decimal { integer, fraction: "" })) };
    let (rest, fraction) = ascii(point, |byte| byte.is_ascii_digit(), "digits after the point")?;
    Ok((rest, Decimal { integer, fraction }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_keeps_its_digits() {
        let (_, rate) = decimal(b"29.970", "a number").unwrap();
        assert_eq!((rate.integer, rate.fraction, rate.is_zero()), (29, "970", false));
        assert!((rate.to_f64() - 29.97).abs() < 1e-12);
        assert_eq!((rate.fraction_of(2), rate.fraction_of(6)), (97, 970_000));
        assert!(decimal(b"0.00", "a number").unwrap().1.is_zero());
        assert!(decimal(b"5.", "a number").is_err());
        assert!(decimal(b".5", "a number").is_err());
    }
}
