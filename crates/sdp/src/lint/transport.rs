//! Transport: ICE (RFC 8839), DTLS (RFC 8842), SCTP (RFC 8841), SDES (RFC 4568) and multiplexed RTCP.

use super::part::{Entry, Head, Part, View, words};
use super::{Report, Rule};
use crate::attribute::{Attribute, Setup};
use crate::candidate::ConnectionAddress;
use crate::line::Kind;
use crate::value::{Address, Connection};
use alloc::collections::BTreeMap;
use core::net::IpAddr;

/// Checks the transport of a part.
pub(super) fn check<'s>(view: &View<'s>, part: &Part<'s>, report: &mut Report<'s>) {
    let mut tags: BTreeMap<u32, usize> = BTreeMap::new();
    for entry in &part.entries {
        match entry.attribute {
            Some(Attribute::Fingerprint(fingerprint)) if is_broken(fingerprint.hash) => {
                report.add(part, Rule::BrokenHash, entry.line, entry.word_mark(0));
            }
            Some(Attribute::Crypto(crypto)) => {
                let line = entry.line.index() + 1;
                let other = *tags.entry(crypto.tag).or_insert(line);
                if other != line {
                    report.add_beside(part, Rule::DuplicateCryptoTag, entry.line, entry.word_mark(0), Some(other));
                }
            }
            _ => {}
        }
    }
    let Some(head) = part.head.filter(|_| part.is_used()) else { return };
    if let (Some(only), false) = (part.first("rtcp-mux-only"), view.has(part, "rtcp-mux")) {
        report.add(part, Rule::MuxOnlyWithoutMux, only.line, only.name_mark());
    }
    ice(view, part, report);
    default_destination(view, part, report, head);
    if head.is_dtls() {
        dtls(view, part, report, head);
    }
    if head.is_sctp() {
        sctp(part, report, head);
    }
}

fn is_broken(hash: &str) -> bool {
    hash.eq_ignore_ascii_case("md5") || hash.eq_ignore_ascii_case("md2")
}

/// Checks the lines of the session that apply to all sections.
pub(super) fn check_session<'s>(view: &View<'s>, report: &mut Report<'s>) {
    let top = &view.top;
    let used = || view.sections.iter().filter(|part| part.head.is_some() && part.is_used());
    if let (Some(pacing), Some(lite)) = (top.first("ice-pacing"), top.first("ice-lite")) {
        let other = Some(lite.line.index() + 1);
        report.add_beside(top, Rule::LitePacing, pacing.line, pacing.name_mark(), other);
    }
    // One half of the session's credentials, which no section completes.
    let half = match (top.first("ice-ufrag"), top.first("ice-pwd")) {
        (Some(half), None) => Some((half, "ice-pwd")),
        (None, Some(half)) => Some((half, "ice-ufrag")),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some((half, _)) = half.filter(|(_, missing)| used().any(|part| !view.has(part, missing))) {
        report.add(top, Rule::HalfIceCredentials, half.line, half.name_mark());
    }
    let has_credentials = half.is_some() || CREDENTIALS.iter().any(|name| view.all().any(|part| part.has(name)));
    let evidence = ["ice-lite", "ice-options", "ice-pacing"].iter().find_map(|name| top.first(name));
    if let (Some(entry), false, true) = (evidence, has_credentials, used().next().is_some()) {
        report.add(top, Rule::IceWithoutCredentials, entry.line, entry.name_mark());
    }
    let is_inherited = || used().any(|part| !part.has("setup") && part.head.is_some_and(|head| head.is_dtls()));
    if let Some(entry) = holds(top).filter(|_| is_inherited()) {
        report.add(top, Rule::HoldConnection, entry.line, entry.word_mark(0));
    }
}

const CREDENTIALS: [&str; 2] = ["ice-ufrag", "ice-pwd"];

/// Returns the first `a=setup`, if it is `holdconn`.
fn holds<'p, 's>(part: &'p Part<'s>) -> Option<&'p Entry<'s>> {
    part.first("setup").filter(|entry| entry.attribute == Some(Attribute::Setup(Setup::HoldConn)))
}

