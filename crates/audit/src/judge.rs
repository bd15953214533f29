//! From evidence to findings.
//!
//! Rules of this file: pure. A server is accused only of what it did, or of a silence that loss, filters and NATs on the way
//! do not explain; everything else that is missing is unknown.

use crate::evidence::{Evidence, Place, Stream, Trail};
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

/// Judges everything.
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
        credentials: unauthenticated(evidence, Probe::Control).map(|message| asked_for(&message)),
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
        Check::UnknownMethod => quiet(evidence, Probe::UnknownMethod),
        Check::Indication => quiet(evidence, Probe::Indication),
        Check::Response => quiet(evidence, Probe::Response),
        Check::Truncated => quiet(evidence, Probe::Truncated),
        Check::OddLength => quiet(evidence, Probe::OddLength),
        Check::Garbage => quiet(evidence, Probe::Garbage),
        Check::Software => software(evidence),
        Check::Tcp => tcp(evidence),
        Check::Classic => classic(evidence),
        Check::Credentials => credentials(evidence),
        Check::Amplification => worst(evidence, amplification),
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

/// The other address, where there is one that can be asked.
pub(crate) fn alternates(evidence: &Evidence) -> Option<SocketAddr> {
    let other = evidence.other_address()?;
    implausible(evidence.server, other).is_none().then_some(other)
}

/// Why `other` cannot be the other address of `server` (RFC 5780 §6, §7.4).
fn implausible(server: SocketAddr, other: SocketAddr) -> Option<Implausible> {
    if server.is_ipv4() != other.is_ipv4() {
        Some(Implausible::Family)
    } else if is_nobody(other.ip()) || other.port() == 0 || (is_local(other.ip()) && !is_local(server.ip())) {
        Some(Implausible::NotGlobal)
    } else if server.ip() == other.ip() {
        Some(Implausible::SameAddress)
    } else if server.port() == other.port() {
        Some(Implausible::SamePort)
    } else {
        None
    }
}

fn is_nobody(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// Addresses that mean something in one place only (RFC 1918, RFC 6598, RFC 4193, loopback, link-local).
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// How many requests of the control stayed unanswered, of how many.
fn lost(evidence: &Evidence) -> (u32, u32) {
    let control = evidence.trail(Probe::Control);
    control.map_or((0, 0), |trail| (trail.sends.saturating_sub(trail.replies), trail.sends))
}

/// How likely it may be that all sends were lost, for their silence to count all the same.
const BY_CHANCE: f64 = 0.001;

/// Whether loss explains that none of so many sends was answered.
///
/// The estimate is that of Laplace: nothing lost of few is not taken for certainty.
fn may_be_lost(evidence: &Evidence, sends: u32) -> bool {
    let (lost, sent) = lost(evidence);
    let rate = f64::from(lost + 1) / f64::from(sent + 2);
    let all = (0..sends).fold(1.0, |all, _| all * rate);
    all > BY_CHANCE
}

/// What keeps a probe from being judged at all.
fn doubt(evidence: &Evidence) -> Option<UnknownReason> {
    let control = evidence.trail(Probe::Control);
    if evidence.traffic.received == 0 {
        return Some(UnknownReason::Silent);
    }
    if evidence.success(Probe::Control).is_some() {
        return None;
    }
    Some(match control.and_then(Trail::error) {
        Some(ErrorCode::UNAUTHENTICATED) => UnknownReason::Credentials,
        Some(ErrorCode::TRY_ALTERNATE) => UnknownReason::Redirected,
        Some(_) | None => UnknownReason::NoBinding,
    })
}

/// What silence means where an answer is due.
fn silence(evidence: &Evidence, sends: u32) -> Outcome {
    match doubt(evidence) {
        Some(why) => Outcome::Unknown(why),
        None if may_be_lost(evidence, sends) => Outcome::Unknown(UnknownReason::Loss),
        None => Outcome::Violated(Violation::NotAnswered),
    }
}

/// What an error means that the probe gives no reason for.
const fn refused(code: u16) -> Outcome {
    match code {
        ErrorCode::UNAUTHENTICATED => Outcome::Unknown(UnknownReason::Credentials),
        ErrorCode::TRY_ALTERNATE => Outcome::Unknown(UnknownReason::Redirected),
        code => Outcome::Violated(Violation::Error(code)),
    }
}

/// What is to be said of a probe without a success response: its error, its rubbish, its silence.
fn no_success(evidence: &Evidence, trail: &Trail) -> Outcome {
    match (trail.error(), trail.replies) {
        (Some(code), _) => match doubt(evidence) {
            Some(why) => Outcome::Unknown(why),
            None => refused(code),
        },
        (None, 0) => silence(evidence, trail.sends),
        // Told once, at the check for Binding.
        (None, _) if doubt(evidence).is_some() => Outcome::Unknown(UnknownReason::NoBinding),
        (None, _) => Outcome::Violated(Violation::Unreadable),
    }
}

/// The trail of a probe that was sent.
fn asked(evidence: &Evidence, probe: Probe) -> Result<&Trail, Outcome> {
    let not_asked = Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::NotAsked));
    evidence.trail(probe).filter(|trail| trail.sends > 0).ok_or(not_asked)
}

