//! Matches the formats of two sections, independent of their payload types.

use super::section::{difference, parameters};
use super::{ChangeKind, Changes, Codec};
use crate::attribute::{Attribute, Fmtp, Rtpmap};
use crate::line::{Kind, Line};
use crate::media::Section;
use crate::value::MediaLine;
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// The formats of a section.
struct Formats<'s> {
    /// The formats in order of preference, each once.
    list: Vec<Codec<'s>>,
    parameters: BTreeMap<&'s str, Fmtp<'s>>,
    feedback: Vec<Line<'s>>,
    /// Attributes of formats that are not in `m=`, or that cannot be parsed.
    rest: Vec<Line<'s>>,
}

/// The identity of the codec of a format: name, clock rate and channels; without a name the format itself.
type Identity = (String, u32, u32);

/// Returns whether a line is compared in this file.
pub(super) fn is_format_attribute(line: &Line<'_>) -> bool {
    line.attribute().is_some_and(|(name, _)| matches!(name, b"rtpmap" | b"fmtp" | b"rtcp-fb"))
}

impl<'s> Formats<'s> {
    fn of(section: &Section<'s>) -> Self {
        let (mut maps, mut parameters) = (BTreeMap::<u8, (Rtpmap<'s>, Line<'s>)>::new(), BTreeMap::new());
        let (mut feedback, mut rest, mut settings) = (Vec::new(), Vec::new(), Vec::new());
        for line in section.lines().filter(is_format_attribute) {
            match line.typed() {
                Some(Ok(Attribute::Rtpmap(map))) if !maps.contains_key(&map.payload_type) => {
                    maps.insert(map.payload_type, (map, line));
                }
                Some(Ok(Attribute::Fmtp(fmtp))) => settings.push((fmtp, line)),
                Some(Ok(Attribute::RtcpFb(_))) => feedback.push(line),
                _ => rest.push(line),
            }
        }
        let head = section.line(Kind::Media).and_then(|line| line.read::<MediaLine<'s>>().ok());
        let (mut seen, mut list) = (BTreeSet::new(), Vec::new());
        for format in head.iter().flat_map(MediaLine::formats) {
            if seen.insert(format) {
                let map = format.parse().ok().and_then(|number: u8| maps.remove(&number)).map(|(map, _)| map);
                list.push(Codec { format, map });
            }
        }
        for (fmtp, line) in settings {
            if seen.contains(fmtp.format) && !parameters.contains_key(fmtp.format) {
                parameters.insert(fmtp.format, fmtp);
            } else {
                rest.push(line);
            }
        }
        rest.extend(maps.into_values().map(|(_, line)| line));
        Self { list, parameters, feedback, rest }
    }

    fn parameters(&self, codec: &Codec<'s>) -> Option<&Fmtp<'s>> {
        self.parameters.get(codec.format)
    }

    /// Returns the parameters in normalized form, without the format.
    fn normalized(&self, codec: &Codec<'s>) -> Option<Vec<u8>> {
        let fmtp = self.parameters(codec)?;
        Some(parameters(&Fmtp { format: "", ..*fmtp }))
    }
}

fn identity(codec: &Codec<'_>) -> Identity {
    match codec.map {
        Some(map) => (map.encoding.to_ascii_lowercase(), map.clock_rate, map.channels.unwrap_or(1)),
        None => (codec.format.to_owned(), 0, 0),
    }
}

/// Reports the changes from the formats of one section to those of the other.
pub(super) fn compare<'s>(was: &Section<'s>, is: &Section<'s>, changes: &mut Changes<'s>) {
    let (before, after) = (Formats::of(was), Formats::of(is));
    let pairs = pairs(&before, &after);
    let kept: BTreeSet<&str> = pairs.iter().map(|(was, _)| was.format).collect();
    let found: BTreeSet<&str> = pairs.iter().map(|(_, is)| is.format).collect();
    for codec in before.list.iter().filter(|codec| !kept.contains(codec.format)) {
        changes.push(ChangeKind::CodecRemoved(*codec));
    }
    for codec in after.list.iter().filter(|codec| !found.contains(codec.format)) {
        changes.push(ChangeKind::CodecAdded(*codec));
    }
    for (was, is) in &pairs {
        if was.format != is.format {
            changes.push(ChangeKind::CodecRenumbered { was: *was, is: *is });
        }
        if before.normalized(was) != after.normalized(is) {
            let (was, now) = (before.parameters(was), after.parameters(is));
            let text = |fmtp: Option<&Fmtp<'s>>| fmtp.map(|fmtp| fmtp.text);
            changes.push(ChangeKind::CodecParameters { codec: *is, was: text(was), is: text(now) });
        }
    }
    order(&before, &pairs, changes);
    // Feedback of an added, removed or renumbered codec is part of that change, and is not reported separately.
    let same = pairs.iter().filter(|(was, is)| was.format == is.format);
    let stays: BTreeSet<u8> = same.filter_map(|(was, _)| was.format.parse().ok()).collect();
    let of_kept = |line: &&Line<'s>| match line.typed() {
        Some(Ok(Attribute::RtcpFb(feedback))) => feedback.payload_type.is_none_or(|number| stays.contains(&number)),
        _ => true,
    };
    let mut old: Vec<Line<'s>> = before.feedback.iter().filter(of_kept).copied().collect();
    let mut new: Vec<Line<'s>> = after.feedback.iter().filter(of_kept).copied().collect();
    old.extend(&before.rest);
    new.extend(&after.rest);
    let (gone, come) = difference(&old, &new);
    gone.into_iter().for_each(|line| changes.push(ChangeKind::Removed(line)));
    come.into_iter().for_each(|line| changes.push(ChangeKind::Added(line)));
}

