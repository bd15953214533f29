//! The description of the peer, restarts, and changes of the role (RFC 8445 §9, §7.3.1.1).

use super::Agent;
use super::RemoteDescription;
use super::session::{Keys, RemoteSide};
use crate::candidate::{CandidateKind, ComponentId};
use crate::checklist::ChecklistState;
use crate::event::AgentEvent;
use crate::local::LocalId;
use crate::note::AgentNote;
use crate::pair::{Flags, PairId};
use crate::reason::NominationReason;
use alloc::vec::Vec;
use portolan_machine::{Cx, Output};

impl Agent {
    pub(super) fn accept_description(&mut self, cx: &mut Cx<'_>, stream: u16, description: RemoteDescription) {
        let known = self.session.remote(stream).map(|side| side.keys.credentials == description.credentials);
        if known != Some(true) && self.is_old(known.is_none(), &description) {
            return cx.note(|| AgentNote::OldDescription);
        }
        let is_answer = self.is_answer(&description);
        let is_restart = self.is_restart(&description);
        let RemoteDescription { credentials, is_lite, has_ended, candidates, answers: _, generation } = description;
        let seen = &mut self.session.generation.seen;
        *seen = generation.map_or(*seen, |peer| peer.number.max(*seen));
        match known {
            Some(true) => {
                if let Some(Some(side)) = self.session.remotes.get_mut(usize::from(stream)) {
                    side.has_ended |= has_ended;
                }
            }
            // The peer has the agent's current credentials, so its description is current, and the earlier one was old.
            Some(false) if is_answer => self.replace_remote(stream),
            Some(false) => self.begin_restart(cx, true),
            None if is_restart => self.begin_restart(cx, true),
            None => {}
        }
        if known != Some(true) {
            let username = self.session.username(&credentials);
            let side = RemoteSide { keys: Keys::new(credentials), username, has_ended, is_lite };
            let times = self.config.times;
            self.session.set_remote(cx.now(), stream, side, times.pac, times.nomination);
            // The full agent is controlling if the peer is lite (§6.1.1).
            if is_lite && !self.config.is_lite && !self.session.role.is_controlling() {
                self.switch_role(cx, false);
            }
        }
        for candidate in &candidates {
            self.accept_remote(cx, stream, candidate);
        }
        self.process_early(cx, stream);
    }

    /// Whether the peer says that it had the current credentials of this agent.
    fn answers_current(&self, description: &RemoteDescription) -> bool {
        let local = self.session.local.as_ref().map(|keys| keys.credentials.ufrag());
        description.answers.is_some() && description.answers.as_deref() == local
    }

    /// Whether these credentials of the peer pair up with the current ones of this agent, so that no further restart is due
    /// (§9). A check has arrived that has both, or the description says what it answers.
    ///
    /// A description that answers earlier credentials has crossed a restart of this agent. The peer gets the description of
    /// that restart, which either pairs up in the same way, or makes the peer restart and answer. If this agent restarted
    /// instead, and the peer did so too, the restarts would not end. The roles do not decide: they can be in conflict.
    fn is_answer(&self, description: &RemoteDescription) -> bool {
        description.answers.is_some() || self.has_early(description.credentials.ufrag())
    }

    /// Whether the description belongs to an earlier session: of the peer, or of this agent while it waits for the answer to
    /// its current description. In the second case the peer restarts when it gets the current description.
    fn is_old(&self, is_awaited: bool, description: &RemoteDescription) -> bool {
        let RemoteDescription { credentials, answers, generation, .. } = description;
        let is_current = self.answers_current(description) || self.has_early(credentials.ufrag());
        let is_earlier_answer = is_awaited && answers.is_some() && !is_current;
        let is_earlier_of_peer = generation.is_some_and(|peer| peer.number < self.session.generation.seen);
        is_earlier_of_peer || is_earlier_answer || self.session.is_past(credentials.ufrag()) && !is_current
    }

    /// Whether the peer knew the current credentials of this agent, and has restarted since. So the peer has forgotten them,
    /// although this agent has got no description with which they were used.
    fn is_restart(&self, description: &RemoteDescription) -> bool {
        let knew = description.generation.is_some_and(|peer| peer.seen == self.session.generation.number);
        knew && description.answers.is_none()
    }

