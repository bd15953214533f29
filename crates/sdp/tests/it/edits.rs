//! Random edits of random descriptions, compared with a reference model that is a plain list of lines.

use portolan_sdp::line::{Ending, Kind};
use portolan_sdp::{EditError, Session};
use proptest::prelude::*;

/// A line: its text and its ending.
type Plain = (Vec<u8>, &'static [u8]);

#[derive(Clone, Debug)]
enum Edit {
    Set(usize, Vec<u8>),
    Insert(usize, Kind, Vec<u8>),
    Remove(usize),
    RemoveMedia(usize),
    MoveMedia(usize, usize),
    IntoOwned,
}

/// Splits a text into lines, byte by byte.
fn lines(text: &[u8]) -> Vec<Plain> {
    let (mut found, mut line, mut at) = (Vec::new(), Vec::new(), 0);
    while at < text.len() {
        let ending: &'static [u8] = match text[at..] {
            [b'\r', b'\n', ..] => b"\r\n",
            [b'\r', ..] => b"\r",
            [b'\n', ..] => b"\n",
            _ => {
                line.push(text[at]);
                at += 1;
                continue;
            }
        };
        found.push((core::mem::take(&mut line), ending));
        at += ending.len();
    }
    if !line.is_empty() {
        found.push((line, b""));
    }
    found
}

fn is_head(line: &Plain) -> bool {
    line.0.starts_with(b"m=")
}

/// Returns the start of each media section, and the end of the last one.
fn heads(model: &[Plain]) -> Vec<usize> {
    let heads = (0..model.len()).filter(|index| is_head(&model[*index]));
    heads.chain([model.len()]).collect()
}

/// Applies an edit to the lines. Returns `None` if the session must refuse the edit.
fn apply(model: &mut Vec<Plain>, edit: &Edit) -> Option<()> {
    let default: &'static [u8] =
        model.first().map(|line| line.1).filter(|ending| !ending.is_empty()).unwrap_or(b"\r\n");
    let heads = heads(model);
    let media = |index: usize| (index + 1 < heads.len()).then(|| heads[index]..heads[index + 1]);
    let breaks = |value: &[u8]| value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'));
    match edit {
        Edit::Set(_, value) | Edit::Insert(_, _, value) if breaks(value) => return None,
        Edit::Set(index, value) => {
            let line = &mut model.get_mut(*index)?.0;
            let kept = if line.get(1) == Some(&b'=') { 2 } else { 0 };
            line.truncate(kept);
            line.extend(value);
        }
        Edit::Insert(index, kind, value) => {
            let letter = kind.letter()?;
            if *index > model.len() {
                return None;
            }
            model.insert(*index, ([&[letter, b'='], &value[..]].concat(), default));
        }
        Edit::Remove(index) => drop((*index < model.len()).then(|| model.remove(*index))?),
        Edit::RemoveMedia(index) => drop(model.drain(media(*index)?)),
        Edit::MoveMedia(from, to) => {
            let (from, _) = (media(*from)?, media(*to)?);
            let moved: Vec<Plain> = model.drain(from).collect();
            let at = self::heads(model)[*to];
            model.splice(at..at, moved);
        }
        Edit::IntoOwned => {}
    }
    let default: &'static [u8] =
        model.first().map(|line| line.1).filter(|ending| !ending.is_empty()).unwrap_or(b"\r\n");
    // An edit changes line endings in two documented cases only.
    for index in 0..model.len() {
        let next = model.get(index + 1).cloned();
        let line = &mut model[index];
        if line.1.is_empty() && (next.is_some() || line.0.is_empty()) {
            line.1 = default;
        }
        if line.1 == b"\r" && next == Some((Vec::new(), b"\n")) {
            line.1 = b"\r\n";
        }
    }
    Some(())
}

fn make_edit(session: &mut Session<'_>, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::Set(index, value) => session.set_value(*index, value),
        Edit::Insert(index, kind, value) => session.insert(*index, *kind, value),
        Edit::Remove(index) => session.remove(*index),
        Edit::RemoveMedia(index) => session.remove_media(*index),
        Edit::MoveMedia(from, to) => session.move_media(*from, *to),
        Edit::IntoOwned => {
            *session = session.clone().into_owned();
            Ok(())
        }
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let texts: [&[u8]; 12] = [
        b"v=0",
        b"m=audio 9 RTP/AVP 0",
        b"m=",
        b"a=mid:0",
        b"a=",
        b"",
        b"stray",
        b"x=1",
        b"=",
        b"\xff=\x80",
        b"s=-",
        b"m",
    ];
    prop::sample::select(texts.to_vec()).prop_map(<[u8]>::to_vec)
}

