//! Requests of the peer (RFC 8445 §7.3).
//!
//! Rules of this file: a response is sent before anything else follows from a request. A nomination that the agent does
//! not follow gets an error response, never a success response.

use super::Agent;
use super::pairing::{Origin, is_usable};
use super::track::Nominations;
use crate::candidate::{CandidateKind, ComponentId, Transport};
use crate::checklist::ChecklistState;
use crate::config::{Nomination, Policy};
use crate::judge::{Check, Judgement, judge};
use crate::local::LocalId;
use crate::message;
use crate::note::{AgentDropped, AgentNote};
use crate::pair::{Flags, Pair, PairId, PairState};
use crate::reason::{NominationReason, PairFailure};
use crate::remote::RemoteId;
use crate::role::RoleDecision;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Cx, Datagram, Output, SocketId, Transmit};
use portolan_stun::{EncodeError, ErrorCode, IntegrityKey, Message, TransactionId};

/// A check that arrived before the description of the peer (§7.3).
#[derive(Clone, Debug)]
pub(super) struct Early {
    pub(super) socket: SocketId,
    remote: SocketAddr,
    priority: u32,
    /// The number of the nomination in the check.
    nomination: Option<u32>,
    id: TransactionId,
    /// The username fragment of the peer in the check.
    ufrag: Box<str>,
}

/// A check that was answered, to be processed.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    local: LocalId,
    remote: SocketAddr,
    component: ComponentId,
    priority: u32,
    /// The number of the nomination, if the agent accepts one.
    nomination: Option<u32>,
    id: TransactionId,
}

impl Agent {
    /// The most early checks that wait.
    const EARLY: usize = 32;

    /// Handles a Binding request.
    pub(super) fn request(&mut self, cx: &mut Cx<'_>, local: LocalId, datagram: Datagram<'_>, message: &Message<'_>) {
        let from = datagram.remote;
        let Some(current) = &self.session.local else { return };
        let earlier = self.session.earlier.iter().map(super::session::Keys::as_local);
        match judge(message, current.as_local(), earlier, self.session.role) {
            Judgement::Ignore => cx.note(|| AgentNote::Dropped { from, why: AgentDropped::Fingerprint }),
            Judgement::Reject { code } => self.refuse(cx, datagram, &message.exempt(), code, None),
            Judgement::Refuse { request, code } => {
                let key = current.key.clone();
                self.refuse(cx, datagram, &request, code, Some(&key));
            }
            Judgement::Earlier { request, key } => {
                // The peer keeps its consent on the previous path during the restart (RFC 7675 §5.1). A success from another
                // address would validate a pair of the ended session, which the peer could select.
                if !self.is_previous_path(from) {
                    return self.refuse(cx, datagram, &message.exempt(), ErrorCode::UNAUTHENTICATED, None);
                }
                let bytes = message::success(&request, from, &key);
                self.respond(datagram, bytes);
            }
            Judgement::Accept { request, check, role } => {
                let key = current.key.clone();
                if role == RoleDecision::Switch {
                    // A lite agent stays controlled (§6.1.1).
                    if self.config.is_lite {
                        return self.refuse(cx, datagram, &request, ErrorCode::ROLE_CONFLICT, Some(&key));
                    }
                    self.switch_role(cx, false);
                }
                self.accepted(cx, local, datagram, &request, check, &key);
            }
        }
    }

    /// Whether a component had selected a path to this address before the restart.
    fn is_previous_path(&self, remote: SocketAddr) -> bool {
        self.tracks.iter().any(|track| track.previous.as_ref().is_some_and(|previous| previous.path.remote == remote))
    }

