//! Reference clocks and media clocks of a stream (RFC 7273 §4.8, §5.4; SMPTE ST 2110-10 for `localmac`).

use crate::error::{Citation, ValueError};
use crate::grammar::{
    Parsed, ascii, base64, bytes, fail, ipv6, number, number_u16, number_u64, refuse, tag, token, whole,
};
use crate::line::Lossy;
use crate::value::{AttributeValue, Value};
use core::fmt;

/// `a=ts-refclk`: the reference clock of the times in RTCP reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TsRefClk<'a> {
    /// `ntp=`: an NTP server; `None`: `/traceable/`, any traceable server.
    Ntp(Option<NtpServer<'a>>),
    /// `ptp=`: a clock of IEEE 1588.
    Ptp {
        /// The version of the standard, such as `IEEE1588-2008`.
        version: &'a str,
        /// The grandmaster; `None`: `traceable`, any traceable clock.
        grandmaster: Option<Grandmaster<'a>>,
    },
    /// `gps`.
    Gps,
    /// `gal`: Galileo.
    Galileo,
    /// `glonass`.
    Glonass,
    /// `local`: the free-running clock of the device.
    Local,
    /// `private`: a clock that both endpoints know.
    Private {
        /// Whether the clock is traceable.
        is_traceable: bool,
    },
    /// `localmac=`: the clock of the device with this MAC address (SMPTE ST 2110-10).
    LocalMac(Eui<6>),
    /// Another reference clock.
    Other {
        /// Its name.
        name: &'a str,
        /// The text after its `=`.
        value: Option<&'a [u8]>,
    },
}

/// An NTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NtpServer<'a> {
    /// The host name or address; an IPv6 address is in brackets.
    pub host: &'a str,
    /// Its port.
    pub port: Option<u16>,
}

/// The grandmaster clock of an IEEE 1588 domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grandmaster<'a> {
    /// The identity of the clock.
    pub identity: Eui<8>,
    /// The domain.
    pub domain: Option<PtpDomain<'a>>,
}

/// An IEEE 1588 domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PtpDomain<'a> {
    /// The domain number, 0 to 127.
    Number(u8),
    /// The domain name, 1 to 16 characters, of IEEE 1588-2002.
    Name(&'a str),
}

/// An IEEE EUI-48 or EUI-64 identifier, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Eui<const N: usize>(pub [u8; N]);

/// `a=mediaclk`: the clock of the RTP timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaClk<'a> {
    /// The master clock that the stream is, or that it follows.
    pub id: Option<MediaClockId<'a>>,
    /// The source of the clock.
    pub clock: MediaClock<'a>,
}

/// The name of a master clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaClockId<'a> {
    /// `src:`: the stream is the master clock.
    pub is_source: bool,
    /// The name, in base 64.
    pub tag: &'a str,
}

/// The source of a media clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaClock<'a> {
    /// `sender`: the sender's own clock.
    Sender,
    /// `direct`: the reference clock.
    Direct {
        /// The timestamp at the epoch of the reference clock.
        offset: Option<u64>,
        /// The factor of the rate.
        rate: Option<ClockRate>,
    },
    /// `IEEE1722=`: a stream of Audio Video Bridging.
    Ieee1722(Eui<8>),
    /// Another source.
    Other {
        /// Its name.
        name: &'a str,
        /// The text after its `=`.
        value: Option<&'a [u8]>,
    },
}

/// The factor of a clock rate, such as 1000/1001.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockRate {
    /// The numerator, more than 0.
    pub numerator: u64,
    /// The denominator, more than 0; `None`: the sender writes the rate itself, in hertz.
    pub denominator: Option<u64>,
}

impl<'a> Value<'a> for TsRefClk<'a> {
    const CLAUSE: Citation = Citation::new("RFC 7273", "4.8");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, name) = token(input, "a clock such as ptp=")?;
            match (name, rest.strip_prefix(b"=")) {
                ("ntp", Some(server)) => NtpServer::read(server).map(|(rest, server)| (rest, Self::Ntp(server))),
                ("ptp", Some(clock)) => Self::ptp(clock),
                ("localmac", Some(address)) => {
                    Eui::read(address).map(|(rest, address)| (rest, Self::LocalMac(address)))
                }
                ("ntp" | "ptp" | "localmac", None) => fail(rest, "an equals sign"),
                ("gps", None) => Ok((rest, Self::Gps)),
                ("gal", None) => Ok((rest, Self::Galileo)),
                ("glonass", None) => Ok((rest, Self::Glonass)),
                ("local", None) => Ok((rest, Self::Local)),
                ("private", None) => Ok(match rest.strip_prefix(b":traceable") {
                    Some(rest) => (rest, Self::Private { is_traceable: true }),
                    None => (rest, Self::Private { is_traceable: false }),
                }),
                ("gps" | "gal" | "glonass" | "local" | "private", Some(_)) => refuse(rest, "no value"),
                (name, Some(value)) => {
                    bytes(value, "a value").map(|(rest, value)| (rest, Self::Other { name, value: Some(value) }))
                }
                (name, None) => Ok((rest, Self::Other { name, value: None })),
            }
        })
    }
}

