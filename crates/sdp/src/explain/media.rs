//! The texts for attributes of RFC 8866, RTSP, telephony and professional media. `attribute.rs` has those of WebRTC.

use super::print::{Count, Text, list};
use crate::attribute::{
    ConferenceType, ConnectionUse, Content, ContentKind, Control, Crypto, CryptoKey, FilterMode, ImageAttr, ImageList,
    MediaClk, MediaClock, NptTime, Orientation, PtpDomain, Range, RtcpXr, SessionParameter, Sizes, SourceFilter,
    TsRefClk, XrFormat,
};
use core::fmt;

pub(super) const fn conference(kind: ConferenceType) -> &'static str {
    match kind {
        ConferenceType::Broadcast => "a broadcast: participants only receive",
        ConferenceType::Meeting => "a meeting: everybody sends and receives",
        ConferenceType::Moderated => "a moderated conference: the moderator decides which participants send",
        ConferenceType::Test => "a test, not to be shown to users who did not ask for it",
        ConferenceType::H332 => "a part of a loosely coupled H.332 conference",
    }
}

pub(super) const fn orientation(orientation: Orientation) -> &'static str {
    match orientation {
        Orientation::Portrait => "the workspace is higher than wide",
        Orientation::Landscape => "the workspace is wider than high",
        Orientation::Seascape => "the workspace is wider than high and upside down",
    }
}

pub(super) const fn connection(connection: ConnectionUse) -> &'static str {
    match connection {
        ConnectionUse::New => "a new TCP connection is made",
        ConnectionUse::Existing => "the TCP connection that there is goes on",
    }
}

pub(super) fn content(content: &Content<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("the stream shows ")?;
    list(
        f,
        content.kinds().map(|kind| match kind {
            ContentKind::Slides => "slides",
            ContentKind::Speaker => "the speaker",
            ContentKind::SignLanguage => "sign language",
            ContentKind::Main => "what is most important",
            ContentKind::Alternative => "an alternative to the main stream",
            ContentKind::Other(other) => other,
        }),
    )
}

/// Keys are never written.
pub(super) fn crypto(crypto: &Crypto<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "choice {} of SRTP keys: {}, ", crypto.tag, crypto.suite)?;
    write!(f, "{} in the clear, so the description must be kept secret", Count(crypto.keys.iter().count(), "key"))?;
    let is_named = crypto.keys.iter().any(|key| matches!(key, CryptoKey::Inline { mki: Some(_), .. }));
    if is_named {
        f.write_str(", selected in packets by MKI")?;
    }
    for parameter in crypto.session_parameters().take(8) {
        f.write_str(match parameter {
            SessionParameter::Kdr(_) => ", session keys are derived again from time to time",
            SessionParameter::UnencryptedSrtp => ", RTP is not encrypted",
            SessionParameter::UnencryptedSrtcp => ", RTCP is not encrypted",
            SessionParameter::UnauthenticatedSrtp => ", RTP is not authenticated",
            SessionParameter::FecOrder { is_fec_first: true } => ", repair before encryption",
            SessionParameter::FecOrder { is_fec_first: false } => ", encryption before repair",
            SessionParameter::FecKey(_) => ", repair packets have keys of their own",
            SessionParameter::Wsh(_) => ", with a window against replays of its own size",
            SessionParameter::Other(_) => ", with an extension",
        })?;
    }
    Ok(())
}

pub(super) fn images(images: &ImageAttr<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match images.payload_type {
        Some(number) => write!(f, "pictures in payload type {number}")?,
        None => f.write_str("pictures")?,
    }
    for (way, sets) in [("sent", images.send), ("received", images.recv)] {
        match sets {
            Some(ImageList::Any) => write!(f, ", {way} in any size")?,
            Some(ImageList::Sets(sets)) => {
                write!(f, ", {way} as ")?;
                list(f, sets.iter().map(|set| Picture(set.x, set.y)))?;
            }
            None => {}
        }
    }
    Ok(())
}

/// `1280×720`, `320 to 1280×180 to 720`.
struct Picture<'a>(Sizes<'a>, Sizes<'a>);

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        size(&self.0, f)?;
        f.write_str("×")?;
        size(&self.1, f)
    }
}

fn size(sizes: &Sizes<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match sizes {
        Sizes::One(size) => write!(f, "{size}"),
        Sizes::Between { low, step: None, high } => write!(f, "{low} to {high}"),
        Sizes::Between { low, step: Some(step), high } => write!(f, "{low} to {high} in steps of {step}"),
        Sizes::Among(sizes) => {
            for (index, size) in sizes.iter().take(24).enumerate() {
                write!(f, "{}{size}", if index == 0 { "" } else { "|" })?;
            }
            Ok(())
        }
    }
}

pub(super) fn reports(reports: &RtcpXr<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("extended RTCP reports: ")?;
    list(f, reports.formats().map(Report))
}

