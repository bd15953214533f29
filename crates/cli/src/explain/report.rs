//! The explanation as text and as JSON, schema `portolan.explain/1` (docs/json.md).
//!
//! [`dissect`](crate::dissect) explains the lines; this file adds the packets and the summary.

use super::frame::Frame;
use super::message::{Found, Message, Origin, Place, Transport};
use crate::dissect::{JsonLine, claims_stun, inside, is_wrong, json_lines, lines};
use core::fmt::Write;
use portolan_stun::HEADER_LEN;
use portolan_stun::demux::Protocol;
use portolan_stun::explain::{Item, explain};
use serde::Serialize;

const SCHEMA: &str = "portolan.explain/1";

/// Returns the number of a channel, and the STUN message in its data; `None` if the bytes are not ChannelData.
pub(super) fn channel(bytes: &[u8]) -> Option<(u16, Option<&[u8]>)> {
    let mut lines = explain(bytes);
    let number =
        lines.find_map(|line| if let Item::ChannelNumber(number) = line.item { Some(number) } else { None })?;
    Some((number, lines.find_map(|line| inside(&line))))
}

/// Whether a message, or the message in its ChannelData, breaks a rule. A message that the capture has cut off breaks
/// none.
pub(super) fn is_wrong_message(message: &Message) -> bool {
    fn any(bytes: &[u8]) -> bool {
        explain(bytes).any(|line| is_wrong(&line) || inside(&line).is_some_and(any))
    }
    !is_cut(message) && any(&message.bytes)
}

/// Whether a message is STUN or ChannelData, and not only bytes with the same first byte. STUN without a cookie has a
/// length that fits (RFC 3489 §11.1), or ends before the cookie.
pub(super) fn is_recognized(message: &Message) -> bool {
    let bytes = message.bytes.as_slice();
    match explain(bytes).protocol() {
        Some(Protocol::Stun) => match *bytes {
            [_, _, l0, l1, _, _, _, _, ..] if !claims_stun(bytes) => {
                usize::from(u16::from_be_bytes([l0, l1])) + HEADER_LEN == bytes.len()
            }
            _ => true,
        },
        Some(Protocol::TurnChannel) => true,
        _ => false,
    }
}

/// Returns the kind of message that the bytes claim to be.
fn kind(bytes: &[u8]) -> &'static str {
    match explain(bytes).protocol() {
        Some(Protocol::Stun) => "stun",
        Some(Protocol::TurnChannel) => "channel-data",
        _ => OTHER,
    }
}

const OTHER: &str = "other";

/// The explanation as text, message by message.
#[derive(Debug, Default)]
pub(super) struct Human {
    /// Whether each line is followed by its fields.
    is_deep: bool,
    /// Whether a message without a packet has a heading.
    has_headings: bool,
    count: u64,
    /// The number of messages that are neither STUN nor ChannelData.
    others: u64,
    /// The packets, or the messages, with an error.
    bad: Vec<u64>,
}

impl Human {
    pub(super) fn new(is_deep: bool, has_headings: bool) -> Self {
        Self { is_deep, has_headings, ..Self::default() }
    }

    /// Formats the next message.
    pub(super) fn message(&mut self, message: &Message) -> String {
        self.count += 1;
        let mut text = if self.count > 1 { "\n".to_owned() } else { String::new() };
        if message.place.is_some() || self.has_headings {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", heading(message, self.count));
        }
        let _ = match &message.origin {
            Some(Origin::Heading(heading)) => writeln!(text, "  tcpdump: {heading}"),
            Some(Origin::Frame(frame)) => writeln!(text, "  {}", frame.sentence()),
            None => Ok(()),
        };
        let (lines, wrong) = lines(&message.bytes, "", self.is_deep);
        text.push_str(&lines);
        if wrong && !is_cut(message) {
            self.bad.push(message.place.map_or(self.count, |place| place.packet));
        }
        self.others += u64::from(kind(&message.bytes) == OTHER);
        text
    }

