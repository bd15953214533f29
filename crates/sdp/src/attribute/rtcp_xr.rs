//! RTCP extended reports (RFC 3611 §5.1).

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, fail, number_u32, refuse, tag, visible, whole};
use crate::line::Lossy;
use crate::value::{AttributeValue, Value};
use crate::work::look;
use core::fmt;

/// `a=rtcp-xr`: the extended reports that the endpoint requests. An empty list requests no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtcpXr<'a>(&'a [u8]);

/// An extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XrFormat<'a> {
    /// `pkt-loss-rle`: which packets were lost. The number is the maximum size of the report in bytes.
    PacketLossRle(Option<u32>),
    /// `pkt-dup-rle`: which packets arrived twice. The number is the maximum size of the report in bytes.
    PacketDuplicateRle(Option<u32>),
    /// `pkt-rcpt-times`: when packets arrived. The number is the maximum size of the report in bytes.
    PacketReceiptTimes(Option<u32>),
    /// `rcvr-rtt`: how receivers measure the round-trip time.
    ReceiverRtt {
        /// `true` is `all`: all receivers of the request. `false` is `sender`: only senders of media.
        is_for_all: bool,
        /// The maximum size of the report in bytes.
        most: Option<u32>,
    },
    /// `stat-summary`: statistics of loss, duplicates, jitter and distance.
    StatisticsSummary(StatisticsFlags),
    /// `voip-metrics`: the quality of a call.
    VoipMetrics,
    /// Another report, as text.
    Other(&'a [u8]),
}

/// The statistics of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatisticsFlags(u8);

impl StatisticsFlags {
    /// Lost packets.
    pub const LOSS: Self = Self(1);
    /// Duplicate packets.
    pub const DUPLICATES: Self = Self(2);
    /// Jitter.
    pub const JITTER: Self = Self(4);
    /// The time to live of IPv4.
    pub const TTL: Self = Self(8);
    /// The hop limit of IPv6.
    pub const HOP_LIMIT: Self = Self(16);

    const NAMED: [(Self, &'static str); 5] = [
        (Self::LOSS, "loss"),
        (Self::DUPLICATES, "dup"),
        (Self::JITTER, "jitt"),
        (Self::TTL, "TTL"),
        (Self::HOP_LIMIT, "HL"),
    ];

    /// Returns whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl<'a> RtcpXr<'a> {
    /// Returns the reports, in the written order.
    pub fn formats(&self) -> impl Iterator<Item = XrFormat<'a>> + use<'a> {
        let words =
            self.0.split(|byte| *byte == b' ').inspect(|word| look(word.len() + 1)).filter(|word| !word.is_empty());
        words.filter_map(|word| XrFormat::read(word).ok().map(|(_, format)| format))
    }
}

impl<'a> Value<'a> for RtcpXr<'a> {
    const CLAUSE: Citation = Citation::new("RFC 3611", "5.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            if input.is_empty() {
                return Ok((input, Self(input)));
            }
            let (mut rest, _) = XrFormat::read(input)?;
            while let Some(word) = rest.strip_prefix(b" ") {
                (rest, _) = XrFormat::read(word)?;
            }
            let taken = input.len() - rest.len();
            Ok((rest, Self(input.get(..taken).unwrap_or(input))))
        })
    }
}

impl<'a> AttributeValue<'a> for RtcpXr<'a> {
    const NAME: &'static str = "rtcp-xr";
}

impl<'a> XrFormat<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (after, word) = visible(input, "a report such as rcvr-rtt=all")?;
        let length = word.iter().position(|byte| *byte == b'=').unwrap_or(word.len());
        let Some((name, value)) = word.split_at_checked(length) else { return fail(input, "a report") };
        let value_at = input.get(length..).unwrap_or_default();
        Ok(match name {
            b"pkt-loss-rle" => size(value_at, b"=").map(|(rest, most)| (rest, Self::PacketLossRle(most)))?,
            b"pkt-dup-rle" => size(value_at, b"=").map(|(rest, most)| (rest, Self::PacketDuplicateRle(most)))?,
            b"pkt-rcpt-times" => size(value_at, b"=").map(|(rest, most)| (rest, Self::PacketReceiptTimes(most)))?,
            b"rcvr-rtt" => Self::receiver_rtt(value_at)?,
            b"stat-summary" => flags(value_at).map(|(rest, flags)| (rest, Self::StatisticsSummary(flags)))?,
            b"voip-metrics" if value.is_empty() => (after, Self::VoipMetrics),
            b"voip-metrics" => return refuse(value_at, "no value"),
            _ => (after, Self::Other(word)),
        })
    }

    fn receiver_rtt(input: &'a [u8]) -> Parsed<'a, Self> {
        let (mode, ()) = tag(input, b"=", "an equals sign")?;
        let (rest, is_for_all) = match mode {
            [b'a', b'l', b'l', rest @ ..] => (rest, true),
            [b's', b'e', b'n', b'd', b'e', b'r', rest @ ..] => (rest, false),
            _ => return fail(mode, "all or sender"),
        };
        let (rest, most) = size(rest, b":")?;
        Ok((rest, Self::ReceiverRtt { is_for_all, most }))
    }
}