/// Returns the pairs of equal formats, in the order of the second section.
fn pairs<'s>(before: &Formats<'s>, after: &Formats<'s>) -> Vec<(Codec<'s>, Codec<'s>)> {
    let mut numbered: BTreeMap<&str, Codec<'s>> = before.list.iter().map(|codec| (codec.format, *codec)).collect();
    let mut found: Vec<Option<Codec<'s>>> = Vec::with_capacity(after.list.len());
    // First: the same payload type and the same codec.
    for codec in &after.list {
        let same = numbered.get(codec.format).filter(|old| identity(old) == identity(codec)).copied();
        if same.is_some() {
            numbered.remove(codec.format);
        }
        found.push(same);
    }
    // Then: the same codec with the same parameters and another payload type.
    let mut loose: BTreeMap<_, Vec<Codec<'s>>> = BTreeMap::new();
    for codec in before.list.iter().rev().filter(|codec| numbered.contains_key(codec.format) && codec.map.is_some()) {
        loose.entry((identity(codec), before.normalized(codec))).or_default().push(*codec);
    }
    for (codec, found) in after.list.iter().zip(&mut found) {
        if found.is_none() && codec.map.is_some() {
            *found = loose.get_mut(&(identity(codec), after.normalized(codec))).and_then(Vec::pop);
        }
    }
    found.into_iter().zip(&after.list).filter_map(|(old, new)| Some((old?, *new))).collect()
}

/// Returns whether the formats of both sections are preferred in the same order.
fn order<'s>(before: &Formats<'s>, pairs: &[(Codec<'s>, Codec<'s>)], changes: &mut Changes<'s>) {
    let places: BTreeMap<&str, usize> =
        before.list.iter().zip(0..).map(|(codec, place)| (codec.format, place)).collect();
    let old = pairs.iter().map(|(was, _)| places.get(was.format));
    if !old.is_sorted_by(|a, b| a < b)
        && let Some((_, first)) = pairs.first()
    {
        changes.push(ChangeKind::CodecsReordered { first: *first });
    }
}
