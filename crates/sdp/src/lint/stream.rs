//! The encodings and the sources of a media description: `rid`, `simulcast`, `ssrc`, `msid`.

use super::part::{Entry, Part, pieces, words};
use super::{Report, Rule};
use crate::attribute::{Attribute, Rid, RidDirection};
use crate::work::look;
use alloc::collections::{BTreeMap, BTreeSet};

/// Checks the streams of a part.
pub(super) fn check<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    if part.head.is_none() {
        return;
    }
    encodings(part, report);
    sources(part, report);
    let mut first: Option<(Option<&str>, usize)> = None;
    for entry in &part.entries {
        let Some(Attribute::Msid(msid)) = entry.attribute else { continue };
        let (track, other) = *first.get_or_insert((msid.track, entry.line.index() + 1));
        if track != msid.track {
            report.add_beside(part, Rule::MsidTrackDiffers, entry.line, entry.word_mark(1), Some(other));
        }
    }
}

/// The `a=rid` lines by name, each with the number of its line.
type Rids<'s> = BTreeMap<&'s str, (Rid<'s>, usize)>;

fn encodings<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    let mut rids: Rids<'s> = BTreeMap::new();
    for entry in &part.entries {
        let Some(Attribute::Rid(rid)) = entry.attribute else { continue };
        look(rid.id.len());
        let line = entry.line.index() + 1;
        match rids.get(rid.id) {
            Some((_, other)) => {
                report.add_beside(part, Rule::DuplicateRid, entry.line, entry.word_mark(0), Some(*other));
            }
            None => drop(rids.insert(rid.id, (rid, line))),
        }
    }
    let formats: BTreeSet<&[u8]> = part.head.iter().flat_map(|head| head.formats()).map(|(_, format)| format).collect();
    // A name may be that of a line that cannot be parsed.
    let is_complete = !part.has_unreadable("rid");
    for entry in &part.entries {
        match entry.attribute {
            Some(Attribute::Rid(_)) => restrictions(part, report, entry, &formats, is_complete.then_some(&rids)),
            Some(Attribute::Simulcast(_)) => simulcast(part, report, entry, &rids, is_complete),
            _ => {}
        }
    }
}

/// Checks the payload types and the dependencies of an `a=rid`.
fn restrictions<'s>(
    part: &Part<'s>,
    report: &mut Report<'s>,
    entry: &Entry<'s>,
    formats: &BTreeSet<&[u8]>,
    rids: Option<&Rids<'s>>,
) {
    let value = entry.line.text();
    // The restrictions begin after the name and the direction.
    let Some((start, _)) = words(&entry.line).nth(2) else { return };
    for (at, restriction) in pieces(value.get(start..).unwrap_or_default(), start, |byte| matches!(byte, b';' | b' ')) {
        let (skipped, rule) = match restriction {
            [b'p', b't', b'=', ..] => (3, Rule::RidUnknownFormat),
            [b'd', b'e', b'p', b'e', b'n', b'd', b'=', ..] => (7, Rule::RidUnknownDependency),
            _ => continue,
        };
        for (at, name) in pieces(restriction.get(skipped..).unwrap_or_default(), at + skipped, |byte| byte == b',') {
            let is_known = match (rule, rids) {
                (Rule::RidUnknownFormat, _) => formats.contains(name),
                (_, Some(rids)) => core::str::from_utf8(name).is_ok_and(|name| rids.contains_key(name)),
                (_, None) => true,
            };
            if !is_known {
                report.add(part, rule, entry.line, at..at + name.len());
            }
        }
    }
}

/// Checks the names of an `a=simulcast`.
fn simulcast<'s>(part: &Part<'s>, report: &mut Report<'s>, entry: &Entry<'s>, rids: &Rids<'s>, is_complete: bool) {
    let mut used: BTreeSet<&[u8]> = BTreeSet::new();
    let mut direction = None;
    // A direction and its list take turns; the value is already checked.
    for (start, word) in words(&entry.line) {
        let Some(way) = direction.take() else {
            direction = Some(if word == b"send" { RidDirection::Send } else { RidDirection::Recv });
            continue;
        };
        let (start, list) = word.strip_prefix(b"rid=").map_or((start, word), |list| (start + 4, list));
        for (at, name) in pieces(list, start, |byte| matches!(byte, b';' | b',' | b'~')) {
            let mark = at..at + name.len();
            if !used.insert(name) {
                report.add(part, Rule::SimulcastRidTwice, entry.line, mark.clone());
            }
            match core::str::from_utf8(name).ok().and_then(|name| rids.get(name)) {
                None if is_complete => report.add(part, Rule::SimulcastUnknownRid, entry.line, mark),
                Some((rid, line)) if rid.direction != way => {
                    report.add_beside(part, Rule::SimulcastRidDirection, entry.line, mark, Some(*line));
                }
                Some(_) | None => {}
            }
        }
    }
}

fn sources<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    // For each source its first line, and the line of its `cname`.
    let mut sources: BTreeMap<u32, (&Entry<'s>, Option<usize>)> = BTreeMap::new();
    for entry in &part.entries {
        let Some(Attribute::Ssrc(source)) = entry.attribute else { continue };
        let known = sources.entry(source.id).or_insert((entry, None));
        if source.name == Some("cname") {
            let line = entry.line.index() + 1;
            let other = *known.1.get_or_insert(line);
            if other != line {
                report.add_beside(part, Rule::RepeatedCname, entry.line, entry.word_mark(0), Some(other));
            }
        }
    }
    if part.has_unreadable("ssrc") {
        return;
    }
    for (entry, _) in sources.values().filter(|(_, cname)| cname.is_none()) {
        report.add(part, Rule::NoCname, entry.line, entry.word_mark(0));
    }
    for entry in &part.entries {
        let Some(Attribute::SsrcGroup(_)) = entry.attribute else { continue };
        for (at, id) in words(&entry.line).skip(1) {
            let id_number = core::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
            if id_number.is_some_and(|id: u32| !sources.contains_key(&id)) {
                report.add(part, Rule::GroupUnknownSource, entry.line, at..at + id.len());
            }
        }
    }
}
