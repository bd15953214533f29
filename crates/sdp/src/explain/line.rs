//! The texts for lines other than attributes (RFC 8866 §5).

use super::print::{Count, Text, list};
use super::{Item, LineValue};
use crate::attribute::Attribute;
use crate::line::Kind;
use crate::value::{
    Address, Adjustment, Bandwidth, BandwidthKind, Connection, DisplayName, Key, MediaLine, Origin, Repeat, Timing,
    TypedTime,
};
use core::fmt;

/// Writes the meaning of a line.
pub(super) fn words(item: &Item<'_>, value: &LineValue<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        LineValue::Version(_) => f.write_str("version 0 of SDP, the only one"),
        LineValue::Origin(origin) => self::origin(origin, f),
        LineValue::Connection(connection) => self::connection(connection, f),
        LineValue::Bandwidth(bandwidth) => self::bandwidth(bandwidth, f),
        LineValue::Time(timing) => self::timing(*timing, f),
        LineValue::Uri(uri) => write!(f, "more about the session is at {}", Text(uri.0.as_bytes())),
        LineValue::Email(email) => {
            write!(f, "mail about the session goes to {}", Text(email.address.as_bytes()))?;
            email.name.iter().try_for_each(|name| person(name, f))
        }
        LineValue::Phone(phone) => {
            write!(f, "calls about the session go to {}", Text(phone.number.as_bytes()))?;
            phone.name.iter().try_for_each(|name| person(name, f))
        }
        LineValue::Repeat(repeat) => self::repeat(repeat, f),
        LineValue::Zone(zone) => {
            f.write_str("the clock that repeats follow is changed: ")?;
            list(f, zone.adjustments().map(Shift))
        }
        LineValue::Key(key) => f.write_str(match key {
            Key::Prompt => "the user is asked for the key",
            Key::Clear(_) | Key::Base64(_) => "a key in the clear, which must not be used any more",
            Key::Uri(_) => "the key is at a URL, which must not be used any more",
        }),
        LineValue::Media(media) => self::media(item, media, f),
        LineValue::Attribute(_) => Ok(()),
        LineValue::Text(text) => self::text(item, text, f),
    }
}

fn origin(origin: &Origin<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match origin.username {
        b"-" => f.write_str("made by an unnamed user")?,
        user => write!(f, "made by the user {}", Text(user))?,
    }
    let Origin { id, version, address, .. } = origin;
    write!(f, " at {}: session {id}, version {version} of its description", Place(*address))
}

/// Writes an address and its special range, if any.
struct Place<'a>(Address<'a>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0 {
            Address::Ip4(ip) if ip.is_unspecified() => f.write_str(" (nowhere)"),
            Address::Ip4(ip) if ip.is_loopback() => f.write_str(" (this host itself)"),
            Address::Ip4(ip) if ip.is_private() => f.write_str(" (a private address)"),
            Address::Ip4(ip) if ip.is_multicast() => f.write_str(" (multicast)"),
            Address::Ip6(ip) if ip.is_unspecified() => f.write_str(" (nowhere)"),
            Address::Ip6(ip) if ip.is_loopback() => f.write_str(" (this host itself)"),
            Address::Ip6(ip) if ip.is_unique_local() => f.write_str(" (a private address)"),
            Address::Ip6(ip) if ip.is_multicast() => f.write_str(" (multicast)"),
            Address::Ip4(_) | Address::Ip6(_) | Address::Name(_) | Address::Other(_) => Ok(()),
        }
    }
}

fn connection(connection: &Connection<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Connection { address, ttl, count, .. } = connection;
    let is_unspecified = match address {
        Address::Ip4(ip) => ip.is_unspecified(),
        Address::Ip6(ip) => ip.is_unspecified(),
        Address::Name(_) | Address::Other(_) => false,
    };
    if is_unspecified {
        return f.write_str("no address yet: ICE will find one, or the media is on hold");
    }
    write!(f, "media goes to {}", Place(*address))?;
    count.iter().try_for_each(|count| write!(f, " and those that follow it, {count} in all"))?;
    ttl.iter().try_for_each(|ttl| write!(f, ", as far as {} hops", ttl))
}