/// Parses the maximum size of the report after the separator, if there is one.
fn size<'a>(input: &'a [u8], separator: &[u8]) -> Parsed<'a, Option<u32>> {
    match input.strip_prefix(separator) {
        Some(rest) => number_u32(rest, "a size in bytes").map(|(rest, size)| (rest, Some(size))),
        None => Ok((input, None)),
    }
}

/// Parses the flags after an equals sign, separated by commas.
fn flags(input: &[u8]) -> Parsed<'_, StatisticsFlags> {
    const EXPECTED: &str = "loss, dup, jitt, TTL or HL";
    let Some(mut rest) = input.strip_prefix(b"=") else { return Ok((input, StatisticsFlags::default())) };
    let mut flags = StatisticsFlags::default();
    loop {
        look(5);
        let named = StatisticsFlags::NAMED.iter();
        let found = named.filter_map(|(flag, name)| Some((flag, rest.strip_prefix(name.as_bytes())?))).next();
        let Some((flag, after)) = found else { return fail(rest, EXPECTED) };
        flags.0 |= flag.0;
        match after {
            [b',', next @ ..] => rest = next,
            _ => return Ok((after, flags)),
        }
    }
}

impl fmt::Display for RtcpXr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Lossy(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::refused;
    use alloc::vec::Vec;

    #[test]
    fn each_report_has_its_parameters() {
        let xr =
            RtcpXr::parse(b"rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics pkt-dup-rle x=1").unwrap();
        let formats: Vec<_> = xr.formats().collect();
        assert_eq!(formats[0], XrFormat::ReceiverRtt { is_for_all: true, most: Some(10_000) });
        let XrFormat::StatisticsSummary(flags) = formats[1] else { panic!("a summary") };
        assert!(flags.contains(StatisticsFlags::TTL) && !flags.contains(StatisticsFlags::HOP_LIMIT));
        assert_eq!(formats[2..], [XrFormat::VoipMetrics, XrFormat::PacketDuplicateRle(None), XrFormat::Other(b"x=1")]);
        assert_eq!(RtcpXr::parse(b"").unwrap().formats().count(), 0);
        let all: Vec<_> =
            RtcpXr::parse(b"rcvr-rtt=sender pkt-loss-rle=1 stat-summary pkt-rcpt-times=2").unwrap().formats().collect();
        assert_eq!(all[0], XrFormat::ReceiverRtt { is_for_all: false, most: None });
        assert_eq!(all[2], XrFormat::StatisticsSummary(StatisticsFlags::default()));
    }

    #[test]
    fn an_invalid_value_is_refused_at_its_offset() {
        for (bad, at, expected) in [
            (&b" "[..], 0, "a report such as rcvr-rtt=all"),
            (b"voip-metrics ", 13, "a report such as rcvr-rtt=all"),
            (b"rcvr-rtt", 8, "an equals sign"),
            (b"rcvr-rtt=some", 9, "all or sender"),
            (b"rcvr-rtt=all:", 13, "a size in bytes"),
            (b"rcvr-rtt=all=1", 12, "the end of the value"),
            (b"pkt-loss-rle=x", 13, "a size in bytes"),
            (b"pkt-loss-rle=4294967296", 13, "a size in bytes"),
            (b"stat-summary=loss,", 18, "loss, dup, jitt, TTL or HL"),
            (b"stat-summary=lossy", 17, "the end of the value"),
            (b"voip-metrics=1", 12, "no value"),
        ] {
            refused::<RtcpXr<'_>>(bad, at, expected);
        }
    }
}
