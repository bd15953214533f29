//! Groups of media descriptions (RFC 5888), and what the sections of a bundle share (RFC 9143).

use super::part::{Entry, Part, View, words};
use super::{Report, Rule};
use crate::attribute::{Attribute, Extmap, Fmtp, Parameter, Rtpmap};
use crate::line::{Kind, Line};
use crate::offer_answer::of_static;
use crate::value::Connection;
use crate::work::look;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Checks the names of the sections, the groups and the bundles.
pub(super) fn check<'s>(view: &View<'s>, report: &mut Report<'s>) {
    names(view, report);
    groups(view, report);
    let mut shared = Shared::default();
    let mut tracks: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for (index, part) in view.sections.iter().enumerate().filter(|(_, part)| part.head.is_some() && part.is_used()) {
        msids(part, index, &mut tracks, report);
        let (bundle, bundle_only) = (view.bundle(part), part.first("bundle-only"));
        if let Some(bundle) = bundle {
            shared.add(view, part, bundle, report);
        }
        if let Some(entry) = bundle_only.filter(|_| bundle.is_none() && !part.has_unreadable("mid")) {
            report.add(part, Rule::BundleOnlyAlone, entry.line, entry.name_mark());
        } else if let Some(entry) = bundle_only.filter(|_| part.head.is_some_and(|head| head.value.port != 0)) {
            report.add(part, Rule::BundleOnlyPort, entry.line, entry.name_mark());
        }
    }
}

/// One stream and track belongs to one section.
fn msids<'s>(
    part: &Part<'s>,
    index: usize,
    tracks: &mut BTreeMap<(&'s str, &'s str), (usize, usize)>,
    report: &mut Report<'s>,
) {
    for entry in &part.entries {
        let Some(Attribute::Msid(msid)) = entry.attribute else { continue };
        let Some(track) = msid.track else { continue };
        look(msid.id.len() + track.len());
        let (first, line) = *tracks.entry((msid.id, track)).or_insert((index, entry.line.index() + 1));
        if first != index {
            report.add_beside(part, Rule::DuplicateMsid, entry.line, entry.word_mark(1), Some(line));
        }
    }
}

fn names<'s>(view: &View<'s>, report: &mut Report<'s>) {
    let has_groups = view.top.has("group");
    for (index, part) in view.sections.iter().enumerate() {
        let first = part.mid.and_then(|mid| view.named.get(mid)).copied().filter(|first| *first != index);
        let first = first.and_then(|first| view.sections.get(first)).and_then(|part| part.first("mid"));
        if let (Some(first), Some(entry)) = (first, part.first("mid")) {
            let other = Some(first.line.index() + 1);
            report.add_beside(part, Rule::DuplicateMid, entry.line, entry.word_mark(0), other);
        }
        if let (Some(head), true, false) = (part.head, has_groups && part.is_used(), part.has("mid")) {
            let mark = words(&head.line).next().map_or(0..0, |(at, word)| at..at + word.len());
            report.add(part, Rule::NoMid, head.line, mark);
        }
    }
}

fn groups<'s>(view: &View<'s>, report: &mut Report<'s>) {
    // A name may be that of a section that cannot be parsed.
    let is_complete = view.sections.iter().all(|part| part.head.is_some() && !part.has_unreadable("mid"));
    let mut bundled: BTreeMap<usize, usize> = BTreeMap::new();
    for entry in &view.top.entries {
        let Some(Attribute::Group(group)) = entry.attribute else { continue };
        let mut used: BTreeSet<&[u8]> = BTreeSet::new();
        for (nth, (at, name)) in words(&entry.line).skip(1).enumerate() {
            let mark = at..at + name.len();
            let add = |report: &mut Report<'s>, rule| report.add(&view.top, rule, entry.line, mark.clone());
            if !used.insert(name) {
                add(report, Rule::GroupMidTwice);
                continue;
            }
            let index = core::str::from_utf8(name).ok().and_then(|name| view.named.get(name)).copied();
            let Some((index, part)) = index.and_then(|index| Some((index, view.sections.get(index)?))) else {
                if is_complete {
                    add(report, Rule::GroupUnknownMid);
                }
                continue;
            };
            if part.head.is_some() && !part.is_used() {
                add(report, Rule::GroupRemovedMedia);
            } else if group.is_bundle() {
                let line = entry.line.index() + 1;
                let other = *bundled.entry(index).or_insert(line);
                if other != line {
                    report.add_beside(&view.top, Rule::TwoBundles, entry.line, mark.clone(), Some(other));
                }
                let has_port = part.head.is_none_or(|head| head.value.port != 0);
                if nth == 0 && part.has("bundle-only") && !has_port {
                    add(report, Rule::BundleOnlyFirst);
                }
            }
        }
    }
}