impl<'a> AttributeValue<'a> for TsRefClk<'a> {
    const NAME: &'static str = "ts-refclk";
}

impl<'a> TsRefClk<'a> {
    fn ptp(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, version) = token(input, "a version such as IEEE1588-2008")?;
        let (rest, ()) = tag(rest, b":", "a colon")?;
        if let Some(rest) = rest.strip_prefix(b"traceable") {
            return Ok((rest, Self::Ptp { version, grandmaster: None }));
        }
        let (rest, identity) = Eui::read(rest)?;
        let (rest, domain) = match rest.strip_prefix(b":") {
            Some(rest) => PtpDomain::read(rest).map(|(rest, domain)| (rest, Some(domain)))?,
            None => (rest, None),
        };
        Ok((rest, Self::Ptp { version, grandmaster: Some(Grandmaster { identity, domain }) }))
    }
}

impl<'a> NtpServer<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Option<Self>> {
        if let Some(rest) = input.strip_prefix(b"/traceable/") {
            return Ok((rest, None));
        }
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let (rest, host) = match input.strip_prefix(b"[") {
            Some(inner) => {
                let (rest, _) = ipv6(inner, "an IPv6 address")?;
                let (rest, ()) = tag(rest, b"]", "a closing bracket")?;
                crate::grammar::taken(input, rest)?
            }
            None => ascii(input, is_host, "a server or /traceable/")?,
        };
        let (rest, port) = match rest.strip_prefix(b":") {
            Some(rest) => number_u16(rest, "a port, 0 to 65535").map(|(rest, port)| (rest, Some(port)))?,
            None => (rest, None),
        };
        Ok((rest, Some(Self { host, port })))
    }
}

impl<'a> PtpDomain<'a> {
    /// The grammar of RFC 7273 has `domain-nmbr=` and `domain-name=`, but its examples do not. Endpoints send both
    /// forms, mostly without the prefix.
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        const EXPECTED: &str = "a domain: a number up to 127, or a name of at most 16 characters";
        let prefixes = [&b"domain-nmbr="[..], b"domain-name="];
        let domain = prefixes.iter().find_map(|prefix| input.strip_prefix(*prefix)).unwrap_or(input);
        let (rest, name) = ascii(domain, |byte| byte.is_ascii_graphic(), EXPECTED)?;
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            let (rest, number) = number(domain, 127, EXPECTED)?;
            return Ok((rest, Self::Number(u8::try_from(number).unwrap_or(u8::MAX))));
        }
        // A domain name that begins like a prefix is rejected.
        let is_plain = !prefixes.iter().any(|prefix| name.as_bytes().starts_with(prefix));
        if name.len() <= 16 && is_plain { Ok((rest, Self::Name(name))) } else { fail(domain, EXPECTED) }
    }
}

impl<const N: usize> Eui<N> {
    fn read(input: &[u8]) -> Parsed<'_, Self> {
        let (mut rest, mut bytes) = (input, [0; N]);
        for (index, byte) in bytes.iter_mut().enumerate() {
            if index > 0 {
                (rest, ()) = tag(rest, b"-", "a hyphen")?;
            }
            let digit = |at: usize| rest.get(at).and_then(|digit| char::from(*digit).to_digit(16));
            match (digit(0), digit(1)) {
                (Some(high), Some(low)) => *byte = u8::try_from(high * 16 + low).unwrap_or_default(),
                _ => return fail(rest, "two hexadecimal digits"),
            }
            rest = rest.get(2..).unwrap_or_default();
        }
        Ok((rest, Self(bytes)))
    }
}

impl<'a> Value<'a> for MediaClk<'a> {
    const CLAUSE: Citation = Citation::new("RFC 7273", "5.4");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, id) = match input.strip_prefix(b"id=") {
                Some(rest) => {
                    let (rest, is_source) = rest.strip_prefix(b"src:").map_or((rest, false), |rest| (rest, true));
                    let (rest, tag) = base64(rest, "the name of a clock in base 64")?;
                    let (rest, ()) = crate::grammar::space(rest)?;
                    (rest, Some(MediaClockId { is_source, tag }))
                }
                None => (input, None),
            };
            let (rest, clock) = MediaClock::read(rest)?;
            Ok((rest, Self { id, clock }))
        })
    }
}