/// Checks that ICE has both credentials.
fn ice<'s>(view: &View<'s>, part: &Part<'s>, report: &mut Report<'s>) {
    let candidate = part.first("candidate");
    if let (Some(mismatch), Some(candidate)) = (part.first("ice-mismatch"), candidate) {
        let other = Some(mismatch.line.index() + 1);
        report.add_beside(part, Rule::MismatchCandidates, candidate.line, candidate.name_mark(), other);
    }
    let own = CREDENTIALS.map(|name| part.has(name) || view.top.has(name));
    let owner = view.owner(part);
    if own == [true, true] || own == [false, false] && CREDENTIALS.iter().all(|name| owner.has(name)) {
        return;
    }
    if own != [false, false] {
        // Half of the session's credentials is reported there.
        if let Some(half) = CREDENTIALS.iter().find_map(|name| part.first(name)) {
            report.add(part, Rule::HalfIceCredentials, half.line, half.name_mark());
        }
    } else if let Some(entry) = candidate {
        report.add(part, Rule::CandidateWithoutCredentials, entry.line, entry.name_mark());
    } else {
        let evidence =
            ["remote-candidates", "end-of-candidates", "ice-options"].iter().find_map(|name| part.first(name));
        if let Some(entry) = evidence {
            report.add(part, Rule::IceWithoutCredentials, entry.line, entry.name_mark());
        }
    }
}

/// Checks that the default destination is a candidate (RFC 8839 §4.2.5). An unspecified address with port 9 means that
/// candidates follow later. A name may stand for any address.
fn default_destination<'s>(view: &View<'s>, part: &Part<'s>, report: &mut Report<'s>, head: Head<'s>) {
    let line = part.section.line(Kind::Connection).or_else(|| view.top.section.line(Kind::Connection));
    let Some(Ok(connection)) = line.map(|line| line.read::<Connection<'s>>()) else { return };
    let address = match connection.address {
        Address::Ip4(address) => IpAddr::V4(address),
        Address::Ip6(address) => IpAddr::V6(address),
        Address::Name(_) | Address::Other(_) => return,
    };
    let port = head.value.port;
    if port == 0 || port == 9 && address.is_unspecified() || part.has("ice-mismatch") {
        return;
    }
    let mut candidates = part.entries.iter().filter_map(|entry| match entry.attribute {
        Some(Attribute::Candidate(candidate)) => Some(Some(candidate)),
        _ if entry.name == b"candidate" => Some(None),
        _ => None,
    });
    let mut count = 0;
    let is_candidate = candidates.any(|candidate| {
        count += 1;
        candidate.is_none_or(|candidate| match candidate.address {
            ConnectionAddress::Ip4(found) => (IpAddr::V4(found), candidate.port) == (address, port),
            ConnectionAddress::Ip6(found) => (IpAddr::V6(found), candidate.port) == (address, port),
            ConnectionAddress::Name(_) | ConnectionAddress::Zoned(_) => true,
        })
    });
    if count > 0 && !is_candidate {
        let mark = words(&head.line).nth(1).map_or(0..0, |(at, word)| at..at + word.len());
        let other = line.map(|line| line.index() + 1);
        report.add_beside(part, Rule::DefaultNotCandidate, head.line, mark, other);
    }
}

fn dtls<'s>(view: &View<'s>, part: &Part<'s>, report: &mut Report<'s>, head: Head<'s>) {
    if !view.has(part, "fingerprint") {
        report.add(part, Rule::NoFingerprint, head.line, head.protocol());
    }
    if !view.has(part, "setup") {
        report.add(part, Rule::NoSetup, head.line, head.protocol());
    }
    if let Some(entry) = holds(part) {
        report.add(part, Rule::HoldConnection, entry.line, entry.word_mark(0));
    }
}

fn sctp<'s>(part: &Part<'s>, report: &mut Report<'s>, head: Head<'s>) {
    if !part.has("sctp-port") {
        report.add(part, Rule::NoSctpPort, head.line, head.protocol());
    }
    if let Some((at, format)) = head.formats().nth(1) {
        report.add(part, Rule::SctpFormats, head.line, at..at + format.len());
    }
    if head.value.media != "application" {
        let mark = words(&head.line).next().map_or(0..0, |(at, word)| at..at + word.len());
        report.add(part, Rule::SctpMedia, head.line, mark);
    }
}
