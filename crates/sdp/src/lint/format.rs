//! Formats of an `m=` line and the attributes that refer to them; header extensions of a media description.

use super::part::{Entry, Head, Part, pieces};
use super::{Report, Rule};
use crate::attribute::{Attribute, Fmtp};
use crate::offer_answer::of_static;
use crate::work::look;
use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Range;

/// Checks the formats and the header extensions of a part.
pub(super) fn check<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    extensions(part, report);
    let Some(head) = part.head else { return };
    let mut formats = Formats::default();
    for (at, format) in head.formats() {
        if !formats.add(format) {
            report.add(part, Rule::DuplicateFormat, head.line, at..at + format.len());
        }
    }
    let mut lines = Lines::default();
    for entry in &part.entries {
        lines.refer(part, report, &formats, entry);
    }
    if part.rtp().is_some() {
        lines.check_formats(part, report, head);
        lines.check_retransmissions(part, report, &formats);
    }
}

/// The formats of an `m=` line: payload types, and all formats as text.
#[derive(Default)]
struct Formats<'s> {
    payloads: BTreeSet<u8>,
    texts: BTreeSet<&'s [u8]>,
}

impl<'s> Formats<'s> {
    /// Adds a format; returns whether it is new.
    fn add(&mut self, format: &'s [u8]) -> bool {
        look(format.len());
        self.payloads.extend(payload(format));
        self.texts.insert(format)
    }

    fn has(&self, format: &Fmtp<'s>) -> bool {
        format.payload_type().is_some_and(|payload| self.payloads.contains(&payload))
            || self.texts.contains(format.format.as_bytes())
    }
}

fn payload(format: &[u8]) -> Option<u8> {
    core::str::from_utf8(format).ok()?.parse().ok().filter(|payload| *payload < 128)
}

/// The lines of a media description that refer to a format.
#[derive(Default)]
struct Lines<'p, 's> {
    /// For each payload type the line with its first `a=rtpmap`.
    maps: BTreeMap<u8, &'p Entry<'s>>,
    /// For each format the line with its first `a=fmtp`.
    parameters: BTreeMap<&'s str, &'p Entry<'s>>,
    has_feedback: bool,
}

impl<'p, 's> Lines<'p, 's> {
    /// Records a line, and checks that `m=` lists its format.
    fn refer(&mut self, part: &Part<'s>, report: &mut Report<'s>, formats: &Formats<'s>, entry: &'p Entry<'s>) {
        let (payload, unknown) = match entry.attribute {
            Some(Attribute::Rtpmap(map)) => {
                if let Some(other) = self.maps.get(&map.payload_type) {
                    let other = other.line.index() + 1;
                    report.add_beside(part, Rule::DuplicateRtpmap, entry.line, entry.word_mark(0), Some(other));
                } else {
                    self.maps.insert(map.payload_type, entry);
                }
                (Some(map.payload_type), Rule::RtpmapUnknownFormat)
            }
            Some(Attribute::Fmtp(parameters)) => {
                look(parameters.format.len());
                if let Some(other) = self.parameters.get(parameters.format) {
                    let other = other.line.index() + 1;
                    report.add_beside(part, Rule::DuplicateFmtp, entry.line, entry.word_mark(0), Some(other));
                } else {
                    self.parameters.insert(parameters.format, entry);
                }
                if !formats.has(&parameters) {
                    report.add(part, Rule::FmtpUnknownFormat, entry.line, entry.word_mark(0));
                }
                return;
            }
            Some(Attribute::RtcpFb(_)) => {
                if !self.has_feedback && part.rtp().is_some_and(|head| !head.value.protocol.ends_with('F')) {
                    report.add(part, Rule::FeedbackProfile, entry.line, entry.name_mark());
                }
                self.has_feedback = true;
                return;
            }
            Some(Attribute::ImageAttr(images)) => (images.payload_type, Rule::ImageattrUnknownFormat),
            _ => return,
        };
        if payload.is_some_and(|payload| !formats.payloads.contains(&payload)) {
            report.add(part, unknown, entry.line, entry.word_mark(0));
        }
    }

