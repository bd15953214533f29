//! The findings of an audit, made from its evidence.
//!
//! Rules of this file: pure. A wrong response is a violation. A missing response is a violation only if loss, filters
//! and NATs on the path cannot be the reason. Otherwise the outcome is unknown.

use crate::evidence::{Evidence, LocalSocket, ProbeRecord, Stream};
use crate::probe::{self, Probe, UNKNOWN_REQUIRED};
use crate::report::{Amplification, ControlStats, Credentials, Finding, Report};
use crate::{Check, Implausible, Outcome, UnknownReason, Violation};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_stun::{Class, ErrorCode, Message};
use portolan_stun_agent::nonce::Features;

mod behaviour;

/// Makes the report.
pub(crate) fn report(evidence: &Evidence, elapsed: Duration) -> Report {
    let amplification = amplification(evidence);
    let findings = Check::all().map(|check| Finding { check, outcome: outcome(evidence, check, &amplification) });
    let software = evidence.success(Probe::Control).and_then(|(_, message)| message.software());
    let (lost, sent) = lost(evidence);
    Report {
        server: evidence.server,
        local: evidence.locals.first().copied().flatten().unwrap_or(evidence.server),
        mapped: evidence.mapped(Probe::Control),
        control: ControlStats { sent, lost, rtt: evidence.rtt },
        traffic: evidence.traffic,
        software: software.map(|text| text.to_string().into()),
        credentials: unauthenticated(evidence, Probe::Control).map(|message| challenge(&message)),
        findings: findings.collect(),
        amplification,
        elapsed,
    }
}

fn outcome(evidence: &Evidence, check: Check, amplification: &[Amplification]) -> Outcome {
    match check {
        Check::Binding => binding(evidence),
        Check::TransactionId => transaction_id(evidence),
        Check::Source => source(evidence),
        Check::XorMappedAddress => xor_mapped_address(evidence),
        Check::Retransmission => retransmission(evidence),
        Check::OneResponse => one_response(evidence),
        Check::Fingerprint => fingerprint(evidence),
        Check::WrongFingerprint => wrong_fingerprint(evidence),
        Check::AfterFingerprint => after_fingerprint(evidence),
        Check::UnknownRequired => unknown_required(evidence),
        Check::UnknownOptional => unknown_optional(evidence),
        Check::UnknownMethod => no_response(evidence, Probe::UnknownMethod),
        Check::Indication => no_response(evidence, Probe::Indication),
        Check::Response => no_response(evidence, Probe::Response),
        Check::Truncated => no_response(evidence, Probe::Truncated),
        Check::OddLength => no_response(evidence, Probe::OddLength),
        Check::Garbage => no_response(evidence, Probe::Garbage),
        Check::Software => software(evidence),
        Check::Tcp => tcp(evidence),
        Check::Classic => classic(evidence),
        Check::Credentials => credentials(evidence),
        Check::Amplification => largest_amplification(evidence, amplification),
        Check::MappedAddress => behaviour::mapped_address(evidence),
        Check::ResponseOrigin => behaviour::response_origin(evidence),
        Check::OtherAddress => behaviour::other_address(evidence),
        Check::Alternates => behaviour::alternates_answer(evidence),
        Check::ChangePort => behaviour::change(evidence, Probe::ChangePort),
        Check::ChangeAddress => behaviour::change(evidence, Probe::ChangeAddress),
        Check::ChangeBoth => behaviour::change(evidence, Probe::ChangeBoth),
        Check::ResponsePort => behaviour::response_port(evidence),
        Check::Padding => behaviour::padding(evidence),
        Check::PaddingAndResponsePort => behaviour::padding_and_response_port(evidence),
    }
}

/// OTHER-ADDRESS, if it is a possible address.
pub(crate) fn alternates(evidence: &Evidence) -> Option<SocketAddr> {
    let other = evidence.other_address()?;
    implausible(evidence.server, other).is_none().then_some(other)
}

/// The reason for which `other` cannot be the other address of `server` (RFC 5780 §6, §7.4).
fn implausible(server: SocketAddr, other: SocketAddr) -> Option<Implausible> {
    if server.is_ipv4() != other.is_ipv4() {
        Some(Implausible::Family)
    } else if is_no_host(other.ip()) || other.port() == 0 || (is_local(other.ip()) && !is_local(server.ip())) {
        Some(Implausible::NotGlobal)
    } else if server.ip() == other.ip() {
        Some(Implausible::SameAddress)
    } else if server.port() == other.port() {
        Some(Implausible::SamePort)
    } else {
        None
    }
}

