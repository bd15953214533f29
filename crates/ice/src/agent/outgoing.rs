//! Checks and consent requests to the peer (RFC 8445 §6.1.4.2, §7.2.4, RFC 7675 §5.1).
//!
//! Rules of this file: a new check is sent at most once per Ta, over all streams. Retransmissions and consent requests are
//! not paced.

use super::Agent;
use super::conclude::KEEPALIVE;
use crate::candidate::ComponentId;
use crate::checks::{Check, Checks, Due, Repeat};
use crate::config::{Nomination, Policy};
use crate::event::Path;
use crate::message::{self, CheckMessage};
use crate::note::AgentNote;
use crate::pair::{Flags, PairId, PairState};
use crate::reason::PairFailure;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Instant, Output, SocketId, Transmit, Unreachability};
use portolan_stun::TransactionId;

impl Agent {
    /// Sends the next check, if Ta has passed.
    pub(super) fn send_next_check(&mut self, cx: &mut Cx<'_>) {
        if self.config.is_lite || !self.session.clock.pacer.due(cx.now()) {
            return;
        }
        let Some((id, is_triggered)) = self.choose_check(cx.now()) else { return };
        self.session.clock.pacer.take(cx.now());
        self.start_check(cx, id, is_triggered);
    }

    fn choose_check(&mut self, now: Instant) -> Option<(PairId, bool)> {
        match self.set.next_check() {
            Some((id, is_triggered)) => Some((id, is_triggered)),
            None => self.next_repeat(now).map(|id| (id, false)),
        }
    }

    /// The time of the next check, if there is one to send.
    pub(super) fn next_pacing(&self) -> Option<Instant> {
        if self.config.is_lite {
            return None;
        }
        let next = self.session.clock.pacer.next();
        if self.set.has_next() { Some(next) } else { self.next_repeat_time().map(|at| at.max(next)) }
    }

    fn start_check(&mut self, cx: &mut Cx<'_>, id: PairId, is_triggered: bool) {
        let Some(pair) = self.set.get(id).copied() else { return };
        let role = self.session.role;
        let is_tcp = self.locals.get(pair.local).is_some_and(|local| local.candidate.transport.is_tcp());
        let repeat = match self.config.policy {
            // TCP retransmits (RFC 6544 §7.1).
            Policy::Textbook | Policy::Browserlike if is_tcp => Repeat::Reliable,
            Policy::Textbook => Repeat::Doubling,
            Policy::Browserlike => Repeat::Once,
        };
        let transaction = TransactionId::from(cx.random::<12>());
        let mut check = Check::new(transaction, id, role, cx.now(), repeat, self.rto());
        check.use_candidate = role.is_controlling()
            && (pair.flags.has(Flags::USE_CANDIDATE) || self.config.nomination == Nomination::Aggressive);
        let component = ComponentId::new(pair.list, pair.component);
        check.nomination = self.track(component).and_then(|track| track.nominations.attribute());
        check.nomination = check.nomination.filter(|_| check.use_candidate);
        self.checks.add(check);
        if let Some(record) = self.set.record_mut(id) {
            record.counters.requests_sent += 1;
            record.first_check.get_or_insert(cx.now());
            record.last_check = cx.now();
        }
        if let Some(path) = self.path_of(id) {
            let nominates = check.use_candidate;
            let is_triggered = is_triggered && !nominates;
            cx.note(|| AgentNote::Check { path, is_triggered, nominates });
        }
        self.transmit_check(&check);
    }

    /// RTO = MAX(500 ms, Ta × (Waiting + In-Progress)): the MAY of §14.3.
    fn rto(&self) -> Duration {
        let open = u32::try_from(self.set.open_checks()).unwrap_or(u32::MAX);
        self.config.times.ta.saturating_mul(open).max(RTO_MIN)
    }

    /// The transaction timeout of a check at the largest RTO of the present pairs: 39.5 s with up to 10 pairs.
    pub(super) fn longest_check(&self) -> Duration {
        let pairs = u32::try_from(self.set.len()).unwrap_or(u32::MAX);
        Checks::duration(self.config.times.ta.saturating_mul(pairs).max(RTO_MIN))
    }

