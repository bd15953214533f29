//! The properties of generated sessions and candidates.

use portolan_sdp::candidate::Candidate;
use portolan_sdp::{Reader, Session};
use portolan_strategies::candidates;
use portolan_strategies::sessions::{self, Damage};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

fn samples(strategy: &impl Strategy<Value = Vec<u8>>, count: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a description").current()).collect()
}

proptest! {
    #[test]
    fn a_strict_reader_accepts_all_attributes_of_valid_sessions(text in sessions::session()) {
        let reading = Reader::strict().read(&text).expect("valid");
        for section in reading.session.all_media().chain([reading.session.top()]) {
            for attribute in section.attributes() {
                prop_assert!(attribute.is_ok(), "{attribute:?}");
            }
        }
    }

    #[test]
    fn the_strict_parser_accepts_valid_candidates(candidate in candidates::candidate()) {
        let text = candidate.to_string();
        prop_assert_eq!(Candidate::strict(text.as_bytes()), Ok(candidate.borrowed()));
        prop_assert_eq!(candidate.clone().checked(), Ok(candidate));
    }

    #[test]
    fn the_prefix_of_a_candidate_line_is_parsed(line in candidates::line()) {
        let (prefix, candidate) = Candidate::trickled(line.as_bytes()).expect("valid");
        prop_assert_eq!(format!("{}{candidate}", prefix.as_str()), line.trim_end_matches(['\r', '\n']));
    }
}

#[test]
fn every_line_and_most_attributes_occur() {
    let (mut letters, mut names) = (BTreeSet::new(), BTreeSet::new());
    for text in samples(&sessions::session(), 1000) {
        let session = Session::read(&text).expect("valid");
        letters.extend(session.lines().filter_map(|line| line.kind().letter()).map(char::from));
        for line in session.lines() {
            if line.typed().is_some_and(|read| read.is_ok_and(|attribute| attribute.clause().is_some())) {
                names.extend(line.attribute().map(|(name, _)| name.to_vec()));
            }
        }
    }
    assert_eq!(letters.into_iter().collect::<String>(), "abceimopstuv");
    assert!(names.len() >= 40, "{} attributes occur", names.len());
}

#[test]
fn nearly_valid_sessions_are_partly_valid_and_partly_invalid() {
    let all = samples(&sessions::nearly_valid(sessions::session()), 1000);
    let strict = all.iter().filter(|text| Reader::strict().read(text).is_ok()).count();
    let lenient = all.iter().filter(|text| Session::read(text).is_ok()).count();
    assert!((100..700).contains(&strict), "the strict reader accepts {strict} of 1000");
    assert!(lenient > 950, "the lenient reader accepts {lenient} of 1000");
}

#[test]
fn nearly_valid_candidates_are_partly_valid_and_partly_invalid() {
    let all = samples(&candidates::nearly_valid(), 1000);
    let valid = all.iter().filter(|text| Candidate::trickled(text).is_ok()).count();
    assert!((100..900).contains(&valid), "{valid} of 1000 are valid");
}

#[test]
fn each_damage_changes_the_right_bytes() {
    let (first, last) = (index(0), index(usize::MAX));
    let damaged = |damage: &Damage| {
        let mut text = b"v=0\r\ns=-\r\n".to_vec();
        damage.apply(&mut text);
        String::from_utf8(text).expect("ASCII")
    };
    assert_eq!(damaged(&Damage::Byte(first, b'w')), "w=0\r\ns=-\r\n");
    assert_eq!(damaged(&Damage::Insert(first, b"ab".to_vec())), "abv=0\r\ns=-\r\n");
    assert_eq!(damaged(&Damage::Truncate(first)), "");
    assert_eq!(damaged(&Damage::Remove(first)), "s=-\r\n");
    assert_eq!(damaged(&Damage::Duplicate(first)), "v=0\r\ns=-\r\nv=0\r\n");
    assert_eq!(damaged(&Damage::Swap(first, last)), "s=-\r\nv=0\r\n");
    assert_eq!(damaged(&Damage::Ending(first, b"\r")), "v=0\rs=-\r\n");
    assert_eq!(damaged(&Damage::Letter(last, b'x')), "v=0\r\nx=-\r\n");
}

#[test]
fn damage_does_not_change_an_empty_text() {
    for damage in [Damage::Byte(index(0), 1), Damage::Remove(index(0)), Damage::Swap(index(0), index(1))] {
        let mut empty = Vec::new();
        damage.apply(&mut empty);
        assert_eq!(empty, [0_u8; 0]);
    }
}

/// An index that maps to the first position (for 0), or to the last position (for any other number).
fn index(near: usize) -> Index {
    let mut runner = TestRunner::deterministic();
    let wanted = if near == 0 { 0 } else { 999 };
    (0..1_000_000)
        .map(|_| any::<Index>().new_tree(&mut runner).expect("an index").current())
        .find(|index| index.index(1000) == wanted)
        .expect("both ends occur")
}
