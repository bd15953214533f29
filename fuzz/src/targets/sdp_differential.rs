//! Compares `Reader` with `sdp-types`. A description that the strict reader accepts is accepted by `sdp-types` too,
//! with the same content. A description that `sdp-types` accepts is accepted by the lenient reader. A rule explains
//! each difference.
//!
//! Each rule is a function for one kind of difference, which checks the bytes. A difference without a rule is a
//! finding in one of the two crates. The rules come from the source of `sdp-types`:
//!
//! * [`is_not_utf8`]: `sdp-types` refuses bytes that are not UTF-8 (RFC 8866 §9 has `byte-string`).
//! * [`is_large`]: `sdp-types` has numbers of a fixed width. RFC 8866 §9 has no maximum for the version of `o=` and
//!   for the number of ports.
//! * [`is_word`]: `sdp-types` accepts network and address types in any case, and writes them in capitals.
//! * [`has_two_zones`]: `sdp-types` accepts one `z=`; RFC 8866 §9 allows one for each `t=` with a repetition.

use crate::SEEDED;
use portolan_sdp::line::{Kind, Line};
use portolan_sdp::value::{Bandwidth, MediaLine, Origin, Timing};
use portolan_sdp::{Reader, Section, Session, Value};
use sdp_types::{Attribute, Connection, ParserError, Session as Other};

/// Parses the bytes with both crates. Returns whether `sdp-types` accepts them.
pub fn run(bytes: &[u8]) -> bool {
    let theirs = Other::parse(bytes);
    let strict = Reader::strict().read(bytes).map(|reading| reading.session);
    match (&strict, &theirs) {
        (Ok(ours), Ok(theirs)) => compare_sessions(ours, theirs),
        (Ok(_), Err(why)) => assert!(has_rule(why, bytes), "only sdp-types refuses it: {why}"),
        (Err(_), Ok(theirs)) => {
            let ours = Session::read(bytes).expect("sdp-types accepts the description");
            compare_lines(&ours, theirs);
        }
        (Err(_), Err(_)) => {}
    }
    theirs.is_ok()
}

/// Whether a rule explains that only `sdp-types` refuses the bytes. Each error has at most one rule.
fn has_rule(why: &ParserError, bytes: &[u8]) -> bool {
    match *why {
        ParserError::InvalidFieldEncoding(line, _) => is_not_utf8(bytes, line),
        ParserError::InvalidFieldFormat(line, "Origin sess-version" | "Media num-ports") => is_large(bytes, line),
        ParserError::InvalidFieldFormat(
            line,
            "Repeat repeat-interval" | "Repeat active-duration" | "Repeat offset",
        ) => is_large(bytes, line),
        ParserError::InvalidFieldFormat(line, "TimeZone adjustment-time" | "TimeZone offset") => is_large(bytes, line),
        ParserError::MultipleTimeZones(line) => has_two_zones(bytes, line),
        _ => false,
    }
}

/// Returns line `line`, counted from 1, of a text without lone CR.
fn nth(bytes: &[u8], line: usize) -> &[u8] {
    bytes.split(|byte| *byte == b'\n').nth(line - 1).unwrap_or_default()
}

fn is_not_utf8(bytes: &[u8], line: usize) -> bool {
    std::str::from_utf8(nth(bytes, line)).is_err()
}

/// Whether the line has a number that is too large for `sdp-types`: 16 bits in `m=`, 63 bits in `z=`, 64 bits
/// elsewhere. A time with a unit counts in seconds.
fn is_large(bytes: &[u8], line: usize) -> bool {
    let line = String::from_utf8_lossy(nth(bytes, line)).into_owned();
    let line = line.trim_end();
    let most = if line.starts_with("m=") { u128::from(u16::MAX) } else { u128::from(u64::MAX) };
    line[2..].split([' ', '/']).any(|word| {
        let digits = word.trim_start_matches('-').trim_end_matches(['d', 'h', 'm', 's']);
        let unit = match word.as_bytes().last() {
            Some(b'd') => 86_400,
            Some(b'h') => 3_600,
            Some(b'm') => 60,
            _ => 1,
        };
        let most = if line.starts_with("z=") { u128::from(u64::MAX) / 2 } else { most };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number
            && digits.parse::<u128>().ok().and_then(|number| number.checked_mul(unit)).is_none_or(|all| all > most)
    })
}

fn has_two_zones(bytes: &[u8], line: usize) -> bool {
    let before = bytes.split(|byte| *byte == b'\n').take(line - 1);
    before.filter(|line| line.starts_with(b"z=")).count() == 1
}