struct Report<'a>(XrFormat<'a>);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            XrFormat::PacketLossRle(_) => "which packets were lost",
            XrFormat::PacketDuplicateRle(_) => "which packets came twice",
            XrFormat::PacketReceiptTimes(_) => "when each packet came",
            XrFormat::ReceiverRtt { is_for_all: true, .. } => "round trips, of all receivers",
            XrFormat::ReceiverRtt { is_for_all: false, .. } => "round trips, of media senders",
            XrFormat::StatisticsSummary(_) => "a summary of statistics",
            XrFormat::VoipMetrics => "how good a call is",
            XrFormat::Other(other) => return write!(f, "{}", Text(other)),
        })
    }
}

pub(super) fn sources(filter: &SourceFilter<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(match filter.mode {
        FilterMode::Include => "only these may send",
        FilterMode::Exclude => "these may not send",
    })?;
    match filter.destination {
        Some(destination) => write!(f, " to {destination}: ")?,
        None => f.write_str(": ")?,
    }
    list(f, filter.sources())
}

pub(super) fn control(control: &Control<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match control {
        Control::Base => f.write_str("RTSP controls it at the URL that the description came from"),
        Control::Uri(uri) => write!(f, "RTSP controls it at {}", Text(uri)),
    }
}

pub(super) fn range(range: &Range<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match range {
        Range::Npt { from: Some(NptTime::Now), to: None } => f.write_str("it plays live, without an end"),
        Range::Npt { from: Some(from), to: None } => write!(f, "it plays from second {from}, without a known end"),
        Range::Npt { from: Some(from), to: Some(to) } => write!(f, "it plays from second {from} to {to}"),
        Range::Npt { from: None, to: Some(to) } => write!(f, "it plays up to second {to}"),
        Range::Npt { .. } => f.write_str("it plays, with unknown start and end"),
        Range::Smpte { .. } => write!(f, "it plays for these frames: {range}"),
        Range::Clock { .. } => write!(f, "it plays at these times: {range}"),
        Range::Other { unit, range } => write!(f, "it plays for {range}, in the unit {unit}"),
    }
}

pub(super) fn reference_clock(clock: &TsRefClk<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("times come from ")?;
    match clock {
        TsRefClk::Ntp(None) => f.write_str("NTP, traceable to a standard time source"),
        TsRefClk::Ntp(Some(server)) => {
            write!(f, "the NTP server {}", server.host)?;
            server.port.iter().try_for_each(|port| write!(f, " port {port}"))
        }
        TsRefClk::Ptp { version, grandmaster: None } => {
            write!(f, "PTP ({version}), traceable to a standard time source")
        }
        TsRefClk::Ptp { version, grandmaster: Some(grandmaster) } => {
            write!(f, "PTP ({version}) from the grandmaster {}", grandmaster.identity)?;
            match grandmaster.domain {
                Some(PtpDomain::Number(number)) => write!(f, " in domain {number}"),
                Some(PtpDomain::Name(name)) => write!(f, " in the domain {name}"),
                None => Ok(()),
            }
        }
        TsRefClk::Gps => f.write_str("GPS"),
        TsRefClk::Galileo => f.write_str("Galileo"),
        TsRefClk::Glonass => f.write_str("GLONASS"),
        TsRefClk::Local => f.write_str("the free-running clock of the sender"),
        TsRefClk::Private { is_traceable: true } => {
            f.write_str("an unnamed clock, traceable to a standard time source")
        }
        TsRefClk::Private { is_traceable: false } => f.write_str("an unnamed clock"),
        TsRefClk::LocalMac(mac) => write!(f, "the clock of the host with the hardware address {mac}"),
        TsRefClk::Other { name, value: None } => f.write_str(name),
        TsRefClk::Other { name, value: Some(value) } => write!(f, "{name} {}", Text(value)),
    }
}

pub(super) fn media_clock(clock: &MediaClk<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match clock.clock {
        MediaClock::Sender => f.write_str("timestamps follow a clock of the sender's")?,
        MediaClock::Direct { offset, rate } => {
            f.write_str("timestamps follow the reference clock")?;
            offset.iter().try_for_each(|offset| write!(f, ", {offset} at its zero"))?;
            if let Some(rate) = rate {
                let denominator = rate.denominator.unwrap_or(1);
                write!(f, ", at a rate of {}/{denominator}", rate.numerator)?;
            }
        }
        MediaClock::Ieee1722(stream) => write!(f, "timestamps follow the IEEE 1722 stream {stream}")?,
        MediaClock::Other { name, value: None } => write!(f, "timestamps follow {name}")?,
        MediaClock::Other { name, value: Some(value) } => write!(f, "timestamps follow {name} {}", Text(value))?,
    }
    clock.id.iter().try_for_each(|id| write!(f, ", which is called {}", id.tag))
}
