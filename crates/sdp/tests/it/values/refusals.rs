//! Tests of refused values with their columns, and of tolerated deviations with the written result.
//!
//! A row of `refusals.tsv` has a line of a description, the column of the error, and the expectation there. The rows of
//! an attribute with a grammar include:
//!
//! * empty values;
//! * leading, trailing and double spaces;
//! * truncated lists and pairs;
//! * numbers that are too large, have a sign or begin with 0;
//! * bytes that are not UTF-8.
//!
//! The rows of other lines include their network types.

use crate::field::escaped;
use alloc::collections::BTreeSet;
use portolan_sdp::diagnostic::Rule;
use portolan_sdp::line::Kind;
use portolan_sdp::value::{Address, Connection};
use portolan_sdp::{Attribute, Reader, Value, ValueError};

const TABLE: &str = include_str!("refusals.tsv");

/// Returns the rows: a line, the column counted from 1, and the expectation there.
fn rows() -> impl Iterator<Item = (Vec<u8>, usize, &'static str)> {
    TABLE.lines().filter(|row| !row.starts_with('#')).map(|row| {
        let [text, column, expected] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("three columns: {row}") };
        (escaped(text.strip_prefix('"').unwrap().strip_suffix('"').unwrap()), column.parse().unwrap(), expected)
    })
}

/// Returns the column and the error of a line. The error of an attribute is from typed parsing. The error of another line
/// is from reading the description.
fn refusal(text: &[u8]) -> Option<(usize, ValueError)> {
    let fragment = [b"m=audio 9 RTP/AVP 0\r\n", text, b"\r\n"].concat();
    let reading = Reader::lenient().read_fragment(&fragment).unwrap();
    let line = reading.session.line(1).unwrap();
    if let Some(read) = line.typed() {
        return read.err().map(|error| {
            assert_eq!(error.line, 2, "{error}");
            (error.column, error.error)
        });
    }
    reading.diagnostics.iter().filter(|diagnostic| diagnostic.line == 2).find_map(|diagnostic| {
        let Rule::Value { error, .. } = diagnostic.rule else { return None };
        Some((diagnostic.column, error))
    })
}

#[test]
fn each_invalid_value_is_refused_at_its_column() {
    let mut names = BTreeSet::new();
    for (text, column, expected) in rows() {
        let escaped = text.escape_ascii();
        let (found, error) = refusal(&text).unwrap_or_else(|| panic!("{escaped} was accepted"));
        assert_eq!((found, error.expected), (column, expected), "{escaped}: {error}");
        // The reported byte is the byte at that column.
        assert_eq!(error.found, text.get(column - 1).copied(), "{escaped}: {error}");
        if Kind::of(&text) == Kind::Attribute {
            let name = text[2..].split(|byte| *byte == b':').next().unwrap();
            names.insert(String::from_utf8(name.to_vec()).unwrap());
        }
    }
    // Every attribute with a type occurs in the table.
    let typed = include_str!("../../../src/attribute.rs").lines().filter_map(|line| {
        let (name, after) = line.trim().strip_prefix("b\"")?.split_once("\" => ")?;
        after.ends_with("),").then_some(name)
    });
    let typed: BTreeSet<String> = typed.map(str::to_owned).collect();
    assert!(typed.len() >= 48, "{} names", typed.len());
    assert_eq!(names, typed);
}