/// Whether no single host can have the address.
fn is_no_host(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// Whether the address is not globally unique (RFC 1918, RFC 6598, RFC 4193, loopback, link-local).
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The number of sends of the control without a response, and the number of all its sends.
fn lost(evidence: &Evidence) -> (u32, u32) {
    let control = evidence.record(Probe::Control);
    control.map_or((0, 0), |record| (record.sends.saturating_sub(record.replies), record.sends))
}

/// The largest probability of the loss of all sends at which a missing response still counts.
const MAX_LOSS_PROBABILITY: f64 = 0.001;

/// Whether the loss of all of `sends` sends is likely.
///
/// The estimate of the loss rate is Laplace's rule of succession: after a few sends without loss the rate is not 0.
fn may_be_lost(evidence: &Evidence, sends: u32) -> bool {
    let (lost, sent) = lost(evidence);
    let rate = f64::from(lost + 1) / f64::from(sent + 2);
    let all = (0..sends).fold(1.0, |all, _| all * rate);
    all > MAX_LOSS_PROBABILITY
}

/// The reason for which no missing response can be judged; `None` if the control was answered with success.
fn unknown_reason(evidence: &Evidence) -> Option<UnknownReason> {
    let control = evidence.record(Probe::Control);
    if evidence.traffic.received == 0 {
        return Some(UnknownReason::Silent);
    }
    if evidence.success(Probe::Control).is_some() {
        return None;
    }
    Some(match control.and_then(ProbeRecord::error) {
        Some(ErrorCode::UNAUTHENTICATED) => UnknownReason::Credentials,
        Some(ErrorCode::TRY_ALTERNATE) => UnknownReason::Redirected,
        Some(_) | None => UnknownReason::NoBinding,
    })
}

/// The outcome of a missing response that the clause requires.
fn missing_response(evidence: &Evidence, sends: u32) -> Outcome {
    match unknown_reason(evidence) {
        Some(why) => Outcome::Unknown(why),
        None if may_be_lost(evidence, sends) => Outcome::Unknown(UnknownReason::Loss),
        None => Outcome::Violated(Violation::NotAnswered),
    }
}

/// The outcome of an error response to a valid request.
const fn refused(code: u16) -> Outcome {
    match code {
        ErrorCode::UNAUTHENTICATED => Outcome::Unknown(UnknownReason::Credentials),
        ErrorCode::TRY_ALTERNATE => Outcome::Unknown(UnknownReason::Redirected),
        code => Outcome::Violated(Violation::Error(code)),
    }
}

/// The outcome of a probe without a success response.
fn no_success(evidence: &Evidence, record: &ProbeRecord) -> Outcome {
    match (record.error(), record.replies) {
        (Some(code), _) => match unknown_reason(evidence) {
            Some(why) => Outcome::Unknown(why),
            None => refused(code),
        },
        (None, 0) => missing_response(evidence, record.sends),
        // The check for Binding reports the violation.
        (None, _) if unknown_reason(evidence).is_some() => Outcome::Unknown(UnknownReason::NoBinding),
        (None, _) => Outcome::Violated(Violation::Unreadable),
    }
}

/// The record of a probe that was sent, or the outcome if the probe was not sent.
fn sent_record(evidence: &Evidence, probe: Probe) -> Result<&ProbeRecord, Outcome> {
    let not_sent = Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::NotAsked));
    evidence.record(probe).filter(|record| record.sends > 0).ok_or(not_sent)
}

fn binding(evidence: &Evidence) -> Outcome {
    let Some(control) = evidence.record(Probe::Control) else { return Outcome::Unknown(UnknownReason::NotAsked) };
    if control.successes().next().is_some() {
        return Outcome::Honoured;
    }
    if let Some(code) = control.error() {
        return refused(code);
    }
    let echoed = control.messages().any(|(_, message)| message.class() == Class::Request);
    match (echoed, control.replies, evidence.unmatched.unreadable, evidence.unmatched.responses) {
        (true, ..) => Outcome::Violated(Violation::Echo),
        (_, 1.., ..) | (_, _, 1.., _) => Outcome::Violated(Violation::Unreadable),
        (.., 1..) => Outcome::Violated(Violation::NotAnswered),
        _ => Outcome::Unknown(UnknownReason::Silent),
    }
}