fn bandwidth(bandwidth: &Bandwidth<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let amount = bandwidth.amount;
    match bandwidth.kind {
        BandwidthKind::As => write!(f, "the application takes {amount} kbit/s at most, with headers"),
        BandwidthKind::Ct => write!(f, "all of the conference takes {amount} kbit/s at most"),
        BandwidthKind::Tias => {
            write!(f, "the media takes {amount} bit/s at most, without the headers of the transport")
        }
        BandwidthKind::Rs => write!(f, "active senders may use {amount} bit/s for RTCP"),
        BandwidthKind::Rr => write!(f, "receivers may use {amount} bit/s for RTCP"),
        BandwidthKind::Other(kind) => write!(f, "a bandwidth of {amount} of the kind {kind}"),
    }
}

fn person(name: &DisplayName<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (DisplayName::Before(name) | DisplayName::After(name)) = name;
    write!(f, ", {}", Text(name.trim_ascii()))
}

fn repeat(repeat: &Repeat<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the session repeats every {} for {}", Length(repeat.interval), Length(repeat.duration))?;
    if repeat.offsets().any(|offset| offset.seconds() != 0) {
        f.write_str(", each time after ")?;
        list(f, repeat.offsets().map(Length))?;
    }
    Ok(())
}

/// `7 days`, `1 hour`, `90 seconds`.
struct Length(TypedTime);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.seconds();
        let (unit, name) = match seconds {
            0 => (1, "second"),
            _ if seconds.is_multiple_of(86_400) => (86_400, "day"),
            _ if seconds.is_multiple_of(3_600) => (3_600, "hour"),
            _ if seconds.is_multiple_of(60) => (60, "minute"),
            _ => (1, "second"),
        };
        let amount = seconds / unit;
        write!(f, "{amount} {name}{}", if amount == 1 { "" } else { "s" })
    }
}

/// `back by 1 hour at 2018-10-28 01:00:00 UTC`.
struct Shift(Adjustment);

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.0.is_back { "back" } else { "forward" };
        write!(f, "{way} by {} at {}", Length(self.0.offset), Moment(self.0.at))
    }
}

fn timing(timing: Timing, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (timing.start, timing.stop) {
        (0, 0) => f.write_str("the session is permanent: it has no start and no end"),
        (start, 0) => write!(f, "the session starts at {} and does not end by itself", Moment(start)),
        (0, stop) => write!(f, "the session runs until {}", Moment(stop)),
        (start, stop) => write!(f, "the session runs from {} to {}", Moment(start), Moment(stop)),
    }
}

