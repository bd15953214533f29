//! Nomination, selection, failure, and the state of the session (RFC 8445 §8.1, §7.2.5.4, RFC 8863).

use super::Agent;
use super::pairing::Origin;
use super::session::Stage;
use super::track::{Nominated, Nominations, Selected};
use crate::candidate::ComponentId;
use crate::checklist::ChecklistState;
use crate::config::{Nomination, Policy};
use crate::consent::Consent;
use crate::event::{AgentEvent, AgentState, Selection};
use crate::local::LocalId;
use crate::nominate::{self, Decision};
use crate::note::AgentNote;
use crate::pair::{Flags, Pair, PairId, PairState};
use crate::reason::{NominationReason, PairFailure, SessionFailure};
use crate::remote::RemoteId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Instant, Output};

impl Agent {
    /// The pairs of a component, highest priority first.
    pub(super) fn pairs_of(&self, component: ComponentId) -> impl Iterator<Item = (PairId, &Pair)> + Clone {
        self.set.in_order(component.stream).filter(move |(_, pair)| pair.component == component.number)
    }

    /// Chooses the pairs to nominate (§8.1.1).
    pub(super) fn nominate(&mut self, cx: &mut Cx<'_>) {
        let is_regular = self.config.nomination == Nomination::Regular;
        let may_nominate = self.session.role.is_controlling() && is_regular && !self.config.is_lite;
        for at in 0..self.tracks.len() {
            let Some(track) = self.tracks.get_mut(at) else { return };
            track.wait_until = None;
            let has_valid = track.first_valid.is_some();
            if !may_nominate || !has_valid || track.nominating.is_some() {
                continue;
            }
            let (component, first_valid, nominated) = (track.id, track.first_valid, track.nominated);
            let is_better_sought = match nominated {
                Some(_) if self.seeks_better(component) => true,
                Some(_) => continue,
                None => false,
            };
            let expects = self.expects_candidates(component.stream);
            let first_check = |id| self.set.record(id).and_then(|record| record.first_check);
            match nominate::decide(self.pairs_of(component), first_check, first_valid, expects, cx.now()) {
                Decision::Nominate(_, why) if is_better_sought && why != NominationReason::Direct => {}
                Decision::Nominate(id, _) if is_better_sought => {
                    self.start_nomination(cx, id, NominationReason::Better)
                }
                Decision::Nominate(id, why) => self.start_nomination(cx, id, why),
                Decision::WaitUntil(_) if is_better_sought => {}
                Decision::WaitUntil(until) => {
                    if let Some(track) = self.tracks.get_mut(at) {
                        track.wait_until = Some(until);
                    }
                }
                Decision::Nothing => {}
            }
        }
    }

    fn expects_candidates(&self, stream: u16) -> bool {
        !self.session.has_ended || self.session.remote(stream).is_none_or(|side| !side.has_ended)
    }

    /// Repeats the check of a valid pair with USE-CANDIDATE.
    pub(super) fn start_nomination(&mut self, cx: &mut Cx<'_>, id: PairId, why: NominationReason) {
        let Some(pair) = self.set.get(id).copied() else { return };
        let component = ComponentId::new(pair.list, pair.component);
        let is_regular = self.config.nomination == Nomination::Regular;
        if let Some(path) = self.path_of(id) {
            cx.note(|| AgentNote::Nominating { path, why });
        }
        if let Some(record) = self.set.record_mut(id) {
            record.first_check = None;
        }
        if let Some(track) = self.track_mut(component) {
            track.nominating = Some((id, why));
            // With aggressive nomination the first checks were nominations.
            let is_first = track.nominations.own == 0 && is_regular;
            track.nominations.own = if is_first { Nominations::FIRST } else { (track.nominations.own + 1).max(2) };
        }
        self.set.flag(id, Flags::USE_CANDIDATE, true);
        self.set.trigger(id);
    }

    pub(super) fn mark_valid(&mut self, cx: &Cx<'_>, list: u16, number: u16) {
        let now = cx.now();
        if let Some(track) = self.track_mut(ComponentId::new(list, number)) {
            track.first_valid.get_or_insert(now);
        }
    }