fn transaction_id(evidence: &Evidence) -> Outcome {
    match unknown_reason(evidence) {
        _ if evidence.unmatched.responses > 0 => Outcome::Violated(Violation::Wrong),
        Some(why) => Outcome::Unknown(why),
        None => Outcome::Honoured,
    }
}

/// The response to a bare request comes from the destination of the request (RFC 8489 §6.3.1.2).
fn source(evidence: &Evidence) -> Outcome {
    let bare = [Probe::Control, Probe::Second, Probe::UnknownRequired, Probe::UnknownOptional];
    let mut routes = bare.iter().filter_map(|probe| evidence.record(*probe)).flat_map(|record| {
        record.messages().filter(|(_, message)| message.class().is_response()).map(|(reply, _)| (reply.from, record.to))
    });
    let wrong = routes.clone().find(|(from, to)| from != to);
    match (wrong, routes.next(), unknown_reason(evidence)) {
        (Some((from, _)), ..) => Outcome::Violated(Violation::From(from)),
        (None, Some(_), _) => Outcome::Honoured,
        (None, None, why) => Outcome::Unknown(why.unwrap_or(UnknownReason::NoBinding)),
    }
}

fn xor_mapped_address(evidence: &Evidence) -> Outcome {
    let Some((_, message)) = evidence.success(Probe::Control) else {
        return Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::NoBinding));
    };
    let Some(mapped) = message.xor_mapped_address() else {
        let only = message.mapped_address().map_or(Violation::Missing, |_| Violation::OnlyMapped);
        return Outcome::Violated(only);
    };
    // There is no NAT on loopback. A mapped address has the family of the request, and its port is not 0.
    let local = evidence.locals.first().copied().flatten();
    let differs_on_loopback = evidence.server.ip().is_loopback() && local.is_some_and(|local| local != mapped);
    if differs_on_loopback
        || mapped.is_ipv4() != evidence.server.is_ipv4()
        || mapped.port() == 0
        || is_no_host(mapped.ip())
    {
        return Outcome::Violated(Violation::WrongAddress(mapped));
    }
    // No NAT maps two sockets to one external address and port towards one server, because the NAT could not
    // distinguish the responses.
    let second = evidence.success(Probe::Second).and_then(|(_, message)| message.xor_mapped_address());
    if second == Some(mapped) {
        return Outcome::Violated(Violation::SameForTwo(mapped));
    }
    Outcome::Honoured
}

fn retransmission(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::Control) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    let mapped = |message: &Message<'_>| message.xor_mapped_address().or_else(|| message.mapped_address());
    let mut answers = record.successes().map(|(_, message)| mapped(&message));
    let Some(first) = answers.next() else {
        return Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::NoBinding));
    };
    if answers.any(|other| other != first) {
        return Outcome::Violated(Violation::Differs);
    }
    // A request without a response may be lost.
    let (lost, sent) = lost(evidence);
    if lost * 4 >= sent { Outcome::Unknown(UnknownReason::Loss) } else { Outcome::Honoured }
}

fn one_response(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::Control) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    let (requests, replies) = (record.sends, record.replies);
    // The network may duplicate a few packets. A server that responds twice duplicates each response.
    if replies >= 3 && replies * 2 >= requests * 3 {
        return Outcome::Violated(Violation::Several { requests, replies });
    }
    unknown_reason(evidence).map_or(Outcome::Honoured, Outcome::Unknown)
}

fn fingerprint(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::Fingerprint) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    match record.successes().next() {
        None => no_success(evidence, record),
        // A usage need not have FINGERPRINT (RFC 8489 §7, §12).
        Some((_, message)) if !message.has_fingerprint() => Outcome::NotSupported,
        Some((_, message)) if message.check_fingerprint().is_err() => Outcome::Violated(Violation::Wrong),
        Some(_) => Outcome::Honoured,
    }
}

