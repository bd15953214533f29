//! The clauses of RFC 5780.
//!
//! Rules of this file: an attribute that makes a request ask for something is comprehension-required. A server that knows
//! it does what it says, one that does not refuses it with 420; success without either is against both RFCs. The other
//! addresses were asked from the same socket before, so that filters on the way let their answers in.

use super::{
    Evidence, Outcome, Place, Probe, Trail, UnknownReason, Violation, alternates, asked, came_to, doubt, implausible,
    may_be_lost, no_success, refused,
};
use core::net::SocketAddr;
use portolan_stun::ErrorCode;

pub(super) fn mapped_address(evidence: &Evidence) -> Outcome {
    let Some((_, message)) = evidence.success(Probe::Control) else { return unheard(evidence) };
    match (message.mapped_address(), message.xor_mapped_address(), message.other_address()) {
        (Some(mapped), Some(xor), _) if mapped != xor => Outcome::Unknown(UnknownReason::Rewritten),
        (Some(_), ..) => Outcome::Honoured,
        (None, _, Some(_)) => Outcome::Violated(Violation::Missing),
        (None, _, None) => Outcome::NotSupported,
    }
}

/// Held against where each answer came from, also those that were to come from elsewhere.
pub(super) fn response_origin(evidence: &Evidence) -> Outcome {
    let Some((_, message)) = evidence.success(Probe::Control) else { return unheard(evidence) };
    let probes = [Probe::Control, Probe::ChangePort, Probe::ChangeAddress, Probe::ChangeBoth];
    let answers = probes.iter().filter_map(|probe| evidence.trail(*probe)).flat_map(Trail::successes);
    let told = answers.filter_map(|(reply, message)| Some((reply.from, message.response_origin()?)));
    let mut wrong = told.filter(|(from, origin)| from != origin);
    match (wrong.next(), message.response_origin(), message.other_address()) {
        (Some((_, origin)), ..) => Outcome::Violated(Violation::Told(origin)),
        (None, Some(_), _) => Outcome::Honoured,
        (None, None, Some(_)) => Outcome::Violated(Violation::Missing),
        (None, None, None) => Outcome::NotSupported,
    }
}

pub(super) fn other_address(evidence: &Evidence) -> Outcome {
    if evidence.success(Probe::Control).is_none() {
        return unheard(evidence);
    }
    let Some(other) = evidence.other_address() else {
        // A server that does answer from elsewhere has another address, and must say so (RFC 5780 §6.1).
        let elsewhere = evidence.trail(Probe::ChangeBoth).and_then(|trail| {
            let from = trail.successes().map(|(reply, _)| reply.from).find(|from| from.ip() != evidence.server.ip());
            from.filter(|from| !answers_from(evidence, *from))
        });
        return elsewhere.map_or(Outcome::NotSupported, |_| Outcome::Violated(Violation::Missing));
    };
    match implausible(evidence.server, other) {
        Some(why) => Outcome::Violated(Violation::Implausible(other, why)),
        None => Outcome::Honoured,
    }
}

/// Whether bare requests to the server are answered from there too: then an answer from there shows nothing.
fn answers_from(evidence: &Evidence, from: SocketAddr) -> bool {
    evidence.success(Probe::Control).is_some_and(|(reply, _)| reply.from == from)
}

pub(super) fn alternates_answer(evidence: &Evidence) -> Outcome {
    if alternates(evidence).is_none() {
        return without_other(evidence);
    }
    let probes = [Probe::AlternateAddress, Probe::AlternatePort, Probe::AlternateBoth];
    probes.into_iter().fold(Outcome::Honoured, |worst, probe| {
        let outcome = match asked(evidence, probe) {
            Ok(trail) if trail.successes().next().is_some() => Outcome::Honoured,
            Ok(trail) => no_success(evidence, trail),
            Err(outcome) => outcome,
        };
        match (worst, outcome) {
            (Outcome::Violated(_), _) | (Outcome::Unknown(_), Outcome::Honoured) => worst,
            (_, outcome) => outcome,
        }
    })
}

/// Where the answer to a CHANGE-REQUEST comes from (RFC 5780 §6.1, Table 1), and who shows that it can come through.
fn expected(server: SocketAddr, other: SocketAddr, probe: Probe) -> (SocketAddr, Probe) {
    match probe {
        Probe::ChangePort => (SocketAddr::new(server.ip(), other.port()), Probe::AlternatePort),
        Probe::ChangeAddress => (SocketAddr::new(other.ip(), server.port()), Probe::AlternateAddress),
        _ => (other, Probe::AlternateBoth),
    }
}