    /// Sets the nominated flag of a valid pair (§7.2.5.3.4, §7.3.1.5).
    pub(super) fn set_nominated(&mut self, cx: &mut Cx<'_>, id: PairId, why: NominationReason) {
        let Some(pair) = self.set.get(id).copied() else { return };
        let component = ComponentId::new(pair.list, pair.component);
        let is_controlling = self.session.role.is_controlling();
        let Some(track) = self.track(component) else { return };
        let is_aggressive = if is_controlling {
            self.config.nomination == Nomination::Aggressive
        } else {
            track.nominations.is_aggressive
        };
        let has_order = is_aggressive || self.config.policy == Policy::Textbook;
        let current = track.nominated;
        let current = current.and_then(|known| Some((known, self.set.get(known.pair)?.priority)));
        self.set.flag(id, Flags::NOMINATED, true);
        let Some(track) = self.track_mut(component) else { return };
        track.nominating = None;
        track.wait_until = None;
        let number = if is_controlling { track.nominations.own } else { track.nominations.of_peer };
        if let Some((known, priority)) = current {
            if known.pair == id {
                track.nominated = Some(Nominated { number, ..known });
                return;
            }
            // Of several nominations without an order the one with the highest priority is used (§8.1.1).
            if has_order && known.number == number && priority > pair.priority {
                return;
            }
        }
        track.nominated = Some(Nominated { pair: id, why, number });
        track.first_valid.get_or_insert(cx.now());
        self.remove_others(component, id);
        if self.track(component).is_some_and(|track| track.selected.is_some()) {
            self.select(cx, component);
        }
    }

    /// Removes the pairs of a component after a nomination. Pending checks are cancelled (§8.1.2).
    fn remove_others(&mut self, component: ComponentId, nominated: PairId) {
        if self.seeks_better(component) {
            return;
        }
        // With aggressive nomination a better pair can still be nominated: its check goes on (RFC 5245 §8.1.2). The peer may
        // have accepted a check of a pair that waits for another check.
        let is_aggressive = self.config.nomination == Nomination::Aggressive;
        let least = if is_aggressive { self.set.get(nominated).map_or(0, |pair| pair.priority) } else { u64::MAX };
        let others: Vec<(PairId, Pair)> =
            self.pairs_of(component).filter(|(id, _)| *id != nominated).map(|(id, pair)| (id, *pair)).collect();
        for (id, pair) in others {
            let is_checked = pair.flags.has(Flags::TRIGGERED)
                || self.set.record(id).is_some_and(|record| record.first_check.is_some());
            match pair.state {
                PairState::Waiting | PairState::InProgress if is_checked && pair.priority > least => {}
                // The agent has accepted the nomination of this pair too. Its check decides (§7.3.1.5, §8.1.1).
                PairState::Waiting | PairState::InProgress if pair.flags.has(Flags::NOMINATE_ON_SUCCESS) => {}
                PairState::Frozen | PairState::Waiting => {
                    self.checks.forget(id);
                    self.set.remove(id);
                }
                PairState::InProgress => self.checks.cancel(id),
                PairState::Succeeded | PairState::Failed => {}
            }
        }
    }

    /// Completes the checklists whose components all have a nominated pair, and selects those pairs (§8.1.2).
    pub(super) fn complete(&mut self, cx: &mut Cx<'_>) {
        for stream in 0..self.config.streams.len() as u16 {
            let is_in_stream = |id: &ComponentId| id.stream == stream;
            let all = self.tracks.iter().filter(|track| is_in_stream(&track.id));
            if self.set.list_state(stream) != Some(ChecklistState::Running)
                || !all.clone().all(|track| track.nominated.is_some())
            {
                continue;
            }
            let components: Vec<ComponentId> =
                all.filter(|track| track.selected.is_none()).map(|track| track.id).collect();
            for component in components {
                self.select(cx, component);
            }
            let seeks = self.tracks.iter().any(|track| is_in_stream(&track.id) && self.seeks_better(track.id));
            if !seeks || !self.has_open(stream) {
                self.set.set_list_state(stream, ChecklistState::Completed);
            }
        }
    }