/// A server that does not support FINGERPRINT ignores it. Another server must drop a request with a wrong
/// FINGERPRINT.
fn wrong_fingerprint(evidence: &Evidence) -> Outcome {
    match (no_response(evidence, Probe::WrongFingerprint), fingerprint(evidence)) {
        (Outcome::Violated(_), Outcome::NotSupported) => Outcome::NotSupported,
        (Outcome::Violated(_), Outcome::Unknown(why)) => Outcome::Unknown(why),
        (outcome, _) => outcome,
    }
}

/// Such a request is malformed. A server may drop it, refuse it, or ignore the attributes after FINGERPRINT.
fn after_fingerprint(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::AfterFingerprint) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    match (unknown_reason(evidence), record.error(), fingerprint(evidence)) {
        (Some(why), ..) => Outcome::Unknown(why),
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE), Outcome::NotSupported) => Outcome::NotSupported,
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE), Outcome::Unknown(why)) => Outcome::Unknown(why),
        (None, Some(code @ ErrorCode::UNKNOWN_ATTRIBUTE), _) => Outcome::Violated(Violation::Error(code)),
        (None, None, _) if record.replies == 0 && may_be_lost(evidence, record.sends) => {
            Outcome::Unknown(UnknownReason::Loss)
        }
        (None, ..) => Outcome::Honoured,
    }
}

fn unknown_required(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::UnknownRequired) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    if record.successes().next().is_some() {
        return Outcome::Violated(Violation::Ignored);
    }
    let mut errors = record.messages().filter(|(_, message)| message.class() == Class::ErrorResponse);
    let is_420 = |message: &Message<'_>| message.error_code().is_some_and(|e| e.code() == ErrorCode::UNKNOWN_ATTRIBUTE);
    match errors.next() {
        Some((_, message)) if is_420(&message) => {
            let listed =
                message.unknown_attributes().is_some_and(|list| list.iter().any(|kind| kind == UNKNOWN_REQUIRED));
            if listed { Outcome::Honoured } else { Outcome::Violated(Violation::Missing) }
        }
        _ => no_success(evidence, record),
    }
}

fn unknown_optional(evidence: &Evidence) -> Outcome {
    match sent_record(evidence, Probe::UnknownOptional) {
        Ok(record) if record.successes().next().is_some() => Outcome::Honoured,
        Ok(record) => no_success(evidence, record),
        Err(outcome) => outcome,
    }
}

/// The outcome of a probe that must not be answered. A missing response counts only if other responses arrive.
fn no_response(evidence: &Evidence, probe: Probe) -> Outcome {
    match (sent_record(evidence, probe), unknown_reason(evidence)) {
        (Err(outcome), _) => outcome,
        (Ok(record), _) if record.replies > 0 => Outcome::Violated(Violation::Answered),
        (Ok(_), Some(why)) => Outcome::Unknown(why),
        (Ok(record), None) if may_be_lost(evidence, record.sends) => Outcome::Unknown(UnknownReason::Loss),
        (Ok(_), None) => Outcome::Honoured,
    }
}

fn software(evidence: &Evidence) -> Outcome {
    match evidence.success(Probe::Control) {
        Some((_, message)) if message.software().is_some() => Outcome::Honoured,
        Some(_) => Outcome::NotSupported,
        None => Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::NoBinding)),
    }
}

fn tcp(evidence: &Evidence) -> Outcome {
    match &evidence.stream {
        Stream::NotAsked => Outcome::Unknown(UnknownReason::NotAsked),
        // The connection was neither accepted nor refused. A firewall may be the reason.
        Stream::Pending => Outcome::Unknown(UnknownReason::Filter),
        Stream::Refused => Outcome::NotSupported,
        Stream::Open => Outcome::Violated(Violation::NotAnswered),
        Stream::Broken => Outcome::Violated(Violation::Unreadable),
        Stream::Answered(bytes) => match Message::decode(bytes) {
            Err(_) => Outcome::Violated(Violation::Unreadable),
            Ok(message) => match message.error_code() {
                Some(error) => refused(error.code()),
                None if message.xor_mapped_address().is_some() => Outcome::Honoured,
                None => Outcome::Violated(Violation::Missing),
            },
        },
    }
}