pub(super) fn change(evidence: &Evidence, probe: Probe) -> Outcome {
    let server = evidence.server;
    let Some(other) = alternates(evidence) else {
        return change_without_other(evidence, probe);
    };
    let trail = match asked(evidence, probe) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    let (expected, guide) = expected(server, other, probe);
    let mut sources = trail.successes().map(|(reply, _)| reply.from);
    match (sources.clone().any(|from| from == expected), sources.next(), trail.error()) {
        (true, ..) => Outcome::Honoured,
        (false, Some(from), _) if from == server => Outcome::Violated(Violation::Ignored),
        (false, Some(from), _) => Outcome::Violated(Violation::From(from)),
        // Whoever names another address serves it (RFC 5780 §6).
        (false, None, Some(code)) => refused(code),
        (false, None, None) if comes_through(evidence, guide) => no_success(evidence, trail),
        (false, None, None) => Outcome::Unknown(UnknownReason::Filter),
    }
}

/// Whether an unasked answer from there would arrive: its own address answered, and saw the client where the server does.
fn comes_through(evidence: &Evidence, guide: Probe) -> bool {
    let seen = evidence.mapped(guide);
    seen.is_some() && seen == evidence.mapped(Probe::Control)
}

fn change_without_other(evidence: &Evidence, probe: Probe) -> Outcome {
    let trail = match evidence.trail(probe) {
        Some(trail) if trail.sends > 0 && doubt(evidence).is_none() => trail,
        Some(_) | None => return without_other(evidence),
    };
    let from = trail.successes().map(|(reply, _)| reply.from).next();
    match (from, trail.error()) {
        (Some(from), _) if from == evidence.server => Outcome::Violated(Violation::Ignored),
        // Whether it is the right place nobody can say without OTHER-ADDRESS.
        (Some(_), _) => Outcome::Unknown(UnknownReason::NoOtherAddress),
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        (None, Some(code)) => refused(code),
        (None, None) if may_be_lost(evidence, trail.sends) => Outcome::Unknown(UnknownReason::Loss),
        // It may have answered from an address that a filter does not let in.
        (None, None) => Outcome::Unknown(UnknownReason::Filter),
    }
}

pub(super) fn response_port(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::ResponsePort) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    match (came_to(trail, Place::Second), came_to(trail, Place::First), trail.error()) {
        (true, ..) => Outcome::Honoured,
        (_, true, _) => Outcome::Violated(Violation::Ignored),
        (_, _, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        (_, _, Some(code)) => refused(code),
        _ if is_untranslated(evidence) => no_success(evidence, trail),
        // A NAT may have given the second socket's port to nobody for this server.
        _ => Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::Filter)),
    }
}

/// Whether both sockets are seen where they are.
fn is_untranslated(evidence: &Evidence) -> bool {
    let seen = [evidence.mapped(Probe::Control), evidence.mapped(Probe::Second)];
    seen.iter().all(Option::is_some) && seen == evidence.locals
}

pub(super) fn padding(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::Padding) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    match (trail.successes().next(), trail.error()) {
        (Some((_, message)), _) if message.padding().is_some() => Outcome::Honoured,
        (Some(_), _) => Outcome::Violated(Violation::Ignored),
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        (None, _) => no_success(evidence, trail),
    }
}

pub(super) fn padding_and_response_port(evidence: &Evidence) -> Outcome {
    let trail = match asked(evidence, Probe::PaddingAndResponsePort) {
        Ok(trail) => trail,
        Err(outcome) => return outcome,
    };
    match (trail.successes().next(), trail.error()) {
        (Some(_), _) => Outcome::Violated(Violation::Ignored),
        (None, Some(ErrorCode::BAD_REQUEST)) => Outcome::Honoured,
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        // An answer to the other port may have been lost in a NAT: silence shows that it was not refused, no more.
        (None, None) if trail.replies == 0 && !is_untranslated(evidence) => {
            Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::Filter))
        }
        (None, _) => no_success(evidence, trail),
    }
}

fn unheard(evidence: &Evidence) -> Outcome {
    Outcome::Unknown(doubt(evidence).unwrap_or(UnknownReason::NoBinding))
}

/// The server names no other address, or one that cannot be.
fn without_other(evidence: &Evidence) -> Outcome {
    match (doubt(evidence), evidence.other_address()) {
        (Some(why), _) => Outcome::Unknown(why),
        (None, Some(_)) => Outcome::Unknown(UnknownReason::NoOtherAddress),
        (None, None) => Outcome::NotSupported,
    }
}