    /// Encodes and queues a check. A retransmission has the same content as the first send.
    fn transmit_check(&mut self, check: &Check) {
        let Some(pair) = self.set.get(check.pair) else { return };
        let (Some(local), Some(remote)) = (self.locals.get(pair.local), self.remotes.get(pair.remote)) else { return };
        let Some(side) = self.session.remote(pair.list) else { return };
        let message = CheckMessage {
            id: check.id,
            username: &side.username,
            key: &side.keys.key,
            priority: local.candidate.reflexive_priority(),
            role: check.role,
            use_candidate: check.use_candidate,
            nomination: check.nomination,
        };
        if let Ok(bytes) = message::check(&message) {
            let transmit = Transmit::new(local.candidate.socket, remote.address, bytes);
            self.out.push(Output::Transmit(transmit.with_local(local.candidate.base.ip())));
        }
    }

    /// Retransmits the checks that are due, and fails the pairs of checks that have timed out.
    pub(super) fn advance_checks(&mut self, cx: &mut Cx<'_>) {
        while let Some(due) = self.checks.pop_due(cx.now()) {
            match due {
                Due::Send(check) => {
                    if let Some(record) = self.set.record_mut(check.pair) {
                        record.counters.retransmissions_sent += 1;
                    }
                    let remote = self.path_of(check.pair).map(|path| path.remote);
                    if let Some(remote) = remote {
                        cx.note(|| AgentNote::Repeated { remote, sends: check.sends });
                    }
                    self.transmit_check(&check);
                }
                Due::TimedOut(check) => self.timed_out(cx, check),
            }
        }
    }

    /// The reason of a pair without an authenticated response.
    pub(super) fn no_response(&self, id: PairId) -> PairFailure {
        let Some(record) = self.set.record(id) else { return PairFailure::Timeout { sends: 0 } };
        let sends = record.counters.requests_sent + record.counters.retransmissions_sent;
        record.refused.map_or(PairFailure::Timeout { sends }, |code| PairFailure::Refused { code, sends })
    }

    fn timed_out(&mut self, cx: &mut Cx<'_>, check: Check) {
        // A check that was cancelled for a triggered check leaves the pair Waiting, or another check pending.
        let is_pending = self.checks.of_pair(check.pair).any(|other| !other.is_cancelled || check.is_cancelled);
        if is_pending || self.set.state(check.pair) != Some(PairState::InProgress) {
            return;
        }
        let why = self.no_response(check.pair);
        self.fail(cx, check.pair, why);
    }

    /// A check could not be sent, or ICMP reported that it did not arrive (§7.2.5.2.2).
    pub(super) fn unreachable(&mut self, cx: &mut Cx<'_>, socket: SocketId, remote: SocketAddr, why: Unreachability) {
        let is_hard = match why {
            Unreachability::Network
            | Unreachability::Host
            | Unreachability::Prohibited
            | Unreachability::SourceAddress => true,
            // A peer whose socket is not open yet, or a NAT, reports a closed port for a short time.
            Unreachability::Port => self.config.policy == Policy::Textbook,
            Unreachability::TooLarge | Unreachability::HopLimit | Unreachability::Unspecified => false,
            _ => false,
        };
        // A stream that is refused or closed fails its pairs (RFC 6544 §7.1).
        let is_tcp = self.locals.base_of(socket).is_some_and(|(_, local)| local.candidate.transport.is_tcp());
        if !is_hard && !is_tcp {
            return;
        }
        let is_same = |id: &PairId| self.path_of(*id).is_some_and(|path| super::is_path(&path, socket, remote));
        let pending = self.set.iter().filter(|(_, pair)| pair.state == PairState::InProgress).map(|(id, _)| id);
        let failed: Vec<PairId> = pending.filter(is_same).collect();
        for id in failed {
            self.checks.forget(id);
            self.fail(cx, id, PairFailure::Unreachable(why));
        }
    }

    // --- Consent -----------------------------------------------------------------------------------------------

    /// The next time at which consent is requested or expires.
    pub(super) fn next_consent(&self) -> Option<Instant> {
        let selected = self.tracks.iter().filter_map(|track| Some(track.selected.as_ref()?.consent.next()));
        let previous = self.tracks.iter().filter_map(|track| Some(track.previous.as_ref()?.consent.next()));
        if self.config.is_lite {
            return self.tracks.iter().filter_map(|track| track.selected.as_ref()?.keepalive).min();
        }
        selected.chain(previous).chain(self.set.consents().map(|(_, until)| until)).min()
    }

