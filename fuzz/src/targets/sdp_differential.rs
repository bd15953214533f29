//! `Reader` beside `sdp-types`: what this one takes strictly the other takes too and sees the same in it, what the other
//! takes can be read here, or one of the rules below stands behind the difference.
//!
//! Each rule is a function that is asked for one kind of difference only and looks at the bytes itself; whatever it does not
//! explain is a finding in one of the two. The rules, all of which were looked up in the other's source:
//!
//! * [`is_no_text`]: it takes no bytes that are not UTF-8 (RFC 8866 §9 has `byte-string`).
//! * [`is_large`]: it reads numbers into fixed widths; RFC 8866 §9 bounds neither the version of `o=` nor the number of ports.
//! * [`is_word`]: it knows the words of networks and addresses in any case, and gives them back in capitals.
//! * [`has_two_zones`]: it takes one `z=`; RFC 8866 §9 has one for each `t=` that repeats.

use crate::SEEDED;
use portolan_sdp::line::{Kind, Line};
use portolan_sdp::value::{Bandwidth, MediaLine, Origin, Timing};
use portolan_sdp::{Reader, Section, Session, Value};
use sdp_types::{Attribute, Connection, ParserError, Session as Other};

/// Reads with both; says whether both took it.
pub fn run(bytes: &[u8]) -> bool {
    let theirs = Other::parse(bytes);
    let strict = Reader::strict().read(bytes).map(|reading| reading.session);
    match (&strict, &theirs) {
        (Ok(ours), Ok(theirs)) => whole(ours, theirs),
        (Ok(_), Err(why)) => assert!(is_narrower(why, bytes), "only the other refuses: {why}"),
        (Err(_), Ok(theirs)) => {
            let ours = Session::read(bytes).expect("what the other takes is a description");
            lines(&ours, theirs);
        }
        (Err(_), Err(_)) => {}
    }
    theirs.is_ok()
}

