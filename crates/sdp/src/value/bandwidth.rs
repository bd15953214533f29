//! The bandwidth of the session or of the media (RFC 8866 §5.8, RFC 3556 §2, RFC 3890 §6.2).

use crate::error::{Citation, ValueError};
use crate::grammar::{number_u64, tag, token, whole};
use crate::value::Value;
use core::fmt;

/// `b=`: the bandwidth of the session or of the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bandwidth<'a> {
    /// The kind, which defines the unit of the amount.
    pub kind: BandwidthKind<'a>,
    /// The amount: in kilobits per second for `CT` and `AS`, in bits per second for `TIAS`, `RS` and `RR`.
    pub amount: u64,
}

/// The kind of a bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BandwidthKind<'a> {
    /// `CT`: the whole conference, in kilobits per second (RFC 8866 §5.8).
    Ct,
    /// `AS`: the maximum of one application, including IP and UDP headers, in kilobits per second (RFC 8866 §5.8).
    As,
    /// `TIAS`: the maximum of one application, without lower-layer headers, in bits per second (RFC 3890 §6.2.2).
    Tias,
    /// `RS`: the RTCP of active senders, in bits per second (RFC 3556 §2).
    Rs,
    /// `RR`: the RTCP of receivers, in bits per second (RFC 3556 §2).
    Rr,
    /// Another kind, by its name; it defines its own unit.
    Other(&'a str),
}

impl<'a> BandwidthKind<'a> {
    /// Returns the kind with this name; names are case-sensitive.
    #[must_use]
    pub fn from_name(name: &'a str) -> Self {
        match name {
            "CT" => Self::Ct,
            "AS" => Self::As,
            "TIAS" => Self::Tias,
            "RS" => Self::Rs,
            "RR" => Self::Rr,
            other => Self::Other(other),
        }
    }

    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        match self {
            Self::Ct => "CT",
            Self::As => "AS",
            Self::Tias => "TIAS",
            Self::Rs => "RS",
            Self::Rr => "RR",
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for BandwidthKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Bandwidth<'_> {
    /// Returns the bandwidth in bits per second; `None` if the unit is not known, or if the result exceeds 2⁶⁴ − 1.
    #[must_use]
    pub const fn bits_per_second(&self) -> Option<u64> {
        match self.kind {
            BandwidthKind::Ct | BandwidthKind::As => self.amount.checked_mul(1_000),
            BandwidthKind::Tias | BandwidthKind::Rs | BandwidthKind::Rr => Some(self.amount),
            BandwidthKind::Other(_) => None,
        }
    }
}

impl<'a> Value<'a> for Bandwidth<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.8");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, kind) = token(input, "a kind of bandwidth such as AS")?;
            let (rest, ()) = tag(rest, b":", "a colon")?;
            let (rest, amount) = number_u64(rest, "a bandwidth in digits, at most 2^64 - 1")?;
            Ok((rest, Self { kind: BandwidthKind::from_name(kind), amount }))
        })
    }
}

impl fmt::Display for Bandwidth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;

    #[test]
    fn each_kind_of_bandwidth_has_its_unit() {
        let bits = |text| Bandwidth::parse(text).unwrap().bits_per_second();
        assert_eq!((bits(b"AS:64"), bits(b"CT:128")), (Some(64_000), Some(128_000)));
        assert_eq!((bits(b"TIAS:64000"), bits(b"RS:800"), bits(b"RR:2400")), (Some(64_000), Some(800), Some(2_400)));
        assert_eq!(bits(b"X-YZ:128"), None);
        assert_eq!(bits(b"AS:18446744073709551615"), None);
        assert_eq!(Bandwidth::parse(b"as:1").unwrap().kind, BandwidthKind::Other("as"));
    }

    #[test]
    fn an_invalid_bandwidth_is_refused_at_its_offset() {
        refused::<Bandwidth<'_>>(b"AS", 2, "a colon");
        refused::<Bandwidth<'_>>(b":64", 0, "a kind of bandwidth such as AS");
        refused::<Bandwidth<'_>>(b"AS:-1000", 3, "a bandwidth in digits, at most 2^64 - 1");
        refused::<Bandwidth<'_>>(b"AS:18446744073709551616", 3, "a bandwidth in digits, at most 2^64 - 1");
        refused::<Bandwidth<'_>>(b"AS:12:34", 5, "the end of the value");
    }
}