/// Deviations from all grammars that are accepted, and how the value is written.
const TOLERATED: [(&str, &str); 30] = [
    // Trailing spaces, where they cannot be part of the value.
    ("group:BUNDLE 0 1 ", "group:BUNDLE 0 1"),
    ("ssrc-group:FID 1 2 ", "ssrc-group:FID 1 2"),
    ("ice-options:trickle ", "ice-options:trickle"),
    ("msid-semantic:  WMS a ", "msid-semantic:WMS a"),
    (
        "fingerprint:md5 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F ",
        "fingerprint:md5 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F",
    ),
    ("setup:actpass  ", "setup:actpass"),
    ("rtpmap:96 opus/48000/2 ", "rtpmap:96 opus/48000/2"),
    ("rtcp-fb:96 nack ", "rtcp-fb:96 nack"),
    ("rtcp-fb:96 nack pli ", "rtcp-fb:96 nack pli"),
    ("extmap:1 urn:x ", "extmap:1 urn:x"),
    ("rtcp:9 ", "rtcp:9"),
    ("rtcp:9 IN IP4 192.0.2.1 ", "rtcp:9 IN IP4 192.0.2.1"),
    ("ssrc:1 ", "ssrc:1"),
    ("ssrc:1 cname ", "ssrc:1 cname"),
    ("rid:hi send ", "rid:hi send"),
    ("simulcast: send hi ", "simulcast:send hi"),
    ("sctp-port:5000 ", "sctp-port:5000"),
    ("max-message-size:65536 ", "max-message-size:65536"),
    ("sctpmap:5000 webrtc-datachannel ", "sctpmap:5000 webrtc-datachannel"),
    ("fmtp:96 ", "fmtp:96"),
    // Trailing spaces are kept in values that may hold any byte.
    ("fmtp:96 a=b ", "fmtp:96 a=b "),
    ("extmap:1 urn:x a ", "extmap:1 urn:x a "),
    ("ssrc:1 cname:x ", "ssrc:1 cname:x "),
    ("rtcp-fb:96 nack pli x ", "rtcp-fb:96 nack pli x "),
    // Leading zeros, where the grammar has any digits.
    ("candidate:1 007 UDP 007 192.0.2.1 009 typ host", "candidate:1 7 UDP 7 192.0.2.1 9 typ host"),
    ("rtcp:0009", "rtcp:9"),
    ("extmap:00007 urn:x", "extmap:7 urn:x"),
    ("ptime:0020", "ptime:20"),
    ("crypto:000000001 S inline:AAAA", "crypto:1 S inline:AAAA"),
    ("ice-pacing:0000000050", "ice-pacing:50"),
];

#[test]
fn tolerated_deviations_are_written_in_the_standard_form() {
    for (text, written) in TOLERATED {
        let (name, value) = text.split_once(':').unwrap();
        let read = Attribute::parse(name.as_bytes(), Some(value.as_bytes()));
        assert_eq!(read.map(|attribute| attribute.to_string()), Ok(written.to_owned()), "{text}");
    }
}

/// Other network and address types can be registered (RFC 8866 §8.2.6, §8.2.7). Their names are kept unchanged.
#[test]
fn registered_types_keep_their_names() {
    for value in ["ATM NSAP 47.0091", "TN RFC2543 +1-201-406-4090", "PSTN E164 +441134960123", "X-MINE Y9 z"] {
        let connection = Connection::parse(value.as_bytes()).unwrap();
        let address = value.rsplit(' ').next().unwrap();
        assert_eq!(connection.address, Address::Other(address.as_bytes()), "{value}");
        assert_eq!(connection.to_string(), value);
        assert_eq!(refusal(format!("c={value}").as_bytes()), None, "{value}");
    }
}

/// A value of a flag is refused, even a single space.
#[test]
fn flags_with_a_value_are_refused() {
    let flags = include_str!("../../../src/attribute.rs").lines().filter_map(|line| {
        let (name, after) = line.trim().strip_prefix("b\"")?.split_once("\" => ")?;
        after.ends_with(';').then_some(name)
    });
    let flags: Vec<&str> = flags.chain(["sendrecv", "sendonly", "recvonly", "inactive"]).collect();
    assert!(flags.len() >= 12, "{flags:?}");
    for name in flags {
        assert!(matches!(Attribute::parse(name.as_bytes(), None), Ok(read) if read.to_string() == name), "{name}");
        for value in ["x", " ", "0"] {
            let text = format!("a={name}:{value}");
            let (column, error) = refusal(text.as_bytes()).unwrap_or_else(|| panic!("{text} was accepted"));
            assert_eq!((column, error.expected), (name.len() + 4, "no value"), "{text}");
        }
    }
}
