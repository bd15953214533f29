//! The steps of [`FamilyRun::advance`](super::FamilyRun), one function each.

use crate::behavior::{NatKind, Pooling};
use crate::event::DiscoveryEvent;
use crate::note::{DiscoveryNote, ExtraServerReason};
use crate::profile::{Conclusion, Reachability, Unavailable, Unknown};
use alloc::vec::Vec;
use portolan_machine::{Deadline, Instant, SocketId, Unreachability};
use portolan_stun::TransactionId;

use super::super::action::{Action, Actions};
use super::super::allocation;
use super::super::config::DiscoveryConfig;
use super::super::doubt::Tally;
use super::super::mapping_run::{self, Others};
use super::super::plan::{OFFLINE_TIMEOUT, SERVER_TIMEOUT, UDP_TIMEOUT};
use super::super::tag::Target;
use super::FamilyRun;

impl FamilyRun {
    /// The packets that had to be answered: the controls of all filtering sockets.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.filtering.attempts.iter().for_each(|attempt| attempt.tally(&mut tally));
        tally
    }

    /// Checks without a UDP response so far whether packets leave and come back.
    pub(super) fn check_reachability(&mut self, now: Instant, next_socket: &mut impl FnMut() -> SocketId) -> Actions {
        let mut actions = Actions::new();
        if self.state.responded {
            return actions;
        }
        let waited = now - self.started_at;
        if waited >= SERVER_TIMEOUT
            && let Some(why) = self.all_unreachable()
        {
            self.state.end = Some(Reachability::Unavailable(Unavailable::Unreachable(why)));
            return actions;
        }
        if waited >= UDP_TIMEOUT {
            actions = self.tcp.start(now, next_socket, &self.servers);
        }
        if !self.tcp.is_started() {
            return actions;
        }
        let port_closed = self.servers.in_use().any(|(_, server)| server.unreachable == Some(Unreachability::Port));
        if port_closed {
            // ICMP reported a closed port: a packet left, and the report came back.
            self.state.end = Some(Reachability::Unknown);
        } else if self.tcp.is_blocked() {
            self.state.end = Some(Reachability::Blocked);
        } else if self.tcp.is_over() || waited >= OFFLINE_TIMEOUT {
            let silent = Reachability::Unavailable(Unavailable::Silent);
            // One silent server whose host TCP reaches shows nothing about UDP.
            self.state.end = Some(if self.tcp.is_reachable() { Reachability::Unknown } else { silent });
        }
        actions
    }

    /// The first reason, if every datagram was returned as unreachable.
    fn all_unreachable(&self) -> Option<Unreachability> {
        let mut whys = self.servers.in_use().filter(|(_, server)| server.sent_at.is_some()).map(|(_, s)| s.unreachable);
        let first = whys.next()??;
        let all = whys.all(|why| why.is_some());
        (all && first != Unreachability::Port && first != Unreachability::TooLarge).then_some(first)
    }

    /// Judges the mapping. Returns whether the servers contradict each other, and the actions.
    pub(super) fn judge_mapping(&mut self, now: Instant) -> (bool, Actions) {
        let before = self.mapping.verdict.as_ref().map(|verdict| verdict.finding);
        let others = self.others();
        let (contradiction, flaw) = self.mapping.judge(now, &mut self.servers, others);
        // A flaw changes what the other sockets show, and a conclusion is compared with that.
        self.state.dirty |= flaw.is_some() || (before.is_none() && self.mapping.verdict.is_some());
        let verdict = self.mapping.verdict.as_ref().filter(|verdict| Some(verdict.finding) != before);
        let event = verdict.map(|verdict| Action::Event(mapping_run::event(self.family, verdict)));
        (contradiction, flaw.into_iter().chain(event).collect())
    }

    /// The facts that the filtering sockets, and those of the port allocation test, show about the mapping.
    fn others(&self) -> Others {
        let attempts = self.filtering.attempts.iter();
        let mut trusted = attempts.clone().filter(|attempt| self.servers.is_trusted(attempt.server));
        Others {
            is_steady: attempts.clone().any(|a| a.control.answers >= 2 || a.control.over),
            is_rebound: trusted.any(|attempt| attempt.control.seen.is_rebound(attempt.control.over)),
            is_pooled: allocation::pooling(&self.samples()).value() == Some(&Pooling::Arbitrary),
        }
    }

    /// Adds further servers if those in use are silent, contradict each other, or are not capable.
    pub(super) fn join_more(&mut self, now: Instant, contradiction: bool) -> Actions {
        let mut actions = Actions::new();
        if self.servers.take_replacement(now) {
            actions.extend(self.join(ExtraServerReason::Silence));
        }
        let quiet = !self.servers.any_pending(now);
        let in_use = self.servers.in_use().count();
        if contradiction && quiet && self.state.contradiction_at < in_use {
            self.state.contradiction_at = in_use;
            actions.extend(self.join(ExtraServerReason::Contradiction));
        }
        let incapable = self.filtering.verdict.is_none()
            && quiet
            && self.servers.next_capable(|_| false).is_none()
            && self.servers.required().all(|(_, server)| server.rtt.is_some() || server.unreachable.is_some());
        if incapable || (self.filtering.verdict.is_none() && quiet && self.filtering.is_stranded(&self.servers)) {
            actions.extend(self.join(ExtraServerReason::Capability));
        }
        actions
    }

    fn join(&mut self, why: ExtraServerReason) -> Actions {
        let Some(number) = self.servers.join() else { return Actions::new() };
        let server = self.servers.get(number).map(|server| server.address);
        let note = server.map(|server| Action::Note(DiscoveryNote::Joined { server, why }));
        note.into_iter().chain(self.mapping.plan_request(&mut self.servers, number, Target::Primary)).collect()
    }

    /// Returns the requests that prove that the other address of the filtering server works and that the server
    /// honours CHANGE-REQUEST. Otherwise silence is no evidence for a filter.
    pub(super) fn prove(&mut self) -> Actions {
        let mut actions = Actions::new();
        let Some(server) = self.filtering.server().filter(|_| self.filtering.needs_proof()) else { return actions };
        let Some(state) = self.servers.get(server).filter(|state| state.is_capable()) else { return actions };
        let answered = state.alternate().is_answered();
        actions.extend(self.mapping.plan_request(&mut self.servers, server, Target::OtherBoth));
        if let Some(depends) = self.depends().filter(|_| answered) {
            actions.extend(self.mapping.plan_proof(&mut self.servers, server, !depends));
        }
        actions
    }

    /// Whether the mapping depends on the destination; `None` before the conclusion. An `unknown` mapping counts as
    /// dependent, because then no socket is known to get an unfiltered response.
    pub(super) fn depends(&self) -> Option<bool> {
        let verdict = self.mapping.verdict.as_ref()?;
        Some(verdict.value().is_none_or(|mapping| mapping.is_destination_dependent()))
    }

    pub(super) fn judge_filtering(
        &mut self,
        now: Instant,
        next_socket: &mut impl FnMut() -> SocketId,
        sends_of: impl Fn(TransactionId) -> Option<u32>,
    ) -> Actions {
        // Without any response, `check_reachability` decides.
        if self.filtering.verdict.is_some() || !self.state.responded {
            return Actions::new();
        }
        let may_add_server = self.servers.has_more() || self.servers.any_pending(now);
        self.filtering.count_control(sends_of);
        let mut actions = self.filtering.judge(now, next_socket, &mut self.servers, may_add_server);
        if let Some(verdict) = &self.filtering.verdict {
            let event = DiscoveryEvent::Filtering { family: self.family, conclusion: verdict.clone() };
            actions.push(Action::Event(event));
        }
        actions
    }

    /// The kind of NAT, once translation and filtering are known.
    pub(super) fn nat(&self) -> Option<NatKind> {
        let translated = self.mapping.is_translated(&self.servers)?;
        let filtering = self.filtering.verdict.as_ref();
        if !translated && filtering.is_none() {
            return None;
        }
        Some(mapping_run::nat_kind(translated, filtering.and_then(Conclusion::value)))
    }

    pub(super) fn report_nat(&mut self) -> Option<Action> {
        let nat = self.nat().filter(|_| self.mapping.verdict.is_some())?;
        let is_new = self.state.nat_reported.replace(nat) != Some(nat);
        is_new.then_some(Action::Event(DiscoveryEvent::Nat { family: self.family, nat }))
    }

    /// Starts the measurements that the configuration requests.
    pub(super) fn extras(&mut self, next_socket: &mut impl FnMut() -> SocketId, config: &DiscoveryConfig) -> Actions {
        let mut actions = Actions::new();
        let answered = self.servers.in_use().find(|(_, server)| server.rtt.is_some());
        let Some((number, first)) = answered.map(|(number, server)| (number, server.address)) else { return actions };
        if config.ports {
            actions = self.ports.start(next_socket, number, first);
        }
        let Some(verdict) = self.mapping.verdict.as_ref().filter(|_| config.hairpin) else { return actions };
        let translated = self.mapping.is_translated(&self.servers) == Some(true);
        let public: Vec<_> = self.mapping.public(&self.servers);
        match (translated, verdict.value(), public.first()) {
            (true, Some(mapping), Some(public)) if !mapping.is_destination_dependent() => {
                let peer = (self.mapping.socket, *public, self.mapping.local);
                actions.extend(self.hairpin.start(next_socket, first, peer));
            }
            (true, _, _) => {
                self.hairpin.verdict.get_or_insert_with(|| Conclusion::unknown(Unknown::Dependent, Vec::new()));
            }
            (false, ..) => {
                self.hairpin.verdict.get_or_insert_with(|| Conclusion::unknown(Unknown::NoNat, Vec::new()));
            }
        }
        actions
    }

    /// Ends the run when all conclusions are known. The last request may have ended without a response.
    pub(super) fn conclude(&mut self, config: &DiscoveryConfig) {
        let ports = !config.ports || self.ports.is_over();
        let hairpin = !config.hairpin || self.hairpin.verdict.is_some();
        if self.mapping.verdict.is_some() && self.filtering.verdict.is_some() && ports && hairpin {
            let reach =
                if self.mapping.observations.is_empty() { Reachability::Unknown } else { Reachability::Available };
            self.state.end = Some(reach);
        }
    }

    /// Ends the run with the results so far.
    pub(in super::super) fn time_out(&mut self) {
        if self.is_over() {
            return;
        }
        self.state.timed_out = true;
        let reach = if self.state.responded { Reachability::Available } else { Reachability::Unknown };
        self.state.end = Some(reach);
    }

    /// The next timeout.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Deadline> {
        let without_response =
            |timeout| Some(self.started_at + timeout).filter(|at| !self.state.responded && *at > now);
        let deadlines = [
            self.servers.deadline(now).map(|at| Deadline::new(at, "server timeout")),
            self.filtering.deadline(now, &self.servers).map(|at| Deadline::new(at, "filtering server timeout")),
            self.mapping.deadline(now, &self.servers).map(|at| Deadline::new(at, "alternate address timeout")),
            without_response(SERVER_TIMEOUT).map(|at| Deadline::new(at, "unreachable check")),
            without_response(UDP_TIMEOUT).map(|at| Deadline::new(at, "UDP timeout")),
            without_response(OFFLINE_TIMEOUT).map(|at| Deadline::new(at, "offline timeout")),
        ];
        deadlines.into_iter().fold(None, Deadline::earliest)
    }

    /// Closes all sockets that are open or ordered.
    pub(in super::super) fn close(&self) -> Actions {
        let mapping = self.mapping.local.map(|_| Action::Close(self.mapping.socket));
        let first = mapping.into_iter().chain(self.filtering.close()).chain(self.tcp.close());
        first.chain(self.ports.close()).chain(self.hairpin.close()).collect()
    }
}