    /// Formats the last line. `found` has the counts of packets.
    pub(super) fn end(&self, found: &Found) -> String {
        let Self { count, others, .. } = *self;
        let messages = format!("{count} message{}", if count == 1 { "" } else { "s" });
        let among = match (found.packets, found.skipped) {
            (0, _) => String::new(),
            (1, 0) => " in 1 packet".to_owned(),
            (packets, 0) => format!(" in {packets} packets"),
            (packets, skipped) => format!(" in {packets} packets, {skipped} of which could not be read"),
        };
        let sentence = match self.bad.as_slice() {
            [] if others == 0 => "nothing is wrong.".to_owned(),
            [] if others == count => "neither STUN nor ChannelData.".to_owned(),
            [] => format!("nothing is wrong; {others} neither STUN nor ChannelData."),
            bad => {
                let what = if found.packets == 0 { "message" } else { "packet" };
                let each: Vec<String> = bad.iter().map(ToString::to_string).collect();
                let which = if count == 1 { String::new() } else { format!(" in {what} {}", each.join(", ")) };
                format!("something is wrong{which}, see the marks \"!\".")
            }
        };
        format!("\n{messages}{among}: {sentence}\n")
    }
}

fn is_cut(message: &Message) -> bool {
    message.place.is_some_and(|place| place.is_cut)
}

fn heading(message: &Message, number: u64) -> String {
    let length = message.bytes.len();
    let Some(place) = message.place else { return format!("Message {number}, {length} bytes") };
    let time = place.time.map(|time| format!(", {}", utc(time))).unwrap_or_default();
    let Place { packet, flow, is_cut, .. } = place;
    let cut = if is_cut { ", cut off by the capture" } else { "" };
    format!(
        "Packet {packet}{time}, {} {} > {}, {length} bytes{cut}",
        transport_name(flow.transport),
        flow.from,
        flow.to
    )
}

pub(super) const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

/// Formats a time in nanoseconds since 1970 as UTC, to the microsecond (RFC 3339).
pub(super) fn utc(time: u64) -> String {
    let (seconds, micros) = (time / 1_000_000_000, time / 1_000 % 1_000_000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Years begin in March here, so that the leap day is the last day of a year.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    messages: Vec<JsonMessage>,
}

#[derive(Serialize)]
struct JsonMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heading: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_padding: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_check: Option<&'static str>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    cut: bool,
    kind: &'static str,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u16>,
    wrong: bool,
    lines: Vec<JsonLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<JsonLine>,
}

/// Formats the explanation as one JSON object.
pub(super) fn json(found: &Found, is_deep: bool) -> String {
    let messages: Vec<JsonMessage> = found.messages.iter().map(|message| json_message(message, is_deep)).collect();
    let is_capture = found.packets > 0;
    let document = Document {
        schema: SCHEMA,
        source: found.source,
        packets: is_capture.then_some(found.packets),
        skipped: is_capture.then_some(found.skipped),
        messages,
    };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

fn json_message(message: &Message, is_deep: bool) -> JsonMessage {
    let (channel, inner) = channel(&message.bytes).unzip();
    let inside = inner.flatten().map(|inner| json_lines(inner, is_deep)).unwrap_or_default();
    let place = message.place;
    let (heading, frame) = match &message.origin {
        Some(Origin::Heading(heading)) => (Some(heading.to_string()), None),
        Some(Origin::Frame(frame)) => (None, Some(*frame)),
        None => (None, None),
    };
    JsonMessage {
        packet: place.map(|place| place.packet),
        time: place.and_then(|place| place.time).map(utc),
        transport: place.map(|place| transport_name(place.flow.transport)),
        from: place.map(|place| place.flow.from.to_string()),
        to: place.map(|place| place.flow.to.to_string()),
        heading,
        frame: frame.map(Frame::word),
        frame_padding: frame.and_then(Frame::padding),
        frame_check: frame.and_then(Frame::check),
        cut: is_cut(message),
        kind: kind(&message.bytes),
        length: message.bytes.len(),
        channel,
        wrong: is_wrong_message(message),
        lines: json_lines(&message.bytes, is_deep),
        inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_its_date() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(utc(seconds * 1_000_000_000), date);
        }
        assert_eq!(utc(1_234_567_890_123_456_789), "2009-02-13T23:31:30.123456Z");
        assert!(utc(u64::MAX).starts_with("2554-07-21T23:34:33."));
    }
}
