//! Compares the candidate parser with a reference parser that splits at spaces: the same result and the same fields,
//! in every form of a candidate. The forms are: alone, after `candidate:`, as a line, and as a line of a description.

use super::position;
use crate::SEEDED;
use portolan_sdp::candidate::{Candidate, ConnectionAddress, Deviation, Prefix};
use portolan_sdp::{Attribute, Session, Value, ValueError};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

/// Parses the bytes in all forms. Returns whether they are a candidate.
pub fn run(bytes: &[u8]) -> bool {
    let is_one = check_trickled(bytes);
    let (_, value) = Prefix::of(bytes);
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let read = Candidate::parse(value);
    assert_eq!(read.is_ok(), is_one);
    assert_eq!(Attribute::parse(b"candidate", Some(value)), read.map(Attribute::Candidate));
    let reference = reference_parse(value);
    match (&read, &reference) {
        (Ok(read), Some(reference)) => assert_eq!(fields(read), *reference),
        (Err(_), None) => {}
        (read, reference) => panic!("{read:?}, but the reference has {reference:?}: {}", value.escape_ascii()),
    }
    check_forms(value, read);
    check_strict(value, read);
    is_one
}

/// Checks a candidate outside a description: written and parsed again it is equal, also the owned form, and also for
/// the strict parser if nothing deviates. Returns whether the text is a candidate.
pub(super) fn check_trickled(text: &[u8]) -> bool {
    let (prefix, candidate) = match Candidate::trickled(text) {
        Ok(read) => read,
        Err(error) => {
            position::check(text, error);
            return false;
        }
    };
    let written = written(&candidate);
    assert_eq!(Candidate::trickled(written.as_bytes()), Ok((Prefix::Bare, candidate)), "{prefix:?}");
    let owned = candidate.to_owned();
    assert_eq!(owned.borrowed(), candidate);
    assert_eq!(owned.to_string(), candidate.to_string());
    assert_eq!(written.parse().as_ref(), Ok(&owned));
    let is_strict = candidate.deviations().next().is_none();
    assert_eq!(Candidate::strict(written.as_bytes()).is_ok(), is_strict, "{candidate:?}");
    assert_eq!(owned.checked().is_ok(), is_strict, "{candidate:?}");
    true
}

/// Writes a candidate. The seeded bug: the lone name at the end of a TCP candidate with an IPv6 `raddr` is not
/// written.
fn written(candidate: &Candidate<&str>) -> String {
    let mut text = candidate.to_string();
    let is_six = matches!(candidate.related, Some((ConnectionAddress::Ip6(_), _)));
    let is_lone = candidate.deviations().any(|deviation| deviation == Deviation::LoneExtension);
    if SEEDED && is_six && is_lone && candidate.tcp_type.is_some() {
        text.truncate(text.rfind(' ').unwrap_or_default());
    }
    text
}

/// Checks that the value has the same candidate, or the same error at the same place, with each prefix and each line
/// ending.
fn check_forms(value: &[u8], read: Result<Candidate<&str>, ValueError>) {
    let mut form = Vec::with_capacity(value.len() + 24);
    for prefix in [Prefix::Bare, Prefix::Name, Prefix::Line] {
        for ending in ["", "\r\n", "\n", "\r"] {
            form.clear();
            form.extend_from_slice(prefix.as_str().as_bytes());
            form.extend_from_slice(value);
            form.extend_from_slice(ending.as_bytes());
            // A value that begins with a prefix or ends with a line ending would have two of them.
            if Prefix::of(&form).0 != prefix || value.ends_with(b"\r") || value.ends_with(b"\n") {
                continue;
            }
            let expected = match read {
                Ok(candidate) => Ok((prefix, candidate)),
                Err(error) => Err(ValueError { at: error.at + prefix.as_str().len(), ..error }),
            };
            assert_eq!(Candidate::trickled(&form), expected, "{}", form.escape_ascii());
        }
    }
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return;
    }
    form.clear();
    form.extend_from_slice(b"v=0\r\na=candidate:");
    form.extend_from_slice(value);
    let session = Session::read(&form).expect("it has a version");
    let typed = session.line(1).and_then(|line| line.typed());
    assert_eq!(typed.map(|typed| typed.map_err(|error| error.error)), Some(read.map(Attribute::Candidate)));
}

/// Checks that the strict parser accepts a candidate without deviations and refuses any other at the first deviation.
/// Each deviation has a text.
fn check_strict(value: &[u8], read: Result<Candidate<&str>, ValueError>) {
    let strict = Candidate::strict(value);
    let Ok(candidate) = read else { return assert_eq!(strict, read) };
    let mut text = String::new();
    let mut last = None;
    for deviation in candidate.deviations() {
        let place = Deviation::ALL.iter().position(|known| *known == deviation);
        assert!(place > last, "{deviation:?} is out of its order");
        last = place;
        write!(text, "{deviation}").expect("writing to a string cannot fail");
    }
    assert_eq!(text.is_empty(), last.is_none());
    match (strict, candidate.deviations().next()) {
        (Ok(strict), None) => assert_eq!(strict, candidate),
        (Err(error), Some(deviation)) => {
            position::check(value, error);
            assert_eq!(error.clause, deviation.clause());
        }
        (strict, deviation) => panic!("{strict:?} with {deviation:?}"),
    }
}