fn binding(evidence: &Evidence) -> Outcome {
    let Some(control) = evidence.trail(Probe::Control) else { return Outcome::Unknown(UnknownReason::NotAsked) };
    if control.successes().next().is_some() {
        return Outcome::Honoured;
    }
    if let Some(code) = control.error() {
        return refused(code);
    }
    let echoed = control.messages().any(|(_, message)| message.class() == Class::Request);
    match (echoed, control.replies, evidence.strays.unreadable, evidence.strays.responses) {
        (true, ..) => Outcome::Violated(Violation::Echo),
        (_, 1.., ..) | (_, _, 1.., _) => Outcome::Violated(Violation::Unreadable),
        (.., 1..) => Outcome::Violated(Violation::NotAnswered),
        _ => Outcome::Unknown(UnknownReason::Silent),
    }
}

fn transaction_id(evidence: &Evidence) -> Outcome {
    match doubt(evidence) {
        _ if evidence.strays.responses > 0 => Outcome::Violated(Violation::Wrong),
        Some(why) => Outcome::Unknown(why),
        None => Outcome::Honoured,
    }
}

/// Bare requests are answered from where they went (RFC 8489 §6.3.1.2).
fn source(evidence: &Evidence) -> Outcome {
    let bare = [Probe::Control, Probe::Second, Probe::UnknownRequired, Probe::UnknownOptional];
    let mut heard = bare.iter().filter_map(|probe| evidence.trail(*probe)).flat_map(|trail| {
        trail.messages().filter(|(_, message)| message.class().is_response()).map(|(reply, _)| (reply.from, trail.to))
    });
    let wrong = heard.clone().find(|(from, to)| from != to);
    match (wrong, heard.next(), doubt(evidence)) {
        (Some((from, _)), ..) => Outcome::Violated(Violation::From(from)),
        (None, Some(_), _) => Outcome::Honoured,
        (None, None, why) => Outcome::Unknown(why.unwrap_or(UnknownReason::NoBinding)),
    }
}

fn xor_mapped_address(evidence: &Evidence) -> Outcome {
    let Some((_, message)) = evidence.success(Probe::Control) else {
        return Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::NoBinding));
    };
    let Some(mapped) = message.xor_mapped_address() else {
        let only = message.mapped_address().map_or(Violation::Missing, |_| Violation::OnlyMapped);
        return Outcome::Violated(only);
    };
    // On loopback nothing translates, and nobody is of another family, or at port 0, than the one that asks.
    let local = evidence.locals.first().copied().flatten();
    let here = evidence.server.ip().is_loopback() && local.is_some_and(|local| local != mapped);
    if here || mapped.is_ipv4() != evidence.server.is_ipv4() || mapped.port() == 0 || is_nobody(mapped.ip()) {
        return Outcome::Violated(Violation::Told(mapped));
    }
    // Towards one server no NAT gives two sockets one address and port: their answers could not be told apart.
    let second = evidence.success(Probe::Second).and_then(|(_, message)| message.xor_mapped_address());
    if second == Some(mapped) {
        return Outcome::Violated(Violation::SameForTwo(mapped));
    }
    Outcome::Honoured
}

