//! Candidates that other implementations accept or refuse, and the reasons for each difference.

use crate::field::{folder, rows, unquoted};
use portolan_sdp::candidate::{CandidateAttribute, Deviation, Prefix};
use portolan_sdp::{Candidate, Value};

/// The deviations of an independent checker, and the corresponding variants. One candidate can have several.
const NAMES: [(&str, Deviation); 10] = [
    ("foundation", Deviation::NoFoundation),
    ("component-range(1..256)", Deviation::ComponentZero),
    ("priority-range(1..2^31-1)", Deviation::PriorityRange),
    ("addr:zone-id", Deviation::Zone),
    ("cand-type-unknown-token", Deviation::UnknownType),
    ("missing-raddr", Deviation::NoRelated),
    ("raddr:bad-ipv4-looks-like-fqdn", Deviation::RelatedAddress),
    ("tcp-without-tcptype", Deviation::NoTcpType),
    ("odd-extension", Deviation::LoneExtension),
    // An empty value between two spaces, which `*VCHAR` allows.
    ("double/trailing-space", Deviation::LoneExtension),
];

/// Rows with another result in this crate, and the reason.
const EXPLAINED: [(&str, &str); 6] = [
    ("pion-ice-046", "the zone of the address is a deviation too, which the checker misses if it is the only one"),
    ("pion-ice-054", "*VCHAR may be empty: the candidate matches the grammar"),
    ("mozilla-112", "transport-extension is a token: FOO is an unknown transport, which the agent ignores"),
    ("mozilla-120", "extension-att-value is any VCHAR: the grammar does not restrict a generation to a number"),
    ("ezk-131", "RFC 8839 §5.1: a host candidate must not have raddr; parsed, and reported"),
    ("from-sdp:sdp-types-226", "RFC 8839 §5.1: a host candidate must not have raddr; parsed, and reported"),
];

#[test]
fn every_candidate_has_the_expected_result_or_an_explanation() {
    let Some(folder) = folder() else { return };
    let rows = rows(&folder.join("ice/candidates.tsv"));
    assert!(rows.len() >= 240, "{} rows", rows.len());
    let mut different = Vec::new();
    for row in &rows {
        let [id, input, expect, named, ..] = row.as_slice() else { panic!("four columns and more: {row:?}") };
        let text = unquoted(input);
        let lenient = Candidate::trickled(text.as_bytes()).map(|(_, candidate)| candidate);
        let strict = Candidate::strict(Prefix::of(text.as_bytes()).1);
        let is_equal = match (expect.as_str(), named.as_str()) {
            ("accept", "ok") => {
                assert!(lenient.is_ok(), "{id}: {lenient:?}");
                strict.is_ok()
            }
            ("accept", named) => {
                let candidate = lenient.unwrap_or_else(|error| panic!("{id}: {error}"));
                strict.is_err() && candidate.deviations().eq(expected(named))
            }
            ("reject", _) => strict.is_err(),
            ("any", _) => true,
            other => panic!("{id}: {other:?}"),
        };
        if !is_equal {
            different.push(id.as_str());
        }
        if let Ok(candidate) = lenient {
            let written = candidate.to_string();
            assert_eq!(Candidate::parse(written.as_bytes()), Ok(candidate), "{id}: {written}");
            assert_eq!(text.parse::<CandidateAttribute>().map(|owned| owned.to_string()), Ok(written), "{id}");
        }
    }
    assert_eq!(different, EXPLAINED.map(|(id, _)| id));
}

/// Returns the deviations that the checker named, in the order of the fields.
fn expected(named: &str) -> impl Iterator<Item = Deviation> {
    // An empty foundation makes the text begin with a space, which the checker reports as a second deviation.
    let named =
        named.strip_suffix("foundation,double/trailing-space").map_or(named.to_owned(), |_| "foundation".into());
    Deviation::ALL.into_iter().filter(move |deviation| {
        NAMES.iter().any(|(name, known)| known == deviation && named.split(',').any(|part| part == *name))
    })
}

/// A candidate that lenient parsing refuses is refused at the position of the error.
#[test]
fn refused_candidates_have_an_error_position() {
    let Some(folder) = folder() else { return };
    let mut refused = 0;
    for row in rows(&folder.join("ice/candidates.tsv")) {
        let text = unquoted(row.get(1).unwrap());
        if let Err(error) = Candidate::trickled(text.as_bytes()) {
            refused += 1;
            assert!(error.at <= text.len(), "{}: {error}", text.escape_debug());
            assert_eq!(error.found, text.as_bytes().get(error.at).copied(), "{}: {error}", text.escape_debug());
        }
    }
    assert!(refused >= 40, "{refused} refused");
}