/// A time in seconds since 1900, written as UTC; a time after the year 9999 is written as a number.
pub(super) struct Moment(pub(super) u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        // Years are counted from March, so that the leap day is the last; 1900-03-01 is day 59.
        let Some(since) = days.checked_add(693_901).filter(|days| *days < 3_652_365) else {
            return write!(f, "second {} after 1900", self.0);
        };
        let (era, day) = (since / 146_097, since % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (date, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        let year = era * 400 + year + u64::from(month <= 2);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

fn media(item: &Item<'_>, media: &MediaLine<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let MediaLine { media: kind, port, ports, protocol, .. } = media;
    if *kind == "application" && protocol.ends_with("SCTP") {
        f.write_str("data channels")?;
    } else {
        f.write_str(kind)?;
    }
    match transport(protocol) {
        Some(words) => write!(f, " {words}")?,
        None => write!(f, " over {protocol}")?,
    }
    match port {
        0 => f.write_str(", refused or ended (port 0)")?,
        9 => f.write_str(", its port is signalled elsewhere")?,
        port => write!(f, ", on port {port}")?,
    }
    ports.iter().try_for_each(|ports| write!(f, " and those after it, {}", Count(*ports as usize, "pair")))?;
    let count = media.formats().count();
    write!(f, "; {} ", if count == 1 { "format" } else { "formats" })?;
    list(f, media.formats().map(|format| Format { item, format }))
}

/// Returns the meaning of a protocol, to be written after the kind of media.
fn transport(protocol: &str) -> Option<&'static str> {
    Some(match protocol {
        "RTP/AVP" => "in RTP",
        "RTP/AVPF" => "in RTP with feedback",
        "RTP/SAVP" => "in RTP, encrypted by SRTP",
        "RTP/SAVPF" => "in RTP with feedback, encrypted by SRTP",
        "UDP/TLS/RTP/SAVP" => "in RTP, encrypted by SRTP with keys from DTLS",
        "UDP/TLS/RTP/SAVPF" => "in RTP with feedback, encrypted by SRTP with keys from DTLS",
        "UDP/DTLS/SCTP" => "in SCTP over DTLS over UDP",
        "TCP/DTLS/SCTP" => "in SCTP over DTLS over TCP",
        "DTLS/SCTP" => "in SCTP over DTLS, as drafts had it",
        "udp" => "over UDP",
        "udptl" => "by fax over UDP",
        "TCP" => "over TCP",
        "TCP/MSRP" => "by MSRP over TCP",
        "TCP/TLS/MSRP" => "by MSRP over TLS",
        "TCP/TLS/BFCP" => "by BFCP over TLS",
        "TCP/BFCP" => "by BFCP over TCP",
        _ => return None,
    })
}

/// A format with its codec, if the section or RFC 3551 defines it.
struct Format<'i, 's> {
    item: &'i Item<'s>,
    format: &'i str,
}

impl fmt::Display for Format<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.format;
        f.write_str(format)?;
        let section = self.item.media.and_then(|index| self.item.session.media(index));
        let mapped = section.into_iter().flat_map(|section| section.lines()).find_map(|line| {
            let value = line.value().strip_prefix(b"rtpmap:")?;
            if line.kind() != Kind::Attribute || value.get(..format.len())? != format.as_bytes() {
                return None;
            }
            let Attribute::Rtpmap(map) = line.typed()?.ok()? else { return None };
            (format.parse() == Ok(map.payload_type)).then_some(map.encoding)
        });
        match mapped.or_else(|| static_format(format)) {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// The static payload types of RFC 3551 §6.
pub(crate) fn static_format(format: &str) -> Option<&'static str> {
    Some(match format {
        "0" => "PCMU",
        "3" => "GSM",
        "4" => "G723",
        "5" | "6" | "16" | "17" => "DVI4",
        "7" => "LPC",
        "8" => "PCMA",
        "9" => "G722",
        "10" | "11" => "L16",
        "12" => "QCELP",
        "13" => "CN",
        "14" => "MPA",
        "15" => "G728",
        "18" => "G729",
        "25" => "CelB",
        "26" => "JPEG",
        "28" => "nv",
        "31" => "H261",
        "32" => "MPV",
        "33" => "MP2T",
        "34" => "H263",
        _ => return None,
    })
}

fn text(item: &Item<'_>, text: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let of = if item.media.is_some() { "media" } else { "session" };
    match (item.line.kind(), text) {
        (Kind::Stray, []) => f.write_str("an empty line, which is not allowed"),
        (Kind::Stray, _) => f.write_str("no line of a description: it does not begin with a letter and \"=\""),
        (Kind::Unknown(_), _) => f.write_str("a kind of line that RFC 8866 does not define; readers ignore it"),
        (Kind::Name, b"" | b" " | b"-") => f.write_str("the session has no name"),
        (kind, []) => write!(f, "{kind} is empty"),
        (Kind::Name, name) => write!(f, "the session is named \"{}\"", Text(name)),
        (Kind::Information, about) => write!(f, "about the {of}: \"{}\"", Text(about)),
        (
            Kind::Version
            | Kind::Origin
            | Kind::Connection
            | Kind::Bandwidth
            | Kind::Time
            | Kind::Uri
            | Kind::Email
            | Kind::Phone
            | Kind::Repeat
            | Kind::Zone
            | Kind::Key
            | Kind::Attribute
            | Kind::Media,
            value,
        ) => write!(f, "{}", Text(value)),
    }
}