impl<'a> AttributeValue<'a> for MediaClk<'a> {
    const NAME: &'static str = "mediaclk";
}

impl<'a> MediaClock<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, name) = token(input, "a clock: sender, direct or IEEE1722=")?;
        match (name, rest.strip_prefix(b"=")) {
            ("sender", None) => Ok((rest, Self::Sender)),
            ("sender", Some(_)) => refuse(rest, "no value"),
            ("direct", offset) => {
                let (rest, offset) = match offset {
                    Some(offset) => {
                        number_u64(offset, "an offset in digits").map(|(rest, offset)| (rest, Some(offset)))?
                    }
                    None => (rest, None),
                };
                let (rest, rate) = match rest.strip_prefix(b" ") {
                    Some(rate) => ClockRate::read(rate).map(|(rest, rate)| (rest, Some(rate)))?,
                    None => (rest, None),
                };
                Ok((rest, Self::Direct { offset, rate }))
            }
            ("IEEE1722", Some(stream)) => Eui::read(stream).map(|(rest, stream)| (rest, Self::Ieee1722(stream))),
            ("IEEE1722", None) => fail(rest, "an equals sign"),
            (name, Some(value)) => {
                bytes(value, "a value").map(|(rest, value)| (rest, Self::Other { name, value: Some(value) }))
            }
            (name, None) => Ok((rest, Self::Other { name, value: None })),
        }
    }
}

impl ClockRate {
    fn read(input: &[u8]) -> Parsed<'_, Self> {
        const EXPECTED: &str = "a number above 0";
        let (rest, ()) = tag(input, b"rate=", "rate=")?;
        let positive = |input| match number_u64(input, EXPECTED)? {
            (_, 0) => fail(input, EXPECTED),
            found => Ok(found),
        };
        let (rest, numerator) = positive(rest)?;
        let Some(below) = rest.strip_prefix(b"/") else { return Ok((rest, Self { numerator, denominator: None })) };
        let (rest, denominator) = positive(below)?;
        Ok((rest, Self { numerator, denominator: Some(denominator) }))
    }
}

impl fmt::Display for TsRefClk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ntp(None) => f.write_str("ntp=/traceable/"),
            Self::Ntp(Some(NtpServer { host, port })) => {
                write!(f, "ntp={host}")?;
                port.iter().try_for_each(|port| write!(f, ":{port}"))
            }
            Self::Ptp { version, grandmaster: None } => write!(f, "ptp={version}:traceable"),
            Self::Ptp { version, grandmaster: Some(Grandmaster { identity, domain }) } => {
                write!(f, "ptp={version}:{identity}")?;
                domain.iter().try_for_each(|domain| match domain {
                    PtpDomain::Number(number) => write!(f, ":{number}"),
                    PtpDomain::Name(name) => write!(f, ":{name}"),
                })
            }
            Self::Gps => f.write_str("gps"),
            Self::Galileo => f.write_str("gal"),
            Self::Glonass => f.write_str("glonass"),
            Self::Local => f.write_str("local"),
            Self::Private { is_traceable: false } => f.write_str("private"),
            Self::Private { is_traceable: true } => f.write_str("private:traceable"),
            Self::LocalMac(address) => write!(f, "localmac={address}"),
            Self::Other { name, value } => other(f, name, *value),
        }
    }
}

fn other(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&[u8]>) -> fmt::Result {
    f.write_str(name)?;
    value.iter().try_for_each(|value| write!(f, "={}", Lossy(value)))
}

/// Written in upper case, with hyphens.
impl<const N: usize> fmt::Display for Eui<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, byte)| match index {
            0 => write!(f, "{byte:02X}"),
            _ => write!(f, "-{byte:02X}"),
        })
    }
}

impl fmt::Display for MediaClk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(MediaClockId { is_source, tag }) = self.id {
            write!(f, "id={}{tag} ", if is_source { "src:" } else { "" })?;
        }
        match self.clock {
            MediaClock::Sender => f.write_str("sender"),
            MediaClock::Direct { offset, rate } => {
                f.write_str("direct")?;
                offset.iter().try_for_each(|offset| write!(f, "={offset}"))?;
                rate.iter().try_for_each(|rate| write!(f, " rate={}", rate.numerator))?;
                let denominator = rate.and_then(|rate| rate.denominator);
                denominator.iter().try_for_each(|denominator| write!(f, "/{denominator}"))
            }
            MediaClock::Ieee1722(stream) => write!(f, "IEEE1722={stream}"),
            MediaClock::Other { name, value } => other(f, name, value),
        }
    }
}

#[cfg(test)]
mod tests;
