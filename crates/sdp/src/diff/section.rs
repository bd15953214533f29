//! Compares two sections: lines of the same kind, and attributes of the same name.

use super::{ChangeKind, Changes, codecs};
use crate::attribute::{Attribute, Direction, Fmtp};
use crate::line::{Kind, Line};
use crate::media::Section;
use crate::value::{MediaLine, Origin};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

/// The lines of one kind, and for attributes of one name, in order.
type Groups<'s> = BTreeMap<(u8, &'s [u8]), Vec<Line<'s>>>;

/// Reports the changes from one section to the other.
pub(super) fn compare<'s>(was: &Section<'s>, is: &Section<'s>, changes: &mut Changes<'s>) {
    media_line(was, is, changes);
    codecs::compare(was, is, changes);
    if is.media_index().is_some() {
        direction(was, is, changes);
    }
    let (mut before, mut after) = (groups(was), groups(is));
    credentials(&mut before, &mut after, changes);
    let mut keys: Vec<_> = before.keys().chain(after.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (before, after) = (before.remove(&key).unwrap_or_default(), after.remove(&key).unwrap_or_default());
        group(&before, &after, changes);
    }
}

/// Compares `m=` except for its formats.
fn media_line<'s>(was: &Section<'s>, is: &Section<'s>, changes: &mut Changes<'s>) {
    let (Some(was), Some(is)) = (was.line(Kind::Media), is.line(Kind::Media)) else { return };
    let (Ok(before), Ok(after)) = (was.read::<MediaLine<'s>>(), is.read::<MediaLine<'s>>()) else {
        if was.value() != is.value() {
            changes.push(ChangeKind::Changed { was, is });
        }
        return;
    };
    if (before.media, before.protocol) != (after.media, after.protocol) {
        changes.push(ChangeKind::MediaLine { was: before, is: after });
    }
    match (before.port, after.port) {
        (was, is) if was == is => {}
        (_, 0) => changes.push(ChangeKind::Refused),
        (0, _) => changes.push(ChangeKind::Revived),
        (was, is) => changes.push(ChangeKind::Port { was, is }),
    }
}

/// Compares the direction of the media. A section without a direction has that of the session (RFC 8866 §6.7).
fn direction<'s>(was: &Section<'s>, is: &Section<'s>, changes: &mut Changes<'s>) {
    let (was_usual, is_usual) = changes.usual;
    let (was, is) = (own_direction(was).unwrap_or(was_usual), own_direction(is).unwrap_or(is_usual));
    if was != is {
        changes.push(ChangeKind::Direction { was, is });
    }
}

/// Returns the direction of a section, if the section has one.
pub(super) fn own_direction(section: &Section<'_>) -> Option<Direction> {
    section.lines().find_map(|line| of_line(&line))
}

fn of_line(line: &Line<'_>) -> Option<Direction> {
    if line.kind() == Kind::Attribute { Direction::from_name(line.value()) } else { None }
}

/// Compares all lines that no other function compares.
fn groups<'s>(section: &Section<'s>) -> Groups<'s> {
    let mut groups = Groups::new();
    for line in section.lines() {
        let name = line.attribute().map_or(&b""[..], |(name, _)| name);
        let is_compared_elsewhere = matches!(line.kind(), Kind::Version | Kind::Media)
            || codecs::is_format_attribute(&line)
            || of_line(&line).is_some();
        if is_compared_elsewhere {
            continue;
        }
        groups.entry((line.kind().letter().unwrap_or_default(), name)).or_default().push(line);
    }
    groups
}

/// A new user name fragment together with a new password is an ICE restart; otherwise each is an ordinary attribute.
fn credentials<'s>(before: &mut Groups<'s>, after: &mut Groups<'s>, changes: &mut Changes<'s>) {
    const UFRAG: (u8, &[u8]) = (b'a', b"ice-ufrag");
    const PWD: (u8, &[u8]) = (b'a', b"ice-pwd");
    fn value<'s>(groups: &Groups<'s>, key: (u8, &[u8])) -> Option<&'s [u8]> {
        match groups.get(&key)?.as_slice() {
            [line] => line.attribute()?.1,
            _ => None,
        }
    }
    let both = |groups: &Groups<'s>| Some((value(groups, UFRAG)?, value(groups, PWD)?));
    let (Some((was, old)), Some((is, new))) = (both(before), both(after)) else { return };
    if was != is && old != new {
        changes.push(ChangeKind::IceRestart { was, is });
        for groups in [before, after] {
            groups.remove(&UFRAG);
            groups.remove(&PWD);
        }
    }
}