    /// Selects the nominated pair of a component.
    fn select(&mut self, cx: &mut Cx<'_>, component: ComponentId) {
        let nominated = self.track(component).and_then(|track| track.nominated);
        let Some(Nominated { pair, why, .. }) = nominated else { return };
        let Some(path) = self.path_of(pair) else { return };
        let next_best = self
            .pairs_of(component)
            .find(|(id, _)| *id != pair)
            .and_then(|(id, other)| Some((self.path_of(id)?, other.state)));
        let consent = Consent::new(cx);
        let keepalive = self.config.is_lite.then(|| cx.now() + KEEPALIVE);
        // A component with a selected pair uses no other pair for data.
        self.set.end_consents(component);
        if let Some(track) = self.track_mut(component) {
            track.selected = Some(Selected { pair, path, consent, keepalive });
            track.previous = None;
        }
        if self.tracks.iter().all(|track| track.previous.is_none()) {
            self.session.earlier.clear();
        }
        let selection = Box::new(Selection { path, why, next_best });
        self.out.push(Output::Event(AgentEvent::Selected(selection)));
    }

    /// The nominated pair of a lite agent is valid at once (§7.3.2, §8.2).
    pub(super) fn lite_pair(&mut self, cx: &mut Cx<'_>, local: LocalId, remote: RemoteId, why: NominationReason) {
        let Some(id) = self.pair(cx, local, remote, Origin::Check) else { return };
        self.set.set_state(id, PairState::Succeeded);
        if let Some(pair) = self.set.get_mut(id) {
            pair.flags.set(Flags::VALID, true);
            pair.mapped = Some(local);
        }
        self.set_nominated(cx, id, why);
    }

    // --- Failure -----------------------------------------------------------------------------------------------

    /// A pair failed (§7.2.5.2).
    pub(super) fn fail(&mut self, cx: &mut Cx<'_>, id: PairId, why: PairFailure) {
        let Some(pair) = self.set.get(id).copied() else { return };
        let component = ComponentId::new(pair.list, pair.component);
        if let Some(path) = self.path_of(id) {
            cx.note(|| AgentNote::Failed { path, why });
        }
        self.set.set_state(id, PairState::Failed);
        for flag in [Flags::VALID, Flags::USE_CANDIDATE, Flags::NOMINATE_ON_SUCCESS] {
            self.set.flag(id, flag, false);
        }
        // The success response to the nomination was wrong, so the next request of the peer on this pair is refused.
        let cannot_follow = pair.flags.has(Flags::NOMINATE_ON_SUCCESS);
        if let Some(record) = self.set.record_mut(id) {
            record.failure = Some(if cannot_follow { PairFailure::NotFollowed } else { why });
        }
        let Some(track) = self.track_mut(component) else { return };
        let was_nominating = track.nominating.take_if(|(nominating, _)| *nominating == id).is_some();
        if was_nominating && let Some(record) = self.set.record_mut(id) {
            record.failure = Some(PairFailure::Nomination);
        }
        let Some(track) = self.track(component) else { return };
        let is_nominated = track.nominated.is_some_and(|nominated| nominated.pair == id);
        let nominated = track.nominated;
        if is_nominated {
            let lost = match why {
                PairFailure::LocalRemoved => SessionFailure::LocalRemoved(component),
                PairFailure::Timeout { .. }
                | PairFailure::Refused { .. }
                | PairFailure::Unreachable(_)
                | PairFailure::NotSymmetric
                | PairFailure::Error(_)
                | PairFailure::Nomination
                | PairFailure::NotFollowed => {
                    let remote = self.path_of(id).map_or(SocketAddr::from(([0; 4], 0)), |path| path.remote);
                    let alive = self.count_valid(component);
                    SessionFailure::NominationFailed { component, remote, why, alive }
                }
            };
            self.lose_path(cx, component, lost);
        } else if let Some(nominated) = nominated {
            // The peer may follow the nomination that failed, if only its response was lost.
            if was_nominating {
                self.start_nomination(cx, nominated.pair, nominated.why);
            }
        } else if was_nominating || cannot_follow {
            self.nomination_failed(cx, component, id, why);
        }
        self.refill(cx);
    }

    fn count_valid(&self, component: ComponentId) -> u16 {
        self.pairs_of(component).filter(|(_, pair)| pair.flags.has(Flags::VALID)).count() as u16
    }

    /// The nominating check failed: the checklist fails (§7.2.5.3.4), or the next valid pair is nominated.
    fn nomination_failed(&mut self, cx: &mut Cx<'_>, component: ComponentId, id: PairId, why: PairFailure) {
        let alive = self.count_valid(component);
        if self.config.policy == Policy::Browserlike {
            return;
        }
        let Some(remote) = self.path_of(id).map(|path| path.remote) else { return };
        self.fail_session(cx, SessionFailure::NominationFailed { component, remote, why, alive });
    }