/// What the sections of each bundle have in common. The first part of each key is the number of the bundle, and a value
/// has the number of the line.
#[derive(Default)]
struct Shared<'s> {
    protocols: BTreeMap<usize, (&'s str, usize)>,
    address_types: BTreeMap<usize, (&'s str, usize)>,
    codecs: BTreeMap<(usize, u8), Codec<'s>>,
    extension_ids: BTreeMap<(usize, u16), (Identity<'s>, usize)>,
    extension_uris: BTreeMap<(usize, Identity<'s>), (u16, usize)>,
    /// For each source its section and its line.
    sources: BTreeMap<(usize, u32), (usize, usize)>,
}

/// The URI and the attributes of a header extension.
type Identity<'s> = (&'s str, &'s [u8]);

/// A codec in a bundle.
struct Codec<'s> {
    kind: &'s str,
    encoding: &'s str,
    clock_rate: u32,
    channels: u32,
    parameters: Vec<Parameter<'s>>,
    line: usize,
}

impl<'s> Shared<'s> {
    /// Compares a section with the sections of its bundle before it.
    fn add(&mut self, view: &View<'s>, part: &Part<'s>, bundle: usize, report: &mut Report<'s>) {
        self.address_type(view, part, bundle, report);
        let Some(head) = part.rtp() else { return };
        let line = head.line.index() + 1;
        let (protocol, other) = *self.protocols.entry(bundle).or_insert((head.value.protocol, line));
        if protocol != head.value.protocol {
            report.add_beside(part, Rule::BundleProtocol, head.line, head.protocol(), Some(other));
        }
        let is_bundle_only = part.has("bundle-only") && head.value.port == 0;
        if !is_bundle_only && !view.has(part, "rtcp-mux") {
            report.add(part, Rule::BundleNoRtcpMux, head.line, head.protocol());
        }
        let is_mid = |entry: &Entry<'_>| matches!(entry.attribute, Some(Attribute::Extmap(extension)) if extension.uri == MID_EXTENSION);
        let extensions = || view.top.entries.iter().chain(&part.entries);
        if !extensions().any(is_mid) && !part.has_unreadable("extmap") {
            report.add(part, Rule::BundleNoMidExtension, head.line, head.protocol());
        }
        self.codecs(part, bundle, report);
        for entry in &part.entries {
            match entry.attribute {
                Some(Attribute::Extmap(extension)) => self.extension(part, bundle, entry, &extension, report),
                Some(Attribute::Ssrc(source)) => {
                    let (section, line) = (part.section.range().start, entry.line.index() + 1);
                    let (other, first) = *self.sources.entry((bundle, source.id)).or_insert((section, line));
                    if other != section {
                        report.add_beside(part, Rule::BundleSource, entry.line, entry.word_mark(0), Some(first));
                    }
                }
                _ => {}
            }
        }
    }

    fn address_type(&mut self, view: &View<'s>, part: &Part<'s>, bundle: usize, report: &mut Report<'s>) {
        let own = part.section.line(Kind::Connection);
        let Some(line) = own.or_else(|| view.top.section.line(Kind::Connection)) else { return };
        let Ok(connection) = line.read::<Connection<'s>>() else { return };
        let (kind, other) = *self.address_types.entry(bundle).or_insert((connection.address_type, line.index() + 1));
        if kind != connection.address_type {
            let mark = words(&line).nth(1).map_or(0..0, |(at, word)| at..at + word.len());
            report.add_beside(part, Rule::BundleAddressType, line, mark, Some(other));
        }
    }

    /// Compares the codecs of the payload types (RFC 9143 §9.1.1).
    fn codecs(&mut self, part: &Part<'s>, bundle: usize, report: &mut Report<'s>) {
        let Some(head) = part.head else { return };
        let mut maps: BTreeMap<u8, (Rtpmap<'s>, Line<'s>)> = BTreeMap::new();
        let mut parameters: BTreeMap<u8, Fmtp<'s>> = BTreeMap::new();
        for entry in &part.entries {
            match entry.attribute {
                Some(Attribute::Rtpmap(map)) => drop(maps.entry(map.payload_type).or_insert((map, entry.line))),
                Some(Attribute::Fmtp(found)) => {
                    if let Some(payload) = found.payload_type() {
                        parameters.entry(payload).or_insert(found);
                    }
                }
                _ => {}
            }
        }
        let mut seen = BTreeSet::new();
        for (at, format) in head.formats() {
            let Some(payload) = core::str::from_utf8(format).ok().and_then(|format| format.parse::<u8>().ok()) else {
                continue;
            };
            let map = maps.get(&payload);
            let known = map.map(|(map, _)| (map.encoding, map.clock_rate, map.channels.unwrap_or(1)));
            let Some((encoding, clock_rate, channels)) = known.or_else(|| of_static(payload)) else { continue };
            if !seen.insert(payload) {
                continue;
            }
            let mut found: Vec<Parameter<'s>> =
                parameters.get(&payload).map_or(Vec::new(), |all| all.parameters().collect());
            found.sort_unstable_by_key(|parameter| (parameter.name, parameter.value));
            let line = map.map_or(head.line, |(_, line)| *line);
            let codec = Codec {
                kind: head.value.media,
                encoding,
                clock_rate,
                channels,
                parameters: found,
                line: line.index() + 1,
            };
            let mark = match map {
                Some((_, line)) => words(line).next().map_or(0..0, |(at, word)| at..at + word.len()),
                None => at..at + format.len(),
            };
            match self.codecs.get(&(bundle, payload)) {
                None => drop(self.codecs.insert((bundle, payload), codec)),
                Some(first) => {
                    let rule = if !first.is_same_codec(&codec) {
                        Rule::BundleCodec
                    } else if first.parameters != codec.parameters {
                        Rule::BundleParameters
                    } else {
                        continue;
                    };
                    report.add_beside(part, rule, line, mark, Some(first.line));
                }
            }
        }
    }

    /// Compares a header extension (RFC 9143 §12, RFC 8285 §7). An identifier from 4096 on is a choice for the answer.
    fn extension(
        &mut self,
        part: &Part<'s>,
        bundle: usize,
        entry: &Entry<'s>,
        extension: &Extmap<'s>,
        report: &mut Report<'s>,
    ) {
        if extension.id >= 4096 {
            return;
        }
        look(extension.uri.len());
        let (section, line) = (part.section.range(), entry.line.index() + 1);
        let identity = (extension.uri, extension.attributes.unwrap_or_default());
        let is_elsewhere = |line: usize| !section.contains(&(line - 1));
        let (known, other) = *self.extension_ids.entry((bundle, extension.id)).or_insert((identity, line));
        if known != identity && is_elsewhere(other) {
            report.add_beside(part, Rule::BundleExtensionId, entry.line, entry.word_mark(0), Some(other));
        }
        let (id, other) = *self.extension_uris.entry((bundle, identity)).or_insert((extension.id, line));
        if id != extension.id && is_elsewhere(other) {
            report.add_beside(part, Rule::BundleExtensionUri, entry.line, entry.word_mark(0), Some(other));
        }
    }
}

impl Codec<'_> {
    fn is_same_codec(&self, other: &Self) -> bool {
        let encodings = self.encoding.eq_ignore_ascii_case(other.encoding);
        encodings && (self.kind, self.clock_rate, self.channels) == (other.kind, other.clock_rate, other.channels)
    }
}

/// RFC 9143 §15.2.
const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