/// Lines of one kind and name.
fn group<'s>(before: &[Line<'s>], after: &[Line<'s>], changes: &mut Changes<'s>) {
    let (gone, new) = difference(before, after);
    match (before, after, gone.as_slice(), new.as_slice()) {
        // One line before and one line now.
        ([_], [_], [was], [is]) => changes.push(changed(*was, *is)),
        _ => {
            gone.iter().for_each(|line| changes.push(removed(*line)));
            new.iter().for_each(|line| changes.push(added(*line)));
        }
    }
}

/// Returns the lines that are in one list only, compared by meaning, each in its order.
pub(super) fn difference<'s>(before: &[Line<'s>], after: &[Line<'s>]) -> (Vec<Line<'s>>, Vec<Line<'s>>) {
    let mut counts: BTreeMap<Vec<u8>, isize> = BTreeMap::new();
    // For each value: how many more lines the first list has. A negative count is a surplus of the second list.
    for line in after {
        *counts.entry(meaning(line)).or_default() -= 1;
    }
    for line in before {
        *counts.entry(meaning(line)).or_default() += 1;
    }
    let mut surplus = |lines: &[Line<'s>], sign: isize| -> Vec<Line<'s>> {
        // Equal lines cannot be distinguished: the last ones are the surplus.
        let mut found: Vec<Line<'s>> = lines
            .iter()
            .rev()
            .filter(|line| match counts.get_mut(&meaning(line)) {
                Some(count) if *count * sign > 0 => {
                    *count -= sign;
                    true
                }
                _ => false,
            })
            .copied()
            .collect();
        found.reverse();
        found
    };
    (surplus(before, 1), surplus(after, -1))
}

/// Returns the value of a line in normalized form.
fn meaning(line: &Line<'_>) -> Vec<u8> {
    match line.typed() {
        Some(Ok(Attribute::Fmtp(fmtp))) => parameters(&fmtp),
        Some(Ok(Attribute::Fingerprint(fingerprint))) => {
            [fingerprint.hash.to_ascii_lowercase().as_bytes(), b" ", fingerprint.digest.to_string().as_bytes()].concat()
        }
        Some(Ok(Attribute::Other { .. }) | Err(_)) | None => line.value().to_owned(),
        Some(Ok(typed)) => typed.to_string().into_bytes(),
    }
}

/// Returns the parameters sorted by name. Names are case-insensitive (RFC 6838 §4.3).
pub(super) fn parameters(fmtp: &Fmtp<'_>) -> Vec<u8> {
    let mut list: Vec<(Vec<u8>, Option<&[u8]>)> =
        fmtp.parameters().map(|parameter| (parameter.name.to_ascii_lowercase(), parameter.value)).collect();
    list.sort();
    let mut text = fmtp.format.as_bytes().to_owned();
    for (name, value) in list {
        text.push(b';');
        text.extend_from_slice(&name);
        if let Some(value) = value {
            text.push(b'=');
            text.extend_from_slice(value);
        }
    }
    text
}

fn changed<'s>(was: Line<'s>, is: Line<'s>) -> ChangeKind<'s> {
    if let (Kind::Origin, Ok(before), Ok(after)) = (is.kind(), was.read::<Origin<'s>>(), is.read::<Origin<'s>>()) {
        let is_same = Origin { version: after.version, ..before } == after;
        return if is_same {
            ChangeKind::Version { was: before.version, is: after.version }
        } else {
            ChangeKind::NewSession
        };
    }
    ChangeKind::Changed { was, is }
}

fn added(line: Line<'_>) -> ChangeKind<'_> {
    match line.typed() {
        Some(Ok(Attribute::Candidate(candidate))) => ChangeKind::CandidateAdded(candidate),
        _ => ChangeKind::Added(line),
    }
}

fn removed(line: Line<'_>) -> ChangeKind<'_> {
    match line.typed() {
        Some(Ok(Attribute::Candidate(candidate))) => ChangeKind::CandidateRemoved(candidate),
        _ => ChangeKind::Removed(line),
    }
}