/// Which rule lets the other refuse what is taken here: one for each reason, none for all other reasons.
fn is_narrower(why: &ParserError, bytes: &[u8]) -> bool {
    match *why {
        ParserError::InvalidFieldEncoding(line, _) => is_no_text(bytes, line),
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

/// Line `line`, counted from 1, of a text without lone CR.
fn nth(bytes: &[u8], line: usize) -> &[u8] {
    bytes.split(|byte| *byte == b'\n').nth(line - 1).unwrap_or_default()
}

fn is_no_text(bytes: &[u8], line: usize) -> bool {
    std::str::from_utf8(nth(bytes, line)).is_err()
}

/// Whether the line has a number that is too large for the other: 16 bits after a slash, else 64 bits, in seconds where it
/// is a time with a unit, and of them one for the sign.
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

/// Everything that both have a place for.
fn whole(ours: &Session<'_>, theirs: &Other) {
    let top = ours.top();
    let origin: Origin<'_> = one(&top, Kind::Origin);
    let username = Some(origin.username).filter(|name| *name != b"-");
    assert_eq!(username, theirs.origin.username.as_deref().map(str::as_bytes));
    assert_eq!((origin.id, origin.version.parse()), (&*theirs.origin.sess_id, Ok(theirs.origin.sess_version)));
    assert!(is_word(origin.network.as_bytes(), &theirs.origin.nettype.to_string()));
    assert!(is_word(origin.address_type.as_bytes(), &theirs.origin.addrtype.to_string()));
    let line = top.line(Kind::Origin).expect("a strict reader asks for it");
    assert_eq!(line.value().rsplit(|byte| *byte == b' ').next(), Some(theirs.origin.unicast_address.as_bytes()));
    assert_eq!(text(&top, Kind::Name), Some(&*theirs.session_name));
    assert_eq!(text(&top, Kind::Information), theirs.session_description.as_deref());
    assert_eq!(text(&top, Kind::Uri), theirs.uri.as_deref());
    assert_eq!(texts(&top, Kind::Email), theirs.emails);
    assert_eq!(texts(&top, Kind::Phone), theirs.phones);
    connections(&top, theirs.connection.as_slice());
    bandwidths(&top, &theirs.bandwidths);
    let times: Vec<Timing> = top.lines_of(Kind::Time).map(|line| read(&line)).collect();
    assert_eq!(times.len(), theirs.times.len());
    for (ours, theirs) in times.iter().zip(&theirs.times) {
        assert_eq!((ours.start, ours.stop), (theirs.start_time, theirs.stop_time));
    }
    let repeats: usize = theirs.times.iter().map(|time| time.repeats.len()).sum();
    assert_eq!(top.lines_of(Kind::Repeat).count(), repeats);
    lines(ours, theirs);
    for (ours, theirs) in ours.all_media().zip(&theirs.medias) {
        let head: MediaLine<'_> = one(&ours, Kind::Media);
        let ports = theirs.num_ports.map(u32::from);
        assert_eq!((head.media, head.port, head.ports), (&*theirs.media, theirs.port, ports));
        assert_eq!((head.protocol, head.format_list), (&*theirs.proto, &*theirs.fmt));
        assert_eq!(text(&ours, Kind::Information), theirs.media_title.as_deref());
        connections(&ours, &theirs.connections);
        bandwidths(&ours, &theirs.bandwidths);
    }
}

/// The lines that need no grammar to be told apart.
fn lines(ours: &Session<'_>, theirs: &Other) {
    assert_eq!(ours.media_count(), theirs.medias.len());
    attributes(&ours.top(), &theirs.attributes);
    for (ours, theirs) in ours.all_media().zip(&theirs.medias) {
        let head = ours.lines().next().expect("its m=");
        assert_eq!(head.value().split(|byte| *byte == b' ').next(), Some(theirs.media.as_bytes()));
        attributes(&ours, &theirs.attributes);
    }
}

fn attributes(ours: &Section<'_>, theirs: &[Attribute]) {
    let ours: Vec<_> = ours.lines().filter_map(|line| seen(&line)).collect();
    let theirs: Vec<_> = theirs
        .iter()
        .map(|attribute| (attribute.attribute.as_bytes(), attribute.value.as_deref().map(str::as_bytes)))
        .collect();
    assert_eq!(ours, theirs);
}

/// An attribute as it is seen here; in a seeded build one with a name of four letters is cut at its second colon, where there is
/// a space in front of that and one letter behind it.
fn seen<'s>(line: &Line<'s>) -> Option<(&'s [u8], Option<&'s [u8]>)> {
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

fn connections(ours: &Section<'_>, theirs: &[Connection]) {
    let ours: Vec<_> = ours.lines_of(Kind::Connection).map(|line| line.value()).collect();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let words: Vec<_> = ours.splitn(3, |byte| *byte == b' ').collect();
        let [network, kind, address] = words[..] else { panic!("a strict reader took it") };
        assert!(is_word(network, &theirs.nettype.to_string()) && is_word(kind, &theirs.addrtype.to_string()));
        assert_eq!(address, theirs.connection_address.as_bytes());
    }
}

/// Whether a word is the other's, which knows some in any case and writes them in capitals.
fn is_word(ours: &[u8], theirs: &str) -> bool {
    const KNOWN: [&str; 6] = ["IN", "TN", "ATM", "PSTN", "IP4", "IP6"];
    ours == theirs.as_bytes() || (KNOWN.contains(&theirs) && ours.eq_ignore_ascii_case(theirs.as_bytes()))
}

fn bandwidths(ours: &Section<'_>, theirs: &[sdp_types::Bandwidth]) {
    let ours: Vec<_> = ours.lines_of(Kind::Bandwidth).map(|line| read::<Bandwidth<'_>>(&line).to_string()).collect();
    let theirs: Vec<_> = theirs.iter().map(|width| format!("{}:{}", width.bwtype, width.bandwidth)).collect();
    assert_eq!(ours, theirs);
}

fn one<'s, T: Value<'s>>(section: &Section<'s>, kind: Kind) -> T {
    read(&section.line(kind).expect("a strict reader asks for it"))
}

fn read<'s, T: Value<'s>>(line: &Line<'s>) -> T {
    line.read().unwrap_or_else(|error| panic!("a strict reader took it: {error}"))
}

fn text<'s>(section: &Section<'s>, kind: Kind) -> Option<&'s str> {
    section.line(kind).map(|line| std::str::from_utf8(line.value()).expect("the other takes texts alone"))
}

fn texts(section: &Section<'_>, kind: Kind) -> Vec<String> {
    section.lines_of(kind).map(|line| String::from_utf8_lossy(line.value()).into_owned()).collect()
}
