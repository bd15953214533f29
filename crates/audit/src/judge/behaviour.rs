//! The checks of RFC 5780.
//!
//! Rules of this file: CHANGE-REQUEST, RESPONSE-PORT and PADDING are comprehension-required. A server serves such an
//! attribute, or refuses it with 420. A success response without the effect of the attribute violates both RFCs. The
//! probes to the other addresses were sent from the same socket before, so that filters on the path admit the
//! responses.

use super::{
    Evidence, LocalSocket, Outcome, Probe, ProbeRecord, UnknownReason, Violation, alternates, implausible, may_be_lost,
    no_success, refused, sent_record, unknown_reason, was_received_on,
};
use core::net::SocketAddr;
use portolan_stun::ErrorCode;

pub(super) fn mapped_address(evidence: &Evidence) -> Outcome {
    let Some((_, message)) = evidence.success(Probe::Control) else { return without_control(evidence) };
    match (message.mapped_address(), message.xor_mapped_address(), message.other_address()) {
        (Some(mapped), Some(xor), _) if mapped != xor => Outcome::Unknown(UnknownReason::Rewritten),
        (Some(_), ..) => Outcome::Honoured,
        (None, _, Some(_)) => Outcome::Violated(Violation::Missing),
        (None, _, None) => Outcome::NotSupported,
    }
}

/// RESPONSE-ORIGIN is compared with the source of each response, also of the responses to CHANGE-REQUEST.
pub(super) fn response_origin(evidence: &Evidence) -> Outcome {
    let Some((_, message)) = evidence.success(Probe::Control) else { return without_control(evidence) };
    let probes = [Probe::Control, Probe::ChangePort, Probe::ChangeAddress, Probe::ChangeBoth];
    let answers = probes.iter().filter_map(|probe| evidence.record(*probe)).flat_map(ProbeRecord::successes);
    let origins = answers.filter_map(|(reply, message)| Some((reply.from, message.response_origin()?)));
    let mut wrong = origins.filter(|(from, origin)| from != origin);
    match (wrong.next(), message.response_origin(), message.other_address()) {
        (Some((_, origin)), ..) => Outcome::Violated(Violation::WrongAddress(origin)),
        (None, Some(_), _) => Outcome::Honoured,
        (None, None, Some(_)) => Outcome::Violated(Violation::Missing),
        (None, None, None) => Outcome::NotSupported,
    }
}

pub(super) fn other_address(evidence: &Evidence) -> Outcome {
    if evidence.success(Probe::Control).is_none() {
        return without_control(evidence);
    }
    let Some(other) = evidence.other_address() else {
        // RFC 5780 §6.1: a server that responds from another address must have OTHER-ADDRESS in its response.
        let other_source = evidence.record(Probe::ChangeBoth).and_then(|record| {
            let from = record.successes().map(|(reply, _)| reply.from).find(|from| from.ip() != evidence.server.ip());
            from.filter(|from| !answers_from(evidence, *from))
        });
        return other_source.map_or(Outcome::NotSupported, |_| Outcome::Violated(Violation::Missing));
    };
    match implausible(evidence.server, other) {
        Some(why) => Outcome::Violated(Violation::Implausible(other, why)),
        None => Outcome::Honoured,
    }
}

/// Whether bare requests to the server are answered from this address too. Then the response does not prove a change.
fn answers_from(evidence: &Evidence, from: SocketAddr) -> bool {
    evidence.success(Probe::Control).is_some_and(|(reply, _)| reply.from == from)
}

pub(super) fn alternates_answer(evidence: &Evidence) -> Outcome {
    if alternates(evidence).is_none() {
        return without_other(evidence);
    }
    let probes = [Probe::AlternateAddress, Probe::AlternatePort, Probe::AlternateBoth];
    probes.into_iter().fold(Outcome::Honoured, |so_far, probe| {
        let outcome = match sent_record(evidence, probe) {
            Ok(record) if record.successes().next().is_some() => Outcome::Honoured,
            Ok(record) => no_success(evidence, record),
            Err(outcome) => outcome,
        };
        match (so_far, outcome) {
            (Outcome::Violated(_), _) | (Outcome::Unknown(_), Outcome::Honoured) => so_far,
            (_, outcome) => outcome,
        }
    })
}

