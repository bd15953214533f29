//! Candidates that other implementations take or refuse, and why this one differs where it does.

use crate::field::{folder, rows, unquoted};
use portolan_sdp::Candidate;
use portolan_sdp::candidate::{CandidateAttribute, Deviation};

/// What an independent checker calls a deviation, and its name here. Several may be in one candidate.
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
    // An empty value between two spaces, which `*VCHAR` has room for.
    ("double/trailing-space", Deviation::LoneExtension),
];

/// Rows that strict reading judges otherwise than the collection, and why.
const ARGUED: [(&str, &str); 7] = [
    ("pion-ice-046", "the zone of the address is a deviation too, which the checker overlooks when there is one only"),
    ("pion-ice-054", "*VCHAR may be empty: the candidate is as the grammar has it"),
    (
        "mozilla-112",
        "transport-extension is a token: FOO is a transport that nobody knows yet, for the agent to pass over",
    ),
    ("mozilla-120", "extension-att-value is any VCHAR: the grammar does not know that a generation is a number"),
    ("ezk-131", "RFC 8839 §5.1: a host candidate must not have raddr; read, and named"),
    ("from-sdp:sdp-types-226", "RFC 8839 §5.1: a host candidate must not have raddr; read, and named"),
    ("mozilla-121", "strict refuses, but for the missing tcptype: the value of network-cost is the agent's affair"),
];

#[test]
fn every_verdict_is_met() {
    let Some(folder) = folder() else { return };
    let rows = rows(&folder.join("ice/candidates.tsv"));
    assert!(rows.len() >= 240, "{} rows", rows.len());
    for row in &rows {
        let [id, input, expect, deviations, ..] = row.as_slice() else { panic!("four columns and more: {row:?}") };
        let text = unquoted(input);
        let lenient = Candidate::trickled(text.as_bytes());
        let value = text.strip_prefix("a=").unwrap_or(&text);
        let value = value.strip_prefix("candidate:").unwrap_or(value);
        let strict = Candidate::strict(value.as_bytes());
        let is_argued = ARGUED.iter().any(|(argued, _)| argued == id);
        match (expect.as_str(), deviations.as_str()) {
            ("accept", "ok") => {
                assert!(lenient.is_ok(), "{id}: {lenient:?}");
                assert_eq!(strict.is_ok(), !is_argued, "{id}: {strict:?}");
            }
            ("accept", named) => {
                let (_, candidate) = lenient.unwrap_or_else(|error| panic!("{id}: {error}"));
                let told: Vec<Deviation> = candidate.deviations().collect();
                if is_argued {
                    continue;
                }
                let expected: Vec<Deviation> = NAMES
                    .into_iter()
                    .filter(|(name, _)| named.split(',').any(|part| part == *name))
                    .map(|(_, deviation)| deviation)
                    .filter(|deviation| !named.contains("foundation") || *deviation != Deviation::LoneExtension)
                    .collect();
                let mut expected = expected;
                expected.dedup();
                assert_eq!(told, expected, "{id} {named}");
                assert!(strict.is_err(), "{id}");
            }
            ("reject", named) => {
                assert_eq!(strict.is_ok(), is_argued && named == "ok", "{id} {named}: {strict:?}");
            }
            ("any", _) => {}
            other => panic!("{id}: {other:?}"),
        }
        if let Ok((_, candidate)) = lenient {
            let written = candidate.to_string();
            assert_eq!(
                Candidate::trickled(written.as_bytes()).map(|(_, again)| again),
                Ok(candidate),
                "{id}: {written}"
            );
            assert_eq!(
                text.trim_end().parse::<CandidateAttribute>().map(|owned| owned.to_string()),
                Ok(written),
                "{id}"
            );
        }
    }
}

/// What is refused in lenient reading is refused at the place where it is wrong.
#[test]
fn refusals_have_a_place() {
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