    fn accepted(
        &mut self,
        cx: &mut Cx<'_>,
        local: LocalId,
        datagram: Datagram<'_>,
        request: &portolan_stun::Verified<'_>,
        check: Check<'_>,
        key: &IntegrityKey,
    ) {
        let Some(component) = self.locals.get(local).map(|local| local.candidate.component) else { return };
        let remote = datagram.remote;
        let id = request.transaction_id();
        if self.cannot_follow(local, remote, component) {
            return self.refuse(cx, datagram, request, ErrorCode::FORBIDDEN, Some(key));
        }
        if check.use_candidate && !self.follows(local, remote, component, check) {
            return self.refuse(cx, datagram, request, ErrorCode::BAD_REQUEST, Some(key));
        }
        let is_nomination = check.use_candidate && !self.session.role.is_controlling();
        let nomination = is_nomination.then(|| check.nomination.unwrap_or(Nominations::FIRST));
        let arrived = Arrived { local, remote, component, priority: check.priority, nomination, id };
        let side = self.session.remote(component.stream);
        let is_current = side.is_some_and(|side| side.keys.credentials.ufrag() == check.remote_ufrag);
        // Without room the agent cannot follow a nomination, so the peer must not get a success response.
        if is_current && is_usable(remote) && !self.has_room(cx, arrived) {
            return self.refuse(cx, datagram, request, ErrorCode::SERVER_ERROR, Some(key));
        }
        self.respond(datagram, message::success(request, remote, key));
        if !is_usable(remote) {
            return;
        }
        if is_current {
            self.process_check(cx, arrived);
        } else if self.session.is_past(check.remote_ufrag) {
            // The peer has restarted: its old checks are answered, and nothing follows from them (§9).
            cx.note(|| AgentNote::Dropped { from: remote, why: AgentDropped::Generation });
        } else {
            self.keep_early(cx, datagram.socket, arrived, check.remote_ufrag);
        }
    }

    fn respond(&mut self, datagram: Datagram<'_>, bytes: Result<bytes::Bytes, EncodeError>) {
        if let Ok(bytes) = bytes {
            let transmit = Transmit::new(datagram.socket, datagram.remote, bytes).with_local(datagram.local.ip());
            let _room = self.out.offer(Output::Transmit(transmit));
        }
    }

    fn refuse<T: portolan_stun::Checked>(
        &mut self,
        cx: &mut Cx<'_>,
        datagram: Datagram<'_>,
        request: &Message<'_, T>,
        code: u16,
        key: Option<&IntegrityKey>,
    ) {
        cx.note(|| AgentNote::Refused { from: datagram.remote, code });
        self.respond(datagram, message::error(request, code, key));
    }

    fn keep_early(&mut self, cx: &mut Cx<'_>, socket: SocketId, arrived: Arrived, ufrag: &str) {
        let from = arrived.remote;
        let Arrived { remote, priority, nomination, id, .. } = arrived;
        if let Some(known) = self
            .early
            .iter_mut()
            .find(|early| early.socket == socket && early.remote == remote && *early.ufrag == *ufrag)
        {
            known.nomination = known.nomination.max(nomination);
            return;
        }
        if self.early.len() >= Self::EARLY {
            return cx.note(|| AgentNote::Dropped { from, why: AgentDropped::EarlyFull });
        }
        cx.note(|| AgentNote::Early { from });
        self.early.push(Early { socket, remote, priority, nomination, id, ufrag: ufrag.into() });
    }

    /// Whether a check has arrived from a peer with this username fragment, whose description is not known.
    pub(super) fn has_early(&self, ufrag: &str) -> bool {
        self.early.iter().any(|early| *early.ufrag == *ufrag)
    }

    /// Processes the checks that arrived before the description of the peer.
    pub(super) fn process_early(&mut self, cx: &mut Cx<'_>, stream: u16) {
        let Some(ufrag) = self.session.remote(stream).map(|side| Box::<str>::from(side.keys.credentials.ufrag()))
        else {
            return;
        };
        let mut early: Vec<Early> = core::mem::take(&mut self.early);
        early.sort_by_key(|early| early.nomination);
        for early in early {
            let base = self.locals.base_of(early.socket).map(|(id, local)| (id, local.candidate.component));
            let Some((local, component)) = base else { continue };
            if component.stream != stream || early.ufrag != ufrag {
                self.early.push(early);
                continue;
            }
            let Early { remote, priority, nomination, id, .. } = early;
            self.process_check(cx, Arrived { local, remote, component, priority, nomination, id });
        }
    }

    /// Learns the candidate of a check, triggers a check, and applies a nomination (§7.3.1.3 to §7.3.1.5).
    fn process_check(&mut self, cx: &mut Cx<'_>, arrived: Arrived) {
        let Arrived { local, component, .. } = arrived;
        let Some(remote_id) = self.learn_remote(cx, arrived) else { return };
        if self.config.is_lite {
            return self.lite_check(cx, arrived, remote_id);
        }
        if self.is_concluded(component) {
            if let Some(id) = self.set.find(local, remote_id) {
                self.count_received(id);
                self.nominate_again(cx, id, component);
            }
            if let Some(number) = arrived.nomination
                && let Some(id) = self.pair(cx, local, remote_id, Origin::Check)
            {
                self.peer_nominates(cx, id, arrived, number);
            }
            return;
        }
        let Some(id) = self.pair(cx, local, remote_id, Origin::Check) else { return };
        self.count_received(id);
        match arrived.nomination {
            Some(number) => self.peer_nominates(cx, id, arrived, number),
            None => self.trigger(cx, id),
        }
    }