/// The fields of a candidate, which both parsers return.
#[derive(Debug, PartialEq, Eq)]
struct Fields<'a> {
    foundation: &'a str,
    component: u64,
    transport: String,
    priority: u64,
    address: Address<'a>,
    port: u64,
    kind: String,
    related: Option<(Address<'a>, u64)>,
    tcp_type: Option<String>,
    /// Names and values. The last name may have an empty value.
    extensions: Vec<(&'a str, &'a str)>,
}

/// An IP address, or the word in its field.
type Address<'a> = Result<IpAddr, &'a str>;

/// Returns the fields of a parsed candidate.
fn fields<'a>(candidate: &'a Candidate<&'a str>) -> Fields<'a> {
    fn to_address<'a>(address: &ConnectionAddress<&'a str>) -> Address<'a> {
        match address {
            ConnectionAddress::Ip4(ip) => Ok((*ip).into()),
            ConnectionAddress::Ip6(ip) => Ok((*ip).into()),
            ConnectionAddress::Name(text) | ConnectionAddress::Zoned(text) => Err(text),
        }
    }
    Fields {
        foundation: candidate.foundation,
        component: candidate.component.into(),
        transport: candidate.transport.to_string().to_ascii_lowercase(),
        priority: candidate.priority.into(),
        address: to_address(&candidate.address),
        port: candidate.port.into(),
        kind: candidate.candidate_type.to_string().to_ascii_lowercase(),
        related: candidate.related.as_ref().map(|(address, port)| (to_address(address), u64::from(*port))),
        tcp_type: candidate.tcp_type.map(|kind| kind.to_string()),
        extensions: candidate.extensions.iter().collect(),
    }
}

/// Parses the fields of RFC 8839 §5.1 by splitting at spaces.
fn reference_parse(value: &[u8]) -> Option<Fields<'_>> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii())?;
    let words: Vec<&str> = text.split(' ').collect();
    let [foundation, component, transport, priority, address, port, typ, kind, rest @ ..] = &words[..] else {
        return None;
    };
    let is_ice = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    if foundation.len() > 32 || !foundation.bytes().all(is_ice) || !typ.eq_ignore_ascii_case("typ") {
        return None;
    }
    let (related, rest) = match rest {
        [raddr, address, rport, port, rest @ ..]
            if raddr.eq_ignore_ascii_case("raddr") && rport.eq_ignore_ascii_case("rport") =>
        {
            (Some((parse_address(address, true)?, number(port, 99, 65_535)?)), rest)
        }
        [raddr, ..] if raddr.eq_ignore_ascii_case("raddr") => return None,
        rest => (None, rest),
    };
    let (mut tcp_type, mut extensions) = (None, Vec::new());
    for pair in rest.chunks(2) {
        let (name, value) = (pair[0], pair.get(1));
        if !is_token(name) || value.is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic())) {
            return None;
        }
        if name.eq_ignore_ascii_case("tcptype") {
            let kind = value?.to_ascii_lowercase();
            let is_known = ["active", "passive", "so"].contains(&&*kind);
            if !is_known || tcp_type.replace(kind).is_some() {
                return None;
            }
        } else {
            extensions.push((name, value.copied().unwrap_or_default()));
        }
    }
    Some(Fields {
        foundation,
        component: number(component, 3, 256)?,
        transport: is_token(transport).then(|| transport.to_ascii_lowercase())?,
        priority: number(priority, 10, u64::from(u32::MAX))?,
        address: parse_address(address, false)?,
        port: number(port, 99, 65_535)?,
        kind: is_token(kind).then(|| kind.to_ascii_lowercase())?,
        related,
        tcp_type,
        extensions,
    })
}

/// Whether the word is a `token` (RFC 8866 §9).
fn is_token(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte))
}

/// Parses a number of at most `digits` digits that is at most `most`. A port (`digits` is 99) may have any number of
/// leading zeros.
fn number(word: &str, digits: usize, most: u64) -> Option<u64> {
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let significant = word.trim_start_matches('0');
    let value = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    (is_number && (digits == 99 || word.len() <= digits) && value <= most).then_some(value)
}

fn parse_address(word: &str, is_related: bool) -> Option<Address<'_>> {
    if let Ok(ip) = word.parse::<IpAddr>() {
        return Some(Ok(ip));
    }
    let is_zoned = word.split_once('%').is_some_and(|(address, zone)| {
        address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let is_name = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let is_broken = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (is_zoned || (is_name && (is_related || !is_broken))).then_some(Err(word))
}
