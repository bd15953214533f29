//! The explanation as text and as JSON, schema `portolan.explain/1` (docs/json.md).
//!
//! `portolan-stun` explains the lines; this file adds the packets and the summary. A message in ChannelData, such as an
//! ICE check through a relay, is explained below it.

use super::frame::Frame;
use super::message::{Found, Message, Origin, Place, Transport};
use super::stream::claims_stun;
use core::fmt::Write;
use portolan_stun::demux::Protocol;
use portolan_stun::explain::{Item, Line, Remark, explain};
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "portolan.explain/1";

/// Whether a line breaks a rule: a decoder rejects it, or no sender may send it. Other remarks are no errors.
fn is_wrong(line: &Line<'_>) -> bool {
    line.remark
        .is_some_and(|remark| remark.is_wrong() || matches!(remark, Remark::AfterFingerprint | Remark::AfterData))
}

/// Returns the message in ChannelData, if its data begins like STUN.
fn inside<'a>(line: &Line<'a>) -> Option<&'a [u8]> {
    let Item::ApplicationData(data) = line.item else { return None };
    claims_stun(data).then_some(data)
}

/// Formats the lines of a message with `indent`, and returns whether one of them is wrong.
pub(crate) fn lines(bytes: &[u8], indent: &str) -> (String, bool) {
    let (mut text, mut wrong) = (String::new(), false);
    for line in explain(bytes) {
        wrong |= is_wrong(&line);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{line}");
        if let Some(inner_message) = inside(&line) {
            let (inner, is_wrong) = lines(inner_message, &format!("{indent}      "));
            text.push_str(&inner);
            wrong |= is_wrong;
        }
    }
    (text, wrong)
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

/// Formats the explanation as text, and returns whether a fault was found.
pub(super) fn human(found: &Found) -> (String, bool) {
    let (mut text, mut bad) = (String::new(), vec![]);
    for (message, number) in found.messages.iter().zip(1_u64..) {
        if number > 1 {
            text.push('\n');
        }
        if message.place.is_some() || found.messages.len() > 1 {
            let _ = writeln!(text, "{}", heading(message, number));
        }
        let _ = match &message.origin {
            Some(Origin::Heading(heading)) => writeln!(text, "  tcpdump: {heading}"),
            Some(Origin::Frame(frame)) => writeln!(text, "  {}", frame.sentence()),
            None => Ok(()),
        };
        if write_message(message, &mut text) {
            bad.push(message.place.map_or(number, |place| place.packet));
        }
    }
    let _ = writeln!(text, "\n{}", summary(found, &bad));
    (text, !bad.is_empty())
}

/// Writes one message, and returns whether it is wrong.
fn write_message(message: &Message, text: &mut String) -> bool {
    let (lines, wrong) = lines(&message.bytes, "");
    text.push_str(&lines);
    wrong && !is_cut(message)
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

fn summary(found: &Found, bad: &[u64]) -> String {
    let count = found.messages.len();
    let messages = format!("{count} message{}", if count == 1 { "" } else { "s" });
    let among = match (found.packets, found.skipped) {
        (0, _) => String::new(),
        (1, 0) => " in 1 packet".to_owned(),
        (packets, 0) => format!(" in {packets} packets"),
        (packets, skipped) => format!(" in {packets} packets, {skipped} of which could not be read"),
    };
    let others = found.messages.iter().filter(|message| kind(&message.bytes) == OTHER).count();
    match bad {
        [] if others == 0 => format!("{messages}{among}: nothing is wrong."),
        [] if others == count => format!("{messages}{among}: neither STUN nor ChannelData."),
        [] => format!("{messages}{among}: nothing is wrong; {others} neither STUN nor ChannelData."),
        bad => {
            let what = if found.packets == 0 { "message" } else { "packet" };
            let each: Vec<String> = bad.iter().map(ToString::to_string).collect();
            let which = if count == 1 { String::new() } else { format!(" in {what} {}", each.join(", ")) };
            format!("{messages}{among}: something is wrong{which}, see the marks \"!\".")
        }
    }
}

const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

/// Formats a time in nanoseconds since 1970 as UTC, to the microsecond (RFC 3339).
fn utc(time: u64) -> String {
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

/// A line of `portolan-stun`, with whether it is wrong.
#[derive(Serialize, Deserialize)]
pub(crate) struct JsonLine {
    at: usize,
    bytes: String,
    name: String,
    meaning: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rfc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    #[serde(default)]
    wrong: bool,
}

/// Returns the lines of a message for JSON.
pub(crate) fn json_lines(bytes: &[u8]) -> Vec<JsonLine> {
    // The JSON of `portolan-stun` is valid: its tests prove that.
    let read = |line: Line<'_>| {
        let json: Option<JsonLine> = serde_json::from_str(&line.json().to_string()).ok();
        json.map(|json| JsonLine { wrong: is_wrong(&line), ..json })
    };
    explain(bytes).filter_map(read).collect()
}

/// Formats the explanation as one JSON object, and returns whether a fault was found.
pub(super) fn json(found: &Found) -> (String, bool) {
    let messages: Vec<JsonMessage> = found.messages.iter().map(json_message).collect();
    let wrong = messages.iter().any(|message| message.wrong);
    let is_capture = found.packets > 0;
    let document = Document {
        schema: SCHEMA,
        source: found.source,
        packets: is_capture.then_some(found.packets),
        skipped: is_capture.then_some(found.skipped),
        messages,
    };
    // Serialization cannot fail: every map key is text.
    (serde_json::to_string(&document).unwrap_or_default() + "\n", wrong)
}

fn json_message(message: &Message) -> JsonMessage {
    let lines = json_lines(&message.bytes);
    let inside = explain(&message.bytes).find_map(|line| inside(&line)).map(json_lines).unwrap_or_default();
    let channel = explain(&message.bytes)
        .find_map(|line| if let Item::ChannelNumber(number) = line.item { Some(number) } else { None });
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
        wrong: !is_cut(message) && lines.iter().chain(&inside).any(|line| line.wrong),
        lines,
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