/// The source of the response to a CHANGE-REQUEST (RFC 5780 §6.1, Table 1), and the probe to that address.
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
    let record = match sent_record(evidence, probe) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    let (expected, same_path) = expected(server, other, probe);
    let mut sources = record.successes().map(|(reply, _)| reply.from);
    match (sources.clone().any(|from| from == expected), sources.next(), record.error()) {
        (true, ..) => Outcome::Honoured,
        (false, Some(from), _) if from == server => Outcome::Violated(Violation::Ignored),
        (false, Some(from), _) => Outcome::Violated(Violation::From(from)),
        // RFC 5780 §6: a server with OTHER-ADDRESS must serve CHANGE-REQUEST.
        (false, None, Some(code)) => refused(code),
        (false, None, None) if would_arrive(evidence, same_path) => no_success(evidence, record),
        (false, None, None) => Outcome::Unknown(UnknownReason::Filter),
    }
}

/// Whether filters admit a response from the address of this probe: the probe was answered, with the mapped address
/// of the control.
fn would_arrive(evidence: &Evidence, same_path: Probe) -> bool {
    let mapped = evidence.mapped(same_path);
    mapped.is_some() && mapped == evidence.mapped(Probe::Control)
}

fn change_without_other(evidence: &Evidence, probe: Probe) -> Outcome {
    let record = match evidence.record(probe) {
        Some(record) if record.sends > 0 && unknown_reason(evidence).is_none() => record,
        Some(_) | None => return without_other(evidence),
    };
    let from = record.successes().map(|(reply, _)| reply.from).next();
    match (from, record.error()) {
        (Some(from), _) if from == evidence.server => Outcome::Violated(Violation::Ignored),
        // Without OTHER-ADDRESS the correct source is not known.
        (Some(_), _) => Outcome::Unknown(UnknownReason::NoOtherAddress),
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        (None, Some(code)) => refused(code),
        (None, None) if may_be_lost(evidence, record.sends) => Outcome::Unknown(UnknownReason::Loss),
        // A filter may have dropped a response from another address.
        (None, None) => Outcome::Unknown(UnknownReason::Filter),
    }
}

pub(super) fn response_port(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::ResponsePort) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    match (was_received_on(record, LocalSocket::Second), was_received_on(record, LocalSocket::First), record.error()) {
        (true, ..) => Outcome::Honoured,
        (_, true, _) => Outcome::Violated(Violation::Ignored),
        (_, _, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        (_, _, Some(code)) => refused(code),
        _ if is_untranslated(evidence) => no_success(evidence, record),
        // A NAT may have no mapping of the second socket for this server.
        _ => Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::Filter)),
    }
}

/// Whether the mapped addresses of both sockets are their local addresses.
fn is_untranslated(evidence: &Evidence) -> bool {
    let mapped = [evidence.mapped(Probe::Control), evidence.mapped(Probe::Second)];
    mapped.iter().all(Option::is_some) && mapped == evidence.locals
}

pub(super) fn padding(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::Padding) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    match (record.successes().next(), record.error()) {
        (Some((_, message)), _) if message.padding().is_some() => Outcome::Honoured,
        (Some(_), _) => Outcome::Violated(Violation::Ignored),
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        (None, _) => no_success(evidence, record),
    }
}

pub(super) fn padding_and_response_port(evidence: &Evidence) -> Outcome {
    let record = match sent_record(evidence, Probe::PaddingAndResponsePort) {
        Ok(record) => record,
        Err(outcome) => return outcome,
    };
    match (record.successes().next(), record.error()) {
        (Some(_), _) => Outcome::Violated(Violation::Ignored),
        (None, Some(ErrorCode::BAD_REQUEST)) => Outcome::Honoured,
        (None, Some(ErrorCode::UNKNOWN_ATTRIBUTE)) => Outcome::NotSupported,
        // A NAT may have dropped a response to the other port.
        (None, None) if record.replies == 0 && !is_untranslated(evidence) => {
            Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::Filter))
        }
        (None, _) => no_success(evidence, record),
    }
}

/// The outcome if the control has no success response.
fn without_control(evidence: &Evidence) -> Outcome {
    Outcome::Unknown(unknown_reason(evidence).unwrap_or(UnknownReason::NoBinding))
}

/// The outcome if OTHER-ADDRESS is missing or impossible.
fn without_other(evidence: &Evidence) -> Outcome {
    match (unknown_reason(evidence), evidence.other_address()) {
        (Some(why), _) => Outcome::Unknown(why),
        (None, Some(_)) => Outcome::Unknown(UnknownReason::NoOtherAddress),
        (None, None) => Outcome::NotSupported,
    }
}