    /// Checks each format of the `m=` line.
    fn check_formats(&self, part: &Part<'s>, report: &mut Report<'s>, head: Head<'s>) {
        let is_muxed = part.has("rtcp-mux");
        let needs_map = part.is_used() && !part.has_unreadable("rtpmap");
        for (at, format) in head.formats() {
            let mark = at..at + format.len();
            let Some(payload) = payload(format) else {
                report.add(part, Rule::NoPayloadType, head.line, mark);
                continue;
            };
            if is_muxed && (64..=95).contains(&payload) {
                report.add(part, Rule::RtcpPayloadType, head.line, mark.clone());
            }
            // RFC 3551 §6 reserves or assigns each number below 20.
            if needs_map && payload >= 20 && of_static(payload).is_none() && !self.maps.contains_key(&payload) {
                report.add(part, Rule::NoRtpmap, head.line, mark);
            }
        }
    }

    /// Checks that each retransmission format names a format of the `m=` line.
    fn check_retransmissions(&self, part: &Part<'s>, report: &mut Report<'s>, formats: &Formats<'s>) {
        let is_complete = !part.has_unreadable("fmtp");
        for (payload, entry) in &self.maps {
            let Some(Attribute::Rtpmap(map)) = entry.attribute else { continue };
            if !map.encoding.eq_ignore_ascii_case("rtx") || !formats.payloads.contains(payload) {
                continue;
            }
            let Some(line) = self.fmtp(*payload) else {
                if is_complete {
                    report.add(part, Rule::NoApt, entry.line, entry.word_mark(0));
                }
                continue;
            };
            let Some(Attribute::Fmtp(parameters)) = line.attribute else { continue };
            match parameters.parameter("apt") {
                None => report.add(part, Rule::NoApt, line.line, line.word_mark(0)),
                Some(apt) if self::payload(apt).is_some_and(|apt| formats.payloads.contains(&apt)) => {}
                Some(_) => report.add(part, Rule::AptUnknownFormat, line.line, apt_mark(line)),
            }
        }
    }

    fn fmtp(&self, payload: u8) -> Option<&'p Entry<'s>> {
        let mut digits = [0_u8; 3];
        self.parameters.get(decimal(payload, &mut digits)).copied()
    }
}

/// Writes a payload type in digits.
fn decimal(payload: u8, digits: &mut [u8; 3]) -> &str {
    *digits = [b'0' + payload / 100, b'0' + payload / 10 % 10, b'0' + payload % 10];
    let leading = if payload >= 100 { 0 } else { 1 + usize::from(payload < 10) };
    core::str::from_utf8(digits.get(leading..).unwrap_or_default()).unwrap_or_default()
}

fn apt_mark(entry: &Entry<'_>) -> Range<usize> {
    let text = entry.line.text();
    let mut found = pieces(text, 0, |byte| matches!(byte, b' ' | b';'));
    let apt = found.find(|(_, piece)| piece.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"apt")));
    apt.map_or(entry.word_mark(0), |(at, piece)| at..at + piece.len())
}

/// Checks the header extensions of one part by themselves.
fn extensions<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    let top = part.section.session().top();
    let mut ids: BTreeMap<u16, usize> = BTreeMap::new();
    let mut uris: BTreeMap<(&str, &[u8]), usize> = BTreeMap::new();
    for entry in &part.entries {
        let Some(Attribute::Extmap(extension)) = entry.attribute else { continue };
        let line = entry.line.index() + 1;
        let is_choice = (4096..=4351).contains(&extension.id);
        if extension.id > 256 && !is_choice {
            report.add(part, Rule::ExtensionRange, entry.line, entry.word_mark(0));
        }
        let other = *ids.entry(extension.id).or_insert(line);
        if other != line && !is_choice {
            report.add_beside(part, Rule::ExtensionIdTwice, entry.line, entry.word_mark(0), Some(other));
        }
        look(extension.uri.len());
        let key = (extension.uri, extension.attributes.unwrap_or_default());
        let before = *uris.entry(key).or_insert(line);
        // The same identifier is already reported.
        if before != line && before != other && !is_choice {
            report.add_beside(part, Rule::ExtensionUriTwice, entry.line, entry.word_mark(0), Some(before));
        }
    }
    if let (Some(_), false, Some(line)) = (part.media, ids.is_empty(), top.attribute(b"extmap")) {
        let first = part.first("extmap").filter(|_| line.typed().is_some_and(|shared| shared.is_ok()));
        if let Some(entry) = first {
            let other = Some(line.index() + 1);
            report.add_beside(part, Rule::ExtensionLevels, entry.line, entry.name_mark(), other);
        }
    }
}