fn retransmission(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::Control) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    let told = |message: &Message<'_>| message.xor_mapped_address().or_else(|| message.mapped_address());
    let mut answers = trail.successes().map(|(_, message)| told(&message));
    let Some(first) = answers.next() else {
        return Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::NoBinding));
    };
    if answers.any(|other| other != first) {
        return Outcome::Violated(Violation::Differs);
    }
    // Nothing but loss is known of a request that is answered now and then.
    let (lost, sent) = lost(evidence);
    if lost * 4 >= sent { Outcome::Unknown(UnknownReason::Loss) } else { Outcome::Honoured }
}

fn one_response(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::Control) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    let (requests, replies) = (trail.sends, trail.replies);
    // The network doubles a packet now and then; a server that answers twice does it each time.
    if replies >= 3 && replies * 2 >= requests * 3 {
        return Outcome::Violated(Violation::Several { requests, replies });
    }
    doubt(evidence).map_or(Outcome::Honoured, Outcome::Unknown)
}

fn fingerprint(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::Fingerprint) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    match trail.successes().next() {
        None => no_success(evidence, trail),
        // A usage need not have FINGERPRINT (RFC 8489 §7, §12).
        Some((_, message)) if !message.has_fingerprint() => Outcome::NotSupported,
        Some((_, message)) if message.check_fingerprint().is_err() => Outcome::Violated(Violation::Wrong),
        Some(_) => Outcome::Honoured,
    }
}

/// A server that does not use the extension does not look at it; one that does must drop what is wrong.
fn wrong_fingerprint(evidence: &Evidence) -> Outcome {
    match (quiet(evidence, Probe::WrongFingerprint), fingerprint(evidence)) {
        (Outcome::Violated(_), Outcome::NotSupported) => Outcome::NotSupported,
        (Outcome::Violated(_), Outcome::Unknown(why)) => Outcome::Unknown(why),
        (outcome, _) => outcome,
    }
}

/// Such a request is malformed: dropping it, refusing it and ignoring what follows are all right.
fn after_fingerprint(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::AfterFingerprint) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    match (doubt(evidence), trail.error(), fingerprint(evidence)) {
        (Some(why), ..) => Outcome::Unknown(why),
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE), Outcome::NotSupported) => Outcome::NotSupported,
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE), Outcome::Unknown(why)) => Outcome::Unknown(why),
        (None, Some(code @ ErrorCode::UNKNOWN_ATTRIBUTE), _) => Outcome::Violated(Violation::Error(code)),
        (None, None, _) if trail.replies == 0 && may_be_lost(evidence, trail.sends) => {
            Outcome::Unknown(UnknownReason::Loss)
        }
        (None, ..) => Outcome::Honoured,
    }
}

fn unknown_required(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::UnknownRequired) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    if trail.successes().next().is_some() {
        return Outcome::Violated(Violation::Ignored);
    }
    let mut errors = trail.messages().filter(|(_, message)| message.class() == Class::ErrorResponse);
    let is_420 = |message: &Message<'_>| message.error_code().is_some_and(|e| e.code() == ErrorCode::UNKNOWN_ATTRIBUTE);
    match errors.next() {
        Some((_, message)) if is_420(&message) => {
            let listed =
                message.unknown_attributes().is_some_and(|list| list.iter().any(|kind| kind == UNKNOWN_REQUIRED));
            if listed { Outcome::Honoured } else { Outcome::Violated(Violation::Missing) }
        }
        _ => no_success(evidence, trail),
    }
}

fn unknown_optional(evidence: &Evidence) -> Outcome {
    match asked(evidence, Probe::UnknownOptional) {
        Ok(trail) if trail.successes().next().is_some() => Outcome::Honoured,
        Ok(trail) => no_success(evidence, trail),
        Err(outcome) => outcome,
    }
}

/// Silence is due: any answer is against the clause, silence proves something only where answers arrive.
fn quiet(evidence: &Evidence, probe: Probe) -> Outcome {
    match (asked(evidence, probe), doubt(evidence)) {
        (Err(outcome), _) => outcome,
        (Ok(trail), _) if trail.replies > 0 => Outcome::Violated(Violation::Answered),
        (Ok(_), Some(why)) => Outcome::Unknown(why),
        (Ok(trail), None) if may_be_lost(evidence, trail.sends) => Outcome::Unknown(UnknownReason::Loss),
        (Ok(_), None) => Outcome::Honoured,
    }
}