    /// Consent for a selected path has expired, or the peer revoked it.
    pub(super) fn consent_ended(&mut self, cx: &mut Cx<'_>, component: ComponentId, is_revoked: bool) {
        let why = if is_revoked {
            SessionFailure::ConsentRevoked(component)
        } else {
            SessionFailure::ConsentExpired(component)
        };
        if let Some(pair) = self.track(component).and_then(|track| track.selected).map(|selected| selected.pair) {
            let sends = self.set.record(pair).map_or(0, |record| record.counters.consent_requests_sent);
            self.set.set_state(pair, PairState::Failed);
            self.set.flag(pair, Flags::VALID, false);
            if let Some(record) = self.set.record_mut(pair) {
                record.failure = Some(PairFailure::Timeout { sends });
            }
        }
        self.lose_path(cx, component, why);
    }

    /// A selected path is lost: the session fails, or another valid pair replaces it.
    fn lose_path(&mut self, cx: &mut Cx<'_>, component: ComponentId, why: SessionFailure) {
        let others: Vec<PairId> = self
            .pairs_of(component)
            .filter(|(_, pair)| pair.flags.has(Flags::VALID) && pair.state == PairState::Succeeded)
            .map(|(id, _)| id)
            .collect();
        let is_textbook = self.config.policy == Policy::Textbook;
        let Some(next) = others.first().copied().filter(|_| !is_textbook) else {
            return self.fail_session(cx, why);
        };
        if let Some(track) = self.track_mut(component) {
            track.selected = None;
            track.nominated = None;
        }
        self.set.set_list_state(component.stream, ChecklistState::Running);
        self.session.clock.nomination = Some(cx.now() + self.config.times.nomination);
        self.session.clock.pac = Some(cx.now());
        if self.session.role.is_controlling() {
            self.start_nomination(cx, next, NominationReason::Replacement);
        }
    }

    pub(super) fn fail_session(&mut self, _: &mut Cx<'_>, why: SessionFailure) {
        if self.session.stage != Stage::Running {
            return;
        }
        self.session.stage = Stage::Failed;
        for stream in 0..self.config.streams.len() as u16 {
            self.set.set_list_state(stream, ChecklistState::Failed);
        }
        self.checks.clear();
        self.early.clear();
        self.names.clear();
        for track in &mut self.tracks {
            track.selected = None;
            track.previous = None;
            track.wait_until = None;
        }
        self.out.push(Output::Event(AgentEvent::Failed(why)));
        self.release_if_closed();
    }

    /// Whether a pair of a component without a nominated pair is Frozen, Waiting or In-Progress.
    fn has_open(&self, stream: u16) -> bool {
        self.set.in_order(stream).any(|(_, pair)| {
            let is_open = !matches!(pair.state, PairState::Succeeded | PairState::Failed);
            is_open && !self.is_concluded(ComponentId::new(pair.list, pair.component))
        })
    }

    /// The time at which a checklist fails if nothing else happens.
    pub(super) fn next_failure(&self) -> Option<Instant> {
        (0..self.config.streams.len() as u16).filter_map(|stream| self.failure_of(stream)).map(|(at, _)| at).min()
    }

    /// The time at which the last open pair of a stream is too old to count as open. `None`: a pair was not checked yet.
    ///
    /// If all responses are lost, the checks of two agents trigger each other without end (§7.3.1.4). A pair counts as open
    /// for two transaction timeouts from its first check.
    fn open_until(&self, stream: u16) -> Option<Instant> {
        let longest = self.longest_check() * 2;
        let open = self.set.in_order(stream).filter(|(_, pair)| {
            let is_open = !matches!(pair.state, PairState::Succeeded | PairState::Failed);
            is_open && !self.is_concluded(ComponentId::new(pair.list, pair.component))
        });
        let mut end = Instant::ORIGIN;
        for (id, _) in open {
            end = end.max(self.set.record(id)?.first_check? + longest);
        }
        Some(end)
    }