/// A server need not answer requests of RFC 3489 (RFC 8489 §11).
fn classic(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::Classic) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    let answers = record.kept.iter().map(|reply| (probe::classic_answer(&reply.bytes, record.id), &reply.bytes));
    let mut answers = answers.map(|(answer, bytes)| match answer {
        Some(true) => Outcome::Honoured,
        Some(false) => Outcome::Violated(Violation::Missing),
        // A response with the magic cookie does not have the 16-byte id of the request.
        None if probe::has_cookie(bytes) => Outcome::Violated(Violation::Wrong),
        None => Outcome::Violated(Violation::Unreadable),
    });
    match (answers.next(), unknown_reason(evidence)) {
        (_, Some(why)) => Outcome::Unknown(why),
        (Some(outcome), None) => outcome,
        (None, None) if may_be_lost(evidence, record.sends) => Outcome::Unknown(UnknownReason::Loss),
        (None, None) => Outcome::NotSupported,
    }
}

/// Whether the 401 has all attributes that the next request needs, without contradiction (RFC 8489 §9.2.4).
fn credentials(evidence: &Evidence) -> Outcome {
    let Some(message) = unauthenticated(evidence, Probe::Control) else {
        return unknown_reason(evidence).map_or(Outcome::NotSupported, Outcome::Unknown);
    };
    let (Some(_), Some(nonce)) = (message.realm(), message.nonce()) else {
        return Outcome::Violated(Violation::Missing);
    };
    // A server of RFC 5389 has no nonce cookie, and so neither feature bits nor PASSWORD-ALGORITHMS.
    let announced = Features::of(nonce.as_bytes()).is_some_and(|bits| bits.contains(Features::PASSWORD_ALGORITHMS));
    if announced != message.password_algorithms().is_some() {
        return Outcome::Violated(Violation::FeatureBit);
    }
    let second = unauthenticated(evidence, Probe::Second).and_then(|message| message.nonce());
    if second == Some(nonce) { Outcome::Violated(Violation::SameNonce) } else { Outcome::Honoured }
}

/// The first 401 to a probe.
fn unauthenticated(evidence: &Evidence, probe: Probe) -> Option<Message<'_>> {
    let is_401 = |message: &Message<'_>| message.error_code().is_some_and(|e| e.code() == ErrorCode::UNAUTHENTICATED);
    let mut messages = evidence.record(probe)?.messages().map(|(_, message)| message);
    messages.find(|message| message.class() == Class::ErrorResponse && is_401(message))
}

/// Returns the challenge of a 401.
fn challenge(message: &Message<'_>) -> Credentials {
    let algorithms = message.password_algorithms();
    Credentials {
        realm: message.realm().map(|realm| realm.to_string().into()),
        features: message.nonce().and_then(|nonce| Features::of(nonce.as_bytes())),
        algorithms: algorithms.into_iter().flat_map(|list| list.iter()).map(|algorithm| algorithm.number).collect(),
    }
}

/// The amplification of each kind of request, the largest factor first.
fn amplification(evidence: &Evidence) -> Vec<Amplification> {
    let answered = evidence.records.iter().filter(|record| record.replies > 0);
    let mut all: Vec<_> = answered
        .map(|record| {
            // The number of answered sends is not known. It is at most the number of responses, and of sends.
            let requests = record.sends.min(record.replies).max(1);
            let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
            Amplification {
                probe: record.probe,
                request_bytes: narrow(record.request_len as u64),
                reply_bytes: narrow(record.reply_bytes / u64::from(requests)),
                replies_per_ten: record.replies.saturating_mul(10) / requests,
            }
        })
        .collect();
    all.sort_by(|a, b| b.factor().total_cmp(&a.factor()));
    all
}

/// The amplification factor that is a violation (RFC 8489 §16.1.2). The attributes that RFC 5780 §6.1 requires over
/// IPv6 and a long SOFTWARE stay below it.
const AMPLIFICATION_LIMIT: u32 = 10;

fn largest_amplification(evidence: &Evidence, amplification: &[Amplification]) -> Outcome {
    match amplification.first() {
        None => Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::NoBinding)),
        Some(largest) if largest.reply_bytes / largest.request_bytes.max(1) >= AMPLIFICATION_LIMIT => {
            Outcome::Violated(Violation::Amplifies(largest.reply_bytes / largest.request_bytes.max(1)))
        }
        Some(_) => Outcome::Honoured,
    }
}

/// Whether a success response was received on this socket.
fn was_received_on(record: &ProbeRecord, socket: LocalSocket) -> bool {
    record.successes().any(|(reply, _)| reply.socket == socket)
}