    /// Repeats the failed nomination of a pair that the peer may have selected, because its priority is higher than that of
    /// the nominated pair. Only aggressive nomination has such pairs (§8.1.1).
    fn nominate_again(&mut self, cx: &Cx<'_>, id: PairId, component: ComponentId) {
        let is_aggressive = self.config.nomination == Nomination::Aggressive && self.session.role.is_controlling();
        let nominated = self.track(component).and_then(|track| self.set.get(track.nominated?.pair));
        let is_lower = |pair: &Pair| nominated.is_some_and(|nominated| nominated.priority < pair.priority);
        if is_aggressive && self.set.get(id).is_some_and(|pair| pair.state == PairState::Failed && is_lower(pair)) {
            self.trigger(cx, id);
        }
    }

    /// Whether there is room for the candidate of a check, and for the pair of a nomination. Learns the candidate.
    fn has_room(&mut self, cx: &mut Cx<'_>, arrived: Arrived) -> bool {
        let Some(remote) = self.learn_remote(cx, arrived) else { return false };
        let needs_pair = arrived.nomination.is_some() && !self.config.is_lite;
        !needs_pair || self.pair(cx, arrived.local, remote, Origin::Check).is_some()
    }

    fn count_received(&mut self, id: PairId) {
        if let Some(record) = self.set.record_mut(id) {
            record.counters.requests_received += 1;
            record.counters.responses_sent += 1;
        }
    }

    fn learn_remote(&mut self, cx: &mut Cx<'_>, arrived: Arrived) -> Option<RemoteId> {
        let Arrived { remote, component, priority, .. } = arrived;
        let transport = self.peer_transport(arrived.local);
        if let Some(known) = self.remotes.find(component, remote, transport) {
            return Some(known);
        }
        let limit = self.config.remote_candidates + LEARNED;
        let mut learned = self.remotes.learn(component, (remote, transport), priority, limit);
        if let (None, Some(useless)) = (learned, self.useless_remote()) {
            self.forget_pairs_of(useless);
            self.remotes.learn_in_place(useless, component, (remote, transport), priority);
            learned = Some(useless);
        }
        if learned.is_some() {
            cx.note(|| AgentNote::PeerReflexive { is_remote: true, address: remote });
        } else {
            cx.note(|| AgentNote::Dropped { from: remote, why: AgentDropped::CandidatesFull });
        }
        learned
    }

    /// The transport of the candidates of the peer that send to this local candidate.
    fn peer_transport(&self, local: LocalId) -> Transport {
        self.locals.get(local).map_or(Transport::Udp, |local| local.candidate.transport.opposite())
    }

    /// A peer-reflexive candidate whose pairs have all failed.
    fn useless_remote(&self) -> Option<RemoteId> {
        let is_useless = |id: RemoteId| {
            let mut pairs = self.set.iter().filter(|(_, pair)| pair.remote == id);
            pairs.all(|(_, pair)| pair.state == PairState::Failed)
        };
        let learned = self.remotes.iter().filter(|(_, remote)| remote.kind == CandidateKind::PeerReflexive);
        learned.map(|(id, _)| id).find(|id| is_useless(*id))
    }

    fn forget_pairs_of(&mut self, remote: RemoteId) {
        let pairs: Vec<PairId> = self.set.iter().filter(|(_, pair)| pair.remote == remote).map(|(id, _)| id).collect();
        for id in pairs {
            self.checks.forget(id);
            self.set.remove(id);
        }
    }

    /// Enqueues a triggered check, unless the pair has succeeded (§7.3.1.4).
    ///
    /// After one transaction timeout a pending check is not replaced any more: it may time out, although the checks of the
    /// peer arrive.
    fn trigger(&mut self, cx: &Cx<'_>, id: PairId) {
        let first = self.set.record(id).and_then(|record| record.first_check);
        let is_old = first.is_some_and(|first| first + self.longest_check() <= cx.now());
        match self.set.state(id) {
            Some(PairState::InProgress) if is_old => {}
            Some(PairState::InProgress) => {
                self.checks.cancel(id);
                self.set.trigger(id);
            }
            Some(PairState::Frozen | PairState::Waiting | PairState::Failed) => self.set.trigger(id),
            Some(PairState::Succeeded) | None => {}
        }
    }

