//! The grammar of candidates beside a reading that splits at spaces: the same verdict and the same fields, in every form in
//! which a candidate comes: alone, after `candidate:`, as a line, and as a line of a description.

use super::within;
use crate::SEEDED;
use portolan_sdp::candidate::{Candidate, ConnectionAddress, Deviation, Prefix};
use portolan_sdp::{Attribute, Session, Value, ValueError};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

/// Reads in all forms; says whether it was a candidate.
pub fn run(bytes: &[u8]) -> bool {
    let is_one = alone(bytes);
    let (_, value) = Prefix::of(bytes);
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let read = Candidate::parse(value);
    assert_eq!(read.is_ok(), is_one);
    assert_eq!(Attribute::parse(b"candidate", Some(value)), read.map(Attribute::Candidate));
    let book = by_the_book(value);
    match (&read, &book) {
        (Ok(read), Some(book)) => assert_eq!(fields(read), *book),
        (Err(_), None) => {}
        (read, book) => panic!("{read:?}, by the book {book:?}: {}", value.escape_ascii()),
    }
    forms(value, read);
    strictly(value, read);
    is_one
}

/// A candidate that came alone: what is read is written so that it reads the same, owned too, and strictly if it was so.
pub(super) fn alone(text: &[u8]) -> bool {
    let (prefix, candidate) = match Candidate::trickled(text) {
        Ok(read) => read,
        Err(error) => {
            within::place(text, error);
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

/// A candidate as it is written; in a seeded build the lone name at the end of a TCP candidate with an IPv6 `raddr` is lost.
fn written(candidate: &Candidate<&str>) -> String {
    let mut text = candidate.to_string();
    let is_six = matches!(candidate.related, Some((ConnectionAddress::Ip6(_), _)));
    let is_lone = candidate.deviations().any(|deviation| deviation == Deviation::LoneExtension);
    if SEEDED && is_six && is_lone && candidate.tcp_type.is_some() {
        text.truncate(text.rfind(' ').unwrap_or_default());
    }
    text
}

/// With each prefix and each line ending it is the same candidate, or the same error as far behind it.
fn forms(value: &[u8], read: Result<Candidate<&str>, ValueError>) {
    let mut form = Vec::with_capacity(value.len() + 24);
    for prefix in [Prefix::Bare, Prefix::Name, Prefix::Line] {
        for ending in ["", "\r\n", "\n", "\r"] {
            form.clear();
            form.extend_from_slice(prefix.as_str().as_bytes());
            form.extend_from_slice(value);
            form.extend_from_slice(ending.as_bytes());
            // What is left of two prefixes, or of two endings, may be one.
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
    assert_eq!(typed.map(|typed| typed.map_err(|told| told.error)), Some(read.map(Attribute::Candidate)));
}

/// Strictly it is read where nothing deviates, and else refused at the first deviation, each of which can be said.
fn strictly(value: &[u8], read: Result<Candidate<&str>, ValueError>) {
    let strict = Candidate::strict(value);
    let Ok(candidate) = read else { return assert_eq!(strict, read) };
    let mut said = String::new();
    let mut last = None;
    for deviation in candidate.deviations() {
        let place = Deviation::ALL.iter().position(|known| *known == deviation);
        assert!(place > last, "{deviation:?} is out of its order");
        last = place;
        write!(said, "{deviation}").expect("a text takes all");
    }
    assert_eq!(said.is_empty(), last.is_none());
    match (strict, candidate.deviations().next()) {
        (Ok(strict), None) => assert_eq!(strict, candidate),
        (Err(error), Some(deviation)) => {
            within::place(value, error);
            assert_eq!(error.clause, deviation.clause());
        }
        (strict, deviation) => panic!("{strict:?} with {deviation:?}"),
    }
}

/// What both readings see.
#[derive(Debug, PartialEq, Eq)]
struct Fields<'a> {
    foundation: &'a str,
    component: u64,
    transport: String,
    priority: u64,
    address: Place<'a>,
    port: u64,
    kind: String,
    related: Option<(Place<'a>, u64)>,
    tcp_type: Option<String>,
    /// Names and values, a last name without one too.
    extensions: Vec<(&'a str, &'a str)>,
}

/// An address, or the word that stands for it.
type Place<'a> = Result<IpAddr, &'a str>;

/// The fields as the grammar reads them.
fn fields<'a>(candidate: &'a Candidate<&'a str>) -> Fields<'a> {
    fn place<'a>(address: &ConnectionAddress<&'a str>) -> Place<'a> {
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
        address: place(&candidate.address),
        port: candidate.port.into(),
        kind: candidate.candidate_type.to_string().to_ascii_lowercase(),
        related: candidate.related.as_ref().map(|(address, port)| (place(address), u64::from(*port))),
        tcp_type: candidate.tcp_type.map(|kind| kind.to_string()),
        extensions: candidate.extensions.iter().collect(),
    }
}

/// The fields of RFC 8839 §5.1, split at spaces.
fn by_the_book(value: &[u8]) -> Option<Fields<'_>> {
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
            (Some((place(address, true)?, number(port, 99, 65_535)?)), rest)
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
        address: place(address, false)?,
        port: number(port, 99, 65_535)?,
        kind: is_token(kind).then(|| kind.to_ascii_lowercase())?,
        related,
        tcp_type,
        extensions,
    })
}

/// RFC 8866 §9, `token`.
fn is_token(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte))
}

/// Up to so many digits, and no more than so much; of a port any number of zeros may stand in front.
fn number(word: &str, digits: usize, most: u64) -> Option<u64> {
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let significant = word.trim_start_matches('0');
    let value = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    (is_number && (digits == 99 || word.len() <= digits) && value <= most).then_some(value)
}

fn place(word: &str, is_related: bool) -> Option<Place<'_>> {
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
