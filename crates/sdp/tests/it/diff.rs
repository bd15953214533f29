//! Properties of the comparison. A description does not differ from itself. One edit is one change. The reverse
//! comparison reports the same changes in reverse.

use alloc::collections::BTreeMap;
use portolan_sdp::attribute::Direction;
use portolan_sdp::diff::{Change, Place, diff};
use portolan_sdp::line::Kind;
use portolan_sdp::value::{MediaLine, Origin};
use portolan_sdp::{Attribute, Section, Session};
use portolan_strategies::sessions::{nearly_valid, session};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Makes one edit. Returns the name of the expected change, or `None` if the edit is not possible.
fn edit(which: usize, is: &mut Session<'_>, media: Option<usize>) -> Option<&'static str> {
    let section = media.and_then(|index| is.media(index));
    let end = section.as_ref().map_or_else(|| is.top().range().end, |section| section.range().end);
    let head = section.as_ref().and_then(|section| section.line(Kind::Media)).map(|line| line.index());
    let (value, name) = match which {
        0 => return is.insert(end, Kind::Attribute, b"x-portolan:new").ok().map(|()| "added"),
        1 => {
            let candidate = b"candidate:portolan 1 UDP 7 203.0.113.99 4242 typ host";
            return is.insert(end, Kind::Attribute, candidate).ok().map(|()| "candidate-added");
        }
        2 => {
            let now = another_direction(is, &section?)?;
            return is.insert(end, Kind::Attribute, now.to_string().as_bytes()).ok().map(|()| "direction");
        }
        3 => return is.insert(is.line_count(), Kind::Media, b"audio 9 RTP/AVP 0").ok().map(|()| "media-added"),
        4 => return is.remove_media(is.media_count().checked_sub(1)?).ok().map(|()| "media-removed"),
        5 => {
            let line = is.top().line(Kind::Origin)?;
            let (index, origin) = (line.index(), line.read::<Origin<'_>>().ok()?);
            let version = format!("{}0", origin.version);
            let value = Origin { version: &version, ..origin }.to_string();
            return is.set_value(index, value.as_bytes()).ok().map(|()| "version");
        }
        6 => (format!("{} x-portolan", text(is, head?)), "codec-added"),
        7 => {
            let was = text(is, head?);
            let line: MediaLine<'_> = is.line(head?)?.read().ok()?;
            let port = line.port % 60_000 + 1;
            let name = if line.port == 0 { "revived" } else { "port" };
            (MediaLine { port, ..line }.to_string(), if was.is_empty() { return None } else { name })
        }
        _ => (text(is, head?).replacen(' ', "x ", 1), "media-line"),
    };
    is.set_value(head?, value.as_bytes()).ok().map(|()| name)
}

fn text(session: &Session<'_>, line: usize) -> String {
    session.line(line).map(|line| String::from_utf8_lossy(line.value()).into_owned()).unwrap_or_default()
}

/// A direction other than the default of a section without one.
fn another_direction(session: &Session<'_>, section: &Section<'_>) -> Option<Direction> {
    let direction = |section: &Section<'_>| {
        section.attributes().find_map(|read| match read {
            Ok(Attribute::Direction(direction)) => Some(direction),
            _ => None,
        })
    };
    if direction(section).is_some() {
        return None;
    }
    let default = direction(&session.top()).unwrap_or_default();
    [Direction::Inactive, Direction::SendOnly].into_iter().find(|direction| *direction != default)
}

/// Counts the changes of each kind. With `is_reversed`, uses the names of the reverse comparison.
fn kinds(changes: &[Change<'_>], is_reversed: bool) -> BTreeMap<&'static str, usize> {
    const PAIRS: [[&str; 2]; 5] = [
        ["media-added", "media-removed"],
        ["refused", "revived"],
        ["codec-added", "codec-removed"],
        ["candidate-added", "candidate-removed"],
        ["added", "removed"],
    ];
    let mut counts = BTreeMap::new();
    for change in changes {
        let name = change.kind.name();
        let pair = PAIRS.iter().find(|pair| pair.contains(&name)).filter(|_| is_reversed);
        let name = pair.map_or(name, |[a, b]| if name == *a { *b } else { *a });
        *counts.entry(name).or_default() += 1;
    }
    counts
}

proptest! {
    #[test]
    fn one_edit_is_one_change_at_its_place(
        text in session(), which in select((0..9).collect::<Vec<usize>>()), place in any::<Index>(),
    ) {
        let was = Session::read(&text).unwrap();
        let place = place.index(was.media_count() + 1);
        let media = place.checked_sub(1);
        let mut is = was.clone();
        let Some(name) = edit(which, &mut is, media) else { return Ok(()) };
        let changes = diff(&was, &is);
        let context = || format!("{name}: {changes:?}\n{was}\n{is}");
        prop_assert_eq!(changes.len(), 1, "{}", context());
        prop_assert_eq!(changes[0].kind.name(), name, "{}", context());
        let expected = match name {
            "version" => None,
            "media-added" => Some(is.media_count() - 1),
            "media-removed" => Some(was.media_count() - 1),
            _ => media,
        };
        let place = match changes[0].place {
            Place::Session => None,
            Place::Media { was, is, .. } => is.or(was),
        };
        prop_assert_eq!(place, expected, "{}", context());
        prop_assert!(!changes[0].to_string().contains(char::is_control), "{}", context());
    }

    #[test]
    fn a_description_equals_itself_and_the_reverse_is_symmetric(
        one in nearly_valid(session()), other in nearly_valid(session()), is_near in any::<bool>(), at in any::<Index>(),
    ) {
        let Ok(was) = Session::read(&one) else { return Ok(()) };
        prop_assert_eq!(diff(&was, &was), []);
        // The other description is unrelated, or lacks one line.
        let mut near = was.clone();
        prop_assert!(near.remove(at.index(was.line_count())).is_ok());
        let is = match Session::read(&other) {
            Ok(other) if !is_near => other,
            _ => near,
        };
        let (forward, reverse) = (diff(&was, &is), diff(&is, &was));
        prop_assert_eq!(kinds(&forward, true), kinds(&reverse, false), "{:?} {:?}", forward, reverse);
    }
}