fn ending() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![6 => Just(&b"\r\n"[..]), 2 => Just(&b"\n"[..]), 2 => Just(&b"\r"[..])]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec((line(), ending()), 0..12);
    (lines, any::<bool>()).prop_map(|(lines, is_cut)| {
        let mut text = b"v=0\r\n".to_vec();
        text.extend(lines.iter().flat_map(|(line, ending)| [line.as_slice(), ending].concat()));
        while is_cut && text.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            text.pop();
        }
        text
    })
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        line(),
        prop::collection::vec(any::<u8>(), 0..12),
        Just(vec![b'x'; 600]),
        Just(b"two\r\na=lines".to_vec())
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let kind = prop_oneof![
        Just(Kind::Attribute),
        Just(Kind::Media),
        Just(Kind::Stray),
        Just(Kind::Unknown(b'y')),
        Just(Kind::Unknown(b'm'))
    ];
    prop_oneof![
        4 => (0..14_usize, value()).prop_map(|(at, value)| Edit::Set(at, value)),
        4 => (0..14_usize, kind, value()).prop_map(|(at, kind, value)| Edit::Insert(at, kind, value)),
        4 => (0..14_usize).prop_map(Edit::Remove),
        1 => (0..4_usize).prop_map(Edit::RemoveMedia),
        2 => (0..4_usize, 0..4_usize).prop_map(|(from, to)| Edit::MoveMedia(from, to)),
        1 => Just(Edit::IntoOwned),
    ]
}

fn plain(session: &Session<'_>) -> Vec<Plain> {
    session.lines().map(|line| (line.text().to_vec(), line.ending().as_bytes())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_edits_agree_with_the_model(text in text(), edits in prop::collection::vec(edit(), 0..12)) {
        let mut session = Session::read(&text).unwrap();
        let mut model = lines(&text);
        prop_assert_eq!(plain(&session), model.clone());
        for edit in &edits {
            let before = session.clone();
            let mut after = model.clone();
            let expected = apply(&mut after, edit);
            let done = make_edit(&mut session, edit);
            prop_assert_eq!(done.is_ok(), expected.is_some(), "{:?} gave {:?}", edit, done);
            if expected.is_some() {
                model = after;
            } else {
                prop_assert_eq!(plain(&session), plain(&before), "a refused edit changes nothing");
            }
            let bytes = model.iter().flat_map(|(text, ending)| [text.as_slice(), ending].concat()).collect::<Vec<u8>>();
            prop_assert_eq!(session.to_bytes(), bytes.clone(), "after {:?}", edit);
            prop_assert_eq!(plain(&session), model.clone());
            // Reading the written text gives the same lines.
            prop_assert_eq!(lines(&bytes), model.clone());
            let sections: Vec<usize> = session.all_media().map(|media| media.range().start).chain([model.len()]).collect();
            prop_assert_eq!(sections, heads(&model));
            for line in session.lines() {
                if let Some(span) = line.span() {
                    prop_assert_eq!(&session.source()[span.start..span.end], line.text());
                }
            }
        }
    }
}

#[test]
fn an_edit_changes_one_line() {
    let text = b"v=0\no=- 1 1 IN IP4 192.0.2.1\r\ns=\xff\xfe\r\rt=0 0\n\na=mid:0\r\na=last";
    let mut session = Session::read(text).unwrap();
    session.set_value(6, b"mid:audio").unwrap();
    assert_eq!(session.to_bytes(), b"v=0\no=- 1 1 IN IP4 192.0.2.1\r\ns=\xff\xfe\r\rt=0 0\n\na=mid:audio\r\na=last");
    session.insert(8, Kind::Attribute, b"new").unwrap();
    assert!(session.to_bytes().ends_with(b"a=mid:audio\r\na=last\na=new\n"), "the first line ends with LF: {session}");
}

#[test]
fn an_edit_never_joins_two_lines() {
    let mut session = Session::read(b"v=0\r\na=one\ra=two\r\n\n").unwrap();
    session.remove(2).unwrap();
    assert_eq!(session.line(1).unwrap().ending(), Ending::CrLf, "CR before an empty line with LF would be CR and LF");
    assert_eq!(session.to_bytes(), b"v=0\r\na=one\r\n\n");
    assert_eq!(session.line(1).unwrap().span().map(|span| span.start), Some(5), "the text is in its old position");
}

#[test]
fn overwritten_values_are_freed() {
    let mut session = Session::read(b"v=0\r\na=tool:x\r\na=y\r\n").unwrap();
    session.set_value(2, b"stays").unwrap();
    let (_, allocated) = crate::allocations::count(|| {
        for round in 0..100_000_u32 {
            session.set_value(1, format!("tool:{round:064}").as_bytes()).unwrap();
        }
    });
    assert_eq!(
        session.to_bytes(),
        [&b"v=0\r\na=tool:"[..], format!("{:064}", 99_999).as_bytes(), b"\r\na=stays\r\n"].concat()
    );
    let kept = crate::allocations::count(|| session.clone().into_owned()).1.bytes;
    assert!(kept < 8_000, "{kept} bytes for three lines");
    assert!(allocated.bytes < 100_000 * 400, "{allocated:?}");
}