/// Compares everything that both models contain.
fn compare_sessions(ours: &Session<'_>, theirs: &Other) {
    let top = ours.top();
    let origin: Origin<'_> = one(&top, Kind::Origin);
    let username = Some(origin.username).filter(|name| *name != b"-");
    assert_eq!(username, theirs.origin.username.as_deref().map(str::as_bytes));
    assert_eq!((origin.id, origin.version.parse()), (&*theirs.origin.sess_id, Ok(theirs.origin.sess_version)));
    assert!(is_word(origin.network.as_bytes(), &theirs.origin.nettype.to_string()));
    assert!(is_word(origin.address_type.as_bytes(), &theirs.origin.addrtype.to_string()));
    let line = top.line(Kind::Origin).expect("a strict reader requires it");
    assert_eq!(line.value().rsplit(|byte| *byte == b' ').next(), Some(theirs.origin.unicast_address.as_bytes()));
    assert_eq!(text(&top, Kind::Name), Some(&*theirs.session_name));
    assert_eq!(text(&top, Kind::Information), theirs.session_description.as_deref());
    assert_eq!(text(&top, Kind::Uri), theirs.uri.as_deref());
    assert_eq!(texts(&top, Kind::Email), theirs.emails);
    assert_eq!(texts(&top, Kind::Phone), theirs.phones);
    compare_connections(&top, theirs.connection.as_slice());
    compare_bandwidths(&top, &theirs.bandwidths);
    let times: Vec<Timing> = top.lines_of(Kind::Time).map(|line| read(&line)).collect();
    assert_eq!(times.len(), theirs.times.len());
    for (ours, theirs) in times.iter().zip(&theirs.times) {
        assert_eq!((ours.start, ours.stop), (theirs.start_time, theirs.stop_time));
    }
    let repeats: usize = theirs.times.iter().map(|time| time.repeats.len()).sum();
    assert_eq!(top.lines_of(Kind::Repeat).count(), repeats);
    compare_lines(ours, theirs);
    for (ours, theirs) in ours.all_media().zip(&theirs.medias) {
        let head: MediaLine<'_> = one(&ours, Kind::Media);
        let ports = theirs.num_ports.map(u32::from);
        assert_eq!((head.media, head.port, head.ports), (&*theirs.media, theirs.port, ports));
        assert_eq!((head.protocol, head.format_list), (&*theirs.proto, &*theirs.fmt));
        assert_eq!(text(&ours, Kind::Information), theirs.media_title.as_deref());
        compare_connections(&ours, &theirs.connections);
        compare_bandwidths(&ours, &theirs.bandwidths);
    }
}

/// Compares the media sections and their attributes.
fn compare_lines(ours: &Session<'_>, theirs: &Other) {
    assert_eq!(ours.media_count(), theirs.medias.len());
    compare_attributes(&ours.top(), &theirs.attributes);
    for (ours, theirs) in ours.all_media().zip(&theirs.medias) {
        let head = ours.lines().next().expect("its m=");
        assert_eq!(head.value().split(|byte| *byte == b' ').next(), Some(theirs.media.as_bytes()));
        compare_attributes(&ours, &theirs.attributes);
    }
}

fn compare_attributes(ours: &Section<'_>, theirs: &[Attribute]) {
    let ours: Vec<_> = ours.lines().filter_map(|line| subject(&line)).collect();
    let theirs: Vec<_> = theirs
        .iter()
        .map(|attribute| (attribute.attribute.as_bytes(), attribute.value.as_deref().map(str::as_bytes)))
        .collect();
    assert_eq!(ours, theirs);
}

/// Returns the name and the value of an attribute. The seeded bug: an attribute with a name of four letters is split
/// at its second colon, if a space is before this colon and one letter is after it.
fn subject<'s>(line: &Line<'s>) -> Option<(&'s [u8], Option<&'s [u8]>)> {
    let (name, value) = line.attribute()?;
    let whole = line.value();
    let words = value.map(|value| value.split(|byte| *byte == b':').collect::<Vec<_>>()).unwrap_or_default();
    match words[..] {
        [first, last] if SEEDED && name.len() == 4 && first.contains(&b' ') && last.len() == 1 => {
            let at = name.len() + 1 + first.len();
            Some((&whole[..at], Some(last)))
        }
        _ => Some((name, value)),
    }
}

fn compare_connections(ours: &Section<'_>, theirs: &[Connection]) {
    let ours: Vec<_> = ours.lines_of(Kind::Connection).map(|line| line.value()).collect();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let words: Vec<_> = ours.splitn(3, |byte| *byte == b' ').collect();
        let [network, kind, address] = words[..] else { panic!("a strict reader accepted it") };
        assert!(is_word(network, &theirs.nettype.to_string()) && is_word(kind, &theirs.addrtype.to_string()));
        assert_eq!(address, theirs.connection_address.as_bytes());
    }
}

/// Whether two network or address types are equal; `sdp-types` writes known types in capitals.
fn is_word(ours: &[u8], theirs: &str) -> bool {
    const KNOWN: [&str; 6] = ["IN", "TN", "ATM", "PSTN", "IP4", "IP6"];
    ours == theirs.as_bytes() || (KNOWN.contains(&theirs) && ours.eq_ignore_ascii_case(theirs.as_bytes()))
}

fn compare_bandwidths(ours: &Section<'_>, theirs: &[sdp_types::Bandwidth]) {
    let ours: Vec<_> = ours.lines_of(Kind::Bandwidth).map(|line| read::<Bandwidth<'_>>(&line).to_string()).collect();
    let theirs: Vec<_> = theirs.iter().map(|width| format!("{}:{}", width.bwtype, width.bandwidth)).collect();
    assert_eq!(ours, theirs);
}

fn one<'s, T: Value<'s>>(section: &Section<'s>, kind: Kind) -> T {
    read(&section.line(kind).expect("a strict reader requires it"))
}

fn read<'s, T: Value<'s>>(line: &Line<'s>) -> T {
    line.read().unwrap_or_else(|error| panic!("a strict reader accepted it: {error}"))
}

fn text<'s>(section: &Section<'s>, kind: Kind) -> Option<&'s str> {
    section.line(kind).map(|line| std::str::from_utf8(line.value()).expect("sdp-types accepts only UTF-8"))
}

fn texts(section: &Section<'_>, kind: Kind) -> Vec<String> {
    section.lines_of(kind).map(|line| String::from_utf8_lossy(line.value()).into_owned()).collect()
}
