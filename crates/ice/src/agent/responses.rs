//! Responses of the peer (RFC 8445 §7.2.5).
//!
//! Rules of this file: a response counts only with valid integrity, and only if it comes from the destination of the request
//! to the socket of the request. A response without valid integrity changes nothing.

use super::Agent;
use crate::candidate::{CandidateKind, ComponentId, LocalCandidate};
use crate::checks::Check;
use crate::consent::Consent;
use crate::local::LocalId;
use crate::note::{AgentDropped, AgentNote};
use crate::pair::{Flags, PairId, PairState};
use crate::reason::{NominationReason, PairFailure};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Datagram};
use portolan_stun::{Attribute, AttributeType, Class, ErrorCode, Integrity, Message, TransactionId, Verified};

impl Agent {
    /// Whether a check or a consent request with this id is pending.
    pub(super) fn is_own_transaction(&self, id: TransactionId) -> bool {
        self.checks.find(id).is_some()
            || self.tracks.iter().any(|track| {
                track.selected.as_ref().is_some_and(|selected| selected.consent.is_pending(id))
                    || track.previous.as_ref().is_some_and(|previous| previous.consent.is_pending(id))
            })
    }

    /// Handles a response.
    pub(super) fn response(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, message: &Message<'_>) {
        let id = message.transaction_id();
        let Some(check) = self.checks.find(id).copied() else {
            return self.consent_response(cx, datagram, message);
        };
        let Some(pair) = self.set.get(check.pair).copied() else { return };
        let Some(side) = self.session.remote(pair.list) else { return };
        let Ok(verified) = message.verify_with(&side.keys.key, Integrity::Sha1) else {
            // A peer that does not know the user or the password cannot authenticate its 401 (RFC 8489 §9.1.3).
            let code = message.error_code().filter(|_| message.class() == Class::ErrorResponse);
            if let (Some(code), Some(record)) = (code, self.set.record_mut(check.pair)) {
                record.refused = Some(code.code());
            }
            return cx.note(|| AgentNote::Dropped { from: datagram.remote, why: AgentDropped::Integrity });
        };
        self.checks.remove(id);
        if let Some(record) = self.set.record_mut(check.pair) {
            record.counters.responses_received += 1;
        }
        if verified.class() == Class::ErrorResponse {
            return self.error_response(cx, check, error_code(&verified));
        }
        let is_symmetric =
            self.path_of(check.pair).is_some_and(|path| super::is_path(&path, datagram.socket, datagram.remote));
        if !is_symmetric {
            return self.refuted(cx, check, PairFailure::NotSymmetric);
        }
        let Some(mapped) = verified.xor_mapped_address() else {
            return self.error_response(cx, check, 0);
        };
        self.succeed(cx, check, mapped);
    }

    fn error_response(&mut self, cx: &mut Cx<'_>, check: Check, code: u16) {
        if code == ErrorCode::ROLE_CONFLICT {
            // The request decides about the new role, because the role may have changed since (§7.2.5.1).
            if check.role.is_controlling() == self.session.role.is_controlling() {
                self.switch_role(cx, true);
            }
            self.set.flag(check.pair, Flags::USE_CANDIDATE, false);
            self.checks.cancel(check.pair);
            return self.set.trigger(check.pair);
        }
        self.refuted(cx, check, PairFailure::Error(code));
    }

    /// The response shows that the pair does not work (§7.2.5.2). A late response does not count: a newer check of the pair
    /// is pending or waits, or the pair has succeeded.
    fn refuted(&mut self, cx: &mut Cx<'_>, check: Check, why: PairFailure) {
        if check.is_cancelled || self.set.state(check.pair) != Some(PairState::InProgress) {
            return;
        }
        self.checks.forget(check.pair);
        self.fail(cx, check.pair, why);
    }

