//! What a family does next: the steps of [`FamilyRun::advance`](super::FamilyRun), one function each.

use crate::behavior::NatKind;
use crate::event::DiscoveryEvent;
use crate::note::{DiscoveryNote, ExtraServerReason};
use crate::profile::{Conclusion, Reachability, Unavailable, Unknown};
use alloc::vec::Vec;
use portolan_machine::{Deadline, Instant, Unreachability};

use super::super::desk::Desk;
use super::super::doubt::Tally;
use super::super::mapping_test;
use super::super::plan::{SERVER_PATIENCE, TCP_PATIENCE, UDP_PATIENCE};
use super::super::tag::Target;
use super::FamilyRun;

impl FamilyRun {
    /// Packets that had to be answered: what the controls of all filtering sockets met.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.filtering.attempts.iter().for_each(|attempt| attempt.tally(&mut tally));
        tally
    }

    /// Without a UDP answer: is there a way out at all?
    pub(super) fn look_for_a_way_out(&mut self, desk: &mut Desk<'_, '_>) {
        if self.state.heard {
            return;
        }
        let waited = desk.now() - self.started_at;
        if waited >= SERVER_PATIENCE
            && let Some(why) = self.turned_back()
        {
            self.state.end = Some(Reachability::Unavailable(Unavailable::Unreachable(why)));
            return;
        }
        if waited >= UDP_PATIENCE {
            self.tcp.start(desk, &self.servers);
        }
        if !self.tcp.is_started() {
            return;
        }
        let mute_port = self.servers.asked().any(|(_, server)| server.unreachable == Some(Unreachability::Port));
        if mute_port {
            // ICMP said that nobody listens: it got out and came back.
            self.state.end = Some(Reachability::Unknown);
        } else if self.tcp.shows_a_way_out() {
            self.state.end = Some(Reachability::Blocked);
        } else if self.tcp.is_over() || waited >= TCP_PATIENCE {
            self.state.end = Some(Reachability::Unavailable(Unavailable::Silent));
        }
    }

    /// Why every datagram was turned back, where every one was.
    fn turned_back(&self) -> Option<Unreachability> {
        let mut whys = self.servers.asked().filter(|(_, server)| server.asked_at.is_some()).map(|(_, s)| s.unreachable);
        let first = whys.next()??;
        let all = whys.all(|why| why.is_some());
        (all && first != Unreachability::Port && first != Unreachability::TooLarge).then_some(first)
    }

    /// Judges the mapping; says whether the servers contradict each other.
    pub(super) fn judge_mapping(&mut self, desk: &mut Desk<'_, '_>) -> bool {
        let stood = self.mapping.verdict.is_some();
        let steady = self.filtering.attempts.iter().any(|a| a.control.answers >= 2 || a.control.over);
        let contradiction = self.mapping.judge(desk, &mut self.servers, steady);
        if let Some(verdict) = &self.mapping.verdict
            && !stood
        {
            desk.tell(mapping_test::told(self.family, verdict));
        }
        contradiction
    }

    /// Asks further servers where those asked are silent, contradict each other, or cannot do what is needed.
    pub(super) fn join_more(&mut self, desk: &mut Desk<'_, '_>, contradiction: bool) {
        let now = desk.now();
        if self.servers.take_replacement(now) {
            self.join(desk, ExtraServerReason::Silence);
        }
        let quiet = !self.servers.any_pending(now);
        let asked = self.servers.asked().count();
        if contradiction && quiet && self.state.contradiction_at < asked {
            self.state.contradiction_at = asked;
            self.join(desk, ExtraServerReason::Contradiction);
        }
        let incapable = self.filtering.verdict.is_none()
            && quiet
            && self.servers.next_capable(|_| false).is_none()
            && self.servers.asked().all(|(_, server)| server.rtt.is_some() || server.unreachable.is_some());
        if incapable || (self.filtering.verdict.is_none() && quiet && self.filtering.is_stranded(&self.servers)) {
            self.join(desk, ExtraServerReason::Capability);
        }
    }

    fn join(&mut self, desk: &mut Desk<'_, '_>, why: ExtraServerReason) {
        let Some(number) = self.servers.join() else { return };
        if let Some(server) = self.servers.get(number).map(|server| server.address) {
            desk.cx.note(|| DiscoveryNote::Joined { server, why });
        }
        self.mapping.ask(desk, &mut self.servers, number, Target::Primary);
    }

    /// Makes the silence of the filtering server mean something: is its other address alive, does it answer at all?
    pub(super) fn prove(&mut self, desk: &mut Desk<'_, '_>) {
        let Some(server) = self.filtering.server().filter(|_| self.filtering.needs_proof()) else { return };
        let Some(asked) = self.servers.get(server).filter(|asked| asked.is_capable()) else { return };
        let answered = asked.alternate().is_answered();
        self.mapping.ask(desk, &mut self.servers, server, Target::OtherBoth);
        if let Some(depends) = self.depends().filter(|_| answered) {
            self.mapping.ask_proof(desk, &mut self.servers, server, !depends);
        }
    }

    /// Whether the mapping depends on the destination, once that is settled. Where it is settled that it is unknown,
    /// no place without a filter is known either.
    pub(super) fn depends(&self) -> Option<bool> {
        let verdict = self.mapping.verdict.as_ref()?;
        Some(verdict.value().is_none_or(|mapping| mapping.is_destination_dependent()))
    }

    pub(super) fn judge_filtering(&mut self, desk: &mut Desk<'_, '_>) {
        // Before anybody was heard it is the reach that is in question, not the filter.
        if self.filtering.verdict.is_some() || !self.state.heard {
            return;
        }
        let may_hear_more = self.servers.has_more() || self.servers.any_pending(desk.now());
        self.filtering.judge(desk, &mut self.servers, may_hear_more);
        if let Some(verdict) = &self.filtering.verdict {
            desk.tell(DiscoveryEvent::Filtering { family: self.family, conclusion: verdict.clone() });
        }
    }

    /// What stands in the way, once both are known that it follows from.
    pub(super) fn nat(&self) -> Option<NatKind> {
        let translated = self.mapping.is_translated(&self.servers)?;
        let filtering = self.filtering.verdict.as_ref();
        if !translated && filtering.is_none() {
            return None;
        }
        Some(mapping_test::nat_kind(translated, filtering.and_then(Conclusion::value)))
    }

    pub(super) fn tell_nat(&mut self, desk: &mut Desk<'_, '_>) {
        let settled = self.mapping.verdict.is_some();
        if let Some(nat) = self.nat().filter(|_| settled)
            && self.state.told_nat.replace(nat) != Some(nat)
        {
            desk.tell(DiscoveryEvent::Nat { family: self.family, nat });
        }
    }

    /// What is only done when asked for.
    pub(super) fn extras(&mut self, desk: &mut Desk<'_, '_>) {
        let Some(first) = self.servers.asked().find(|(_, server)| server.rtt.is_some()).map(|(_, s)| s.address) else {
            return;
        };
        if desk.config.ports {
            self.ports.start(desk, first);
        }
        let Some(verdict) = self.mapping.verdict.as_ref().filter(|_| desk.config.hairpin) else { return };
        let translated = self.mapping.is_translated(&self.servers) == Some(true);
        let public: Vec<_> = self.mapping.public(&self.servers);
        match (translated, verdict.value(), public.first()) {
            (true, Some(mapping), Some(public)) if !mapping.is_destination_dependent() => {
                self.hairpin.start(desk, first, (self.mapping.socket, *public, self.mapping.local));
            }
            (true, _, _) => {
                self.hairpin.verdict.get_or_insert_with(|| Conclusion::unknown(Unknown::Dependent, Vec::new()));
            }
            (false, ..) => {
                self.hairpin.verdict.get_or_insert_with(|| Conclusion::unknown(Unknown::NoNat, Vec::new()));
            }
        }
    }

    /// Ends the run when nothing is left to find out; the last question may have ended without an answer.
    pub(super) fn conclude(&mut self, desk: &Desk<'_, '_>) {
        let ports = !desk.config.ports || self.ports.is_over();
        let hairpin = !desk.config.hairpin || self.hairpin.verdict.is_some();
        if self.mapping.verdict.is_some() && self.filtering.verdict.is_some() && ports && hairpin {
            let reach =
                if self.mapping.observations.is_empty() { Reachability::Unknown } else { Reachability::Available };
            self.state.end = Some(reach);
        }
    }

    /// Ends the run with what is known.
    pub(in super::super) fn time_out(&mut self) {
        if self.is_over() {
            return;
        }
        self.state.timed_out = true;
        let reach = if self.state.heard { Reachability::Available } else { Reachability::Unknown };
        self.state.end = Some(reach);
    }

    /// The next moment at which a patience ends.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Deadline> {
        let unheard = |patience| Some(self.started_at + patience).filter(|at| !self.state.heard && *at > now);
        let deadlines = [
            self.servers.deadline(now).map(|at| Deadline::new(at, "a server's patience")),
            self.filtering.deadline(now, &self.servers).map(|at| Deadline::new(at, "a filtering server's patience")),
            self.mapping.deadline(now, &self.servers).map(|at| Deadline::new(at, "an alternate address's patience")),
            unheard(SERVER_PATIENCE).map(|at| Deadline::new(at, "is everything turned back?")),
            unheard(UDP_PATIENCE).map(|at| Deadline::new(at, "is UDP blocked?")),
            unheard(TCP_PATIENCE).map(|at| Deadline::new(at, "is there no way out?")),
        ];
        deadlines.into_iter().fold(None, Deadline::earliest)
    }

    /// Lets go of everything that is open or under way.
    pub(in super::super) fn close(&mut self, desk: &mut Desk<'_, '_>) {
        if self.mapping.local.is_some() {
            desk.close(self.mapping.socket);
        }
        self.filtering.close(desk);
        self.tcp.close(desk);
        self.ports.close(desk);
        self.hairpin.close(desk);
    }
}
