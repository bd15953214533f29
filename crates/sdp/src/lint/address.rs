//! Addresses: domain names that no resolver accepts, and the number of addresses of `c=`.

use super::part::{Part, words};
use super::{Report, Rule};
use crate::attribute::Attribute;
use crate::candidate::ConnectionAddress;
use crate::line::{Kind, Line};
use crate::value::{Address, Connection, Origin};
use core::ops::Range;

/// Checks the addresses of a part.
pub(super) fn check<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    if let Some(line) = part.section.line(Kind::Origin) {
        let address = line.read::<Origin<'s>>().ok().map(|origin| origin.address);
        check_name(part, report, line, address.and_then(name), 5);
    }
    connections(part, report);
    for entry in &part.entries {
        let (name, word) = match entry.attribute {
            Some(Attribute::Rtcp(rtcp)) => (rtcp.address.and_then(|found| name(found.address)), 3),
            Some(Attribute::Candidate(candidate)) => match candidate.address {
                ConnectionAddress::Name(name) => (Some(name), 4),
                ConnectionAddress::Ip4(_) | ConnectionAddress::Ip6(_) | ConnectionAddress::Zoned(_) => continue,
            },
            _ => continue,
        };
        check_name(part, report, entry.line, name, word);
    }
}

fn connections<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    let mut first = None;
    for line in part.section.lines_of(Kind::Connection) {
        let Ok(connection) = line.read::<Connection<'s>>() else { continue };
        check_name(part, report, line, name(connection.address), 2);
        if part.media.is_none() && connection.count.is_some_and(|count| count > 1) {
            report.add(part, Rule::SessionAddresses, line, word(&line, 2));
        }
        match first {
            None => first = Some(line.index() + 1),
            Some(other) if part.media.is_some() && !is_multicast(connection.address) => {
                report.add_beside(part, Rule::UnicastAddresses, line, word(&line, 2), Some(other));
            }
            Some(_) => {}
        }
    }
}

fn check_name<'s>(part: &Part<'s>, report: &mut Report<'s>, line: Line<'s>, name: Option<&str>, index: usize) {
    if name.is_some_and(|name| !is_domain_name(name)) {
        report.add(part, Rule::InvalidName, line, word(&line, index));
    }
}

fn word(line: &Line<'_>, index: usize) -> Range<usize> {
    words(line).nth(index).map_or(0..line.text().len(), |(at, word)| at..at + word.len())
}

const fn name(address: Address<'_>) -> Option<&str> {
    match address {
        Address::Name(name) => Some(name),
        Address::Ip4(_) | Address::Ip6(_) | Address::Other(_) => None,
    }
}

fn is_multicast(address: Address<'_>) -> bool {
    match address {
        Address::Ip4(address) => address.is_multicast(),
        Address::Ip6(address) => address.is_multicast(),
        // A name may stand for a multicast address.
        Address::Name(_) | Address::Other(_) => true,
    }
}

/// Returns whether a name has the form of RFC 1035 §2.3.1, with the digits of RFC 1123 §2.1. The last label is not all
/// digits: such a name is an IPv4 address with an error.
pub(crate) fn is_domain_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let is_inside = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len())
            && is_inside
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_number = name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && !is_number && name.split('.').all(is_label)
}