    /// The check succeeded: the pair is valid (§7.2.5.3).
    fn succeed(&mut self, cx: &mut Cx<'_>, check: Check, mapped: SocketAddr) {
        let now = cx.now();
        let rtt = now.since(check.sent);
        let id = check.pair;
        let mapped_id = self.mapped_candidate(cx, id, mapped);
        let valid = self.valid_pair(id, mapped_id);
        // The nominating check of the pair stays queued or pending when an earlier check of the pair succeeds, also one of an
        // earlier nomination.
        if self.is_newest_nomination(&check) || !self.is_nominating(id) {
            self.set.set_state(id, PairState::Succeeded);
            self.checks.cancel(id);
        }
        if valid != id {
            self.set.set_state(valid, PairState::Succeeded);
        }
        if let Some(record) = self.set.record_mut(id) {
            record.counters.total_round_trip_time += rtt;
            record.failure = None;
        }
        if let Some(pair) = self.set.get_mut(id) {
            pair.rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).max(1);
        }
        let Some(pair) = self.set.get_mut(valid) else { return };
        let was_valid = pair.flags.has(Flags::VALID);
        pair.flags.set(Flags::VALID, true);
        pair.mapped = mapped_id.or(pair.mapped);
        let (list, number) = (pair.list, pair.component);
        if let Some(record) = self.set.record_mut(valid) {
            record.consent_until = Some(now + Consent::LIFETIME);
        }
        if let Some(path) = self.path_of(valid).filter(|_| !was_valid) {
            cx.note(|| AgentNote::Valid { path, rtt });
        }
        self.mark_valid(cx, list, number);
        self.apply_nomination(cx, check, valid);
    }

    /// Whether the nominating check of a pair is queued or pending.
    fn is_nominating(&self, id: PairId) -> bool {
        self.tracks.iter().filter_map(|track| track.nominating).any(|(nominating, _)| nominating == id)
    }

    /// Whether a check belongs to the last nomination of its component.
    fn is_newest_nomination(&self, check: &Check) -> bool {
        let pair = self.set.get(check.pair);
        let track = pair.and_then(|pair| self.track(ComponentId::new(pair.list, pair.component)));
        check.use_candidate && track.is_some_and(|track| check.nomination == track.nominations.attribute())
    }

    /// The local candidate with the mapped address; a new peer-reflexive one if there is none (§7.2.5.3.1).
    fn mapped_candidate(&mut self, cx: &mut Cx<'_>, id: PairId, mapped: SocketAddr) -> Option<LocalId> {
        let pair = self.set.get(id)?;
        let base = self.locals.get(pair.local)?.candidate;
        if mapped == base.address {
            return Some(pair.local);
        }
        if let Some(known) = self.locals.find_mapped(base.component, base.socket, mapped) {
            return Some(known);
        }
        let candidate = LocalCandidate {
            kind: CandidateKind::PeerReflexive,
            address: mapped,
            related: Some(base.base),
            server: None,
            ..base
        };
        let added = self.locals.add(candidate, base.reflexive_priority()).ok()?;
        cx.note(|| AgentNote::PeerReflexive { is_remote: false, address: mapped });
        Some(added)
    }

    /// The valid pair: another pair of the checklist if the mapped address is that of another base (§7.2.5.3.2).
    fn valid_pair(&self, id: PairId, mapped: Option<LocalId>) -> PairId {
        let other = self.set.get(id).zip(mapped).and_then(|(pair, mapped)| self.set.find(mapped, pair.remote));
        other.unwrap_or(id)
    }

    /// Updates the nominated flag (§7.2.5.3.4).
    fn apply_nomination(&mut self, cx: &mut Cx<'_>, check: Check, valid: PairId) {
        let Some(pair) = self.set.get(check.pair).copied() else { return };
        let is_controlling = self.session.role.is_controlling();
        if is_controlling && check.use_candidate {
            // The peer may follow a newer nomination already.
            if !self.is_newest_nomination(&check) {
                return;
            }
            self.set.flag(check.pair, Flags::USE_CANDIDATE, false);
            let pending = self.tracks.iter().filter_map(|track| track.nominating).find(|(id, _)| *id == check.pair);
            let why = pending.map_or(NominationReason::Direct, |(_, why)| why);
            self.set_nominated(cx, valid, why);
        } else if !is_controlling && pair.flags.has(Flags::NOMINATE_ON_SUCCESS) {
            self.set.flag(check.pair, Flags::NOMINATE_ON_SUCCESS, false);
            self.set_nominated(cx, valid, NominationReason::Peer);
        }
    }

    /// The response to a consent request (RFC 7675 §5.1).
    fn consent_response(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, message: &Message<'_>) {
        let id = message.transaction_id();
        for at in 0..self.tracks.len() {
            let Some(track) = self.tracks.get(at) else { continue };
            let component = track.id;
            let selected = track.selected.as_ref().filter(|selected| selected.consent.is_pending(id));
            let previous = track.previous.as_ref().filter(|previous| previous.consent.is_pending(id));
            let (path, key) = match (selected, previous) {
                (Some(selected), _) => {
                    (selected.path, self.session.remote(component.stream).map(|side| &side.keys.key))
                }
                (None, Some(previous)) => (previous.path, Some(&previous.key)),
                (None, None) => continue,
            };
            let is_current = selected.is_some();
            let Some(Ok(message)) = key.map(|key| message.verify_with(key, Integrity::Sha1)) else {
                return cx.note(|| AgentNote::Dropped { from: datagram.remote, why: AgentDropped::Integrity });
            };
            if !super::is_path(&path, datagram.socket, datagram.remote) {
                return;
            }
            if message.class() == Class::ErrorResponse {
                return self.consent_error(cx, at, is_current, error_code(&message));
            }
            return self.renew_consent(cx, at, is_current, id);
        }
    }

    fn consent_error(&mut self, cx: &mut Cx<'_>, at: usize, is_current: bool, code: u16) {
        // Only 403 revokes consent (RFC 7675 §5.2); after other errors consent expires.
        if code != ErrorCode::FORBIDDEN {
            return;
        }
        let Some(track) = self.tracks.get_mut(at) else { return };
        if is_current {
            let component = track.id;
            self.consent_ended(cx, component, true);
        } else {
            track.previous = None;
        }
    }

    fn renew_consent(&mut self, cx: &Cx<'_>, at: usize, is_current: bool, id: TransactionId) {
        let now = cx.now();
        let Some(track) = self.tracks.get_mut(at) else { return };
        if !is_current {
            if let Some(previous) = &mut track.previous {
                let _rtt = previous.consent.renew(now, id);
            }
            return;
        }
        let Some(selected) = &mut track.selected else { return };
        let (renewed, pair) = (selected.consent.renew(now, id), selected.pair);
        let Some(rtt) = renewed else { return };
        selected.path.rtt = Some(rtt);
        self.measured(pair, rtt);
    }

    fn measured(&mut self, id: PairId, rtt: Duration) {
        if let Some(pair) = self.set.get_mut(id) {
            pair.rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).max(1);
        }
        if let Some(record) = self.set.record_mut(id) {
            record.counters.responses_received += 1;
            record.counters.total_round_trip_time += rtt;
        }
    }
}

fn error_code(message: &Verified<'_>) -> u16 {
    match message.attribute(AttributeType::ERROR_CODE) {
        Some(Ok(Attribute::ErrorCode(error))) => error.code(),
        _ => 0,
    }
}