fn software(evidence: &Evidence) -> Outcome {
    match evidence.success(Probe::Control) {
        Some((_, message)) if message.software().is_some() => Outcome::Honoured,
        Some(_) => Outcome::NotSupported,
        None => Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::NoBinding)),
    }
}

fn tcp(evidence: &Evidence) -> Outcome {
    match &evidence.stream {
        Stream::NotAsked => Outcome::Unknown(UnknownReason::NotAsked),
        // Neither accepted nor refused: a firewall, as likely as not.
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

/// Optional (RFC 8489 §11): silence is a server without it.
fn classic(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::Classic) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    let answers = trail.kept.iter().map(|reply| (probe::classic_answer(&reply.bytes, trail.id), &reply.bytes));
    let mut answers = answers.map(|(answer, bytes)| match answer {
        Some(true) => Outcome::Honoured,
        Some(false) => Outcome::Violated(Violation::Missing),
        // An answer with the cookie of today has not the id that was sent.
        None if probe::has_cookie(bytes) => Outcome::Violated(Violation::Wrong),
        None => Outcome::Violated(Violation::Unreadable),
    });
    match (answers.next(), doubt(evidence)) {
        (_, Some(why)) => Outcome::Unknown(why),
        (Some(outcome), None) => outcome,
        (None, None) if may_be_lost(evidence, trail.sends) => Outcome::Unknown(UnknownReason::Loss),
        (None, None) => Outcome::NotSupported,
    }
}

/// Whether the 401 holds what the next request needs, and says it without contradiction (RFC 8489 §9.2.4).
fn credentials(evidence: &Evidence) -> Outcome {
    let Some(message) = unauthenticated(evidence, Probe::Control) else {
        return doubt(evidence).map_or(Outcome::NotSupported, Outcome::Unknown);
    };
    let (Some(_), Some(nonce)) = (message.realm(), message.nonce()) else {
        return Outcome::Violated(Violation::Missing);
    };
    // Without a cookie it is a server of RFC 5389, which has no feature bits; PASSWORD-ALGORITHMS it has not either.
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
    let mut messages = evidence.trail(probe)?.messages().map(|(_, message)| message);
    messages.find(|message| message.class() == Class::ErrorResponse && is_401(message))
}

fn asked_for(message: &Message<'_>) -> Credentials {
    let algorithms = message.password_algorithms();
    Credentials {
        realm: message.realm().map(|realm| realm.to_string().into()),
        features: message.nonce().and_then(|nonce| Features::of(nonce.as_bytes())),
        algorithms: algorithms.into_iter().flat_map(|list| list.iter()).map(|algorithm| algorithm.number).collect(),
    }
}

/// What each kind of request brought back, the worst first.
fn amplification(evidence: &Evidence) -> Vec<Amplification> {
    let answered = evidence.trails.iter().filter(|trail| trail.replies > 0);
    let mut all: Vec<_> = answered
        .map(|trail| {
            // Which of the sends was answered is not known; as many as there were answers, and never more than sends.
            let requests = trail.sends.min(trail.replies).max(1);
            let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
            Amplification {
                probe: trail.probe,
                request_bytes: narrow(trail.request_len as u64),
                reply_bytes: narrow(trail.reply_bytes / u64::from(requests)),
                replies_per_ten: trail.replies.saturating_mul(10) / requests,
            }
        })
        .collect();
    all.sort_by(|a, b| b.factor().total_cmp(&a.factor()));
    all
}

/// From here on it is no small increase (RFC 8489 §16.1.2): what RFC 5780 §6.1 asks for over IPv6, and a long SOFTWARE.
const MOST: u32 = 10;

fn worst(evidence: &Evidence, amplification: &[Amplification]) -> Outcome {
    match amplification.first() {
        None => Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::NoBinding)),
        Some(worst) if worst.reply_bytes / worst.request_bytes.max(1) >= MOST => {
            Outcome::Violated(Violation::Amplifies(worst.reply_bytes / worst.request_bytes.max(1)))
        }
        Some(_) => Outcome::Honoured,
    }
}

/// Whether an answer came to the socket that asked.
fn came_to(trail: &Trail, place: Place) -> bool {
    trail.successes().any(|(reply, _)| reply.place == place)
}