    /// The controlled agent's side of a nomination (§7.3.1.5).
    fn peer_nominates(&mut self, cx: &mut Cx<'_>, id: PairId, arrived: Arrived, number: u32) {
        let is_first_check = self.set.record(id).is_some_and(|record| record.counters.requests_received <= 1);
        let Some(track) = self.track_mut(arrived.component) else { return };
        let is_duplicate = track.nominations.is_duplicate(arrived.id);
        track.nominations.is_aggressive |= is_first_check && track.nominations.of_peer == 0;
        self.newest_nomination(arrived.component, number);
        let Some(pair) = self.set.get(id).copied() else { return };
        if pair.state == PairState::Succeeded && pair.flags.has(Flags::VALID) {
            if !is_duplicate {
                self.set_nominated(cx, id, NominationReason::Peer);
            }
        } else {
            self.trigger(cx, id);
            self.set.flag(id, Flags::NOMINATE_ON_SUCCESS, true);
        }
    }

    /// Remembers the number of a nomination that the agent follows. An earlier nomination has no effect any more, although
    /// the own check of its pair may still succeed.
    fn newest_nomination(&mut self, component: ComponentId, number: u32) {
        let Some(track) = self.track_mut(component).filter(|track| track.nominations.of_peer < number) else { return };
        track.nominations.of_peer = number;
        let all: Vec<PairId> = self.pairs_of(component).map(|(id, _)| id).collect();
        for id in all {
            self.set.flag(id, Flags::NOMINATE_ON_SUCCESS, false);
        }
    }

    /// Whether the agent follows a nomination (case: the peer nominates again). A controlling agent has no say here: the
    /// request is a mistake of the peer, and the role decides.
    fn follows(&self, local: LocalId, remote: SocketAddr, component: ComponentId, check: Check<'_>) -> bool {
        if self.session.role.is_controlling() {
            return true;
        }
        if self.set.list_state(component.stream) == Some(ChecklistState::Failed) {
            return false;
        }
        let Some(track) = self.track(component) else { return false };
        let number = check.nomination.unwrap_or(Nominations::FIRST);
        // The network has reordered the nominations of the peer. An error response to the earlier one has no effect.
        if number < track.nominations.of_peer {
            return false;
        }
        let Some(nominated) = track.nominated else { return true };
        let Some(pair) = self.set.get(nominated.pair) else { return true };
        let remote_id = self.remotes.find(component, remote, self.peer_transport(local));
        if remote_id == Some(pair.remote) && pair.local == local {
            return true;
        }
        // A newer nomination is followed. Without numbers the last one is followed by the policy of browsers. By RFC 8445
        // §8.1.1 the highest priority wins.
        if number > nominated.number || self.config.policy == Policy::Browserlike {
            return true;
        }
        let remote_priority =
            remote_id.and_then(|id| self.remotes.get(id)).map_or(check.priority, |remote| remote.priority);
        let local_priority = self.locals.get(local).map_or(0, |local| local.priority);
        self.pair_priority(local_priority, remote_priority) > pair.priority
    }

    /// Whether the peer has nominated this pair, and the own check of the pair failed. Error 403 revokes the consent of the
    /// peer (RFC 7675 §5.2), so the peer does not go on with a pair that this agent cannot use.
    fn cannot_follow(&self, local: LocalId, remote: SocketAddr, component: ComponentId) -> bool {
        let remote = self.remotes.find(component, remote, self.peer_transport(local));
        let pair = remote.and_then(|remote| self.set.find(local, remote));
        let record = pair.and_then(|pair| self.set.record(pair));
        !self.session.role.is_controlling()
            && record.is_some_and(|record| record.failure == Some(PairFailure::NotFollowed))
    }

    /// A lite agent has no checks: the nominated pair is valid at once (§7.3.2).
    fn lite_check(&mut self, cx: &mut Cx<'_>, arrived: Arrived, remote: RemoteId) {
        let Some(number) = arrived.nomination else { return };
        self.newest_nomination(arrived.component, number);
        self.lite_pair(cx, arrived.local, remote, NominationReason::Peer);
    }
}

/// The room for peer-reflexive candidates beyond the limit of signalled candidates.
const LEARNED: usize = 32;