    /// The time of the failure of a checklist, and its component. `None`: a check is pending, or the checklist is
    /// completed.
    fn failure_of(&self, stream: u16) -> Option<(Instant, ComponentId)> {
        let side = self.session.remote(stream)?;
        if self.set.list_state(stream) != Some(ChecklistState::Running) {
            return None;
        }
        let open_until = self.open_until(stream)?;
        let track = self.tracks.iter().find(|track| track.id.stream == stream && track.nominated.is_none())?;
        let has_valid = self.pairs_of(track.id).any(|(_, pair)| pair.flags.has(Flags::VALID));
        let pac = self.session.clock.pac?;
        let at = if has_valid || self.config.is_lite {
            self.session.clock.nomination?
        } else if side.has_ended {
            pac
        } else {
            // The PAC timer is the fallback for a peer that does not end its candidates (RFC 8863 §5).
            pac + self.config.times.pac
        };
        Some((at.max(open_until), track.id))
    }

    /// Fails the session when a deadline has passed.
    pub(super) fn check_failures(&mut self, cx: &mut Cx<'_>) {
        if self.session.clock.description.is_some_and(|at| at <= cx.now()) {
            return self.fail_session(cx, SessionFailure::NoRemoteDescription);
        }
        let failures = (0..self.config.streams.len() as u16).filter_map(|stream| self.failure_of(stream));
        let due = failures.filter(|(at, _)| *at <= cx.now()).min_by_key(|(at, _)| *at);
        if let Some((_, component)) = due {
            let why = self.why_failed(component);
            self.fail_session(cx, why);
        }
    }

    fn why_failed(&self, component: ComponentId) -> SessionFailure {
        let pairs: Vec<(PairId, &Pair)> = self.pairs_of(component).collect();
        if pairs.iter().any(|(_, pair)| pair.flags.has(Flags::VALID)) || self.config.is_lite {
            return SessionFailure::NotNominated(component);
        }
        let failure = |id: PairId| self.set.record(id).and_then(|record| record.failure);
        // Of equal reasons, that of the pair with the highest priority.
        if let Some(why) = pairs.iter().rev().filter_map(|(id, _)| failure(*id)).max_by_key(PairFailure::says) {
            let heard = |(id, _): &(PairId, &Pair)| {
                self.set.record(*id).is_some_and(|record| record.counters.requests_received > 0)
            };
            return SessionFailure::AllPairsFailed {
                component,
                pairs: pairs.len() as u16,
                why,
                heard_peer: pairs.iter().any(heard),
                had_relay: pairs.iter().any(|(_, pair)| pair.flags.has(Flags::RELAYED)),
            };
        }
        let has_local = self.locals.iter().any(|(_, local)| local.candidate.component == component);
        let has_remote = self.remotes.iter().any(|(_, remote)| remote.component == component);
        match (has_local, has_remote) {
            (false, _) => SessionFailure::NoLocalCandidate(component),
            (true, false) => SessionFailure::NoRemoteCandidate(component),
            (true, true) => SessionFailure::NoCommonFamily(component),
        }
    }

    // --- State -------------------------------------------------------------------------------------------------

    /// Reports a change of the state.
    pub(super) fn report_state(&mut self) {
        let state = self.compute_state();
        if state != self.session.state {
            self.session.state = state;
            self.out.push(Output::Event(AgentEvent::State(state)));
        }
    }

    fn compute_state(&self) -> AgentState {
        match self.session.stage {
            Stage::Idle => return AgentState::New,
            Stage::Failed => return AgentState::Failed,
            Stage::Closed => return AgentState::Closed,
            Stage::Running => {}
        }
        if self.session.remotes.iter().all(Option::is_none) {
            return AgentState::New;
        }
        if self.tracks.iter().all(|track| track.selected.is_some()) {
            let is_silent = |selected: &Selected| !self.config.is_lite && selected.consent.unanswered() >= UNANSWERED;
            let is_lost = self.tracks.iter().filter_map(|track| track.selected.as_ref()).any(is_silent);
            return if is_lost { AgentState::Disconnected } else { AgentState::Completed };
        }
        let is_valid = |component| self.pairs_of(component).any(|(_, pair)| pair.flags.has(Flags::VALID));
        if self.tracks.iter().all(|track| track.selected.is_some() || is_valid(track.id)) {
            return AgentState::Connected;
        }
        AgentState::Checking
    }
}

/// The interval of keepalives of a lite agent, Tr (§11).
pub(super) const KEEPALIVE: Duration = Duration::from_secs(15);
/// The number of consent requests without a response that makes a path disconnected.
const UNANSWERED: usize = 3;