    /// Forgets the peer's side of a stream, which was an old one. The local credentials and the selected paths stay.
    fn replace_remote(&mut self, stream: u16) {
        self.keep_paths(|id| id.stream == stream);
        self.session.forget_remote(stream);
        let pairs: Vec<PairId> = self.set.in_order(stream).map(|(id, _)| id).collect();
        for id in pairs {
            self.checks.forget(id);
            self.set.remove(id);
        }
        self.set.set_list_state(stream, ChecklistState::Running);
        self.remotes.forget(stream);
        self.names.forget(stream);
    }

    /// Both agents are lite: the pair with the highest priority of each component is used without checks (§8.2).
    pub(super) fn pair_lite(&mut self, cx: &mut Cx<'_>) {
        if !self.config.is_lite {
            return;
        }
        let is_lite = |stream| self.session.remote(stream).is_some_and(|side| side.is_lite);
        let open = self.tracks.iter().filter(|track| track.nominated.is_none());
        let components: Vec<_> = open.map(|track| track.id).filter(|id| is_lite(id.stream)).collect();
        for component in components {
            let locals = self.locals.iter().filter(|(_, local)| local.candidate.component == component);
            let best = locals
                .flat_map(|(local, own)| {
                    let remotes = self.remotes.iter().filter(move |(_, remote)| remote.component == component);
                    remotes.map(move |(id, remote)| (local, own, id, remote))
                })
                .filter(|(_, own, _, remote)| own.candidate.address.is_ipv4() == remote.address.is_ipv4())
                .max_by_key(|(_, own, _, remote)| self.pair_priority(own.priority, remote.priority))
                .map(|(local, _, remote, _)| (local, remote));
            if let Some((local, remote)) = best {
                self.lite_pair(cx, local, remote, NominationReason::Lite);
            }
        }
    }

    /// The selected paths of these components stay in use as previous ones.
    fn keep_paths(&mut self, is_kept: impl Fn(ComponentId) -> bool) {
        for at in 0..self.tracks.len() {
            let Some(track) = self.tracks.get(at).filter(|track| is_kept(track.id)) else { continue };
            let priority = track.selected.map_or(0, |selected| self.reflexive_priority(&selected.path));
            let stream = track.id.stream;
            let Self { tracks, session, .. } = self;
            if let Some(track) = tracks.get_mut(at) {
                track.restart(session.remote(stream), priority);
            }
        }
    }

    /// Begins a new session with new credentials. Candidates and selected paths stay.
    pub(super) fn begin_restart(&mut self, cx: &mut Cx<'_>, by_peer: bool) {
        cx.note(|| AgentNote::Restarting { by_peer });
        self.keep_paths(|_| true);
        self.session.renew(cx, self.config.times.description);
        self.set.clear();
        self.checks.clear();
        self.remotes.clear();
        self.names.clear();
        self.early.clear();
        self.locals.forget_reflexive();
        if let (true, Some(keys)) = (by_peer, &self.session.local) {
            self.out.push(Output::Event(AgentEvent::Restarted(keys.credentials.clone())));
        }
        let is_signalled = |kind: CandidateKind| kind != CandidateKind::PeerReflexive;
        let all: Vec<LocalId> =
            self.locals.iter().filter(|(_, local)| is_signalled(local.candidate.kind)).map(|(id, _)| id).collect();
        all.into_iter().for_each(|id| self.signal(id));
    }

    /// Changes the role. After a 487 response the tie-breaker is new (§7.2.5.1).
    pub(super) fn switch_role(&mut self, cx: &mut Cx<'_>, with_new_tie_breaker: bool) {
        let own = self.session.role.tie_breaker();
        let tie_breaker = if with_new_tie_breaker { u64::from_be_bytes(cx.random()) } else { own };
        self.session.role = self.session.role.switched(tie_breaker);
        let role = self.session.role;
        let all: Vec<PairId> = self.set.iter().map(|(id, _)| id).collect();
        for id in all {
            self.set.flag(id, Flags::USE_CANDIDATE, false);
            self.set.flag(id, Flags::NOMINATE_ON_SUCCESS, false);
        }
        for track in &mut self.tracks {
            track.nominating = None;
        }
        self.update_priorities();
        cx.note(|| AgentNote::Role { role });
        self.out.push(Output::Event(AgentEvent::Role(role)));
    }
}