    /// Sends the consent requests that are due, and ends the paths whose consent has expired.
    pub(super) fn advance_consent(&mut self, cx: &mut Cx<'_>) {
        if self.config.is_lite {
            return self.send_keepalives(cx);
        }
        let now = cx.now();
        let ended: Vec<PairId> = self.set.consents().filter(|(_, until)| *until <= now).map(|(id, _)| id).collect();
        for record in ended {
            if let Some(record) = self.set.record_mut(record) {
                record.consent_until = None;
            }
        }
        for at in 0..self.tracks.len() {
            self.advance_previous(cx, at);
            self.advance_selected(cx, at);
        }
    }

    /// A lite agent keeps the NAT mappings of its selected paths by indications (§11).
    fn send_keepalives(&mut self, cx: &mut Cx<'_>) {
        for at in 0..self.tracks.len() {
            let Some(track) = self.tracks.get_mut(at) else { return };
            let (component, Some(selected)) = (track.id, track.selected.as_mut()) else { continue };
            if selected.keepalive.is_none_or(|next| next > cx.now()) {
                continue;
            }
            selected.keepalive = Some(cx.now() + KEEPALIVE);
            let path = selected.path;
            cx.note(|| AgentNote::Keepalive { component });
            let bytes = message::keepalive(TransactionId::from(cx.random::<12>()));
            self.transmit_on(&path, bytes);
        }
    }

    fn advance_selected(&mut self, cx: &mut Cx<'_>, at: usize) {
        let Some(track) = self.tracks.get_mut(at) else { return };
        let (component, Some(selected)) = (track.id, track.selected.as_mut()) else { return };
        if selected.consent.is_expired(cx.now()) {
            return self.consent_ended(cx, component, false);
        }
        let Some(id) = selected.consent.request(cx) else { return };
        let (path, pair, unanswered) = (selected.path, selected.pair, selected.consent.unanswered());
        cx.note(|| AgentNote::Consent { component, unanswered });
        if let Some(record) = self.set.record_mut(pair) {
            record.counters.consent_requests_sent += 1;
        }
        let Some(side) = self.session.remote(component.stream) else { return };
        let priority = self.reflexive_priority(&path);
        let message = CheckMessage {
            id,
            username: &side.username,
            key: &side.keys.key,
            priority,
            role: self.session.role,
            use_candidate: false,
            nomination: None,
        };
        let bytes = message::check(&message);
        self.transmit_on(&path, bytes);
    }

    fn advance_previous(&mut self, cx: &mut Cx<'_>, at: usize) {
        let Some(track) = self.tracks.get_mut(at) else { return };
        let (component, Some(previous)) = (track.id, track.previous.as_mut()) else { return };
        if previous.consent.is_expired(cx.now()) {
            track.previous = None;
            return;
        }
        let Some(id) = previous.consent.request(cx) else { return };
        let unanswered = previous.consent.unanswered();
        cx.note(|| AgentNote::Consent { component, unanswered });
        let message = CheckMessage {
            id,
            username: &previous.username,
            key: &previous.key,
            priority: previous.priority,
            role: self.session.role,
            use_candidate: false,
            nomination: None,
        };
        let (bytes, path) = (message::check(&message), previous.path);
        self.transmit_on(&path, bytes);
    }

    fn transmit_on(&mut self, path: &Path, bytes: Result<bytes::Bytes, portolan_stun::EncodeError>) {
        if let Ok(bytes) = bytes {
            let transmit = Transmit::new(path.socket, path.remote, bytes).with_local(path.base.ip());
            self.out.push(Output::Transmit(transmit));
        }
    }

    pub(super) fn reflexive_priority(&self, path: &Path) -> u32 {
        self.locals.base_of(path.socket).map_or(0, |(_, local)| local.candidate.reflexive_priority())
    }
}

/// The least RTO (§14.3).
const RTO_MIN: Duration = Duration::from_millis(500);

// A check that is sent once waits for its response at least as long as the least RTO.
const _: () = assert!(Checks::ONCE.as_millis() >= RTO_MIN.as_millis());
